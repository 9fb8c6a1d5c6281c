"""What a test must put back: threads and open file descriptors.

A `Census` is taken before and compared after. Waiting is on the condition itself (a thread is joined, a descriptor is
looked at again after each join) and bounded, so a leak is reported by name instead of hanging the run.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import Counter
from pathlib import Path

from attrs import frozen

_DESCRIPTORS = Path("/proc/self/fd")
# Opened once by the interpreter or a library and rightly kept: a source of random bytes, the terminal, the null device.
_KEPT_OPEN = ("/dev/urandom", "/dev/null", "/dev/tty", "/dev/pts/")


def open_descriptors() -> Counter[str] | None:
    """Count what every open descriptor of this process points to; None where the system cannot tell.

    A target such as `socket:[81022]` is unique for as long as it is open, so two counts can be subtracted.
    """
    if not _DESCRIPTORS.is_dir():
        return None
    targets: Counter[str] = Counter()
    for name in os.listdir(_DESCRIPTORS):
        try:
            target = os.readlink(_DESCRIPTORS / name)
        except OSError:  # the descriptor of the listing itself, already closed
            continue
        if not target.startswith(_KEPT_OPEN):
            targets[target] += 1
    return targets


@frozen
class Census:
    """Threads and descriptors at one moment."""

    threads: frozenset[threading.Thread]
    descriptors: Counter[str] | None

    @classmethod
    def take(cls) -> Census:
        return cls(frozenset(threading.enumerate()), open_descriptors())

    def leaks(self, *, patience: float = 5.0) -> list[str]:
        """Say what is there now and was not then, after at most `patience` seconds of waiting for it to end."""
        deadline = time.monotonic() + patience
        for thread in self._new_threads():
            thread.join(max(0.0, deadline - time.monotonic()))
        found = [f"thread {thread.name!r} (daemon: {thread.daemon})" for thread in self._new_threads()]
        if not self._new_descriptors():
            return found
        gc.collect()  # an object in a reference cycle is closed by its finalizer, with the warning that it deserves
        return found + [f"file descriptor {target}" for target in self._new_descriptors()]

    def _new_threads(self) -> list[threading.Thread]:
        # A thread that somebody else's code started behind `threading`'s back cannot be joined and is not ours.
        return [
            thread
            for thread in threading.enumerate()
            if thread not in self.threads and thread.is_alive() and not isinstance(thread, threading._DummyThread)
        ]

    def _new_descriptors(self) -> list[str]:
        now = open_descriptors()
        if now is None or self.descriptors is None:
            return []
        return sorted((now - self.descriptors).elements())
