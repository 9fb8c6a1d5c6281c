"""
From records to the bytes of a frame: key order and SIMPLE names come from the field tables, spelling from the format.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache

from upbit_ws.fields import (
    CANDLE_FIELDS,
    ORDERBOOK_FIELDS,
    ORDERBOOK_UNIT_FIELDS,
    TICKER_FIELDS,
    TRADE_FIELDS,
    FieldSpec,
    Kind,
)
from upbit_ws.sandbox.orderbook import Level, grouped, pad
from upbit_ws.sandbox.records import LATENESS, BookRecord, CandleRecord, TickerRecord, TradeRecord
from upbit_ws.sandbox.spelling import DEFAULT_SPELLING, PLAIN_SPELLING, SIMPLE_SPELLING, plain
from upbit_ws.types import WireFormat

__all__ = ["Encoder", "book_window", "change", "change_rate", "kst_text", "utc_text"]

_KST = 9 * 3_600
_RATE = 10**10


@lru_cache(maxsize=4_096)
def _date_and_time(second: int) -> tuple[str, str]:
    moment = time.gmtime(second)
    return time.strftime("%Y-%m-%d", moment), time.strftime("%H:%M:%S", moment)


def date_and_time(timestamp: int) -> tuple[str, str]:
    """UTC date ("2026-08-26") and time ("07:15:54") of a time in ms."""
    return _date_and_time(timestamp // 1_000)


def utc_text(timestamp: int) -> str:
    """A time in ms as UTC, "2026-08-26T08:08:00"."""
    return "T".join(_date_and_time(timestamp // 1_000))


def kst_text(timestamp: int) -> str:
    """A time in ms as Korean time, "2026-08-26T17:08:00"."""
    return "T".join(_date_and_time(timestamp // 1_000 + _KST))


def change(price: int, prev_close: int) -> str:
    """RISE, EVEN or FALL."""
    if price == prev_close:
        return "EVEN"
    return "RISE" if price > prev_close else "FALL"


def change_rate(price: int, prev_close: int) -> int:
    """The change against the previous close in 1e-10, rounded half away from zero, with its sign."""
    difference = price - prev_close
    rate = (2 * abs(difference) * _RATE + prev_close) // (2 * prev_close)
    return rate if difference >= 0 else -rate


def book_window(record: BookRecord, units: int, group: int = 0) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """What a reader of `units` levels grouped by `group` sees: asks and bids, equally long, empty slots as zeros."""
    asks = grouped(record.asks, group, asks=True)[:units]
    bids = grouped(record.bids, group, asks=False)[:units]
    return pad(asks, units), pad(bids, units)


def _template(table: Iterable[FieldSpec], *, simple: bool, without: Iterable[str] = ()) -> str:
    """A JSON object with a placeholder per field, `%(trade_price)s`, quoted where the field holds text."""
    left_out = set(without)
    parts = []
    for field in table:
        if field.name not in left_out:
            quote = '"' if field.kind is Kind.TEXT else ""
            parts.append(f'"{field.key(simple)}":{quote}%({field.name})s{quote}')
    return "{" + ",".join(parts) + "}"


class Encoder:
    """
    Writes records in one format.

    Args:
        wire_format: decides keys, number spelling, and whether the object stands in an array.
        plain: write every number without exponent and without superfluous zeros.
        regional: leave out what the regional hosts do not send (`level`, the Korean time of candles).
        deprecated_fields: send `is_trading_suspended` and `market_warning` of the ticker.
    """

    def __init__(
        self, wire_format: WireFormat, *, plain: bool = False, regional: bool = False, deprecated_fields: bool = True
    ) -> None:
        simple = wire_format.is_simple
        spelling = PLAIN_SPELLING if plain else SIMPLE_SPELLING if simple else DEFAULT_SPELLING
        self._price, self._size = spelling.price, spelling.size
        self._value, self._ratio = spelling.value, spelling.ratio
        deprecated = [field.name for field in TICKER_FIELDS if field.deprecated and not deprecated_fields]
        self._ticker = _template(TICKER_FIELDS, simple=simple, without=deprecated)
        self._trade = _template(TRADE_FIELDS, simple=simple)
        self._book = _template(ORDERBOOK_FIELDS, simple=simple, without=("level",) if regional else ())
        ask, bid, ask_size, bid_size = (field.key(simple) for field in ORDERBOOK_UNIT_FIELDS)
        self._unit = f'{{"{ask}":%s,"{bid}":%s,"{ask_size}":%s,"{bid_size}":%s}}'
        self._candle = _template(CANDLE_FIELDS, simple=simple, without=("candle_date_time_kst",) if regional else ())

    def ticker(self, record: TickerRecord, stream_type: str) -> bytes:
        """A `ticker` object."""
        price, difference = self._price, record.price - record.prev_close
        rate = change_rate(record.price, record.prev_close)
        day, clock = date_and_time(record.trade_timestamp)
        text = self._ticker % {
            "type": "ticker",
            "code": record.code,
            "opening_price": price(record.opening),
            "high_price": price(record.high),
            "low_price": price(record.low),
            "trade_price": price(record.price),
            "prev_closing_price": price(record.prev_close),
            "acc_trade_price": self._value(record.value),
            "change": change(record.price, record.prev_close),
            "change_price": price(abs(difference)),
            "signed_change_price": price(difference),
            "change_rate": self._ratio(abs(rate)),
            "signed_change_rate": self._ratio(rate),
            "ask_bid": record.side,
            "trade_volume": self._size(record.size),
            "acc_trade_volume": self._size(record.volume),
            "trade_date": day.replace("-", ""),
            "trade_time": clock.replace(":", ""),
            "trade_timestamp": record.trade_timestamp,
            "acc_ask_volume": self._size(record.ask_volume),
            "acc_bid_volume": self._size(record.bid_volume),
            "highest_52_week_price": price(record.high_52w),
            "highest_52_week_date": record.high_52w_date,
            "lowest_52_week_price": price(record.low_52w),
            "lowest_52_week_date": record.low_52w_date,
            "market_state": record.state,
            "is_trading_suspended": "false",
            "delisting_date": "null",
            "market_warning": record.warning,
            "timestamp": record.timestamp,
            "acc_trade_price_24h": self._value(record.value_24h),
            "acc_trade_volume_24h": self._size(record.volume_24h),
            "stream_type": stream_type,
        }
        return text.encode()

    def trade(self, record: TradeRecord, stream_type: str) -> bytes:
        """A `trade` object."""
        price, size = self._price, self._size
        day, clock = date_and_time(record.timestamp)
        text = self._trade % {
            "type": "trade",
            "code": record.code,
            "timestamp": record.timestamp + LATENESS,
            "trade_date": day,
            "trade_time": clock,
            "trade_timestamp": record.timestamp,
            "trade_price": price(record.price),
            "trade_volume": size(record.size),
            "ask_bid": record.side,
            "prev_closing_price": price(record.prev_close),
            "change": change(record.price, record.prev_close),
            "change_price": price(abs(record.price - record.prev_close)),
            "sequential_id": record.sequential_id,
            "best_ask_price": price(record.best_ask[0]),
            "best_ask_size": size(record.best_ask[1]),
            "best_bid_price": price(record.best_bid[0]),
            "best_bid_size": size(record.best_bid[1]),
            "stream_type": stream_type,
        }
        return text.encode()

    def book(self, record: BookRecord, stream_type: str, *, units: int = 30, group: int = 0) -> bytes:
        """An `orderbook` object of `units` levels, grouped by `group` (in 1e-8, 0 for none)."""
        price, size, unit = self._price, self._size, self._unit
        asks, bids = book_window(record, units, group)
        rows = [
            unit % (price(ask), price(bid), size(ask_size), size(bid_size))
            for (ask, ask_size), (bid, bid_size) in zip(asks, bids, strict=True)
        ]
        text = self._book % {
            "type": "orderbook",
            "code": record.code,
            "timestamp": record.timestamp,
            "total_ask_size": size(sum(level[1] for level in asks)),
            "total_bid_size": size(sum(level[1] for level in bids)),
            "orderbook_units": f"[{','.join(rows)}]",
            "stream_type": stream_type,
            "level": plain(group),
        }
        return text.encode()

    def candle(self, record: CandleRecord, stream_type: str) -> bytes:
        """A `candle.{unit}` object."""
        price = self._price
        text = self._candle % {
            "type": f"candle.{record.unit}",
            "code": record.code,
            "candle_date_time_utc": utc_text(record.start),
            "candle_date_time_kst": kst_text(record.start),
            "opening_price": price(record.opening),
            "high_price": price(record.high),
            "low_price": price(record.low),
            "trade_price": price(record.close),
            "candle_acc_trade_volume": self._size(record.volume),
            "candle_acc_trade_price": self._value(record.value),
            "timestamp": record.timestamp,
            "stream_type": stream_type,
        }
        return text.encode()
