"""Building an event against parsing the payload alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.clients import SDK
from benchmarks.clients.base import Task
from benchmarks.frames import TYPES
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
    """One row for each type."""
    rounds = data.get("rounds", [])
    rows = [
        [
            name,
            number(middle(rounds, "types", name, "parse_us")),
            number(middle(rounds, "types", name, "build_us")),
            times(middle(rounds, "types", name, "ratio")),
        ]
        for name in TYPES
        if middle(rounds, "types", name, "ratio") is not None
    ]
    if not rows:
        return []
    columns = ["type", "orjson.loads, us", "parsed and built, us", "ratio"]
    return [Table("From payload to event, parse included", columns, rows)]


def targets(data: dict[str, Any]) -> list[Target]:
    """An event costs at most twice the parse."""
    ratios = [middle(data.get("rounds", []), "types", name, "ratio") for name in TYPES]
    known = [value for value in ratios if value is not None]
    worst = max(known) if known else None
    return [Target("payload to event against orjson.loads, worst type", worst, 2, unit="x")]
