"""A clock for tests."""

from __future__ import annotations


class ManualClock:
    """Call it for the time; it stands still until `advance` moves it."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Move forward by `seconds` and return the new time."""
        if seconds < 0:
            raise ValueError("monotonic time never goes back")
        self.now += seconds
        return self.now
