"""Cost per message with many pulling clients: `options["clients"]`, each pulling ten times a second.

The clients are served by one thread, whose own CPU time is taken off: what is left is what a message costs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.clients.base import Task, cpu_seconds, rates, report
from benchmarks.clients.sdk import counters, open_client, received
from upbit_ws import SimpleWebSocketClient

_ROUND = 0.1


def run(task: Task) -> None:
    """Pull in turns for the window."""
    clients = [open_client(task, f"benchmark-{number}") for number in range(int(task.options["clients"]))]
    pause = _ROUND / len(clients)
    _pull_for(clients, task.warmup, pause)
    messages, cpu, start, own = received(), cpu_seconds(), time.perf_counter(), time.thread_time()
    pulls = _pull_for(clients, task.window, pause)
    own, end = time.thread_time() - own, time.perf_counter()
    result = rates(received() - messages, end - start, cpu_seconds() - cpu - own)
    report(result | {"pulls": pulls, "pull_cpu_us": own * 1e6 / max(1, pulls)} | counters())


def _pull_for(clients: Sequence[SimpleWebSocketClient], seconds: float, pause: float) -> int:
    until, pulls = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        clients[pulls % len(clients)].get_multiple_prices()
        pulls += 1
        time.sleep(pause)
    return pulls
