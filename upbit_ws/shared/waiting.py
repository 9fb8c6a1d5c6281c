"""Waiting for a slot to change, without a herd: a thread is woken only by the keys it waits for, and once per batch."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue

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
        """Block for at most `timeout` seconds. True where it was fired."""
        return self._gate.acquire(timeout=max(timeout, 0.0))


class Signal:
    """Tells a background thread to look again or to stop. Safe from signal handlers and finalizers of any thread.

    An `Event` is not: it holds a lock inside, which a handler may find held by the very thread that it interrupts.
    Putting into a `SimpleQueue` is one uninterruptible step.
    """

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Wake the thread that waits, now or when it next does."""
        self._queue.put(None)

    def wait(self, timeout: float | None) -> bool:
        """Block until set, at most `timeout` seconds; the signal is taken back. True where it was set."""
        try:
            self._queue.get(timeout=timeout)
        except Empty:
            return False
        while not self._queue.empty():
            self._queue.get()
        return True
