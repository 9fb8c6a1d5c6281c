"""Stock `websocket-client`: the receive loop of its documentation, with orjson. Every ratio is against this one."""

from __future__ import annotations

import orjson
import websocket

from benchmarks.clients.base import Meter, Task


def run(task: Task) -> None:
    """Receive and parse for ever."""
    connection = websocket.WebSocket(sslopt={"ca_certs": task.cafile} if task.cafile else None)
    connection.connect(task.websocket_url)  # type: ignore[no-untyped-call]
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
