"""The book of one's own orders: their state after all events, whatever order and however often those arrive.

Rules
-----
1. A fill counts once, told by its `trade_uuid`. Any other event counts once per order and state (`prevented`: once per
   volume and amount cut).
2. ``done`` and ``cancel`` finish an order. Nothing reopens it: a later event of a state before that is dropped; a fill
   that was missed, and the opening of an order whose beginning nobody has told, are reported and leave it finished.
3. An order moves forward only: an event that knows of fewer fills, of less volume executed or of less volume prevented
   than is known already is reported, and does not become its state.
4. While `state` is ``trade``, `price` and `volume` are the fill's (Upbit: websocket-myorder page). The order's own are
   kept from its other events and from REST and stand in `order_price` and `order_volume`; None where neither told.

Finished orders are kept up to a number, the newest; of older ones the id is remembered, up to a larger number, so that
REST, which still lists them, does not bring them back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable
from decimal import Decimal
from typing import Final

from attrs import evolve, field

from upbit_ws.events import MyOrderEvent
from upbit_ws.records import define

__all__ = ["FINISHED_STATES", "MyOrders", "order_of_life"]

FINISHED_STATES: Final = frozenset({"done", "cancel"})
_OPENING_STATES: Final = frozenset({"wait", "watch"})
#: Among events that count the same fills: the fill itself comes before what knows of it already.
_RANKS: Final = {"watch": 0, "wait": 1, "trade": 2, "prevented": 3, "done": 4, "cancel": 4}
_UNKNOWN_RANK: Final = 2
_ZERO: Final = Decimal(0)


@define
class _Order:
    """One order. `event` is its newest state."""

    event: MyOrderEvent
    price: Decimal | None = None
    volume: Decimal | None = None
    fills: set[str] = field(factory=set)
    seen: set[Hashable] = field(factory=set)
    counted: int = 0
    """The most fills that any of its events told of."""
    is_opened: bool = False
    """Its beginning was told, or it is too late for that."""

    @property
    def is_finished(self) -> bool:
        return self.event.state in FINISHED_STATES


class MyOrders:
    """See the rules above. Not safe for threads: its holder locks.

    Args:
        finished_kept: Finished orders that `orders` still shows.
        ids_kept: Finished orders whose events are still known to be old.
    """

    def __init__(self, finished_kept: int = 1_000, ids_kept: int = 20_000) -> None:
        self._finished_kept = finished_kept
        self._ids_kept = ids_kept
        self._open: dict[str, _Order] = {}
        self._finished: OrderedDict[str, _Order] = OrderedDict()
        #: Ids of orders that are over and forgotten.
        self._past: OrderedDict[str, None] = OrderedDict()
        #: Orders of which the exchange counted more fills than are known, and how many more.
        self.incomplete: dict[str, int] = {}
        #: Events that said nothing new, or came too late.
        self.duplicates = 0
        self.late = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._finished)

    # -- events -------------------------------------------------------------------------------------------------------

    def take(self, event: MyOrderEvent) -> MyOrderEvent | None:
        """Apply an event. It comes back, completed by the order's own price and volume, where it is news."""
        if event.uuid in self._past:
            self.late += 1
            return None
        order = self._open.get(event.uuid) or self._finished.get(event.uuid)
        if order is None:
            return self._begin(event)
        if self._is_known(order, event):
            self.duplicates += 1
            return None
        is_opening = event.state in _OPENING_STATES and not order.is_opened
        if order.is_finished and event.state != "trade" and not is_opening:
            self.late += 1
            return None
        self._note(order, event)
        complete = _completed(order, event)
        if not order.is_finished and _is_forward(order.event, event):
            order.event = complete
            if order.is_finished:
                self._finish(event.uuid, order)
        elif not order.is_finished:
            order.event = _completed(order, order.event)
        self._count(event.uuid, order)
        return complete

    def _count(self, uuid: str, order: _Order) -> None:
        missing = order.counted - len(order.fills)
        if missing > 0 and uuid not in self._past:
            self.incomplete[uuid] = missing
        else:
            self.incomplete.pop(uuid, None)

    def _begin(self, event: MyOrderEvent) -> MyOrderEvent:
        order = _Order(event)
        self._note(order, event)
        order.event = complete = _completed(order, event)
        if order.is_finished:
            self._finish(event.uuid, order)
        else:
            self._open[event.uuid] = order
        self._count(event.uuid, order)
        return complete

    def _is_known(self, order: _Order, event: MyOrderEvent) -> bool:
        if event.trade_uuid is not None and event.state == "trade":
            return event.trade_uuid in order.fills
        return _identity(event) in order.seen

    def _note(self, order: _Order, event: MyOrderEvent) -> None:
        order.counted = max(order.counted, event.trades_count)
        order.is_opened = order.is_opened or event.state in _OPENING_STATES
        if event.state == "trade":
            if event.trade_uuid is not None:
                order.fills.add(event.trade_uuid)
            else:
                order.seen.add(_identity(event))
            return
        order.seen.add(_identity(event))
        if event.price is not None:
            order.price = event.price
        if event.volume is not None:
            order.volume = event.volume

    def _finish(self, uuid: str, order: _Order) -> None:
        self._open.pop(uuid, None)
        self._finished[uuid] = order
        while len(self._finished) > self._finished_kept:
            self.pass_over(self._finished.popitem(last=False)[0])

    # -- what REST needs ----------------------------------------------------------------------------------------------

    def pass_over(self, uuid: str) -> None:
        """Whatever comes of this order is old: it ended before anybody was interested, or long ago."""
        self._past[uuid] = None
        self.incomplete.pop(uuid, None)
        if len(self._past) > self._ids_kept:
            self._past.popitem(last=False)

    def learn(self, uuid: str, price: Decimal | None, volume: Decimal | None) -> None:
        """Take over what REST says of an order's own price and volume, where no event told."""
        order = self._open.get(uuid) or self._finished.get(uuid)
        if order is not None:
            order.price = price if order.price is None else order.price
            order.volume = volume if order.volume is None else order.volume
            order.event = _completed(order, order.event)

    def is_opened(self, uuid: str) -> bool:
        """Whether the beginning of a known order was told, or need not be any more."""
        order = self._open.get(uuid) or self._finished.get(uuid)
        return order is not None and order.is_opened

    def open_silently(self, uuid: str) -> None:
        """The beginning of a known order need not be told any more: later events were."""
        order = self._open.get(uuid) or self._finished.get(uuid)
        if order is not None:
            order.is_opened = True

    def is_past(self, uuid: str) -> bool:
        """Whether the order is over and forgotten."""
        return uuid in self._past

    def fills(self, uuid: str) -> frozenset[str]:
        """The fills that are known of an order."""
        order = self._open.get(uuid) or self._finished.get(uuid)
        return frozenset() if order is None else frozenset(order.fills)

    def get(self, uuid: str) -> MyOrderEvent | None:
        """The newest state of an order."""
        order = self._open.get(uuid) or self._finished.get(uuid)
        return None if order is None else order.event

    def open_uuids(self) -> frozenset[str]:
        """The orders that are not finished."""
        return frozenset(self._open)

    # -- reading ------------------------------------------------------------------------------------------------------

    def orders(self) -> dict[str, MyOrderEvent]:
        """The newest state of every order, in the order in which they became known; finished ones first."""
        return {uuid: order.event for orders in (self._finished, self._open) for uuid, order in orders.items()}

    def keep_only(self, symbols: Collection[str]) -> None:
        """Forget the orders of all other markets: nobody follows them any more."""
        for orders in (self._open, self._finished):
            for uuid in [uuid for uuid, order in orders.items() if order.event.symbol not in symbols]:
                del orders[uuid]
                self.incomplete.pop(uuid, None)


