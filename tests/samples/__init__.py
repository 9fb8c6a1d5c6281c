"""Upbit's field tables and sample payloads as data; each sample tells whether it was published, captured or derived."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent

#: Families whose messages are events.
FAMILIES = (
    *("ticker", "trade", "orderbook", "candle", "myOrder", "myAsset"),
    *("announcement", "indicator", "indicator_signal"),
)

#: A page of the guide cuts the first after a few fields, and the second has the key `mk`, which no table knows.
INCOMPLETE = ("ticker.SIMPLE_LIST.published_head", "trade.SIMPLE.old_guide_example")


def field_rows() -> dict[str, list[dict[str, Any]]]:
    """Rows of the published tables, by family."""
    rows: dict[str, list[dict[str, Any]]] = json.loads((_FOLDER / "upbit-fields.json").read_text("utf-8"))
    del rows["_meta"]
    return rows


def samples() -> dict[str, Any]:
    """All samples as stored."""
    stored: dict[str, Any] = json.loads((_FOLDER / "upbit-samples.json").read_text("utf-8"))
    return stored


def messages() -> dict[str, list[dict[str, Any]]]:
    """Messages of every sample; private numbers as Decimal, as the SDK parses them."""
    text = (_FOLDER / "upbit-samples.json").read_text("utf-8")
    plain, exact = json.loads(text), json.loads(text, parse_float=Decimal)
    found = {}
    for name, sample in plain.items():
        if "payload" in sample:
            payload = (exact[name] if name.startswith("my") else sample)["payload"]
            found[name] = payload if isinstance(payload, list) else [payload]
    return found


def event_messages() -> dict[str, list[dict[str, Any]]]:
    """Messages of the samples that are complete events."""
    return {
        name: found
        for name, found in messages().items()
        if name.partition(".")[0] in FAMILIES and name not in INCOMPLETE
    }


def raw(name: str) -> bytes:
    """A sample as bytes: the captured text where there is one, else the payload written without spaces."""
    sample = samples()[name]
    text: str = sample.get("raw") or json.dumps(sample["payload"], ensure_ascii=False, separators=(",", ":"))
    return text.encode()
