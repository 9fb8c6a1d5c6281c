"""A value that is worked out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["remembered"]

OwnerT = TypeVar("OwnerT")
ValueT = TypeVar("ValueT")


class remembered(Generic[OwnerT, ValueT]):
    """A property that is worked out when first asked for and kept in the object's `__dict__`.

    `functools.cached_property` without its lock. Up to Python 3.11 that is one lock for all objects of a class: taken
    under another lock it breaks the rule of locks, and a child that is forked while any thread is inside waits for
    ever. Where two threads ask at once, both work it out, and either result will do.
    """

    def __init__(self, work_out: Callable[[OwnerT], ValueT]) -> None:
        self._work_out = work_out
        self._name = work_out.__name__
        self.__doc__ = work_out.__doc__

    @overload
    def __get__(self, instance: None, owner: type[OwnerT]) -> remembered[OwnerT, ValueT]: ...

    @overload
    def __get__(self, instance: OwnerT, owner: type[OwnerT]) -> ValueT: ...

    def __get__(self, instance: Any, owner: type[OwnerT]) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._work_out(instance)
        return value
