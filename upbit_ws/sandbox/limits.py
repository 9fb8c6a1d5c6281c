"""
Request limits, as the exchange counts them. Pure: the time is an argument, in seconds of any clock that does not go
back.

Source: Upbit's rate-limits page. The first refusals are HTTP 429; who goes on regardless is blocked, with HTTP 418,
for a time
that grows with every repetition. How long exactly is not published; the times here are this sandbox's own.
"""

from __future__ import annotations

from enum import Enum

from attrs import define, frozen

__all__ = ["Gate", "Limit", "Verdict", "Window"]


class Verdict(Enum):
    """What becomes of a request."""

    PASS = 200
    TOO_MANY = 429
    BLOCKED = 418


@frozen
class Limit:
    """`count` requests in each window of `period` seconds."""

    count: int
    period: float = 1.0


class Window:
    """
    Counts in windows that begin at whole multiples of the period, as `sec` in `Remaining-Req` is what a second has
    left.
    """

    __slots__ = ("_index", "_limit", "_used")

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._index = -1
        self._used = 0

    def take(self, now: float) -> bool:
        """Count a request; whether it was within the limit."""
        index = int(now // self._limit.period)
        if index != self._index:
            self._index, self._used = index, 0
        self._used += 1
        return self._used <= self._limit.count

    def left(self, now: float) -> int:
        """Requests left in the window of `now`."""
        used = self._used if int(now // self._limit.period) == self._index else 0
        return max(self._limit.count - used, 0)


@define
class _Offender:
    """Who was refused lately: how often, and what came of it."""

    refusals: int = 0
    last_refusal: float = float("-inf")
    blocks: int = 0
    blocked_until: float = float("-inf")


class Gate:
    """
    One group of limits for any number of callers.

    Args:
        limits: all must hold.
        patience: refusals in a row before the caller is blocked.
        block: seconds of the first block; each further one is twice as long.
        forgive: seconds without a refusal after which all is forgotten.
    """

    def __init__(
        self, limits: tuple[Limit, ...], *, patience: int = 5, block: float = 10.0, forgive: float = 60.0
    ) -> None:
        self._limits = limits
        self._patience = patience
        self._block = block
        self._forgive = forgive
        self._windows: dict[str, tuple[Window, ...]] = {}
        self._offenders: dict[str, _Offender] = {}

    def ask(self, caller: str, now: float) -> Verdict:
        """Count a request of `caller` and judge it."""
        offender = self._offenders.get(caller)
        if offender is not None and now < offender.blocked_until:
            return Verdict.BLOCKED
        windows = self._windows.get(caller)
        if windows is None:
            windows = self._windows[caller] = tuple(Window(limit) for limit in self._limits)
        # Every window counts, also when another one already refuses.
        if sum(window.take(now) for window in windows) == len(windows):
            return Verdict.PASS
        return self._refuse(caller, now)

    def _refuse(self, caller: str, now: float) -> Verdict:
        offender = self._offenders.setdefault(caller, _Offender())
        if now - max(offender.last_refusal, offender.blocked_until) > self._forgive:
            offender.refusals = offender.blocks = 0
        offender.refusals += 1
        offender.last_refusal = now
        if offender.refusals <= self._patience:
            return Verdict.TOO_MANY
        offender.blocked_until = now + self._block * 2**offender.blocks
        offender.blocks += 1
        offender.refusals = 0
        return Verdict.BLOCKED

    def left(self, caller: str, now: float) -> int:
        """What the first limit leaves to `caller` in the present window."""
        windows = self._windows.get(caller)
        return windows[0].left(now) if windows else self._limits[0].count

    def blocked_for(self, caller: str, now: float) -> float:
        """Seconds until `caller` is served again, 0 when not blocked."""
        offender = self._offenders.get(caller)
        return max(offender.blocked_until - now, 0.0) if offender else 0.0

    def forget(self, caller: str) -> None:
        """Drop what is known of a caller that is gone for good."""
        self._windows.pop(caller, None)
        self._offenders.pop(caller, None)
