"""One slot per key: its newest payload, its history, and the rules by which a payload is taken or refused.

A payload stays the bytes it arrived in; it is decoded when somebody pulls. What the rules need (a timestamp, an id, a
candle's start) is cut out of the bytes at the places that the field tables predict. A *lane* does that for one slot
and one spelling; where a payload is not as predicted the lane answers None and the pool parses it instead
(`file_parsed`).

Rules, per slot:

1. The newest value never goes backwards: a payload whose server timestamp is older than the current one does not
   replace it. A server whose clock was set back is believed after `_CLOCK_RESET_AFTER` such payloads in a row (of
   trades: by more than `_DISORDER`).
2. A *log* type keeps every payload once: trades by `sequential_id`, candles by their start (the last one received
   counts).
3. A payload of a new epoch renews the vouching of the slot even where it is too old to replace the value.

Nothing here takes a lock: the pool calls these methods under its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from upbit_ws._extension import speedups
from upbit_ws.events import Event
from upbit_ws.protocol.id_window import IdWindow
from upbit_ws.protocol.refills import Refills
from upbit_ws.types import DataType, Retention, StreamKey

__all__ = [
    "SMALLEST_HISTORY", "CandleSlot", "Delivery", "Entry", "Reopened", "Slot", "SlotCore", "Stamp", "TradeSlot",
    "new_slot",
]  # fmt: skip

#: When (monotonic seconds) and in which epoch a read batch arrived.
Stamp = tuple[float, int]
#: A payload and the stamp of its batch.
Entry = tuple[bytes, Stamp]


class Reopened(NamedTuple):
    """A log stream goes on in a new epoch: between these two payloads something may be missing."""

    epoch: int
    before: Entry
    after: Entry
    identity: bytes


_CLOCK_RESET_AFTER: Final = 8
#: Trades that are this much older (ms of the server) than the newest one are out of order, however many come in a row:
#: an order that is filled in one millisecond makes many at once, whose messages need not be written in order.
_DISORDER: Final = 1_000
#: Two payloads in a row that do not decode leave the one before them.
SMALLEST_HISTORY: Final = 3
_SMALLEST_ID_WINDOW: Final = 512


class _SlotCore:
    """What is written for every message of a key. The C loops have a base class of the same fields."""

    __slots__ = ("current", "epoch", "history", "ids", "is_attended", "revision", "timestamp")


if TYPE_CHECKING:
    SlotCore = _SlotCore
    Ring = deque
else:
    SlotCore = _SlotCore if speedups is None else speedups.SlotCore
    Ring = deque if speedups is None else speedups.Ring


class Slot(SlotCore):
    """The state of one key. `current` is replaced as a whole, so a reader without the lock sees a consistent pair."""

    __slots__ = (
        "duplicates", "history_limit", "is_disordered", "key", "memo", "older", "pending", "price_memo", "reopened",
        "run_against", "run_of_older", "waiters", "watchers",
    )  # fmt: skip

    def __init__(self, key: StreamKey, history_limit: int) -> None:
        self.key = key
        #: The newest payload with its stamp.
        self.current: Entry | None = None
        #: How many payloads were taken so far.
        self.revision = 0
        #: Payloads, oldest first. Some are kept in any case, so that one that does not decode leaves one that does.
        self.history_limit = history_limit
        self.history = self._make_history(())
        #: Server time of the current payload, as its digits.
        self.timestamp = b""
        #: The ids that came last, of types whose payloads have one.
        self.ids: IdWindow | None = None
        #: How many payloads in a row were older than the current one, and against which one that was counted.
        self.run_of_older = 0
        self.run_against: Entry | None = None
        #: The newest epoch that delivered (log types only), and what is to be looked at because a new one did.
        self.epoch = 0
        self.reopened: Reopened | None = None
        #: The same while the old connection is still open beside the new one: settled when the old one gets there too.
        self.pending: Reopened | None = None
        #: Whether the history was filled up afterwards, so that arrival is not the order of events.
        self.is_disordered = False
        #: Counted refusals.
        self.older = 0
        self.duplicates = 0
        #: The last decoded entry and its event; the last entry whose price was read, and the price. Written by readers.
        self.memo: tuple[Entry, tuple[Event, Entry]] | None = None
        self.price_memo: tuple[Entry, float] | None = None
        #: Whether the next payload is to be looked at: somebody waits or subscribes, or the slot was reopened.
        self.is_attended = False
        #: Threads waiting for the next payload; subscribers to every payload.
        self.waiters: list[Any] = []
        self.watchers = 0

    def __repr__(self) -> str:
        key = self.key
        return f"<{type(self).__name__} {key.data_type.value} {key.symbol} revision={self.revision}>"

    def _make_history(self, entries: Iterable[Entry]) -> deque[Entry]:
        return Ring(entries, max(self.history_limit, SMALLEST_HISTORY))

    @property
    def is_ready(self) -> bool:
        """Whether the stream stands: it has delivered. (Of streams without a snapshot silence means nothing.)"""
        return self.current is not None

    def take(self, entry: Entry, timestamp: bytes) -> bool:
        """Take a payload of a state type. False where it is older than the current one."""
        if timestamp < self.timestamp and not self._believes_older():
            self.older += 1
            self._renew(entry)
            return False
        self.timestamp = timestamp
        self.current = entry
        self.revision += 1
        self.history.append(entry)
        return True

    def take_identified(self, entry: Entry, timestamp: bytes, identity: bytes) -> bool:
        """Take a payload of a log type, once. False where it was taken before."""
        raise NotImplementedError(f"{self.key.data_type.value} payloads have no identity")

    def take_recovered(self, entry: Entry, timestamp: bytes, identity: bytes) -> bool:
        """Take a payload of a log type that was fetched for a gap, once. False where it was taken before."""
        self.run_of_older = 0  # older it is by its nature
        return self.take_identified(entry, timestamp, identity)

    def _believes_older(self) -> bool:
        """Whether the current value has to give way to one that is older by the server's clock: so many came in a row
        that the clock must have been set back.
        """
        standing = self.current
        if self.run_against is not standing:
            self.run_against, self.run_of_older = standing, 0
        self.run_of_older += 1
        return self.run_of_older >= _CLOCK_RESET_AFTER

    def _renew(self, entry: Entry) -> None:
        """Let the epoch of `entry` vouch for the value that stands: it has now delivered this key too."""
        current = self.current
        if current is not None and entry[1][1] > current[1][1]:
            renewed = (current[0], (current[1][0], entry[1][1]))
            if self.run_against is current:
                self.run_against = renewed
            self.current = renewed

    def resize(self, history_limit: int) -> None:
        """Keep this many payloads from now on; the newest of those that are there stay."""
        if history_limit != self.history_limit:
            self.history_limit = history_limit
            self.history = self._make_history(self.history)

    def entries(self) -> list[Entry]:
        """The history, oldest first."""
        return list(self.history)

    def newest(self, count: int) -> list[Entry]:
        """The last `count` of the history, oldest first. A flat history makes objects of no others."""
        history: Any = self.history
        if isinstance(history, deque):
            return list(history)[max(len(history) - max(count, 0), 0) :]
        return list(history.newest(count))

    def arrived_since(self, since: int) -> list[Entry]:
        """What was taken since the revision was `since`, in the order in which it was, as far as it is kept."""
        return self.newest(self.revision - since)

    def stand_ins(self) -> list[Entry]:
        """What may stand in for a newest payload that does not decode, the best first."""
        return self.entries()[::-1]


#: A slot and one of its payloads, on its way to subscribers.
Delivery = tuple[Slot, Entry]


class TradeSlot(Slot):
    """Every trade once. Ids are unique but unordered inside one millisecond (Upbit: recent-trades page)."""

    __slots__ = ("_refills",)

    ids: IdWindow

    def __init__(self, key: StreamKey, history_limit: int) -> None:
        super().__init__(key, history_limit)
        self.ids = IdWindow(max(history_limit, _SMALLEST_ID_WINDOW))
        #: Trades that were fetched for gaps.
        self._refills: Refills[Entry] = Refills(max(history_limit, SMALLEST_HISTORY))

    def take_identified(self, entry: Entry, timestamp: bytes, identity: bytes) -> bool:
        is_known = not self.ids.admit(identity)
        if entry[1][1] != self.epoch:
            entry = self._change_epoch(entry, identity, is_known)
        if is_known:
            self.duplicates += 1
            self._renew(entry)
            return False
        if timestamp >= self.timestamp or (_is_far_behind(timestamp, self.timestamp) and self._believes_older()):
            self.timestamp = timestamp
            self.current = entry
        self.revision += 1
        self.history.append(entry)
        return True

    def take_recovered(self, entry: Entry, timestamp: bytes, identity: bytes) -> bool:  # noqa: ARG002
        # Pushes out no id, however many are filled in: those of the newest trades are needed next.
        if not self.ids.admit_beside(identity):
            self.duplicates += 1
            return False
        self.revision += 1
        self._refills.add(entry, self.revision)
        self.is_disordered = True
        return True

    def _change_epoch(self, entry: Entry, identity: bytes, is_known: bool) -> Entry:
        """Note that another connection delivers; the entry to file, with the stamp of the newest one."""
        received_at, epoch = entry[1]
        if epoch > self.epoch:
            # The exchange sends trades in the order they happen: the newest one being known means that none was missed.
            if not is_known and self.current is not None:
                self.reopened = Reopened(self.epoch, self.current, entry, identity)
                self.is_attended = True
            self.epoch = epoch
            return entry
        if self.pending is not None and identity == self.pending.identity:
            self.pending = None
        return entry[0], (received_at, self.epoch)

    def resize(self, history_limit: int) -> None:
        if history_limit != self.history_limit:
            super().resize(history_limit)
            self.ids.resize(max(history_limit, _SMALLEST_ID_WINDOW))
            self._refills.limit = max(history_limit, SMALLEST_HISTORY)

    def entries(self) -> list[Entry]:
        if self.is_disordered:
            self._refills.forget_outlived(self.revision, max(self.history_limit, SMALLEST_HISTORY))
            self.is_disordered = len(self._refills) > 0
        return [*self._refills.entries(), *self.history]

    def arrived_since(self, since: int) -> list[Entry]:
        return self._refills.arrived_since(since, self.revision, self.newest(self.revision - since))

    def knows(self, identity: bytes) -> bool:
        """Whether a trade with this id was taken (as far back as the history and never fewer than 512)."""
        return identity in self.ids


class CandleSlot(Slot):
    """One payload per candle start, the last one received (Upbit: websocket-candle page)."""

    __slots__ = ("_by_start", "_replaced", "_start")

    def __init__(self, key: StreamKey, history_limit: int) -> None:
        super().__init__(key, history_limit)
        #: Start -> newest payload and its server timestamp.
        self._by_start: dict[bytes, tuple[Entry, bytes]] = {}
        self._start = b""
        #: Earlier payloads of the newest candle, which the history does not keep.
        self._replaced: deque[Entry] = deque(maxlen=SMALLEST_HISTORY - 1)

    def take_identified(self, entry: Entry, timestamp: bytes, identity: bytes) -> bool:
        if entry[1][1] != self.epoch:
            entry = self._change_epoch(entry, identity)
        known = self._by_start.get(identity)
        if known is not None and not self._is_news(known, entry, timestamp):
            return False
        self._by_start[identity] = entry, timestamp
        if len(self._by_start) > max(self.history_limit, SMALLEST_HISTORY):
            del self._by_start[min(self._by_start)]
        if identity >= self._start:
            if known is not None:
                self._replaced.append(known[0])
            else:
                self._replaced.clear()
            self._start = identity
            self.timestamp = timestamp
            self.current = entry
        self.revision += 1
        return True

    def _change_epoch(self, entry: Entry, identity: bytes) -> Entry:
        """Note that another connection delivers; the entry to file, with the stamp of the newest one."""
        received_at, epoch = entry[1]
        if epoch > self.epoch:
            # Inside the same candle nothing is missing: the newest payload has all of it.
            if self.current is not None and identity != self._start:
                self.reopened = Reopened(self.epoch, self.current, entry, identity)
                self.is_attended = True
            self.epoch = epoch
            return entry
        if self.pending is not None and identity >= self.pending.identity:
            self.pending = None
        return entry[0], (received_at, self.epoch)

    def _is_news(self, known: tuple[Entry, bytes], entry: Entry, timestamp: bytes) -> bool:
        """Whether a payload says something about its candle that the known one does not."""
        if timestamp > known[1] or (
            timestamp == known[1] and known[0][0] != entry[0] and entry[1][1] == known[0][1][1]
        ):
            return True
        if timestamp < known[1]:
            self.older += 1
        else:
            self.duplicates += 1
        self._renew(entry)
        return False

    def resize(self, history_limit: int) -> None:
        self.history_limit = history_limit
        for start in sorted(self._by_start)[: -max(history_limit, SMALLEST_HISTORY)]:
            del self._by_start[start]

    def entries(self) -> list[Entry]:
        return [entry for _, (entry, _) in sorted(self._by_start.items())]

    def newest(self, count: int) -> list[Entry]:
        entries = self.entries()
        return entries[max(len(entries) - max(count, 0), 0) :]

    def stand_ins(self) -> list[Entry]:
        return [*reversed(self._replaced), *reversed(self.entries())]

    @property
    def start(self) -> bytes:
        """Start of the newest candle."""
        return self._start


def new_slot(key: StreamKey, history_limit: int) -> Slot:
    """An empty slot of the kind that the key's data type asks for."""
    data_type = key.data_type
    if data_type.is_candle:
        return CandleSlot(key, history_limit)
    if data_type.retention is Retention.LOG:
        return TradeSlot(key, history_limit)
    return Slot(key, history_limit)


def file_parsed(slot: Slot, payload: bytes, parsed: dict[str, Any], stamp: Stamp) -> bool:
    """File a payload that had to be parsed, by the same rules as the lanes."""
    data_type = slot.key.data_type
    entry = (payload, stamp)
    timestamp = _digits(parsed.get("timestamp", parsed.get("tms")))
    if data_type.retention is Retention.STATE:
        return slot.take(entry, timestamp)
    return slot.take_identified(entry, timestamp, _identity(data_type, parsed))


def _is_far_behind(timestamp: bytes, newest: bytes) -> bool:
    """By the server's clock; also where one of them is no time at all."""
    return not (timestamp.isdigit() and newest.isdigit()) or int(newest) - int(timestamp) > _DISORDER


def _digits(value: object) -> bytes:
    return b"%013d" % value if isinstance(value, int) and value >= 0 else b""


def _identity(data_type: DataType, parsed: dict[str, Any]) -> bytes:
    if data_type.is_candle:
        return str(parsed.get("candle_date_time_utc", parsed.get("cdttmu"))).encode()
    return str(parsed.get("sequential_id", parsed.get("sid"))).encode()
