"""The upgrade request to the byte, and which answers are a connection."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from upbit_ws.exceptions import HandshakeError, InvalidArgumentError
from upbit_ws.protocol.deflate import DeflateParameters, offer_header
from upbit_ws.protocol.handshake import (
    accept_for,
    build_connect_request,
    build_upgrade_request,
    check_upgrade,
    format_authority,
    make_key,
    refusal,
)
from upbit_ws.protocol.http import HttpResponse

# The example of RFC 6455, section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhY2Nlc3Nfa2V5IjoiYSJ9.c2lnbmF0dXJl"


def request(**changes: object) -> bytes:
    arguments: dict[str, object] = {
        "host": "api.upbit.com",
        "port": 443,
        "is_secure": True,
        "path": "/websocket/v1",
        "key": KEY,
    }
    return build_upgrade_request(**{**arguments, **changes})  # type: ignore[arg-type]


def accepted(headers: Mapping[str, str | None] | None = None, *, version: str = "HTTP/1.1") -> HttpResponse:
    """A right 101; None as a value takes the header out."""
    lines = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": ACCEPT, **(headers or {})}
    return HttpResponse(
        version, 101, "Switching Protocols", {name: value for name, value in lines.items() if value is not None}
    )


def refused(status: int, body: bytes = b"", **headers: str) -> HttpResponse:
    return HttpResponse("HTTP/1.1", status, "Reason", {name.replace("_", "-"): v for name, v in headers.items()}, body)


def test_the_request_has_these_bytes_and_no_others() -> None:
    assert request() == (
        b"GET /websocket/v1 HTTP/1.1\r\n"
        b"Host: api.upbit.com\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"\r\n"
    )


def test_the_request_with_everything_has_these_bytes() -> None:
    made = request(
        host="127.0.0.1",
        port=8080,
        is_secure=False,
        path="/websocket/v1/private",
        extensions=offer_header(),
        user_agent="upbit-ws",
        headers=[("Authorization", f"Bearer {TOKEN}")],
    )

    assert made == (
        b"GET /websocket/v1/private HTTP/1.1\r\n"
        b"Host: 127.0.0.1:8080\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, "
        b"permessage-deflate; client_max_window_bits; client_no_context_takeover\r\n"
        b"User-Agent: upbit-ws\r\n"
        b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    ("host", "port", "is_secure", "expected"),
    [
        ("api.upbit.com", 443, True, b"api.upbit.com"),
        ("api.upbit.com", 80, True, b"api.upbit.com:80"),
        ("api.upbit.com", 80, False, b"api.upbit.com"),
        ("api.upbit.com", 443, False, b"api.upbit.com:443"),
        ("::1", 8443, True, b"[::1]:8443"),
        ("[::1]", 443, True, b"[::1]"),
    ],
)
def test_host_names_the_port_only_where_the_scheme_does_not(
    host: str, port: int, is_secure: bool, expected: bytes
) -> None:
    assert b"\r\nHost: " + expected + b"\r\n" in request(host=host, port=port, is_secure=is_secure)


@pytest.mark.parametrize("name", ["Origin", "origin", "Cookie", "Host", "Sec-WebSocket-Protocol", "Transfer-Encoding"])
def test_headers_that_are_not_the_callers_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="not the caller's"):
        request(headers=[(name, "x")])


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\x00b", "a\x1bb", "a\x7fb", "한", " a", "a "])
def test_a_value_that_could_end_its_line_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        request(headers=[("Authorization", f"SECRET{value}" if value != " a" else value)])

    assert "SECRET" not in str(caught.value)
    assert "Authorization" in str(caught.value)


@pytest.mark.parametrize("name", ["", "A B", "A:", "A\r\nB", "A\x00", "한"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="name"):
        request(headers=[(name, "x")])


@pytest.mark.parametrize("path", ["", "websocket", "/a b", "/a\r\nX: y", "/\x00", "/한"])
def test_a_path_that_could_break_the_request_line_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgumentError, match="path"):
        request(path=path)


@pytest.mark.parametrize("host", ["", "a b", "a\r\nX: y", "업비트.com", "a/b", "a@b"])
def test_a_host_that_could_break_its_header_is_refused(host: str) -> None:
    with pytest.raises(InvalidArgumentError, match="host"):
        request(host=host)
    with pytest.raises(InvalidArgumentError, match="host"):
        format_authority(host, 443)


def test_a_proxy_is_asked_for_a_tunnel_with_its_own_password_only() -> None:
    assert build_connect_request(host="api.upbit.com", port=443, authorization="Basic dTpw") == (
        b"CONNECT api.upbit.com:443 HTTP/1.1\r\nHost: api.upbit.com:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
    )


def test_a_proxy_without_a_password_is_told_none() -> None:
    assert build_connect_request(host="api.upbit.com", port=443) == (
        b"CONNECT api.upbit.com:443 HTTP/1.1\r\nHost: api.upbit.com:443\r\n\r\n"
    )


def test_a_key_is_sixteen_bytes_in_base64() -> None:
    key = make_key(bytes(range(16)))

    assert base64.b64decode(key) == bytes(range(16))
    with pytest.raises(InvalidArgumentError, match="16"):
        make_key(b"short")


def test_the_accept_of_the_rfcs_example_is_computed() -> None:
    assert accept_for(KEY) == ACCEPT


def test_a_right_101_is_a_connection_without_compression() -> None:
    assert check_upgrade(accepted(), key=KEY, has_offered_deflate=False) is None
    assert check_upgrade(accepted(), key=KEY, has_offered_deflate=True) is None


def test_case_and_company_of_the_tokens_do_not_matter() -> None:
    odd = accepted({"upgrade": "WebSocket", "connection": "keep-alive, upgrade", "remaining-req": "group=websocket"})

    assert check_upgrade(odd, key=KEY, has_offered_deflate=False) is None


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"upgrade": None}, "Upgrade"),
        ({"upgrade": "h2c"}, "Upgrade"),
        ({"connection": None}, "Connection"),
        ({"connection": "close"}, "Connection"),
        ({"sec-websocket-accept": None}, "Accept"),
        ({"sec-websocket-accept": ACCEPT.lower()}, "Accept"),
        ({"sec-websocket-accept": f"{ACCEPT}, {ACCEPT}"}, "Accept"),
        ({"sec-websocket-protocol": "upbit"}, "subprotocol"),
        ({"sec-websocket-extensions": "permessage-deflate"}, "not offered"),
    ],
)
def test_a_101_that_does_not_answer_our_request_is_refused(headers: dict[str, str | None], said: str) -> None:
    with pytest.raises(HandshakeError, match=said):
        check_upgrade(accepted(headers), key=KEY, has_offered_deflate=False)


def test_http_1_0_has_no_upgrade() -> None:
    with pytest.raises(HandshakeError, match=r"HTTP/1\.0"):
        check_upgrade(accepted(version="HTTP/1.0"), key=KEY, has_offered_deflate=False)


def test_the_agreed_compression_is_returned() -> None:
    response = accepted({"sec-websocket-extensions": "permessage-deflate; server_max_window_bits=12"})

    assert check_upgrade(response, key=KEY, has_offered_deflate=True) == DeflateParameters(server_max_window_bits=12)


@pytest.mark.parametrize("answer", ["permessage-deflate; mystery=1", "x-webkit-deflate-frame", "permessage-deflate, a"])
def test_an_extension_that_cannot_be_meant_is_refused(answer: str) -> None:
    with pytest.raises(HandshakeError):
        check_upgrade(accepted({"sec-websocket-extensions": answer}), key=KEY, has_offered_deflate=True)


def test_a_refusal_says_what_upbit_says() -> None:
    body = '{"error":{"name":"no_authorization_ip","message":"인증되지 않은 IP입니다."}}'.encode()
    error = refusal(refused(401, body), now=0.0, host="api.upbit.com")

    assert error.status == 401
    assert error.retry_after is None
    assert error.host == "api.upbit.com"
    assert error.reason == "no_authorization_ip: 인증되지 않은 IP입니다."


def test_a_refusal_takes_over_how_long_to_wait() -> None:
    assert refusal(refused(429, retry_after="7"), now=0.0).retry_after == 7.0
    assert refusal(refused(418, retry_after="1000000000"), now=0.0).retry_after == 600.0


def test_a_refusal_shows_a_page_in_one_bounded_line() -> None:
    error = refusal(refused(502, b"<html>\r\n\x1b[31mBad\x00 Gateway" + b"x" * 4000), now=0.0)

    assert error.reason.startswith("<html>\\r\\n\\x1b[31mBad\\x00 Gateway")
    assert len(error.reason) <= 257
    assert error.reason.isprintable()


def test_a_refusal_never_shows_the_token() -> None:
    body = b'{"error":{"name":"jwt_verification","message":"bad token: Bearer ' + TOKEN.encode() + b' (opaque-key)"}}'
    error = refusal(refused(401, body), now=0.0, secrets=["opaque-key"])

    assert error.reason == "jwt_verification: bad token: Bearer *** (***)"


def test_a_token_cut_off_by_the_limit_of_the_body_is_masked_too() -> None:
    error = refusal(refused(401, b"x" * 100 + TOKEN[:30].encode()), now=0.0, secrets=[TOKEN])

    assert "eyJ" not in error.reason


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_refusal_that_says_so(status: int) -> None:
    error = refusal(refused(status, location="ws://evil.example/"), now=0.0)

    assert error.status == status
    assert "redirect" in error.reason
    assert not error.retryable


def test_cookies_leave_no_trace() -> None:
    response = accepted({"set-cookie": "session=1; Domain=.upbit.com"})

    assert check_upgrade(response, key=KEY, has_offered_deflate=False) is None
    assert b"ookie" not in request()
