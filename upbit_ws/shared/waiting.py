"""Waiting for a slot to change, without a herd: a thread is woken only by the keys it waits for, and once per batch."""

from __future__ import annotations

import threading
from contextlib import suppress

__all__ = ["Signal", "Waiter"]


class Waiter:
    """One waiting thread. Registered with slots under the pool's lock; fired outside of it.

    A bare lock that is taken at the start and released to wake costs a third of a Condition and needs no second lock to
    wait on.
    """

    __slots__ = ("_gate", "is_fired")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        #: Set under the pool's lock by whoever is going to call `fire`, so that it is called once.
        self.is_fired = False

    def fire(self) -> None:
        """Wake the thread."""
        self._gate.release()

    def wait(self, timeout: float) -> bool:
        """Block for at most `timeout` seconds, infinity included. True where it was fired."""
        return self._gate.acquire(timeout=min(max(timeout, 0.0), threading.TIMEOUT_MAX))


class Signal:
    """Tells a background thread to look again or to stop. Safe from signal handlers and finalizers of any thread.

    An `Event` is not: it holds a lock inside, which a handler may find held by the very thread that it interrupts. Nor
    is a `SimpleQueue` fit for short waits: `get` with a timeout that has passed by the time it begins to wait may wait
    for ever (CPython 3.11). Releasing a bare lock is one uninterruptible step.
    """

    __slots__ = ("_gate",)

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()

    def set(self) -> None:
        """Wake the thread that waits, now or when it next does."""
        with suppress(RuntimeError):  # it was set already
            self._gate.release()

    def wait(self, timeout: float | None) -> bool:
        """Block until set, at most `timeout` seconds; the signal is taken back. True where it was set."""
        return self._gate.acquire(timeout=-1 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX))
