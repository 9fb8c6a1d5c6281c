"""`picows` (C, asyncio) with orjson on its zero-copy view: the fastest peer."""

from __future__ import annotations

import orjson
from picows import WSFrame, WSTransport

from benchmarks.clients.base import Task
from benchmarks.clients.picows_raw import CountingListener, serve


class ParsingListener(CountingListener):
    """Parses each frame."""

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """Parse, count and forget."""
        orjson.loads(frame.get_payload_as_memoryview())
        self.counter[0] += 1


class TimingListener(CountingListener):
    """Parses each frame and notes its delay."""

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """Parse, count and note."""
        self.meter.note(orjson.loads(frame.get_payload_as_memoryview()))
        self.counter[0] += 1


def run(task: Task) -> None:
    """Parse for ever."""
    serve(task, TimingListener if task.delays else ParsingListener)
