"""Handshakes: who is let in, and what the answer tells."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import requests
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from tests.sandbox.clients import HANDSHAKE, Client
from upbit_ws.sandbox import Sandbox

Make = Callable[..., Sandbox]
Dial = Callable[..., Client]


def attempt(dial: Dial, sandbox: Sandbox, **options: Any) -> Response:
    """Try to connect; the response to it, whatever it is."""
    try:
        response = dial(sandbox, **options).connection.response
    except InvalidStatus as refused:
        response = refused.response
    assert response is not None
    return response


def test_the_upgrade_tells_what_is_left(make: Make, dial: Dial) -> None:
    response = dial(make(connect_limit=5)).connection.response
    assert response is not None

    assert response.headers["remaining-req"] == "group=websocket; min=300; sec=4"
    assert response.headers["limit-by-ip"] == "Yes"
    assert "Sec-WebSocket-Protocol" not in response.headers


def test_the_upgrade_can_tell_nothing(make: Make, dial: Dial) -> None:
    response = dial(make(upgrade_headers=False)).connection.response
    assert response is not None

    assert not {"remaining-req", "limit-by-ip"} & {name.lower() for name in response.headers}


def test_too_many_connects_are_refused_and_then_blocked(make: Make, dial: Dial) -> None:
    sandbox = make(connect_limit=1, limit_patience=2, block_seconds=30.0)
    responses = [attempt(dial, sandbox) for _ in range(12)]
    statuses = [response.status_code for response in responses]

    assert statuses[0] == 101
    assert statuses.count(429) >= 2
    assert statuses[-1] == 418
    assert b"Blocked for 30 seconds" in responses[statuses.index(418)].body
    assert "Retry-After" not in responses[-1].headers
    assert [handshake.status for handshake in sandbox.handshakes] == statuses


def test_the_block_time_can_be_told_in_a_header(make: Make, dial: Dial) -> None:
    sandbox = make(connect_limit=1, limit_patience=0, retry_after_header=True)
    responses = [attempt(dial, sandbox) for _ in range(8)]

    assert int(responses[-1].headers["Retry-After"]) in (9, 10)


def test_an_origin_header_allows_one_connect_in_ten_seconds(make: Make, dial: Dial) -> None:
    sandbox = make(connect_limit=5)
    # A window of ten seconds may end between two of the three, not between all of them.
    responses = [attempt(dial, sandbox, origin="http://example.com") for _ in range(3)]

    assert responses[0].headers["remaining-req"].startswith("group=origin;")
    assert 429 in [response.status_code for response in responses]
    assert attempt(dial, sandbox).status_code == 101


def test_the_origin_limit_can_be_off(make: Make, dial: Dial) -> None:
    sandbox = make(origin_limit=False)
    for _ in range(3):
        dial(sandbox, origin="http://example.com")

    assert sandbox.connections == 3


def test_an_unknown_path_is_not_found(exchange: Sandbox, dial: Dial) -> None:
    assert attempt(dial, exchange, path="/v2").status_code == 404


def test_a_handshake_without_a_key_is_refused(exchange: Sandbox) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    reply = requests.get(f"{exchange.url}/websocket/v1", headers=headers, timeout=5)

    assert reply.status_code == 400
    assert exchange.handshakes[-1].status == 400


def test_what_a_client_sent_is_kept_as_it_came(exchange: Sandbox, dial: Dial) -> None:
    dial(exchange, additional_headers={"X-Test": "yes"})
    (handshake,) = exchange.handshakes

    assert handshake.path == "/websocket/v1"
    assert handshake.headers["x-test"] == "yes"
    assert handshake.raw.startswith(b"GET /websocket/v1 HTTP/1.1\r\n")


def test_nonsense_is_answered_and_the_connection_ended(exchange: Sandbox) -> None:
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=5) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        received = b""
        while chunk := sock.recv(4_096):
            received += chunk

    assert received.startswith(b"HTTP/1.1 400 ")


def test_a_request_may_arrive_byte_by_byte_and_data_right_behind_the_handshake(exchange: Sandbox) -> None:
    ping = b"\x89\x80\0\0\0\0"
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=5) as sock:
        for byte in HANDSHAKE[:40]:
            sock.sendall(bytes([byte]))
        sock.sendall(HANDSHAKE[40:] + ping)
        received = b""
        while not received.endswith(b"\x8a\x00"):
            received += sock.recv(4_096)

    assert received.startswith(b"HTTP/1.1 101 ")
