"""What waits for one subscriber: a backlog under a lock, with the counters that account for every event.

Of everything received, each event is in exactly one of these states: waiting, in the hand of a worker, delivered,
conflated or dropped. A mailbox is *scheduled* while a worker has it or is about to; it is put on the workers' queue
only when it becomes so, which is what keeps a subscriber on one worker at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from upbit_ws.backpressure import Backlog, Consequence
from upbit_ws.protocol.delivery import Delivery
from upbit_ws.records import frozen
from upbit_ws.shared.locks import make_lock
from upbit_ws.types import StreamKey

__all__ = ["Mailbox", "MailboxCounts", "Posted"]


@frozen
class MailboxCounts:
    """The counters at one moment: `received == delivered + conflated + dropped + queued`, exactly."""

    received: int
    delivered: int
    conflated: int
    dropped: int
    queued: int
    """Waiting, or in the hand of a worker that has not called yet."""
    highest: int
    """The most that ever waited."""


class Posted:
    """What has to be done, outside the lock, after something was put in."""

    __slots__ = ("begins_to_lose", "wakes")

    def __init__(self, wakes: bool, begins_to_lose: bool) -> None:
        #: Put the subscriber on the workers' queue.
        self.wakes = wakes
        #: The first loss of an episode: say so, once.
        self.begins_to_lose = begins_to_lose


_QUIET = Posted(False, False)
_WAKE = Posted(True, False)


class Mailbox:
    """Written by whoever brings events, emptied by one worker at a time.

    It starts *held*: what arrives is kept aside until `open` has put the present values in front of it.
    """

    def __init__(self, backlog: Backlog) -> None:
        #: Guards everything below but `delivered` and `discarded`, which only the worker that has the mailbox writes.
        self._lock = make_lock("mailbox", 50)
        self._backlog = backlog
        self._held: list[Delivery] | None = []
        self._gates: dict[StreamKey, Delivery] = {}
        self._is_closed = False
        self._is_scheduled = False
        self._is_losing = False
        self._received = 0
        self._taken = 0
        self._highest = 0
        self.delivered = 0
        #: Taken, and not delivered after all: it did not decode, or the subscriber was gone.
        self.discarded = 0

    @property
    def consequence(self) -> Consequence:
        """What its strategy asks for when it begins to lose events."""
        return self._backlog.consequence

    @property
    def size(self) -> int:
        """How many events may wait."""
        return self._backlog.size

    @property
    def is_closed(self) -> bool:
        """Whether nothing goes in or comes out any more."""
        return self._is_closed

    @property
    def is_scheduled(self) -> bool:
        """Whether a worker has it or is about to."""
        return self._is_scheduled

    # -- in -----------------------------------------------------------------------------------------------------------

    def put(self, deliveries: Sequence[Delivery], now: float) -> Posted:
        """Put in a batch, oldest first."""
        with self._lock:
            if self._held is not None:
                self._held += deliveries
                return _QUIET
            if self._gates:
                deliveries = [delivery for delivery in deliveries if self._passes_gate_locked(delivery)]
            return self._put_locked(deliveries, now)

    def open(self, present: Sequence[Delivery], now: float) -> Posted:
        """Put in the present values, then what was held.

        What is not newer than the present value of its stream is part of it, also when it is only brought later.
        """
        with self._lock:
            held, self._held = self._held or [], None
            self._gates.update((delivery.key, delivery) for delivery in present)
            newer = [delivery for delivery in held if self._passes_gate_locked(delivery)]
            return self._put_locked([*present, *newer], now)

    def admit(self, present: Mapping[StreamKey, Delivery], now: float) -> Posted:
        """More streams come to an open mailbox, with these present values."""
        with self._lock:
            self._gates.update(present)
            return self._put_locked(tuple(present.values()), now)

    def _passes_gate_locked(self, delivery: Delivery) -> bool:
        """Whether it is newer than what the subscriber got as the present value when it came."""
        gate = self._gates.get(delivery.key)
        if gate is None:
            return True
        if delivery.payload is gate.payload:
            del self._gates[delivery.key]
            return False
        if delivery.received_at > gate.received_at:
            del self._gates[delivery.key]
            return True
        return False

    def _put_locked(self, deliveries: Sequence[Delivery], now: float) -> Posted:
        assert self._lock.locked()
        if self._is_closed or not deliveries:
            return _QUIET
        backlog = self._backlog
        put, lost = backlog.put, False
        for delivery in deliveries:
            if put(delivery, now):
                lost = True
        self._received += len(deliveries)
        waiting = len(backlog)
        if waiting > self._highest:
            self._highest = waiting
        begins = lost and not self._is_losing
        self._is_losing = self._is_losing or lost
        wakes = not self._is_scheduled and waiting > 0
        if wakes:
            self._is_scheduled = True
        if begins:
            return Posted(wakes, True)
        return _WAKE if wakes else _QUIET

    # -- out ----------------------------------------------------------------------------------------------------------

    def take(self) -> Delivery | None:
        """The next one, for the worker that has the mailbox; None where nothing waits."""
        with self._lock:
            delivery: Delivery | None = self._backlog.take()
            if delivery is not None:
                self._taken += 1
                if self._is_losing and len(self._backlog) <= self._backlog.size // 2:
                    self._is_losing = False
            return delivery

    def pause(self) -> bool:
        """The worker's turn is over. True: more waits, and it belongs on the queue; False: the worker has it no
        more."""
        with self._lock:
            self._is_scheduled = len(self._backlog) > 0
            return self._is_scheduled

    def close(self) -> None:
        """Nothing goes in or comes out any more; what waits counts as dropped."""
        with self._lock:
            self._is_closed = True
            self._held = None
            self._gates.clear()
            self._backlog.dropped += self._backlog.clear()

    # -- figures ------------------------------------------------------------------------------------------------------

    def counts(self) -> MailboxCounts:
        """The counters at this moment."""
        with self._lock:
            delivered, discarded = self.delivered, self.discarded
            return MailboxCounts(
                received=self._received,
                delivered=delivered,
                conflated=self._backlog.conflated,
                dropped=self._backlog.dropped + discarded,
                queued=len(self._backlog) + self._taken - delivered - discarded,
                highest=self._highest,
            )

    @property
    def dropped(self) -> int:
        """Lost so far."""
        return self._backlog.dropped + self.discarded
