"""Just enough HTTP."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.sandbox.http import HttpError, HttpReply, HttpRequest, cut_request

GET = b"GET /v1/ticker?markets=KRW-BTC&x=%20 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
POST = b"POST /v1/orders HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"


def cut(raw: bytes) -> HttpRequest | None:
    return cut_request(bytearray(raw))


def test_a_request_has_a_path_and_a_query() -> None:
    request = cut(GET)

    assert request is not None
    assert (request.method, request.path, request.query) == ("GET", "/v1/ticker", {"markets": "KRW-BTC", "x": " "})
    assert not request.is_upgrade
    assert not request.wants_close


def test_a_body_belongs_to_its_request() -> None:
    buffer = bytearray(POST + GET)
    first, second = cut_request(buffer), cut_request(buffer)

    assert first is not None
    assert first.body == b"hello"
    assert second is not None
    assert second.method == "GET"
    assert not buffer


@given(st.integers(0, len(POST) - 1))
def test_an_incomplete_request_waits_for_the_rest(length: int) -> None:
    assert cut(POST[:length]) is None


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\n" + b"x" * 70_000, 431),
    ],
)
def test_what_cannot_be_understood_is_refused(raw: bytes, status: int) -> None:
    with pytest.raises(HttpError) as caught:
        cut(raw)

    assert caught.value.status == status


def test_a_large_reply_is_compressed_for_who_understands_it() -> None:
    body = b"[" + b"1," * 2_000 + b"1]"
    request = HttpRequest("GET", "/", {"accept-encoding": "gzip, deflate"})
    head, _, sent = HttpReply(200, body).serialize(request).partition(b"\r\n\r\n")

    assert b"Content-Encoding: gzip" in head
    assert gzip.decompress(sent) == body
    assert HttpReply(200, body).serialize(HttpRequest("GET", "/", {})).endswith(body)


def test_a_reply_says_whether_the_connection_goes_on() -> None:
    assert b"Connection: keep-alive" in HttpReply(200, b"{}").serialize(HttpRequest("GET", "/", {}))
    assert b"Connection: close" in HttpReply(200, b"{}").serialize(HttpRequest("GET", "/", {"connection": "Close"}))
    assert HttpReply(200, b"{}").serialize(HttpRequest("HEAD", "/", {})).endswith(b"\r\n\r\n")
