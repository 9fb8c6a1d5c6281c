"""Against a server that somebody else wrote."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.sync.server import ServerConnection

from tests.independent import serving
from upbit_ws.exceptions import ConnectionLostError
from upbit_ws.testing import CertificateAuthority
from upbit_ws.wire.transport import Transport

Opener = Callable[..., Transport]


@contextmanager
def echo_server(tls: ssl.SSLContext | None = None, **settings: Any) -> Iterator[str]:
    def echo(connection: ServerConnection) -> None:
        for message in connection:
            if message == "bye":
                connection.close(4000, "as you wish")
            connection.send(message)

    with serving(echo, tls, **settings) as port:
        yield f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"


MESSAGES = [b"x", b"", "한글".encode() * 5000, b"[1,2,3]" * 20_000, b'{"a":1}']


@pytest.mark.parametrize(
    "extensions",
    [
        None,
        ServerPerMessageDeflateFactory(),
        ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True),
        ServerPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=9),
    ],
)
@pytest.mark.parametrize("is_tls", [False, True])
def test_messages_come_back_as_they_went(
    open_transport: Opener,
    authority: CertificateAuthority,
    collect: Callable[[Transport, int], list[bytes]],
    extensions: ServerPerMessageDeflateFactory | None,
    is_tls: bool,
) -> None:
    settings = {"compression": None} if extensions is None else {"extensions": [extensions], "compression": None}
    with echo_server(authority.server_context() if is_tls else None, **settings) as url:
        transport = open_transport(
            url, ssl_context=authority.client_context() if is_tls else None, offers_deflate=extensions is not None
        )
        assert ("sec-websocket-extensions" in transport.response_headers) == (extensions is not None)
        for message in MESSAGES * 2:
            transport.send_text(message)
        transport.send_binary(b"\x00\xff")
        assert collect(transport, 11) == [*MESSAGES, *MESSAGES, b"\x00\xff"]
        transport.ping(b"7")
        deadline = time.monotonic() + 5.0
        while not transport.pongs and time.monotonic() < deadline:
            if transport.wait(1.0)[0]:
                transport.receive()
        assert transport.pongs == [b"7"]
        started = time.monotonic()
        transport.close(deadline=started + 5.0)
        assert time.monotonic() - started < 1.0


def test_its_close_is_understood(open_transport: Opener) -> None:
    with echo_server() as url:
        transport = open_transport(url)
        transport.send_text(b"bye")
        transport.flush()
        assert transport.wait(5.0)[0]
        with pytest.raises(ConnectionLostError) as caught:
            transport.receive()
        assert (caught.value.code, caught.value.reason) == (4000, "as you wish")
        transport.close(deadline=time.monotonic() + 1.0)
