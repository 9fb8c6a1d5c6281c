"""This SDK with a consumer of every message: `updates()` builds an event for each."""

from __future__ import annotations

from benchmarks.clients.base import Meter, Task
from benchmarks.clients.sdk import counters, open_client


def run(task: Task) -> None:
    """Iterate for ever. What is counted is what came out of the iterator."""
    with open_client(task) as client:
        meter = Meter(task, extra=counters)
        meter.start()
        counter = meter.counter
        for _event in client.updates():
            counter[0] += 1
