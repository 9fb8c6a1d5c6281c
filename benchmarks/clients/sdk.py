"""What the client processes of this SDK share. Only its public API is used."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any

from attrs import evolve

from benchmarks.clients.base import Task
from upbit_ws import ConnectionConfig, SimpleWebSocketClient, WebSocketConfig, get_global_websocket_manager


def configure(task: Task) -> WebSocketConfig:
    """The default configuration, aimed at the generator; `task.options["connection"]` changes connection fields."""
    context = ssl.create_default_context(cafile=task.cafile) if task.cafile else None
    connection = ConnectionConfig(base_url=task.url, ssl_context=context, compression=task.deflate)
    return WebSocketConfig(connection=evolve(connection, **task.options.get("connection", {})))


def open_client(task: Task, name: str = "benchmark") -> SimpleWebSocketClient:
    """A client that has registered everything and received a value of each."""
    client = SimpleWebSocketClient(name, config=configure(task))
    register(client, task)
    wait_until_ready(client)
    return client


def register(client: SimpleWebSocketClient, task: Task) -> None:
    """Register the task's types and symbols; order books with 15 levels, as the generator sends them."""
    history = task.options.get("history")
    plain = [name for name in task.types if name != "orderbook"]
    if plain:
        client.register_interest(plain, task.codes, history=history)
    if "orderbook" in task.types:
        client.register_interest(["orderbook"], task.codes, history=history, orderbook_units=15)


def wait_until_ready(client: SimpleWebSocketClient) -> None:
    """Wait for the first value of each key."""
    readiness = client.wait_ready(timeout=20)
    if not readiness:
        raise RuntimeError(f"{len(readiness.silent)} keys are silent, {readiness.silent[:3]} for example")


def received() -> int:
    """Messages that this process has taken from the wire so far."""
    return get_global_websocket_manager().get_performance_metrics().messages


def counters() -> dict[str, Any]:
    """What the SDK did not keep, to prove that a figure is no figure for dropping messages."""
    metrics = get_global_websocket_manager().get_performance_metrics()
    return {
        "received": metrics.messages,
        "duplicates": metrics.duplicates,
        "out_of_order": metrics.out_of_order,
        "stale_dropped": metrics.stale_dropped,
        "decode_errors": metrics.decode_errors,
        "reconnects": metrics.reconnects,
    }


def wait_for_silence(count: Callable[[], int] = received, quiet: float = 0.4) -> int:
    """Wait until no message has come for `quiet` seconds; returns how many came altogether."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < quiet:
        now = count()
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.02)
    return last
