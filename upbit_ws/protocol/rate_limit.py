"""How often may something be sent? Sliding windows that are never exceeded.

A grant is recorded at the moment it is given; a window of `limit` per `period` seconds grants only when fewer than
`limit` grants lie within the last `period`. Upbit counts at its own door, after a network that squeezes what was sent
evenly, so the table's windows are stretched by `SLACK`: the fifth and the tenth request of a second cannot arrive
within one of its seconds.

Source of the limits: Upbit's rate-limits page (2026-09) and its notice on requests with an `Origin` header.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from upbit_ws.records import frozen

__all__ = [
    "GROUPS",
    "SLACK",
    "GroupState",
    "RateGroup",
    "RateWindow",
    "RemainingRequests",
    "block_seconds",
    "parse_remaining_req",
]

SLACK = 0.1
"""Seconds added to every period, for the jitter between here and the exchange."""

MIN_BLOCK = 1.0
MAX_BLOCK = 600.0
"""A block lasts between a second and ten minutes, whatever a header says."""
TEAPOT_BLOCK = 60.0
"""HTTP 418 means the address or the key is blocked; less than a minute is never tried."""
FORGIVEN_AFTER = 600.0
"""So long after the end of a block the next one counts as the first again."""

GROUPS: Mapping[str, tuple[tuple[int, float], ...]] = MappingProxyType(
    {
        "websocket-connect": ((5, 1.0),),
        "websocket-message": ((5, 1.0), (100, 60.0)),  # per connection
        "market": ((10, 1.0),),
        "candle": ((10, 1.0),),
        "trade": ((10, 1.0),),
        "ticker": ((10, 1.0),),
        "orderbook": ((10, 1.0),),
        "default": ((30, 1.0),),
        "order": ((12, 1.0),),
        "order-test": ((8, 1.0),),
        "order-cancel-all": ((1, 2.0),),
        "origin": ((1, 10.0),),
    }
)
"""Group name -> its windows as (limit, seconds). All windows of a group hold at once."""


class RateWindow:
    """At most `limit` grants within any `period` (+ `slack`) seconds."""

    __slots__ = ("_grants", "_span", "limit", "period")

    def __init__(self, limit: int, period: float, *, slack: float = SLACK) -> None:
        if limit < 1 or period <= 0 or slack < 0:
            raise ValueError(f"a window needs limit >= 1, period > 0 and slack >= 0, not {limit}, {period}, {slack}")
        self.limit = limit
        self.period = period
        self._span = period + slack
        self._grants: deque[float] = deque()  # never longer than `limit`: older grants cannot matter

    def wait(self, now: float) -> float:
        """Seconds until this window would grant; 0.0 when it would at once."""
        if len(self._grants) < self.limit:
            return 0.0
        # Never negative, and never more than a span even if `now` were to run backwards.
        return min(max(self._grants[0] + self._span - now, 0.0), self._span)

    def record(self, now: float) -> None:
        """Something counts against this window as of `now`."""
        if len(self._grants) == self.limit:
            self._grants.popleft()
        self._grants.append(now)

    def left(self, now: float) -> int:
        """How many grants this window would give at `now`."""
        return self.limit - sum(1 for granted in self._grants if granted + self._span > now)

    def reset(self) -> None:
        """Forget all grants."""
        self._grants.clear()

    @property
    def grants(self) -> tuple[float, ...]:
        """When the grants that still matter were given, oldest first."""
        return tuple(self._grants)

    def restore(self, grants: Iterable[float], now: float) -> None:
        """Take over the grants of another holder of the same window.

        Its clock is the same one, read a moment later perhaps; what lies further in the future is of another clock.
        """
        self._grants.clear()
        self._grants.extend(sorted(granted for granted in grants if granted <= now + self._span)[-self.limit :])

    def narrow(self, now: float, left: int) -> None:
        """The exchange says that only `left` remain: somebody else behind the same address used the others."""
        for _ in range(self.left(now) - max(left, 0)):
            self.record(now)


class RateGroup:
    """All windows of one group, and whether the exchange has blocked it."""

    __slots__ = ("_blocked_until", "_strikes", "_windows")

    def __init__(self, windows: Iterable[RateWindow]) -> None:
        self._windows = tuple(windows)
        self._blocked_until = float("-inf")
        self._strikes = 0

    @classmethod
    def of(cls, limits: Iterable[tuple[int, float]], *, slack: float = SLACK) -> RateGroup:
        """A group from its row in `GROUPS`."""
        return cls(RateWindow(limit, period, slack=slack) for limit, period in limits)

    @property
    def blocked_until(self) -> float:
        """Until when nothing is granted, whatever the windows say; -inf when never blocked."""
        return self._blocked_until

    def wait(self, now: float) -> float:
        """Seconds until everything in this group would grant. Records nothing."""
        blocked = max(self._blocked_until - now, 0.0)
        return max((blocked, *(window.wait(now) for window in self._windows)))

    def reserve(self, now: float) -> float:
        """0.0 and the grant is recorded, or the seconds after which to ask again and nothing is recorded."""
        wait = self.wait(now)
        if wait == 0.0:
            for window in self._windows:
                window.record(now)
        return wait

    def block(self, until: float) -> None:
        """Grant nothing before `until`. A block never shortens an earlier one."""
        self._blocked_until = max(self._blocked_until, until)

    def penalize(self, status: int, retry_after: float | None, now: float) -> float:
        """The exchange answered 429 or 418: block as told, longer at each repetition. Returns the end of the block."""
        if now - self._blocked_until > FORGIVEN_AFTER:
            self._strikes = 0
        self.block(now + block_seconds(status, retry_after, self._strikes))
        self._strikes += 1
        return self._blocked_until

    def narrow(self, left: int, now: float) -> None:
        """`Remaining-Req` said `sec=left`: count the others' requests as ours in the one-second windows."""
        for window in self._windows:
            if window.period == 1.0:
                window.narrow(now, left)

    def reset(self) -> None:
        """Forget grants, not blocks: the group belongs to a new connection whose budget is untouched."""
        for window in self._windows:
            window.reset()

    def state(self) -> GroupState:
        """Everything that another holder of this group needs to go on."""
        return GroupState(
            {window.period: window.grants for window in self._windows}, self._blocked_until, self._strikes
        )

    def restore(self, state: GroupState, now: float) -> None:
        """Go on from what another holder of this group has left. A block that no exchange gives is of another clock."""
        for window in self._windows:
            window.restore(state.grants.get(window.period, ()), now)
        self._blocked_until = state.blocked_until if state.blocked_until <= now + MAX_BLOCK else float("-inf")
        self._strikes = state.strikes


