"""The fast way from a parsed message to an event, generated from the field tables.

An attrs class with 34 keyword arguments costs six times the parsing of its message (measured). So, at the first message
of a type, a function is generated from the table of its family: it takes the values of all fields at once, checks their
types on the way, and assigns them to a *draft*: a subclass without slots of its own and without the guard against
assignment, which becomes the frozen class at the end (``draft.__class__ = TickerEvent``; the layout is the same). It
costs about as much as ``orjson.loads`` of the same message.

A builder raises one of `REFUSALS` for anything that is not exactly as documented. That is not yet an error: the caller
then takes `upbit_ws.event_reader`, which knows every allowed deviation.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from upbit_ws.data_types import DataType
from upbit_ws.event_reader import EVENT_CLASSES, UNIT_CLASSES
from upbit_ws.events import NO_EXTRA, Event, FrozenDict
from upbit_ws.fields import FieldSpec, Kind, Table, family_fields

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
        "get": itemgetter(*(spec.key(simple) for spec in sent)),
        "unknown_of": _unknown_of(table, sent, simple),
        "absent": tuple(spec.name for spec in table if spec not in sent),
    }
    names = {spec.name: f"v{index}" for index, spec in enumerate(sent)}
    lines = ["def build(message, type=type, float=float, int=int):"]
    lines += [f"    {', '.join(names.values())} = get(message)"]
    for spec in sent:
        if spec.kind is Kind.OBJECTS:
            lines += _loop(spec, names[spec.name], simple, scope)
    lines += ["    event = Draft()"]
    for spec in table:
        value = _checked(spec, names[spec.name]) if spec.name in names else "None"
        lines += [f"    event.{spec.attribute} = {value}"]
    lines += [f"    event.extra = no_extra if len(message) == {len(sent)} else unknown_of(message)"]
    lines += ["    event.absent = absent", "    event.__class__ = Final", "    return event"]
    exec("\n".join(lines), scope)
    build: Builder = scope["build"]
    return build


def _loop(spec: FieldSpec, variable: str, simple: bool, scope: dict[str, Any]) -> list[str]:
    """Lines that turn an array of objects into a tuple of frozen units."""
    cls = UNIT_CLASSES[spec.name]
    scope.update(UnitDraft=_draft_of(cls), UnitFinal=cls)
    names = {nested.name: f"u{index}" for index, nested in enumerate(spec.nested)}
    lines = [
        f"    if type({variable}) is not list: refuse()",
        "    units = []",
        "    append = units.append",
        f"    for item in {variable}:",
    ]
    lines += [f"        if len(item) != {len(names)}: refuse()", "        unit = UnitDraft()"]
    for nested in spec.nested:
        value = names[nested.name]
        lines += [f"        {value} = item[{nested.key(simple)!r}]"]
        lines += [f"        unit.{nested.attribute} = {_checked(nested, value)}"]
    lines += ["        unit.extra = no_extra", "        unit.__class__ = UnitFinal", "        append(unit)"]
    return [*lines, f"    {variable} = tuple(units)"]


def _checked(spec: FieldSpec, value: str) -> str:
    """The expression that yields the value of a field or refuses it. A JSON boolean is no number, a Python one is."""
    if spec.kind is Kind.FLOAT:
        return f"{value} if type({value}) is float else {value} + 0.0 if type({value}) is int else refuse()"
    if spec.kind is Kind.INT:
        return f"{value} if type({value}) is int else refuse()"
    if spec.kind is Kind.TEXT:
        return f"{value} + ''"  # the same object for a str, TypeError for everything else: cheaper than a comparison
    if spec.kind is Kind.BOOL:
        return f"{value} if {value} is True or {value} is False else refuse()"
    if spec.kind is Kind.DATE:
        return f"{value} if {value} is None else refuse()"
    return value
