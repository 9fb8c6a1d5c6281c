"""What one connection works with, all of it real, and none of its news told to anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from upbit_ws.config import WebSocketConfig
from upbit_ws.runtime.connection_parts import ConnectionParts
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.metrics import ConnectionMeter
from upbit_ws.shared.subscription_state_manager import SubscriptionStateManager
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter
from upbit_ws.types import Endpoint


def connection_parts(endpoint: Endpoint, clock: Callable[[], float], **others: Any) -> ConnectionParts:
    """Parts of their own for one connection; `others` take the place of what would be made."""
    made: dict[str, Any] = {
        "config": WebSocketConfig.testing(),
        "random": lambda: 0.0,
        "pool": DataPoolManager(),
        "subscriptions": SubscriptionStateManager(clock=clock),
        "limiter": UpbitRateLimiter(),
        "meter": ConnectionMeter(endpoint),
        "publish": lambda event: None,
        "deliver": lambda deliveries: None,
        "reopen": lambda reopened: None,
        "confirmed": lambda endpoint, epoch, keys: None,
    }
    return ConnectionParts(endpoint=endpoint, clock=clock, awake_clock=clock, **(made | others))
