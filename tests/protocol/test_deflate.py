"""permessage-deflate: what is agreed, and both streams against zlib and the implementation of `websockets`."""

from __future__ import annotations

import contextlib
import itertools
import random
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.headers import parse_extension

from upbit_ws.exceptions import HandshakeError
from upbit_ws.protocol.deflate import (
    DeflateParameters,
    Deflater,
    InflateError,
    InflateLimitError,
    Inflater,
    negotiate,
    offer_header,
)

LIMIT = 1 << 20
PARAMETERS = [
    DeflateParameters(*values) for values in itertools.product([False, True], [False, True], [9, 12, 15], [9, 12, 15])
]
MESSAGES = [b"", b"x", b'{"type":"ticker","code":"KRW-BTC"}' * 20, "한글".encode() * 3000, bytes(range(256)) * 400]


# -- what is agreed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "", "  "])
def test_no_answer_declines(header: str | None) -> None:
    assert negotiate(header) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("permessage-deflate", DeflateParameters()),
        ("Permessage-Deflate", DeflateParameters()),
        ("permessage-deflate; server_no_context_takeover", DeflateParameters(server_no_context_takeover=True)),
        ("permessage-deflate;client_no_context_takeover", DeflateParameters(client_no_context_takeover=True)),
        ("permessage-deflate; server_max_window_bits=10", DeflateParameters(server_max_window_bits=10)),
        ('permessage-deflate; client_max_window_bits="9"', DeflateParameters(client_max_window_bits=9)),
        ("permessage-deflate ; client_max_window_bits = 8", DeflateParameters(client_max_window_bits=8)),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=8; client_max_window_bits=15",
            DeflateParameters(True, True, 8, 15),
        ),
    ],
)
def test_every_answer_that_the_rfc_allows_is_taken(header: str, expected: DeflateParameters) -> None:
    assert negotiate(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "permessage-deflate, permessage-deflate",
        "x-webkit-deflate-frame",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=9; client_max_window_bits=9",
        "permessage-deflate;",
    ],
)
def test_every_other_answer_fails_the_handshake(header: str) -> None:
    with pytest.raises(HandshakeError):
        negotiate(header)


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_any_answer_is_taken_declined_or_refused(header: str) -> None:
    with contextlib.suppress(HandshakeError):
        negotiate(header)


@pytest.mark.parametrize(
    "factory",
    [
        ServerPerMessageDeflateFactory(),
        ServerPerMessageDeflateFactory(server_no_context_takeover=True),
        ServerPerMessageDeflateFactory(client_no_context_takeover=True),
        ServerPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=10),
        ServerPerMessageDeflateFactory(require_client_max_window_bits=True, client_max_window_bits=12),
    ],
)
def test_a_server_finds_an_offer_that_it_likes(factory: ServerPerMessageDeflateFactory) -> None:
    for _, offered in parse_extension(offer_header()):
        answer, theirs = factory.process_request_params(offered, [])
        agreed = negotiate("; ".join(["permessage-deflate", *(n if v is None else f"{n}={v}" for n, v in answer)]))

        assert agreed == DeflateParameters(
            theirs.local_no_context_takeover,
            theirs.remote_no_context_takeover,
            theirs.local_max_window_bits,
            theirs.remote_max_window_bits,
        )


# -- the streams ------------------------------------------------------------------------------------------------------


def server_of(parameters: DeflateParameters) -> PerMessageDeflate:
    """The other side, by `websockets`."""
    return PerMessageDeflate(
        parameters.client_no_context_takeover,
        parameters.server_no_context_takeover,
        parameters.client_max_window_bits,
        parameters.server_max_window_bits,
    )


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_what_one_side_writes_the_other_reads(parameters: DeflateParameters) -> None:
    server, inflater, deflater = server_of(parameters), Inflater(parameters), Deflater(parameters)

    for message in MESSAGES * 2:
        received = inflater.inflate(bytes(server.encode(Frame(Opcode.BINARY, message)).data), LIMIT)
        sent = deflater.deflate(message)
        assert received == message
        assert sent is not None
        assert bytes(server.decode(Frame(Opcode.BINARY, sent, rsv1=True)).data) == message


