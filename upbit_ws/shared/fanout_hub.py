"""One event in, as many mailboxes as want it out. Whoever brings events is never made to wait for a subscriber.

`publish` may be called by any thread: the I/O threads bring what they filed, the recovery thread what it fetched. It
looks up the routing table, puts the batch into each subscriber's mailbox (one short lock each), and has the workers
called for those that were idle. Nothing is decoded here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from attrs import evolve

from upbit_ws.metrics import DataDistributionStats, SubscriberStats
from upbit_ws.protocol.data_routing_engine import DataRoutingEngine
from upbit_ws.protocol.delivery import Delivery
from upbit_ws.shared.locks import make_lock
from upbit_ws.shared.metrics import Histogram
from upbit_ws.shared.subscriber import Subscriber
from upbit_ws.types import StreamKey

__all__ = ["DataDistributionStats", "FanoutHub"]

_NOBODY: tuple[Subscriber, ...] = ()
_SUMS = ("received", "delivered", "conflated", "dropped", "queued", "exceptions", "undecodable")


class FanoutHub:
    """Subscribers, their routes and their figures.

    Args:
        schedule: Puts a subscriber on the workers' queue.
        on_loss: Told when a subscriber begins to lose events, once per episode.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        schedule: Callable[[Subscriber], None],
        on_loss: Callable[[Subscriber], None],
        clock: Callable[[], float],
    ) -> None:
        #: Guards the replacing of the table, the subscribers, and the sums of those that are gone.
        self._lock = make_lock("fanout-hub", 45)
        self._routes: DataRoutingEngine[Subscriber] = DataRoutingEngine()
        self._subscribers: dict[str, Subscriber] = {}
        self._schedule = schedule
        self._on_loss = on_loss
        self._clock = clock
        self._gone = DataDistributionStats()
        self._gone_delay = Histogram()
        self._gone_duration = Histogram()
        #: Ended, but perhaps in the middle of a call whose result is still to be counted.
        self._leaving: list[Subscriber] = []
        self._published = 0

    def __repr__(self) -> str:
        return f"<FanoutHub {len(self._subscribers)} subscribers of {len(self._routes)} streams>"

    # -- events -------------------------------------------------------------------------------------------------------

    def publish(self, deliveries: Sequence[Delivery]) -> None:
        """Bring events to all who subscribed to them, in this order."""
        if not deliveries:
            return
        now = self._clock()
        with self._lock:
            self._published += len(deliveries)
            routes = self._routes
        if routes.by_type:
            targets = [routes.subscribers(delivery.key) for delivery in deliveries]
        else:
            look_up = routes.by_key.get
            targets = [look_up(delivery.key, _NOBODY) for delivery in deliveries]
        first = targets[0]
        if targets.count(first) == len(targets):
            for subscriber in first:
                self.post(subscriber, deliveries, now)
            return
        batches: dict[Subscriber, list[Delivery]] = {}
        for delivery, subscribers in zip(deliveries, targets, strict=True):
            for subscriber in subscribers:
                batch = batches.get(subscriber)
                if batch is None:
                    batch = batches[subscriber] = []
                batch.append(delivery)
        for subscriber, batch in batches.items():
            self.post(subscriber, batch, now)

    def post(self, subscriber: Subscriber, deliveries: Sequence[Delivery], now: float) -> None:
        """Bring events to one subscriber."""
        posted = subscriber.accept(deliveries, now)
        if posted.wakes:
            self._schedule(subscriber)
        if posted.begins_to_lose:
            self._on_loss(subscriber)

    # -- subscribers --------------------------------------------------------------------------------------------------

    def reroute(self, subscriber: Subscriber, added: Collection[StreamKey], removed: Collection[StreamKey]) -> None:
        """`subscriber` gets these streams as well, and those no more."""
        with self._lock:
            if not subscriber.is_over:
                self._subscribers[subscriber.id] = subscriber
            self._routes = self._routes.rerouted(subscriber, added, removed)

    def detach(self, subscriber: Subscriber, keys: Collection[StreamKey]) -> None:
        """It gets nothing any more; `keys` are its routes. Its figures stay in the sums."""
        subscriber.end()
        with self._lock:
            if self._subscribers.pop(subscriber.id, None) is not None:
                self._routes = self._routes.rerouted(subscriber, (), keys)
                self._leaving.append(subscriber)
        self._settle()

    def subscribers(self) -> tuple[Subscriber, ...]:
        """All that get events."""
        with self._lock:
            return tuple(self._subscribers.values())

    @property
    def routes(self) -> DataRoutingEngine[Subscriber]:
        """The table of this moment."""
        return self._routes

    # -- figures ------------------------------------------------------------------------------------------------------

    def statistics(self) -> DataDistributionStats:
        """What became of all events so far."""
        self._settle()
        with self._lock:
            open_ones = tuple(self._subscribers.values())
            present = (*open_ones, *self._leaving)
            gone, published = self._gone, self._published
            delays, durations = [self._gone_delay], [self._gone_duration]
        each = {subscriber: subscriber.stats() for subscriber in present}
        delay = Histogram.merged([*delays, *(subscriber.delay for subscriber in present)])
        duration = Histogram.merged([*durations, *(subscriber.duration for subscriber in present)])
        return evolve(
            _summed([gone, *each.values()]),
            published=published,
            delay_p50=delay.quantile(0.5),
            delay_p99=delay.quantile(0.99),
            callback_p50=duration.quantile(0.5),
            callback_p99=duration.quantile(0.99),
            subscribers=tuple(each[subscriber] for subscriber in open_ones),
        )

    def _settle(self) -> None:
        """Add up those that ended and that no worker has any more: their figures are final."""
        with self._lock:
            leaving = tuple(self._leaving)
        final = [(subscriber, subscriber.stats()) for subscriber in leaving if not subscriber.mailbox.is_scheduled]
        if not final:
            return
        with self._lock:
            new = [(subscriber, stats) for subscriber, stats in final if subscriber in self._leaving]
            self._leaving = [one for one in self._leaving if not any(one is subscriber for subscriber, _ in new)]
            self._gone = _summed([self._gone, *(stats for _, stats in new)])
            self._gone_delay = Histogram.merged([self._gone_delay, *(one.delay for one, _ in new)])
            self._gone_duration = Histogram.merged([self._gone_duration, *(one.duration for one, _ in new)])


def _summed(figures: Sequence[DataDistributionStats | SubscriberStats]) -> DataDistributionStats:
    return DataDistributionStats(
        **{name: sum(getattr(one, name) for one in figures) for name in _SUMS},
        queued_highest=max(one.queued_highest for one in figures),
        callback_seconds=sum(one.callback_seconds for one in figures),
    )
