"""What happens to events that come faster than a subscriber takes them: one class per strategy, one line to register
it.

A *backlog* holds what waits for one subscriber and decides what to do when too much does. It belongs to one mailbox,
which calls it under its lock: quick, no waiting, no calls out. `docs/extending.md` adds a strategy step by step.

=============== =======================================================================================================
CONFLATE        keeps the newest event of each stream (of candles: of each candle), in the place of the one it replaces
DROP_OLDEST     makes room by letting go of the oldest
DROP_NEWEST     refuses what does not fit
BLOCK           lets as much again wait for up to `deadline` seconds, then makes room by letting go of the oldest
DISCONNECT      refuses what does not fit, and the subscription ends
RAISE           makes room by letting go of the oldest, and the subscription's error handler gets a `BackpressureError`
=============== =======================================================================================================
"""

# ruff: noqa: ARG002  # `put` has one signature for all strategies; only some of them look at the time

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any, ClassVar, Protocol, TypeVar

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.types import BackpressureStrategy

__all__ = [
    "Backlog",
    "Conflate",
    "Consequence",
    "Queued",
    "backlog_for",
    "known_strategy",
    "register_strategy",
    "strategy_names",
]


class Queued(Protocol):
    """What waits: of two with the same `identity` the later one tells everything that the earlier one did."""

    identity: Hashable


_B = TypeVar("_B", bound="type[Backlog]")


class Consequence(Enum):
    """What follows when a backlog begins to lose events, besides counting them and one `SlowConsumer` event."""

    NOTHING = "nothing"
    DISCONNECT = "disconnect"  # the subscription ends; its error handler gets the BackpressureError
    RAISE = "raise"  # its error handler gets a BackpressureError, and it goes on


class Backlog:
    """First in, first out, without a bound: the base of the strategies. They override `put`.

    Args:
        size: How many may wait.
        deadline: For strategies that put up with more for a while: how long, in seconds.
    """

    consequence: ClassVar[Consequence] = Consequence.NOTHING

    def __init__(self, size: int, deadline: float = 0.0) -> None:
        self.size = size
        self.deadline = deadline
        #: What waits, oldest first.
        self.items: deque[Queued] = deque()
        #: Counted by `put`: replaced by a newer one, and lost.
        self.conflated = 0
        self.dropped = 0

    def put(self, item: Queued, now: float) -> bool:
        """Take in one more; `now` is in monotonic seconds. True where something was lost for want of room."""
        self.items.append(item)
        return False

    def take(self) -> Any:
        """What has waited longest, as it was put in; None where nothing waits."""
        return self.items.popleft() if self.items else None

    def clear(self) -> int:
        """Let go of everything that waits; how much that was."""
        count = len(self)
        self.items.clear()
        return count

    def __len__(self) -> int:
        return len(self.items)


_strategies: dict[str, type[Backlog]] = {}


def register_strategy(name: str) -> Callable[[_B], _B]:
    """Make a class of backlogs known under a name, which then fits wherever a strategy is asked for.

    Raises:
        InvalidArgumentError: the name is taken.
    """

    def register(backlog: _B) -> _B:
        if name in _strategies:
            raise InvalidArgumentError("name", f"{name!r} is a strategy already", "another name")
        _strategies[str(name)] = backlog
        return backlog

    return register


def strategy_names() -> tuple[str, ...]:
    """The names of all strategies."""
    return tuple(_strategies)


def known_strategy(value: object, argument: str = "strategy") -> BackpressureStrategy | str:
    """The strategy meant by a member, its name, or the name of one that was registered.

    Raises:
        InvalidArgumentError: there is none of that name.
    """
    if isinstance(value, str):
        if value.lower() in BackpressureStrategy._value2member_map_:
            return BackpressureStrategy(value.lower())
        if value in _strategies:
            return value
    raise InvalidArgumentError(
        argument, f"must be one of {', '.join(map(repr, _strategies))}, got {value!r}",
        f"{argument}=BackpressureStrategy.DROP_OLDEST",
    )  # fmt: skip


def backlog_for(strategy: BackpressureStrategy | str, size: int, deadline: float = 0.0) -> Backlog:
    """An empty backlog with this strategy."""
    return _strategies[known_strategy(strategy)](size, deadline)


@register_strategy(BackpressureStrategy.DROP_OLDEST)
class DropOldest(Backlog):
    """Keeps the newest `size` events."""

    def put(self, item: Queued, now: float) -> bool:
        is_full = len(self.items) >= self.size
        if is_full:
            self.items.popleft()
            self.dropped += 1
        self.items.append(item)
        return is_full


@register_strategy(BackpressureStrategy.DROP_NEWEST)
class DropNewest(Backlog):
    """Keeps what came first."""

    def put(self, item: Queued, now: float) -> bool:
        if len(self.items) >= self.size:
            self.dropped += 1
            return True
        self.items.append(item)
        return False


@register_strategy(BackpressureStrategy.DISCONNECT)
class Disconnect(DropNewest):
    """Has no use for a subscriber that does not keep up."""

    consequence = Consequence.DISCONNECT


@register_strategy(BackpressureStrategy.RAISE)
class Raise(DropOldest):
    """Lets the subscriber know that it does not keep up."""

    consequence = Consequence.RAISE


@register_strategy(BackpressureStrategy.BLOCK)
class Block(Backlog):
    """Loses nothing while the subscriber is back within the deadline and no more than `size` have to wait extra.

    Nobody who brings events is ever made to wait: what would block a writer waits here, in a lane of its own.
    """

    def __init__(self, size: int, deadline: float = 0.0) -> None:
        super().__init__(size, deadline)
        self._full_since: float | None = None

    def put(self, item: Queued, now: float) -> bool:
        items = self.items
        items.append(item)
        excess = len(items) - self.size
        if excess <= 0:
            self._full_since = None
            return False
        if self._full_since is None:
            self._full_since = now
        is_overdue = now - self._full_since >= self.deadline
        surplus = excess if is_overdue else excess - self.size
        for _ in range(surplus):
            items.popleft()
            self.dropped += 1
        return surplus > 0


@register_strategy(BackpressureStrategy.CONFLATE)
class Conflate(Backlog):
    """Keeps the newest event of each identity.

    It stands where the one that it replaces stood, so that no stream waits for ever behind busier ones. More than
    `size` identities make room by letting go of the oldest.
    """

    def __init__(self, size: int, deadline: float = 0.0) -> None:
        super().__init__(size, deadline)
        self._newest: dict[Hashable, Queued] = {}
        self._order: deque[Hashable] = deque()

    def put(self, item: Queued, now: float) -> bool:
        newest, identity = self._newest, item.identity
        if identity in newest:
            newest[identity] = item
            self.conflated += 1
            return False
        is_full = len(newest) >= self.size
        if is_full:
            del newest[self._order.popleft()]
            self.dropped += 1
        newest[identity] = item
        self._order.append(identity)
        return is_full

    def take(self) -> Any:
        return self._newest.pop(self._order.popleft()) if self._order else None

    def clear(self) -> int:
        count = len(self._order)
        self._newest.clear()
        self._order.clear()
        return count

    def __len__(self) -> int:
        return len(self._order)
