"""Make before break: a new connection takes over, or the old one goes on."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.client.conftest import MakeManager, wait_until
from tests.payloads import ticker
from upbit_ws import DataType, SimpleWebSocketClient
from upbit_ws.lifecycle import Connected, Connecting, Disconnected
from upbit_ws.protocol.frames import Opcode
from upbit_ws.runtime.renewal import Renewal
from upbit_ws.sandbox import Sandbox
from upbit_ws.testing import Conversation, ScriptedServer
from upbit_ws.types import Endpoint

TICKER = DataType.TICKER


def test_the_new_connection_delivers_before_the_old_one_is_closed(
    exchange: Sandbox, make_manager: MakeManager
) -> None:
    """Because of its age, here."""
    manager = make_manager(exchange.url, connection={"max_connection_age": 0.5})
    with SimpleWebSocketClient("aged", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")
        wait_until(lambda: any(isinstance(event, Disconnected) for event in manager.recent_events()), "the renewal")

        connected = [event for event in manager.recent_events() if isinstance(event, Connected | Disconnected)]
        assert [(type(event), event.epoch) for event in connected[:3]] == [
            (Connected, 1), (Connected, 2), (Disconnected, 1),
        ]  # fmt: skip
        assert connected[2].reason == "replaced by a new connection"
        assert client.get_price("KRW-BTC", max_age=5.0) == exchange.exchange.price("KRW-BTC")
        wait_until(lambda: exchange.connection_logs[0].close_code == 1000, "the goodbye")


def test_both_go_on_for_a_moment_when_the_new_one_delivers_everything(make_manager: MakeManager) -> None:
    """The exchange may have given the old one something that is still on its way."""
    delivered_at, goodbye_at = [], []

    def old(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(ticker())
        talk.read_frame()
        goodbye_at.append(time.monotonic())

    def new(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        delivered_at.append(time.monotonic())
        talk.send_frame(ticker(at=1))
        talk.wait_for_end()

    with ScriptedServer(old, new) as server:
        manager = make_manager(f"http://127.0.0.1:{server.port}")
        with SimpleWebSocketClient("overlap", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            client.get_price("KRW-BTC")
            manager.rotate()
            wait_until(lambda: bool(goodbye_at), "the goodbye")
            manager.close()

    assert goodbye_at[0] - delivered_at[0] >= 0.2


@pytest.mark.parametrize("how", ["refused", "lost before it delivers"])
def test_the_old_connection_goes_on_where_the_new_one_does_not_come_about(
    make_manager: MakeManager, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    go_on = threading.Event()

    def old(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(ticker(price=1.0))
        go_on.wait(10.0)
        if how != "refused":
            # It is asked again: it was not, for what was asked of the other one meanwhile.
            while talk.read_frame().opcode != Opcode.TEXT:
                pass
        talk.send_frame(ticker(at=1, price=2.0))
        talk.wait_for_end()

    def new(talk: Conversation) -> None:
        if how == "refused":
            talk.read_request()
            talk.send_response(503)
        else:
            talk.upgrade()
            talk.read_frame()

    with ScriptedServer(old, new) as server:
        manager = make_manager(f"http://127.0.0.1:{server.port}")
        with SimpleWebSocketClient("kept", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            client.get_price("KRW-BTC")
            manager.rotate()
            wait_until(lambda: "could not be renewed" in caplog.text or "lost again" in caplog.text, "the warning")
            manager.rotate()  # soon after one that failed nothing is tried
            go_on.set()
            wait_until(lambda: client.get_price("KRW-BTC") == 2.0, "more of the old connection")

            (status,) = manager.connection_statuses()
            assert status.epoch == 1
            assert sum(isinstance(event, Connecting) for event in manager.recent_events()) == 2
            assert (server.connections, server.errors) == (2, [])
            manager.close()


@pytest.mark.parametrize("how", ["unwanted", "closed"])
def test_a_renewal_that_is_cut_short_leaves_no_connection_open(
    exchange: Sandbox, make_manager: MakeManager, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    overlaps = threading.Event()

    def has_taken_over(*arguments: Any) -> bool:
        overlaps.set()
        return False

    monkeypatch.setattr(Renewal, "_has_taken_over", has_taken_over)
    manager = make_manager(exchange.url)
    with SimpleWebSocketClient("renewed", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")
        manager.rotate()
        assert overlaps.wait(5.0)
        if how == "unwanted":
            client.unregister_interest([TICKER], ["KRW-BTC"])
        else:
            manager.close()
        wait_until(lambda: exchange.connections == 0, "both connections to end")
        # The exchange has our Close a moment before we have its answer.
        wait_until(lambda: manager.pool._epochs.current(Endpoint.PUBLIC) is None, "the end of both epochs")
