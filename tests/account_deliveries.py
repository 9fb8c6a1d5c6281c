"""Events of orders as they travel to subscribers, and how tests name them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.account_events import order_event
from upbit_ws.decoded_payload import DecodedPayload
from upbit_ws.protocol.account_slots import AccountSlot
from upbit_ws.protocol.account_turns import order_of
from upbit_ws.protocol.slots import Delivery
from upbit_ws.types import DataType, StreamKey

__all__ = ["delivery", "fill", "named"]

_SLOT = AccountSlot(StreamKey(DataType.MY_ORDER, ""), 10)


def delivery(state: str, uuid: str = "o1", count: int = 0, **facts: Any) -> Delivery:
    """An event of an order that counts so many fills."""
    event = order_event(state, uuid, trades_count=count, **facts)
    return _SLOT, (DecodedPayload.of(event), (0.0, 1))


def fill(number: int, uuid: str = "o1", stream_type: str = "REALTIME") -> Delivery:
    """Its fill of this number."""
    facts = {"executed_volume": Decimal(number), "volume": Decimal(1), "stream_type": stream_type}
    return delivery("trade", uuid, number, trade=f"{uuid}-t{number}", **facts)


def named(deliveries: list[Delivery]) -> list[str]:
    """`"o1 trade 2"`."""
    events = [order_of(one) for one in deliveries]
    return [f"{event.uuid} {event.state} {event.trades_count}" for event in events if event is not None]
