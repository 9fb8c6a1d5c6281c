"""The I/O thread of one endpoint: when it connects, when it waits, when it lets go."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from tests.client.conftest import MakeManager, wait_until
from tests.payloads import ticker
from upbit_ws import DataType, GlobalWebSocketManager, SimpleWebSocketClient
from upbit_ws.lifecycle import BackingOff, Closed, Connected, Connecting, Disconnected
from upbit_ws.sandbox import Sandbox
from upbit_ws.testing import Conversation, ScriptedServer
from upbit_ws.types import ConnectionState, ConnectionStatus, StreamKey

TICKER = DataType.TICKER


def status(manager: GlobalWebSocketManager) -> ConnectionStatus:
    return manager.connection_statuses()[0]


def kinds(manager: GlobalWebSocketManager) -> list[type]:
    return [type(event) for event in manager.recent_events()]


def test_it_lets_go_when_nothing_is_wanted_and_comes_back_when_something_is(
    exchange: Sandbox, manager: GlobalWebSocketManager
) -> None:
    with SimpleWebSocketClient("coming", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")

        client.unregister_interest()
        wait_until(lambda: status(manager).state is ConnectionState.DISCONNECTED, "the end")
        assert (status(manager).wanted, status(manager).connected_since) == (0, None)
        client.register_interest([TICKER], ["KRW-ETH"])

        assert client.get_price("KRW-ETH") == exchange.exchange.price("KRW-ETH")
        assert status(manager).epoch == 2
        wait_until(lambda: [log.close_code for log in exchange.connection_logs] == [1000, None], "the goodbye")


def test_who_comes_back_begins_without_the_old_values(exchange: Sandbox, manager: GlobalWebSocketManager) -> None:
    with SimpleWebSocketClient("first", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")
    wait_until(lambda: status(manager).state is ConnectionState.DISCONNECTED, "the end")
    assert manager.pool.slot(StreamKey(TICKER, "KRW-BTC")) is None
    made = exchange.exchange.trade("KRW-BTC", exchange.exchange.price("KRW-BTC") + 1000)

    with SimpleWebSocketClient("second", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])

        assert client.get_price("KRW-BTC") == made.price


def test_an_attempt_is_given_up_when_nothing_is_wanted_any_more(make_manager: MakeManager) -> None:
    def mute(talk: Conversation) -> None:
        talk.read_request()
        talk.hold()

    with ScriptedServer(mute) as server:
        manager = make_manager(f"http://127.0.0.1:{server.port}", connection={"connect_timeout": 30.0})
        with SimpleWebSocketClient("mute", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            wait_until(lambda: server.connections == 1, "the attempt")
            client.unregister_interest()

            wait_until(lambda: status(manager).state is ConnectionState.DISCONNECTED, "the end")
        manager.close()


def test_a_wait_for_the_next_attempt_is_given_up_when_nothing_is_wanted_any_more(make_manager: MakeManager) -> None:
    manager = make_manager("http://127.0.0.1:9", reconnection={"base_delay": 30.0, "max_delay": 30.0})
    with SimpleWebSocketClient("nobody", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        wait_until(lambda: (status(manager).next_attempt_in or 0.0) > 1.0, "a long wait", patience=20.0)
        client.unregister_interest()

        wait_until(lambda: status(manager).state is ConnectionState.DISCONNECTED, "the end")
        assert status(manager).next_attempt_in is None


def test_its_life_is_told_in_order(exchange: Sandbox, manager: GlobalWebSocketManager) -> None:
    with SimpleWebSocketClient("life", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")
        exchange.drop_all("close", 1001)
        wait_until(lambda: client.snapshot(TICKER, "KRW-BTC").epoch == 2, "the second connection")
    wait_until(lambda: exchange.connections == 0, "the end")
    manager.close()

    told = [kind for kind in kinds(manager) if kind in (Connecting, Connected, Disconnected, BackingOff, Closed)]
    life = [Connecting, Connected, Disconnected]
    assert told == [*life, BackingOff, *life, Closed]
    ended = [event for event in manager.recent_events() if isinstance(event, Disconnected)]
    assert [event.code for event in ended] == [1001, 1000]
    times = [event.at for event in manager.recent_events()]
    assert times == sorted(times)


@pytest.mark.parametrize("http_status", [401, 403, 404, 429, 500, 503])
def test_a_refused_upgrade_is_told_and_tried_again(make_manager: MakeManager, http_status: int) -> None:
    def refuse(talk: Conversation) -> None:
        talk.read_request()
        talk.send_response(http_status, headers={"Retry-After": "0.1"} if http_status == 429 else None)

    def serve(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(ticker(price=7.0))
        talk.hold()

    with ScriptedServer(refuse, serve) as server:
        manager = make_manager(f"http://127.0.0.1:{server.port}")
        with SimpleWebSocketClient("refused", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            wait_until(lambda: status(manager).last_error is not None, "the refusal")

            assert str(http_status) in (status(manager).last_error or "")
            if http_status >= 500:
                assert client.get_price("KRW-BTC") == 7.0
        manager.close()


def test_where_all_that_is_wanted_is_refused_the_status_says_why(make_manager: MakeManager) -> None:
    """Also where the exchange leaves it to us to end the connection."""

    def refuse(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(b'{"error":{"name":"WRONG_FORMAT","message":"no"}}')
        talk.wait_for_end()

    with ScriptedServer(refuse) as server:
        manager = make_manager(f"http://127.0.0.1:{server.port}")
        with SimpleWebSocketClient("refused", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            wait_until(lambda: status(manager).last_error is not None, "the refusal")
            wait_until(lambda: status(manager).state is ConnectionState.DISCONNECTED, "the end")

            assert status(manager).last_error == "the exchange rejected the request: WRONG_FORMAT: no"
        manager.close()


def test_an_error_of_our_own_is_told_and_survived(
    exchange: Sandbox, make_manager: MakeManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from upbit_ws.runtime import native_websocket_client

    monkeypatch.setattr(native_websocket_client, "_CRASH_DELAY", 0.1)
    manager = make_manager(exchange.url)
    go_on, calls = manager.pool._go_on, []

    def broken(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise ZeroDivisionError("a bug")
        return go_on(*arguments)

    monkeypatch.setattr(manager.pool, "_go_on", broken)
    with caplog.at_level(logging.CRITICAL, "upbit_ws"), SimpleWebSocketClient("bug", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])

        assert client.get_price("KRW-BTC") == exchange.exchange.price("KRW-BTC")
        assert "a bug" in caplog.text
        assert status(manager).epoch == 2


def test_a_status_shows_no_keys_and_no_token(exchange: Sandbox, manager: GlobalWebSocketManager) -> None:
    with SimpleWebSocketClient("status", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")
        now = status(manager)

    assert now.url == exchange.websocket_url
    assert now.connected_since is not None
    assert now.connected_since <= time.monotonic()
    assert now.last_frame_age is not None
    assert now.next_attempt_in is None
    assert "public" in repr(manager)
