"""`WebSocketApp` with json: how most published examples for Upbit are written."""

from __future__ import annotations

import json

import websocket

from benchmarks.clients.base import Meter, Task


def run(task: Task) -> None:
    """Parse in the callback for ever."""
    meter = Meter(task)
    counter, loads = meter.counter, json.loads

    def on_open(app: websocket.WebSocketApp) -> None:
        app.send(task.request())

    def on_message(_app: websocket.WebSocketApp, message: bytes) -> None:
        loads(message)
        counter[0] += 1

    meter.start()
    app = websocket.WebSocketApp(task.websocket_url, on_open=on_open, on_message=on_message)
    app.run_forever(sslopt={"ca_certs": task.cafile} if task.cafile else None)
