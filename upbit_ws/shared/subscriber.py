"""One subscription as the hub and the workers see it: where its events wait, whom to call, what happened so far."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, Final

from attrs import field

from upbit_ws.metrics import SubscriberStats
from upbit_ws.protocol.delivery import Delivery
from upbit_ws.records import frozen
from upbit_ws.shared.mailbox import Mailbox, Posted
from upbit_ws.shared.metrics import Histogram
from upbit_ws.types import StreamKey

__all__ = [
    "DATA_LANE",
    "EVENTS_LANE",
    "Callback",
    "CallbackReference",
    "ErrorHandler",
    "Parts",
    "Subscriber",
    "Subscription",
    "name_of",
]

Callback = Callable[[Any], object]
ErrorHandler = Callable[[BaseException], object]

#: The lane of the data, and the one of events in the life of connections, which must not wait behind data.
DATA_LANE: Final = "data"
EVENTS_LANE: Final = "events"


def name_of(callback: object) -> str:
    """A callback's name for logs: `module.function` or `module.Class.method`."""
    module = getattr(callback, "__module__", None)
    name = getattr(callback, "__qualname__", None) or type(callback).__qualname__
    return f"{module}.{name}" if module else str(name)


class CallbackReference:
    """Holds a bound method weakly, so that a subscription does not keep the method's object alive; all else strongly.

    A plain weak reference to a method is dead at once, because the method object is made anew at each access.
    Functions, lambdas and closures have nobody else to hold them.
    """

    __slots__ = ("_weak", "name", "strong")

    def __init__(self, callback: Callback, on_gone: Callable[[], object]) -> None:
        self.name = name_of(callback)
        #: The callback itself, where it is held strongly.
        self.strong: Callback | None = callback
        self._weak: weakref.WeakMethod[Callback] | None = None
        if isinstance(callback, MethodType):
            # Called by the garbage collector, at any place of any thread: it may append and set flags, and no more.
            self._weak = weakref.WeakMethod(callback, lambda _: on_gone())
            self.strong = None

    def __call__(self) -> Callback | None:
        """The callback, or None when its object is gone."""
        return self.strong if self._weak is None else self._weak()


@frozen
class Parts:
    """Which parts of its streams a subscriber wants. Another's wishes may bring more than it asked for."""

    snapshot: bool = True
    realtime: bool = True
    categories: frozenset[str] | None = None
    """Of announcements; None for all."""

    @property
    def is_everything(self) -> bool:
        """Whether there is nothing to sort out."""
        return self.snapshot and self.realtime and self.categories is None


@frozen(kw_only=True)
class Subscription:
    """What a subscriber asked for and who it is. Fixed for its life."""

    subscription_id: str
    component_id: str
    token: int
    """The component, as the registry knows it."""
    lane: str = DATA_LANE
    units: int | None = None
    parts: Parts = Parts()
    component: Callable[[], object] = field(default=lambda: True, repr=False)
    """A weak reference: None when the component is gone."""


class Subscriber:
    """Made for each call of `subscribe_*`. Compared by identity."""

    def __init__(
        self,
        subscription: Subscription,
        callback: CallbackReference,
        on_error: CallbackReference | None,
        mailbox: Mailbox,
    ) -> None:
        self.subscription = subscription
        self.callback = callback
        self.on_error = on_error
        self.mailbox = mailbox
        #: Set once; checked before every call.
        self.is_over = False
        #: Written by the worker that has the mailbox.
        self.delay = Histogram()
        self.duration = Histogram()
        self.seconds = 0.0
        self.exceptions = 0
        self.undecodable = 0
        self._snapshots_seen: set[StreamKey] = set()

    def __repr__(self) -> str:
        state = "over" if self.is_over else "open"
        return f"<Subscriber {self.subscription.subscription_id} {state} {self.mailbox.counts()}>"

    @property
    def id(self) -> str:
        """The subscription's id."""
        return self.subscription.subscription_id

    def accept(self, deliveries: Sequence[Delivery], now: float) -> Posted:
        """Put what it wants of a batch into its mailbox."""
        parts = self.subscription.parts
        if parts.is_everything:
            return self.mailbox.put(deliveries, now)
        return self.mailbox.put([delivery for delivery in deliveries if self._wants(delivery, parts)], now)

    def open(self, present: Sequence[Delivery], now: float) -> Posted:
        """Let the events flow, the present values first."""
        self._snapshots_seen.update(delivery.key for delivery in present)
        return self.mailbox.open(present, now)

    def admit(self, present: Sequence[Delivery], now: float) -> Posted:
        """More streams came to it, with these present values."""
        self._snapshots_seen.update(delivery.key for delivery in present)
        return self.mailbox.admit({delivery.key: delivery for delivery in present}, now)

    def _wants(self, delivery: Delivery, parts: Parts) -> bool:
        if parts.categories is not None and getattr(delivery.event(), "category", None) not in parts.categories:
            return False
        if not delivery.is_snapshot:
            return parts.realtime
        if parts.realtime:
            return parts.snapshot
        # Each request of anybody makes the exchange send all snapshots again; who wants only a snapshot wants one.
        if delivery.key in self._snapshots_seen:
            return False
        self._snapshots_seen.add(delivery.key)
        return True

    def end(self) -> None:
        """No call begins any more."""
        self.is_over = True
        self.mailbox.close()

    def stats(self) -> SubscriberStats:
        """Its figures at this moment."""
        counts = self.mailbox.counts()
        return SubscriberStats(
            subscription_id=self.id,
            component_id=self.subscription.component_id,
            callback=self.callback.name,
            received=counts.received,
            delivered=counts.delivered,
            conflated=counts.conflated,
            dropped=counts.dropped,
            queued=counts.queued,
            queued_highest=counts.highest,
            exceptions=self.exceptions,
            undecodable=self.undecodable,
            delay_p50=self.delay.quantile(0.5),
            delay_p99=self.delay.quantile(0.99),
            callback_p50=self.duration.quantile(0.5),
            callback_p99=self.duration.quantile(0.99),
            callback_seconds=self.seconds,
        )
