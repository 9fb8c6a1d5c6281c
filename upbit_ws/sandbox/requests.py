"""
What a client asks for: text in, a request or an error out. Pure.

Source: section "Request format" of the websocket-guide page and the error table of the older websocket-error page;
which
faults are errors and which are silent was measured on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from upbit_ws.sandbox.orderbook import UNIT_COUNTS
from upbit_ws.sandbox.tick_size import to_units
from upbit_ws.types import DataType, Endpoint, WireFormat

__all__ = [
    "DEFAULT_UNITS",
    "ListSubscriptions",
    "RequestError",
    "RequestRules",
    "Selection",
    "SelectionCheck",
    "Subscribe",
    "parse_request",
    "split_code",
]

DEFAULT_UNITS = 30

_KOREAN: dict[str, str] = {
    "INVALID_AUTH": "인증 정보가 올바르지 않습니다.",
    "WRONG_FORMAT": "Format 이 맞지 않습니다.",
    "NO_TICKET": "티켓이 존재하지 않거나, 유효하지 않습니다.",
    "NO_TYPE": "type 필드가 존재하지 않습니다.",
    "NO_CODES": "codes 필드가 존재하지 않습니다.",
    "INVALID_PARAM": "codes 필드가 비어 있습니다.",
    "TOO_MANY_REQUEST": "요청 수 제한을 초과했습니다.",
}
_ENGLISH: dict[str, str] = {
    "INVALID_AUTH": "Authentication is not valid.",
    "WRONG_FORMAT": "Requested using wrong format.",
    "NO_TICKET": "Ticket field must be contained.",
    "NO_TYPE": "type field not exists.",
    "NO_CODES": "codes field not exists.",
    "INVALID_PARAM": "codes field is empty.",
    "TOO_MANY_REQUEST": "Too many requests.",
}
_NAME_FIRST = frozenset({"NO_TICKET", "NO_TYPE", "INVALID_AUTH"})
"""
Errors whose object begins with the name; the others begin with the message. Measured for the first, WRONG_FORMAT,
INVALID_PARAM.
"""


@frozen
class RequestRules:
    """
    What this exchange makes of a request.

    Attributes:
        regional: English errors, and an orderbook `level` is a wrong format, as on the Indonesian host.
        camel_case_flags: take `isOnlySnapshot` for `is_only_snapshot`, as older clients send it.
    """

    regional: bool = False
    camel_case_flags: bool = True


class RequestError(Exception):
    """A request that is answered by an error frame: its name and its message."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name, message)
        self.name = name
        self.message = message

    @classmethod
    def named(cls, name: str, rules: RequestRules) -> RequestError:
        """The error with its usual message in the language of the host."""
        return cls(name, (_ENGLISH if rules.regional else _KOREAN)[name])

    def payload(self) -> bytes:
        """The error frame. Which of the two keys comes first depends on the error."""
        inner = {"name": self.name, "message": self.message}
        if self.name not in _NAME_FIRST:
            inner = dict(reversed(inner.items()))
        return json.dumps({"error": inner}, ensure_ascii=False, separators=(",", ":")).encode()


@frozen
class Selection:
    """
    One type object of a request.

    Attributes:
        data_type: what.
        codes: as asked for, suffixes included; None where the type object has none.
        group: grouping level of an orderbook in 1e-8, 0 for none.
        snapshot, realtime: which of the two streams.
        options: the type object as sent, for what only some types have.
    """

    data_type: DataType
    codes: tuple[str, ...] | None
    group: int = 0
    snapshot: bool = True
    realtime: bool = True
    options: Mapping[str, Any] = field(factory=dict, eq=False)


@frozen
class Subscribe:
    """Replace everything by these selections."""

    ticket: str
    selections: tuple[Selection, ...]
    wire_format: WireFormat


@frozen
class ListSubscriptions:
    """Tell what is subscribed, and go on in this format."""

    ticket: str
    wire_format: WireFormat


def split_code(code: str) -> tuple[str, int]:
    """ "KRW-BTC.15" is 15 units of KRW-BTC; without a suffix, or with an unsupported one, it is 30."""
    pair, _, suffix = code.partition(".")
    units = int(suffix) if suffix.isascii() and suffix.isdigit() else DEFAULT_UNITS
    return pair, units if units in UNIT_COUNTS else DEFAULT_UNITS


SelectionCheck = Callable[[DataType, Mapping[str, Any], RequestRules], None]
"""More rules for a type object, raising `RequestError`."""


