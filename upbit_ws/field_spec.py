"""What one row of a field table says, and the short ways to write one."""

from __future__ import annotations

from enum import Enum
from typing import Any

from attrs import field

from upbit_ws.data_types import DataType
from upbit_ws.records import frozen

__all__ = [
    "CODE",
    "REALTIME",
    "SIDE",
    "TIMESTAMP",
    "FieldSpec",
    "Kind",
    "Table",
    "money",
    "number",
    "stream_type",
    "text",
    "time",
    "type_field",
]


class Kind(Enum):
    """What a field holds; the value is its JSON type in Upbit's documentation."""

    TEXT = "string"
    FLOAT = "number"  # a float in events, integers on the wire included
    DECIMAL = "number (exact)"  # a Decimal in events, exactly the digits of the wire
    INT = "integer"  # an id or a time; never passes through a float
    COUNT = "integer (count)"  # a small whole number; 14.0 is taken for 14
    BOOL = "boolean"
    DATE = "object|string|null"  # kept as sent
    OBJECT = "object"
    OBJECTS = "array<object>"
    TEXTS = "array<string>"

    # Members are singletons, so identity is enough; the hash of Enum is Python code and slow.
    __hash__ = object.__hash__

    @property
    def json_type(self) -> str:
        """JSON type as documented: `string`, `number`, `integer`, `boolean`, `object`, `array<object>`, ..."""
        return self.value.partition(" ")[0]


@frozen
class FieldSpec:
    """One row of a table.

    Attributes:
        name, simple: Name in the DEFAULT and in the SIMPLE format (the same where no short name was published).
        kind: What it holds.
        description: What it means.
        unit: Of the value: ``quote`` or ``base`` (currency of the market), ``ms`` since the epoch, ``ratio``, ...
        nullable: May be JSON null.
        optional: May be absent, by the documentation.
        absent: Why it may be absent although the documentation does not say so (older messages, other hosts, REST).
        deprecated: Will disappear.
        enum: Values known today. Treat it as open: an unknown value is kept and not an error.
        nested: Table of the objects inside.
        attribute: Name of the attribute of the event.
    """

    name: str
    simple: str
    kind: Kind
    description: str = ""
    unit: str = ""
    nullable: bool = field(default=False, kw_only=True)
    optional: bool = field(default=False, kw_only=True)
    absent: str = field(default="", kw_only=True)
    deprecated: bool = field(default=False, kw_only=True)
    enum: tuple[str, ...] = field(default=(), kw_only=True)
    nested: tuple[FieldSpec, ...] = field(default=(), kw_only=True, repr=False)
    attribute: str = field(init=False, repr=False)

    @attribute.default
    def _attribute(self) -> str:
        return "symbol" if self.name == "code" else self.name

    @property
    def json_type(self) -> str:
        """JSON type as documented."""
        return self.kind.json_type

    @property
    def may_be_absent(self) -> bool:
        """Whether a message without it is complete; the event then has None."""
        return self.optional or self.nullable or bool(self.absent)

    def key(self, simple: bool) -> str:
        """Name in the SIMPLE or in the DEFAULT format."""
        return self.simple if simple else self.name


Table = tuple[FieldSpec, ...]


def text(name: str, simple: str, description: str, unit: str = "", **more: Any) -> FieldSpec:
    return FieldSpec(name, simple, Kind.TEXT, description, unit, **more)


def number(name: str, simple: str, description: str, unit: str, **more: Any) -> FieldSpec:
    return FieldSpec(name, simple, Kind.FLOAT, description, unit, **more)


def money(name: str, simple: str, description: str, unit: str, **more: Any) -> FieldSpec:
    return FieldSpec(name, simple, Kind.DECIMAL, description, unit, **more)


def time(name: str, simple: str, description: str, **more: Any) -> FieldSpec:
    return FieldSpec(name, simple, Kind.INT, description, "ms", **more)


def type_field(family: str, description: str = "Data type.") -> FieldSpec:
    names = tuple(member.wire_name for member in DataType if member.family == family)
    return text("type", "ty", description, enum=names)


def stream_type(*names: str, description: str = "SNAPSHOT is the first message of a code.") -> FieldSpec:
    return text("stream_type", "st", description, enum=names or ("SNAPSHOT", "REALTIME"))


CODE = text("code", "cd", "Market code, quote currency first, upper case.")
TIMESTAMP = time("timestamp", "tms", "Server time of the message.")
SIDE = ("ASK", "BID")
REALTIME = stream_type("REALTIME", description="REALTIME only.")
