"""The limiter as REST calls see it: wait for a grant, learn from the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from upbit_ws.exceptions import ClientClosedError, RateLimitedError
from upbit_ws.protocol.http import parse_retry_after
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter
from upbit_ws.shared.waiting import Signal

__all__ = ["RestBudget"]


class RestBudget:
    """Keeps the REST calls of one thread within the limits that all connections of the process share.

    Args:
        patience: The longest wait (seconds) for a grant; a longer one refuses the call instead.
    """

    def __init__(
        self, limiter: UpbitRateLimiter, clock: Callable[[], float], wall: Callable[[], float], patience: float
    ) -> None:
        self._limiter = limiter
        self._clock = clock
        self._wall = wall
        self._patience = patience
        self._signal = Signal()
        self._is_stopping = False

    def acquire(self, group: str) -> None:
        """Return when one call of `group` may be made.

        Raises:
            RateLimitedError: that would take longer than `patience`.
            ClientClosedError: `stop` was called.
        """
        while not self._is_stopping:
            wait = self._limiter.reserve(group, self._clock())
            if wait <= 0:
                return
            if wait > self._patience:
                raise RateLimitedError(wait, status=429, group=group)
            self._signal.wait(wait)
        raise ClientClosedError("manager")

    def on_response(self, group: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn what the exchange says about the budget."""
        now = self._clock()
        if status in (418, 429):
            self._limiter.penalize(group, status, parse_retry_after(headers.get("retry-after"), self._wall()), now)
        else:
            self._limiter.feedback(group, headers.get("remaining-req"), now)

    def stop(self) -> None:
        """Refuse whoever waits."""
        self._is_stopping = True
        self._signal.set()
