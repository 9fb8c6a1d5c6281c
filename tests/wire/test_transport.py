"""An open connection: everything that came is delivered, and the end is told once, with its cause."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from upbit_ws.exceptions import ConnectionLostError, InvalidArgumentError, WebSocketProtocolError
from upbit_ws.protocol.frames import FrameLimits, Opcode
from upbit_ws.testing import CertificateAuthority, Conversation, ScriptedServer, server_frame
from upbit_ws.wire.poller import Inlet
from upbit_ws.wire.transport import Transport, TransportSettings
from upbit_ws.wire.wakeup import Wakeup

Opener = Callable[..., Transport]
Collector = Callable[..., list[bytes]]


def read_to_the_end(transport: Transport, patience: float = 5.0) -> tuple[list[bytes], Exception]:
    """All messages, and what ended them."""
    deadline = time.monotonic() + patience
    messages: list[bytes] = []
    while time.monotonic() < deadline:
        if transport.wait(deadline - time.monotonic())[0]:
            try:
                messages += transport.receive()
            except (ConnectionLostError, WebSocketProtocolError) as error:
                return messages, error
    raise AssertionError(f"no end after {len(messages)} messages")


def narrow(sock: socket.socket) -> None:
    """Have the kernel keep little of what nobody reads; by itself it may take many megabytes."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 1 << 16)


class Wire:
    """Plain or TLS: the same script, the same expectations."""

    def __init__(self, authority: CertificateAuthority | None) -> None:
        self._authority = authority
        self.is_tls = authority is not None

    def server(self, *scripts: Callable[[Conversation], Any]) -> ScriptedServer:
        return ScriptedServer(*scripts, tls=self._authority.server_context() if self._authority else None)

    def open(self, opener: Opener, server: ScriptedServer, **target: Any) -> Transport:
        return opener(server.url, ssl_context=self._authority.client_context() if self._authority else None, **target)


