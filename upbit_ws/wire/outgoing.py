"""The writing half of a connection: frames wait here, in full and in order, until the socket takes them.

Nothing here raises for the network: a failure is kept, and whoever reads tells of it behind what came before.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

from upbit_ws.exceptions import ConnectionLostError, UpbitWebSocketError
from upbit_ws.protocol.deflate import Deflater
from upbit_ws.protocol.frames import CloseCode, Opcode
from upbit_ws.wire.errors import lost_by
from upbit_ws.wire.frame_format import client_frame, close_payload
from upbit_ws.wire.tls import TlsStream, tls_error

__all__ = ["Outgoing"]

#: Pings of one read that are answered one by one. RFC 6455, 5.5.3 lets a flood be answered by its newest.
_PONGS_A_READ = 16
#: With this much unsent, only the newest ping is remembered, and answered when the rest is out.
_PONG_BACKLOG = 65536


class Outgoing:
    """What goes out on one socket. Owned by the thread that owns the connection.

    Args:
        tls: encrypts what is sent, where the connection is encrypted.
        deflater: compresses messages, where that was agreed.
        limit: bytes that may wait; a peer that has left so many unread is lost.
    """

    def __init__(
        self, sock: socket.socket, *, tls: TlsStream | None, deflater: Deflater | None, limit: int, host: str
    ) -> None:
        self._sock = sock
        self._tls = tls
        self._deflater = deflater
        self._limit = limit
        self._host = host
        self._buffer = bytearray()
        self._deferred_pong: bytes | None = None
        self._is_close_queued = False
        #: Why nothing more can be sent.
        self.failure: UpbitWebSocketError | None = None
        self.bytes_sent = 0

    @property
    def wants_write(self) -> bool:
        """Whether something waits that can be sent."""
        return bool(self._buffer)

    def queue_message(self, opcode: int, payload: bytes) -> None:
        """Queue a text or binary message."""
        compressed = self._deflater.deflate(payload) if self._deflater is not None else None
        if compressed is None:
            self.queue_frame(opcode, payload)
        else:
            self.queue_frame(opcode, compressed, is_compressed=True)

    def queue_frame(self, opcode: int, payload: bytes, *, is_compressed: bool = False) -> None:
        """Queue one frame, masked, and encrypted where the connection is."""
        if self._is_close_queued or self.failure is not None:
            # After our Close nothing may follow (RFC 6455, 5.5.1); after a failure nothing would arrive.
            return
        if self._buffer and len(self._buffer) + len(payload) > self._limit:
            self._fail(ConnectionLostError("the exchange reads nothing", CloseCode.ABNORMAL, host=self._host))
            return
        frame = client_frame(opcode, payload, is_compressed=is_compressed)
        if self._tls is None:
            self._buffer += frame
        else:
            self._tls.write(frame)
            self.take_encrypted()

    def queue_close(self, code: int, reason: str = "") -> None:
        """Queue a Close; nothing is queued after it."""
        self.queue_frame(Opcode.CLOSE, close_payload(code, reason))
        self._is_close_queued = True

    def answer(self, pings: Sequence[bytes]) -> None:
        """Queue the pongs to these pings."""
        if len(self._buffer) > _PONG_BACKLOG:
            self._deferred_pong = pings[-1]
            return
        for payload in pings[-_PONGS_A_READ:]:
            self.queue_frame(Opcode.PONG, payload)

    def take_encrypted(self) -> None:
        """Queue what TLS wants to say, which may also be an answer to what was read."""
        if self._tls is None or self.failure is not None:
            return
        try:
            self._buffer += self._tls.take_outgoing()
        except ssl.SSLError as error:
            self._fail(tls_error(error, self._host))

    def say_goodbye(self) -> None:
        """Queue the close_notify of TLS, where the connection is encrypted."""
        if self._tls is not None:
            self._tls.say_goodbye()
            self.take_encrypted()

    def _fail(self, failure: UpbitWebSocketError) -> None:
        self.failure = self.failure or failure
        self._buffer.clear()

    def flush(self) -> bool:
        """Send what the socket takes now; True when nothing waits any more."""
        buffer = self._buffer
        while buffer:
            try:
                count = self._sock.send(buffer)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                self._fail(lost_by(error, self._host))
                break
            self.bytes_sent += count
            del buffer[:count]
            if not buffer and self._deferred_pong is not None:
                payload, self._deferred_pong = self._deferred_pong, None
                self.queue_frame(Opcode.PONG, payload)
        return True

    def drop(self) -> None:
        """Let go of what waits."""
        # Replaced and not cleared: in a forked child the parent's I/O thread may have been sending from it, for ever.
        self._buffer = bytearray()
