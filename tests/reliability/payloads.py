"""Messages as the exchange writes them, from the published samples, with the few values that a test cares about."""

from __future__ import annotations

import json
from typing import Any

from tests import samples

__all__ = ["BTC", "book", "candle", "error_frame", "ticker", "trade"]

BTC = "KRW-BTC"
#: Milliseconds since the epoch: any number that is counted from it has thirteen digits, as on the wire.
BEGIN = 1_795_305_600_000


def _payload(name: str, changes: dict[str, Any]) -> bytes:
    fields = {**samples.samples()[name]["payload"], **changes}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def ticker(number: int = 1, code: str = BTC, **changes: Any) -> bytes:
    """A ticker whose price is `number` and whose timestamp is as many milliseconds after `BEGIN`."""
    facts = {"code": code, "trade_price": float(number), "timestamp": BEGIN + number}
    return _payload("ticker.DEFAULT", {**facts, "trade_timestamp": BEGIN + number, **changes})


def trade(number: int = 1, code: str = BTC, **changes: Any) -> bytes:
    """A trade with the id `number`."""
    facts = {"code": code, "trade_price": float(number), "timestamp": BEGIN + number, "sequential_id": number}
    return _payload("trade.DEFAULT", {**facts, "trade_timestamp": BEGIN + number, **changes})


def book(number: int = 1, code: str = BTC, units: int | None = None, **changes: Any) -> bytes:
    """An order book; `units` of them where told."""
    facts: dict[str, Any] = {"code": code, "timestamp": BEGIN + number, "level": 0}
    if units is not None:
        unit = {"ask_price": number + 1.0, "bid_price": float(number), "ask_size": 1.0, "bid_size": 1.0}
        facts["orderbook_units"] = [unit] * units
    return _payload("orderbook.DEFAULT", {**facts, **changes})


def candle(number: int = 1, code: str = BTC, **changes: Any) -> bytes:
    """A one-minute candle."""
    return _payload("candle.1m.DEFAULT", {"code": code, "timestamp": BEGIN + number, **changes})


def error_frame(name: str, message: str = "") -> bytes:
    """What the exchange says before it closes."""
    return json.dumps({"error": {"name": name, "message": message}}, ensure_ascii=False).encode()