def test_the_context_is_kept_where_that_was_agreed() -> None:
    message = random.Random(1).randbytes(500)

    for is_kept in (True, False):
        deflater = Deflater(DeflateParameters(client_no_context_takeover=not is_kept))
        sizes = [len(deflater.deflate(message) or b"") for _ in range(2)]
        assert (sizes[1] < sizes[0] / 5) == is_kept


def test_an_inflater_without_context_forgets_what_was_before() -> None:
    stream = zlib.compressobj(wbits=-15)
    message = random.Random(1).randbytes(500)
    first, second = ((stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4] for _ in range(2))
    inflater = Inflater(DeflateParameters(server_no_context_takeover=True))

    assert inflater.inflate(first, LIMIT) == message
    with pytest.raises(InflateError):
        inflater.inflate(second, LIMIT)


def test_a_window_of_256_bytes_is_read_but_not_written() -> None:
    parameters = DeflateParameters(server_max_window_bits=8, client_max_window_bits=8)
    stream = zlib.compressobj(wbits=-9)
    payload = (stream.compress(b"short") + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]

    assert Inflater(parameters).inflate(payload, LIMIT) == b"short"
    assert Deflater(parameters).deflate(b"short") is None
    assert not Deflater(parameters).is_usable


@pytest.mark.parametrize("takes_over", [True, False])
def test_a_block_marked_final_ends_the_message_and_not_the_connection(takes_over: bool) -> None:
    """RFC 7692, 7.2.3.4: a server may end a message with BFINAL."""
    parameters = DeflateParameters(server_no_context_takeover=not takes_over)
    inflater = Inflater(parameters)
    first = zlib.compressobj(wbits=-15)
    message = b"the same again " * 20
    payload = first.compress(message) + first.flush(zlib.Z_FINISH) + b"\x00"
    second = zlib.compressobj(wbits=-15, zdict=message) if takes_over else zlib.compressobj(wbits=-15)

    assert inflater.inflate(payload, LIMIT) == message
    following = (second.compress(message) + second.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert inflater.inflate(following, LIMIT) == message


def test_a_message_may_be_as_long_as_the_limit() -> None:
    stream = zlib.compressobj(wbits=-15)
    payload = (stream.compress(b"x" * 1000) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]

    assert Inflater(DeflateParameters()).inflate(payload, 1000) == b"x" * 1000
    with pytest.raises(InflateLimitError, match="999"):
        Inflater(DeflateParameters()).inflate(payload, 999)


def test_a_bomb_costs_what_the_limit_costs() -> None:
    stream = zlib.compressobj(wbits=-15)
    bomb = (stream.compress(b"\0" * (100 << 20)) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
    inflater = Inflater(DeflateParameters())
    tracemalloc.start()
    try:
        with pytest.raises(InflateLimitError):
            inflater.inflate(bomb, 1 << 16)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1 << 20


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_random_bytes_inflate_or_are_refused(payload: bytes) -> None:
    with contextlib.suppress(InflateError, InflateLimitError):
        assert len(Inflater(DeflateParameters()).inflate(payload, 5000)) <= 5000


@given(
    st.lists(st.binary(max_size=300) | st.text(max_size=100).map(str.encode), max_size=8), st.sampled_from(PARAMETERS)
)
@settings(max_examples=150)
def test_any_messages_come_back(messages: list[bytes], parameters: DeflateParameters) -> None:
    mirrored = DeflateParameters(
        parameters.client_no_context_takeover,
        parameters.server_no_context_takeover,
        parameters.client_max_window_bits,
        parameters.server_max_window_bits,
    )
    deflater, inflater = Deflater(parameters), Inflater(mirrored)

    assert [inflater.inflate(deflater.deflate(message) or b"", LIMIT) for message in messages] == messages
