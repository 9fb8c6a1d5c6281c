"""How the pool files events of private and info streams: decoded on arrival, asked of the account's book, then kept.

An order's event belongs to two streams, that of its market and that of all markets; who registered either gets it.
Subscribers get it once: whoever wants all markets is also on the route of each one of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from upbit_ws.decoded_payload import DecodedPayload
from upbit_ws.events import Event, MyAssetEvent, MyOrderEvent
from upbit_ws.protocol.account_slots import AccountSlot, event_identity, is_account
from upbit_ws.protocol.slots import Entry, Slot, Stamp
from upbit_ws.shared.account_book import AccountBook
from upbit_ws.shared.waiting import Waiter
from upbit_ws.types import Endpoint, StreamKey, Want

if TYPE_CHECKING:
    from upbit_ws.protocol.epoch_manager import EpochManager

__all__ = ["AccountFiling", "AccountGate"]

Filed = list[tuple[Slot, Entry]]


class AccountGate(Protocol):
    """Where events of orders and balances go on their way to subscribers. Called outside of all locks."""

    def enter(self) -> None:
        """An event is about to be booked: nothing that is booked from now on may overtake it."""

    def leave(self, filed: Filed) -> None:
        """It was booked, and this is for subscribers. Called whatever happened since `enter`."""


class AccountFiling:
    """The part of the pool that is about the account. Shares the pool's lock and slots."""

    _lock: threading.Lock
    _epochs: EpochManager
    _slots: dict[StreamKey, Slot]
    _unwanted: int

    def __init__(self) -> None:
        #: The user's orders and balances. It has a lock of its own, never taken under the pool's.
        self.account = AccountBook()
        #: Without one, events of orders and balances go the way of all others.
        self.gate: AccountGate | None = None

    def establish(self, wants: Iterable[Want], epoch: int) -> None:
        """The exchange confirmed these streams on the connection of this epoch."""
        with self._lock:
            for want in wants:
                slot = self._slots.get(want.key)
                if isinstance(slot, AccountSlot):
                    slot.established_in = max(slot.established_in, epoch)
                    slot.confirmed = want

    def is_carried(self, endpoint: Endpoint, epoch: int) -> bool:
        """Whether all streams of a private or info endpoint that were ever confirmed are so on this connection."""
        with self._lock:
            return all(
                not 0 < slot.established_in < epoch
                for key, slot in self._slots.items()
                if key.data_type.endpoint is endpoint and isinstance(slot, AccountSlot)
            )

    def is_open(self, endpoint: Endpoint, epoch: int) -> bool:
        """Whether the connection of an epoch is open. Takes no lock."""
        return self._epochs.is_current(endpoint, epoch)

    def file_recovered(self, events: Iterable[Event], now: float) -> Filed:
        """File events that were missed and found over REST; what of it is for subscribers, in order."""
        deliveries: Filed = []
        fired: list[Waiter] = []
        with self._lock:
            for event in events:
                payload = DecodedPayload.of(event)
                watched: Filed = []
                for slot in self._account_slots_locked(event):
                    entry = (payload, (now, slot.epoch))
                    slot.append(entry)
                    slot.is_disordered = True
                    self._attend_account_locked(slot, entry, watched, fired)
                deliveries += watched[:1]
        for waiter in fired:
            waiter.fire()
        return deliveries

    def _file_private_event(self, event: Event, payload: bytes, stamp: Stamp) -> Filed:
        """File an event from the wire; what of it goes to subscribers with the rest of its batch."""
        gate = self.gate
        if gate is None or not is_account(event.data_type):
            return self._file_account_event(event, payload, stamp)
        filed: Filed = []
        gate.enter()
        try:
            filed = self._file_account_event(event, payload, stamp)
        finally:
            gate.leave(filed)
        return []

    def _file_account_event(self, event: Event, payload: bytes, stamp: Stamp) -> Filed:
        """File an event from the wire; what of it is for subscribers."""
        with self._lock:
            is_wanted = self._epochs.is_current(event.data_type.endpoint, stamp[1]) and any(
                True for _ in self._account_slots_locked(event)
            )
            if not is_wanted:
                self._unwanted += 1
                return []
        news = self.account.take(event)
        deliveries: Filed = []
        if news is None:
            return deliveries
        fired: list[Waiter] = []
        entry = (DecodedPayload.of(news, payload), stamp)
        is_booked = isinstance(news, (MyOrderEvent, MyAssetEvent))
        with self._lock:
            for slot in self._account_slots_locked(news):
                if is_booked:
                    slot.append(entry)
                elif not slot.take_identified(entry, b"", event_identity(news)):
                    continue
                self._attend_account_locked(slot, entry, deliveries, fired)
        for waiter in fired:
            waiter.fire()
        return deliveries[:1]

    def _account_slots_locked(self, event: Event) -> Iterable[AccountSlot]:
        """Where an event is filed, its own market first."""
        assert self._lock.locked()
        key = event.key
        keys = (key, key._replace(symbol="")) if isinstance(event, MyOrderEvent) else (key,)
        for one in keys:
            slot = self._slots.get(one)
            if isinstance(slot, AccountSlot):
                yield slot

    def _attend_account_locked(self, slot: Slot, entry: Entry, deliveries: Filed, fired: list[Waiter]) -> None:
        assert self._lock.locked()
        for waiter in slot.waiters:
            if not waiter.is_fired:
                waiter.is_fired = True
                fired.append(waiter)
        slot.waiters.clear()
        if slot.watchers:
            deliveries.append((slot, entry))
