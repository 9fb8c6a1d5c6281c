"""Which markets there are."""

from __future__ import annotations

from collections import Counter

from upbit_ws.sandbox.catalogue import DEFAULT_MARKETS, market_specs, named_specs
from upbit_ws.sandbox.tick_size import is_on_grid


def test_855_markets_are_split_as_on_the_real_exchange() -> None:
    specs = market_specs(count=855)

    assert Counter(spec.quote for spec in specs) == {"KRW": 289, "BTC": 328, "USDT": 238}
    assert len({spec.code for spec in specs}) == 855
    assert all(is_on_grid(spec.quote, spec.price) for spec in specs)


def test_any_number_of_markets_has_bitcoin_first() -> None:
    for count in (1, 2, 7):
        specs = market_specs(count=count)
        assert len(specs) == count
        assert specs[0].code == "KRW-BTC"


def test_the_default_set_has_all_quote_currencies() -> None:
    assert [spec.code for spec in market_specs()] == list(DEFAULT_MARKETS)
    assert {spec.quote for spec in market_specs()} == {"KRW", "BTC", "USDT"}


def test_an_invented_market_is_the_same_every_time() -> None:
    assert named_specs(["KRW-NOPE"]) == named_specs(["KRW-NOPE"])


def test_no_market_quotes_a_currency_in_itself() -> None:
    assert all(spec.quote != spec.base for spec in market_specs(count=855))
