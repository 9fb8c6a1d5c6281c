"""This SDK with nobody looking: into the pool, trades kept in history and de-duplicated."""

from __future__ import annotations

import threading

from benchmarks.clients.base import Meter, Task
from benchmarks.clients.sdk import counters, open_client, received


def run(task: Task) -> None:
    """Receive for ever; the user's thread waits."""
    with open_client(task):
        Meter(task, extra=dict if "metrics_interval" in task.options else counters).start(received)
        threading.Event().wait()
