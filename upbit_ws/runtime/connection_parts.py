"""What one connection is given to work with."""

from __future__ import annotations

from collections.abc import Callable, Collection

from upbit_ws.config import WebSocketConfig
from upbit_ws.lifecycle import ConnectionEvent
from upbit_ws.protocol.slots import Entry, Reopened, Slot
from upbit_ws.records import frozen
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.metrics import ConnectionMeter
from upbit_ws.shared.subscription_state_manager import SubscriptionStateManager
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter
from upbit_ws.types import Endpoint, StreamKey

__all__ = ["ConnectionParts"]


@frozen(kw_only=True)
class ConnectionParts:
    """All of it is shared, none of it is owned by the connection."""

    endpoint: Endpoint
    config: WebSocketConfig
    clock: Callable[[], float]
    awake_clock: Callable[[], float]
    random: Callable[[], float]
    pool: DataPoolManager
    subscriptions: SubscriptionStateManager
    limiter: UpbitRateLimiter
    meter: ConnectionMeter
    publish: Callable[[ConnectionEvent], None]
    deliver: Callable[[list[tuple[Slot, Entry]]], None]
    reopen: Callable[[list[tuple[Slot, Reopened]]], None]
    confirmed: Callable[[Endpoint, int, Collection[StreamKey]], None]
    """What is subscribed on the connection of this epoch, where the exchange was asked (private and info)."""
