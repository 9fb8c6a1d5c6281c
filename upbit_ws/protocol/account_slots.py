"""Slots of private and info streams: every event once, in the order of arrival.

These streams send no snapshot (Upbit: websocket-myorder, -myasset, -announcement, -indicator pages), so having
delivered nothing is no sign that something is wrong. Such a slot is *established* when the exchange has confirmed the
subscription. That of announcements may be confirmed for some categories and be asked for more since.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from upbit_ws.events import AnnouncementEvent, Event, IndicatorEvent, IndicatorSignalEvent
from upbit_ws.protocol.slots import SMALLEST_HISTORY, Entry, Slot, new_slot
from upbit_ws.protocol.subscription_plan import covers
from upbit_ws.types import DataType, Endpoint, StreamKey, Want

__all__ = ["AccountSlot", "event_identity", "slot_for"]

_IDENTITIES_KEPT: Final = 512


class AccountSlot(Slot):
    """The history of one private or info stream."""

    __slots__ = ("_known", "_order", "confirmed", "established_in")

    def __init__(self, key: StreamKey, history_limit: int) -> None:
        super().__init__(key, history_limit)
        #: The newest epoch in which the exchange confirmed the subscription; 0 while none did.
        self.established_in = 0
        #: What the newest confirmed request asked of it.
        self.confirmed: Want | None = None
        self._known: set[bytes] = set()
        self._order: deque[bytes] = deque()

    def _make_history(self, entries: Iterable[Entry]) -> deque[Entry]:
        # What is filed here are objects with their events; the flat history of the other slots keeps bytes.
        return deque(entries, max(self.history_limit, SMALLEST_HISTORY))

    @property
    def is_ready(self) -> bool:
        """Whether the stream stands; silence does not mean otherwise."""
        return self.current is not None or self.established_in > 0

    def stands_for(self, want: Want) -> bool:
        """Whether the stream stands, with all that this wish asks of it."""
        return self.confirmed is not None and covers(self.confirmed, want)

    def append(self, entry: Entry) -> None:
        """Take a payload that is known to be news."""
        self.current = entry
        self.epoch = max(self.epoch, entry[1][1])
        self.revision += 1
        self.history.append(entry)

    def take_identified(self, entry: Entry, timestamp: bytes, identity: bytes) -> bool:  # noqa: ARG002
        if identity in self._known:
            self.duplicates += 1
            self._renew(entry)
            return False
        self._known.add(identity)
        self._order.append(identity)
        if len(self._order) > max(_IDENTITIES_KEPT, self.history_limit):
            self._known.discard(self._order.popleft())
        self.append(entry)
        return True


def event_identity(event: Event) -> bytes:
    """What tells an event of these streams from another one under the same key."""
    if isinstance(event, AnnouncementEvent):
        return f"{event.uuid} {event.event_type} {event.listed_at}".encode()
    if isinstance(event, (IndicatorEvent, IndicatorSignalEvent)):
        return event.candle_date_time_utc.encode()
    raise TypeError(f"{type(event).__name__} is filed by the books of the account")


def slot_for(key: StreamKey, history_limit: int) -> Slot:
    """An empty slot of the kind that the key's data type asks for."""
    if key.data_type.endpoint is Endpoint.PUBLIC:
        return new_slot(key, history_limit)
    return AccountSlot(key, history_limit)


def is_account(data_type: DataType) -> bool:
    """Whether a type is about the user's own orders or balances, which are reconciled over REST."""
    return data_type is DataType.MY_ORDER or data_type is DataType.MY_ASSET
