"""Memory: of a market per type, of a history entry, and of a process with 1,000 symbols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.clients import SDK
from benchmarks.flow import Plan
from benchmarks.frames import TYPES
from benchmarks.load import LoadGenerator
from benchmarks.runner import Bench, Result, run_client
from benchmarks.tables import Table, Target, number, ratio

_FEW, _MANY = 100, 1000
_SHORT, _LONG = 10, 210


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """Differences between a small and a large run, so that fixed costs cancel."""
    if SDK not in names:
        return {}
    data: dict[str, Any] = {"states": {}, "histories": {}}
    for name in TYPES:
        few = _run(bench, _FEW, (name,), history=0, per_key=2)
        many = _run(bench, _MANY, (name,), history=0, per_key=2)
        data["states"][name] = {key: _slope(few, many, key, _MANY - _FEW) for key in ("held", "held_after_pull")}
        short = _run(bench, _FEW, (name,), history=_SHORT, per_key=_LONG + 5)
        long = _run(bench, _FEW, (name,), history=_LONG, per_key=_LONG + 5)
        data["histories"][name] = _slope(short, long, "held", _FEW * (_LONG - _SHORT))
        bench.say(f"  memory {name}: {data['states'][name]}, history {data['histories'][name]}")
    data["process"] = {
        str(symbols): _run(bench, symbols, TYPES, history=None, per_key=2, trace=False) for symbols in (10, 1000)
    }
    return data


def _run(
    bench: Bench, symbols: int, types: Sequence[str], *, history: int | None, per_key: int, trace: bool = True
) -> Result:
    plan = Plan("full", total=symbols * len(types) * per_key)
    with LoadGenerator(bench.settings(plan=plan, symbols=symbols, types=types)) as generator:
        return run_client("sdk_memory", bench.task(generator, options={"history": history, "trace": trace}))


def _slope(small: Result, large: Result, key: str, steps: int) -> float | None:
    if key not in small or key not in large:
        return None
    return float(large[key] - small[key]) / steps


def tables(data: dict[str, Any]) -> list[Table]:
    """Bytes per market and type, and the whole process."""
    if not data:
        return []
    rows = [
        [name, number(state["held"]), number(state["held_after_pull"]), number(data["histories"][name])]
        for name, state in data["states"].items()
    ]
    small, large = data["process"]["10"].get("resident"), data["process"]["1000"].get("resident")
    grown = None if small is None or large is None else large - small
    mib = 2**20
    return [
        Table(
            "Memory per market and type, bytes", ["type", "newest value", "newest value, pulled", "history entry"], rows
        ),
        Table(
            "Resident memory of a process, all three types",
            ["symbols", "MiB"],
            [
                ["10", number(ratio(small, mib))],
                ["1,000", number(ratio(large, mib))],
                ["990 more symbols", number(ratio(grown, mib))],
            ],
        ),
    ]


def targets(_data: dict[str, Any]) -> list[Target]:
    """Memory is published, not bounded."""
    return []
