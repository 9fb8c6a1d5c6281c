"""The pool: the newest payload and a bounded history of every wanted key, and the threads that wait for them.

I/O threads file whole read batches under one lock; pulls read without it. What a pull needs (payload and stamp) is one
tuple that is replaced as a whole, so a reader sees either the old pair or the new one. Decoding happens in the caller's
thread and is remembered in the slot.

The check that a batch belongs to a living epoch is made inside the lock: made outside, a late batch of a dead
connection could overwrite a value of its successor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from upbit_ws._extension import speedups
from upbit_ws.exceptions import PayloadError
from upbit_ws.models import decode_event
from upbit_ws.protocol.account_slots import slot_for
from upbit_ws.protocol.envelope import HEAD_SCAN_FROM, START_LENGTH, parse_elements, tells_apart
from upbit_ws.protocol.epoch_manager import EpochManager, Standing
from upbit_ws.protocol.gap_filling import RecoveredRow
from upbit_ws.protocol.lanes import Lane, StartTable, file_batch, lane_for
from upbit_ws.protocol.slots import Entry, Reopened, Slot, Stamp, file_parsed
from upbit_ws.records import frozen
from upbit_ws.shared.account_filing import AccountFiling
from upbit_ws.shared.ingestion import NO_DELIVERIES, NO_WAITERS, Ingested, Intake
from upbit_ws.shared.locks import make_lock
from upbit_ws.shared.pool_reading import PoolReading
from upbit_ws.shared.pool_waiting import PoolWaiting, collect_waiters
from upbit_ws.shared.waiting import Waiter
from upbit_ws.types import DataType, Endpoint, Retention, StreamKey

__all__ = ["DataPoolManager", "PoolCounters"]

_WIRE_NAMES: Final = frozenset(data_type.value for data_type in DataType)
_CONTROL_KEYS: Final = frozenset({"error", "status", "method", "mthd"})
#: Looking up the member of an enum costs more than all else that a batch of one message does here.
_NEWEST: Final = Standing.NEWEST


@frozen
class PoolCounters:
    """Totals since the pool was made."""

    messages: int
    undecodable: int
    unknown: int
    unwanted: int
    stale: int
    older: int
    duplicates: int


class DataPoolManager(PoolReading, PoolWaiting, AccountFiling):
    """Latest values, histories, waiters. One per manager, shared by all its connections and clients."""

    def __init__(self) -> None:
        PoolReading.__init__(self)
        PoolWaiting.__init__(self)
        AccountFiling.__init__(self)
        #: Guards everything below, the slots and the epochs.
        self._lock = make_lock("data-pool", 30)
        self._epochs = EpochManager()
        self._slots: dict[StreamKey, Slot] = {}
        self._versions: dict[Endpoint, int] = {}
        #: Changes whenever slots were forgotten: whoever remembers slots looks again then.
        self.layout = 0
        #: Head of a payload -> the lane it belongs to. Filled as heads are first seen, bounded by the wanted keys.
        self._lanes: dict[bytes, Lane] = {}
        #: The same by the first bytes of the head, where they suffice: finding the end of the head costs more.
        self._lanes_by_start = StartTable()
        self._heads: dict[StreamKey, list[bytes]] = {}
        #: Log slots that two connections deliver at once, see `close_epoch`.
        self._pending: list[Slot] = []
        self._messages = 0
        #: Of the open epochs; they count what they filed alone.
        self._intakes: dict[int, Intake] = {}
        self._unwanted = 0
        self._stale = 0
        self._retired_older = 0
        self._retired_duplicates = 0

    # -- what is kept -------------------------------------------------------------------------------------------------

    def admit(self, endpoint: Endpoint, keys: Iterable[StreamKey], version: int) -> None:
        """Have a slot for each of these keys, which are wanted as of this version of the wanted set."""
        with self._lock:
            self._versions[endpoint] = max(version, self._versions.get(endpoint, 0))
            for key in keys:
                if key not in self._slots:
                    self._slots[key] = slot_for(key, 0)

    def forget_except(self, endpoint: Endpoint, keys: Collection[StreamKey], version: int) -> None:
        """Forget the slots of an endpoint that the request just sent does not name.

        Forgetting waits for the request, because a key that is unwanted and wanted again in between gets no new
        snapshot from the exchange. Where the wanted set has changed since `version`, the next request does it.
        """
        with self._lock:
            if version < self._versions.get(endpoint, 0):
                return
            for key in [key for key in self._slots if key.data_type.endpoint is endpoint and key not in keys]:
                self._forget_locked(key)

    def keep_history(self, histories: Mapping[StreamKey, int]) -> None:
        """Keep at least so many payloads of each of these keys. A history shrinks only when its key is forgotten."""
        with self._lock:
            for key, length in histories.items():
                slot = self._slots.get(key)
                if slot is not None and slot.history_limit < length:
                    slot.resize(length)

    def _forget_locked(self, key: StreamKey) -> None:
        assert self._lock.locked()
        slot = self._slots.pop(key)
        self.layout += 1
        self._retired_older += slot.older
        self._retired_duplicates += slot.duplicates
        for head in self._heads.pop(key, ()):
            del self._lanes[head]
            self._lanes_by_start.pop(head[:START_LENGTH], None)

    def slot(self, key: StreamKey) -> Slot | None:
        """The slot of a wanted key."""
        return self._slots.get(key)

    def keeps(self, slot: Slot) -> bool:
        """Whether this slot is in use: not forgotten, nor replaced by a newer one of its key."""
        return self._slots.get(slot.key) is slot

    def slot_for(self, key: StreamKey) -> Slot:
        """The slot of a key that is wanted or just about to be: whoever waits on it hears of its first value."""
        slot = self._slots.get(key)
        if slot is None:
            with self._lock:
                slot = self._slots.setdefault(key, slot_for(key, 0))
        return slot

    def has_delivered(self, key: StreamKey, epoch: int) -> bool:
        """Whether a key has delivered in this epoch (or a later one)."""
        slot = self._slots.get(key)
        current = slot.current if slot is not None else None
        return current is not None and current[1][1] >= epoch

    def watch(self, key: StreamKey, count: int) -> Slot | None:
        """Add to (or take from) the number of subscribers who get every payload of a key.

        Its slot, where it has one.
        """
        with self._lock:
            slot = self._slots.get(key)
            if slot is not None:
                slot.watchers += count
                slot.is_attended = True
            return slot

    # -- epochs -------------------------------------------------------------------------------------------------------

    def open_epoch(self, endpoint: Endpoint, now: float, *, replaces: int | None = None) -> int:
        """A connection was upgraded: the number of its epoch. What older epochs deliver from now on is refused."""
        with self._lock:
            return self._epochs.open(endpoint, now, replaces=replaces)

    def close_epoch(self, epoch: int, now: float) -> list[tuple[Slot, Reopened]]:
        """The connection of an epoch ended: its values are vouched for as of its last proof of life.

        Returns:
            Log streams that a connection beside it has continued, and where it did not get before it ended.
        """
        left: list[tuple[Slot, Reopened]] = []
        with self._lock:
            self._epochs.close(epoch, now)
            intake = self._intakes.pop(epoch, None)
            if intake is not None:
                self._messages += intake.messages
            for slot in self._pending:
                if slot.pending is not None and slot.pending.epoch == epoch:
                    left.append((slot, slot.pending))
                    slot.pending = None
            self._pending = [slot for slot in self._pending if slot.pending is not None]
            oldest = min((slot.current[1][1] for slot in self._slots.values() if slot.current), default=epoch)
            self._epochs.forget_before(min(oldest, epoch))
        return left

    def is_settled(self, epoch: int) -> bool:
        """Whether the connection of this epoch has nothing left to deliver that the one beside it skipped."""
        with self._lock:
            self._pending = [slot for slot in self._pending if slot.pending is not None]
            return all(slot.pending is None or slot.pending.epoch != epoch for slot in self._pending)

    def prove_alive(self, epoch: int, now: float) -> None:
        """The connection of an epoch gave a sign of life that was no data (a pong, a status reply)."""
        with self._lock:
            self._epochs.alive(epoch, now)

    def suspect(self, epoch: int, since: float) -> None:
        """The feed of an epoch may be mute: its values are vouched for as of `since` until it is trusted again."""
        with self._lock:
            self._epochs.suspect(epoch, since)

    def trust(self, epoch: int) -> None:
        """The feed of an epoch spoke again."""
        with self._lock:
            self._epochs.trust(epoch)

    def vouched_at(self, epoch: int) -> float | None:
        """When (monotonic seconds) the SDK could last vouch for values of this epoch."""
        return self._epochs.vouched_at(epoch)

    def is_live(self, slot: Slot) -> bool:
        """Whether the value of a slot comes from (or was renewed by) a connection that is open and trusted now."""
        current = slot.current
        if current is None:
            return False
        epoch = current[1][1]
        return self._epochs.is_current(slot.key.data_type.endpoint, epoch) and not self._epochs.is_suspected(epoch)

    # -- filing -------------------------------------------------------------------------------------------------------

    def intake(self, epoch: int, clock: Callable[[], float], interval: float) -> Intake | None:
        """What files batches of an open epoch in C and says what is left, for `finish`; None without the extension.

        Args:
            clock: monotonic seconds.
            interval: see `Hearing`.
        """
        if speedups is None:
            return None
        with self._lock:
            intake: Intake = speedups.Intake(
                acquire=self._lock.acquire,
                release=self._lock.release,
                by_start=self._lanes_by_start,
                by_head=self._lanes,
                attend=self._attend_locked,
                make_result=Ingested,
                clock=clock,
                epoch=epoch,
                interval=interval,
            )
            self._epochs.follow(epoch, intake)
            self._intakes[epoch] = intake
        return intake

    def finish(
        self, endpoint: Endpoint, messages: Sequence[bytes], position: int, stamp: Stamp, result: Ingested
    ) -> Ingested:
        """What an intake left to do of a batch that it filed up to `position`."""
        with self._lock:
            self._messages += len(messages)
        return self._go_on(endpoint, messages, position, stamp, result)

    def ingest(self, endpoint: Endpoint, epoch: int, messages: Sequence[bytes], now: float) -> Ingested:
        """File one read batch of a connection. Called by its I/O thread."""
        result = Ingested()
        stamp = (now, epoch)
        with self._lock:
            self._messages += len(messages)
            standing = self._epochs.admit(endpoint, epoch, now)
            if standing is not _NEWEST:
                if standing is Standing.OVER:
                    self._stale += len(messages)
                    return result
                messages = self._still_counting_locked(messages, epoch)
            position = file_batch(messages, 0, self._lanes_by_start, self._lanes, stamp, self._attend_locked, result)
        return self._go_on(endpoint, messages, position, stamp, result)

    def _go_on(
        self, endpoint: Endpoint, messages: Sequence[bytes], position: int, stamp: Stamp, result: Ingested
    ) -> Ingested:
        if result.fired:
            result.wake()
        while position < len(messages):
            # One at a time, so that subscribers get all of a batch in the order in which it came.
            self._ingest_unmatched(messages[position], stamp, result)
            with self._lock:
                if not self._epochs.is_current(endpoint, stamp[1]):
                    self._stale += len(messages) - position - 1
                    return result
                position = file_batch(
                    messages, position + 1, self._lanes_by_start, self._lanes, stamp, self._attend_locked, result
                )
            result.wake()
        return result

    def _still_counting_locked(self, messages: Sequence[bytes], epoch: int) -> list[bytes]:
        """What still counts of a batch of the older of two open connections: no state that the newer one delivers
        too.
        """
        assert self._lock.locked()
        counting: list[bytes] = []
        for message in messages:
            lane = self._lanes.get(message[: message.find(b'":', HEAD_SCAN_FROM) + 2])
            slot = lane.slot if lane is not None else None
            if slot is None or slot.key.data_type.retention is Retention.LOG or not _is_ahead(slot, epoch):
                counting.append(message)
        self._stale += len(messages) - len(counting)
        return counting

    def _ingest_unmatched(self, message: bytes, stamp: Stamp, result: Ingested) -> None:
        """A payload that no lane could read, or the first of its kind: parse it, outside the lock, then file it."""
        try:
            elements = parse_elements(message)
        except ValueError as error:
            self._reject(message, f"not JSON: {error}", stamp[0])
            result.unusable += 1
            return
        if not elements:
            self._reject(message, "an empty array", stamp[0], unknown=True)
            result.unusable += 1
        for payload, element in elements:
            if not _CONTROL_KEYS.isdisjoint(element):
                result.controls = [*result.controls, element]
                continue
            slot = self._ingest_parsed(payload, element, stamp, result)
            if slot is not None and len(elements) == 1:
                self._learn_head(message, slot)

    def _ingest_parsed(self, payload: bytes, element: dict[str, Any], stamp: Stamp, result: Ingested) -> Slot | None:
        """File a parsed payload; the slot it belongs to, or None where there is none."""
        kind = element.get("type", element.get("ty"))
        if not isinstance(kind, str) or kind not in _WIRE_NAMES:
            self._reject(payload, "unknown type", stamp[0], unknown=True)
            result.unusable += 1
            return None
        try:
            event = decode_event(payload)
        except PayloadError as error:
            self._reject(payload, str(error), stamp[0])
            result.unusable += 1
            return None
        key = event.key
        if key.data_type.needs_auth:
            result.deliveries = [*result.deliveries, *self._file_private_event(event, payload, stamp)]
            return None
        with self._lock:
            slot = self._slots.get(key)
            if slot is None or not self._epochs.is_current(key.data_type.endpoint, stamp[1]):
                self._unwanted += 1
                return None
            if file_parsed(slot, payload, element, stamp) and slot.is_attended:
                self._attend_locked(slot, (payload, stamp), result)
        result.wake()
        return slot

    def _attend_locked(self, slot: Slot, entry: Entry, result: Ingested) -> None:
        """A slot took a payload, and somebody waits for it, subscribes to it, or has to hear that it was reopened."""
        assert self._lock.locked()
        if slot.waiters:
            if result.fired is NO_WAITERS:
                result.fired = []
            collect_waiters(slot, result.fired)
        if slot.watchers:
            if result.deliveries is NO_DELIVERIES:
                result.deliveries = []
            result.deliveries.append((slot, entry))
        if slot.reopened is not None:
            self._note_reopened_locked(slot, slot.reopened, result)
        slot.is_attended = slot.watchers > 0

    def _note_reopened_locked(self, slot: Slot, reopened: Reopened, result: Ingested) -> None:
        assert self._lock.locked()
        slot.reopened = None
        if self._epochs.is_current(slot.key.data_type.endpoint, reopened.epoch):
            # The old connection is still open beside the new one and may get there by itself.
            slot.pending = reopened
            self._pending.append(slot)
        else:
            result.reopened = [*result.reopened, (slot, reopened)]

    def fill(self, slot: Slot, rows: Iterable[RecoveredRow], now: float) -> list[tuple[Slot, Entry]]:
        """File what was fetched for a gap; what of it was new, in order, for the subscribers.

        Nothing of it where the slot was forgotten meanwhile.
        """
        fired: list[Waiter] = []
        with self._lock:
            if not self.keeps(slot):
                self._unwanted += sum(1 for _ in rows)
                return []
            epoch = slot.epoch
            taken: list[tuple[Slot, Entry]] = []
            for row in rows:
                entry = (row.payload, (now, epoch))
                if slot.take_recovered(entry, row.timestamp, row.identity):
                    taken.append((slot, entry))
            if taken:
                collect_waiters(slot, fired)
        for waiter in fired:
            waiter.fire()
        return taken

    def _learn_head(self, message: bytes, slot: Slot) -> None:
        """Remember the lane for payloads that begin like this one, if the tables predict such a beginning."""
        head = message[: message.find(b'":', HEAD_SCAN_FROM) + 2]
        lane = lane_for(slot, head)
        if lane is None:
            return
        with self._lock:
            heads = self._heads.setdefault(slot.key, [])
            if self._slots.get(slot.key) is slot and head not in self._lanes:
                heads.append(head)
                self._lanes[head] = lane
                if tells_apart(head, slot.key.symbol):
                    self._lanes_by_start[head[:START_LENGTH]] = lane

    # -- figures ------------------------------------------------------------------------------------------------------

    def counters(self) -> PoolCounters:
        """Totals since the pool was made."""
        with self._lock:
            slots = list(self._slots.values())
            return PoolCounters(
                messages=self._messages + sum(intake.messages for intake in self._intakes.values()),
                undecodable=self._undecodable,
                unknown=self._unknown,
                unwanted=self._unwanted,
                stale=self._stale,
                older=self._retired_older + sum(slot.older for slot in slots),
                duplicates=self._retired_duplicates + sum(slot.duplicates for slot in slots),
            )

    def taken_by_type(self) -> dict[DataType, int]:
        """How many payloads the present slots took, by data type."""
        totals: dict[DataType, int] = {}
        with self._lock:
            for key, slot in self._slots.items():
                totals[key.data_type] = totals.get(key.data_type, 0) + slot.revision
        return totals


def _is_ahead(slot: Slot, epoch: int) -> bool:
    """Whether a newer epoch than this one has delivered the slot."""
    return slot.current is not None and slot.current[1][1] > epoch
