"""Opening a connection against servers that do what no server should."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from upbit_ws.exceptions import (
    ConnectionFailedError,
    ConnectionLostError,
    ConnectTimeoutError,
    DnsError,
    HandshakeError,
    InvalidArgumentError,
)
from upbit_ws.protocol.deflate import offer_header
from upbit_ws.testing import Conversation, ScriptedServer, server_frame
from upbit_ws.wire.connect import Address, AddressBook, DialAborted, resolve_blocking
from upbit_ws.wire.dial import DialTarget
from upbit_ws.wire.transport import Transport
from upbit_ws.wire.wakeup import Wakeup

Opener = Callable[..., Transport]
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhY2Nlc3Nfa2V5IjoiYSJ9.c2lnbmF0dXJl"


def address(host: str, port: int) -> Address:
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody listens, held so that nobody else gets it meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_the_server_sees_exactly_the_bytes_of_the_request(open_transport: Opener) -> None:
    with ScriptedServer(Conversation.upgrade) as server:
        open_transport(server.url, authorization=lambda: f"Bearer {TOKEN}")
        raw = server.conversation().requests[0].raw

    key = server.conversation().requests[0].headers["sec-websocket-key"]
    assert raw.decode() == (
        "GET /websocket/v1 HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{server.port}\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "User-Agent: upbit-ws\r\n"
        f"Authorization: Bearer {TOKEN}\r\n"
        "\r\n"
    )
    assert server.errors == []


def test_the_token_is_made_anew_for_each_dial_and_each_key_too(open_transport: Opener) -> None:
    tokens = iter(["Bearer one", "Bearer two"])
    with ScriptedServer(Conversation.upgrade) as server:
        for _ in range(2):
            open_transport(server.url, authorization=lambda: next(tokens))
        requests = [server.conversation(index).requests[0].headers for index in range(2)]

    assert [headers["authorization"] for headers in requests] == ["Bearer one", "Bearer two"]
    assert len({headers["sec-websocket-key"] for headers in requests}) == 2


def test_headers_of_the_101_are_kept_but_no_cookie(open_transport: Opener) -> None:
    answer = {"Remaining-Req": "group=websocket; min=300; sec=3", "Set-Cookie": "session=1"}
    with ScriptedServer(lambda talk: talk.upgrade(answer)) as server:
        transport = open_transport(server.url)

    assert transport.response_headers["remaining-req"] == "group=websocket; min=300; sec=3"
    assert "set-cookie" not in transport.response_headers


def test_frames_in_the_segment_of_the_101_are_not_lost(
    open_transport: Opener, collect: Callable[[Transport, int], list[bytes]]
) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade(followed_by=server_frame(b"first") + server_frame(b"second")[:3])
        talk.pause(0.05)
        talk.send(server_frame(b"second")[3:])
        talk.hold()

    with ScriptedServer(script) as server:
        assert collect(open_transport(server.url), 2) == [b"first", b"second"]


def test_a_mute_server_costs_the_deadline_and_no_more(open_transport: Opener) -> None:
    with ScriptedServer(Conversation.hold) as server:
        started = time.monotonic()
        with pytest.raises(ConnectTimeoutError, match="upgrade"):
            open_transport(server.url, timeout=0.3)

    assert 0.25 < time.monotonic() - started < 0.8


def test_a_slow_loris_costs_the_deadline_and_no_more(open_transport: Opener) -> None:
    def drip(talk: Conversation) -> None:
        request = talk.read_request()
        talk.send_slowly(talk.upgrade_response(request), pause=0.02)

    with ScriptedServer(drip) as server:
        started = time.monotonic()
        with pytest.raises(ConnectTimeoutError):
            open_transport(server.url, timeout=0.5)

    assert 0.4 < time.monotonic() - started < 1.0


def test_a_101_in_single_bytes_is_accepted_within_the_deadline(open_transport: Opener) -> None:
    def drip(talk: Conversation) -> None:
        request = talk.read_request()
        talk.send_slowly(talk.upgrade_response(request), pause=0.001)

    with ScriptedServer(drip) as server:
        open_transport(server.url)


def test_an_endless_header_is_cut_off(open_transport: Opener) -> None:
    def endless(talk: Conversation) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 101 OK\r\nX: ")
        while True:
            talk.send(b"a" * 65536)

    with ScriptedServer(endless) as server:
        started = time.process_time()
        with pytest.raises(HandshakeError, match="longer than 8192"):
            open_transport(server.url)
        assert time.process_time() - started < 1.0


def test_ten_thousand_headers_are_cut_off(open_transport: Opener) -> None:
    def many(talk: Conversation) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 101 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(10_000)))

    with ScriptedServer(many) as server, pytest.raises(HandshakeError, match="more than 128 headers"):
        open_transport(server.url)


def test_an_error_page_of_fifty_megabytes_is_cut_off_quickly(open_transport: Opener) -> None:
    page = b"x" * 65536

    def flood(talk: Conversation) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 52428800\r\n\r\n")
        for _ in range(800):
            talk.send(page)

    with ScriptedServer(flood) as server:
        started = time.monotonic()
        with pytest.raises(HandshakeError) as caught:
            open_transport(server.url)
        assert time.monotonic() - started < 0.5

    assert (caught.value.status, caught.value.retry_after) == (429, 3.0)
    assert len(str(caught.value)) < 400


def test_a_refusal_whose_body_never_comes_is_still_that_refusal(open_transport: Opener) -> None:
    def stingy(talk: Conversation) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 100\r\n\r\n{")
        talk.hold()

    with ScriptedServer(stingy) as server:
        started = time.monotonic()
        with pytest.raises(HandshakeError) as caught:
            open_transport(server.url)
        assert time.monotonic() - started < 2.0

    assert caught.value.status == 418


@pytest.mark.parametrize("ending", [Conversation.end, Conversation.reset])
def test_a_refusal_cut_off_in_its_body_is_still_that_refusal(
    open_transport: Opener, ending: Callable[[Conversation], None]
) -> None:
    def cut(talk: Conversation) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nbusy")
        talk.pause(0.1)
        ending(talk)

    with ScriptedServer(cut) as server, pytest.raises(HandshakeError) as caught:
        open_transport(server.url)

    assert caught.value.status == 503


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(open_transport: Opener, status: int) -> None:
    with ScriptedServer(Conversation.upgrade) as elsewhere:

        def redirect(talk: Conversation) -> None:
            talk.read_request()
            talk.send_response(status, headers={"Location": f"{elsewhere.url}/websocket/v1"})

        with ScriptedServer(redirect) as server:
            with pytest.raises(HandshakeError, match="redirect") as caught:
                open_transport(server.url, authorization=lambda: f"Bearer {TOKEN}")
            assert caught.value.status == status
            assert (server.connections, elsewhere.connections) == (1, 0)


@pytest.mark.parametrize("status", [200, 204, 401, 403, 426, 500, 502])
def test_any_other_status_is_an_error_that_carries_it(open_transport: Opener, status: int) -> None:
    def script(talk: Conversation) -> None:
        request = talk.read_request()
        talk.send_response(status, body=b"" if status == 204 else b"you sent " + request.raw)

    with ScriptedServer(script) as server, pytest.raises(HandshakeError) as caught:
        open_transport(server.url, authorization=lambda: f"Bearer {TOKEN}")

    assert caught.value.status == status
    assert TOKEN not in f"{caught.value!r} {caught.value.args} {caught.value.reason}"


def test_a_wrong_accept_is_refused(open_transport: Opener) -> None:
    with (
        ScriptedServer(lambda talk: talk.upgrade({"Sec-WebSocket-Accept": "AAAA"})) as server,
        pytest.raises(HandshakeError, match="Accept"),
    ):
        open_transport(server.url)


def test_compression_is_used_only_where_both_agree(
    open_transport: Opener, collect: Callable[[Transport, int], list[bytes]]
) -> None:
    deflate = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    with (
        ScriptedServer(lambda talk: talk.upgrade(deflate)) as server,
        pytest.raises(HandshakeError, match="not offered"),
    ):
        open_transport(server.url)

    def compressing(talk: Conversation) -> None:
        request = talk.upgrade(deflate)
        assert request.headers["sec-websocket-extensions"] == offer_header()
        talk.send(server_frame(bytes.fromhex("f248cdc9c90700"), is_compressed=True))  # RFC 7692, 7.2.3.1
        talk.read_frame()
        talk.hold()

    with ScriptedServer(compressing) as server:
        transport = open_transport(server.url, offers_deflate=True)
        assert collect(transport, 1) == [b"Hello"]
        transport.send_text(b"Hello")
        assert transport.flush()
        talk = server.conversation()
        assert_soon(lambda: bool(talk.frames))
        assert talk.frames[0].is_compressed
        assert talk.frames[0].payload == bytes.fromhex("f248cdc9c90700")
    assert server.errors == []


def assert_soon(condition: Callable[[], bool], patience: float = 5.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_an_end_before_any_answer_is_an_error(open_transport: Opener) -> None:
    def leave(talk: Conversation) -> None:
        talk.read_request()

    def slam(talk: Conversation) -> None:
        talk.read_request()
        talk.reset()

    with ScriptedServer(leave, slam) as server:
        with pytest.raises(HandshakeError, match="ended"):
            open_transport(server.url)
        with pytest.raises(ConnectionLostError, match="reset"):
            open_transport(server.url)


def test_a_refused_port_is_an_error_at_once(open_transport: Opener, closed_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(ConnectionFailedError, match="refused"):
        open_transport(f"ws://127.0.0.1:{closed_port}")

    assert time.monotonic() - started < 1.0


def test_an_address_that_cannot_be_reached_at_all_is_an_error_at_once(open_transport: Opener) -> None:
    with pytest.raises(ConnectionFailedError, match=r"255\.255\.255\.255"):
        open_transport("ws://255.255.255.255:1")


def test_a_request_that_the_socket_takes_in_parts_arrives_whole(open_transport: Opener) -> None:
    value = "x" * (8 << 20)

    def late(talk: Conversation) -> None:
        talk.pause(0.1)
        talk.upgrade()

    with ScriptedServer(late) as server:
        target = DialTarget(
            host="127.0.0.1", port=server.port, path="/", is_secure=False, headers=(("X-Large", value),)
        )
        open_transport("", target=target)
        assert server.conversation().requests[0].headers["x-large"] == value


def test_a_peer_that_slams_while_the_request_is_sent_is_an_error(open_transport: Opener) -> None:
    def slam(talk: Conversation) -> None:
        talk.read_some()
        talk.reset()

    with ScriptedServer(slam) as server:
        target = DialTarget(
            host="127.0.0.1", port=server.port, path="/", is_secure=False, headers=(("X-Large", "x" * (8 << 20)),)
        )
        with pytest.raises(ConnectionLostError, match="reset"):
            open_transport("", target=target)


def test_the_second_address_is_used_where_the_first_is_dead(open_transport: Opener) -> None:
    with ScriptedServer(Conversation.upgrade) as server:
        dead = address("127.0.0.2", server.port)
        alive = address("127.0.0.1", server.port)
        open_transport(f"ws://exchange.test:{server.port}", resolve=lambda *_: [dead, alive])
        request = server.conversation().requests[0]

    assert request.headers["host"] == f"exchange.test:{server.port}"


@pytest.mark.linux
def test_an_address_that_does_not_answer_costs_its_share_only(open_transport: Opener) -> None:
    # A listener whose queue is full drops SYNs, as a dead host does.
    with socket.socket() as full, ScriptedServer(Conversation.upgrade) as server:
        full.bind(("127.0.0.3", server.port))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            started = time.monotonic()
            addresses = [address("127.0.0.3", server.port), address("127.0.0.1", server.port)]
            open_transport("ws://exchange.test", timeout=1.0, resolve=lambda *_: addresses)
            assert 0.3 < time.monotonic() - started < 0.9
            with pytest.raises(ConnectTimeoutError, match=r"127\.0\.0\.3"):
                open_transport("ws://exchange.test", timeout=0.2, resolve=lambda *_: addresses[:1])
        finally:
            for filler in fillers:
                filler.close()


def test_an_address_that_failed_goes_to_the_end_of_the_line(open_transport: Opener) -> None:
    def accept_and_slam(talk: Conversation) -> None:
        talk.read_request()
        talk.reset()

    with ScriptedServer(Conversation.upgrade) as server, ScriptedServer(accept_and_slam) as sick:
        addresses = [address("127.0.0.1", sick.port), address("127.0.0.1", server.port)]
        book = AddressBook()
        with pytest.raises(ConnectionFailedError):
            open_transport("ws://exchange.test", resolve=lambda *_: addresses, book=book)
        open_transport("ws://exchange.test", resolve=lambda *_: addresses, book=book)
        assert (sick.connections, server.connections) == (1, 1)


def test_a_name_that_does_not_resolve_any_more_leads_to_its_last_address(open_transport: Opener) -> None:
    def broken(host: str, port: int, deadline: float) -> list[Address]:
        raise DnsError("SERVFAIL", host=host)

    with ScriptedServer(Conversation.upgrade) as server:
        book = AddressBook()
        url = f"ws://exchange.test:{server.port}"
        with pytest.raises(DnsError):
            open_transport(url, resolve=broken, book=book)
        open_transport(url, resolve=lambda *_: [address("127.0.0.1", server.port)], book=book)
        open_transport(url, resolve=broken, book=book)


def test_a_name_gets_half_of_the_time(open_transport: Opener) -> None:
    deadlines: list[float] = []

    def slow(host: str, port: int, deadline: float) -> list[Address]:
        deadlines.append(deadline - time.monotonic())
        raise ConnectTimeoutError("no answer", host=host)

    with pytest.raises(ConnectTimeoutError):
        open_transport("ws://exchange.test", timeout=4.0, resolve=slow)
    assert deadlines[0] == pytest.approx(2.0, abs=0.2)


def test_a_name_that_no_resolver_knows_is_a_dns_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DnsError, match=r"exchange\.invalid: Name or service not known"):
        resolve_blocking("exchange.invalid", 443, 0.0)


def test_an_address_is_not_looked_up(open_transport: Opener) -> None:
    def never(host: str, port: int, deadline: float) -> list[Address]:
        raise AssertionError("asked")

    with ScriptedServer(Conversation.upgrade) as server:
        open_transport(server.url, resolve=never)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_a_name_that_cannot_exist_is_a_dns_error(open_transport: Opener, host: str) -> None:
    with pytest.raises(DnsError, match="not a host name"):
        open_transport(f"ws://{host}")


def test_a_name_without_addresses_is_a_dns_error(open_transport: Opener) -> None:
    with pytest.raises(DnsError, match="no address"):
        open_transport("ws://exchange.test", resolve=lambda *_: [])


def test_a_wake_up_that_means_stop_ends_the_dial_at_once(open_transport: Opener, wakeup: Wakeup) -> None:
    stopping = threading.Event()
    moments: list[float] = []

    def stop() -> None:
        stopping.set()
        moments.append(time.monotonic())
        wakeup.set()

    def mute(talk: Conversation) -> None:
        talk.read_request()
        stop()
        talk.hold()

    with ScriptedServer(mute) as server:
        with pytest.raises(DialAborted):
            open_transport(server.url, should_stop=stopping.is_set)
        assert time.monotonic() - moments[0] < 0.05


def test_a_wake_up_that_means_something_else_lets_the_dial_go_on(open_transport: Opener, wakeup: Wakeup) -> None:
    def script(talk: Conversation) -> None:
        request = talk.read_request()
        wakeup.set()
        talk.pause(0.05)
        talk.send(talk.upgrade_response(request))
        talk.hold()

    with ScriptedServer(script) as server:
        open_transport(server.url)
        assert not wakeup.wait(0.0), "what is not cleared keeps the dial from waiting at all"


def test_a_dial_told_to_stop_before_it_began_opens_nothing(open_transport: Opener) -> None:
    with ScriptedServer(Conversation.upgrade) as server:
        with pytest.raises(DialAborted):
            open_transport(server.url, should_stop=lambda: True)
        assert server.connections == 0


@pytest.mark.linux
def test_running_out_of_descriptors_is_an_error_like_others(open_transport: Opener) -> None:
    with ScriptedServer(Conversation.upgrade) as server:
        target = address("127.0.0.1", server.port)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.dup(0))
            with pytest.raises(ConnectionFailedError, match="Too many open files"):
                open_transport(server.url, resolve=lambda *_: [target])
        finally:
            for descriptor in taken:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        open_transport(server.url)


@pytest.mark.linux
def test_a_descriptor_above_1023_works(open_transport: Opener, collect: Callable[..., list[bytes]]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with ScriptedServer(lambda talk: talk.upgrade(followed_by=server_frame(b"x"))) as server:
        held = [os.dup(0) for _ in range(1100)]
        try:
            transport = open_transport(server.url)
            assert transport.fileno() > 1023
            assert collect(transport, 1) == [b"x"]
            transport.abort()
        finally:
            for descriptor in held:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.linux
def test_the_socket_notices_a_dead_peer(open_transport: Opener) -> None:
    with ScriptedServer(Conversation.upgrade) as server:
        transport = open_transport(server.url)
        with socket.socket(fileno=os.dup(transport.fileno())) as view:
            options = {
                name: view.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
                for name in ("TCP_NODELAY", "TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
            }
            assert view.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1

    assert options == {
        "TCP_NODELAY": 1,
        "TCP_USER_TIMEOUT": 9_000,
        "TCP_KEEPIDLE": 30,
        "TCP_KEEPINTVL": 10,
        "TCP_KEEPCNT": 3,
    }


def test_keys_are_never_sent_in_clear() -> None:
    with pytest.raises(InvalidArgumentError, match="in clear"):
        DialTarget.from_url("ws://api.upbit.com/websocket/v1/private", authorization=lambda: "Bearer x")
    with pytest.raises(InvalidArgumentError, match="in clear"):
        DialTarget.from_url("ws://127.0.0.1/", authorization=lambda: "Bearer x", proxy_url="http://proxy.example:3128")
    with pytest.raises(InvalidArgumentError, match="in clear"):
        DialTarget(host="api.upbit.com", port=80, path="/", is_secure=False, headers=(("authorization", "x"),))
    DialTarget.from_url("ws://localhost/", authorization=lambda: "Bearer x")


def test_a_target_does_not_show_what_it_carries() -> None:
    target = DialTarget(
        host="api.upbit.com",
        port=443,
        path="/",
        is_secure=True,
        headers=(("Authorization", f"Bearer {TOKEN}"),),
        authorization=lambda: TOKEN,
    )

    assert TOKEN not in repr(target)


@pytest.mark.parametrize(
    "url", ["https://api.upbit.com/", "ws:///x", "wss://u:secret@api.upbit.com/", "ws://a/#b", "ws://a:x/", "nonsense"]
)
def test_what_is_not_a_websocket_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        DialTarget.from_url(url)
    assert "secret" not in str(caught.value)
