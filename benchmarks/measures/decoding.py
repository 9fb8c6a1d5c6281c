"""Building an event against parsing its payload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.clients import SDK
from benchmarks.clients.base import Task
from benchmarks.messages import PRIVATE, PUBLIC
from benchmarks.runner import Bench, middle, run_client
from benchmarks.tables import Table, Target, number, times


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """In a process of its own, without a connection."""
    if SDK not in names:
        return {}
    rounds = [
        run_client("decoding", Task("http://127.0.0.1", options={"quick": bench.quick})) for _ in range(bench.rounds)
    ]
    return {"rounds": rounds}


def tables(data: dict[str, Any]) -> list[Table]:
    """One row for each kind of message."""
    rounds = data.get("rounds", [])

    def cell(name: str, key: str) -> float | None:
        return middle(rounds, "types", name, key)

    rows = [
        [
            name,
            number(cell(name, "parse_us")),
            number(cell(name, "building_us")),
            times(cell(name, "building_ratio")),
            number(cell(name, "event_us")),
            times(cell(name, "event_ratio")),
        ]
        for name in (*PUBLIC, *PRIVATE)
        if cell(name, "parse_us") is not None
    ]
    if not rows:
        return []
    columns = ["type", "orjson.loads, us", "building, us", "building / parse", "both, us", "both / parse"]
    note = "Numbers of `myOrder` and `myAsset` become exact decimals, which takes another parser."
    return [Table("From payload to event", columns, rows, note)]


def targets(data: dict[str, Any]) -> list[Target]:
    """Building an event costs at most twice the parse."""
    ratios = [middle(data.get("rounds", []), "types", name, "building_ratio") for name in PUBLIC]
    known = [value for value in ratios if value is not None]
    worst = max(known) if known else None
    return [Target("building an event against orjson.loads, worst public type", worst, 2, unit="x")]
