"""This SDK with a user's thread that pulls the price of every symbol 100 times a second."""

from __future__ import annotations

import time

from benchmarks.clients.base import Meter, Task
from benchmarks.clients.sdk import counters, open_client, received


def run(task: Task) -> None:
    """Receive and pull for ever."""
    with open_client(task) as client:
        Meter(task, extra=counters).start(received)
        while True:
            client.get_multiple_prices()
            time.sleep(0.01)
