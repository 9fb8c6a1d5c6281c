"""Cost of `get_multiple_prices()` over all symbols, when each has changed since the last pull and when none has."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.clients.base import Task, report
from benchmarks.clients.sdk import counters, open_client, received


def run(task: Task) -> None:
    """The generator sends one ticker per symbol in each burst; pull twice in the pause after it."""
    fresh: list[float] = []
    unchanged: list[float] = []
    with open_client(task) as client:
        client.get_multiple_prices()
        deadline = time.monotonic() + task.warmup + task.window
        seen = received()
        while time.monotonic() < deadline:
            if received() < seen + task.symbols:
                time.sleep(0.002)
                continue
            first = time.perf_counter()
            prices = client.get_multiple_prices()
            second = time.perf_counter()
            client.get_multiple_prices()
            third = time.perf_counter()
            if received() == seen + task.symbols and len(prices) == task.symbols:  # else a burst came in between
                fresh.append((second - first) * 1e6)
                unchanged.append((third - second) * 1e6)
            seen = received()
        report({"fresh_us": median(fresh), "unchanged_us": median(unchanged), "pulls": len(fresh)} | counters())
