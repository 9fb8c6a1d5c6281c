"""
One socket of the server: bytes in and out, without ever waiting. Owned by the server's one thread.

A thread per socket would not do: on a TLS socket reading and writing from two threads breaks the stream, and an
exchange that
freezes, resets or drops a slow reader has to decide itself when which byte moves.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
from contextlib import suppress
from enum import Enum, auto

from websockets.server import ServerProtocol

from upbit_ws.sandbox.hub import Reader
from upbit_ws.sandbox.limits import Limit, Window
from upbit_ws.sandbox.log import ConnectionLog
from upbit_ws.types import Endpoint

__all__ = ["Connection", "Stage", "WebSocketState"]

_READ_SIZE = 65_536
_WRITE_SIZE = 262_144
_READS_BEFORE_CLOSE = 16
_MESSAGES_A_SECOND = Limit(5)
_MESSAGES_A_MINUTE = Limit(100, 60.0)
_LINGER_AND_RESET = struct.pack("ii", 1, 0)


class Stage(Enum):
    """How far a connection has come."""

    TLS = auto()
    HTTP = auto()
    WEBSOCKET = auto()
    CLOSED = auto()


class WebSocketState:
    """What a connection knows once it has been upgraded."""

    def __init__(self, protocol: ServerProtocol, endpoint: Endpoint, reader: Reader, log: ConnectionLog) -> None:
        self.protocol = protocol
        self.endpoint = endpoint
        self.reader = reader
        self.log = log
        self.windows = (Window(_MESSAGES_A_SECOND), Window(_MESSAGES_A_MINUTE))
        self.wants_status = False
        self.account: str | None = None  # whom a verified token speaks for
        self.scopes: frozenset[str] = frozenset()
        self.refused = False  # an error was sent; whatever comes now is ignored until the close
        self.fragments = bytearray()

    @property
    def is_compressed(self) -> bool:
        """Whether frames go through an extension and cannot be shared."""
        return bool(self.protocol.extensions)

    def may_ask(self, now: float) -> bool:
        """Count a request against 5 a second and 100 a minute."""
        return sum(window.take(now) for window in self.windows) == len(self.windows)


class Connection:
    """
    Args:
        sock: an accepted socket; made non-blocking here.
        address: of the peer, which limits count by.
        now: monotonic seconds.
    """

    def __init__(self, sock: socket.socket, address: str, now: float, context: ssl.SSLContext | None) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self.sock = sock
        self.address = address
        self.stage = Stage.HTTP if context is None else Stage.TLS
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.last_activity = now
        self.ends_when_flushed = False
        self.web: WebSocketState | None = None
        self.watched = 0  # what the selector was told
        self._tls_wants_write = False

    @property
    def is_closed(self) -> bool:
        """Whether the socket is gone."""
        return self.stage is Stage.CLOSED

    @property
    def interest(self) -> int:
        """What to wait for on the socket."""
        wants_write = self.outgoing or self._tls_wants_write
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if wants_write else 0)

    def read(self, now: float) -> bytes | None:
        """All bytes that are there; None when the peer is gone."""
        chunks: list[bytes] = []
        self._tls_wants_write = False
        try:
            if self.stage is Stage.TLS:
                assert isinstance(self.sock, ssl.SSLSocket)
                self.sock.do_handshake()
                self.stage = Stage.HTTP
            while True:
                chunk = self.sock.recv(_READ_SIZE)
                if not chunk:
                    if not chunks:
                        return None
                    break
                chunks.append(chunk)
                if len(chunk) < _READ_SIZE and not isinstance(self.sock, ssl.SSLSocket):
                    break
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except ssl.SSLWantWriteError:
            self._tls_wants_write = True
        except OSError:
            return None
        if chunks:
            self.last_activity = now
        return b"".join(chunks)

    def flush(self, now: float) -> bool:
        """Write as much as the socket takes; whether the peer is still there."""
        try:
            while self.outgoing and self.stage is not Stage.TLS:
                with memoryview(self.outgoing) as view, view[:_WRITE_SIZE] as piece:
                    sent = self.sock.send(piece)
                del self.outgoing[:sent]
                self.last_activity = now
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except OSError:
            return False
        return True

    def close(self, *, reset: bool = False) -> None:
        """Close the socket at once; with `reset` the peer gets a TCP reset instead of an orderly end."""
        if self.is_closed:
            return
        self.stage = Stage.CLOSED
        try:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_AND_RESET)
            else:
                # Bytes that were not read turn a close into a reset. Past the end of the stream nothing can follow.
                self.sock.shutdown(socket.SHUT_WR)
                self._discard_input()
        except OSError:  # the peer was faster
            pass
        finally:
            self.sock.close()

    def _discard_input(self) -> None:
        if isinstance(self.sock, ssl.SSLSocket):
            return
        with suppress(BlockingIOError):
            for _ in range(_READS_BEFORE_CLOSE):
                if not self.sock.recv(_READ_SIZE):
                    return
