"""Memory that the SDK holds after a number of messages: what Python allocated, and what the system sees."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

from benchmarks.clients.base import Task, report
from benchmarks.clients.sdk import counters, open_client, wait_for_silence


def run(task: Task) -> None:
    """Wait for the end of the flow, then look; with `options["trace"]` exactly, else only from outside."""
    trace = bool(task.options.get("trace", True))
    if trace:
        tracemalloc.start()
    with open_client(task) as client:
        wait_for_silence(quiet=1.0)
        result: dict[str, object] = {"resident": resident_bytes()}
        if trace:
            result["held"] = _held()
            if "orderbook" in task.types:
                client.get_orderbook_data()
            if "trade" in task.types:
                client.get_trade_data()
            if "ticker" in task.types:
                client.get_ticker_data()
            result["held_after_pull"] = _held()
        report(result | counters())


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def resident_bytes() -> int:
    """Resident memory of this process (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmRSS")
