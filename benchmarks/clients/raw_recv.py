"""Raw `recv_into` of the bytes: the upper bound of this machine, and the proof that the generator is not the limit."""

from __future__ import annotations

import base64
import os
import socket
import ssl
from urllib.parse import urlsplit

from benchmarks.clients.base import Meter, Task


def run(task: Task) -> None:
    """Read without looking; messages are bytes divided by the mean frame size."""
    address = urlsplit(task.url)
    sock = socket.create_connection((address.hostname, int(address.port or 0)))
    if task.cafile:
        sock = ssl.create_default_context(cafile=task.cafile).wrap_socket(sock, server_hostname="localhost")
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET /websocket/v1 HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(1)
    request = task.request().encode()
    sock.sendall(b"\x81\xfe" + len(request).to_bytes(2, "big") + bytes(4) + request)
    meter = Meter(task)
    counter, buffer, mean = meter.counter, bytearray(262_144), float(task.options["mean_frame_size"])
    meter.start(lambda: int(counter[0] / mean))
    while True:
        counter[0] += sock.recv_into(buffer)
