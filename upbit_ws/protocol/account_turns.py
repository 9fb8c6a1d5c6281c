"""Which events of the account go to subscribers now, which wait, and in what order they go.

Rules
-----
1. What was missed (`recovered`) goes before what came live and waits.
2. While the whole account is being compared everything waits. While a fill of one order is being looked for, because an
   event counted more fills than came, that order's events wait, and all others go.
3. The events of one order go in the order of its life, in the places that they have among the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from upbit_ws.decoded_payload import DecodedPayload
from upbit_ws.events import MyOrderEvent
from upbit_ws.protocol.my_orders import order_of_life
from upbit_ws.protocol.slots import Delivery

__all__ = ["as_lived", "order_of", "parted"]


def order_of(delivery: Delivery) -> MyOrderEvent | None:
    """The event of an order, where it is one."""
    payload = delivery[1][0]
    event = payload.event if isinstance(payload, DecodedPayload) else None
    return event if isinstance(event, MyOrderEvent) else None


def parted(
    waiting: Iterable[tuple[Delivery, float]], awaited: Collection[str]
) -> tuple[list[Delivery], list[tuple[Delivery, float]]]:
    """What goes now; and what stays, each with the moment until when it may: the events of these orders."""
    due: list[Delivery] = []
    kept: list[tuple[Delivery, float]] = []
    for delivery, until in waiting:
        event = order_of(delivery)
        if event is not None and event.uuid in awaited:
            kept.append((delivery, until))
        else:
            due.append(delivery)
    return due, kept


def as_lived(deliveries: list[Delivery]) -> list[Delivery]:
    """The same deliveries; those of one order, in the places that they have, in the order of its life."""
    places: dict[str, list[tuple[int, MyOrderEvent]]] = {}
    for place, delivery in enumerate(deliveries):
        event = order_of(delivery)
        if event is not None:
            places.setdefault(event.uuid, []).append((place, event))
    ordered = list(deliveries)
    for one in places.values():
        lived = sorted(one, key=lambda pair: order_of_life(pair[1]))
        for (place, _), (source, _) in zip(one, lived, strict=True):
            ordered[place] = deliveries[source]
    return ordered
