"""A WebSocket client for tests of the embedded exchange, made of the `websockets` package."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

BARRIER = "barrier"


class Client:
    """One open connection. Waiting is always for a message, never for a time."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.format = "DEFAULT"

    def send(self, *objects: dict[str, Any], ticket: str = "test") -> None:
        """Send a request of these objects."""
        self.connection.send(json.dumps([{"ticket": ticket}, *objects]))

    def subscribe(self, *objects: dict[str, Any], format: str = "DEFAULT") -> None:
        """Ask for these types in that format."""
        self.format = format
        self.send(*objects, {"format": format})

    def raw(self, timeout: float = 3.0) -> bytes:
        """The next message as it came."""
        message = self.connection.recv(timeout)
        return message.encode() if isinstance(message, str) else message

    def next(self, timeout: float = 3.0) -> Any:
        """The next message, parsed."""
        return json.loads(self.raw(timeout))

    def take(self, count: int) -> list[Any]:
        """The next messages."""
        return [self.next() for _ in range(count)]

    def so_far(self) -> list[Any]:
        """Everything the exchange has to say until now: what comes before the answer to a question asked now."""
        self.send({"method": "LIST_SUBSCRIPTIONS"}, {"format": self.format}, ticket=BARRIER)
        found: list[Any] = []
        while True:
            message = self.next()
            if isinstance(message, dict) and BARRIER in (message.get("ticket"), message.get("tckt")):
                return found
            found.append(message)

    def close_code(self, timeout: float = 3.0) -> int | None:
        """Wait for the end; the code of the close frame that came, None without one."""
        with suppress(ConnectionClosed):
            while True:
                self.connection.recv(timeout)
        received = self.connection.protocol.close_rcvd
        return received.code if received else None


HANDSHAKE = (
    b"GET /websocket/v1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def lazy_reader(port: int, *objects: dict[str, Any]) -> socket.socket:
    """A subscribed connection of which nobody reads, with little room in the kernel for what comes."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.settimeout(5)
    sock.connect(("127.0.0.1", port))
    request = json.dumps([{"ticket": "lazy"}, *objects]).encode().ljust(126)  # the form of a frame of that length on
    masked_by_zeros = b"\x81\xfe" + struct.pack(">H", len(request)) + bytes(4) + request
    sock.sendall(HANDSHAKE + masked_by_zeros)
    return sock


def ticker(*codes: str, **more: Any) -> dict[str, Any]:
    return {"type": "ticker", "codes": list(codes), **more}


def trade(*codes: str, **more: Any) -> dict[str, Any]:
    return {"type": "trade", "codes": list(codes), **more}


def orderbook(*codes: str, **more: Any) -> dict[str, Any]:
    return {"type": "orderbook", "codes": list(codes), **more}


def candle(unit: str, *codes: str, **more: Any) -> dict[str, Any]:
    return {"type": f"candle.{unit}", "codes": list(codes), **more}
