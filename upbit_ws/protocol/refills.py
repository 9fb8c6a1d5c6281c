"""What was filled into a log afterwards, beside its history: older than what arrived before it, and out of its order.

A history drops what arrived first. If fills went into it, a large one would push out trades that are newer than
itself. Each taken payload, live or filled, has a *revision*, the count of payloads taken when it was; by that the order
of arrival can be told although the two are kept apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

from upbit_ws.records import define

__all__ = ["Refills"]

T = TypeVar("T")


@define(eq=False)
class _Fill(Generic[T]):
    """Payloads that were filled in one after the other, with nothing live in between."""

    first: int
    last: int
    kept: deque[T]


class Refills(Generic[T]):
    """The fills of one log, of which at most `limit` payloads are kept: the newest."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._fills: list[_Fill[T]] = []

    def add(self, entry: T, revision: int) -> None:
        """A payload was filled in and is number `revision`."""
        newest = self._fills[-1] if self._fills else None
        if newest is None or newest.last != revision - 1:
            self.forget_outlived(revision - 1, self.limit)  # where nobody reads, nobody else does it
            self._trim()
            newest = _Fill(revision, revision, deque(maxlen=self.limit))
            self._fills.append(newest)
        newest.kept.append(entry)
        newest.last = revision

    def _trim(self) -> None:
        """Keep `limit` payloads of all fills together. Where the others stood stays known."""
        left = self.limit
        for fill in reversed(self._fills):
            while len(fill.kept) > left:
                fill.kept.popleft()
            left -= len(fill.kept)

    def forget_outlived(self, revision: int, live_limit: int) -> None:
        """Forget the fills that as many live payloads have followed as are kept: all that is kept is newer."""
        live = 0
        until = revision
        for place in range(len(self._fills) - 1, -1, -1):
            fill = self._fills[place]
            live += until - fill.last
            if live >= live_limit:
                del self._fills[: place + 1]
                return
            until = fill.first - 1

    def entries(self) -> list[T]:
        """What is kept of all fills."""
        return [entry for fill in self._fills for entry in fill.kept]

    def arrived_since(self, since: int, revision: int, live: Sequence[T]) -> list[T]:
        """What was taken after number `since`, in the order of arrival, as far as it is kept.

        Args:
            revision: The number of the newest payload.
            live: The live ones that are kept, oldest first.
        """
        parts: list[Sequence[T]] = []
        until = revision
        for fill in reversed(self._fills):
            if fill.last <= since:
                break
            live, behind = _split(live, until - fill.last)
            parts += [behind, list(fill.kept)[-(fill.last - max(fill.first - 1, since)) :]]
            until = max(fill.first - 1, since)
        parts.append(_split(live, until - since)[1])
        return [entry for part in reversed(parts) for entry in part]

    def __len__(self) -> int:
        return len(self._fills)


def _split(entries: Sequence[T], count: int) -> tuple[Sequence[T], Sequence[T]]:
    """All but the last `count`, and those."""
    at = max(len(entries) - max(count, 0), 0)
    return entries[:at], entries[at:]
