"""How long the machine kept this process from running, to tell a slow SDK from a busy machine.

Linux counts for each thread how long it was ready to run and had to wait for a processor. Computing, waiting for a lock,
and waiting for another thread of the same interpreter are not in it, so it excuses nothing that the SDK does.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["Hindrance"]

_TASKS = Path("/proc/self/task")


class Hindrance:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._before = _waited()

    def seconds(self) -> float:
        """What all threads together have waited for a processor since; 0.0 where the system does not tell."""
        return sum(max(now - self._before.get(thread, 0), 0) for thread, now in _waited().items()) / 1e9


def _waited() -> dict[str, int]:
    """Thread -> nanoseconds."""
    found: dict[str, int] = {}
    for task in _TASKS.iterdir() if _TASKS.is_dir() else ():
        with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile, or the kernel does not count
            found[task.name] = int((task / "schedstat").read_text().split()[1])
    return found
