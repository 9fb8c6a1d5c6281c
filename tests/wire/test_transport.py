"""An open connection: everything that came is delivered, and the end is told once, with its cause."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from tests.wire.wires import Collector, Opener, Wire, read_to_the_end
from upbit_ws.exceptions import ConnectionLostError, InvalidArgumentError, WebSocketProtocolError
from upbit_ws.protocol.frames import FrameLimits, Opcode
from upbit_ws.testing import CertificateAuthority, Conversation, ScriptedServer, server_frame
from upbit_ws.wire.transport import TransportSettings
from upbit_ws.wire.wakeup import Wakeup

HALF = server_frame(b"x" * 200)[:100]


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
        while transport._outgoing.failure is None and time.monotonic() < deadline:
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


@pytest.mark.parametrize(("asked", "given"), [(253_952, 126_976), (126_977, 126_976), (1_024, 1_024)])
def test_a_read_that_makes_an_object_stays_below_what_is_mapped_anew_each_time(asked: int, given: int) -> None:
    assert TransportSettings(read_size=asked).object_size == given