def parse_request(
    text: str | bytes,
    endpoint: Endpoint = Endpoint.PUBLIC,
    rules: RequestRules = RequestRules(),
    check: SelectionCheck | None = None,
) -> Subscribe | ListSubscriptions:
    """
    Understand one message of a client.

    Args:
        endpoint: the socket it came in on: a type of another socket is refused.
        check: further rules, called for each type object that passed the common ones.

    Raises:
        RequestError: what the error frame has to say.
    """
    parts = _objects(text, rules)
    ticket: str | None = None
    method: str | None = None
    wire_format = WireFormat.DEFAULT
    chosen: list[Mapping[str, Any]] = []
    # The order of the objects is documented, but other orders are in use and served.
    for part in parts:
        if "ticket" in part:
            ticket = _text(part["ticket"], "NO_TICKET", rules)
        elif "method" in part:
            method = _text(part["method"], "WRONG_FORMAT", rules)
        elif "format" in part and "type" not in part:
            wire_format = _format(part["format"], rules)
        else:
            chosen.append(part)
    if ticket is None:
        raise RequestError.named("NO_TICKET", rules)
    if method is not None:
        if method != "LIST_SUBSCRIPTIONS":
            raise RequestError.named("WRONG_FORMAT", rules)
        return ListSubscriptions(ticket, wire_format)
    if not chosen:
        raise RequestError.named("NO_TYPE", rules)
    return Subscribe(ticket, tuple(_selection(part, endpoint, rules, check) for part in chosen), wire_format)


def _objects(text: str | bytes, rules: RequestRules) -> list[Mapping[str, Any]]:
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise RequestError.named("WRONG_FORMAT", rules)
    return parts


def _text(value: Any, error: str, rules: RequestRules) -> str:
    if not isinstance(value, str):
        raise RequestError.named(error, rules)
    return value


def _format(value: Any, rules: RequestRules) -> WireFormat:
    """An unknown format counts as DEFAULT (measured on a clone of the API)."""
    name = _text(value, "WRONG_FORMAT", rules)
    return WireFormat(name) if name in tuple(WireFormat) else WireFormat.DEFAULT


def _selection(
    part: Mapping[str, Any], endpoint: Endpoint, rules: RequestRules, check: SelectionCheck | None
) -> Selection:
    if "type" not in part:
        raise RequestError.named("NO_TYPE", rules)
    name = _text(part["type"], "WRONG_FORMAT", rules)
    data_type = DataType.find(name)
    if data_type is None:
        message = f"type {name} is not supported." if rules.regional else f"{name} 은 지원하지 않는 타입입니다."
        raise RequestError("INVALID_PARAM", message)
    if data_type.endpoint is not endpoint:
        raise RequestError.named("INVALID_AUTH", rules)
    codes = _codes(part, data_type, rules)
    selection = Selection(
        data_type,
        codes,
        group=_group(part, data_type, rules),
        snapshot=not _flag(part, "is_only_realtime", "isOnlyRealtime", rules),
        realtime=not _flag(part, "is_only_snapshot", "isOnlySnapshot", rules),
        options=part,
    )
    if check is not None:
        check(data_type, part, rules)
    return selection


def _codes(part: Mapping[str, Any], data_type: DataType, rules: RequestRules) -> tuple[str, ...] | None:
    codes = part.get("codes")
    if not data_type.has_codes:
        if "codes" in part:
            raise RequestError.named("WRONG_FORMAT", rules)
        return None
    if codes is None:
        if data_type.codes_required:
            raise RequestError.named("NO_CODES", rules)
        return None
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise RequestError.named("WRONG_FORMAT", rules)
    if not codes and data_type.codes_required:
        raise RequestError.named("INVALID_PARAM", rules)
    return tuple(codes)


def _group(part: Mapping[str, Any], data_type: DataType, rules: RequestRules) -> int:
    """The level of an orderbook. The guide types it String, its examples are numbers: both are taken."""
    if data_type is not DataType.ORDERBOOK or part.get("level") is None:
        return 0
    try:
        if rules.regional or isinstance(part["level"], bool):
            raise ValueError("no level here")
        return max(to_units(part["level"]), 0)
    except (TypeError, ValueError, OverflowError):
        raise RequestError.named("WRONG_FORMAT", rules) from None


def _flag(part: Mapping[str, Any], name: str, camel_case: str, rules: RequestRules) -> bool:
    value = part.get(name)
    if value is None and rules.camel_case_flags:
        value = part.get(camel_case)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if value is not None and not isinstance(value, bool):
        raise RequestError.named("WRONG_FORMAT", rules)
    return bool(value)
