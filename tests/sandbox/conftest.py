"""Exchanges without delays, whose time stands still, and clients to talk to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.sandbox.clients import Client
from upbit_ws.sandbox import Sandbox

PROMPT: dict[str, Any] = {
    "manual": True,
    "rate": 0.0,
    "snapshot_delays": (0.0,),
    "stale_frames": 0,
    "error_close_delay": 0.0,
    "connect_limit": None,
    "rest_limit": None,
    "message_limits": False,
    "history_hours": 3.0,
    "markets": ["KRW-BTC", "KRW-ETH", "KRW-XRP", "BTC-ETH", "USDT-BTC"],
}


@pytest.fixture
def make(make_sandbox: Callable[..., Sandbox]) -> Callable[..., Sandbox]:
    """Start an exchange that answers at once and whose market moves only when told; switches on top."""

    def make_prompt(**switches: Any) -> Sandbox:
        return make_sandbox(**{**PROMPT, **switches})

    return make_prompt


@pytest.fixture
def exchange(make: Callable[..., Sandbox]) -> Sandbox:
    """Such an exchange without any switch."""
    return make()


@pytest.fixture
def dial() -> Iterator[Callable[..., Client]]:
    """Open a connection to an exchange."""
    with ExitStack() as stack:

        def open_connection(sandbox: Sandbox, path: str = "", **options: Any) -> Client:
            options = {"ping_interval": None, "compression": None, "max_size": None, "close_timeout": 0.1, **options}
            return Client(stack.enter_context(connect(sandbox.websocket_url + path, **options)))

        yield open_connection


@pytest.fixture
def client(exchange: Sandbox, dial: Callable[..., Client]) -> Client:
    """A connection to that exchange."""
    return dial(exchange)
