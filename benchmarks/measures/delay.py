"""Delay from the generator's write until the user has the message: on an idle machine, and beside a busy thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.clients import CLIENTS, SDK
from benchmarks.flow import Plan
from benchmarks.load import LoadGenerator
from benchmarks.runner import Bench, Result, interleaved, middle, run_client
from benchmarks.tables import Table, Target, number

IDLE_RATE = 1000.0
BUSY_RATE = 20_000.0
LONGER = 2
"""Windows are so many times longer here, for a p99 of enough samples."""
_SYMBOLS = {"idle": 1, "busy": 10}
_WAYS = {
    "pull": "upbit_ws, a pull sees it",
    "wait": "upbit_ws, wait_for_update runs on",
    "history": "upbit_ws, a pull from another thread sees it",
    "own": "upbit_ws, the busy thread itself pulls",
}
_PEERS = ("websocket-client", "picows", "websockets")


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """Idle at 1,000 messages a second; beside a thread that never waits at 20,000."""
    peers = [name for name in _PEERS if name in names]
    idle = [*(["pull", "wait"] if SDK in names else []), *peers]
    busy = [*(["history", "own"] if SDK in names else []), *peers]
    return {"idle": _measure(bench, "idle", IDLE_RATE, idle), "busy": _measure(bench, "busy", BUSY_RATE, busy)}


def _measure(bench: Bench, load: str, rate: float, order: Sequence[str]) -> dict[str, list[Result]]:
    # Enough for the slowest start of a client; a flow with an end shows whether all of it arrived.
    seconds = bench.warmup + bench.window * LONGER + 1.0
    plan = Plan("even", rate, total=int(rate * seconds))

    def one(name: str) -> Result:
        with LoadGenerator(bench.settings(plan=plan, symbols=_SYMBOLS[load])) as generator:
            task = bench.task(generator, delays=True, busy=load == "busy", window=bench.window * LONGER)
            if name not in _WAYS:
                return run_client(name, task)
            task.options.update(way=name, rate=rate)
            result = run_client("sdk_delay", task)
            if "error" not in result:
                # The others end with the window; this one stays to the end and must have it all.
                result["lost"] = int(generator.statistics()[-1]["frames"]) - int(result["received"])
            return result

    return interleaved(bench, order, one, load)


def tables(data: dict[str, Any]) -> list[Table]:
    """One table for each load."""
    titles = {
        "idle": "Delay at 1,000 messages a second, idle machine",
        "busy": "Delay at 20,000 messages a second, beside a thread that never waits",
    }
    made = []
    for load, title in titles.items():
        rows = []
        for name, rounds in data.get(load, {}).items():
            if middle(rounds, "delay_us", "p50") is None:
                continue
            label = _WAYS.get(name) or CLIENTS[name].title + ", parsed in its loop"
            lost = middle(rounds, "lost")
            rows.append(
                [
                    label,
                    number(middle(rounds, "delay_us", "p50")),
                    number(middle(rounds, "delay_us", "p99")),
                    "-" if lost is None else number(lost),
                ]
            )
        if rows:
            made.append(Table(title, ["client", "p50 us", "p99 us", "lost"], rows))
    return made


def targets(data: dict[str, Any]) -> list[Target]:
    """The bounds on delays and losses."""
    idle, busy = data.get("idle", {}), data.get("busy", {})
    lost = [result["lost"] for rounds in busy.values() for result in rounds if "lost" in result]
    busy_p99 = middle(busy.get("history", []), "delay_us", "p99")
    return [
        Target("write to pull, idle, p50", middle(idle.get("pull", []), "delay_us", "p50"), 80, unit=" us"),
        Target("write to pull, idle, p99", middle(idle.get("pull", []), "delay_us", "p99"), 300, unit=" us"),
        Target("write to wait_for_update, p50", middle(idle.get("wait", []), "delay_us", "p50"), 150, unit=" us"),
        Target(
            "write to pull beside a busy thread, 20,000 a second, p99",
            None if busy_p99 is None else busy_p99 / 1000,
            20,
            unit=" ms",
        ),
        Target("messages lost beside a busy thread", float(max(lost, key=abs)) if lost else None, 0),
    ]
