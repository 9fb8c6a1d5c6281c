"""This SDK's callbacks at a given rate of trades: the delay from receipt to call, what was dropped, and the CPU time.

`options["subscribers"]` empty callbacks are subscribed to everything once the flow stands.
"""

from __future__ import annotations

import time

from benchmarks.clients.base import Task, cpu_seconds, rates, report
from benchmarks.clients.sdk import configure, received
from upbit_ws import WebSocketClientProxy


def run(task: Task) -> None:
    """Count and time for the window."""
    with WebSocketClientProxy("flow", config=configure(task)) as flow, WebSocketClientProxy("benchmark") as proxy:
        flow.subscribe_trade(task.codes[:1], _nothing)  # so that the connection is there before anything is measured
        proxy.subscribe_trade(task.codes, _nothing)
        while not received():
            time.sleep(0.01)
        time.sleep(task.warmup)
        proxy.unsubscribe_all()
        for _ in range(int(task.options["subscribers"])):
            proxy.subscribe_trade(task.codes, _nothing)
        time.sleep(task.warmup)
        messages, cpu, start = received(), cpu_seconds(), time.perf_counter()
        time.sleep(task.window)
        last, spent, end = received(), cpu_seconds(), time.perf_counter()
        statistics = proxy.statistics()
        report(
            rates(last - messages, end - start, spent - cpu)
            | {
                "dropped": sum(one.dropped for one in statistics),
                "delay_us": {
                    "p50": (statistics[0].delay_p50 or 0.0) * 1e6,
                    "p99": (statistics[0].delay_p99 or 0.0) * 1e6,
                    "count": statistics[0].delivered,
                },
            }
        )


def _nothing(_event: object) -> None:
    """An empty callback."""
