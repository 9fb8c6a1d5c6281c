"""Plain and encrypted connections to scripted servers, and reading them to the end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from upbit_ws.exceptions import ConnectionLostError, WebSocketProtocolError
from upbit_ws.testing import CertificateAuthority, Conversation, ScriptedServer
from upbit_ws.wire.transport import Transport

__all__ = ["Collector", "Opener", "Wire", "narrow", "read_to_the_end"]

Opener = Callable[..., Transport]
Collector = Callable[..., list[bytes]]


def read_to_the_end(transport: Transport, patience: float = 5.0) -> tuple[list[bytes], Exception]:
    """All messages, and what ended them."""
    deadline = time.monotonic() + patience
    messages: list[bytes] = []
    while time.monotonic() < deadline:
        if transport.wait(deadline - time.monotonic())[0]:
            try:
                messages += transport.receive()
            except (ConnectionLostError, WebSocketProtocolError) as error:
                return messages, error
    raise AssertionError(f"no end after {len(messages)} messages")


def narrow(sock: socket.socket) -> None:
    """Have the kernel keep little of what nobody reads; by itself it may take many megabytes."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 1 << 16)


class Wire:
    """Plain or TLS: the same script, the same expectations."""

    def __init__(self, authority: CertificateAuthority | None) -> None:
        self._authority = authority
        self.is_tls = authority is not None

    def server(self, *scripts: Callable[[Conversation], Any]) -> ScriptedServer:
        return ScriptedServer(*scripts, tls=self._authority.server_context() if self._authority else None)

    def open(self, opener: Opener, server: ScriptedServer, **target: Any) -> Transport:
        return opener(server.url, ssl_context=self._authority.client_context() if self._authority else None, **target)
