"""The pool: the newest payload and a bounded history of every wanted key, and the threads that wait for them.

I/O threads file whole read batches under one lock; pulls read without it. What a pull needs (payload and stamp) is one
tuple that is replaced as a whole, so a reader sees either the old pair or the new one. Decoding happens in the caller's
thread and is remembered in the slot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from upbit_ws.protocol.account_slots import slot_for
from upbit_ws.protocol.epoch_manager import EpochManager
from upbit_ws.protocol.slots import Reopened, Slot
from upbit_ws.records import frozen
from upbit_ws.shared.locks import make_lock
from upbit_ws.shared.pool_filing import PoolFiling
from upbit_ws.shared.pool_waiting import PoolWaiting
from upbit_ws.types import DataType, Endpoint, StreamKey

__all__ = ["DataPoolManager", "PoolCounters"]


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


class DataPoolManager(PoolFiling, PoolWaiting):
    """Latest values, histories, waiters. One per manager, shared by all its connections and clients."""

    def __init__(self) -> None:
        PoolFiling.__init__(self)
        PoolWaiting.__init__(self)
        #: Guards everything below, the slots and the epochs.
        self._lock = make_lock("data-pool", 30)
        self._epochs = EpochManager()
        self._slots: dict[StreamKey, Slot] = {}
        self._versions: dict[Endpoint, int] = {}
        #: Changes whenever slots were forgotten: whoever remembers slots looks again then.
        self.layout = 0
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
        self._unlearn_heads_locked(key)

    def slot(self, key: StreamKey) -> Slot | None:
        """The slot of a wanted key."""
        return self._slots.get(key)

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

