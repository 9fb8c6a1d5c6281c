"""`pyupbit`'s WebSocketManager: a child process with asyncio, and a queue of parsed messages.

Its address is fixed in its code, so `websockets.connect` is given another one. It can ask for one type only; it gets
the same mixed stream as the others.
"""

from __future__ import annotations

import functools
import multiprocessing

from pyupbit import websocket_api  # type: ignore[import-untyped]

from benchmarks.clients.base import Meter, Task


def run(task: Task) -> None:
    """Take from the queue for ever; the child's CPU time counts too."""
    multiprocessing.set_start_method("fork")  # it cannot start otherwise without a guard in its user's script
    connect = websocket_api.websockets.connect

    @functools.wraps(connect)
    def connect_here(_uri: str, **options: object) -> object:
        return connect(task.websocket_url, **options)

    websocket_api.websockets.connect = connect_here
    manager = websocket_api.WebSocketManager("ticker", task.codes)
    meter = Meter(task, children=lambda: [child.pid for child in multiprocessing.active_children() if child.pid])
    manager.get()
    meter.start()
    counter = meter.counter
    while True:
        manager.get()
        counter[0] += 1
