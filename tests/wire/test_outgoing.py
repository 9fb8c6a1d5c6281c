"""What is sent: whole, in order, and kept until the socket takes it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest

from tests.wire.wires import Collector, Opener, Wire, narrow, read_to_the_end
from upbit_ws.exceptions import ConnectionLostError
from upbit_ws.protocol.frames import Opcode
from upbit_ws.testing import Conversation, ScriptedServer, server_frame
from upbit_ws.wire.outgoing import Outgoing
from upbit_ws.wire.tls import TlsStream
from upbit_ws.wire.transport import TransportSettings


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


def test_it_is_let_go_of_while_its_buffer_is_held_as_after_a_fork_in_mid_send(open_transport: Opener) -> None:
    with ScriptedServer(lambda talk: (talk.upgrade(), talk.wait_for_end())) as server:
        transport = open_transport(server.url)
        transport.send_text(b"x" * 1000)
        with memoryview(transport._outgoing._buffer):
            transport.abort()
        assert transport.fileno() == -1


def test_nothing_follows_a_close_and_a_failure() -> None:
    """Of RFC 6455, 5.5.1, and of nothing arriving any more."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outgoing = Outgoing(ours, tls=None, deflater=None, limit=1000, host="x")
        outgoing.queue_close(1000)
        outgoing.queue_message(Opcode.TEXT, b"too late")
        assert outgoing.flush()
        assert len(theirs.recv(1000)) == 2 + 4 + 2

        other = Outgoing(ours, tls=None, deflater=None, limit=1000, host="x")
        for _ in range(2):
            other.queue_frame(Opcode.TEXT, b"y" * 600)
        assert isinstance(other.failure, ConnectionLostError)
        other.queue_frame(Opcode.TEXT, b"z")
        assert not other.wants_write
        assert other.flush()
        assert other.bytes_sent == 0


def test_what_tls_wants_to_say_after_a_failure_is_not_kept() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = TlsStream(ssl.create_default_context(), "localhost")
        outgoing = Outgoing(ours, tls=stream, deflater=None, limit=1000, host="x")
        stream.handshake()
        outgoing.take_encrypted()
        assert outgoing.wants_write
        ours.shutdown(socket.SHUT_WR)
        outgoing.flush()
        assert outgoing.failure is not None
        stream.receive(b"\x16\x03\x03\x00\x04\xff\x00\x00\x00")  # a handshake message that there is not
        with pytest.raises(ssl.SSLError):
            stream.handshake()  # the alert about that is to be sent
        outgoing.take_encrypted()

        assert not outgoing.wants_write
