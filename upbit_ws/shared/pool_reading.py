"""How the pool is read: payloads become events in the caller's thread; what does not decode is kept for diagnosis."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import orjson
from attrs import field

from upbit_ws.events import Event, TradeEvent
from upbit_ws.exceptions import PayloadError
from upbit_ws.models import decode_event
from upbit_ws.protocol.slots import Entry, Slot
from upbit_ws.records import frozen

__all__ = ["PoolReading", "RejectedPayload"]

_LARGEST_SAMPLE: Final = 2048
_SAMPLES_KEPT: Final = 16


@frozen
class RejectedPayload:
    """A payload, or a row of a REST reply, that was not used, kept for diagnosis."""

    sample: bytes
    reason: str
    received_at: float
    #: The whole of it, to know it again.
    payload: bytes = field(repr=False, eq=False)


class PoolReading:
    """The part of the pool that pulls use. Shares the pool's lock."""

    _lock: threading.Lock

    def __init__(self) -> None:
        self._rejected: deque[RejectedPayload] = deque(maxlen=_SAMPLES_KEPT)
        self._undecodable = 0
        self._unknown = 0

    def set_aside(self, payload: bytes, reason: str, now: float) -> None:
        """Count something of the exchange that could not be read, and keep it for diagnosis."""
        self._reject(payload, reason, now)

    def _reject(self, payload: bytes, reason: str, now: float, *, unknown: bool = False) -> None:
        """A payload that came just now cannot be used."""
        with self._lock:
            if unknown:
                self._unknown += 1
            else:
                self._undecodable += 1
            self._rejected.append(RejectedPayload(payload[:_LARGEST_SAMPLE], reason, now, payload))

    def _reject_entry(self, entry: Entry, error: PayloadError) -> None:
        """An entry does not decode. It may be looked at many times and is counted once."""
        payload, (received_at, _) = entry
        with self._lock:
            if any(known.received_at == received_at and known.payload == payload for known in self._rejected):
                return
            self._undecodable += 1
            self._rejected.append(RejectedPayload(payload[:_LARGEST_SAMPLE], str(error), received_at, payload))

    def event(self, slot: Slot) -> tuple[Event, Entry] | None:
        """The newest event of a slot and the entry it was decoded from; None where it has none.

        A payload that does not decode is counted and set aside, and the newest one before it that does stands.
        """
        current = slot.current
        if current is None:
            return None
        memo = slot.memo
        if memo is not None and memo[0] is current:
            return memo[1]
        try:
            found: tuple[Event, Entry] | None = decode_event(current[0]), current
        except PayloadError as error:
            self._reject_entry(current, error)
            found = self._decode_stand_in(slot, current, None if memo is None else memo[1])
        if found is not None:
            slot.memo = (current, found)
        return found

    def _decode_stand_in(
        self, slot: Slot, current: Entry, last: tuple[Event, Entry] | None
    ) -> tuple[Event, Entry] | None:
        """The newest payload before `current` that decodes; `last` is what was decoded last, if anything."""
        with self._lock:
            candidates = slot.stand_ins()
        for entry in candidates:
            if last is not None and entry[1][0] < last[1][1][0]:
                return last  # it is newer than what is still kept
            if entry == current:
                continue
            try:
                return decode_event(entry[0]), entry
            except PayloadError:
                continue
        return last

    def price(self, slot: Slot) -> float | None:
        """The newest `trade_price` of a ticker, trade or candle slot, without building its event."""
        current = slot.current
        if current is None:
            return None
        memo = slot.price_memo
        if memo is not None and memo[0] is current:
            return memo[1]
        price: Any = None
        try:
            parsed = orjson.loads(current[0])
            price = parsed.get("trade_price", parsed.get("tp"))
        except orjson.JSONDecodeError:
            pass  # `event` below counts it and finds the value that stands
        if type(price) is not float and type(price) is not int:
            found = self.event(slot)
            if found is None:
                return None
            price = getattr(found[0], "trade_price")  # noqa: B009
        slot.price_memo = (current, float(price))
        return float(price)

    def history(self, slot: Slot, limit: int | None) -> list[Event]:
        """The decodable events of a slot's history, oldest first; the newest `limit` of them."""
        wanted = slot.history_limit if limit is None else min(limit, slot.history_limit)
        with self._lock:
            entries = slot.entries() if slot.is_disordered else slot.newest(wanted)
        if slot.is_disordered:
            events = self._decode_all(entries)
            events.sort(key=_order_of_events)
            return events[max(len(events) - wanted, 0) :]
        return self._decode_all(entries[max(len(entries) - wanted, 0) :])

    def arrivals(self, slot: Slot, since: int) -> tuple[list[Event], int]:
        """What a slot took since its revision was `since`, in the order in which it arrived, which after a gap is not
        that of the events; and its revision at that.
        """
        with self._lock:
            entries, revision = slot.arrived_since(since), slot.revision
        return self._decode_all(entries), revision

    def _decode_all(self, entries: Iterable[Entry]) -> list[Event]:
        events: list[Event] = []
        for entry in entries:
            try:
                events.append(decode_event(entry[0]))
            except PayloadError as error:  # noqa: PERF203  one bad payload must not hide the others
                self._reject_entry(entry, error)
        return events

    def rejected(self) -> tuple[RejectedPayload, ...]:
        """The last payloads that were not used, oldest first."""
        with self._lock:
            return tuple(self._rejected)


def _order_of_events(event: Event) -> tuple[int, int]:
    """The order of trades: by time, then by id (Upbit: recent-trades page). Other types are never out of order."""
    return (event.trade_timestamp, event.sequential_id) if isinstance(event, TradeEvent) else (event.timestamp, 0)
