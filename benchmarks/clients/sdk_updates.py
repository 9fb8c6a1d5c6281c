"""This SDK with a consumer that never looks away: `updates()` builds events and hands them out one by one.

Of tickers and order books it skips what was replaced unseen, so events handed out are fewer than messages taken in.
"""

from __future__ import annotations

from benchmarks.clients.base import Meter, Task
from benchmarks.clients.sdk import counters, open_client


def run(task: Task) -> None:
    """Iterate for ever. What is counted is what came out of the iterator."""
    with open_client(task) as client:
        updates = client.updates()
        meter = Meter(task, extra=lambda: counters() | {"missed": updates.missed})
        meter.start()
        counter = meter.counter
        for _event in updates:
            counter[0] += 1
