"""A load generator: a process that speaks the server side of RFC 6455 by hand and sends prebuilt frames.

Started by `benchmarks.load`; by hand: ``python -m benchmarks.generator '{"symbols": 100}'``. Prints one JSON line
with its port, answers each line on standard input with a JSON line of statistics, and ends at end of input.
"""

from __future__ import annotations

import base64
import hashlib
import json
import select
import socket
import ssl
import sys
import threading
import zlib
from collections.abc import Sequence

from attrs import asdict, define, field, frozen

from benchmarks.flow import Plan, Sender, sharpen_timers
from benchmarks.frames import TYPES, Stock, build_stock

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_EXTENSION = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@frozen
class Settings:
    """What a generator serves."""

    plan: Plan = field(factory=Plan)
    symbols: int = 100
    types: Sequence[str] = TYPES
    deflate: bool = False
    certificate: str | None = None
    key: str | None = None

    @classmethod
    def parse(cls, text: str) -> Settings:
        """From the JSON object that `dump` makes."""
        values = json.loads(text)
        return cls(**{**values, "plan": Plan(**values.get("plan", {})), "types": tuple(values.get("types", TYPES))})

    def dump(self) -> str:
        """As JSON, for the command line of the process."""
        return json.dumps(asdict(self))


class GoneError(Exception):
    """The client closed the connection."""


@define
class Connection:
    """One client. One thread does everything, because two threads on one TLS socket corrupt it."""

    sock: socket.socket
    stock: Stock
    settings: Settings
    requests: list[str] = field(factory=list)
    compressed: bool = False
    error: str | None = None
    sender: Sender = field(init=False)
    _inbox: bytearray = field(factory=bytearray)

    def __attrs_post_init__(self) -> None:
        self.sender = Sender(self.stock, self.settings.plan, self.sock.sendall, self._attend)

    def serve(self) -> None:
        """Upgrade, wait for the first request, then send as planned until the client leaves."""
        try:
            if not self._upgrade():
                return
            sharpen_timers()
            while not self.requests:
                self._attend(1.0)
            self.sender.run()
        except (GoneError, OSError) as error:
            self.error = repr(error)
        finally:
            self.sock.close()

    def statistics(self) -> dict[str, object]:
        """What this connection sent and was asked for."""
        return {
            "frames": self.sender.frames,
            "bytes": self.sender.bytes,
            "requests": list(self.requests),
            "compressed": self.compressed,
            "error": self.error,
        }

    def _upgrade(self) -> bool:
        while b"\r\n\r\n" not in self._inbox:
            self._read()
        head, _, rest = bytes(self._inbox).partition(b"\r\n\r\n")
        self._inbox = bytearray(rest)
        fields = [line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:]]
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        key = headers.get("sec-websocket-key")
        if key is None:
            self.sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
        ]
        if self.settings.deflate:
            if "permessage-deflate" not in headers.get("sec-websocket-extensions", ""):
                self.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return False
            lines.append(f"Sec-WebSocket-Extensions: {_EXTENSION}")
            self.compressed = True
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return True

    def _read(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise GoneError("end of stream")
        self._inbox += data

    def _pending(self) -> int:
        return self.sock.pending() if isinstance(self.sock, ssl.SSLSocket) else 0

    def _attend(self, wait: float) -> None:
        if not self._pending() and not select.select([self.sock], [], [], max(0.0, wait))[0]:
            return
        self._read()
        while (frame := take_client_frame(self._inbox)) is not None:
            self._answer(*frame)

    def _answer(self, first: int, payload: bytes) -> None:
        opcode = first & 0x0F
        if opcode == 0x8:
            self.sock.sendall(bytes((0x88, len(payload[:2]))) + payload[:2])
            raise GoneError("close frame")
        if opcode == 0x9:
            self.sock.sendall(bytes((0x8A, len(payload))) + payload)
        elif opcode in (0x1, 0x2):
            if first & 0x40:
                payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
            request = json.loads(payload)
            if not (isinstance(request, list) and "ticket" in request[0]):
                raise GoneError(f"not a request: {payload[:80]!r}")
            self.requests.append(payload.decode())
            self.sender.answer_request()


def take_client_frame(inbox: bytearray) -> tuple[int, bytes] | None:
    """Take one complete masked frame off the front of `inbox`: its first byte and unmasked payload."""
    if len(inbox) < 6:
        return None
    length, at = inbox[1] & 0x7F, 2
    if length == 126:
        length, at = int.from_bytes(inbox[2:4], "big"), 4
    elif length == 127:
        length, at = int.from_bytes(inbox[2:10], "big"), 10
    end = at + 4 + length
    if len(inbox) < end:
        return None
    mask = int.from_bytes((bytes(inbox[at : at + 4]) * (length // 4 + 1))[:length], "big")
    payload = (int.from_bytes(inbox[at + 4 : end], "big") ^ mask).to_bytes(length, "big")
    first = inbox[0]
    del inbox[:end]
    return first, payload


@define
class Generator:
    """Listens, and serves each connection in a thread of its own."""

    settings: Settings
    connections: list[Connection] = field(factory=list)

    def start(self) -> int:
        """Listen on a free port, accept in the background, and return the port."""
        stock = build_stock(self.settings.symbols, self.settings.types, compressed=self.settings.deflate)
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._accept, args=(listener, stock), daemon=True, name="accept").start()
        return int(listener.getsockname()[1])

    def _accept(self, listener: socket.socket, stock: Stock) -> None:
        context = None
        if self.settings.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.settings.certificate, self.settings.key)
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=self._serve, args=(sock, context, stock), daemon=True, name="serve").start()

    def _serve(self, sock: socket.socket, context: ssl.SSLContext | None, stock: Stock) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            try:
                sock = context.wrap_socket(sock, server_side=True)
            except OSError as error:
                sys.stderr.write(f"TLS handshake failed: {error!r}\n")
                return
        connection = Connection(sock, stock.copy(), self.settings)
        self.connections.append(connection)
        connection.serve()

    def statistics(self) -> list[dict[str, object]]:
        """One entry for each connection so far, oldest first."""
        return [connection.statistics() for connection in list(self.connections)]


def main(arguments: Sequence[str]) -> None:
    """Serve until standard input ends."""
    generator = Generator(Settings.parse(arguments[0] if arguments else "{}"))
    sys.stdout.write(json.dumps({"port": generator.start()}) + "\n")
    sys.stdout.flush()
    for _line in sys.stdin:
        sys.stdout.write(json.dumps(generator.statistics()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
