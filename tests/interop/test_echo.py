"""The transport against two servers that others wrote, in every agreement about compression, plain and under TLS."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.interop.conftest import COMPRESSIONS, MakeServer, Server
from upbit_ws.exceptions import ConnectionLostError
from upbit_ws.testing import CertificateAuthority
from upbit_ws.wire.transport import Transport

Opener = Callable[[Server, bool], Transport]

_NOISE = random.Random(1).randbytes(70_000)
TEXTS = [b"", b"x", "한글 € 𝄞".encode() * 4000, b'{"type":"ticker","code":"KRW-BTC"}' * 30, b"y" * 300_000]
BINARIES = [b"", b"\0\xff", _NOISE[:125], _NOISE[:126], _NOISE[:65535], _NOISE[:65536], _NOISE]


def collect(transport: Transport, count: int) -> tuple[list[bytes], list[bool]]:
    """So many messages, and whether each came as text."""
    deadline = time.monotonic() + 10.0
    messages: list[bytes] = []
    is_text: list[bool] = []
    while len(messages) < count:
        remaining = deadline - time.monotonic()
        assert remaining > 0, f"{len(messages)} of {count} messages came"
        if transport.wait(remaining)[0]:
            got = transport.receive()
            texts = set(transport.text_indexes)
            messages += got
            is_text += [index in texts for index in range(len(got))]
    return messages, is_text


@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_messages_come_back_as_they_went(
    make_server: MakeServer, open_transport: Opener, name: str, is_tls: bool
) -> None:
    compression = COMPRESSIONS[name]
    server = make_server(compression, CertificateAuthority() if is_tls else None)
    transport = open_transport(server, True)
    assert ("sec-websocket-extensions" in transport.response_headers) == (compression is not None)

    for _ in range(2):  # the second time, a kept context shows
        for text in TEXTS:
            transport.send_text(text)
        for binary in BINARIES:
            transport.send_binary(binary)
        messages, is_text = collect(transport, len(TEXTS) + len(BINARIES))

        assert messages == TEXTS + BINARIES
        assert is_text == [True] * len(TEXTS) + [False] * len(BINARIES)

    begun = time.monotonic()
    transport.close(deadline=begun + 5.0)
    assert time.monotonic() - begun < 1.0


def test_what_was_not_offered_is_not_used(make_server: MakeServer, open_transport: Opener) -> None:
    transport = open_transport(make_server({}, None), False)

    transport.send_text(b"plain")

    assert collect(transport, 1)[0] == [b"plain"]
    assert "sec-websocket-extensions" not in transport.response_headers


@pytest.mark.parametrize("name", ["none", "default"])
def test_fragments_are_joined_and_a_ping_is_answered(
    make_server: MakeServer, open_transport: Opener, name: str
) -> None:
    transport = open_transport(make_server(COMPRESSIONS[name], None), True)

    transport.send_text(b"fragments")

    # What a pong of ours made the server say comes last, with the same read or with another one.
    assert collect(transport, 2)[0] == [b"one two three", b"pong between"]


def test_a_ping_of_ours_is_answered(make_server: MakeServer, open_transport: Opener) -> None:
    transport = open_transport(make_server(None, None), False)

    transport.ping(b"17")
    deadline = time.monotonic() + 5.0
    while not transport.pongs and time.monotonic() < deadline:
        if transport.wait(1.0)[0]:
            transport.receive()

    assert transport.pongs == [b"17"]


def test_a_close_of_theirs_is_understood(make_server: MakeServer, open_transport: Opener) -> None:
    transport = open_transport(make_server(None, None), False)

    transport.send_text(b"bye")

    with pytest.raises(ConnectionLostError) as caught:
        collect(transport, 1)
    assert (caught.value.code, caught.value.reason) == (4000, "as you wish")
