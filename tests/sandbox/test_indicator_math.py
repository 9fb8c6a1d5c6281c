"""The formulas, against values worked out by hand or by definition."""

from __future__ import annotations

import math
from statistics import fmean, pstdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.sandbox.indicator_math import compute, ema, has_fired, holds, rsi, sma
from upbit_ws.sandbox.records import CandleRecord
from upbit_ws.sandbox.tick_size import SCALE

prices = st.lists(st.integers(1, 10_000), min_size=1, max_size=60)


def candles(closes: list[int], volumes: list[int] | None = None) -> list[CandleRecord]:
    sizes = volumes or [1] * len(closes)
    return [
        CandleRecord("KRW-BTC", "5m", number, close, close, close, close * SCALE, size * SCALE, 0, number)
        for number, (close, size) in enumerate(zip(closes, sizes, strict=True))
    ]


def last(indicator: str, closes: list[int], volumes: list[int] | None = None, **params: Any) -> Any:
    return compute(indicator, params, candles(closes, volumes))[-1]


@given(prices, st.integers(1, 10))
def test_a_simple_average_is_the_mean_of_the_last_ones(closes: list[int], period: int) -> None:
    found = sma(closes, period)
    for end, value in enumerate(found, start=1):
        assert value == (None if end < period else pytest.approx(fmean(closes[end - period : end])))


def test_an_exponential_average_starts_from_the_simple_one() -> None:
    assert ema([1, 2, 3, 10, 10], 3) == [None, None, 2.0, 6.0, 8.0]
    assert ema([1, 2], 3) == [None, None]


@given(prices, st.integers(1, 10))
def test_an_exponential_average_stays_among_its_values(closes: list[int], period: int) -> None:
    assert all(min(closes) - 1e-6 <= value <= max(closes) + 1e-6 for value in ema(closes, period) if value is not None)


def test_the_rsi_follows_wilder() -> None:
    # Gains 1, 0, 3 and losses 0, 2, 0 over three; then 4 more up.
    gain, loss = 4 / 3, 2 / 3
    first = 100 - 100 / (1 + gain / loss)
    second = 100 - 100 / (1 + ((gain * 2 + 4) / 3) / (loss * 2 / 3))
    assert rsi([10, 11, 9, 12, 16], 3) == [None, None, None, pytest.approx(first), pytest.approx(second)]


def test_the_rsi_knows_its_ends() -> None:
    assert rsi([1, 2, 3], 2)[-1] == 100
    assert rsi([3, 2, 1], 2)[-1] == 0
    assert rsi([5, 5, 5], 2)[-1] == 50
    assert rsi([5], 2) == [None]


def test_the_bands_are_deviations_away_from_the_middle() -> None:
    closes = [10, 12, 11, 15, 14]
    value = last("bollinger_bands", closes, period=5, multiplier=2.0)
    assert value["bb_middle"] == fmean(closes)
    assert value["bb_upper"] - value["bb_middle"] == pytest.approx(2 * pstdev(closes))
    assert value["bb_middle"] - value["bb_lower"] == pytest.approx(2 * pstdev(closes))


def test_the_macd_is_a_difference_and_its_signal_an_average_of_it() -> None:
    closes = [round(100 + 10 * math.sin(number / 4)) for number in range(60)]
    values = compute("macd", {"fast": 3, "slow": 6, "signal_period": 4}, candles(closes))
    fast, slow = ema(closes, 3), ema(closes, 6)
    lines = [a - b for a, b in zip(fast, slow, strict=True) if a is not None and b is not None]

    assert values[: 5 + 3] == [None] * 8
    assert values[-1] == {
        "macd": pytest.approx(lines[-1]),
        "macd_signal": pytest.approx(ema(lines, 4)[-1]),
        "histogram": pytest.approx(lines[-1] - (ema(lines, 4)[-1] or 0)),
    }


def test_the_volume_is_compared_with_its_average() -> None:
    assert last("volume", [1, 1, 1], [2, 2, 8], period=3) == {"volume": 8.0, "avg_volume": 4.0, "ratio": 2.0}


def test_averages_cross_in_pairs() -> None:
    closes = list(range(1, 25))
    value = last("ma_crossover", closes, type="SMA", short_period=5, long_period=20)
    assert value == {"ma_short": fmean(closes[-5:]), "ma_long": fmean(closes[-20:])}
    assert last("moving_average", closes, type="EMA", period=200) is None


def test_conditions_hold_do_not_hold_or_are_undecided() -> None:
    assert holds("rsi", "overbought", {"threshold": 70}, {"rsi": 70.0}, 1) is True
    assert holds("rsi", "oversold", {"threshold": 30}, {"rsi": 30.1}, 1) is False
    assert holds("volume", "volume_spike", {"multiplier": 2.0}, {"ratio": 2.0}, 1) is True
    assert holds("moving_average", "price_cross_above", {}, {"value": 5.0}, 6.0) is True
    assert holds("moving_average", "price_cross_below", {}, {"value": 5.0}, 6.0) is False
    assert holds("moving_average", "price_cross_below", {}, {"value": 5.0}, 5.0) is None
    assert holds("ma_crossover", "golden_cross", {}, {"ma_short": 2.0, "ma_long": 1.0}, 0) is True
    assert holds("ma_crossover", "dead_cross", {}, {"ma_short": 2.0, "ma_long": 1.0}, 0) is False
    bands = {"bb_upper": 3.0, "bb_lower": 1.0}
    assert holds("bollinger_bands", "price_cross_above", {}, bands, 3.5) is True
    assert holds("bollinger_bands", "price_cross_below", {}, bands, 0.5) is True
    lines = {"macd": -1.0, "macd_signal": -2.0}
    found = [holds("macd", name, {}, lines, 0) for name in ("golden_cross", "dead_cross")]
    found += [holds("macd", name, {}, lines, 0) for name in ("zero_cross_above", "zero_cross_below")]
    assert found == [True, False, False, True]


@pytest.mark.parametrize(
    ("states", "fired"),
    [
        ([False, True], True),
        ([False, None, True], True),
        ([True, True], False),
        ([True, None, True], False),
        ([False, None], False),
        ([False, False], False),
        ([True], False),
        ([None, True], False),
        ([], False),
    ],
)
def test_only_the_change_from_false_to_true_fires(states: list[bool | None], fired: bool) -> None:
    assert has_fired(states) is fired
