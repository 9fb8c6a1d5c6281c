"""The request budgets of this process, shared by all of its connections and REST calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from upbit_ws.config import RateLimitConfig
from upbit_ws.protocol.rate_limit import GROUPS, RateGroup, parse_remaining_req
from upbit_ws.shared.locks import make_lock

__all__ = ["Limits", "LocalBackend", "RateBackend", "UpbitRateLimiter", "limits_for"]

Limits = Mapping[str, tuple[tuple[int, float], ...]]

_DEFAULT_GROUP = "default"
_REST_QUOTATION = ("market", "candle", "trade", "ticker", "orderbook")
MAX_SCOPES = 256
"""Scoped budgets kept at once, the oldest is dropped first. Only `websocket-message` has any: one per connection."""


class RateBackend(Protocol):
    """Where the budgets are kept. Every method is quick, does not wait, and is called under the limiter's lock."""

    def reserve(self, group: str, scope: str, now: float) -> float:
        """0.0 when granted (and counted), else the seconds after which to ask again."""

    def penalize(self, group: str, scope: str, status: int, retry_after: float | None, now: float) -> float:
        """The exchange answered 429 or 418: until when (monotonic seconds) nothing is granted."""

    def narrow(self, group: str, scope: str, left: int, now: float) -> None:
        """The exchange says that only `left` remain in the current second."""

    def forget(self, group: str, scope: str) -> None:
        """The scope (a connection) is over."""


def limits_for(config: RateLimitConfig) -> Limits:
    """The published table with the limits of the configuration in it."""
    rest = dict.fromkeys(_REST_QUOTATION, ((config.rest_per_second, 1.0),))
    return {
        **GROUPS,
        **rest,
        "websocket-connect": ((config.connects_per_second, 1.0),),
        "websocket-message": ((config.messages_per_second, 1.0), (config.messages_per_minute, 60.0)),
    }


class LocalBackend:
    """Budgets in the memory of this process."""

    def __init__(self, limits: Limits = GROUPS) -> None:
        self._limits = limits
        self._groups: dict[str, RateGroup] = {}  # as many as the table has rows
        self._scoped: dict[tuple[str, str], RateGroup] = {}

    def reserve(self, group: str, scope: str, now: float) -> float:
        """See `RateBackend`."""
        return self._group(group, scope).reserve(now)

    def penalize(self, group: str, scope: str, status: int, retry_after: float | None, now: float) -> float:
        """See `RateBackend`."""
        return self._group(group, scope).penalize(status, retry_after, now)

    def narrow(self, group: str, scope: str, left: int, now: float) -> None:
        """See `RateBackend`."""
        self._group(group, scope).narrow(left, now)

    def forget(self, group: str, scope: str) -> None:
        """See `RateBackend`."""
        self._scoped.pop((group, scope), None)

    def _group(self, name: str, scope: str) -> RateGroup:
        name = name if name in self._limits else _DEFAULT_GROUP
        known = self._scoped.get((name, scope)) if scope else self._groups.get(name)
        if known is not None:
            return known
        fresh = RateGroup.of(self._limits[name])
        if not scope:
            self._groups[name] = fresh
            return fresh
        if len(self._scoped) >= MAX_SCOPES:
            del self._scoped[next(iter(self._scoped))]
        self._scoped[name, scope] = fresh
        return fresh

    def group(self, name: str) -> RateGroup:
        """The budget of a whole group, for a backend that keeps it elsewhere as well."""
        return self._group(name, "")


class UpbitRateLimiter:
    """Ask before sending: `reserve` grants or says how long to wait. It never waits itself.

    Groups are those of Upbit's rate-limits page (`GROUPS`); an unknown one counts as `default`. A scope tells budgets
    of one group apart: messages count per connection, so `websocket-message` is reserved with the connection's name.

    Args:
        config: The limits; None takes the published ones.
        backend: Where to keep the budgets instead of this process's memory, to share them with other processes.
    """

    def __init__(self, config: RateLimitConfig | None = None, *, backend: RateBackend | None = None) -> None:
        #: Guards the backend.
        self._lock = make_lock("rate-limiter", 10)
        self._backend = backend if backend is not None else LocalBackend(limits_for(config or RateLimitConfig()))

    def reserve(self, group: str, now: float, *, scope: str = "") -> float:
        """0.0 when granted (and counted), else the seconds after which to ask again."""
        with self._lock:
            return self._backend.reserve(group, scope, now)

    def penalize(self, group: str, status: int, retry_after: float | None, now: float, *, scope: str = "") -> float:
        """The exchange answered 429 or 418: nothing of the group is granted until the returned moment.

        `retry_after`: the stated seconds, clamped to 1 s ... 10 min; without them the block grows on repetition.
        """
        with self._lock:
            return self._backend.penalize(group, scope, status, retry_after, now)

    def feedback(self, group: str, remaining_req: str | None, now: float, *, scope: str = "") -> None:
        """A reply carried `Remaining-Req`: others behind this address may have used a part of the budget.

        The group that the header names counts; `group` is what was asked, for a header that does not parse.
        """
        remaining = parse_remaining_req(remaining_req)
        if remaining is None:
            return
        with self._lock:
            self._backend.narrow(remaining.group if remaining.group in GROUPS else group, scope, remaining.sec, now)

    def forget(self, group: str, *, scope: str) -> None:
        """A connection is over: its budget of messages goes with it."""
        with self._lock:
            self._backend.forget(group, scope)
