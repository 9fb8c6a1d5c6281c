"""What the push side works with, and what it keeps of each subscription."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING

from attrs import field

from upbit_ws.config import BackpressureConfig
from upbit_ws.exceptions import AuthenticationError
from upbit_ws.lifecycle import ConnectionEvent
from upbit_ws.records import define, frozen
from upbit_ws.runtime.callback_workers import CallbackWorkers
from upbit_ws.shared.subscriber import Subscriber
from upbit_ws.types import DataType, Endpoint, StreamKey, SubscriptionSpec

if TYPE_CHECKING:
    from upbit_ws.shared.data_pool_manager import DataPoolManager
    from upbit_ws.shared.subscription_state_manager import SubscriptionStateManager

__all__ = ["ActiveSubscription", "Member", "PushParts"]


def _never_refused(_: DataType) -> None:
    return None


@frozen(kw_only=True)
class PushParts:
    """What the push side works with."""

    config: BackpressureConfig
    clock: Callable[[], float]
    pool: DataPoolManager
    subscriptions: SubscriptionStateManager
    wake: Callable[[Iterable[Endpoint]], None]
    """Have these endpoints look at what is wanted; the first time, connect."""
    expand: Callable[[str], Iterable[str]]
    """The codes that a pattern or code means now."""
    publish: Callable[[ConnectionEvent], None]
    refusal: Callable[[DataType], AuthenticationError | None] = _never_refused
    """Why the exchange does not accept the keys for this type, while it does not: one object for each time."""
    make_workers: Callable[..., CallbackWorkers] = CallbackWorkers


@frozen
class Member:
    """A component with callbacks."""

    component_id: str
    token: int
    component: Callable[[], object]
    """A weak reference to it."""


@define(eq=False)
class ActiveSubscription:
    """A subscription and how far it has been put into effect."""

    member: Member
    spec: SubscriptionSpec
    subscriber: Subscriber
    keys: frozenset[StreamKey] = frozenset()
    is_open: bool = False
    is_applying: bool = False
    is_dirty: bool = False
    told: set[StreamKey] = field(factory=set)
    told_refusal: AuthenticationError | None = None

    @property
    def owner(self) -> Hashable:
        """As which it has wishes."""
        return "subscription", self.subscriber.id
