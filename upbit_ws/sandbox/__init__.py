"""
An embedded Upbit-like exchange: a real server on the loopback with a simulated, seeded market.

For demos without a network, for this package's tests and for the tests of those who build on it. Needs the extra
`sandbox`.

It has accounts as well. `SANDBOX_ACCESS_KEY` and `SANDBOX_SECRET_KEY` open one over REST and on the private sockets,
and `Sandbox.exchange` knows the exact books to compare with:

    >>> sandbox.exchange.place_order("KRW-BTC", "BID", price=5_000)          # doctest: +SKIP
    >>> sandbox.exchange.orders(), sandbox.exchange.balances()               # doctest: +SKIP
    >>> sandbox.exchange.announce("Downtime", category="maintenance")        # doctest: +SKIP
"""

from __future__ import annotations

from upbit_ws.sandbox.accounts import Balance
from upbit_ws.sandbox.auth import SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY, SandboxKey
from upbit_ws.sandbox.config import SandboxConfig
from upbit_ws.sandbox.exchange import Exchange, Trade
from upbit_ws.sandbox.order_rules import OrderError
from upbit_ws.sandbox.orders import FillRecord, OrderRecord
from upbit_ws.sandbox.sandbox import Sandbox, SandboxError

__all__ = [
    "SANDBOX_ACCESS_KEY",
    "SANDBOX_SECRET_KEY",
    "Balance",
    "Exchange",
    "FillRecord",
    "OrderError",
    "OrderRecord",
    "Sandbox",
    "SandboxConfig",
    "SandboxError",
    "SandboxKey",
    "Trade",
]
