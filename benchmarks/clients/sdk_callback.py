"""This SDK's callback API: events built once and handed to callbacks in worker threads.

A subscriber that cannot keep up gets the newest of each ticker and order book, so events are fewer than messages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from benchmarks.clients.base import Meter, Task
from benchmarks.clients.sdk import configure, counters
from upbit_ws import WebSocketClientProxy


def run(task: Task) -> None:
    """Count in the callbacks for ever. What is counted is what reached them."""
    meter = Meter(task, extra=counters)
    counts: list[list[int]] = []

    def counting() -> Callable[[object], None]:
        mine = [0]  # callbacks of different subscriptions run in different threads
        counts.append(mine)

        def callback(_event: object) -> None:
            mine[0] += 1

        return callback

    with WebSocketClientProxy("benchmark", config=configure(task)) as proxy:
        proxy.subscribe_ticker(task.codes, counting())
        proxy.subscribe_trade(task.codes, counting())
        proxy.subscribe_orderbook(task.codes, counting(), units=15)
        meter.start(lambda: sum(mine[0] for mine in counts))
        threading.Event().wait()
