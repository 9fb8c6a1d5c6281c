"""What a script can do with one connection: read what the client sent, and answer with exact bytes or none."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading

from upbit_ws.protocol.frames import Opcode
from upbit_ws.protocol.handshake import accept_for
from upbit_ws.records import frozen

__all__ = ["Conversation", "ReceivedFrame", "Request", "server_frame"]

_READ = 65536


def server_frame(
    payload: bytes,
    opcode: int = Opcode.BINARY,
    *,
    is_final: bool = True,
    is_compressed: bool = False,
    reserved: int = 0,
) -> bytes:
    """One frame as a server sends it: unmasked. `reserved` is or-ed into the first byte, to break the rules."""
    first = (0x80 if is_final else 0) | (0x40 if is_compressed else 0) | reserved | opcode
    size = len(payload)
    if size < 126:
        head = bytes((first, size))
    elif size < 0x10000:
        head = bytes((first, 126)) + struct.pack(">H", size)
    else:
        head = bytes((first, 127)) + struct.pack(">Q", size)
    return head + payload


def _unmask(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


@frozen
class Request:
    """An HTTP request: its bytes as they came, and its headers with lower-case names."""

    raw: bytes
    method: str
    path: str
    headers: dict[str, str]


@frozen
class ReceivedFrame:
    """A client's frame, unmasked."""

    opcode: int
    payload: bytes
    is_final: bool
    is_compressed: bool
    is_masked: bool


class Conversation:
    """One connection of a `ScriptedServer`.

    Its methods are for the script's thread; `requests` and `frames` may be read by any. Every wait ends when the server
    stops, with an error that the server expects.
    """

    def __init__(self, sock: socket.socket, stopping: threading.Event, *, timeout: float) -> None:
        self._sock = sock
        self._stopping = stopping
        self._buffer = bytearray()
        #: Bytes read so far, in all.
        self.bytes_received = 0
        self.requests: list[Request] = []
        self.frames: list[ReceivedFrame] = []
        #: Set when the script has ended.
        self.is_over = threading.Event()
        sock.settimeout(timeout)
        # Each `send` is a segment of its own, at once.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on over TLS from here, as after the CONNECT of a proxy."""
        self._sock = context.wrap_socket(self._sock, server_side=True)

    # Reading

    def _more(self) -> None:
        data = self._sock.recv(_READ)
        if not data:
            raise EOFError("the client closed the connection")
        self.bytes_received += len(data)
        self._buffer += data

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def read_request(self) -> Request:
        """The next HTTP request, up to its blank line."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        raw = self._take(self._buffer.index(b"\r\n\r\n") + 4)
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        request = Request(raw, method, path, headers)
        self.requests.append(request)
        return request

    def read_frame(self) -> ReceivedFrame:
        """The next frame of the client."""
        first, second = self._take(2)
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        mask = self._take(4) if second & 0x80 else b""
        payload = self._take(size)
        if mask:
            payload = _unmask(payload, mask)
        frame = ReceivedFrame(first & 0x0F, payload, bool(first & 0x80), bool(first & 0x40), bool(mask))
        self.frames.append(frame)
        return frame

    def read_some(self) -> bytes:
        """Whatever comes next, at least one byte."""
        if not self._buffer:
            self._more()
        return self._take(len(self._buffer))

    def wait_for_end(self) -> bytes:
        """Read until the client closes; return what it still sent. A reset counts as an end."""
        try:
            while True:
                self._more()
        except (EOFError, ConnectionError):
            return self._take(len(self._buffer))

    # Answering

    def send(self, data: bytes) -> None:
        """Exactly these bytes."""
        self._sock.sendall(data)

    def send_under_tls(self, data: bytes) -> None:
        """These bytes below the encryption, where records are expected."""
        socket.socket.send(self._sock, data)

    def send_slowly(self, data: bytes, *, size: int = 1, pause: float) -> None:
        """The bytes in pieces of `size`, with `pause` seconds after each."""
        for start in range(0, len(data), size):
            self._sock.sendall(data[start : start + size])
            self.pause(pause)

    def send_response(self, status: int, *, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        """An HTTP response with `Content-Length`, unless `headers` has its own."""
        lines = {"Content-Length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.send(f"HTTP/1.1 {status} Scripted\r\n{head}\r\n".encode("latin-1") + body)

    def upgrade_response(self, request: Request, headers: dict[str, str] | None = None) -> bytes:
        """The bytes of a right 101 to `request`; `headers` adds to it and replaces in it."""
        lines = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept_for(request.headers["sec-websocket-key"]),
            **(headers or {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"HTTP/1.1 101 Switching Protocols\r\n{head}\r\n".encode("latin-1")

    def upgrade(self, headers: dict[str, str] | None = None, *, followed_by: bytes = b"") -> Request:
        """Read the upgrade request and accept it; `followed_by` goes out in the same segment as the 101."""
        request = self.read_request()
        self.send(self.upgrade_response(request, headers) + followed_by)
        return request

    def send_frame(self, payload: bytes, opcode: int = Opcode.BINARY, *, is_final: bool = True) -> None:
        """One frame, binary as Upbit sends them (measured on the wire)."""
        self.send(server_frame(payload, opcode, is_final=is_final))

    def send_close(self, code: int | None = 1000, reason: str = "") -> None:
        """A Close frame; None has no body."""
        body = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
        self.send(server_frame(body, Opcode.CLOSE))

    # Ending, and not ending

    def half_close(self) -> None:
        """Send FIN and keep reading."""
        socket.socket.shutdown(self._sock, socket.SHUT_WR)

    def end(self) -> None:
        """Close: the client sees FIN (TLS: without close_notify)."""
        self.interrupt()
        self._sock.close()

    def end_tls(self) -> None:
        """Send a close_notify and keep TCP open."""
        assert isinstance(self._sock, ssl.SSLSocket)
        # Half of a close is all that is wanted: `unwrap` sends it first and then waits for the client's, in vain.
        self._sock.settimeout(0.0)
        with contextlib.suppress(OSError):
            self._sock.unwrap()

    def reset(self) -> None:
        """Close with RST: unread and unsent bytes are gone."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def pause(self, seconds: float) -> None:
        """Let time pass, unless the server stops."""
        if self._stopping.wait(seconds):
            raise EOFError("the server stops")

    def hold(self) -> None:
        """Keep the connection open and do nothing, until the server stops."""
        self._stopping.wait()

    def interrupt(self) -> None:
        """For the server: end the waits of the script's thread. Nothing where the connection is gone already."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def __repr__(self) -> str:
        lines = [re.sub(r"\r\n.*", "", request.raw.decode("latin-1"), flags=re.DOTALL) for request in self.requests]
        return f"<Conversation {lines}, {len(self.frames)} frames>"
