"""The fast way from a parsed message to an event, generated from the field tables.

An attrs class with 34 keyword arguments costs six times the parsing of its message (measured). So, at the first message
of a type, a function is generated from the table of its family: it takes each field, checks its type on the way, and
assigns it to a *draft*: a subclass without slots of its own and without the guard against assignment, which becomes the
frozen class at the end (``draft.__class__ = TickerEvent``; the layout is the same). That costs little more than
``orjson.loads`` of the same message (measured: 1.0 to 1.4 times on Python 3.11 and newer, 1.4 to 1.7 times on 3.10).

A builder raises one of `REFUSALS` for anything that is not exactly as documented. That is not yet an error: the caller
then takes `upbit_ws.event_reader`, which knows every allowed deviation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from upbit_ws.data_types import DataType
from upbit_ws.event_reader import EVENT_CLASSES, UNIT_CLASSES
from upbit_ws.events import NO_EXTRA, Event
from upbit_ws.fields import FieldSpec, Kind, Table, family_fields
from upbit_ws.frozen_dict import FrozenDict

__all__ = ["REFUSALS", "Builder", "builder_of"]

Builder = Callable[[dict[str, Any]], Event]

#: What a builder raises when a message is not exactly as documented: a field is missing, or of another type.
REFUSALS = (KeyError, TypeError, AttributeError)

#: Kinds that the generated code handles; families with other kinds are rare on the wire and always read strictly.
_FAST_KINDS = frozenset({Kind.FLOAT, Kind.INT, Kind.TEXT, Kind.BOOL, Kind.DATE, Kind.OBJECTS})


def builder_of(data_type: DataType, simple: bool, absent: tuple[str, ...] = ()) -> Builder | None:
    """Return the builder for messages without the fields `absent`; None for families that are always read strictly."""
    table = family_fields(data_type.family)
    if any(row.kind not in _FAST_KINDS for spec in table for row in (spec, *spec.nested)):
        return None
    sent = tuple(spec for spec in table if spec.name not in absent)
    return _compile(EVENT_CLASSES[data_type.family], table, sent, simple)


def _draft_of(cls: type[Any]) -> type[Any]:
    """A subclass whose instances can be assigned to. Both slots are needed to get the C implementation back."""
    plain = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(f"{cls.__name__}Draft", (cls,), {**plain, "__init__": object.__init__})


def _refuse() -> Any:
    raise TypeError


def _unknown_of(table: Table, sent: Table, simple: bool) -> Callable[[dict[str, Any]], FrozenDict]:
    expected = frozenset(spec.key(simple) for spec in sent)
    known = frozenset(spec.key(simple) for spec in table)

    def unknown_of(message: dict[str, Any]) -> FrozenDict:
        unknown = {name: value for name, value in message.items() if name not in expected}
        if not known.isdisjoint(unknown):
            raise KeyError  # a field that this builder takes for absent
        return FrozenDict(unknown)

    return unknown_of


def _compile(cls: type[Event], table: Table, sent: Table, simple: bool) -> Builder:
    """Generate the builder for messages with the fields `sent` and maybe unknown ones. The source is all ours."""
    scope: dict[str, Any] = {
        "Draft": _draft_of(cls),
        "Final": cls,
        "no_extra": NO_EXTRA,
        "refuse": _refuse,
        "unknown_of": _unknown_of(table, sent, simple),
        "absent": tuple(spec.name for spec in table if spec not in sent),
    }
    lines = ["def build(message, type=type, float=float, int=int):", "    event = Draft()"]
    for spec in table:
        value = f"message[{spec.key(simple)!r}]" if spec in sent else "None"
        if spec.kind is Kind.OBJECTS:
            lines += _loop(spec, value, simple, scope)
            value = "tuple(units)"
        elif spec in sent:
            value = _checked(spec, value)
        lines += [f"    event.{spec.attribute} = {value}"]
    lines += [f"    event.extra = no_extra if len(message) == {len(sent)} else unknown_of(message)"]
    lines += ["    event.absent = absent", "    event.__class__ = Final", "    return event"]
    exec("\n".join(lines), scope)
    build: Builder = scope["build"]
    return build


def _loop(spec: FieldSpec, array: str, simple: bool, scope: dict[str, Any]) -> list[str]:
    """Lines that turn an array of objects into frozen `units`."""
    cls = UNIT_CLASSES[spec.name]
    scope.update(UnitDraft=_draft_of(cls), UnitFinal=cls)
    lines = [
        "    units = []",
        "    append = units.append",
        f"    for item in {array} if type({array}) is list else refuse():",
        f"        if len(item) != {len(spec.nested)}: refuse()",
        "        unit = UnitDraft()",
    ]
    for nested in spec.nested:
        lines += [f"        unit.{nested.attribute} = {_checked(nested, f'item[{nested.key(simple)!r}]')}"]
    return [*lines, "        unit.extra = no_extra", "        unit.__class__ = UnitFinal", "        append(unit)"]


def _checked(spec: FieldSpec, value: str) -> str:
    """The expression that yields the value of a field or refuses it. A JSON boolean is no number, a Python one is."""
    if spec.kind is Kind.FLOAT:
        return f"v if type(v := {value}) is float else v + 0.0 if type(v) is int else refuse()"
    if spec.kind is Kind.INT:
        return f"v if type(v := {value}) is int else refuse()"
    if spec.kind is Kind.TEXT:
        return f"{value} + ''"  # the same object for a str, TypeError for everything else: cheaper than a comparison
    if spec.kind is Kind.BOOL:
        return f"v if (v := {value}) is True or v is False else refuse()"
    if spec.kind is Kind.DATE:
        return f"None if {value} is None else refuse()"
    raise ValueError(f"no expression for {spec.kind}")  # _FAST_KINDS holds no other
