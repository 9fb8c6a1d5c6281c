"""What a client has registered: an immutable table, options and patterns included."""

from __future__ import annotations

from typing import Any

import pytest

from upbit_ws.client.interests import Interest, Interests
from upbit_ws.config import DataPoolConfig
from upbit_ws.exceptions import InvalidArgumentError, NotSubscribedError
from upbit_ws.types import DataType, StreamKey, Want

TICKER, TRADE, BOOK = DataType.TICKER, DataType.TRADE, DataType.ORDERBOOK
MARKETS = {"KRW-*": ("KRW-BTC", "KRW-ETH"), "BTC-*": ("BTC-ETH",)}


def expand(pattern: str) -> tuple[str, ...]:
    return MARKETS[pattern]


def interests(data_types: list[DataType], *symbols: str, **options: Any) -> Interests:
    return Interests().with_added(data_types, Interest(symbols=symbols, **options))


def test_symbols_are_added_once_and_in_order() -> None:
    table = interests([TICKER, TRADE], "KRW-BTC", "KRW-ETH").with_added(
        [TICKER], Interest(symbols=("KRW-XRP", "KRW-BTC"))
    )

    assert table.codes(TICKER, expand) == ("KRW-BTC", "KRW-ETH", "KRW-XRP")
    assert table.codes(TRADE, expand) == ("KRW-BTC", "KRW-ETH")
    assert table.codes(BOOK, expand) == ()


def test_a_table_is_never_edited() -> None:
    first = interests([TICKER], "KRW-BTC")

    first.with_added([TRADE], Interest(symbols=("KRW-ETH",)))
    first.without([TICKER], None)

    assert first == interests([TICKER], "KRW-BTC")


def test_options_given_later_replace_those_given_earlier() -> None:
    table = interests([BOOK], "KRW-BTC", units=15, level=10_000, history=5)

    kept = table.with_added([BOOK], Interest(symbols=("KRW-ETH",)))
    changed = table.with_added([BOOK], Interest(units=5, level=0.5, history=3))

    assert (kept.by_type[BOOK].units, kept.by_type[BOOK].level) == (15, 10_000)
    assert (changed.by_type[BOOK].units, changed.by_type[BOOK].level) == (5, 0.5)
    assert kept.by_type[BOOK].history == changed.by_type[BOOK].history == 5


@pytest.mark.parametrize(
    ("data_types", "symbols", "left"),
    [
        (None, None, {}),
        ([TICKER], None, {TRADE: ("KRW-BTC", "KRW-ETH")}),
        (None, ["KRW-BTC"], {TICKER: ("KRW-ETH",), TRADE: ("KRW-ETH",)}),
        ([TICKER], ["KRW-BTC"], {TICKER: ("KRW-ETH",), TRADE: ("KRW-BTC", "KRW-ETH")}),
        ([TICKER], ["KRW-BTC", "KRW-ETH"], {TRADE: ("KRW-BTC", "KRW-ETH")}),
        ([BOOK], ["KRW-NONE"], {TICKER: ("KRW-BTC", "KRW-ETH"), TRADE: ("KRW-BTC", "KRW-ETH")}),
    ],
)
def test_symbols_are_taken_back(data_types: Any, symbols: Any, left: dict[DataType, tuple[str, ...]]) -> None:
    table = interests([TICKER, TRADE], "KRW-BTC", "KRW-ETH").without(data_types, symbols)

    assert {data_type: interest.symbols for data_type, interest in table.by_type.items()} == left


def test_a_pattern_means_its_codes_and_each_code_once() -> None:
    table = interests([TICKER], "KRW-ETH", "KRW-*", "BTC-*")

    assert table.codes(TICKER, expand) == ("KRW-ETH", "KRW-BTC", "BTC-ETH")
    assert table.patterns() == {"KRW-*", "BTC-*"}


def test_wants_and_histories_are_of_the_codes() -> None:
    table = interests([BOOK], "KRW-*", units=5, level=10_000).with_added([TRADE], Interest(("KRW-BTC",), history=7))
    config = DataPoolConfig(history=100, state_history=3)

    assert table.wants(expand) == [
        Want(StreamKey(BOOK, "KRW-BTC", 10_000), units=5),
        Want(StreamKey(BOOK, "KRW-ETH", 10_000), units=5),
        Want(StreamKey(TRADE, "KRW-BTC")),
    ]
    assert table.histories(expand, config) == {
        StreamKey(BOOK, "KRW-BTC", 10_000): 3,
        StreamKey(BOOK, "KRW-ETH", 10_000): 3,
        StreamKey(TRADE, "KRW-BTC"): 7,
    }


def test_what_is_required_is_normalized_or_all_that_is_registered() -> None:
    table = interests([TICKER], "KRW-BTC", "KRW-ETH")

    assert table.require("me", TICKER, None) == ("KRW-BTC", "KRW-ETH")
    assert table.require("me", TICKER, ["krw-btc", "BTC/KRW"]) == ("KRW-BTC",)
    with pytest.raises(InvalidArgumentError, match=r"\['KRW-BTC'\]"):
        table.require("me", TICKER, "KRW-BTC")


@pytest.mark.parametrize("symbols", [None, ["KRW-BTC"]])
def test_a_type_that_is_not_registered_says_how_to(symbols: Any) -> None:
    with pytest.raises(NotSubscribedError, match=r"register_interest\(data_types=\[DataType.TRADE\]") as caught:
        interests([TICKER], "KRW-BTC").require("me", TRADE, symbols)

    assert caught.value.component_id == "me"


@pytest.mark.parametrize(
    "options", [(0, None), (7, None), (True, None), ("5", None), (None, -1), (None, "x"), (None, float("inf"))]
)
def test_book_options_out_of_range_are_refused(options: tuple[Any, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="orderbook_"):
        Interests().refuse_conflict([BOOK], *options)


@pytest.mark.parametrize("options", [(1, None), (30, 0), (None, 0.0001), (None, None)])
def test_book_options_that_a_book_has_are_taken(options: tuple[Any, Any]) -> None:
    Interests().refuse_conflict([TICKER, BOOK], *options)
    if options != (None, None):
        with pytest.raises(InvalidArgumentError, match="TICKER, TRADE"):
            Interests().refuse_conflict([TICKER, TRADE], *options)


def test_it_says_in_a_few_words_what_is_registered() -> None:
    assert interests([TICKER, TRADE], "KRW-BTC", "KRW-ETH").summary() == "ticker x 2, trade x 2"
    assert Interests().summary() == "nothing registered"
