"""What the client processes of this SDK share. Only its public API is used."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any

from attrs import evolve

from benchmarks.clients.base import Task
from upbit_ws import (
    ConnectionConfig,
    MonitoringConfig,
    SimpleWebSocketClient,
    WebSocketConfig,
    get_global_websocket_manager,
)

METRICS_INTERVAL = 1.0
"""Seconds. Shorter than the default, so that `counters` has them soon after a run. Where the load is so low that the
metrics would show in the figure, `task.options["metrics_interval"]` is the default, and there are no counters."""


def configure(task: Task) -> WebSocketConfig:
    """The default configuration, aimed at the generator; `task.options["connection"]` changes connection fields."""
    context = ssl.create_default_context(cafile=task.cafile) if task.cafile else None
    connection = ConnectionConfig(base_url=task.url, ssl_context=context, compression=task.deflate)
    return WebSocketConfig(
        connection=evolve(connection, **task.options.get("connection", {})),
        monitoring=MonitoringConfig(metrics_interval=task.options.get("metrics_interval", METRICS_INTERVAL)),
    )


def open_client(task: Task, name: str = "benchmark") -> SimpleWebSocketClient:
    """A client that has registered everything and received a value of each."""
    client = SimpleWebSocketClient(name, config=configure(task))
    register(client, task)
    wait_until_ready(client)
    return client


def register(client: SimpleWebSocketClient, task: Task) -> None:
    """Register the task's types and symbols; order books with 15 levels, as the generator sends them.

    `task.options["history"]` is the length of all histories, `state_history` that of all but trades; where they are not
    given, the SDK's own default.
    """
    history = task.options.get("history")
    for name in task.types:
        client.register_interest(
            [name],
            task.codes,
            history=history if name == "trade" else task.options.get("state_history", history),
            orderbook_units=15 if name == "orderbook" else None,
        )


def wait_until_ready(client: SimpleWebSocketClient) -> None:
    """Wait for the first value of each key."""
    readiness = client.wait_ready(timeout=20)
    if not readiness:
        raise RuntimeError(f"{len(readiness.silent)} keys are silent, {readiness.silent[:3]} for example")


def received() -> int:
    """Messages that this process has taken from the wire so far."""
    return sum(connection.messages for connection in get_global_websocket_manager().get_connection_metrics())


def counters() -> dict[str, Any]:
    """What the SDK did not keep, to prove that a figure is no figure for dropping messages."""
    manager, now, deadline = get_global_websocket_manager(), time.monotonic(), time.monotonic() + 3 * METRICS_INTERVAL
    while manager.get_performance_metrics().measured_at < now and time.monotonic() < deadline:
        time.sleep(0.05)
    metrics = manager.get_performance_metrics()
    return {
        "received": received(),
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
