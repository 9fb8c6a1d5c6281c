"""How the pool files what connections bring: whole batches under one lock, then one by one what no lane could read.

The check that a batch belongs to a living epoch is made inside the lock: made outside, a late batch of a dead
connection could overwrite a value of its successor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from upbit_ws._extension import speedups
from upbit_ws.exceptions import PayloadError
from upbit_ws.models import decode_event
from upbit_ws.protocol.envelope import HEAD_SCAN_FROM, START_LENGTH, parse_elements, tells_apart
from upbit_ws.protocol.epoch_manager import Standing
from upbit_ws.protocol.gap_filling import RecoveredRow
from upbit_ws.protocol.lanes import Lane, StartTable, file_batch, lane_for
from upbit_ws.protocol.slots import Entry, Reopened, Slot, Stamp, file_parsed
from upbit_ws.shared.account_filing import AccountFiling
from upbit_ws.shared.ingestion import NO_DELIVERIES, NO_WAITERS, Ingested, Intake
from upbit_ws.shared.pool_reading import PoolReading
from upbit_ws.shared.pool_waiting import collect_waiters
from upbit_ws.shared.waiting import Waiter
from upbit_ws.types import DataType, Endpoint, Retention, StreamKey

if TYPE_CHECKING:
    from upbit_ws.protocol.epoch_manager import EpochManager

__all__ = ["PoolFiling"]

_WIRE_NAMES: Final = frozenset(data_type.value for data_type in DataType)
_CONTROL_KEYS: Final = frozenset({"error", "status", "method", "mthd"})
#: Looking up the member of an enum costs more than all else that a batch of one message does here.
_NEWEST: Final = Standing.NEWEST


class PoolFiling(PoolReading, AccountFiling):
    """The part of the pool that connections write to. Shares the pool's lock, slots and epochs."""

    _lock: threading.Lock
    _epochs: EpochManager
    _slots: dict[StreamKey, Slot]

    def __init__(self) -> None:
        PoolReading.__init__(self)
        AccountFiling.__init__(self)
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

    def keeps(self, slot: Slot) -> bool:
        """Whether this slot is in use: not forgotten, nor replaced by a newer one of its key."""
        return self._slots.get(slot.key) is slot

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

    def _unlearn_heads_locked(self, key: StreamKey) -> None:
        assert self._lock.locked()
        for head in self._heads.pop(key, ()):
            del self._lanes[head]
            self._lanes_by_start.pop(head[:START_LENGTH], None)


def _is_ahead(slot: Slot, epoch: int) -> bool:
    """Whether a newer epoch than this one has delivered the slot."""
    return slot.current is not None and slot.current[1][1] > epoch
