"""The server does what its script says, records what it got, and leaves nothing behind."""

from __future__ import annotations

import socket
import ssl
import struct
import time

import pytest
import websocket

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.protocol.frames import Opcode
from upbit_ws.testing import CertificateAuthority, Conversation, ScriptedServer, server_frame


def connect(server: ScriptedServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=5.0)


def read_all(sock: socket.socket) -> bytes:
    received = b""
    while data := sock.recv(65536):
        received += data
    return received


def test_a_client_of_another_kind_gets_along_with_it() -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        frame = talk.read_frame()
        talk.send_frame(frame.payload, frame.opcode)
        talk.send_close(1001, "bye")
        talk.read_frame()

    with ScriptedServer(script) as server:
        client = websocket.create_connection(f"{server.url}/x", suppress_origin=True, timeout=5.0)
        client.send("한글" * 30_000)
        assert client.recv() == "한글" * 30_000
        opcode, payload = client.recv_data(control_frame=True)
        assert (opcode, payload) == (Opcode.CLOSE, b"\x03\xe9bye")
        client.shutdown()
        talk = server.conversation()
        assert talk.is_over.wait(5.0)

    assert talk.requests[0].path == "/x"
    assert [frame.opcode for frame in talk.frames] == [Opcode.TEXT, Opcode.CLOSE]
    assert talk.frames[0].payload == ("한글" * 30_000).encode()
    assert talk.frames[0].is_masked
    assert server.errors == []


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frames_have_the_shortest_length_form(size: int) -> None:
    head = {0: 2, 125: 2, 126: 4, 65535: 4, 65536: 10}[size]

    assert len(server_frame(b"x" * size)) == head + size
    assert server_frame(b"", Opcode.PING, is_final=False, is_compressed=True, reserved=0x30)[0] == 0x79


def test_scripts_serve_connections_in_order_and_the_last_one_the_rest() -> None:
    with ScriptedServer(lambda talk: talk.send(b"one"), lambda talk: talk.send(b"more")) as server:
        replies = []
        for _ in range(3):
            with connect(server) as sock:
                replies.append(read_all(sock))
        assert replies == [b"one", b"more", b"more"]
        assert server.connections == 3


def test_bytes_arrive_as_sent_slowly_or_not() -> None:
    def script(talk: Conversation) -> None:
        talk.send(b"ab")
        talk.send_slowly(b"cdefg", size=2, pause=0.01)
        talk.send_response(503, headers={"Retry-After": "1"}, body=b"busy")

    with ScriptedServer(script) as server, connect(server) as sock:
        assert read_all(sock) == (b"abcdefgHTTP/1.1 503 Scripted\r\nContent-Length: 4\r\nRetry-After: 1\r\n\r\nbusy")


def test_a_reset_is_a_reset_and_an_end_is_not() -> None:
    def reset(talk: Conversation) -> None:
        talk.read_some()
        talk.reset()

    with ScriptedServer(reset, Conversation.end) as server:
        with connect(server) as sock:
            sock.sendall(b"x")
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        with connect(server) as sock:
            assert sock.recv(1) == b""


def test_after_half_a_close_the_server_still_reads() -> None:
    rest: list[bytes] = []

    def script(talk: Conversation) -> None:
        talk.half_close()
        rest.append(talk.wait_for_end())

    with ScriptedServer(script) as server:
        with connect(server) as sock:
            assert sock.recv(1) == b""
            sock.sendall(b"late")
        assert server.conversation().is_over.wait(5.0)
    assert rest == [b"late"]


def test_a_reset_by_the_client_ends_the_waiting_too() -> None:
    with ScriptedServer(lambda talk: talk.wait_for_end()) as server:
        sock = connect(server)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        assert server.conversation().is_over.wait(5.0)
    assert server.errors == []


def test_what_a_script_raises_is_kept() -> None:
    def script(talk: Conversation) -> None:
        assert talk.read_request().path == "/right"

    with ScriptedServer(script) as server:
        with connect(server) as sock:
            sock.sendall(b"GET /wrong HTTP/1.1\r\n\r\n")
            assert server.conversation().is_over.wait(5.0)
        assert len(server.errors) == 1
        assert isinstance(server.errors[0], AssertionError)


def test_stopping_ends_scripts_that_wait_in_any_way() -> None:
    scripts = [
        Conversation.hold,
        Conversation.read_request,
        Conversation.wait_for_end,
        lambda talk: talk.pause(100.0),
        lambda talk: talk.send(b"x" * (64 << 20)),
    ]
    with ScriptedServer(*scripts) as server:
        held = [connect(server) for _ in scripts]
        server.conversation(len(scripts) - 1)
        started = time.monotonic()
    assert time.monotonic() - started < 2.0
    assert all(talk.is_over.is_set() for talk in server.conversations)
    assert server.errors == []
    for sock in held:
        sock.close()
    server.close()


def test_tls_is_spoken_with_a_certificate_made_on_the_spot() -> None:
    authority = CertificateAuthority()
    with ScriptedServer(lambda talk: talk.send(b"secret"), tls=authority.server_context()) as server:
        assert server.url.startswith("wss://")
        with authority.client_context().wrap_socket(connect(server), server_hostname="localhost") as sock:
            assert sock.recv(10) == b"secret"
        plain = connect(server)
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert server.conversation(1).is_over.wait(5.0)
        plain.close()
        assert len(server.tls_errors) == 1


@pytest.mark.parametrize(("flaw", "code"), [({"is_expired": True}, 10), ({"is_self_signed": True}, 18), ({}, None)])
def test_certificates_have_the_flaw_that_was_ordered(flaw: dict[str, bool], code: int | None) -> None:
    authority = CertificateAuthority()
    with ScriptedServer(lambda talk: talk.hold(), tls=authority.server_context(**flaw)) as server:
        context, sock = authority.client_context(), connect(server)
        with sock:
            if code is None:
                context.wrap_socket(sock, server_hostname="127.0.0.1").close()
            else:
                with pytest.raises(ssl.SSLCertVerificationError) as caught:
                    context.wrap_socket(sock, server_hostname="127.0.0.1")
                assert caught.value.verify_code == code


def test_waiting_for_a_connection_that_does_not_come_ends() -> None:
    with ScriptedServer(Conversation.hold) as server, pytest.raises(TimeoutError, match="connection 0"):
        server.conversation(timeout=0.01)


def test_a_server_without_a_script_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="scripts"):
        ScriptedServer()