@pytest.fixture(params=["plain", "tls", "plain, two calls", "tls, two calls"])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Plain or TLS; waiting and reading in one call, where the extension is there, and in two."""
    transport, _, calls = request.param.partition(", ")
    if calls:
        monkeypatch.setattr("upbit_ws.wire.incoming.Inlet", None)
    elif Inlet is None:
        pytest.skip("needs the extension, and a system with poll")
    return Wire(request.getfixturevalue("authority") if transport == "tls" else None)


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


def test_messages_arrive_in_order_however_many_a_read_brings(
    wire: Wire, open_transport: Opener, collect: Collector
) -> None:
    expected = [b'{"type":"ticker","n":%d,"x":"%s"}' % (number, b"y" * (number % 700)) for number in range(20_000)]

    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.send(b"".join(map(server_frame, expected)))
        talk.hold()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        assert collect(transport, len(expected)) == expected
        assert transport.bytes_received >= sum(map(len, expected))
        assert transport.reads < len(expected) / 10


def test_a_frame_cut_at_every_byte_is_the_same_frame(wire: Wire, open_transport: Opener, collect: Collector) -> None:
    frame = server_frame(b"z" * 130)

    def script(talk: Conversation) -> None:
        talk.upgrade()
        for cut in range(1, len(frame)):
            talk.send(frame[:cut])
            talk.read_frame()
            talk.send(frame[cut:])
            talk.read_frame()
        talk.hold()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        for _ in range(1, len(frame)):
            # The server goes on only when told, so each cut is really seen.
            assert transport.wait(5.0)[0]
            assert transport.receive() == []
            transport.ping()
            transport.flush()
            assert collect(transport, 1) == [b"z" * 130]
            transport.ping()
            transport.flush()


def test_text_and_binary_are_told_apart(open_transport: Opener) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade(followed_by=server_frame(b"a") + server_frame(b"b", Opcode.TEXT) + server_frame(b"", Opcode.TEXT))
        talk.hold()

    with ScriptedServer(script) as server:
        transport = open_transport(server.url)
        assert transport.wait(5.0) == (True, False)
        assert transport.receive() == [b"a", b"b", b""]
        assert transport.text_indexes == [1, 2]
        assert transport.receive() == []
        assert transport.text_indexes == []


def test_what_is_sent_is_masked_and_whole(wire: Wire, open_transport: Opener) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        for _ in range(4):
            talk.read_frame()
        talk.hold()

    payload = b'[{"ticket":"x"}]' * 5000
    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        transport.send_text(b"[]")
        transport.send_text(payload)
        transport.send_binary(b"\x00")
        transport.ping(b"7")
        talk = server.conversation()
        deadline = time.monotonic() + 5.0
        while len(talk.frames) < 4 and time.monotonic() < deadline:
            transport.wait(0.01)
        assert not transport.wants_write
        assert [(frame.opcode, frame.payload) for frame in talk.frames] == [
            (Opcode.TEXT, b"[]"),
            (Opcode.TEXT, payload),
            (Opcode.BINARY, b"\x00"),
            (Opcode.PING, b"7"),
        ]
        assert all(frame.is_masked and frame.is_final for frame in talk.frames)
        assert transport.bytes_sent > len(payload)


def test_pings_are_answered_in_order_and_a_flood_by_its_newest(wire: Wire, open_transport: Opener) -> None:
    flood = b"".join(server_frame(b"%d" % number, Opcode.PING) for number in range(5000))

    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.send(server_frame(b"one", Opcode.PING) + server_frame(b"two", Opcode.PING) + server_frame(b"x"))
        talk.read_frame()
        talk.read_frame()
        talk.send(flood + server_frame(b"y"))
        while talk.read_frame().payload != b"4999":
            pass

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        messages, error = read_to_the_end(transport)
        frames = server.conversation().frames
    assert messages == [b"x", b"y"]
    assert isinstance(error, ConnectionLostError)
    assert server.errors == []
    assert [frame.payload for frame in frames[:2]] == [b"one", b"two"]
    assert {frame.opcode for frame in frames} == {Opcode.PONG}
    assert frames[-1].payload == b"4999"
    assert len(frames) < 500


def test_pongs_are_kept_for_the_owner_and_bounded(open_transport: Opener, collect: Collector) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade(followed_by=server_frame(b"a", Opcode.PONG) + server_frame(b"b", Opcode.PONG) + server_frame(b"x"))
        talk.read_frame()
        talk.send(b"".join(server_frame(b"%d" % number, Opcode.PONG) for number in range(3000)) + server_frame(b"y"))
        talk.hold()

    with ScriptedServer(script) as server:
        transport = open_transport(server.url)
        collect(transport, 1)
        assert transport.pongs == [b"a", b"b"]
        transport.pongs.clear()
        transport.ping()
        collect(transport, 1)
        assert transport.pongs == [b"%d" % number for number in range(3000 - 1024, 3000)]


@pytest.mark.parametrize(
    ("code", "reason", "echoed"),
    [(1000, "bye", b"\x03\xe8"), (1001, "", b"\x03\xe9"), (4001, "ours", b"\x0f\xa1"), (None, "", b"")],
)
def test_a_close_is_answered_with_its_own_code_after_the_messages_before_it(
    wire: Wire, open_transport: Opener, code: int | None, reason: str, echoed: bytes
) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.send(server_frame(b'{"error":{"name":"NO_TICKET"}}'))
        talk.send_close(code, reason)
        talk.send_frame(b"never seen")
        while True:
            talk.read_frame()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        messages, error = read_to_the_end(transport)
        transport.send_text(b"nothing may follow a Close")
        transport.close(deadline=time.monotonic() + 1.0)
        assert server.conversation().is_over.wait(5.0)
        frames = server.conversation().frames

    assert messages == [b'{"error":{"name":"NO_TICKET"}}']
    assert isinstance(error, ConnectionLostError)
    assert (error.code, error.reason) == (1005 if code is None else code, reason)
    assert [(frame.opcode, frame.payload) for frame in frames] == [(Opcode.CLOSE, echoed)]


def test_a_reason_that_could_break_a_line_is_escaped(open_transport: Opener) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.send_close(1008, "no\r\n\x1b[31m")
        talk.wait_for_end()

    with ScriptedServer(script) as server:
        _, error = read_to_the_end(open_transport(server.url))
    assert isinstance(error, ConnectionLostError)
    assert error.reason == "no\\r\\n\\x1b[31m"


def test_a_violation_is_answered_with_its_code_after_the_messages_before_it(wire: Wire, open_transport: Opener) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.send(server_frame(b"good") + server_frame(b"bad", 0x3))
        talk.read_frame()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        messages, error = read_to_the_end(transport)
        assert server.conversation().is_over.wait(5.0)
        frames = server.conversation().frames

    assert messages == [b"good"]
    assert isinstance(error, WebSocketProtocolError)
    assert error.close_code == 1002
    assert [(frame.opcode, frame.payload) for frame in frames] == [(Opcode.CLOSE, b"\x03\xea")]


def test_limits_of_the_settings_hold(open_transport: Opener) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade(followed_by=server_frame(b"x" * 2000))
        talk.wait_for_end()

    with ScriptedServer(script) as server:
        settings = TransportSettings(limits=FrameLimits(max_frame_size=1000))
        _, error = read_to_the_end(open_transport(server.url, settings=settings))
    assert isinstance(error, WebSocketProtocolError)
    assert error.close_code == 1009


HALF = server_frame(b"x" * 200)[:100]


@pytest.mark.parametrize(
    ("last_bytes", "ending", "reason"),
    [
        (b"", Conversation.end, "no close frame"),
        (HALF, Conversation.end, "truncated"),
        (server_frame(b"part", is_final=False), Conversation.end, "truncated"),
        (b"", Conversation.reset, "reset"),
        (HALF, Conversation.reset, "reset"),
        (b"", Conversation.half_close, "no close frame"),
        (HALF, Conversation.half_close, "truncated"),
    ],
)
def test_an_end_without_close_is_1006_with_its_cause(
    wire: Wire, open_transport: Opener, last_bytes: bytes, ending: Callable[[Conversation], None], reason: str
) -> None:
    seen = threading.Event()

    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.send(server_frame(b"first") + last_bytes)
        seen.wait(5.0)
        ending(talk)
        if ending is Conversation.half_close:
            talk.hold()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        assert transport.wait(5.0)[0]
        messages = transport.receive()
        seen.set()
        started = time.monotonic()
        more, error = read_to_the_end(transport)
        assert time.monotonic() - started < 1.0

    assert messages + more == [b"first"]
    assert isinstance(error, ConnectionLostError)
    assert (error.code, error.reason) == (1006, reason)
    with pytest.raises(ConnectionLostError):
        transport.receive()
    assert transport.wait(5.0)[0]


@pytest.mark.parametrize(("last_bytes", "reason"), [(b"", "no close frame"), (HALF, "truncated")])
def test_a_close_notify_is_no_clean_end(
    authority: CertificateAuthority, open_transport: Opener, last_bytes: bytes, reason: str
) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.send(server_frame(b"first") + last_bytes)
        talk.end_tls()
        talk.hold()

    wire = Wire(authority)
    with wire.server(script) as server:
        messages, error = read_to_the_end(wire.open(open_transport, server))
    assert messages == [b"first"]
    assert isinstance(error, ConnectionLostError)
    assert (error.code, error.reason) == (1006, reason)


def test_a_failed_write_does_not_hide_what_came_before_it(open_transport: Opener) -> None:
    ready = threading.Event()

    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.send(server_frame(b'{"error":{}}') + server_frame(b"\x03\xe8", Opcode.CLOSE))
        talk.end()
        ready.set()

    with ScriptedServer(script) as server:
        transport = open_transport(server.url)
        assert ready.wait(5.0)
        # The first write makes the closed peer answer with RST, the second fails with it.
        deadline = time.monotonic() + 5.0
        while transport._write_failure is None and time.monotonic() < deadline:
            transport.ping()
            transport.flush()
        messages, error = read_to_the_end(transport)

    assert messages == [b'{"error":{}}']
    assert isinstance(error, ConnectionLostError)
    assert error.code == 1000


def test_a_failed_write_is_reported_when_nothing_is_left_to_read(open_transport: Opener) -> None:
    # Only the writing side is shut: nothing comes and no end shows.
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.hold()

    with ScriptedServer(script) as server:
        transport = open_transport(server.url)
        transport._sock.shutdown(socket.SHUT_WR)
        transport.ping()
        transport.flush()
        _, error = read_to_the_end(transport)
    assert isinstance(error, ConnectionLostError)
    assert error.reason == "reset"


def test_a_partial_write_loses_no_byte(wire: Wire, open_transport: Opener) -> None:
    go_on = threading.Event()
    payload = bytes(range(256)) * 4096 * 8

    def script(talk: Conversation) -> None:
        narrow(talk._sock)
        talk.upgrade()
        go_on.wait(10.0)
        for _ in range(3):
            talk.read_frame()
        talk.send_frame(b"done")
        talk.hold()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server, settings=TransportSettings(max_outgoing=1 << 26))
        narrow(transport._sock)
        for piece in (payload, b"small", payload[::-1]):
            transport.send_binary(piece)
        assert not transport.flush()
        assert transport.wants_write
        go_on.set()
        messages: list[bytes] = []
        deadline = time.monotonic() + 10.0
        while not messages and time.monotonic() < deadline:
            if transport.wait(1.0)[0]:
                messages += transport.receive()
        frames = server.conversation().frames
        assert server.errors == []
        assert [frame.payload for frame in frames] == [payload, b"small", payload[::-1]]


def test_a_peer_that_never_reads_stops_neither_reading_nor_closing(open_transport: Opener, collect: Collector) -> None:
    def script(talk: Conversation) -> None:
        narrow(talk._sock)
        talk.upgrade()
        talk.send(server_frame(b"still here"))
        talk.hold()

    with ScriptedServer(script) as server:
        # What the kernel leaves of this is more than `max_outgoing`.
        transport = open_transport(server.url, settings=TransportSettings(max_outgoing=1 << 20))
        narrow(transport._sock)
        transport.send_text(b"x" * (4 << 20))
        assert not transport.flush()
        assert collect(transport, 1) == [b"still here"]
        transport.send_text(b"y")
        _, error = read_to_the_end(transport)
        assert isinstance(error, ConnectionLostError)
        assert "reads nothing" in error.reason
        started = time.monotonic()
        transport.close(deadline=time.monotonic() + 0.3)
        assert time.monotonic() - started < 1.0


def test_what_waits_goes_out_while_bytes_come_all_the_time(open_transport: Opener) -> None:
    payload = bytes(range(256)) * 4096
    go_on, is_read = threading.Event(), threading.Event()

    def script(talk: Conversation) -> None:
        def chatter() -> None:
            with contextlib.suppress(OSError):  # where the test fails the connection ends under it
                while not is_read.wait(0.002):
                    talk.send(server_frame(b"x"))

        narrow(talk._sock)
        talk.upgrade()
        talker = threading.Thread(target=chatter)
        talker.start()
        try:
            go_on.wait(10.0)
            talk.read_frame()
        finally:
            is_read.set()
            talker.join()
        talk.hold()

    with ScriptedServer(script) as server:
        transport = open_transport(server.url, settings=TransportSettings(max_outgoing=1 << 26, coalesce=0.1))
        narrow(transport._sock)
        deadline = time.monotonic() + 10.0
        while not transport.receive() and time.monotonic() < deadline:
            transport.wait(1.0)  # now they flow
        transport.send_binary(payload)
        is_out_at_once = transport.flush()
        go_on.set()
        while not is_read.is_set() and time.monotonic() < deadline:
            if transport.wait(1.0)[0]:
                transport.receive()
        frames = [frame.payload for frame in server.conversation().frames]
    assert not is_out_at_once
    assert frames == [payload]


def test_pings_behind_a_full_buffer_are_answered_by_the_newest_when_it_is_out(open_transport: Opener) -> None:
    reading = threading.Event()

    def script(talk: Conversation) -> None:
        narrow(talk._sock)
        talk.upgrade()
        for number in range(50):
            talk.send(server_frame(b"%d" % number, Opcode.PING))
        talk.send(server_frame(b"x"))
        reading.wait(10.0)
        talk.read_frame()
        talk.read_frame()

    with ScriptedServer(script) as server:
        transport = open_transport(server.url, settings=TransportSettings(max_outgoing=1 << 24))
        narrow(transport._sock)
        transport.send_binary(b"y" * (8 << 20))
        assert not transport.flush()
        deadline = time.monotonic() + 5.0
        while not transport.receive() and time.monotonic() < deadline:
            transport.wait(0.05)
        reading.set()
        read_to_the_end(transport)
        frames = server.conversation().frames
    assert server.errors == []
    assert [(frame.opcode, len(frame.payload)) for frame in frames] == [(Opcode.BINARY, 8 << 20), (Opcode.PONG, 2)]
    assert frames[1].payload == b"49"


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


def test_closing_says_why_and_waits_for_the_answer(wire: Wire, open_transport: Opener) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.send(server_frame(b"data nobody reads") * 100)
        while talk.read_frame().opcode != Opcode.CLOSE:
            pass
        talk.send_close(1000)

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        transport.send_text(b"[]")
        started = time.monotonic()
        transport.close(1000, "done", deadline=time.monotonic() + 5.0)
        assert time.monotonic() - started < 1.0
        transport.close(deadline=time.monotonic() + 5.0)
        assert server.conversation().is_over.wait(5.0)
        assert [frame.payload for frame in server.conversation().frames] == [b"[]", b"\x03\xe8done"]
    assert transport.fileno() == -1


def test_what_the_peer_sent_before_it_heard_of_the_close_can_be_taken(wire: Wire, open_transport: Opener) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send(server_frame(b"a" * 200) + server_frame(b"b" * 200))
        talk.read_frame()
        talk.send(server_frame(b"c" * 300) + server_frame(b"d"))
        talk.send_close(1000)

    with wire.server(script) as server:
        transport, taken = wire.open(open_transport, server), list[bytes]()
        transport.send_text(b"[]")
        transport.flush()
        if transport.wait(5.0)[0]:  # read while waiting, and not taken
            transport.close(deadline=time.monotonic() + 5.0, take=taken.extend)
    assert taken == [b"a" * 200, b"b" * 200, b"c" * 300, b"d"]


def test_a_peer_that_answers_and_stays_is_not_waited_for(wire: Wire, open_transport: Opener) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_close(1000)
        talk.hold()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        started = time.monotonic()
        transport.close(deadline=time.monotonic() + 5.0)
        assert time.monotonic() - started < 1.0


@pytest.mark.parametrize("flood", [False, True])
def test_closing_a_peer_that_does_not_answer_takes_no_longer_than_told(
    wire: Wire, open_transport: Opener, wakeup: Wakeup, flood: bool
) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        while flood:
            talk.send_frame(b"x" * 60_000)
        talk.hold()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        wakeup.set()
        started = time.monotonic()
        transport.close(deadline=time.monotonic() + 0.3)
        assert 0.25 < time.monotonic() - started < 1.0


def test_after_the_end_nothing_is_sent_and_everything_says_so(open_transport: Opener) -> None:
    with ScriptedServer(lambda talk: (talk.upgrade(), talk.wait_for_end())) as server:
        transport = open_transport(server.url)
        transport.abort()
        transport.abort()
        transport.send_text(b"late")
        transport.close(deadline=0.0)
        assert transport.fileno() == -1
        assert "closed" in repr(transport)
        with pytest.raises(ConnectionLostError, match="closed on this side"):
            transport.receive()
        assert server.conversation().is_over.wait(5.0)
        assert server.conversation().frames == []


def test_a_ping_that_no_frame_can_carry_is_refused(open_transport: Opener) -> None:
    with ScriptedServer(lambda talk: (talk.upgrade(), talk.hold())) as server:
        transport = open_transport(server.url)
        with pytest.raises(InvalidArgumentError, match="125"):
            transport.ping(b"x" * 126)


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


@pytest.mark.parametrize("end", [server_frame(b"\x0f\xa0", Opcode.CLOSE), b"\xff\xff"], ids=["close", "violation"])
def test_an_answer_to_what_came_before_the_end_goes_out_before_the_close(
    wire: Wire, open_transport: Opener, end: bytes
) -> None:
    """Also where both came in one read: a request before a close is a request (RFC 6455, 5.5.1)."""

    def script(talk: Conversation) -> None:
        talk.upgrade(followed_by=server_frame(b"question") + end)
        talk.read_frame()
        talk.read_frame()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        assert transport.wait(5.0)[0]
        messages = transport.receive()
        transport.send_text(b"answer")
        more, _ = read_to_the_end(transport)
        transport.close(deadline=time.monotonic() + 2.0)
        talk = server.conversation()
        assert talk.is_over.wait(5.0)

    assert messages + more == [b"question"]
    assert [frame.opcode for frame in talk.frames] == [Opcode.TEXT, Opcode.CLOSE]
    assert talk.frames[1].payload in (b"\x0f\xa0", b"\x03\xea")


def test_a_close_that_is_owed_is_sent_by_closing(wire: Wire, open_transport: Opener) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade(followed_by=server_frame(b"last words") + server_frame(b"\x0f\xa0", Opcode.CLOSE))
        talk.read_frame()

    with wire.server(script) as server:
        transport = wire.open(open_transport, server)
        assert transport.wait(5.0)[0]
        assert transport.receive() == [b"last words"]

        transport.close(1000, deadline=time.monotonic() + 2.0)
        talk = server.conversation()
        assert talk.is_over.wait(5.0)

    assert [frame.payload for frame in talk.frames] == [b"\x0f\xa0"]


def test_it_is_let_go_of_while_its_buffer_is_held_as_after_a_fork_in_mid_send(open_transport: Opener) -> None:
    with ScriptedServer(lambda talk: (talk.upgrade(), talk.wait_for_end())) as server:
        transport = open_transport(server.url)
        transport.send_text(b"x" * 1000)
        with memoryview(transport._outgoing):
            transport.abort()
        assert transport.fileno() == -1


@pytest.mark.parametrize(("asked", "given"), [(253_952, 126_976), (126_977, 126_976), (1_024, 1_024)])
def test_a_read_that_makes_an_object_stays_below_what_is_mapped_anew_each_time(asked: int, given: int) -> None:
    assert TransportSettings(read_size=asked).object_size == given
