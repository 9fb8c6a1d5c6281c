"""`websockets.sync` with orjson."""

from __future__ import annotations

import ssl

import orjson
from websockets.sync.client import connect

from benchmarks.clients.base import Meter, Task


def run(task: Task) -> None:
    """Receive and parse for ever."""
    context = ssl.create_default_context(cafile=task.cafile) if task.cafile else None
    compression = "deflate" if task.deflate else None
    with connect(task.websocket_url, ssl=context, compression=compression, max_size=None) as connection:
        connection.send(task.request())
        meter = Meter(task)
        meter.start()
        counter, loads, receive = meter.counter, orjson.loads, connection.recv
        if task.delays:
            while True:
                meter.note(loads(receive()))
                counter[0] += 1
        while True:
            loads(receive())
            counter[0] += 1
