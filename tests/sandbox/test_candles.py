"""Candles, against a plain recomputation from the trades."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.sandbox.candles import PERIOD_UNITS, STREAM_UNITS, CandleBook, period_start

START = 1_790_134_742_000

trades = st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 10**6), st.integers(1, 10**6)), max_size=60)


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1_000)


def placed(gaps: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Trades in the order of time: gaps in ms added up."""
    now, found = START, []
    for gap, price, size in gaps:
        now += gap
        found.append((now, price, size))
    return found


@given(trades, st.sampled_from([*STREAM_UNITS, *PERIOD_UNITS]))
def test_a_candle_is_its_trades(gaps: list[tuple[int, int, int]], unit: str) -> None:
    book, periods = CandleBook("KRW-BTC", 1_000), defaultdict(list)
    for timestamp, price, size in placed(gaps):
        book.add(timestamp, price, size)
        periods[period_start(unit, timestamp)].append((timestamp, price, size))

    candles = book.before(unit, None, 1_000)

    assert [candle.start for candle in candles] == sorted(periods, reverse=True)
    for candle in candles:
        inside = periods[candle.start]
        prices = [price for _, price, _ in inside]
        assert (candle.opening, candle.high, candle.low, candle.close) == (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        )
        assert candle.volume == sum(size for _, _, size in inside)
        assert candle.value == sum(price * size for _, price, size in inside)
        assert candle.timestamp == inside[-1][0]


@given(trades, st.integers(1, 8))
def test_the_changes_taken_in_steps_end_with_every_candle_as_it_is(
    gaps: list[tuple[int, int, int]], every: int
) -> None:
    book, told = CandleBook("KRW-BTC", 1_000), {}
    for number, (timestamp, price, size) in enumerate(placed(gaps)):
        book.add(timestamp, price, size)
        if number % every == 0:
            told.update({(candle.unit, candle.start): candle for candle in book.take_changed()})
    told.update({(candle.unit, candle.start): candle for candle in book.take_changed()})

    for unit in STREAM_UNITS:
        assert {c.start: c for c in book.before(unit, None, 1_000)} == {s: c for (u, s), c in told.items() if u == unit}


def test_a_finished_candle_is_told_before_its_successor() -> None:
    book = CandleBook("KRW-BTC", 10)
    book.add(utc("2026-01-05T03:04:59.900"), 1, 1)
    book.add(utc("2026-01-05T03:05:00.100"), 2, 1)

    assert [candle.close for candle in book.take_changed() if candle.unit == "1m"] == [1, 2]
    assert book.take_changed() == []


def test_a_period_without_a_trade_has_no_candle() -> None:
    book = CandleBook("KRW-BTC", 10)
    book.add(utc("2026-01-05T12:01:00"), 1, 1)
    book.add(utc("2026-01-05T12:04:05"), 1, 1)

    starts = [candle.start for candle in book.before("1m", None, 10)]

    assert starts == [utc("2026-01-05T12:04:00"), utc("2026-01-05T12:01:00")]


def test_to_is_exclusive() -> None:
    book = CandleBook("KRW-BTC", 10)
    for minute in (1, 2, 3):
        book.add(utc(f"2026-01-05T12:0{minute}:00"), minute, 1)

    assert [candle.close for candle in book.before("1m", utc("2026-01-05T12:03:00"), 10)] == [2, 1]
    assert [candle.close for candle in book.before("1m", None, 2)] == [3, 2]


def test_old_candles_are_forgotten() -> None:
    book = CandleBook("KRW-BTC", 3)
    for second in range(10):
        book.add(START + second * 1_000, 1, 1)

    assert len(book.before("1s", None, 100)) == 4


def test_there_is_no_last_candle_before_the_first_trade() -> None:
    assert CandleBook("KRW-BTC", 3).last("1m") is None


@pytest.mark.parametrize(
    ("unit", "start"),
    [
        ("3m", "2026-09-23T03:39:00"),
        ("240m", "2026-09-23T00:00:00"),
        ("day", "2026-09-23T00:00:00"),
        ("week", "2026-09-21T00:00:00"),
        ("month", "2026-09-01T00:00:00"),
        ("year", "2026-01-01T00:00:00"),
    ],
)
def test_periods_begin_on_utc_borders(unit: str, start: str) -> None:
    assert period_start(unit, utc("2026-09-23T03:39:02")) == utc(start)
