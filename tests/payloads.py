"""Messages as the exchange writes them: the published samples with some of their fields changed, without spaces."""

from __future__ import annotations

from typing import Any

import orjson

from tests.samples import messages
from upbit_ws.simple_format_converter import to_simple
from upbit_ws.types import WireFormat

_SAMPLES = messages()
#: Server time of the first message of a test, ms.
SOME_TIME = 1_780_000_000_000


def _written(sample: str, changes: dict[str, Any], wire_format: WireFormat) -> bytes:
    message = {**_SAMPLES[sample][0], **changes}
    if wire_format.is_simple:
        message = to_simple(message)
    return orjson.dumps([message] if wire_format.is_list else message)


def ticker(
    code: str = "KRW-BTC",
    at: int = 0,
    *,
    price: float = 100.0,
    stream: str = "REALTIME",
    wire_format: WireFormat = WireFormat.DEFAULT,
) -> bytes:
    """A ticker, `at` ms after `SOME_TIME`."""
    changes = {"code": code, "timestamp": SOME_TIME + at, "trade_price": price, "stream_type": stream}
    return _written("ticker.DEFAULT", changes, wire_format)


def trade(
    code: str = "KRW-BTC",
    at: int = 0,
    *,
    number: int | None = None,
    price: float = 100.0,
    stream: str = "REALTIME",
    wire_format: WireFormat = WireFormat.DEFAULT,
) -> bytes:
    """A trade, `at` ms after `SOME_TIME`; its id is `number`, by default made of the time."""
    identity = (SOME_TIME + at) * 10_000 if number is None else number
    times = {"timestamp": SOME_TIME + at, "trade_timestamp": SOME_TIME + at}
    changes = {"code": code, **times, "trade_price": price, "sequential_id": identity, "stream_type": stream}
    return _written("trade.DEFAULT", changes, wire_format)


def orderbook(
    code: str = "KRW-BTC",
    at: int = 0,
    *,
    level: float = 0,
    stream: str = "REALTIME",
    wire_format: WireFormat = WireFormat.DEFAULT,
) -> bytes:
    """An order book, `at` ms after `SOME_TIME`."""
    changes = {"code": code, "timestamp": SOME_TIME + at, "level": level, "stream_type": stream}
    return _written("orderbook.DEFAULT.captured", changes, wire_format)


def candle(
    code: str = "KRW-BTC",
    start: str = "2026-05-29T00:00:00",
    at: int = 0,
    *,
    unit: str = "1m",
    price: float = 100.0,
    stream: str = "REALTIME",
    wire_format: WireFormat = WireFormat.DEFAULT,
) -> bytes:
    """A state of the candle that begins at `start` (UTC), sent `at` ms after `SOME_TIME`."""
    changes = {
        "type": f"candle.{unit}",
        "code": code,
        "candle_date_time_utc": start,
        "timestamp": SOME_TIME + at,
        "trade_price": price,
        "stream_type": stream,
    }
    return _written("candle.1m.DEFAULT", changes, wire_format)
