"""How a payload is filed without parsing it: what the rules of a slot need is cut out of the bytes.

A *lane* belongs to one slot and one spelling (DEFAULT or SIMPLE, in a list or not). It finds a timestamp, an id or a
candle's start at the places that the field tables predict, and answers None where a payload is not as predicted; the
pool then parses it.

`file_batch` and the lanes are the inner loop of the SDK: they run once per message. They exist twice, here and in C
(`speedups/lanes.h` and `batches.h`); where the extension was built it takes the place of `file_batch` and of the lanes
of tickers, order books and trades.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from upbit_ws._extension import speedups
from upbit_ws.protocol.envelope import HEAD_SCAN_FROM, START_LENGTH, predicted_head
from upbit_ws.protocol.slots import Entry, Slot, Stamp

__all__ = ["Lane", "StartTable", "file_batch", "lane_for"]

_TIMESTAMP_DIGITS: Final = 13
#: What a batch leaves to do: made by the caller, passed through here.
Result = TypeVar("Result")


class Lane(Protocol):
    """Takes payloads of one slot in one spelling."""

    slot: Slot

    def file(self, payload: bytes, stamp: Stamp) -> Entry | bool | None:
        """File `payload`, which begins with the head that the lane was made for.

        The entry where it was taken, False where it was refused, None where it is not as predicted.
        """
        ...


class _TickerLane:
    """A state type whose timestamp stands near the end of the payload."""

    __slots__ = ("_marker", "_offset", "_position", "slot")

    def __init__(self, slot: Slot, position: int, marker: bytes) -> None:
        self.slot = slot
        self._position = position
        self._marker = marker
        self._offset = len(marker)

    def file(self, payload: bytes, stamp: Stamp) -> Entry | bool | None:
        found = payload.rfind(self._marker, self._position)
        if found < 0:
            return None
        start = found + self._offset
        timestamp = payload[start : start + _TIMESTAMP_DIGITS]
        slot = self.slot
        entry = (payload, stamp)
        if timestamp < slot.timestamp:
            return slot.take(entry, timestamp) and entry
        # `Slot.take` for the usual case, written out: a call costs as much as all of it.
        slot.timestamp = timestamp
        slot.current = entry
        slot.revision += 1
        slot.history.append(entry)
        return entry


class _OrderbookLane:
    """A state type whose timestamp is its third value. The level stands last and must be the slot's own."""

    __slots__ = ("_position", "_stop", "_tails", "slot")

    def __init__(self, slot: Slot, position: int, tails: tuple[bytes, ...]) -> None:
        self.slot = slot
        self._position = position
        self._stop = position + _TIMESTAMP_DIGITS
        self._tails = tails

    def file(self, payload: bytes, stamp: Stamp) -> Entry | bool | None:
        if not payload.endswith(self._tails):
            return None
        timestamp = payload[self._position : self._stop]
        slot = self.slot
        entry = (payload, stamp)
        if timestamp < slot.timestamp:
            return slot.take(entry, timestamp) and entry
        # As in the lane above.
        slot.timestamp = timestamp
        slot.current = entry
        slot.revision += 1
        slot.history.append(entry)
        return entry


class _TradeLane:
    """A log type: timestamp third, id in the middle."""

    __slots__ = ("_marker", "_offset", "_position", "slot")

    def __init__(self, slot: Slot, position: int, marker: bytes) -> None:
        self.slot = slot
        self._position = position
        self._marker = marker
        self._offset = len(marker)

    def file(self, payload: bytes, stamp: Stamp) -> Entry | bool | None:
        position = self._position
        start = payload.find(self._marker, position) + self._offset
        stop = payload.find(b",", start)
        if start < self._offset or stop < 0:
            return None
        entry = (payload, stamp)
        timestamp = payload[position : position + _TIMESTAMP_DIGITS]
        return self.slot.take_identified(entry, timestamp, payload[start:stop]) and entry


class _CandleLane:
    """A log type: its start is the third value, quoted; the timestamp stands near the end."""

    __slots__ = ("_marker", "_offset", "_position", "slot")

    def __init__(self, slot: Slot, position: int, marker: bytes) -> None:
        self.slot = slot
        self._position = position
        self._marker = marker
        self._offset = len(marker)

    def file(self, payload: bytes, stamp: Stamp) -> Entry | bool | None:
        found = payload.rfind(self._marker, self._position)
        position = self._position
        stop = payload.find(b'"', position + 1)
        if found < 0 or stop < 0:
            return None
        start = found + self._offset
        entry = (payload, stamp)
        timestamp = payload[start : start + _TIMESTAMP_DIGITS]
        return self.slot.take_identified(entry, timestamp, payload[position + 1 : stop]) and entry


