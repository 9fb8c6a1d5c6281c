"""Responses arrive in any pieces and of any size; what is kept is bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.exceptions import HandshakeError
from upbit_ws.protocol.http import HandshakeLimits, HttpResponse, ResponseParser, parse_error_body, parse_retry_after

UPGRADE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nremaining-req: group=websocket; min=300; sec=3\r\n\r\n"
)
# 2026-11-22 00:00:00 UTC.
NOW = 1_795_305_600.0


def parse(data: bytes, **arguments: object) -> HttpResponse:
    parser = ResponseParser(**arguments)  # type: ignore[arg-type]
    return parser.feed(data) or parser.end()


def test_a_response_is_parsed_with_lower_case_names() -> None:
    response = parse(UPGRADE)

    assert (response.version, response.status, response.reason) == ("HTTP/1.1", 101, "Switching Protocols")
    assert response.headers == {"upgrade": "websocket", "remaining-req": "group=websocket; min=300; sec=3"}


def test_what_follows_a_101_is_left_over_and_not_lost() -> None:
    assert parse(UPGRADE + b"\x82\x01x\r\n\r\n").leftover == b"\x82\x01x\r\n\r\n"


@given(st.lists(st.integers(0, len(UPGRADE) + 5), max_size=8))
def test_however_the_bytes_are_cut_the_response_is_the_same(cuts: list[int]) -> None:
    data = UPGRADE + b"frame"
    places = [0, *sorted(cuts), len(data)]
    parser = ResponseParser()
    response: HttpResponse | None = None
    rest = b""
    for start, stop in pairwise(places):
        piece = data[start:stop]
        if response is None:
            response = parser.feed(piece)
        else:
            rest += piece

    assert response is not None
    assert response.headers == parse(UPGRADE).headers
    assert response.leftover + rest == b"frame"


@pytest.mark.parametrize("size", [8192, 8193])
def test_a_line_is_bounded_whether_it_ends_or_not(size: int) -> None:
    for ending in (b"\r\n\r\n", b""):
        data = b"HTTP/1.1 200 OK\r\nX: " + b"a" * (size - 3 - len(ending[:1]) * 1) + ending
        parser = ResponseParser()
        if size > 8192:
            with pytest.raises(HandshakeError, match="longer than 8192"):
                parser.feed(data)
        else:
            parser.feed(data)


def test_an_endless_line_is_cut_off_early() -> None:
    parser = ResponseParser()
    for _ in range(8):
        assert parser.feed(b"a" * 1000) is None
    with pytest.raises(HandshakeError, match="longer than 8192"):
        parser.feed(b"a" * 1000)


def test_the_number_of_headers_is_bounded() -> None:
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(10_000))

    with pytest.raises(HandshakeError, match="more than 128 headers"):
        parse(b"HTTP/1.1 101 OK\r\n" + lines)
    assert len(parse(b"HTTP/1.1 101 OK\r\n" + b"".join(lines.splitlines(True)[:128]) + b"\r\n").headers) == 128


def test_a_body_is_kept_up_to_its_cap() -> None:
    parser = ResponseParser()
    head = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 52428800\r\n\r\n"
    assert parser.feed(head + b"a" * 4000) is None
    response = parser.feed(b"b" * 1_000_000)

    assert response is not None
    assert response.body == b"a" * 4000 + b"b" * 96


def test_a_body_is_complete_with_its_announced_length() -> None:
    response = ResponseParser().feed(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusymore")

    assert response is not None
    assert response.body == b"busy"


@pytest.mark.parametrize("length", ["", "-1", "x", "4, 5", "٤", "9" * 5000])
def test_a_length_that_says_nothing_does_not_end_the_body(length: str) -> None:
    parser = ResponseParser()
    head = f"HTTP/1.1 503 Busy\r\nContent-Length: {length}\r\n\r\nbusy".encode("latin-1", "replace")

    assert parser.feed(head) is None
    assert parser.end().body == b"busy"


def test_a_chunked_body_is_joined_as_far_as_it_came() -> None:
    head = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"

    assert parse(head + b"4;x=y\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n").body == b"abcdefg"
    assert parse(head + b"A\r\nabc").body == b"abc"
    assert parse(head + b"zz\r\nabc").body == b""


def test_a_status_without_body_is_complete_with_its_head() -> None:
    response = ResponseParser().feed(b"HTTP/1.1 204 None\r\n\r\n")

    assert response is not None
    assert response.body == b""


def test_an_answer_to_connect_has_no_body_either() -> None:
    head = b"HTTP/1.0 200 Connection established\r\n\r\n"
    response = ResponseParser(without_body=range(200, 300)).feed(head + b"\x16\x03")

    assert response is not None
    assert response.leftover == b"\x16\x03"


def test_interim_responses_are_skipped_within_reason() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"

    assert parse(interim * 3 + UPGRADE).headers == parse(UPGRADE).headers
    with pytest.raises(HandshakeError, match=r"without end|more than"):
        parse(interim * 1000 + UPGRADE)
    with pytest.raises(HandshakeError, match="without end"):
        parse(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + UPGRADE)


def test_repeated_headers_are_joined() -> None:
    response = parse(b"HTTP/1.1 101 OK\r\nA: 1\r\na: 2\r\nSet-Cookie: x\r\nSet-Cookie: y\r\n\r\n")

    assert response.headers == {"a": "1, 2", "set-cookie": "x, y"}


def test_a_lone_line_feed_ends_a_line_too() -> None:
    assert parse(b"HTTP/1.1 101 OK\nA: 1\n\nrest") == HttpResponse("HTTP/1.1", 101, "OK", {"a": "1"}, b"", b"rest")


@pytest.mark.parametrize("status_line", [b"HTTP/1.1 101", b"HTTP/1.1 101 ", b"HTTP/1.1 101 \xec\x97\x85"])
def test_a_status_line_may_have_any_reason_or_none(status_line: bytes) -> None:
    assert parse(status_line + b"\r\n\r\n").status == 101


@pytest.mark.parametrize(
    "line",
    [
        b"no colon",
        b" folded: x",
        b"\tfolded",
        b"a b: c",
        b"a : c",
        b": c",
        b"a: b\rc",
        b"a: b\x00c",
        b"a: \x1b[31m",
        b"\xff: c",
    ],
)
def test_a_malformed_header_is_a_clean_error(line: bytes) -> None:
    with pytest.raises(HandshakeError, match="malformed header") as caught:
        parse(b"HTTP/1.1 101 OK\r\nA: b\r\n" + line + b"\r\n\r\n")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2",
        b"HTTP/2 101 OK",
        b"HTTP/1.1 1010 OK",
        b"HTTP/1.1 abc",
        b"\x16\x03\x01",
        b"ICY 200 OK",
    ],
)
def test_what_is_not_http_is_a_clean_error(line: bytes) -> None:
    with pytest.raises(HandshakeError, match="does not speak HTTP") as caught:
        parse(line + b"\r\n\r\n")
    assert str(caught.value).isprintable()


def test_an_end_inside_the_head_is_an_error() -> None:
    parser = ResponseParser()
    parser.feed(UPGRADE[:-1])

    with pytest.raises(HandshakeError, match="ended"):
        parser.end()


@given(st.binary(max_size=400), st.integers(0, 40))
def test_any_bytes_give_a_response_or_the_documented_error(data: bytes, prefix: int) -> None:
    parser = ResponseParser(HandshakeLimits(line=64, headers=4, body=16))
    response, said = None, ""
    try:
        response = parser.feed(UPGRADE[:prefix] + data) or parser.end()
    except HandshakeError as error:
        said = str(error)
    assert said.isprintable()
    assert response is None or len(response.body) <= 16


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"name":"nonce_used","message":"m"}}', ("nonce_used", "m")),
        (b'{"error":{"message":"Code not found","name":404}}', ("404", "Code not found")),
        (b'{"error":{"name":null}}', ("", "")),
        (b'{"error":"x"}', ("", "")),
        (b"[]", ("", "")),
        (b"<html>", ("", "")),
        (b"", ("", "")),
        (b"\xff", ("", "")),
    ],
)
def test_the_error_of_upbit_is_found_where_there_is_one(body: bytes, expected: tuple[str, str]) -> None:
    assert parse_error_body(body) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("5", 5.0),
        (" 5 ", 5.0),
        ("1.5", 1.5),
        ("0", 1.0),
        ("-3", 1.0),
        ("1000000000", 600.0),
        ("9" * 300, 600.0),
        ("9" * 5000, None),
        ("Sun, 22 Nov 2026 00:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 00:00:30 -0000", 30.0),
        ("Sun, 22 Nov 2020 00:00:00 GMT", 1.0),
        ("Sun, 22 Nov 2999 00:00:00 GMT", 600.0),
        ("Sun, 99 Nov 2026 00:00:00 GMT", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("٣", None),
    ],
)
def test_retry_after_is_a_wait_between_one_second_and_ten_minutes(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value, NOW) == expected


@given(st.text(max_size=60))
def test_any_retry_after_is_none_or_within_bounds(value: str) -> None:
    seconds = parse_retry_after(value, NOW)

    assert seconds is None or 1.0 <= seconds <= 600.0
