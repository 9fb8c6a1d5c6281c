"""Candles, built trade by trade: bounded series of one market, one per unit."""

from __future__ import annotations

import calendar
import time
from collections import deque
from collections.abc import Callable, Iterator

from upbit_ws.data_types import DataType
from upbit_ws.sandbox.records import CandleRecord

__all__ = ["PERIOD_UNITS", "STREAM_UNITS", "CandleBook", "period_start"]

_SECOND = 1_000
_DAY = 86_400_000

_FIXED: dict[str, int] = {
    **{row.unit: row.unit_seconds * _SECOND for row in DataType if row.unit is not None and row.unit_seconds},
    "day": _DAY,
}
STREAM_UNITS: tuple[str, ...] = tuple(unit for unit in _FIXED if unit != "day")
"""The units that the WebSocket serves, as they stand in `candle.{unit}`."""
PERIOD_UNITS: tuple[str, ...] = ("day", "week", "month", "year")
"""The units that only REST serves."""

# 1970-01-01 was a Thursday and Upbit's weeks begin on Monday.
_MONDAY = 3 * _DAY


def _week_start(timestamp: int) -> int:
    return (timestamp + _MONDAY) // (7 * _DAY) * (7 * _DAY) - _MONDAY


def _month_start(timestamp: int) -> int:
    day = time.gmtime(timestamp // 1_000)
    return calendar.timegm((day.tm_year, day.tm_mon, 1, 0, 0, 0)) * 1_000


def _year_start(timestamp: int) -> int:
    return calendar.timegm((time.gmtime(timestamp // 1_000).tm_year, 1, 1, 0, 0, 0)) * 1_000


_CALENDAR: dict[str, Callable[[int], int]] = {"week": _week_start, "month": _month_start, "year": _year_start}


def period_start(unit: str, timestamp: int) -> int:
    """The start, in ms, of the candle of `unit` that holds `timestamp`. Every unit starts on UTC borders."""
    width = _FIXED.get(unit)
    if width is not None:
        return timestamp - timestamp % width
    return _CALENDAR[unit](timestamp)


class _Series:
    """The candles of one unit, oldest first; the last one is still open."""

    __slots__ = ("_code", "_current", "_end", "_finished", "_start", "_unit", "_width")

    def __init__(self, code: str, unit: str, keep: int) -> None:
        self._code = code
        self._unit = unit
        self._width = _FIXED.get(unit)
        self._finished: deque[CandleRecord] = deque(maxlen=keep)
        self._current: list[int] = []  # opening, high, low, close, volume, value, timestamp
        self._start = -1
        self._end = -1  # where the open candle ends, as far as that is known without a calendar

    def add(self, timestamp: int, price: int, size: int, value: int) -> None:
        current = self._current
        if timestamp >= self._end:
            start = period_start(self._unit, timestamp)
            if start != self._start:
                self._open(start, timestamp, price, size, value)
                return
            self._end = period_start("day", timestamp) + _DAY  # a week, month or year went on for another day
        if price > current[1]:
            current[1] = price
        elif price < current[2]:
            current[2] = price
        current[3] = price
        current[4] += size
        current[5] += value
        current[6] = timestamp

    def _open(self, start: int, timestamp: int, price: int, size: int, value: int) -> None:
        if self._current:
            self._finished.append(self.last())
        self._start = start
        self._end = start + (self._width or _DAY)
        self._current = [price, price, price, price, size, value, timestamp]

    def last(self) -> CandleRecord:
        return CandleRecord(self._code, self._unit, self._start, *self._current)

    def newest_first(self) -> Iterator[CandleRecord]:
        if self._current:
            yield self.last()
        yield from reversed(self._finished)


class CandleBook:
    """
    All candles of one market. A period without a trade has no candle.

    `take_changed` hands out what the WebSocket's one-second tick has to tell: for each candle that a trade touched
    since
    the last call its newest state, so the last frame of a finished candle comes before the first of its successor.
    """

    def __init__(self, code: str, keep: int) -> None:
        self._series = {unit: _Series(code, unit, keep) for unit in (*_FIXED, *_CALENDAR)}
        self.kept = keep
        self._changed_since: int | None = None  # time of the first trade since the last take

    def add(self, timestamp: int, price: int, size: int) -> None:
        """Count a trade. `timestamp` in ms must not go backwards."""
        value = price * size
        for series in self._series.values():
            series.add(timestamp, price, size, value)
        if self._changed_since is None:
            self._changed_since = timestamp

    def last(self, unit: str) -> CandleRecord | None:
        """The newest candle that exists, however old."""
        return next(self._series[unit].newest_first(), None)

    def before(self, unit: str, to: int | None, count: int) -> list[CandleRecord]:
        """Up to `count` candles that start before `to` (ms, exclusive; None for no border), newest first."""
        found: list[CandleRecord] = []
        for candle in self._series[unit].newest_first():
            if len(found) == count:
                break
            if to is None or candle.start < to:
                found.append(candle)
        return found

    def take_changed(self) -> list[CandleRecord]:
        """The candles of the streamed units that changed since the last call, per unit oldest first."""
        since = self._changed_since
        if since is None:
            return []
        self._changed_since = None
        changed: list[CandleRecord] = []
        for unit in STREAM_UNITS:
            first = period_start(unit, since)
            touched: list[CandleRecord] = []
            for candle in self._series[unit].newest_first():
                if candle.start < first:
                    break
                touched.append(candle)
            changed.extend(reversed(touched))
        return changed
