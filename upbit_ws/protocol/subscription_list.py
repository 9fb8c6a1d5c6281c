"""`LIST_SUBSCRIPTIONS`: asking the exchange what it thinks we subscribed to, and reading its answer.

The request counts as a message, and its format *changes the format of the running streams* (Upbit: list-subscriptions
page), so it is always sent with the format in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from upbit_ws.exceptions import InvalidArgumentError, PayloadError
from upbit_ws.records import frozen
from upbit_ws.types import DataType, StreamKey, WireFormat, indicator_variant

__all__ = ["SubscriptionList", "list_subscriptions_request", "parse_subscription_list"]

_PARAMS = {
    "p": "period",
    "t": "type",
    "shp": "short_period",
    "lop": "long_period",
    "m": "multiplier",
    "f": "fast",
    "s": "slow",
    "sgp": "signal_period",
    "th": "threshold",
    "mul": "multiplier",
}


@frozen
class SubscriptionList:
    """What the exchange says is subscribed on a connection. It tells neither book depth nor the `is_only_*` flags."""

    ticket: str
    keys: frozenset[StreamKey]
    unknown_types: tuple[str, ...] = ()


def list_subscriptions_request(ticket: str, wire_format: WireFormat) -> bytes:
    """The request as one JSON text; `wire_format` must be the one in use on this connection."""
    return orjson.dumps([{"ticket": ticket}, {"method": "LIST_SUBSCRIPTIONS"}, {"format": wire_format.value}])


def parse_subscription_list(payload: bytes | Mapping[str, Any]) -> SubscriptionList:
    """Read the answer, in DEFAULT or SIMPLE names, bare or inside an array.

    Raises:
        PayloadError: it is no such answer.
    """
    raw = payload if isinstance(payload, bytes) else b""
    message = _loaded(payload) if isinstance(payload, bytes) else payload
    if isinstance(message, list) and len(message) == 1:
        message = message[0]
    if not isinstance(message, Mapping) or _get(message, "method", "mthd") != "LIST_SUBSCRIPTIONS":
        raise PayloadError("is no answer to LIST_SUBSCRIPTIONS", raw=raw)
    result = _get(message, "result", "rslt")
    keys: set[StreamKey] = set()
    unknown: list[str] = []
    for item in result if isinstance(result, list) else ():
        try:
            data_type = DataType.parse(_get(item, "type", "ty"))
        except InvalidArgumentError:
            unknown.append(str(_get(item, "type", "ty"))[:40])
            continue
        try:
            keys.update(_keys(data_type, item))
        except (TypeError, ValueError, AttributeError) as error:
            raise PayloadError("is not as documented", field=f"result[{data_type.wire_name}]", raw=raw) from error
    return SubscriptionList(str(_get(message, "ticket", "tckt") or ""), frozenset(keys), tuple(unknown))


def _loaded(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise PayloadError("is not valid JSON", raw=payload) from error


def _get(item: Any, name: str, short: str) -> Any:
    if not isinstance(item, Mapping):
        return None
    return item[name] if name in item else item.get(short)


def _keys(data_type: DataType, item: Mapping[str, Any]) -> Iterator[StreamKey]:
    # Whether the depth suffix of an order book code is echoed is not documented; it is no part of the key either way.
    codes = [str(code).partition(".")[0] for code in _get(item, "codes", "cds") or ()] or [""]
    for variant in _variants(data_type, item):
        for code in codes:
            yield StreamKey(data_type, code, variant)


def _variants(data_type: DataType, item: Mapping[str, Any]) -> list[Any]:
    if data_type is DataType.ORDERBOOK:
        return [_get(item, "level", "lv") or None]
    if data_type not in (DataType.INDICATOR, DataType.INDICATOR_SIGNAL):
        return [None]
    timeframe = _get(item, "timeframe", "tf")
    return [_indicator(data_type, timeframe, entry) for entry in _get(item, "indicators", "ind") or ()]


def _indicator(data_type: DataType, timeframe: str, entry: Mapping[str, Any]) -> tuple[Any, ...]:
    name, params = _get(entry, "type", "ty"), _long_names(_get(entry, "params", "p"))
    if data_type is DataType.INDICATOR:
        return indicator_variant(timeframe, name, params)
    event_params = _long_names(_get(entry, "event_params", "ep"))
    return indicator_variant(timeframe, name, params, _get(entry, "trigger", "tr") or "", event_params)


def _long_names(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {_PARAMS.get(name, name): value for name, value in (params or {}).items()}
