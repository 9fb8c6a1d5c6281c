"""Waiting for bytes and for the wake-up, and letting bytes gather."""

from __future__ import annotations

import threading
import time

import pytest

from tests.wire.wires import Collector, Opener, Wire, narrow, read_to_the_end
from upbit_ws.exceptions import ConnectionLostError
from upbit_ws.testing import Conversation, ScriptedServer, server_frame
from upbit_ws.wire.transport import TransportSettings
from upbit_ws.wire.wakeup import Wakeup


def test_bytes_gather_before_they_are_read(wire: Wire, open_transport: Opener) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        for number in range(40):
            talk.send(server_frame(b"%0200d" % number))
            time.sleep(0.005)
        talk.hold()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server, settings=TransportSettings(coalesce=0.05))
        messages: list[bytes] = []
        deadline = time.monotonic() + 10.0
        while len(messages) < 40 and time.monotonic() < deadline:
            if transport.wait(1.0)[0]:
                messages += transport.receive()

    assert messages == [b"%0200d" % number for number in range(40)]
    assert transport.reads <= 20


def test_a_wake_up_ends_the_gathering(wire: Wire, open_transport: Opener, wakeup: Wakeup) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        time.sleep(0.2)  # or it would come with the upgrade
        talk.send(server_frame(b"x"))
        talk.hold()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server, settings=TransportSettings(coalesce=30.0))
        transport.rewire(wakeup)
        timer = threading.Timer(0.6, wakeup.set)
        timer.start()
        started, messages = time.monotonic(), []
        while not transport.wait(20.0)[1]:
            messages += transport.receive()
        assert 0.3 < time.monotonic() - started < 10.0
        assert messages == []
        timer.join()


def test_a_wake_up_interrupts_the_wait_and_is_cleared(open_transport: Opener, wakeup: Wakeup) -> None:
    with ScriptedServer(lambda talk: (talk.upgrade(), talk.hold())) as server:
        transport = open_transport(server.url)
        timer = threading.Timer(0.05, wakeup.set)
        timer.start()
        started = time.monotonic()
        assert transport.wait(float("inf")) == (False, True)
        assert time.monotonic() - started < 1.0
        assert transport.wait(0.0) == (False, False)
        timer.join()


def test_a_new_owner_brings_a_wake_up_of_its_own(open_transport: Opener, wakeup: Wakeup, collect: Collector) -> None:
    other = Wakeup()
    with ScriptedServer(lambda talk: (talk.upgrade(), talk.read_frame(), talk.send_frame(b"x"), talk.hold())) as server:
        transport = open_transport(server.url)
        transport.rewire(other)
        wakeup.set()
        assert transport.wait(0.01) == (False, False)
        other.set()
        assert transport.wait(5.0) == (False, True)
        transport.ping()
        assert collect(transport, 1) == [b"x"]
    other.close()


def test_the_way_of_waiting_without_poll_works_as_well(
    open_transport: Opener, collect: Collector, wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch
) -> None:
    import select

    monkeypatch.delattr(select, "poll")

    def script(talk: Conversation) -> None:
        narrow(talk._sock)
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(b"x")
        talk.end()

    with ScriptedServer(script) as server:
        transport = open_transport(server.url, settings=TransportSettings(max_outgoing=1 << 24))
        wakeup.set()
        assert transport.wait(5.0) == (False, True)
        narrow(transport._sock)
        transport.send_binary(b"y" * (8 << 20))
        assert not transport.flush()
        assert collect(transport, 1) == [b"x"]
        _, error = read_to_the_end(transport)
    assert isinstance(error, ConnectionLostError)
