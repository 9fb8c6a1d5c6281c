"""A clock that moves only when told."""

from __future__ import annotations

import threading

from upbit_ws.exceptions import InvalidArgumentError

__all__ = ["ManualClock"]

#: 2026-11-22 00:00:00 UTC: a moment like any other, so that wall times in tests look like wall times.
_SOME_MOMENT = 1_795_305_600.0


class ManualClock:
    """Stands in wherever a `clock` is taken: call it for monotonic seconds, `wall` for seconds since the epoch.

    Safe to read and move from any thread.
    """

    def __init__(self, start: float = 1000.0, *, wall: float = _SOME_MOMENT) -> None:
        #: Guards both times, so that no thread sees one moved and the other not.
        self._lock = threading.Lock()
        self._now = start
        self._wall = wall

    def __call__(self) -> float:
        with self._lock:
            return self._now

    def wall(self) -> float:
        """Seconds since the epoch, UTC."""
        with self._lock:
            return self._wall

    def advance(self, seconds: float) -> float:
        """Let `seconds` pass on both clocks; return the new monotonic time."""
        if seconds < 0:
            raise InvalidArgumentError("seconds", "must not be negative: monotonic time goes forward", "set_wall()")
        with self._lock:
            self._now += seconds
            self._wall += seconds
            return self._now

    def set_wall(self, wall: float) -> None:
        """Turn the wall clock alone, as an administrator or NTP does; monotonic time stays."""
        with self._lock:
            self._wall = wall

    def __repr__(self) -> str:
        return f"ManualClock({self():g})"
