"""One market's own truth: its book, its trades, its candles, and the sums that a ticker tells."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from upbit_ws.sandbox.candles import CandleBook
from upbit_ws.sandbox.catalogue import MarketSpec
from upbit_ws.sandbox.guests import SharedBook
from upbit_ws.sandbox.orderbook import Book, Level
from upbit_ws.sandbox.records import LATENESS, BookRecord, TickerRecord, TradeRecord
from upbit_ws.sandbox.tick_size import round_to_tick, supported_levels

__all__ = ["Listing"]

_DAY = 86_400_000
_MINUTE = 60_000
_MINUTES_OF_A_DAY = 24 * 60
_VISIBLE = 30
_NOWHERE: Level = (0, 0)


def _date(timestamp: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(timestamp // 1_000))


class _RollingDay:
    """
    Volume and value of the last 24 hours, to the minute: a sum that forgets by the minute needs no list of trades.
    """

    __slots__ = ("_buckets", "value", "volume")

    def __init__(self) -> None:
        self._buckets: deque[list[int]] = deque()  # minute, volume, value
        self.volume = 0
        self.value = 0

    def add(self, timestamp: int, size: int, value: int) -> None:
        minute = timestamp // _MINUTE
        if not self._buckets or self._buckets[-1][0] != minute:
            self._buckets.append([minute, 0, 0])
        self._buckets[-1][1] += size
        self._buckets[-1][2] += value
        self.volume += size
        self.value += value

    def forget(self, now: int) -> None:
        oldest = now // _MINUTE - _MINUTES_OF_A_DAY
        while self._buckets and self._buckets[0][0] < oldest:
            _, size, value = self._buckets.popleft()
            self.volume -= size
            self.value -= value


class Listing:
    """
    One listed market. Time is given in ms and must not go backwards.

    Args:
        spec: what is listed.
        keep_trades, keep_candles: how many of each stay available (candles: per unit).
    """

    def __init__(self, spec: MarketSpec, *, now: int, keep_trades: int, keep_candles: int) -> None:
        self.spec = spec
        self.code = spec.code
        self.book = Book()
        self.shared = SharedBook(self.book)
        self.candles = CandleBook(spec.code, keep_candles)
        self.trades: deque[TradeRecord] = deque(maxlen=keep_trades)
        self.levels = supported_levels(spec.quote, spec.price)
        self.warning = "NONE"
        self.state = "ACTIVE"
        self.price = spec.price
        self.published = BookRecord(spec.code, now, (), ())
        self._prev_close = spec.price
        self._day = now // _DAY
        self._opening = self._high = self._low = spec.price
        self._traded_today = False
        self._volume = self._value = self._ask_volume = self._bid_volume = 0
        self._rolling = _RollingDay()
        self._side, self._size, self._traded_at = "BID", 0, now
        self._year_high = (round_to_tick(spec.quote, spec.price * 1.4), _date(now - 200 * _DAY))
        self._year_low = (round_to_tick(spec.quote, spec.price * 0.6), _date(now - 90 * _DAY))
        self._id_time, self._id_count = -1, 0

    def open(self, now: int) -> None:
        """Begin to serve: the past is settled, the book stands."""
        self.roll(now)
        self.candles.take_changed()
        if self.trades:
            # The past was written without a book; what is told of its last trade names one.
            self.trades[-1] = self.trades[-1]._replace(
                best_ask=self.book.asks.best or _NOWHERE, best_bid=self.book.bids.best or _NOWHERE
            )
        self.publish(now)

    def take_ids(self, timestamp: int, count: int) -> list[int]:
        """
        `count` ids for trades of one millisecond: the time times 10,000 plus a counter.

        Source: the form observed in samples of 2025 and 2026.
        """
        if timestamp != self._id_time:
            self._id_time, self._id_count = timestamp, 0
        first = self._id_count
        self._id_count += count
        return [timestamp * 10_000 + first + number for number in range(count)]

    def roll(self, now: int) -> bool:
        """
        Begin the UTC day of `now` if it is a new one: the last price becomes the previous close. Whether it was new.
        """
        self._rolling.forget(now)
        if now // _DAY == self._day:
            return False
        self._day = now // _DAY
        self._prev_close = self._opening = self._high = self._low = self.price
        self._volume = self._value = self._ask_volume = self._bid_volume = 0
        self._traded_today = False
        return True

    def record(self, now: int, side: str, fills: Iterable[tuple[int, int, int]]) -> list[TradeRecord]:
        """Enter trades made at `now`, given as price, size and id in the order of execution."""
        self.roll(now)
        ask, bid = self.shared.best("ASK") or _NOWHERE, self.shared.best("BID") or _NOWHERE
        made = [
            TradeRecord(self.code, now, price, size, side, self._prev_close, sequential_id, ask, bid)
            for price, size, sequential_id in fills
        ]
        for trade in made:
            self._count(trade)
        self.trades.extend(made)
        return made

    def _count(self, trade: TradeRecord) -> None:
        price, size, value = trade.price, trade.size, trade.price * trade.size
        if not self._traded_today:
            self._opening = self._high = self._low = price
            self._traded_today = True
        self._high, self._low = max(self._high, price), min(self._low, price)
        self._volume += size
        self._value += value
        if trade.side == "ASK":
            self._ask_volume += size
        else:
            self._bid_volume += size
        self._rolling.add(trade.timestamp, size, value)
        self.candles.add(trade.timestamp, price, size)
        if price > self._year_high[0]:
            self._year_high = (price, _date(trade.timestamp))
        if price < self._year_low[0]:
            self._year_low = (price, _date(trade.timestamp))
        self.price, self._side, self._size, self._traded_at = price, trade.side, size, trade.timestamp

    def ticker(self, now: int) -> TickerRecord:
        """The summary as of `now`."""
        self.roll(now)
        return TickerRecord(
            self.code,
            self._opening,
            self._high,
            self._low,
            self.price,
            self._prev_close,
            self._value,
            self._side,
            self._size,
            self._volume,
            self._traded_at,
            self._ask_volume,
            self._bid_volume,
            *self._year_high,
            *self._year_low,
            self.state,
            self.warning,
            now + LATENESS,
            self._rolling.value,
            self._rolling.volume,
        )

    def publish(self, now: int) -> BookRecord | None:
        """Show the book as it stands now; None where nothing visible changed since the last time."""
        asks, bids = self.shared.levels("ASK"), self.shared.levels("BID")
        before = self.published
        if asks[:_VISIBLE] == before.asks[:_VISIBLE] and bids[:_VISIBLE] == before.bids[:_VISIBLE]:
            return None
        self.published = BookRecord(self.code, now, asks, bids)
        return self.published

    @property
    def last_trade(self) -> TradeRecord | None:
        """The trade executed last."""
        return self.trades[-1] if self.trades else None
