"""What is to be done later, and when. Pure: the time is an argument."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

__all__ = ["Timers"]


class Timers:
    """Calls in the order of their due times; those of one time in the order they were asked for."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Have `call` made at `when`."""
        heapq.heappush(self._heap, (when, next(self._numbers), call))

    @property
    def next_due(self) -> float | None:
        """When the first is due."""
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[Callable[[], None]]:
        """Take off what is due at `now`. What those calls ask for is not among it."""
        due: list[Callable[[], None]] = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[2])
        return due

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
