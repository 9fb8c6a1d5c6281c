"""The strict way from a parsed message to an event: every field is checked, every error names its field.

`upbit_ws.event_builder` is the fast way for messages that are exactly as documented; whatever it does not recognise
comes here, so this module alone decides what a message means.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from upbit_ws.base_error import shown
from upbit_ws.data_types import DataType
from upbit_ws.events import (
    NO_EXTRA,
    AnnouncementEvent,
    CandleEvent,
    Event,
    IndicatorEvent,
    IndicatorSignalEvent,
    MyAsset,
    MyAssetEvent,
    MyOrderEvent,
    OrderbookEvent,
    OrderbookUnit,
    TickerEvent,
    TradeEvent,
)
from upbit_ws.exceptions import PayloadError
from upbit_ws.fields import FieldSpec, Kind, Table, family_fields
from upbit_ws.frozen_dict import FrozenDict

__all__ = ["EVENT_CLASSES", "UNIT_CLASSES", "problems", "read_event", "type_of"]

EVENT_CLASSES: dict[str, type[Event]] = {
    "ticker": TickerEvent,
    "trade": TradeEvent,
    "orderbook": OrderbookEvent,
    "candle": CandleEvent,
    "myOrder": MyOrderEvent,
    "myAsset": MyAssetEvent,
    "announcement": AnnouncementEvent,
    "indicator": IndicatorEvent,
    "indicator_signal": IndicatorSignalEvent,
}

#: Classes of the objects in an array, by the name of the field.
UNIT_CLASSES: dict[str, type[OrderbookUnit] | type[MyAsset]] = {"orderbook_units": OrderbookUnit, "assets": MyAsset}

# Beyond this a decimal exponent is no amount of money but an attempt to make somebody print a billion digits.
_LARGEST_EXPONENT = 400


def type_of(message: Any) -> tuple[DataType, bool]:
    """Return the data type of a message and whether its keys are SIMPLE.

    Raises:
        PayloadError: no object, no type, or an unknown one.
    """
    if not isinstance(message, Mapping):
        raise PayloadError(f"is not a JSON object but {_json_type(message)}", field="message")
    simple = "type" not in message and "ty" in message
    name = message.get("ty" if simple else "type")
    if name is None:
        raise PayloadError("is missing", field="type")
    data_type = DataType.find(name)
    if data_type is None:
        raise PayloadError(f"is not a known data type: {shown(name)}", field="type")
    return data_type, simple


def read_event(message: Any) -> Event:
    """Return the event of a parsed message, DEFAULT or SIMPLE.

    Raises:
        PayloadError: something is not as documented; it names the field.
    """
    data_type, simple = type_of(message)
    table = family_fields(data_type.family)
    values, absent = _values(table, message, simple, "")
    extra = _extra(table, message, simple)
    return EVENT_CLASSES[data_type.family](**values, extra=extra, absent=absent)  # type: ignore[call-arg]


def problems(message: Any) -> Iterator[str]:
    """Yield what is not as documented, one sentence per field; unknown enum values count, unknown fields do not."""
    try:
        data_type, simple = type_of(message)
    except PayloadError as error:
        yield str(error)
        return
    for spec in family_fields(data_type.family):
        try:
            value = _values((spec,), message, simple, "")[0][spec.attribute]
        except PayloadError as error:
            yield str(error)
            continue
        yield from _unknown_values(spec, value)


def _unknown_values(spec: FieldSpec, value: Any) -> Iterator[str]:
    if spec.enum and value is not None and value not in spec.enum:
        yield f"{spec.name} is not one of {', '.join(spec.enum)}: {shown(value)}"


def _values(
    table: Table, message: Mapping[Any, Any], simple: bool, path: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    values: dict[str, Any] = {}
    absent: list[str] = []
    for spec in table:
        key = spec.simple if simple else spec.name
        if key in message:
            values[spec.attribute] = _nullable(spec, message[key], simple, path + spec.name)
        elif spec.may_be_absent:
            values[spec.attribute] = None
            absent.append(spec.name)
        else:
            raise PayloadError("is missing", field=path + spec.name)
    return values, tuple(absent)


def _nullable(spec: FieldSpec, value: Any, simple: bool, name: str) -> Any:
    if value is None and (spec.nullable or spec.absent):
        return None
    return _value(spec, value, simple, name)


def _value(spec: FieldSpec, value: Any, simple: bool, name: str) -> Any:
    kind = spec.kind
    if kind is Kind.OBJECTS:
        return _units(spec, value, simple, name)
    if kind is Kind.OBJECT:
        return _object(spec, value, simple, name)
    read = _READERS[kind](value)
    if read is None:
        raise PayloadError(f"must be {_EXPECTED[kind]}, got {_json_type(value)} {shown(value)}", field=name)
    return read


def _units(spec: FieldSpec, value: Any, simple: bool, name: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise PayloadError(f"must be an array, got {_json_type(value)}", field=name)
    cls = UNIT_CLASSES[spec.name]
    units = []
    for index, item in enumerate(value):
        path = f"{name}[{index}]"
        if not isinstance(item, Mapping):
            raise PayloadError(f"must be an object, got {_json_type(item)}", field=path)
        values, _ = _values(spec.nested, item, simple, path + ".")
        units.append(cls(**values, extra=_extra(spec.nested, item, simple)))
    return tuple(units)


def _object(spec: FieldSpec, value: Any, simple: bool, name: str) -> FrozenDict:
    if not isinstance(value, Mapping):
        raise PayloadError(f"must be an object, got {_json_type(value)}", field=name)
    known = {nested.key(simple): nested for nested in spec.nested}
    read: dict[str, Any] = {}
    for key, item in value.items():
        nested = known.get(key)
        if nested is None:
            read.update(_extra(spec.nested, {key: item}, simple))
        else:
            read[nested.name] = _value(nested, item, simple, f"{name}.{nested.name}")
    return FrozenDict(read)


def _extra(table: Table, message: Mapping[Any, Any], simple: bool) -> Mapping[str, Any]:
    known = {spec.key(simple) for spec in table}
    if all(key in known for key in message):
        return NO_EXTRA
    extra = {}
    for key, value in message.items():
        if not isinstance(key, str):
            raise PayloadError(f"is no name of a field: {shown(key)}", field="key")
        if key not in known:
            extra[key] = value
    return FrozenDict(extra)


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):  # an integer beyond the floats, a signalling NaN
        return None
    return number if math.isfinite(number) else None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    # A float stands for the digits it prints; the parser of private messages never makes one.
    number = value if type(value) is Decimal else Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite() or abs(number.adjusted()) > _LARGEST_EXPONENT:
        return None
    return number


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    if isinstance(value, (float, Decimal)):
        number = _decimal(value)
        return int(number) if number is not None and number == number.to_integral_value() else None
    return _int(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _date(value: Any) -> str | FrozenDict | None:
    if isinstance(value, Mapping):
        return FrozenDict(value) if all(isinstance(key, str) for key in value) else None
    return _text(value)


_READERS = {
    Kind.FLOAT: _float,
    Kind.DECIMAL: _decimal,
    Kind.INT: _int,
    Kind.COUNT: _count,
    Kind.TEXT: _text,
    Kind.BOOL: _bool,
    Kind.DATE: _date,
}

_EXPECTED = {
    Kind.FLOAT: "a number",
    Kind.DECIMAL: "a number",
    Kind.INT: "a 64-bit integer",
    Kind.COUNT: "a whole number",
    Kind.TEXT: "a string",
    Kind.BOOL: "true or false",
    Kind.DATE: "an object, a string or null",
}


def _json_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", Decimal: "number", str: "string", type(None): "null"}
    if isinstance(value, (list, tuple)):
        return "array"
    return names.get(type(value), "object" if isinstance(value, Mapping) else type(value).__name__)
