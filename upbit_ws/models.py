"""Messages and events: the field tables of every data type, conversion both ways, decoding and validation.

`decode_event` is for bytes from the wire, `convert_dict_to_event` and `convert_event_to_dict` for parsed messages.
All of them take the DEFAULT and the SIMPLE format. Wrong input raises `PayloadError` and nothing else.

Numbers: public ones become float. Private ones (``myOrder``, ``myAsset``) become Decimal with exactly the digits of the
wire (``1386929.37231066771348207123``, ``7.9276E-4``). Ids and times are int and never pass through a float.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn

import orjson

from upbit_ws.data_types import DataType
from upbit_ws.decoded_payload import DecodedPayload
from upbit_ws.event_builder import REFUSALS, Builder, builder_of
from upbit_ws.event_reader import EVENT_CLASSES, problems, read_event
from upbit_ws.events import Event
from upbit_ws.exceptions import PayloadError
from upbit_ws.fields import (
    ANNOUNCEMENT_FIELDS,
    CANDLE_FIELDS,
    ERROR_FIELDS,
    EVENT_PARAMS_FIELDS,
    FAMILY_FIELDS,
    INDICATOR_FIELDS,
    INDICATOR_PARAMS_FIELDS,
    INDICATOR_SIGNAL_FIELDS,
    INDICATOR_VALUE_FIELDS,
    LIST_SUBSCRIPTIONS_FIELDS,
    MYASSET_FIELDS,
    MYASSET_UNIT_FIELDS,
    MYORDER_FIELDS,
    ORDERBOOK_FIELDS,
    ORDERBOOK_UNIT_FIELDS,
    STATUS_FIELDS,
    SUBSCRIPTION_FIELDS,
    TICKER_FIELDS,
    TRADE_FIELDS,
    FieldSpec,
    Kind,
    Table,
    family_fields,
)

__all__ = [
    "ANNOUNCEMENT_FIELDS",
    "CANDLE_FIELDS",
    "ERROR_FIELDS",
    "EVENT_CLASSES",
    "EVENT_PARAMS_FIELDS",
    "FAMILY_FIELDS",
    "INDICATOR_FIELDS",
    "INDICATOR_PARAMS_FIELDS",
    "INDICATOR_SIGNAL_FIELDS",
    "INDICATOR_VALUE_FIELDS",
    "LIST_SUBSCRIPTIONS_FIELDS",
    "MYASSET_FIELDS",
    "MYASSET_UNIT_FIELDS",
    "MYORDER_FIELDS",
    "ORDERBOOK_FIELDS",
    "ORDERBOOK_UNIT_FIELDS",
    "STATUS_FIELDS",
    "SUBSCRIPTION_FIELDS",
    "TICKER_FIELDS",
    "TRADE_FIELDS",
    "FieldSpec",
    "Kind",
    "convert_dict_to_event",
    "convert_event_to_dict",
    "decode_event",
    "decode_events",
    "family_fields",
    "parse_message",
    "validate",
]

Raw = bytes | bytearray | memoryview | str

# Builders by wire name, one dict per format, made at the first message of a type: generating them all would double the
# time of `import upbit_ws`. Item assignment is atomic, and it does not matter which of two threads comes last.
_FAST: dict[str, Builder] = {}
_FAST_SIMPLE: dict[str, Builder] = {}
_loads = orjson.loads


@lru_cache(maxsize=64)
def _builder(data_type: DataType, simple: bool, absent: tuple[str, ...]) -> Builder | None:
    return builder_of(data_type, simple, absent)


_EXACT_FAMILIES = frozenset(
    family
    for family, table in FAMILY_FIELDS.items()
    if any(row.kind is Kind.DECIMAL for spec in table for row in (spec, *spec.nested))
)


def decode_event(raw: Raw) -> Event:
    """Return the event of one message from the wire; an array of exactly one object (list formats) is accepted.

    Raises:
        PayloadError: not JSON, not a known type, or not as documented; `.field` names the field.
    """
    try:
        message = _loads(raw)
        build = _FAST[message["type"]] if "type" in message else _FAST_SIMPLE[message["ty"]]
        return build(message)
    except (ValueError, *REFUSALS):
        # Not as simple as that, which is not yet an error. ValueError is the parser's.
        return _decode_strictly(raw)


def decode_events(raw: Raw) -> list[Event]:
    """Return the events of one message from the wire: one of an object, one to many of an array (list formats).

    Raises:
        PayloadError: as `decode_event`, for the first object that is wrong.
    """
    message = parse_message(raw)
    if not isinstance(message, list):
        return [decode_event(raw)]
    return [_read(item, raw) for item in message]


def _decode_strictly(raw: Raw) -> Event:
    if isinstance(raw, DecodedPayload):
        return raw.event
    message = parse_message(raw)
    if isinstance(message, list):
        if len(message) != 1:
            raise PayloadError(f"holds {len(message)} objects; decode_events takes them all", field="message", raw=raw)
        message = message[0]
    event = _read(message, raw)
    _learn(event, simple="type" not in message)
    return event


def _learn(event: Event, *, simple: bool) -> None:
    """Take the fast way from now on for messages of this type that lack the same fields."""
    build = _builder(DataType(event.type), simple, event.absent)
    if build is not None:
        (_FAST_SIMPLE if simple else _FAST)[event.type] = build


def _read(message: Any, raw: Raw) -> Event:
    try:
        return read_event(message)
    except PayloadError as error:
        raise PayloadError(error.problem, field=error.field, raw=raw) from None


def parse_message(raw: Raw) -> Any:
    """Parse one message; numbers of private families come as Decimal with exactly the digits sent.

    Raises:
        PayloadError: not valid JSON, NaN and Infinity included.
    """
    try:
        message = orjson.loads(raw)
    except (ValueError, TypeError) as error:
        raise PayloadError(f"is not valid JSON: {error}", field="message", raw=_sample(raw)) from None
    items = message if isinstance(message, list) else [message]
    return _parse_exactly(raw) if any(_is_exact(item) for item in items) else message


def _is_exact(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    data_type = DataType.find(message.get("type", message.get("ty")))
    return data_type is not None and data_type.family in _EXACT_FAMILIES


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


_EXACT_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=int, parse_constant=_no_constant)


def _parse_exactly(raw: Raw) -> Any:
    text = raw if isinstance(raw, str) else bytes(raw).decode("utf-8")
    try:
        return _EXACT_DECODER.decode(text)
    except (ValueError, ArithmeticError, RecursionError) as error:
        # Decimal refuses exponents beyond its own range with an ArithmeticError.
        raise PayloadError(f"is not valid JSON: {error}", field="message", raw=raw) from None


def _sample(raw: object) -> Raw:
    return raw if isinstance(raw, (bytes, bytearray, memoryview, str)) else repr(raw)


def convert_dict_to_event(d: Mapping[str, Any]) -> Event:
    """Return the event of a parsed message, DEFAULT or SIMPLE by its ``type`` or ``ty``.

    Floats of private families are taken for the digits they print; parse with `parse_message` to keep all digits.

    Raises:
        PayloadError: something is not as documented; `.field` names the field.
    """
    return read_event(d)


def convert_event_to_dict(event: Event, *, simple: bool = False) -> dict[str, Any]:
    """Return the message of an event in wire order, the inverse of `convert_dict_to_event`.

    Fields that were not sent stay out, unknown ones come last, and what the SDK added to the event is left out.

    Raises:
        PayloadError: an unknown field has the name of a known one in the format to write.
    """
    family = DataType(event.type).family
    return _to_dict(family_fields(family), event, simple, event.absent)


def _to_dict(table: Table, record: Any, simple: bool, absent: tuple[str, ...] = ()) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for spec in table:
        value = getattr(record, spec.attribute)
        if value is None and (spec.name in absent or not spec.nullable):
            continue
        message[spec.key(simple)] = _to_json(spec, value, simple)
    return _with_extra(message, record.extra, table, simple)


def _to_json(spec: FieldSpec, value: Any, simple: bool) -> Any:
    if spec.kind is Kind.OBJECTS:
        return [_to_dict(spec.nested, unit, simple) for unit in value]
    if spec.kind is Kind.OBJECT:
        names = {nested.name: nested.key(simple) for nested in spec.nested}
        known = {names[name]: item for name, item in value.items() if name in names}
        unknown = {name: item for name, item in value.items() if name not in names}
        return _with_extra(known, unknown, spec.nested, simple)
    return dict(value) if isinstance(value, Mapping) else value


def _with_extra(message: dict[str, Any], extra: Mapping[str, Any], table: Table, simple: bool) -> dict[str, Any]:
    if extra:
        taken = {spec.key(simple) for spec in table}
        for name in extra:
            if name in taken:
                raise PayloadError("was unknown in the format it came in and is known in this one", field=name)
        message.update(extra)
    return message


def validate(d: Any) -> list[str]:
    """Return what is not as documented about a parsed message, one sentence per field; an empty list means nothing.

    Stricter than decoding: an enum value that is not documented is reported. Unknown fields are not. Never raises.
    """
    return list(problems(d))
