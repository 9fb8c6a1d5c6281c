"""Which components (clients) are alive, without keeping them alive.

A component that was just dropped must be unsubscribed, but the garbage collector runs finalizers in any thread, in the
middle of anything, a critical section included. So a finalizer takes no lock and does nothing but append a token to a
deque; the clean-up thread collects the tokens with `sweep`.
"""

from __future__ import annotations

import logging
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Final, Generic, TypeVar

from upbit_ws.records import frozen
from upbit_ws.shared.locks import make_lock

__all__ = ["ComponentRegistry", "Registration"]

logger = logging.getLogger("upbit_ws")

#: How many names are remembered that were taken.
_SAID_KEPT: Final = 256

T = TypeVar("T")


@frozen
class Registration(Generic[T]):
    """The result of `ComponentRegistry.register`."""

    token: int
    """Stands for the component wherever it is an owner of something; never used again for another one."""
    previous: T | None
    """The live component that had the name before and has lost it: close it and take its place."""
    previous_token: int | None


@frozen
class _Entry(Generic[T]):
    component_id: str
    reference: weakref.ReferenceType[T]


class ComponentRegistry(Generic[T]):
    """Live components by token and by name.

    `on_gone` is called with no arguments by the finalizer of a component, in whatever thread the collector happens to
    run. It must take no lock; its purpose is to set an event or a flag that makes the clean-up thread come early.
    """

    def __init__(self, *, on_gone: Callable[[], object] | None = None) -> None:
        #: Guards the tables; never taken by a finalizer.
        self._lock = make_lock("component-registry", 40)
        self._entries: dict[int, _Entry[T]] = {}
        self._by_name: dict[str, int] = {}
        self._tokens = count(1)
        self._gone: deque[int] = deque()
        #: Names of which a log line has said that they were taken, the newest of them last.
        self._said: OrderedDict[str, None] = OrderedDict()
        self._on_gone = on_gone

    def register(self, component_id: str, component: T) -> Registration[T]:
        """Enter a component. A live one of the same name loses the name to it and is returned (a notebook's re-run)."""
        # The callback holds the deque and not the registry: a forgotten registry is not kept alive by its components.
        with self._lock:
            token = next(self._tokens)
            # Made under the lock so that the token is known; making a reference runs no foreign code.
            reference = weakref.ref(component, partial(_mark_gone, self._gone, token, self._on_gone))
            previous_token = self._by_name.get(component_id)
            previous_entry = None if previous_token is None else self._entries.get(previous_token)
            self._entries[token] = _Entry(component_id, reference)
            self._by_name[component_id] = token
        previous = None if previous_entry is None else previous_entry.reference()
        if previous is not None:
            self._say_taken(component_id)
        return Registration(token, previous, None if previous is None else previous_token)

    def _say_taken(self, component_id: str) -> None:
        """Once a name loudly, because two parts of a program may have it by mistake; a cell that is run again and again
        does not fill its notebook. A name that was not taken for long is said loudly again.
        """
        with self._lock:
            level = logging.DEBUG if component_id in self._said else logging.WARNING
            self._said[component_id] = None
            self._said.move_to_end(component_id)
            if len(self._said) > _SAID_KEPT:
                self._said.popitem(last=False)
        logger.log(level, "! a second %r takes the place of the first, which is closed", component_id)

    def unregister(self, token: int) -> bool:
        """A component was closed. False when it was not registered (any more)."""
        with self._lock:
            return self._forget_locked(token)

    def mark_gone(self, token: int) -> None:
        """Have the next `sweep` report this component as if it had been collected. Takes no lock."""
        self._gone.append(token)

    def sweep(self) -> list[int]:
        """The tokens of components that were collected since the last sweep, each once. Closed ones do not count."""
        tokens = []
        with suppress(IndexError):  # empty: several threads may sweep at once
            while True:
                tokens.append(self._gone.popleft())
        with self._lock:
            return [token for token in tokens if self._forget_locked(token)]

    def get(self, component_id: str) -> T | None:
        """The live component of this name."""
        with self._lock:
            token = self._by_name.get(component_id)
            entry = None if token is None else self._entries.get(token)
        return None if entry is None else entry.reference()

    def alive(self) -> list[T]:
        """All live components, in the order of registration."""
        with self._lock:
            references = [entry.reference for entry in self._entries.values()]
        # Outside the lock: a strong reference made here may be the last one when it goes away again.
        return [component for component in (reference() for reference in references) if component is not None]

    def names(self) -> dict[int, str]:
        """Token -> name of everything registered, also of what was collected but not swept yet."""
        with self._lock:
            return {token: entry.component_id for token, entry in self._entries.items()}

    def __len__(self) -> int:
        return len(self._entries)

    def _forget_locked(self, token: int) -> bool:
        assert self._lock.locked()
        entry = self._entries.pop(token, None)
        if entry is None:
            return False
        if self._by_name.get(entry.component_id) == token:
            del self._by_name[entry.component_id]
        return True


def _mark_gone(
    gone: deque[int], token: int, on_gone: Callable[[], object] | None, _reference: weakref.ReferenceType[T]
) -> None:
    """Run by the garbage collector: no lock, no logging."""
    gone.append(token)
    if on_gone is not None:
        on_gone()
