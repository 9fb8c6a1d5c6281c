"""SIMPLE <-> DEFAULT for every message: events, the reply to LIST_SUBSCRIPTIONS, errors, status, and arrays of them.

Both directions come from the field tables, nested objects included (names overlap between nested tables, so each object
is renamed with its own). Only keys change: values and their order stay, unknown fields too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, overload

from upbit_ws.base_error import shown
from upbit_ws.data_types import DataType
from upbit_ws.exceptions import PayloadError
from upbit_ws.fields import ERROR_FIELDS, LIST_SUBSCRIPTIONS_FIELDS, STATUS_FIELDS, Table, family_fields

__all__ = ["is_simple", "to_default", "to_simple"]


@overload
def to_default(message: Mapping[str, Any]) -> dict[str, Any]: ...
@overload
def to_default(message: list[Any]) -> list[dict[str, Any]]: ...
def to_default(message: Mapping[str, Any] | list[Any]) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the message with DEFAULT names; one that has them already is copied.

    Args:
        message: A parsed message, or the array of the list formats.

    Raises:
        PayloadError: no message of the exchange, or an unknown field that has the name of a known one.
    """
    converted: dict[str, Any] | list[dict[str, Any]] = _convert(message, simple=False)
    return converted


@overload
def to_simple(message: Mapping[str, Any]) -> dict[str, Any]: ...
@overload
def to_simple(message: list[Any]) -> list[dict[str, Any]]: ...
def to_simple(message: Mapping[str, Any] | list[Any]) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the message with SIMPLE names; one that has them already is copied.

    Args:
        message: A parsed message, or the array of the list formats.

    Raises:
        PayloadError: no message of the exchange, or an unknown field that has the name of a known one.
    """
    converted: dict[str, Any] | list[dict[str, Any]] = _convert(message, simple=True)
    return converted


def is_simple(message: Mapping[str, Any]) -> bool:
    """Whether a message has SIMPLE names. Errors and status look the same in both formats and count as DEFAULT.

    Raises:
        PayloadError: no message of the exchange.
    """
    return _table_of(message)[1]


def _convert(message: Any, *, simple: bool) -> Any:
    if isinstance(message, list):
        return [_convert_one(item, simple) for item in message]
    return _convert_one(message, simple)


def _convert_one(message: Any, simple: bool) -> dict[str, Any]:
    table, was_simple = _table_of(message)
    return _renamed(table, message, was_simple, simple, "")


def _table_of(message: Any) -> tuple[Table, bool]:
    """The table of a message, and whether its names are SIMPLE."""
    if not isinstance(message, Mapping):
        raise PayloadError(f"is not a JSON object but {type(message).__name__}", field="message")
    for key, simple in (("type", False), ("ty", True)):
        if key in message:
            data_type = DataType.find(message[key])
            if data_type is None:
                raise PayloadError(f"is not a known data type: {shown(message[key])}", field="type")
            return family_fields(data_type.family), simple
    for key, table, simple in (
        ("method", LIST_SUBSCRIPTIONS_FIELDS, False),
        ("mthd", LIST_SUBSCRIPTIONS_FIELDS, True),
        ("error", ERROR_FIELDS, False),
        ("status", STATUS_FIELDS, False),
    ):
        if key in message:
            return table, simple
    raise PayloadError("has none of the keys type, ty, method, mthd, error, status", field="message")


@lru_cache(maxsize=64)
def _names(table: Table, was_simple: bool, simple: bool) -> dict[str, tuple[str, Table]]:
    """Old name -> new name and table of what is inside."""
    return {spec.key(was_simple): (spec.key(simple), spec.nested) for spec in table}


@lru_cache(maxsize=64)
def _taken(table: Table) -> frozenset[str]:
    return frozenset(name for spec in table for name in (spec.name, spec.simple))


def _renamed(table: Table, message: Mapping[str, Any], was_simple: bool, simple: bool, path: str) -> dict[str, Any]:
    names = _names(table, was_simple, simple)
    renamed = {}
    for key, value in message.items():
        known = names.get(key)
        if known is None:
            if key in _taken(table):
                raise PayloadError("is unknown in this format and known in the other one", field=f"{path}{key}")
            renamed[key] = value
            continue
        name, nested = known
        renamed[name] = _inside(nested, value, was_simple, simple, f"{path}{key}.") if nested else value
    return renamed


def _inside(table: Table, value: Any, was_simple: bool, simple: bool, path: str) -> Any:
    if isinstance(value, Mapping):
        return _renamed(table, value, was_simple, simple, path)
    if isinstance(value, (list, tuple)):
        return [_inside(table, item, was_simple, simple, path) for item in value]
    return value
