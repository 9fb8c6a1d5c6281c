"""Every lock of the package is made here.

The rule is short: no lock is taken while another is held. It makes deadlocks by order impossible, and it keeps every
critical section small, because whoever needs two things has to decide about them one after the other.

`make_lock` returns a plain `threading.Lock`; the rule costs nothing. In a debug build (environment variable
``UPBIT_WS_DEBUG_LOCKS=1``, or `enable_lock_ranks` called before the locks are made, as the tests do) it returns a
lock that checks the rule at each acquisition and raises `LockRuleError` in the thread that breaks it, instead of
hanging some other thread on some other day. That also catches the garbage collector running a finalizer that takes a
lock.
"""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import cast

__all__ = ["CheckedLock", "LockRuleError", "enable_lock_ranks", "make_lock"]

_held: dict[int, CheckedLock] = {}  # thread -> the one checked lock that it holds; each thread touches its own entry
_is_checking = os.environ.get("UPBIT_WS_DEBUG_LOCKS", "") not in ("", "0")


class LockRuleError(AssertionError):
    """A thread took a lock while holding another one, or took its own lock again. Always a bug of the SDK."""


class CheckedLock:
    """A `threading.Lock` that knows its name and who holds it. Fits where a `Lock` fits, `Condition` included."""

    __slots__ = ("__weakref__", "_lock", "_owner", "name", "rank")

    def __init__(self, name: str, rank: int) -> None:
        self.name = name
        self.rank = rank
        self._lock = threading.Lock()
        self._owner: int | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As `threading.Lock.acquire`, and `LockRuleError` when this thread holds any checked lock already."""
        thread = threading.get_ident()
        held = _held.get(thread)
        if held is not None:
            name = threading.current_thread().name
            raise LockRuleError(f"{self} taken while {held} is held by the same thread ({name})")
        if not self._lock.acquire(blocking, timeout):
            return False
        _held[thread] = self
        self._owner = thread
        return True

    def release(self) -> None:
        """As `threading.Lock.release`: any thread may release."""
        owner, self._owner = self._owner, None
        if owner is not None and _held.get(owner) is self:
            del _held[owner]
        self._lock.release()

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._lock.locked()

    def _is_owned(self) -> bool:
        # `Condition` asks this; its own way of finding out is to try to take the lock, which would break the rule.
        return self._owner == threading.get_ident()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<lock {self.name!r} rank {self.rank}>"


def make_lock(name: str, rank: int) -> threading.Lock:
    """A lock for one component.

    Args:
        name: What it guards, for messages: ``"data-pool"``.
        rank: Where it lies on the way of the data, from the socket (low) to the user (high). Locks do not nest, so the
            rank orders nothing at run time; it tells the reader of a `LockRuleError` which of the two came too early.
    """
    return cast(threading.Lock, CheckedLock(name, rank)) if _is_checking else threading.Lock()


def enable_lock_ranks(enabled: bool = True) -> None:
    """From now on `make_lock` makes checked locks (or plain ones again). Locks that exist already stay as they are."""
    global _is_checking
    _is_checking = enabled
