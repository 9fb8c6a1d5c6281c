"""What the log says of a loss is text: a handler that keeps its records keeps no connection alive."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable

import pytest

from tests.account_rig import wait_until
from upbit_ws import ConnectionConfig, GlobalWebSocketManager, SimpleWebSocketClient, WebSocketConfig
from upbit_ws.sandbox import Sandbox
from upbit_ws.wire.transport import Transport


def transports() -> list[Transport]:
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, Transport)]


def test_a_handler_that_keeps_its_records_keeps_no_connection_alive(
    make_sandbox: Callable[..., Sandbox], caplog: pytest.LogCaptureFixture
) -> None:
    before = transports()
    sandbox = make_sandbox(rate=0.0, connect_limit=None)
    config = WebSocketConfig.testing(connection=ConnectionConfig(base_url=sandbox.url))
    with (
        caplog.at_level(logging.DEBUG, "upbit_ws"),
        GlobalWebSocketManager(config) as manager,
        SimpleWebSocketClient("log", manager=manager) as client,
    ):
        client.register_interest(["ticker"], ["KRW-BTC"])
        for number in range(1, 5):
            wait_until(lambda number=number: manager.connection_statuses()[0].epoch == number, "a connection")  # type: ignore[misc]
            client.get_price("KRW-BTC")
            sandbox.drop_all("rst")
        wait_until(lambda: manager.connection_statuses()[0].epoch == 5, "the last connection")
        alive = [one for one in transports() if one not in before]

    # The present one, and the one before it, which the last error remembers.
    assert len(alive) <= 2
    assert [record for record in caplog.records if "lost or refused" in record.msg]
