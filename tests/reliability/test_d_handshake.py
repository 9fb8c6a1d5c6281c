"""Section D: names, proxies and HTTP, until a connection is one."""

from __future__ import annotations

import email.utils
import resource
import threading
import time
from collections.abc import Callable

import jwt
import pytest

from tests.reliability.payloads import ticker
from tests.reliability.rig import Rig, wait_until
from tests.reliability.scripts import Script, attend, good, greet, then, until
from upbit_ws import GlobalWebSocketManager, InvalidArgumentError, SimpleWebSocketClient, WebSocketConfig
from upbit_ws.config import ConnectionConfig
from upbit_ws.exceptions import AuthenticationError, ConnectTimeoutError, HandshakeError
from upbit_ws.lifecycle import AuthenticationFailed, BackingOff, Connected, Connecting
from upbit_ws.testing import Conversation, server_frame
from upbit_ws.types import ConnectionState

Record = Callable[..., None]


def answering(status: int, *, body: bytes = b"", **headers: str) -> Script:
    """An exchange that answers the upgrade with a status of HTTP."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda talk: (talk.read_request(), talk.send_response(status, headers=named, body=body))[1]


def raw(answer: Callable[[str], bytes]) -> Script:
    """An exchange whose answer is made of the right accept by `answer`, and which then waits."""

    def script(talk: Conversation) -> None:
        request = talk.read_request()
        right = talk.upgrade_response(request).decode()
        talk.send(answer(right.partition("Sec-WebSocket-Accept: ")[2].partition("\r\n")[0]))
        talk.wait_for_end()

    return script


def upgrade(*lines: str) -> Callable[[str], bytes]:
    """A 101 with these lines beside the usual ones."""
    usual = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")
    return lambda accept: "\r\n".join((*usual, f"Sec-WebSocket-Accept: {accept}", *lines, "", "")).encode("latin-1")


def check_slow_refusal(rig: Rig, row: str, record: Record, status: int, name: str) -> None:
    body = b'{"error":{"name":"%s","message":"nope"}}' % name.encode()
    subject = rig.connect(rig.serve(answering(status, body=body)))
    first, error = subject.refused()
    second, _ = subject.refused(2)
    assert isinstance(error, HandshakeError)
    assert error.status == status
    assert name in second.reason
    assert first.delay <= 0.05
    assert second.delay >= 30.0
    wait_until(lambda: subject.status.state is ConnectionState.ERROR, "the state ERROR")
    figure = f"one more attempt at once, the next after {second.delay:.0f} s, state ERROR; {name} is told"
    record(row, figure=figure)


def check_refused_keys(rig: Rig, row: str, record: Record, status: int, name: str) -> None:
    """The private endpoint: one more attempt with a token of its own, then whoever waits is told, and no hammering."""
    body = b'{"error":{"name":"%s","message":"nope"}}' % name.encode()
    server = rig.serve(answering(status, body=body))
    subject = rig.connect(server, ["myAsset"], ())
    with pytest.raises(AuthenticationError) as caught:
        subject.client.get_my_assets(timeout=10.0)
    assert caught.value.name == name
    assert str(caught.value.advice) in str(caught.value)
    second = subject.await_event(BackingOff, 2)
    assert second.delay >= 30.0
    asked = [talk.requests[0] for talk in server.conversations if talk.requests]
    upgrades = [request for request in asked if request.path == "/websocket/v1/private"]
    claims = [
        jwt.decode(request.headers["authorization"][7:], options={"verify_signature": False}) for request in upgrades
    ]
    assert len(upgrades) == 2
    assert len({claim["nonce"] for claim in claims}) == 2
    wait_until(lambda: subject.status.state is ConnectionState.ERROR, "the state ERROR")
    assert len(subject.events(AuthenticationFailed)) == 1
    figure = (
        f"one more attempt with a fresh nonce, then AuthenticationError ({name}); the next after {second.delay:.0f} s"
    )
    record(row, figure=figure)


def test_D1_401(rig: Rig, record: Record) -> None:
    check_slow_refusal(rig, "D1", record, 401, "jwt_verification")


def test_D1_401_with_keys(rig: Rig, record: Record) -> None:
    check_refused_keys(rig, "D1", record, 401, "jwt_verification")


def test_D2_403(rig: Rig, record: Record) -> None:
    check_slow_refusal(rig, "D2", record, 403, "no_authorization_ip")


def test_D2_403_with_keys(rig: Rig, record: Record) -> None:
    check_refused_keys(rig, "D2", record, 403, "no_authorization_ip")


def test_D3_418_stops_all_dials_of_the_process(rig: Rig, record: Record) -> None:
    subject = rig.connect(rig.serve(answering(418)))
    event, error = subject.refused()
    assert isinstance(error, HandshakeError)
    assert error.status == 418
    assert 60.0 <= event.delay <= 66.0
    others = subject.manager.limiter.reserve("websocket-connect", time.monotonic())
    assert others > 59.0, "every connection asks this limiter"
    record(
        "D3",
        figure=f"next attempt after {event.delay:.0f} s, all others blocked for {others:.0f} s",
        bound="60 s at least",
    )


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (None, 1.0, 1.1),
        ("7", 7.0, 7.7),
        ("date", 3.0, 6.6),
        ("soon", 1.0, 1.1),
        ("-5", 1.0, 1.1),
        ("1000000000", 600.0, 600.0),
    ],
)
def test_D4_429(rig: Rig, record: Record, value: str | None, least: float, most: float) -> None:
    if value == "date":
        value = email.utils.formatdate(time.time() + 5, usegmt=True)
    script = answering(429) if value is None else answering(429, Retry_After=value)
    subject = rig.connect(rig.serve(script))
    event, _ = subject.refused()
    assert least <= event.delay <= most
    assert subject.manager.limiter.reserve("websocket-connect", time.monotonic()) > least - 0.5
    record("D4", figure="none 1 s; 7: 7 s; a date; garbage and -5: 1 s; 10⁹: 600 s", bound="1 s to 10 min")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_D5_a_gateway_with_a_page_of_html(rig: Rig, record: Record, status: int) -> None:
    page = b"<html>\r\n<body>\x1b[2J" + b"<h1>Bad Gateway</h1>\n" * 500 + b"</body></html>"
    subject = rig.connect(rig.serve(answering(status, body=page, Content_Type="text/html"), good(ticker(1))))
    event, error = subject.refused()
    assert isinstance(error, HandshakeError)
    assert error.status == status
    assert len(event.reason) < 700
    assert not set("\r\n\x1b") & set(event.reason)
    subject.await_price(1.0)
    record("D5", figure=f"{len(page)} bytes of page are {len(event.reason)} characters in one line, then back")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_D6_a_redirect_is_not_followed(rig: Rig, record: Record, status: int) -> None:
    elsewhere = rig.serve(good(ticker(66)))
    location = f"ws://127.0.0.1:{elsewhere.port}/websocket/v1"
    subject = rig.connect(rig.serve(answering(status, Location=location), good(ticker(1))))
    event, error = subject.refused()
    assert isinstance(error, HandshakeError)
    assert "redirect" in event.reason
    subject.await_price(1.0)
    assert elsewhere.connections == 0
    record("D6", figure="refused, 0 requests to the other place")


@pytest.mark.parametrize("status", [200, 204, 426])
def test_D7_a_status_that_is_no_upgrade(rig: Rig, record: Record, status: int) -> None:
    script = answering(status, body=b"" if status == 204 else b"hello")
    subject = rig.connect(rig.serve(script, good(ticker(1))))
    _, error = subject.refused()
    assert isinstance(error, HandshakeError)
    assert error.status == status
    subject.await_price(1.0)
    record("D7", figure="HandshakeError with the status, then back")


@pytest.mark.parametrize(
    "answer",
    [
        lambda accept: b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        lambda accept: upgrade()("AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        lambda accept: upgrade()(accept).replace(b"Upgrade: websocket\r\n", b""),
        lambda accept: upgrade()(accept).replace(b"Connection: Upgrade\r\n", b""),
        lambda accept: upgrade()(accept).replace(b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\n"),
        lambda accept: upgrade()(accept).replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_D8_a_101_that_answers_somebody_else(rig: Rig, record: Record, answer: Callable[[str], bytes]) -> None:
    subject = rig.connect(rig.serve(raw(answer), good(ticker(1))))
    _, error = subject.refused()
    assert isinstance(error, HandshakeError)
    subject.await_price(1.0)
    assert len(subject.events(Connected)) == 1
    record("D8", figure="6 of 6 refused, then back")


def drip(pause: float) -> Script:
    return lambda talk: talk.send_slowly(talk.upgrade_response(talk.read_request()), pause=pause)


@pytest.mark.parametrize("script", [Conversation.hold, drip(0.02), drip(0.3)], ids=["mute", "slow", "slower"])
def test_D9_a_handshake_that_takes_for_ever(rig: Rig, record: Record, script: Script) -> None:
    subject = rig.connect(rig.serve(script), connection={"connect_timeout": 0.5})
    event, error = subject.refused()
    took = event.at - subject.events(Connecting)[0].at
    assert isinstance(error, ConnectTimeoutError)
    assert 0.45 < took < 1.0
    record("D9", figure=f"given up after {took:.2f} s", bound="connect_timeout 0.5 s")


def endless(piece: bytes, times: int, head: bytes = b"HTTP/1.1 101 X\r\n") -> Script:
    def script(talk: Conversation) -> None:
        talk.read_request()
        talk.send(head)
        for _ in range(times):
            talk.send(piece)
        talk.wait_for_end()

    return script


@pytest.mark.parametrize(
    "script",
    [
        endless(b"x" * 65536, 800, head=b"HTTP/1.1 101 X\r\nX-Line: "),
        endless(b"".join(b"X-%d: y\r\n" % number for number in range(10_000)), 1),
        endless(b"x" * 65536, 800, head=b"HTTP/1.1 429 X\r\nContent-Length: 52428800\r\n\r\n"),
    ],
    ids=["line", "headers", "body"],
)
def test_D10_an_answer_without_end(rig: Rig, record: Record, script: Script) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    subject = rig.connect(rig.serve(script))
    event, error = subject.refused()
    took = event.at - subject.events(Connecting)[0].at
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert isinstance(error, HandshakeError)
    assert len(event.reason) < 700
    assert took < 0.5
    assert grown < 8
    record("D10", figure=f"cut off after {took * 1e3:.0f} ms, memory +{grown:.1f} MiB", bound="0.5 s, 8 MiB")


def test_D11_frames_in_the_segment_of_the_101(rig: Rig, record: Record) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade(followed_by=server_frame(ticker(1)) + server_frame(ticker(2))[:9])
        talk.read_frame()
        talk.send(server_frame(ticker(2))[9:])
        attend(talk)

    subject = rig.connect(rig.serve(script))
    subject.await_price(2.0)
    assert subject.manager.get_connection_metrics()[0].messages == 2
    record("D11", figure="2 of 2 messages, the second cut by the end of the segment")


@pytest.mark.parametrize(
    ("lines", "is_accepted"),
    [
        (("X-Korean: \xb1\xb9",), True),
        (("X-Twice: a", "X-Twice: b"), True),
        (("Upgrade: websocket",), False),
        (("X-Folded: a", " b"), False),
        (("X-Nul: \x00",), False),
        (("no colon here",), False),
        (("Bad Name: x",), False),
    ],
)
def test_D12_headers_of_all_kinds(rig: Rig, record: Record, lines: tuple[str, ...], is_accepted: bool) -> None:
    def script(talk: Conversation) -> None:
        accept = talk.upgrade_response(talk.read_request()).decode().partition("Accept: ")[2].partition("\r\n")[0]
        talk.send(upgrade(*lines)(accept))
        talk.read_frame()
        talk.send_frame(ticker(1))
        attend(talk)

    subject = rig.connect(rig.serve(script, good(ticker(1))))
    subject.await_price(1.0)
    failures = subject.events(BackingOff)
    assert (failures == []) is is_accepted
    assert all(isinstance(subject.refused()[1], HandshakeError) for _ in failures)
    record("D12", figure="2 kinds accepted, 5 refused with a clean error, then back")


def test_D13_a_cookie_is_neither_kept_nor_sent(rig: Rig, record: Record) -> None:
    cookie = {"Set-Cookie": "session=stolen; Domain=127.0.0.1; Path=/"}
    lost = threading.Event()
    first = then(lambda talk: greet(talk, ticker(1), headers=cookie), lambda talk: until(talk, lost))
    server = rig.serve(first, good(ticker(2)))
    subject = rig.connect(server)
    subject.await_price(1.0)
    session = subject.manager._connections.all()[0]._session
    assert session is not None
    assert "set-cookie" not in session.transport.response_headers
    lost.set()
    subject.await_price(2.0)
    assert "cookie" not in server.conversation(1).requests[0].headers
    assert not any("stolen" in line for line in rig.invariants.log)
    record("D13", figure="0 cookies in the second request")


def test_D14_the_bytes_of_the_request(rig: Rig, record: Record) -> None:
    server = rig.serve(good(ticker(1)))
    subject = rig.connect(server)
    subject.await_price(1.0)
    request = server.conversation().requests[0]
    assert request.raw.decode() == (
        "GET /websocket/v1 HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{server.port}\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {request.headers['sec-websocket-key']}\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "User-Agent: upbit-ws\r\n"
        "\r\n"
    )
    for url in ("http://127.0.0.1\r\nX-Evil: 1/", "http://127.0.0.1/\r\nOrigin: x", "http://evil\x00.test"):
        with pytest.raises(InvalidArgumentError):
            _try_url(url)
    with pytest.raises(InvalidArgumentError):
        subject.client.register_interest(["ticker"], ['KRW-BTC"\r\n'])
    record("D14", figure="no Origin, Host as dialled; 4 of 4 injections refused in the caller's thread")


def _try_url(url: str) -> None:
    with GlobalWebSocketManager(WebSocketConfig(connection=ConnectionConfig(base_url=url))) as manager:
        SimpleWebSocketClient("subject", manager=manager).register_interest(["ticker"], ["KRW-BTC"])


@pytest.mark.parametrize("answer", [answering(407, Proxy_Authenticate="Basic"), Conversation.hold], ids=["407", "hang"])
def test_D17_a_proxy_that_does_not_let_us_through(rig: Rig, record: Record, answer: Script) -> None:
    proxy = rig.serve(answer)
    server = rig.serve(good(ticker(1)))
    options = {"proxy_url": f"http://user:hunter2@127.0.0.1:{proxy.port}", "connect_timeout": 0.5}
    subject = rig.connect(server, connection=options)
    event, error = subject.refused()
    assert "407" in event.reason or isinstance(error, ConnectTimeoutError)
    assert server.connections == 0, "never around the proxy"
    assert not any("hunter2" in line for line in [*rig.invariants.log, repr(subject.manager.config), event.reason])


def test_D17_a_proxy_of_the_environment_is_not_used(rig: Rig, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = rig.serve(Conversation.hold)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    subject = rig.connect(rig.serve(good(ticker(1))))
    subject.await_price(1.0)
    assert proxy.connections == 0
    record("D17", figure="407 and a hang are told, 0 connections around the proxy, 0 through that of the environment")
