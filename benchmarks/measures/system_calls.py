"""System calls per message under full load, all threads of the process, counted with strace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.clients import CLIENTS, SDK, STOCK
from benchmarks.load import LoadGenerator
from benchmarks.runner import Bench, Result, interleaved, middle, run_client
from benchmarks.tables import Table, Target, number

_COMPARED = (SDK, STOCK, "picows", "websockets")


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """Attach strace for the window. Tracing slows a client down, so only the counts are used."""
    able = [name for name in _COMPARED if name in names]
    with LoadGenerator(bench.settings()) as generator:

        def one(name: str) -> Result:
            return run_client(name, bench.task(generator, options={"count_system_calls": True}))

        return {"full": interleaved(bench, able, one, "system calls")}


def tables(data: dict[str, Any]) -> list[Table]:
    """One table: calls per message and the most frequent ones."""
    rows = []
    for name, rounds in data["full"].items():
        per_message = middle(rounds, "system_calls_per_message")
        if per_message is None:
            continue
        calls = next(result["system_calls"] for result in rounds if "system_calls" in result)
        often = sorted(calls, key=lambda call: -calls[call])[:3]
        rows.append([CLIENTS[name].title, number(per_message), ", ".join(often)])
    return [Table("System calls per message, full load", ["client", "calls", "mostly"], rows)] if rows else []


def targets(data: dict[str, Any]) -> list[Target]:
    """The bound on calls per frame."""
    rounds = data["full"].get(SDK, [])
    why = next((f"skipped: {result['error']}" for result in rounds if "error" in result), "not measured in this run")
    figure = middle(rounds, "system_calls_per_message")
    return [Target("system calls per frame, full load", figure, 0.02, why_missing=why)]
