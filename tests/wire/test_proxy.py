"""A proxy is used when asked for, and only then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from upbit_ws.exceptions import ConnectionFailedError, ConnectTimeoutError, InvalidArgumentError
from upbit_ws.testing import CertificateAuthority, Conversation, ScriptedServer, server_frame
from upbit_ws.wire.proxy import Proxy, choose_proxy, parse_proxy
from upbit_ws.wire.transport import Transport

Opener = Callable[..., Transport]


def tunnel(talk: Conversation) -> None:
    """Says yes to CONNECT and is then the exchange itself."""
    talk.read_request()
    talk.send(b"HTTP/1.0 200 Connection established\r\nVia: proxy\r\n\r\n")
    talk.upgrade(followed_by=server_frame(b"x"))
    talk.hold()


def test_a_tunnel_is_opened_with_the_proxys_password_and_not_with_the_token(
    open_transport: Opener, collect: Callable[[Transport, int], list[bytes]]
) -> None:
    with ScriptedServer(tunnel) as proxy:
        transport = open_transport(
            "ws://exchange.test:8080", proxy_url=proxy.url.replace("ws://", "http://user:pass%20word@")
        )
        assert collect(transport, 1) == [b"x"]
        connect, upgrade = proxy.conversation().requests
    assert connect.raw == (
        b"CONNECT exchange.test:8080 HTTP/1.1\r\n"
        b"Host: exchange.test:8080\r\n"
        b"Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n"
        b"\r\n"
    )
    assert "proxy-authorization" not in upgrade.headers
    assert upgrade.headers["host"] == "exchange.test:8080"


def test_tls_runs_through_the_tunnel_to_the_exchange(
    open_transport: Opener, authority: CertificateAuthority, collect: Callable[[Transport, int], list[bytes]]
) -> None:
    context = authority.server_context("exchange.test")

    def secure_tunnel(talk: Conversation) -> None:
        request = talk.read_request()
        assert b"Bearer" not in request.raw
        talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
        talk.start_tls(context)
        talk.upgrade(followed_by=server_frame(b"x"))
        talk.hold()

    with ScriptedServer(secure_tunnel) as proxy:
        transport = open_transport(
            "wss://exchange.test",
            proxy_url=proxy.url.replace("ws", "http"),
            ssl_context=authority.client_context(),
            authorization=lambda: "Bearer token",
        )
        assert collect(transport, 1) == [b"x"]
    assert proxy.errors == []


@pytest.mark.parametrize("status", [302, 403, 407, 502])
def test_a_proxy_that_refuses_is_an_error(open_transport: Opener, status: int) -> None:
    def refuse(talk: Conversation) -> None:
        talk.read_request()
        talk.send_response(status, body=b"no")

    with (
        ScriptedServer(refuse) as proxy,
        pytest.raises(ConnectionFailedError, match=rf"the proxy 127\.0\.0\.1 answered HTTP {status}"),
    ):
        open_transport("ws://exchange.test", proxy_url=proxy.url.replace("ws", "http"))


def test_a_proxy_that_speaks_too_early_is_an_error(open_transport: Opener) -> None:
    def eager(talk: Conversation) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n")
        talk.hold()

    with ScriptedServer(eager) as proxy, pytest.raises(ConnectionFailedError, match="spoke before"):
        open_transport("ws://exchange.test", proxy_url=proxy.url.replace("ws", "http"))


def test_a_proxy_that_hangs_costs_the_deadline(open_transport: Opener) -> None:
    with ScriptedServer(Conversation.hold) as proxy:
        started = time.monotonic()
        with pytest.raises(ConnectTimeoutError, match="proxy"):
            open_transport("ws://exchange.test", timeout=0.3, proxy_url=proxy.url.replace("ws", "http"))
        assert time.monotonic() - started < 0.8


def test_the_environment_is_looked_at_only_when_trusted(
    open_transport: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    through = threading.Event()
    with ScriptedServer(lambda talk: through.set()) as proxy, ScriptedServer(Conversation.upgrade) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.replace("ws", "http"))
        monkeypatch.delenv("no_proxy", raising=False)
        open_transport(server.url)
        assert not through.is_set()
        with pytest.raises(ConnectionFailedError):
            open_transport(server.url, trust_env=True)
        assert through.is_set()


@pytest.mark.parametrize(
    ("environment", "is_secure", "expected"),
    [
        ({}, True, None),
        ({"HTTPS_PROXY": "http://a:1"}, True, Proxy("a", 1)),
        ({"HTTPS_PROXY": "http://a:1"}, False, None),
        ({"http_proxy": "a:1"}, False, Proxy("a", 1)),
        ({"ALL_PROXY": "http://a"}, True, Proxy("a", 80)),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "*"}, True, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": ".upbit.com"}, True, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "api.upbit.com:443"}, True, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "upbit.example"}, True, Proxy("a", 1)),
    ],
)
def test_the_environments_variables_mean_what_they_mean_elsewhere(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], is_secure: bool, expected: Proxy | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert choose_proxy(None, trust_env=True, host="api.upbit.com", port=443, is_secure=is_secure) == expected
    assert choose_proxy(None, trust_env=False, host="api.upbit.com", port=443, is_secure=is_secure) is None
    given = choose_proxy("http://b:2", trust_env=True, host="api.upbit.com", port=443, is_secure=is_secure)
    assert given == Proxy("b", 2)


@pytest.mark.parametrize("url", ["https://u:secret@a", "socks5://u:secret@a:1", "http://", "http://u:secret@a:b", ""])
def test_what_is_no_http_proxy_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_proxy(url)
    assert "secret" not in str(caught.value)


def test_a_proxy_does_not_show_its_password() -> None:
    proxy = parse_proxy("http://user:hunter2@a:1")

    assert proxy.authorization == "Basic dXNlcjpodW50ZXIy"
    assert "dXNlcjpodW50ZXIy" not in repr(proxy)
