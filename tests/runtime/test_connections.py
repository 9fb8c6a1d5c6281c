"""The connections of a manager: one per endpoint, made when something of it is wanted, however many ask at once."""

from __future__ import annotations

import threading

from tests.client.conftest import MakeManager, wait_until
from upbit_ws import DataType, GlobalWebSocketManager, SimpleWebSocketClient
from upbit_ws.runtime.connections import awake_seconds
from upbit_ws.sandbox import Sandbox
from upbit_ws.types import Endpoint

TICKER = DataType.TICKER


def test_nothing_is_opened_before_something_is_wanted(exchange: Sandbox, manager: GlobalWebSocketManager) -> None:
    with SimpleWebSocketClient("idle", manager=manager):
        assert manager.connection_statuses() == ()
        assert manager.get_connection_metrics() == ()

    assert exchange.connection_logs == []


def test_public_streams_open_the_public_endpoint_only(exchange: Sandbox, manager: GlobalWebSocketManager) -> None:
    with SimpleWebSocketClient("public", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")

        assert [status.endpoint for status in manager.connection_statuses()] == [Endpoint.PUBLIC]
        assert [log.path for log in exchange.connection_logs] == ["/websocket/v1"]


def test_wakes_of_many_threads_make_one_connection(exchange: Sandbox, manager: GlobalWebSocketManager) -> None:
    gate = threading.Barrier(12)

    def wake() -> None:
        gate.wait()
        manager._connections.wake([Endpoint.PUBLIC])

    threads = [threading.Thread(target=wake) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("upbit-ws-io")]
    assert names == ["upbit-ws-io-public"]
    assert len(manager._connections.all()) == 1


def test_after_a_stop_nothing_is_opened_any_more(manager: GlobalWebSocketManager) -> None:
    manager._connections.stop()

    manager._connections.wake([Endpoint.PUBLIC])

    assert manager._connections.all() == ()


def test_an_error_is_told_only_while_the_connection_is_not_there(
    exchange: Sandbox, manager: GlobalWebSocketManager
) -> None:
    with SimpleWebSocketClient("errors", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")
        assert manager._connections.last_error() is None
        exchange.stop()
        wait_until(lambda: "refused" in (manager._connections.last_error() or ""), "the refusal")

        exchange.start()
        wait_until(lambda: client.snapshot(TICKER, "KRW-BTC").is_live, "the return")
        assert manager._connections.last_error() is None
        (metrics,) = manager.get_connection_metrics()
        assert "refused" in (metrics.last_error or "")


def test_what_a_connection_counted_survives_it(exchange: Sandbox, make_manager: MakeManager) -> None:
    manager = make_manager(exchange.url, connection={"ping_interval": 0.05})
    with SimpleWebSocketClient("counting", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")
        wait_until(lambda: manager.get_connection_metrics()[0].bytes > 0, "bytes")
        before = manager.get_connection_metrics()[0]
        exchange.drop_all("rst")
        wait_until(lambda: client.snapshot(TICKER, "KRW-BTC").epoch == 2, "the second connection")

        after = manager.get_connection_metrics()[0]
        assert after.bytes >= before.bytes
        assert after.messages > before.messages


def test_the_clock_that_runs_on_in_a_suspend_runs() -> None:
    first = awake_seconds()

    assert awake_seconds() >= first > 0
