"""Records as REST writes them: other key names and another order than on the WebSocket, and every number plain."""

from __future__ import annotations

import json
from typing import Any

from upbit_ws.sandbox.encoding import book_window, change, change_rate, date_and_time, kst_text, utc_text
from upbit_ws.sandbox.records import BookRecord, CandleRecord, TickerRecord, TradeRecord
from upbit_ws.sandbox.spelling import PLAIN_SPELLING, plain

__all__ = ["Raw", "book_row", "candle_row", "ticker_row", "to_json", "trade_row"]

_KST_MS = 9 * 3_600_000
_value = PLAIN_SPELLING.value
_ratio = PLAIN_SPELLING.ratio


class Raw(str):
    """A number already spelled."""

    __slots__ = ()


def to_json(value: Any) -> str:
    """`value` as JSON without spaces; `Raw` texts as they are."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f'"{key}":{to_json(inner)}' for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(to_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _price(units: int) -> Raw:
    return Raw(plain(units))


def ticker_row(record: TickerRecord) -> dict[str, Any]:
    """A row of `/v1/ticker`."""
    difference = record.price - record.prev_close
    rate = change_rate(record.price, record.prev_close)
    day, clock = date_and_time(record.trade_timestamp)
    korean_day, korean_clock = date_and_time(record.trade_timestamp + _KST_MS)
    return {
        "market": record.code,
        "trade_date": day.replace("-", ""),
        "trade_time": clock.replace(":", ""),
        "trade_date_kst": korean_day.replace("-", ""),
        "trade_time_kst": korean_clock.replace(":", ""),
        "trade_timestamp": record.trade_timestamp,
        "opening_price": _price(record.opening),
        "high_price": _price(record.high),
        "low_price": _price(record.low),
        "trade_price": _price(record.price),
        "prev_closing_price": _price(record.prev_close),
        "change": change(record.price, record.prev_close),
        "change_price": _price(abs(difference)),
        "change_rate": Raw(_ratio(abs(rate))),
        "signed_change_price": _price(difference),
        "signed_change_rate": Raw(_ratio(rate)),
        "trade_volume": _price(record.size),
        "acc_trade_price": Raw(_value(record.value)),
        "acc_trade_price_24h": Raw(_value(record.value_24h)),
        "acc_trade_volume": _price(record.volume),
        "acc_trade_volume_24h": _price(record.volume_24h),
        "highest_52_week_price": _price(record.high_52w),
        "highest_52_week_date": record.high_52w_date,
        "lowest_52_week_price": _price(record.low_52w),
        "lowest_52_week_date": record.low_52w_date,
        "timestamp": record.timestamp,
    }


def trade_row(record: TradeRecord) -> dict[str, Any]:
    """A row of `/v1/trades/ticks`. Here the price change has a sign."""
    day, clock = date_and_time(record.timestamp)
    return {
        "market": record.code,
        "trade_date_utc": day,
        "trade_time_utc": clock,
        "timestamp": record.timestamp,
        "trade_price": _price(record.price),
        "trade_volume": _price(record.size),
        "prev_closing_price": _price(record.prev_close),
        "change_price": _price(record.price - record.prev_close),
        "ask_bid": record.side,
        "sequential_id": record.sequential_id,
    }


def book_row(record: BookRecord, units: int, group: int) -> dict[str, Any]:
    """A row of `/v1/orderbook`. Here the bid comes first."""
    asks, bids = book_window(record, units, group)
    rows = [
        {
            "bid_price": _price(bid),
            "bid_size": _price(bid_size),
            "ask_price": _price(ask),
            "ask_size": _price(ask_size),
        }
        for (ask, ask_size), (bid, bid_size) in zip(asks, bids, strict=True)
    ]
    return {
        "market": record.code,
        "timestamp": record.timestamp,
        "total_ask_size": _price(sum(size for _, size in asks)),
        "total_bid_size": _price(sum(size for _, size in bids)),
        "orderbook_units": rows,
        "level": _price(group),
    }


def candle_row(record: CandleRecord) -> dict[str, Any]:
    """A row of `/v1/candles/...`, without what only some units have."""
    return {
        "market": record.code,
        "candle_date_time_utc": utc_text(record.start),
        "candle_date_time_kst": kst_text(record.start),
        "opening_price": _price(record.opening),
        "high_price": _price(record.high),
        "low_price": _price(record.low),
        "trade_price": _price(record.close),
        "timestamp": record.timestamp,
        "candle_acc_trade_price": Raw(_value(record.value)),
        "candle_acc_trade_volume": _price(record.volume),
    }
