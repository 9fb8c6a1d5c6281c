"""The push side of a manager: subscriptions with callbacks, kept in step with routes, wishes and the pool.

A subscription stands in three places: its wishes with the `SubscriptionStateManager`, its routes with the hub, its mark
on the slots of the pool. They are brought in step one after the other, never under a common lock; two threads that
change the same subscription at once do not interleave, because the second one leaves the work to the first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from upbit_ws.backpressure import Consequence, backlog_for
from upbit_ws.client.push_parts import ActiveSubscription, Member, PushParts
from upbit_ws.client.subscription_options import CallbackOptions, keys_of, parts_of, wants_of
from upbit_ws.exceptions import BackpressureError
from upbit_ws.lifecycle import AuthenticationFailed, ConnectionEvent, RequestRejected, SlowConsumer, StuckCallback
from upbit_ws.metrics import DataDistributionStats
from upbit_ws.protocol.delivery import Delivery, Snapshot, announced, delivery_of
from upbit_ws.protocol.key_refusal import rejection_as_told
from upbit_ws.protocol.slots import Entry, Slot
from upbit_ws.runtime.callback_workers import StuckReport
from upbit_ws.shared.fanout_hub import FanoutHub
from upbit_ws.shared.locks import make_lock
from upbit_ws.shared.mailbox import Mailbox
from upbit_ws.shared.subscriber import EVENTS_LANE, Callback, CallbackReference, Subscriber, Subscription
from upbit_ws.types import BackpressureStrategy, StreamKey, SubscriptionSpec

if TYPE_CHECKING:
    pass

__all__ = ["PushSide"]

#: Events in the life of connections that may wait for one listener.
_LISTENER_MAILBOX = 1_000


class PushSide:
    """All subscriptions with callbacks of one manager, and the hub and the workers that serve them."""

    def __init__(self, parts: PushParts) -> None:
        self._parts = parts
        self.workers = parts.make_workers(parts.config, parts.clock, self._report_stuck)
        self.hub = FanoutHub(self.workers.schedule, self._on_loss, parts.clock)
        #: Guards the tables below.
        self._lock = make_lock("push", 55)
        self._active: dict[str, ActiveSubscription] = {}
        self._listeners: tuple[tuple[int, Subscriber], ...] = ()
        #: Wishes of components whose name another one took, kept until that one has said what it wants.
        self._inherited: dict[int, list[Hashable]] = {}
        self._numbers = count(1)
        #: Ids of subscriptions whose callback was collected. Filled by finalizers, which take no lock.
        self._gone: deque[str] = deque()

    # -- subscriptions ------------------------------------------------------------------------------------------------

    def subscribe(self, member: Member, spec: SubscriptionSpec, callback: Callback, options: CallbackOptions) -> str:
        """Begin to call `callback` with events of these streams; the id of the subscription."""
        config = self._parts.config
        backlog = backlog_for(
            options.strategy_for(spec.data_type, config),
            options.mailbox_size or config.mailbox_size,
            config.block_deadline,
        )
        subscription_id = self._new_id(member)
        subscriber = Subscriber(
            Subscription(
                subscription_id=subscription_id,
                component_id=member.component_id,
                token=member.token,
                units=spec.units,
                parts=parts_of(spec),
                component=member.component,
            ),
            self._reference(callback, subscription_id),
            None if options.on_error is None else self._reference(options.on_error, None),
            Mailbox(backlog),
        )
        self.workers.start(EVENTS_LANE)
        self.workers.start(subscriber.subscription.lane)
        active = ActiveSubscription(member, spec, subscriber)
        with self._lock:
            self._active[subscription_id] = active
            heirloom = self._inherited.pop(member.token, [])
        self._apply(active)
        self._tell_of_keys(active)
        self._let_go(heirloom)
        self.sweep()
        return subscription_id

    def listen(self, member: Member, callback: Callback) -> str:
        """Begin to call `callback` with events in the life of connections; an id for `unsubscribe`."""
        listener_id = self._new_id(member)
        backlog = backlog_for(BackpressureStrategy.DROP_OLDEST, _LISTENER_MAILBOX)
        subscriber = Subscriber(
            Subscription(
                subscription_id=listener_id,
                component_id=member.component_id,
                token=member.token,
                lane=EVENTS_LANE,
                component=member.component,
            ),
            self._reference(callback, listener_id),
            None,
            Mailbox(backlog),
        )
        self.workers.start(EVENTS_LANE)
        subscriber.open((), self._parts.clock())
        with self._lock:
            self._listeners = (*self._listeners, (member.token, subscriber))
        return listener_id

    def unsubscribe(self, subscription_id: str) -> bool:
        """End a subscription or a listener. No call begins after that. False where there is none of that id."""
        with self._lock:
            active = self._active.get(subscription_id)
            ended = [one for _, one in self._listeners if one.id == subscription_id]
            self._listeners = tuple(pair for pair in self._listeners if pair[1] not in ended)
        for listener in ended:
            listener.end()
        if active is None:
            return bool(ended)
        was_open = not active.subscriber.is_over
        active.subscriber.end()
        self._apply(active)
        return was_open

    def subscriptions_of(self, token: int) -> tuple[str, ...]:
        """The ids of a component's subscriptions, oldest first."""
        with self._lock:
            return tuple(id_ for id_, active in self._active.items() if active.member.token == token)

    def keys_of(self, token: int) -> frozenset[StreamKey]:
        """The streams of a component's subscriptions."""
        with self._lock:
            return frozenset(
                key for active in self._active.values() if active.member.token == token for key in active.keys
            )

    def hush(self, token: int) -> None:
        """No call of this component begins any more. Takes no lock; `end` has to follow."""
        for active in list(self._active.values()):
            if active.member.token == token:
                active.subscriber.is_over = True
        for owner, listener in self._listeners:
            if owner == token:
                listener.is_over = True

    def end(self, token: int) -> None:
        """End everything of a component."""
        with self._lock:
            listeners = [listener.id for owner, listener in self._listeners if owner == token]
            heirloom = self._inherited.pop(token, [])
        for id_ in (*self.subscriptions_of(token), *listeners):
            self.unsubscribe(id_)
        self._let_go(heirloom)

    def bequeath(self, token: int, heir: int) -> None:
        """Component `heir` takes the place of `token`: no more calls, but what it wanted stays wanted until the heir
        speaks."""
        self.hush(token)
        with self._lock:
            owners = self._inherited.pop(token, [])
            for active in self._active.values():
                if active.member.token == token:
                    owners.append(("heirloom", active.subscriber.id))
            if owners:
                self._inherited[heir] = owners
            mine = [active for active in self._active.values() if active.member.token == token]
        for active in mine:
            self._parts.subscriptions.set_wants(("heirloom", active.subscriber.id), wants_of(active.spec, active.keys))
        self.end(token)

    def _let_go(self, owners: Iterable[Hashable]) -> None:
        changed = {endpoint for owner in owners for endpoint in self._parts.subscriptions.drop_owner(owner)}
        if changed:
            self._parts.wake(changed)

    def refresh(self) -> None:
        """The list of markets has changed: patterns may mean other streams."""
        with self._lock:
            active = list(self._active.values())
        for one in active:
            self._apply(one)

    def sweep(self) -> int:
        """End subscriptions whose callback was collected; how many."""
        ended = 0
        with suppress(IndexError):  # empty: several threads may sweep at once
            while True:
                ended += self.unsubscribe(self._gone.popleft())
        return ended

    def _new_id(self, member: Member) -> str:
        return f"{member.component_id}#{next(self._numbers)}"

    def _reference(self, callback: Callback, subscription_id: str | None) -> CallbackReference:
        return CallbackReference(callback, partial(_mark_gone, self._gone, subscription_id))

    # -- putting into effect ------------------------------------------------------------------------------------------

    def _apply(self, active: ActiveSubscription) -> None:
        """Bring routes, wishes and marks in step with what the subscription is now."""
        while True:
            with self._lock:
                active.is_dirty = True
                if active.is_applying:
                    return  # whoever does it looks again
                active.is_applying, active.is_dirty = True, False
            try:
                self._put_into_effect(active)
            finally:
                with self._lock:
                    active.is_applying = False
                    is_done = not active.is_dirty
                    if is_done and active.subscriber.is_over:
                        self._active.pop(active.subscriber.id, None)
            if is_done:
                return

    def _put_into_effect(self, active: ActiveSubscription) -> None:
        subscriber, pool, subscriptions = active.subscriber, self._parts.pool, self._parts.subscriptions
        keys = frozenset() if subscriber.is_over else keys_of(active.spec, self._parts.expand)
        added, removed = keys - active.keys, active.keys - keys
        if subscriber.is_over:
            self.hub.detach(subscriber, active.keys)
        else:
            self.hub.reroute(subscriber, added, removed)
        for key in removed:
            pool.watch(key, -1)
        changed = subscriptions.set_wants(active.owner, wants_of(active.spec, keys))
        if added:
            # Also where others want them already: that one's slots may not have been made yet.
            endpoint = active.spec.data_type.endpoint
            pool.admit(endpoint, added, subscriptions.version(endpoint))
        active.keys = keys
        if not subscriber.is_over:
            self._open(active, added)
        self._parts.wake(changed)

    def _open(self, active: ActiveSubscription, added: Iterable[StreamKey]) -> None:
        """Let the events of new streams flow, what they are at now first."""
        subscriber, pool = active.subscriber, self._parts.pool
        present: list[Delivery] = []
        for key in added:
            slot = pool.watch(key, +1)
            current = slot.current if slot is not None else None
            if (
                slot is not None
                and current is not None
                # An old fill or announcement is no state that somebody who comes later has to be told.
                and key.data_type.has_snapshot
                and subscriber.subscription.parts.snapshot
                and pool.is_live(slot)
            ):
                present.append(delivery_of(key, current[0], current[1][0], Snapshot))
        present.sort(key=lambda delivery: (delivery.received_at, delivery.key.symbol))
        now = self._parts.clock()
        posted = subscriber.admit(present, now) if active.is_open else subscriber.open(present, now)
        active.is_open = True
        if posted.wakes:
            self.workers.schedule(subscriber)
        if posted.begins_to_lose:
            self._on_loss(subscriber)

    # -- events -------------------------------------------------------------------------------------------------------

    def deliver(self, filed: list[tuple[Slot, Entry]]) -> None:
        """Payloads that the pool has just filed, of slots that somebody subscribed to."""
        self.hub.publish([delivery_of(slot.key, payload, stamp[0]) for slot, (payload, stamp) in filed])

    def announce(self, event: ConnectionEvent) -> None:
        """Tell all listeners of an event in the life of a connection; what concerns one component, only that one's."""
        now = self._parts.clock()
        concerned = getattr(event, "component_id", None)
        for _, listener in self._listeners:
            if concerned is None or concerned == listener.subscription.component_id:
                self.hub.post(listener, [announced(event, now)], now)
        if isinstance(event, RequestRejected):
            self._tell_refused()
        elif isinstance(event, AuthenticationFailed):
            with self._lock:
                active = list(self._active.values())
            for one in active:
                self._tell_of_keys(one)

    def _tell_refused(self) -> None:
        """Hand what the exchange refuses to those who asked for it, once."""
        with self._lock:
            active = list(self._active.values())
        for one in active:
            refused = self._parts.subscriptions.rejections(one.owner)
            news = [error for key, error in refused.items() if key not in one.told]
            one.told = set(refused)
            if news:
                self._tell(one.subscriber, rejection_as_told(news[0]))

    def _tell_of_keys(self, active: ActiveSubscription) -> None:
        """Hand the refusal of the keys to a subscription that gets nothing because of it, once while it lasts."""
        error = self._parts.refusal(active.spec.data_type)
        with self._lock:
            is_news = error is not None and error is not active.told_refusal
            active.told_refusal = error
        if is_news and error is not None and not active.subscriber.is_over:
            self._tell(active.subscriber, error)

    def _tell(self, subscriber: Subscriber, error: Exception) -> None:
        self.workers.run(lambda: self.workers.call_error_handler(subscriber, error))

    def _on_loss(self, subscriber: Subscriber) -> None:
        """A subscriber begins to lose events. Called by whoever brought them, outside of all locks."""
        subscription, mailbox = subscriber.subscription, subscriber.mailbox
        ids = subscription.component_id, subscription.subscription_id
        if mailbox.consequence is not Consequence.NOTHING:
            error = BackpressureError(ids[0], subscription_id=ids[1], size=mailbox.size, dropped=mailbox.dropped)
            self._tell(subscriber, error)
        if mailbox.consequence is Consequence.DISCONNECT:
            subscriber.end()
            self.workers.run(lambda: self.unsubscribe(ids[1]))
        self._parts.publish(SlowConsumer(None, self._parts.clock(), *ids, mailbox.dropped))

    def _report_stuck(self, report: StuckReport) -> None:
        subscription = report.subscriber.subscription
        self._parts.publish(
            StuckCallback(
                None,
                self._parts.clock(),
                subscription.component_id,
                subscription.subscription_id,
                report.seconds,
                report.stack,
            )
        )

    def statistics(self) -> DataDistributionStats:
        """What became of all events that went to callbacks."""
        return self.hub.statistics()


def _mark_gone(gone: deque[str], subscription_id: str | None) -> None:
    """Run by the garbage collector: no lock, no logging."""
    if subscription_id is not None:
        gone.append(subscription_id)