class _ListLane:
    """An array of one object around another lane's payload."""

    __slots__ = ("_inner", "_next_object", "slot")

    def __init__(self, inner: Lane, simple: bool) -> None:
        self.slot = inner.slot
        self._inner = inner
        self._next_object = b'{"ty":' if simple else b'{"type":'

    def file(self, payload: bytes, stamp: Stamp) -> Entry | bool | None:
        if payload[-1:] != b"]" or payload.find(self._next_object, 2) >= 0:
            return None
        return self._inner.file(payload[1:-1], stamp)


@lru_cache(maxsize=64, typed=True)  # 1 and 1.0 are equal, and written in two ways
def _level_tails(level: float | None, simple: bool) -> tuple[bytes, ...]:
    """How an order book's payload ends when it is of this level. The same objects for all markets: looking at them for
    each payload costs little as long as they stay in the processor's cache.
    """
    tail = f'"{"lv" if simple else "level"}":{level if level is not None else 0}}}'.encode()
    # The Indonesian host sends no level (measured on the wire).
    return (tail,) if level is not None else (tail, b'"REALTIME"}', b'"SNAPSHOT"}')


def _build(slot: Slot, simple: bool, position: int) -> Lane | None:
    family = slot.key.data_type.family
    timestamp = b'"tms":' if simple else b'"timestamp":'
    if family == "candle":
        return _CandleLane(slot, position, timestamp)
    if family not in ("ticker", "orderbook", "trade"):
        return None
    tails = _level_tails(slot.key.variant, simple) if family == "orderbook" else ()
    marker = (b'"sid":' if simple else b'"sequential_id":') if family == "trade" else timestamp
    if speedups is not None:
        lane: Lane = speedups.Lane(family, slot, position, marker, tails)
        return lane
    if family == "orderbook":
        return _OrderbookLane(slot, position, tails)
    return (_TickerLane if family == "ticker" else _TradeLane)(slot, position, marker)


def lane_for(slot: Slot, head: bytes) -> Lane | None:
    """The lane for payloads of this slot that begin with `head`; None where the tables predict no such head."""
    for simple in (False, True):
        predicted = predicted_head(slot.key.data_type, slot.key.symbol, simple=simple)
        if head in (predicted, b"[" + predicted):
            inner = _build(slot, simple, len(predicted))
            return inner if head == predicted or inner is None else _ListLane(inner, simple)
    return None


def _file_batch(
    messages: Sequence[bytes],
    position: int,
    by_start: StartTable,
    by_head: dict[bytes, Lane],
    stamp: Stamp,
    attend: Callable[[Slot, Entry, Result], object],
    result: Result,
) -> int:
    """File the messages from `position` on, up to one that no lane reads; the position of that one, or the end.

    Args:
        by_start: Lanes by the first `START_LENGTH` bytes of their heads, where those suffice.
        by_head: All lanes by their heads.
        attend: Called with slot, entry and `result` for each payload taken by a slot that is attended. It must leave
            the messages and the tables as they are (in C, lanes are looked up some messages ahead).
    """
    lane_of_start, lane_of = by_start.get, by_head.get
    for place in range(position, len(messages)):
        message = messages[place]
        lane = lane_of_start(message[:START_LENGTH])
        if lane is None:
            lane = lane_of(message[: message.find(b'":', HEAD_SCAN_FROM) + 2])
            if lane is None:
                return place
        entry = lane.file(message, stamp)
        if entry:
            if lane.slot.is_attended:
                attend(lane.slot, entry, result)  # type: ignore[arg-type]
        elif entry is None:
            return place
    return len(messages)


if TYPE_CHECKING:
    file_batch = _file_batch
    StartTable = dict[bytes, Lane]
else:
    file_batch = _file_batch if speedups is None else speedups.file
    #: Lanes by the first `START_LENGTH` bytes of their heads.
    StartTable = dict if speedups is None else speedups.StartTable
