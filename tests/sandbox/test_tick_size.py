"""Order price units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.sandbox.tick_size import (
    SCALE,
    from_units,
    is_on_grid,
    round_to_tick,
    step,
    supported_levels,
    tick_size,
    to_units,
)

quotes = st.sampled_from(["KRW", "BTC", "USDT"])
prices = st.integers(1, 300_000_000 * SCALE)


@pytest.mark.parametrize(
    ("price", "unit"),
    [
        (163_900_000, 1_000),
        (1_000_000, 1_000),
        (999_500, 500),
        (100_000, 100),
        (99_950, 50),
        (10_000, 10),
        (9_995, 5),
        (4_999, 1),
        (100, 1),
        (99.9, 0.1),
        (9.99, 0.01),
        (0.999, 0.001),
        (0.0174, 0.0001),
        (0.000912, 0.000001),
        (0.000001, 0.00000001),
    ],
)
def test_a_krw_price_has_the_unit_of_its_band(price: float, unit: float) -> None:
    assert tick_size("KRW", to_units(price)) == to_units(unit)


def test_btc_markets_have_one_unit_for_all_prices() -> None:
    assert {tick_size("BTC", price) for price in (1, SCALE, 1_000 * SCALE)} == {1}


def test_an_unknown_quote_currency_has_the_finest_grid() -> None:
    assert tick_size("EUR", 17) == 1


@given(quotes, prices)
def test_rounding_reaches_the_grid(quote: str, price: int) -> None:
    rounded = round_to_tick(quote, price)

    assert is_on_grid(quote, rounded)
    assert abs(rounded - price) <= tick_size(quote, price)


@given(quotes, prices, st.integers(1, 20))
def test_steps_go_up_and_come_back_down_on_the_grid(quote: str, price: int, ticks: int) -> None:
    start = round_to_tick(quote, price)
    above = step(quote, start, ticks)

    assert above > start
    assert is_on_grid(quote, above)
    assert step(quote, above, -ticks) == start


def test_a_step_down_over_a_border_takes_the_smaller_unit() -> None:
    assert step("KRW", 1_000_000 * SCALE, -1) == 999_500 * SCALE


def test_no_step_leads_below_the_smallest_price() -> None:
    assert step("BTC", 2, -5) == 1


def test_bitcoin_has_the_documented_levels() -> None:
    levels = supported_levels("KRW", 163_900_000 * SCALE)

    assert [level // SCALE for level in levels] == [0, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]


def test_only_krw_markets_are_grouped() -> None:
    assert supported_levels("BTC", SCALE) == supported_levels("USDT", SCALE) == (0,)


@given(st.integers(0, 10**15))
def test_units_survive_being_floats(units: int) -> None:
    assert to_units(from_units(units)) == units


@pytest.mark.parametrize("value", ["ten", float("nan"), float("inf")])
def test_what_is_no_number_has_no_units(value: object) -> None:
    with pytest.raises((ValueError, OverflowError)):
        to_units(value)  # type: ignore[arg-type]
