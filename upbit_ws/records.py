"""`attrs.frozen` and `attrs.define`, with `__eq__`, `__hash__` and `__repr__` that all records share.

attrs writes these three anew for each class and compiles them. For the hundred records of this package that was a third
of the time that `import upbit_ws` takes more than its libraries (measured), and most programs never compare, hash or
print most of them. The shared ones ask for the fields at their first use. What they answer is what attrs' own would,
`field(eq=..., hash=..., repr=...)` included. Everything else of a record (`__init__`, slots, `attrs.fields`, `evolve`,
`asdict`, pickling) is attrs' own.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    # Type checkers know these two by name: what they say of `__init__` and of assignment stays exact.
    from attrs import define, frozen

__all__ = ["define", "frozen"]

# Classes live as long as the process, so nothing is ever forgotten here.
_remembered = lru_cache(maxsize=None)


def _getter(names: Iterable[str]) -> Callable[[Any], Any]:
    found = tuple(names)
    return attrgetter(*found) if found else lambda _record: ()


@_remembered
def _compared(cls: type[Any]) -> Callable[[Any], Any]:
    return _getter(field.name for field in attrs.fields(cls) if field.eq)


@_remembered
def _hashed(cls: type[Any]) -> Callable[[Any], Any]:
    return _getter(field.name for field in attrs.fields(cls) if (field.eq if field.hash is None else field.hash))


@_remembered
def _shown(cls: type[Any]) -> tuple[tuple[str, Callable[[Any], str]], ...]:
    return tuple((field.name, repr if field.repr is True else field.repr) for field in attrs.fields(cls) if field.repr)


def _eq(self: Any, other: Any) -> Any:
    cls = self.__class__
    if other.__class__ is not cls:
        return NotImplemented
    values = _compared(cls)
    return values(self) == values(other)


def _hash(self: Any) -> int:
    return hash(_hashed(self.__class__)(self))


@recursive_repr("...")
def _repr(self: Any) -> str:
    cls = self.__class__
    values = ", ".join(f"{name}={show(getattr(self, name, attrs.NOTHING))}" for name, show in _shown(cls))
    return f"{cls.__qualname__.rpartition('>.')[2]}({values})"


def _record(cls: type[Any], eq: bool, options: dict[str, Any]) -> type[Any]:
    """Let attrs make the class, and give it what it does not define itself."""
    own = cls.__dict__
    made = attrs.define(cls, eq=False, repr=False, **options)
    if "__repr__" not in own:
        made.__repr__ = _repr  # type: ignore[assignment]
    if eq and "__eq__" not in own:
        made.__eq__ = _eq  # type: ignore[assignment]
        made.__hash__ = _hash if options.get("frozen") else None  # type: ignore[assignment]
    return made


if not TYPE_CHECKING:

    def define(cls=None, /, *, eq=True, **options):
        """As `attrs.define`; `order`, `repr` and `unsafe_hash` are not taken."""
        if cls is None:
            return lambda cls: _record(cls, eq, options)
        return _record(cls, eq, options)

    def frozen(cls=None, /, *, eq=True, **options):
        """As `attrs.frozen`; `order`, `repr` and `unsafe_hash` are not taken."""
        return define(cls, eq=eq, frozen=True, on_setattr=None, **options)
