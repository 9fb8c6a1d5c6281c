"""One WebSocket connection, after its upgrade: bytes of the socket to messages and back.

Rules:

1. One thread owns a transport: it waits, reads, sends and closes. Others reach it through the `Wakeup`.
2. One `receive` is one read of the socket (TLS: one read and its records), however many messages that brings.
3. Whatever came before an end is delivered before the end is reported, and `receive` is the only place that reports it:
   a failed write never hides the error frame that the exchange sent before it hung up.
4. What the socket would not take stays in the buffer, in full and in order; the tail of a frame is never dropped.
5. A Close frame is the only clean end. FIN, RST and a close_notify of TLS are losses.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence

from attrs import field

from upbit_ws.exceptions import ConnectionLostError, InvalidArgumentError, UpbitWebSocketError
from upbit_ws.protocol.deflate import DeflateParameters, Deflater
from upbit_ws.protocol.frames import CloseCode, FrameLimits, FrameReader, Opcode
from upbit_ws.protocol.redaction import escape_text
from upbit_ws.records import frozen
from upbit_ws.wire.errors import lost_by
from upbit_ws.wire.incoming import Incoming, Intake, Read
from upbit_ws.wire.outgoing import Outgoing
from upbit_ws.wire.poller import make_poller
from upbit_ws.wire.tls import TlsStream, tls_error
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["Transport", "TransportSettings", "Upgraded"]

_PONGS_KEPT = 1024
_MAX_CONTROL_PAYLOAD = 125
_LARGEST_OBJECT = 126_976
#: After both Close frames, how long the peer may take to close the socket first (RFC 6455, 7.1.1), in seconds.
_FIN_PATIENCE = 0.1


_READABLE = (True, False)


@frozen
class TransportSettings:
    """Sizes in bytes. `max_outgoing` bounds what waits to be sent; a subscription to all markets is 10 kB."""

    read_size: int = 253_952
    """Of a read into a buffer that is there already; where each read makes an object, see `object_size`."""
    coalesce: float = 0.0
    """Seconds to let bytes gather before a read."""
    max_outgoing: int = 1 << 20
    limits: FrameLimits = field(factory=FrameLimits)

    @property
    def object_size(self) -> int:
        """From 128 KiB on, glibc maps memory for each object and unmaps it again."""
        return min(self.read_size, _LARGEST_OBJECT)


@frozen
class Upgraded:
    """What the handshake left: headers of the response, compression that was agreed, bytes that came after it."""

    headers: Mapping[str, str] = field(factory=dict)
    deflate: DeflateParameters | None = None
    leftover: bytes = b""


class Transport:
    """An open connection. Made by `dial`."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        wakeup: Wakeup,
        clock: Callable[[], float],
        upgraded: Upgraded,
        settings: TransportSettings,
        tls: TlsStream | None = None,
        host: str = "",
    ) -> None:
        self._sock = sock
        self._clock = clock
        self._tls = tls
        self._settings = settings
        self._host = host
        self._reader = FrameReader(settings.limits, upgraded.deflate)
        self._leftover = upgraded.leftover
        #: There may be something to read that `poll` cannot see: the handshake's leftover, records not yet taken apart.
        self._has_unseen = bool(upgraded.leftover) or (tls is not None and tls.has_unread)
        self._incoming = Incoming(
            sock,
            wakeup,
            size=settings.read_size if tls is None else settings.object_size,
            object_size=settings.object_size,
            coalesce=settings.coalesce,
        )
        self._outgoing = Outgoing(
            sock,
            tls=tls,
            deflater=Deflater(upgraded.deflate) if upgraded.deflate is not None else None,
            limit=settings.max_outgoing,
            host=host,
        )
        #: The code of a Close that has to be answered, or of a violation, until `receive` has told of it.
        self._owed_close: int | None = None
        self._has_ended = False
        #: Why nothing more can be read.
        self._failure: UpbitWebSocketError | None = None
        #: Headers of the 101, lower-case names.
        self.response_headers = dict(upgraded.headers)
        #: Payloads of pongs, oldest first, for the owner to take and clear; the newest 1,024 are kept.
        self.pongs: list[bytes] = []
        #: Positions, in the list that `receive` returned last, of messages that came as text.
        self.text_indexes: list[int] = []
        self._follow_frames()

    def __repr__(self) -> str:
        state = "closed" if self._sock.fileno() < 0 else "failed" if self._failure else "open"
        return f"<Transport {self._host or '?'} {'tls ' if self._tls else ''}{state}, {self.reads} reads>"

    @property
    def bytes_received(self) -> int:
        """Bytes that were read."""
        return self._incoming.bytes_received

    @property
    def bytes_sent(self) -> int:
        """Bytes that the socket took."""
        return self._outgoing.bytes_sent

    @property
    def reads(self) -> int:
        """System calls that read something."""
        return self._incoming.reads

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be sent."""
        return self._outgoing.wants_write

    def fileno(self) -> int:
        """The socket's descriptor; -1 after the end."""
        return self._sock.fileno()

    def rewire(self, wakeup: Wakeup) -> None:
        """Another thread owns the transport from now on, and this wakes it."""
        self._incoming.rewire(wakeup)

    def wait(self, timeout: float | None, intake: Intake | None = None) -> tuple[bool, bool]:
        """Wait for something to read or to be woken, at most `timeout` seconds; send meanwhile what waits.

        Args:
            intake: Gets messages that are read at once, as long as it can do with them; `wait` then goes on waiting.

        Returns:
            Whether to call `receive`, and whether somebody set the wake-up (it is clear again: look for work now).
            Neither, and early, where something was sent or the intake has news.
        """
        incoming = self._incoming
        if incoming.holds_some:
            return _READABLE
        outgoing = self._outgoing
        if self._has_news:
            _, woken = incoming.poll(0.0, outgoing.wants_write, outgoing.flush)
            return True, woken
        try:
            readable, woken = incoming.wait(timeout, intake, outgoing.wants_write, outgoing.flush)
        except OSError as error:
            self._failure = lost_by(error, self._host)
            return _READABLE
        return readable or self._has_news, woken

    @property
    def _has_news(self) -> bool:
        """Whether `receive` has something to say whatever the socket says."""
        return self._has_unseen or self._failure is not None or self._outgoing.failure is not None

    def receive(self) -> list[bytes]:
        """The messages of one read, in order; an empty list where it completed none. Never waits. Raises as `take`."""
        return list(self.take())

    def take(self) -> Sequence[bytes]:
        """What `receive` returns, as a sequence that is good until the next read: what is only filed is no object.

        Pings are answered, pongs collected, a Close is answered with its own code.

        Raises:
            ConnectionLostError: the stream is over; `code` and `reason` are the peer's where it sent a Close, else 1006
                with "no close frame", "truncated", "reset", "timed out" and the like.
            WebSocketProtocolError: the peer broke the protocol; a Close with `close_code` goes out now.
        """
        whole = self._incoming.take_whole()
        if whole is not None:
            if self.text_indexes:
                self.text_indexes = []
            return whole
        if self._failure is not None:
            raise self._ended_by(self._failure)
        reader = self._reader
        first, data = self._read() if self._tls is None else ([], self._read_tls(self._tls))
        messages = [*first, *reader.feed(data or b"")]
        self.text_indexes = [len(first) + index for index in reader.text_indexes]
        self._follow_frames()
        if reader.pings or reader.pongs or reader.close is not None or reader.error is not None:
            self._take_control()
        if self._has_ended and self._failure is None:
            self._failure = self._end_of_stream()
        if self._failure is not None and not messages:
            raise self._ended_by(self._failure)
        return messages

    def _ended_by(self, failure: UpbitWebSocketError) -> UpbitWebSocketError:
        """The failure, told now: the Close that answers it goes out behind the answers to earlier messages."""
        if self._owed_close is not None:
            code, self._owed_close = self._owed_close, None
            self._outgoing.queue_close(code)
            self._outgoing.flush()
        return failure

    def _follow_frames(self) -> None:
        """Frames are split off where they are read as long as nothing but common ones is under way."""
        self._incoming.split(self._tls is None and not self._leftover and self._reader.is_between_frames)

    def _read(self) -> Read:
        """One read of the socket. Sets `_has_ended` or `_failure` where it was the last."""
        if self._has_unseen:
            self._has_unseen = False
            data, self._leftover = self._leftover, b""
            return [], data
        try:
            read = self._incoming.read()
        except (BlockingIOError, InterruptedError):
            # Nothing more is here: now a failed write is the end.
            self._failure = self._failure or self._outgoing.failure
            return [], None
        except OSError as error:
            self._failure = self._failure or lost_by(error, self._host)
            return [], None
        if read[1] == b"":
            self._has_ended = True
        return read

    def _read_tls(self, tls: TlsStream) -> bytes:
        plain, self._leftover = self._leftover, b""
        if not self._has_unseen:
            data = self._read()[1] or b""
            if data or self._has_ended:
                tls.receive(data)
        self._has_unseen = False
        try:
            plain += tls.read()
        except ssl.SSLError as error:
            self._failure = self._failure or tls_error(error, self._host)
        self._has_unseen = tls.has_more
        self._has_ended = tls.is_finished
        self._outgoing.take_encrypted()
        self._outgoing.flush()
        return plain

    def _end_of_stream(self) -> ConnectionLostError:
        if self._reader.is_inside_frame:
            return self._lost("truncated")
        return self._lost("no close frame")

    def _lost(self, reason: str, code: int = CloseCode.ABNORMAL) -> ConnectionLostError:
        return ConnectionLostError(reason, code, host=self._host)

    def _take_control(self) -> None:
        reader = self._reader
        if reader.pings:
            self._outgoing.answer(reader.pings)
            reader.pings.clear()
        if reader.pongs:
            self.pongs += reader.pongs
            reader.pongs.clear()
            if len(self.pongs) > _PONGS_KEPT:
                del self.pongs[:-_PONGS_KEPT]
        if reader.error is not None:
            self._owed_close = reader.error.close_code
            self._failure = reader.error
        elif reader.close is not None:
            code, reason = reader.close.code, escape_text(reader.close.reason)
            self._owed_close = code
            self._failure = self._lost(reason, code)
        self._outgoing.flush()

    def send_text(self, payload: bytes) -> None:
        """Queue a text message (UTF-8). It goes out with `flush` or in `wait`.

        Never raises for the network. A peer that has left `max_outgoing` bytes unread is lost: `receive` says so.
        """
        self._outgoing.queue_message(Opcode.TEXT, payload)

    def send_binary(self, payload: bytes) -> None:
        """Queue a binary message; see `send_text`."""
        self._outgoing.queue_message(Opcode.BINARY, payload)

    def ping(self, payload: bytes = b"") -> None:
        """Queue a ping of at most 125 bytes; its pong arrives in `pongs`. See `send_text`."""
        if len(payload) > _MAX_CONTROL_PAYLOAD:
            raise InvalidArgumentError("payload", f"must have at most {_MAX_CONTROL_PAYLOAD} bytes, got {len(payload)}")
        self._outgoing.queue_frame(Opcode.PING, payload)

    def flush(self) -> bool:
        """Send what the socket takes now; True when nothing waits any more. A failure is reported by `receive`."""
        return self._outgoing.flush()

    def close(
        self,
        code: int = CloseCode.NORMAL,
        reason: str = "",
        *,
        deadline: float,
        take: Callable[[Sequence[bytes]], object] = len,
    ) -> None:
        """Say Close, wait for the peer's until `deadline` (on the injected clock) at the longest, and close the socket.

        Never raises for what the peer does, and never wakes for the wake-up. Idempotent.

        Args:
            take: Called with the messages that the peer sent before it heard of the Close; by default they are dropped.
        """
        if self._sock.fileno() < 0:
            return
        try:
            if self._owed_close is None:
                self._outgoing.queue_close(code, reason)
            else:
                self._outgoing.queue_close(self._owed_close)
            self._linger(deadline, take)
        finally:
            self.abort()

    def _linger(self, deadline: float, take: Callable[[Sequence[bytes]], object]) -> None:
        """Read until the peer has closed."""
        poller = make_poller(self._sock, None)
        whole = self._incoming.take_whole()
        if whole:
            take(whole)
        is_answered = False
        while not self._has_ended:
            if self._reader.close is not None and not is_answered:
                is_answered = True
                deadline = min(deadline, self._clock() + _FIN_PATIENCE)
                self._outgoing.say_goodbye()
            self._outgoing.flush()
            remaining = deadline - self._clock()
            if remaining <= 0 or self._outgoing.failure is not None:
                return
            has_unseen = self._has_unseen or self._incoming.holds_some
            readable, _, _ = poller.wait(0.0 if has_unseen else remaining, self.wants_write)
            if readable or has_unseen:
                first, data = self._read() if self._tls is None else ([], self._read_tls(self._tls))
                messages = [*first, *self._reader.feed(data or b"")]
                self._follow_frames()
                if messages:
                    take(messages)
                self._reader.pings.clear()
                if self._failure is not None and self._reader.close is None and not data:
                    return

    def abort(self) -> None:
        """Close the socket at once, without a word. Idempotent."""
        self._outgoing.drop()
        self._failure = self._failure or self._lost("closed on this side")
        self._sock.close()
