"""Live events of the account that wait behind a reconciliation, so that subscribers get what was missed first."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field

from upbit_ws.decoded_payload import DecodedPayload
from upbit_ws.events import MyOrderEvent
from upbit_ws.protocol.account_slots import is_account
from upbit_ws.protocol.my_orders import order_of_life
from upbit_ws.records import define
from upbit_ws.runtime.recovery import Delivery
from upbit_ws.shared.locks import make_lock

__all__ = ["AccountHold"]


@define(eq=False)
class _Hold:
    until: float
    recovered: list[Delivery] = field(factory=list)
    live: list[Delivery] = field(factory=list)
    is_releasing: bool = False


class AccountHold:
    """Holds back, and lets go in order. Any thread may call anything.

    Args:
        clock: Monotonic seconds.
        deliver: Where events go that need not wait (any more).
    """

    def __init__(self, clock: Callable[[], float], deliver: Callable[[list[Delivery]], None]) -> None:
        self._clock = clock
        self._deliver = deliver
        #: Guards the hold.
        self._lock = make_lock("account-hold", 25)
        self._hold: _Hold | None = None

    @property
    def until(self) -> float | None:
        """When it lets go at the latest; None while nothing is held back."""
        hold = self._hold
        return None if hold is None else hold.until

    def begin(self, seconds: float) -> None:
        """Hold events of the account back from now on, at most so long. What is held already waits no longer."""
        with self._lock:
            self._hold = self._hold or _Hold(until=self._clock() + seconds)

    def pass_live(self, deliveries: list[Delivery]) -> None:
        """Deliver live events, or keep them."""
        if self._hold is not None:
            deliveries = self._kept_back(deliveries)
        if deliveries:
            self._deliver(deliveries)

    def pass_recovered(self, deliveries: list[Delivery]) -> None:
        """Deliver what was missed; while live events wait, together with them, because REST may be ahead of those."""
        with self._lock:
            hold = self._hold
            if hold is not None:
                hold.recovered += deliveries
        if hold is None and deliveries:
            self._deliver(deliveries)

    def release(self) -> None:
        """Deliver what waits, in order, and hold nothing back any more. One thread at a time does it."""
        with self._lock:
            hold = self._hold
            if hold is None or hold.is_releasing:
                return
            hold.is_releasing = True
        while True:
            with self._lock:
                due = hold.recovered + hold.live
                hold.recovered, hold.live = [], []
                if not due:
                    self._hold = None
                    return
            self._deliver(_as_lived(due))

    def release_if_overdue(self) -> None:
        """Let go when the time is over."""
        until = self.until
        if until is not None and self._clock() >= until:
            self.release()

    def _kept_back(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Keep what is of the account; the rest."""
        others = [delivery for delivery in deliveries if not is_account(delivery[0].key.data_type)]
        if len(others) == len(deliveries):
            return deliveries
        with self._lock:
            hold = self._hold
            if hold is None:
                return deliveries
            hold.live += [delivery for delivery in deliveries if is_account(delivery[0].key.data_type)]
        self.release_if_overdue()
        return others


def _as_lived(deliveries: list[Delivery]) -> list[Delivery]:
    """The same deliveries; those of one order, in the places that they have, in the order of its life."""
    places: dict[str, list[tuple[int, MyOrderEvent]]] = {}
    for place, (_, (payload, _)) in enumerate(deliveries):
        event = payload.event if isinstance(payload, DecodedPayload) else None
        if isinstance(event, MyOrderEvent):
            places.setdefault(event.uuid, []).append((place, event))
    ordered = list(deliveries)
    for one in places.values():
        lived = sorted(one, key=lambda pair: order_of_life(pair[1]))
        for (place, _), (source, _) in zip(one, lived, strict=True):
            ordered[place] = deliveries[source]
    return ordered