@frozen
class GroupState:
    """A group at one moment: the grants of its windows by their periods, the end of its block, and how many it had."""

    grants: Mapping[float, tuple[float, ...]]
    blocked_until: float = float("-inf")
    strikes: int = 0


def block_seconds(status: int, retry_after: float | None, strikes: int) -> float:
    """For how long to keep away after 429 or 418, having been told so `strikes` times before.

    A stated time is taken as it is, within 1 s to 10 min (and not under a minute for 418). Without one it is 1, 2, 4,
    ... seconds for 429 and 60, 120, 240, ... for 418: Upbit's blocks grow on repetition.
    """
    floor = TEAPOT_BLOCK if status == 418 else MIN_BLOCK
    if retry_after is None or math.isnan(retry_after):
        retry_after = floor * 2.0 ** min(strikes, 16)
    return min(max(retry_after, floor), MAX_BLOCK)


@frozen
class RemainingRequests:
    """What a `Remaining-Req` header says."""

    group: str
    sec: int
    """Requests left in the current second."""
    min: int | None = None
    """Deprecated by Upbit and fixed; None when absent."""


_PAIR = re.compile(r"\s*([a-zA-Z_-]+)\s*=\s*([\w-]+)\s*\Z")


def parse_remaining_req(header: str | None) -> RemainingRequests | None:
    """`"group=default; min=1800; sec=29"` as a record; None when the header is missing or reads differently.

    The upgrade reply names its group `websocket` (measured on the wire); that is `websocket-connect` here.
    """
    if not header or len(header) > 200:
        return None
    pairs = {match[1]: match[2] for match in map(_PAIR.match, header.split(";")) if match}
    group, sec, minute = pairs.get("group"), pairs.get("sec", ""), pairs.get("min", "")
    if group is None or not _is_count(sec):
        return None
    name = "websocket-connect" if group == "websocket" else group
    return RemainingRequests(name, int(sec), int(minute) if _is_count(minute) else None)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9
