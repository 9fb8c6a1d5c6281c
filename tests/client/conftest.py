"""Managers and clients on an exchange of the test's own. Every manager has to close within a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from attrs import evolve

from upbit_ws import GlobalWebSocketManager, SimpleWebSocketClient, WebSocketConfig
from upbit_ws.sandbox import Sandbox

MakeManager = Callable[..., GlobalWebSocketManager]
MakeClient = Callable[..., SimpleWebSocketClient]

#: A market that moves only when told, a snapshot at once, and no limits: what a test sees is what it caused.
STILL: dict[str, Any] = {
    "manual": True,
    "rate": 0.0,
    "snapshot_delays": (0.0,),
    "connect_limit": None,
    "rest_limit": None,
    "stale_frames": 0,
    "history_hours": 2.0,
}
LONGEST_CLOSE = 1.0


def wait_until(is_true: Callable[[], bool], what: str, *, patience: float = 5.0) -> None:
    """Look until something is so that nobody announces; the wait is bounded and never for luck."""
    deadline = time.monotonic() + patience
    while not is_true():
        assert time.monotonic() < deadline, f"{what} did not happen within {patience:g} s"
        time.sleep(0.005)


@pytest.fixture
def exchange(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """An exchange where nothing happens by itself."""
    return make_sandbox(**STILL)


@pytest.fixture
def make_manager() -> Iterator[MakeManager]:
    """`make_manager(base_url, clock=..., connection={...}, data_pool={...}, ...)`: configured for tests."""
    made: list[GlobalWebSocketManager] = []

    def make(base_url: str, *, clock: Callable[[], float] = time.monotonic, **sections: Any) -> GlobalWebSocketManager:
        config = WebSocketConfig.testing()
        sections["connection"] = {"base_url": base_url, **sections.get("connection", {})}
        changed = {name: evolve(getattr(config, name), **fields) for name, fields in sections.items()}
        manager = GlobalWebSocketManager(evolve(config, **changed), clock=clock)
        made.append(manager)
        return manager

    yield make
    for manager in made:
        begun = time.monotonic()
        manager.close()
        assert time.monotonic() - begun < LONGEST_CLOSE + 0.25, f"{manager} took long to close"


@pytest.fixture
def manager(make_manager: MakeManager, exchange: Sandbox) -> GlobalWebSocketManager:
    """A manager on `exchange`."""
    return make_manager(exchange.url)


@pytest.fixture
def make_client(manager: GlobalWebSocketManager) -> Iterator[MakeClient]:
    """`make_client("name", data_types, symbols, manager=...)`, with an interest where one is given."""
    with ExitStack() as stack:

        def make(
            name: str = "component",
            data_types: Any = None,
            symbols: Any = ("KRW-BTC",),
            *,
            manager: GlobalWebSocketManager = manager,
            **options: Any,
        ) -> SimpleWebSocketClient:
            client = stack.enter_context(SimpleWebSocketClient(name, manager=manager))
            if data_types is not None:
                client.register_interest(data_types, list(symbols), **options)
            return client

        yield make