def order_of_life(event: MyOrderEvent) -> tuple[bool, int, int]:
    """Events of one order sort by this as they happened."""
    return event.state in FINISHED_STATES, event.trades_count, _RANKS.get(event.state, _UNKNOWN_RANK)


def _identity(event: MyOrderEvent) -> Hashable:
    if event.state == "prevented":
        return event.state, event.prevented_volume, event.prevented_locked
    if event.state == "trade":  # a fill without an id, which is not documented
        return event.state, event.trades_count
    return event.state


def _completed(order: _Order, event: MyOrderEvent) -> MyOrderEvent:
    if event.order_price == order.price and event.order_volume == order.volume:
        return event
    return evolve(event, order_price=order.price, order_volume=order.volume)


def _is_forward(known: MyOrderEvent, event: MyOrderEvent) -> bool:
    """Whether an event is a later state of its order than the known one."""
    before, after = _progress(known), _progress(event)
    if before == after:
        return _RANKS.get(event.state, _UNKNOWN_RANK) >= _RANKS.get(known.state, _UNKNOWN_RANK)
    return all(one <= other for one, other in zip(before, after, strict=True)) or event.state in FINISHED_STATES


def _progress(event: MyOrderEvent) -> tuple[int | Decimal, ...]:
    return event.trades_count, event.executed_volume or _ZERO, event.prevented_volume or _ZERO
