"""
What happens in the market, as immutable values: the one vocabulary between the simulation and everything that tells
of it.

Prices and sizes are whole numbers of 1e-8, values (price times size) of 1e-16, rates of 1e-10, times are milliseconds
since the epoch.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["LATENESS", "BookRecord", "CandleRecord", "MarketEvent", "TickerRecord", "TradeRecord"]

#: Milliseconds from what happens to the message that tells of it: the two times of a message are never the same, and
#: the messages of a stream are in the order of either.
LATENESS: Final = 3


class TradeRecord(NamedTuple):
    """One trade. `side` is the taker's: ASK sells, BID buys. The best prices are those right after it."""

    code: str
    timestamp: int
    price: int
    size: int
    side: str
    prev_close: int
    sequential_id: int
    best_ask: tuple[int, int]
    best_bid: tuple[int, int]


class TickerRecord(NamedTuple):
    """The summary of one market after its last trade (or after the day rolled over)."""

    code: str
    opening: int
    high: int
    low: int
    price: int
    prev_close: int
    value: int
    side: str
    size: int
    volume: int
    trade_timestamp: int
    ask_volume: int
    bid_volume: int
    high_52w: int
    high_52w_date: str
    low_52w: int
    low_52w_date: str
    state: str
    warning: str
    timestamp: int
    value_24h: int
    volume_24h: int


class BookRecord(NamedTuple):
    """The visible part of a book, best first: pairs of price and size. `timestamp` is the last change."""

    code: str
    timestamp: int
    asks: tuple[tuple[int, int], ...]
    bids: tuple[tuple[int, int], ...]


class CandleRecord(NamedTuple):
    """A candle as of `timestamp`, the last trade in it. `start` is in ms; `unit` is its name ("1s", "240m", "day")."""

    code: str
    unit: str
    start: int
    opening: int
    high: int
    low: int
    close: int
    volume: int
    value: int
    timestamp: int


MarketEvent = TradeRecord | TickerRecord | BookRecord | CandleRecord
