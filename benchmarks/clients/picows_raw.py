"""`picows` (C, asyncio), its frames counted and not parsed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.clients.base import Meter, Task


class CountingListener(WSListener):
    """Counts frames."""

    def __init__(self, task: Task, meter: Meter) -> None:
        self.task, self.meter, self.counter = task, meter, meter.counter

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Send the subscription request."""
        transport.send(WSMsgType.TEXT, self.task.request().encode())

    def on_ws_frame(self, _transport: WSTransport, _frame: WSFrame) -> None:
        """Count and forget."""
        self.counter[0] += 1


def serve(task: Task, make: Callable[[Task, Meter], WSListener]) -> None:
    """Run a listener until the connection ends. (On uvloop it measures the same: picows brings its own transport.)"""
    meter = Meter(task)

    async def main() -> None:
        context = ssl.create_default_context(cafile=task.cafile) if task.cafile else None
        transport, _ = await ws_connect(lambda: make(task, meter), task.websocket_url, ssl_context=context)
        meter.start()
        await transport.wait_disconnected()

    asyncio.run(main())


def run(task: Task) -> None:
    """Count for ever."""
    serve(task, CountingListener)
