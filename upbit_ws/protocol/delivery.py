"""One event on its way to those who subscribed to it: bytes until somebody is called with it, then one shared event."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, cast

from attrs import evolve

from upbit_ws.events import Event, OrderbookEvent
from upbit_ws.models import decode_event
from upbit_ws.types import StreamKey, StreamType

__all__ = ["Delivery", "Snapshot", "announced", "delivery_of"]

_SNAPSHOT = b'"SNAPSHOT"'
_CANDLE_STARTS = (b'"candle_date_time_utc":"', b'"cdttmu":"')


class Delivery:
    """A payload that is decoded when `event` is first called, in whatever thread that is.

    What it remembers is shared by all who get it. Two threads that come to it at the same moment may both decode; the
    two results are equal, and one of them stays. One that nobody comes to (because a newer one took its place) is never
    decoded.
    """

    __slots__ = ("_event", "_sliced", "identity", "key", "payload", "received_at")

    def __init__(self, key: StreamKey, payload: bytes, received_at: float) -> None:
        self.key = key
        self.payload = payload
        #: Monotonic seconds.
        self.received_at = received_at
        #: Of two deliveries with the same identity the later one tells everything that the earlier one did.
        self.identity: Hashable = key
        self._event: Any = None
        self._sliced: dict[int, OrderbookEvent] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key.data_type.value} {self.key.symbol}>"

    def event(self) -> Event:
        """The event; `PayloadError` where the payload is not as documented."""
        event = self._event
        if event is None:
            event = self._event = self._decode()
        return cast(Event, event)

    def sliced(self, units: int) -> Event:
        """The event; of an order book no more than the best `units` units."""
        event = self.event()
        if not isinstance(event, OrderbookEvent) or len(event.orderbook_units) <= units:
            return event
        sliced = self._sliced
        if sliced is None:
            sliced = self._sliced = {}
        book = sliced.get(units)
        if book is None:
            book = sliced[units] = event.sliced(units)
        return book

    @property
    def is_snapshot(self) -> bool:
        """Whether the exchange sent it as a snapshot; known without decoding."""
        if self._event is not None:
            return bool(self._event.stream_type == StreamType.SNAPSHOT)
        return self.payload.rfind(_SNAPSHOT) >= 0

    def _decode(self) -> Event:
        return decode_event(self.payload)


class Snapshot(Delivery):
    """The present value for somebody who comes later, marked `SNAPSHOT` whatever it came as."""

    __slots__ = ()

    @property
    def is_snapshot(self) -> bool:
        """Always."""
        return True

    def _decode(self) -> Event:
        event: Any = decode_event(self.payload)
        if event.stream_type == StreamType.SNAPSHOT:
            return cast(Event, event)
        return cast(Event, evolve(event, stream_type=StreamType.SNAPSHOT.value))


def delivery_of(key: StreamKey, payload: bytes, received_at: float, kind: type[Delivery] = Delivery) -> Delivery:
    """A delivery of a payload from the wire."""
    delivery = kind(key, payload, received_at)
    if key.data_type.is_candle:
        delivery.identity = (key, _candle_start(payload))
    return delivery


def announced(event: object, at: float) -> Delivery:
    """A delivery of an event in the life of a connection, for the same mailboxes."""
    delivery = Delivery(_NO_STREAM, b"", at)
    delivery._event = event
    delivery.identity = delivery
    return delivery


_NO_STREAM = cast(StreamKey, None)


def _candle_start(payload: bytes) -> bytes:
    """The start of a candle as it is written. Conflation across two candles would lose how the first one ended."""
    for marker in _CANDLE_STARTS:
        begin = payload.find(marker)
        if begin >= 0:
            begin += len(marker)
            return payload[begin : payload.find(b'"', begin)]
    return b""
