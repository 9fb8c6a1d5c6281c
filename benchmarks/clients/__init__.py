"""The clients under test, each run in a process of its own: ``python -m benchmarks.clients NAME '{...}'``.

Each module has `REQUIRES` (what must be installed), `run(task)` for the continuous flow, and is named in `CLIENTS`.
A peer does no more than its users cannot avoid: receive and parse. Nothing is stored and nothing is printed.
"""

from __future__ import annotations

import importlib.util

from attrs import frozen


@frozen
class Client:
    """One row of the comparison."""

    name: str
    title: str
    module: str
    requires: tuple[str, ...] = ()
    transports: tuple[str, ...] = ("plain", "tls")
    delays: bool = False
    """Whether it can report delays."""

    @property
    def missing(self) -> list[str]:
        """Which of its packages are not installed."""
        return [name for name in self.requires if importlib.util.find_spec(name) is None]


STOCK = "websocket-client"
SDK = "upbit_ws"

CLIENTS = {
    client.name: client
    for client in (
        Client(SDK, "upbit_ws, into the pool", "sdk_flow", ("upbit_ws",), ("plain", "tls", "deflate"), delays=True),
        Client("upbit_ws-trades", "upbit_ws, into the pool, histories of trades only", "sdk_trades", ("upbit_ws",)),
        Client("upbit_ws-python", "upbit_ws, into the pool, without its extension in C", "sdk_python", ("upbit_ws",)),
        Client("upbit_ws-pull", "upbit_ws, all prices pulled 100 times a second", "sdk_pulling", ("upbit_ws",)),
        Client("upbit_ws-updates", "upbit_ws, updates(): events handed out", "sdk_updates", ("upbit_ws",)),
        Client("upbit_ws-callback", "upbit_ws, callbacks: events handed out", "sdk_callback", ("upbit_ws",)),
        Client("raw", "raw recv of the bytes", "raw_recv"),
        Client("picows-raw", "picows, not parsed", "picows_raw", ("picows",)),
        Client("picows", "picows + orjson", "picows_orjson", ("picows", "orjson"), delays=True),
        Client(STOCK, "websocket-client + orjson", "websocket_client", ("websocket", "orjson"), delays=True),
        Client("websocketapp", "WebSocketApp + json", "websocket_app", ("websocket",)),
        Client(
            "websockets",
            "websockets.sync + orjson",
            "websockets_sync",
            ("websockets", "orjson"),
            ("plain", "tls", "deflate"),
            delays=True,
        ),
        Client("upbit-sdk", "upbit-sdk (official)", "upbit_sdk", ("upbit", "websockets"), ("plain", "tls", "deflate")),
        Client("pyupbit", "pyupbit's WebSocketManager", "pyupbit_manager", ("pyupbit", "websockets"), ("plain",)),
        Client("ccxt", "ccxt.pro", "ccxt_pro", ("ccxt",), ("plain",)),
    )
}
"""In the order of the tables."""
