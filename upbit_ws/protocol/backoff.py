"""When to try again: one decision per failure, no clock and no dice of its own.

The first attempt after a loss comes at once (jitter up to 0.2 s). After that the delay is full jitter: a random point
between 0 and a ceiling that doubles from 0.5 s to 30 s, but (0.5 s apart) is no longer than the time since the first
failure: whoever was away for a moment is back in a moment, however the dice fell. What the exchange told us about the
failure (a close code, an HTTP status, a bad certificate) may raise that; the two tables below are the whole policy.

An upgrade alone proves nothing: a server that accepts and closes at once would otherwise be hammered for ever. Only
first data, or 30 stable seconds, make the next failure the first one again. Data does so once the connection has
lived for `base_delay`, so a server that greets with a snapshot and hangs up is not hammered either.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from enum import Enum, unique
from types import MappingProxyType

from upbit_ws.config import ReconnectionConfig
from upbit_ws.protocol.rate_limit import block_seconds
from upbit_ws.records import frozen

__all__ = [
    "CLOSE_POLICIES",
    "HTTP_POLICIES",
    "Backoff",
    "Failure",
    "FailureKind",
    "Policy",
    "failure_of_error_frame",
    "policy_for",
]

IDENTICAL = 5
"""So many failures of one sort without a success between are no accident: from there on `STUBBORN_FLOOR` holds."""
STUBBORN_FLOOR = 30.0
MAX_EXPONENT = 32
MAX_SORTS = 64
"""Sorts of failure counted at the most: a server that invents close codes does not fill the memory."""


@unique
class FailureKind(Enum):
    """What ended a connection or an attempt."""

    NETWORK = "network"
    """Name, address, refused, reset, truncated, deadline, no pong: also a loss without a close frame (1006)."""
    CLOSE = "close"
    """A close frame that we did not ask for; `Failure.code` is its code."""
    HTTP = "http"
    """The upgrade was answered with another status than 101; `Failure.code` is the status."""
    TLS_VERIFICATION = "tls-verification"
    """The certificate is expired, of another host or of an unknown authority."""
    PROTOCOL = "protocol"
    """The peer broke RFC 6455 or our limits; `Failure.code` is the close code we sent."""
    MUTE = "mute"
    """It answered pings but delivered nothing."""
    REQUEST_REJECTED = "request-rejected"
    """An error frame about our request; the next attempt asks for something else."""
    CREDENTIALS = "credentials"
    """An error frame saying that our token is not accepted (`INVALID_AUTH`)."""


@frozen
class Failure:
    """One failure, as much of it as matters for the delay."""

    kind: FailureKind
    code: int | None = None
    retry_after: float | None = None
    """Seconds, when the server named them (`Retry-After`)."""


@frozen
class Policy:
    """How one sort of failure bends the delay."""

    immediate: bool = True
    """Whether the first of its sort is followed by an attempt at once."""
    floor: float = 0.0
    """Least delay, seconds; the jitter comes on top."""
    extra_jitter: float = 0.0
    """Spreads a herd: so many seconds of additional jitter."""
    ceiling: float | None = None
    """Caps the growth below the configured cap."""
    slow_after_first: float | None = None
    """From the second on this is the floor: one fresh token, then no hurry. Refusals of any kind count as one."""
    counts_identical: bool = False
    """Seen `IDENTICAL` times since the last reset it is taken for permanent."""
    is_block: bool = False
    """Wait as told (429, 418) instead of backing off."""


_PLAIN = Policy()
_HERD = Policy(extra_jitter=5.0)
_BROKEN = Policy(counts_identical=True)
_CREDENTIALS = Policy(slow_after_first=30.0)
_BUSY = Policy(immediate=False, floor=5.0)
_UNHURRIED = Policy(immediate=False)

CLOSE_POLICIES: Mapping[int, Policy] = MappingProxyType(
    {
        1000: _PLAIN,  # Upbit closes so after an error frame: unasked for, it is a failure like any other
        1001: _HERD,
        1002: _BROKEN,
        1003: _BROKEN,
        1006: _PLAIN,
        1007: _BROKEN,
        1008: _CREDENTIALS,
        1009: _BROKEN,
        1010: _BROKEN,
        1011: _UNHURRIED,
        1012: _HERD,
        1013: _BUSY,
        1014: _BUSY,
    }
)
"""Close code -> policy. 3000 to 4999 (the application's own) and unknown codes are `_UNHURRIED`."""

HTTP_POLICIES: Mapping[int, Policy] = MappingProxyType(
    {
        401: _CREDENTIALS,
        403: _CREDENTIALS,
        418: Policy(is_block=True),
        429: Policy(is_block=True),
    }
)
"""HTTP status -> policy. 5xx is passing trouble; any other status is a wrong door and soon taken for permanent."""

_RATE_ERRORS: Mapping[str, int] = MappingProxyType(
    {"TOO_MANY_REQUEST": 429, "Too Many Requests": 429, "I'm a teapot": 418}
)

_BY_KIND: Mapping[FailureKind, Policy] = MappingProxyType(
    {
        FailureKind.NETWORK: _PLAIN,
        FailureKind.TLS_VERIFICATION: Policy(immediate=False, floor=30.0),
        FailureKind.PROTOCOL: _BROKEN,
        FailureKind.MUTE: _PLAIN,
        FailureKind.REQUEST_REJECTED: Policy(ceiling=2.0),
        FailureKind.CREDENTIALS: _CREDENTIALS,
    }
)


def policy_for(failure: Failure) -> Policy:
    """The row of the tables that applies to `failure`."""
    code = failure.code if failure.code is not None else 0
    if failure.kind is FailureKind.CLOSE:
        return CLOSE_POLICIES.get(code, _UNHURRIED)
    if failure.kind is FailureKind.HTTP:
        passing = _UNHURRIED if code >= 500 else Policy(immediate=False, counts_identical=True)
        return HTTP_POLICIES.get(code, passing)
    return _BY_KIND[failure.kind]


def failure_of_error_frame(name: str) -> Failure:
    """What an error frame of this name means for the delay (Upbit: the error tables of the type pages).

    Rate errors count as the HTTP status that they are named after, so they are waited out and not halved away.
    """
    if name == "INVALID_AUTH":
        return Failure(FailureKind.CREDENTIALS)
    status = _RATE_ERRORS.get(name)
    return Failure(FailureKind.REQUEST_REJECTED) if status is None else Failure(FailureKind.HTTP, status)


def _sort(failure: Failure, policy: Policy) -> Hashable:
    """What counts as the same failure again."""
    return FailureKind.CREDENTIALS if policy.slow_after_first is not None else (failure.kind, failure.code)


class Backoff:
    """The delays of one connection. Owned by one thread; `u` is a random number in [0, 1) drawn by the caller."""

    __slots__ = ("_config", "_connected_at", "_failing_since", "_has_data", "_last", "_seen", "attempt")

    def __init__(self, config: ReconnectionConfig) -> None:
        self._config = config
        self._connected_at: float | None = None
        self._failing_since = 0.0
        self._has_data = False
        self._last: Failure | None = None
        self._seen: dict[Hashable, int] = {}  # sort of failure -> how often since the last reset
        self.attempt = 0
        """Failures since the delay was last reset."""

    def connected(self, now: float) -> None:
        """The upgrade succeeded. By itself this resets nothing."""
        self._connected_at = now
        self._has_data = False

    def data(self, now: float) -> None:
        """A data message arrived; cheap enough to be told of every batch."""
        self._has_data = True
        if self.attempt and self._is_proven(now):
            self._reset()

    def failed(self, now: float, failure: Failure, u: float) -> float:
        """The connection or the attempt is over: the seconds to wait before the next attempt."""
        if self._is_proven(now):
            self._reset()
        self._connected_at = None
        self._has_data = False
        policy = policy_for(failure)
        sort = _sort(failure, policy)
        if len(self._seen) < MAX_SORTS or sort in self._seen:
            self._seen[sort] = self._seen.get(sort, 0) + 1
        self._last = failure
        if not self.attempt:
            self._failing_since = now
        self.attempt += 1
        return self._delay(failure, policy, now - self._failing_since, u)

    @property
    def is_refused(self) -> bool:
        """Whether the last failure is one that trying again hardly heals: credentials, a certificate, a wrong door.

        A first refusal of credentials is not one yet: the next attempt carries a fresh token.
        """
        if self._last is None:
            return False
        if self._last.kind is FailureKind.TLS_VERIFICATION:
            return True
        policy = policy_for(self._last)
        if policy.slow_after_first is not None:
            return self._times(self._last, policy) > 1
        return policy.counts_identical and self._times(self._last, policy) >= IDENTICAL

    @property
    def last_failure(self) -> Failure | None:
        """The most recent failure since the last reset."""
        return self._last

    def _times(self, failure: Failure, policy: Policy) -> int:
        return self._seen.get(_sort(failure, policy), 1)

    def _delay(self, failure: Failure, policy: Policy, lasted: float, u: float) -> float:
        times = self._times(failure, policy)
        if policy.is_block:
            block = block_seconds(failure.code or 429, failure.retry_after, times - 1)
            return min(block * (1.0 + 0.1 * u), max(block, 600.0))  # never earlier than told, never all at once
        delay = policy.floor + u * policy.extra_jitter
        if policy.immediate and self.attempt == 1:
            return delay + u * self._config.first_jitter
        if policy.slow_after_first is not None:
            if times == 1:
                return delay + u * self._config.first_jitter
            delay = policy.slow_after_first
        if policy.counts_identical and times >= IDENTICAL:
            delay = STUBBORN_FLOOR
        return delay + u * self._ceiling(policy, lasted)

    def _ceiling(self, policy: Policy, lasted: float) -> float:
        """Full jitter's upper end: base, 2 base, 4 base, ... up to the cap, or to what the trouble has `lasted`."""
        base, steps = self._config.base_delay, min(self.attempt - (2 if policy.immediate else 1), MAX_EXPONENT)
        ceiling = min(base * 2.0 ** max(steps, 0), max(base, lasted), self._config.max_delay)
        return ceiling if policy.ceiling is None else min(ceiling, policy.ceiling)

    def _is_proven(self, now: float) -> bool:
        if self._connected_at is None:
            return False
        lived = now - self._connected_at
        return lived >= self._config.stable_after or (self._has_data and lived >= self._config.base_delay)

    def _reset(self) -> None:
        self.attempt = 0
        self._seen.clear()
        self._last = None

    def __repr__(self) -> str:
        return f"<Backoff attempt={self.attempt} last={self._last}>"
