"""
The info side of the exchange: indicators and signals, told when a candle closes. Under the lock of the exchange.

Only what really closed counts: a period without a trade has no candle, and nothing is told of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from upbit_ws.sandbox.candles import period_start
from upbit_ws.sandbox.encoding import utc_text
from upbit_ws.sandbox.feeds import Feeds
from upbit_ws.sandbox.indicator_math import Value, compute, has_fired, holds
from upbit_ws.sandbox.indicator_rules import TIMEFRAMES, Wish
from upbit_ws.sandbox.market import Market
from upbit_ws.sandbox.records import CandleRecord
from upbit_ws.sandbox.tick_size import from_units

__all__ = ["Indicators"]

_DELAY = 1_096
"""Milliseconds from the end of a candle to what is told of it. The published samples: 1,095 and 1,096."""
_DAY = 86_400_000
_WIDTHS = {name: _DAY if unit == "day" else int(unit[:-1]) * 60_000 for name, unit in TIMEFRAMES.items()}


class Indicators:
    """
    Args:
        market: whose candles they are computed from.
        feeds: who wants which.
    """

    def __init__(self, market: Market, feeds: Feeds) -> None:
        self._market = market
        self._feeds = feeds
        self._ends = {name: self._end_after(name, int(market.now)) for name in TIMEFRAMES}

    @staticmethod
    def _end_after(timeframe: str, now: int) -> int:
        """The end of the candle that is the next to be told of."""
        unit = TIMEFRAMES[timeframe]
        return period_start(unit, now - _DELAY) + _WIDTHS[timeframe]

    @property
    def next_due(self) -> float:
        """When something may have to be told next, ms since the epoch."""
        return min(self._ends.values()) + _DELAY

    def tick(self) -> None:
        """Tell of every candle that has closed since the last call."""
        now = int(self._market.now)
        while (timeframe := min(self._ends, key=self._ends.__getitem__)) and self._ends[timeframe] + _DELAY <= now:
            wishes = [wish for wish in self._feeds.wishes if wish.timeframe == timeframe]
            if not wishes:
                self._ends[timeframe] = self._end_after(timeframe, now)
                continue
            end = self._ends[timeframe]
            for wish in wishes:
                self._tell(wish, end)
            self._ends[timeframe] = end + _WIDTHS[timeframe]

    def _tell(self, wish: Wish, end: int) -> None:
        """Tell what a wish is due, if the candle that ends at `end` exists and there are enough before it."""
        listing = self._market.listings.get(wish.code)
        if listing is None or listing.spec.quote != "KRW":
            return
        unit = TIMEFRAMES[wish.timeframe]
        candles = listing.candles.before(unit, end, listing.candles.kept)[::-1]
        if not candles or candles[-1].start != end - _WIDTHS[wish.timeframe]:
            return
        values = compute(wish.indicator, dict(wish.params), candles)
        value = values[-1]
        if value is not None and (wish.trigger is None or _has_fired(wish, candles, values)):
            self._feeds.tell_wish(wish, _fields(wish, candles[-1], value, end + _DELAY))


def _has_fired(wish: Wish, candles: Sequence[CandleRecord], values: Sequence[Value | None]) -> bool:
    assert wish.trigger is not None
    states = [
        holds(wish.indicator, wish.trigger, dict(wish.event_params), value, from_units(candle.close))
        for candle, value in zip(candles, values, strict=True)
        if value is not None
    ]
    return has_fired(states)


def _fields(wish: Wish, candle: CandleRecord, value: Value, timestamp: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "type": wish.data_type.wire_name,
        "code": wish.code,
        "timeframe": wish.timeframe,
        "indicator": wish.indicator,
        "params": dict(wish.params),
        "candle_date_time_utc": utc_text(candle.start),
        "value": {name: _eight_decimals(number) for name, number in value.items()},
        "timestamp": timestamp,
        "stream_type": "REALTIME",
    }
    if wish.trigger is not None:
        fields["trigger"], fields["event_params"] = wish.trigger, dict(wish.event_params)
    return fields


def _eight_decimals(number: float) -> Decimal:
    rounded = Decimal(f"{number:.8f}")
    return rounded.normalize() if rounded else Decimal(0)
