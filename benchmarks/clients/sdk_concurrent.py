"""Pulls of all prices from many threads while messages come in: `options["threads"]`, `options["pause"]` in seconds."""

from __future__ import annotations

import threading
import time

from benchmarks.clients.base import Task, cpu_seconds, percentiles, report
from benchmarks.clients.sdk import counters, open_client, wait_for_silence
from upbit_ws import SimpleWebSocketClient


def run(task: Task) -> None:
    """Pull for the window, then wait for the end of the flow and report what arrived."""
    threads, pause = int(task.options["threads"]), float(task.options["pause"])
    with open_client(task) as client:
        time.sleep(task.warmup)
        samples: list[list[float]] = [[] for _ in range(threads)]
        until, cpu = time.monotonic() + task.window, cpu_seconds()
        workers = [threading.Thread(target=_pull, args=(client, until, pause, mine)) for mine in samples]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        spent = cpu_seconds() - cpu
        took = [value for mine in samples for value in mine]
        wait_for_silence()
        report(
            {"pulls_per_second": len(took) / task.window, "pull_us": percentiles(took), "cpu_seconds": spent}
            | counters()
        )


def _pull(client: SimpleWebSocketClient, until: float, pause: float, took: list[float]) -> None:
    while time.monotonic() < until:
        start = time.perf_counter()
        client.get_multiple_prices()
        took.append((time.perf_counter() - start) * 1e6)
        if pause:
            time.sleep(pause)
