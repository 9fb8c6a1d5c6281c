"""How threads wait at the pool: for one of some keys, or to be told to look again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from upbit_ws.protocol.slots import Slot
from upbit_ws.shared.waiting import Waiter

__all__ = ["PoolWaiting", "collect_waiters"]


class PoolWaiting:
    """The part of the pool where threads wait. Shares the pool's lock."""

    _lock: threading.Lock

    def __init__(self) -> None:
        self._waiters: set[Waiter] = set()

    def wait(self, slots: Iterable[Slot], is_due: Callable[[], bool], timeout: float) -> None:
        """Block until `is_due()` or a payload for one of the slots arrives, at most `timeout` seconds.

        `is_due` is asked under the pool's lock, after the thread is registered: nothing is missed in between.
        """
        waiter = Waiter()
        slots = list(slots)
        with self._lock:
            if is_due():
                return
            for slot in slots:
                slot.waiters.append(waiter)
                slot.is_attended = True
            self._waiters.add(waiter)
        try:
            waiter.wait(timeout)
        finally:
            with self._lock:
                self._waiters.discard(waiter)
                for slot in slots:
                    if waiter in slot.waiters:
                        slot.waiters.remove(waiter)

    def wake_all(self) -> None:
        """Wake every waiting thread, to look again at what it waits for (closing, a refusal)."""
        with self._lock:
            due = [waiter for waiter in self._waiters if not waiter.is_fired]
            for waiter in due:
                waiter.is_fired = True
        for waiter in due:
            waiter.fire()


def collect_waiters(slot: Slot, fired: list[Waiter]) -> None:
    """Take the slot's waiters that are not yet going to be woken. Under the pool's lock."""
    for waiter in slot.waiters:
        if not waiter.is_fired:
            waiter.is_fired = True
            fired.append(waiter)
    slot.waiters.clear()
