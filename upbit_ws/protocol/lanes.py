"""How a payload is filed without parsing it: what the rules of a slot need is cut out of the bytes.

A *lane* belongs to one slot and one spelling (DEFAULT or SIMPLE, in a list or not). It finds a timestamp, an id or a
candle's start at the places that the field tables predict, and answers None where a payload is not as predicted; the
pool then parses it. Methods here are the inner loop of the SDK: each runs once per message.
"""

from __future__ import annotations

from typing import Final, Protocol

from upbit_ws.protocol.envelope import predicted_head
from upbit_ws.protocol.slots import Entry, Slot, Stamp

__all__ = ["Lane", "lane_for"]

_TIMESTAMP_DIGITS: Final = 13


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

    def __init__(self, slot: Slot, simple: bool, position: int) -> None:
        self.slot = slot
        self._position = position
        self._marker = b'"tms":' if simple else b'"timestamp":'
        self._offset = len(self._marker)

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

    def __init__(self, slot: Slot, simple: bool, position: int) -> None:
        self.slot = slot
        self._position = position
        self._stop = position + _TIMESTAMP_DIGITS
        level = slot.key.variant
        tail = f'"{"lv" if simple else "level"}":{level if level is not None else 0}}}'.encode()
        # The Indonesian host sends no level (measured on the wire).
        self._tails = (tail,) if level is not None else (tail, b'"REALTIME"}', b'"SNAPSHOT"}')

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

    def __init__(self, slot: Slot, simple: bool, position: int) -> None:
        self.slot = slot
        self._position = position
        self._marker = b'"sid":' if simple else b'"sequential_id":'
        self._offset = len(self._marker)

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

    def __init__(self, slot: Slot, simple: bool, position: int) -> None:
        self.slot = slot
        self._position = position
        self._marker = b'"tms":' if simple else b'"timestamp":'
        self._offset = len(self._marker)

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


_LANES: Final[dict[str, type[_TickerLane | _OrderbookLane | _TradeLane | _CandleLane]]] = {
    "ticker": _TickerLane, "orderbook": _OrderbookLane, "trade": _TradeLane, "candle": _CandleLane,
}  # fmt: skip


def lane_for(slot: Slot, head: bytes) -> Lane | None:
    """The lane for payloads of this slot that begin with `head`; None where the tables predict no such head."""
    data_type = slot.key.data_type
    build = _LANES.get(data_type.family)
    if build is None:
        return None
    for simple in (False, True):
        predicted = predicted_head(data_type, slot.key.symbol, simple=simple)
        if head == predicted:
            return build(slot, simple, len(predicted))
        if head == b"[" + predicted:
            return _ListLane(build(slot, simple, len(predicted)), simple)
    return None
