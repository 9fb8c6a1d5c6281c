"""Live events of a stream that wait behind the filling of its gaps, so that subscribers get what was missed first.

A stream may be lost again while its first gap is still being filled. Each gap has what came *after it* behind it, so
that events go out in the order in which they happened: fill, what followed, the next fill, what followed that.

No event waits for longer than its time, and no more of them wait than the hold takes: then all of the fullest stream
go, and what was missed of it comes behind them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from attrs import field

from upbit_ws.protocol.slots import Delivery, Slot
from upbit_ws.records import define
from upbit_ws.shared.locks import make_lock

__all__ = ["RecoveryHold", "Segment"]

logger = logging.getLogger("upbit_ws")


@define(eq=False)
class Segment:
    """What came after one gap and before the next one."""

    #: When (monotonic seconds) it waits no longer, filled or not.
    until: float
    waiting: list[Delivery] = field(factory=list)
    is_free: bool = False


@define(eq=False)
class _Line:
    """The segments of one slot, oldest first. New events join the last one."""

    segments: deque[Segment] = field(factory=deque)
    is_moving: bool = False

    def held(self) -> int:
        """How many events wait, and not only for their turn."""
        return sum(len(segment.waiting) for segment in self.segments if not segment.is_free)


class RecoveryHold:
    """Holds back, and lets go in order. Any thread may call anything.

    Args:
        clock: Monotonic seconds.
        deliver: Where events go that need not wait (any more).
        most: How many events wait at the most.
    """

    def __init__(self, clock: Callable[[], float], deliver: Callable[[list[Delivery]], None], most: int) -> None:
        self._clock = clock
        self._most = most
        self._deliver: Final = deliver
        #: Guards the lines and the count.
        self._lock = make_lock("recovery", 25)
        self._lines: dict[Slot, _Line] = {}
        #: How many events wait, those included that are on their way.
        self.waiting = 0

    def begin(self, slot: Slot, seconds: float) -> Segment:
        """Hold events of this slot back from now on, at most so long."""
        segment = Segment(self._clock() + seconds)
        with self._lock:
            self._lines.setdefault(slot, _Line()).segments.append(segment)
        return segment

    def pass_live(self, deliveries: list[Delivery]) -> None:
        """Deliver live events, or keep them."""
        if not self._lines:
            self._deliver(deliveries)
            return
        passing: list[Delivery] = []
        crowded: list[Slot] = []
        with self._lock:
            for delivery in deliveries:
                line = self._lines.get(delivery[0])
                (passing if line is None else line.segments[-1].waiting).append(delivery)
            self.waiting += len(deliveries) - len(passing)
            if self.waiting > self._most:
                crowded = self._free_fullest_locked()
        if passing:
            self._deliver(passing)
        for slot in crowded:
            logger.warning("! too many events of %s wait for what was missed: they go first", slot.key.symbol)
            self._move(slot)
        self.release_overdue()

    def _free_fullest_locked(self) -> list[Slot]:
        """Free the lines that hold most, until no more wait than may."""
        assert self._lock.locked()
        held = {slot: line.held() for slot, line in self._lines.items()}
        left = sum(held.values())
        freed: list[Slot] = []
        for slot, count in sorted(held.items(), key=lambda pair: -pair[1]):
            if left <= self._most:
                break
            for segment in self._lines[slot].segments:
                segment.is_free = True
            left -= count
            freed.append(slot)
        return freed

    def release(self, slot: Slot, segment: Segment) -> None:
        """Deliver what came after this gap, as soon as what came after the gaps before it is delivered."""
        segment.is_free = True
        self._move(slot)

    def release_overdue(self) -> None:
        """Let go of what has waited long enough."""
        now = self._clock()
        with self._lock:
            overdue = [slot for slot, line in self._lines.items() if _free_overdue(line, now)]
        for slot in overdue:
            self._move(slot)

    def next_due(self) -> float | None:
        """When `release_overdue` will have something to do; None while nothing is held back."""
        with self._lock:
            return min(
                (one.until for line in self._lines.values() for one in line.segments if not one.is_free), default=None
            )

    def _move(self, slot: Slot) -> None:
        """Deliver what is free, oldest first. One thread at a time does it; what comes in meanwhile it takes along."""
        with self._lock:
            line = self._lines.get(slot)
            if line is None or line.is_moving:
                return
            line.is_moving = True
        try:
            while waiting := self._next_free(slot, line):
                self._deliver(waiting)
        except BaseException:
            with self._lock:
                line.is_moving = False
            raise

    def _next_free(self, slot: Slot, line: _Line) -> list[Delivery]:
        """What goes out next; empty: nothing, and the line stands still again."""
        with self._lock:
            while line.segments and line.segments[0].is_free:
                first = line.segments[0]
                if first.waiting:
                    waiting, first.waiting = first.waiting, []
                    self.waiting -= len(waiting)
                    return waiting
                line.segments.popleft()
            line.is_moving = False
            if not line.segments:
                del self._lines[slot]
            return []


def _free_overdue(line: _Line, now: float) -> bool:
    """Free the segments whose time is over; whether anything can go. Called under the lock."""
    overdue = [segment for segment in line.segments if not segment.is_free and now >= segment.until]
    for segment in overdue:
        segment.is_free = True
    # The first one may be free already: then an error kept what came after it from going on.
    return bool(overdue) or (bool(line.segments) and line.segments[0].is_free and not line.is_moving)
