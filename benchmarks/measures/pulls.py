"""What a pull costs: fresh and unchanged values, and from many threads at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.clients import SDK
from benchmarks.flow import Plan
from benchmarks.load import LoadGenerator
from benchmarks.runner import Bench, Result, interleaved, middle, run_client
from benchmarks.tables import Table, Target, number

SIZES = (200, 855)
RATE = 20_000.0
_THREADS = {"1 thread, each 10 ms": (1, 0.01), "8 threads, each 10 ms": (8, 0.01), "8 threads, no pause": (8, 0.0)}


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """Only this SDK has something to pull."""
    if SDK not in names:
        return {}
    return {"cost": _cost(bench), "concurrent": _concurrent(bench)}


def _cost(bench: Bench) -> dict[str, list[Result]]:
    def one(size: str) -> Result:
        plan = Plan("bursts", burst=int(size))
        with LoadGenerator(bench.settings(plan=plan, symbols=int(size), types=("ticker",))) as generator:
            return run_client("sdk_pull_cost", bench.task(generator))

    return interleaved(bench, [str(size) for size in SIZES], one, "pull of")


def _concurrent(bench: Bench) -> dict[str, list[Result]]:
    plan = Plan("even", RATE, total=int(RATE * (bench.warmup + bench.window * 1.5 + 1.0)))

    def one(name: str) -> Result:
        threads, pause = _THREADS[name]
        with LoadGenerator(bench.settings(plan=plan, symbols=200)) as generator:
            task = bench.task(generator, options={"threads": threads, "pause": pause})
            result = run_client("sdk_concurrent", task)
            if "error" not in result:
                result["lost"] = int(generator.statistics()[-1]["frames"]) - int(result["received"])
            return result

    return interleaved(bench, list(_THREADS), one, "concurrent pulls,")


def tables(data: dict[str, Any]) -> list[Table]:
    """Cost of a pull, and concurrent pulls."""
    if not data:
        return []
    cost = [
        [
            f"get_multiple_prices(), {size} symbols",
            number(middle(rounds, "fresh_us")),
            number(middle(rounds, "unchanged_us")),
        ]
        for size, rounds in data["cost"].items()
    ]
    concurrent = [
        [
            name,
            number(middle(rounds, "pulls_per_second")),
            number(middle(rounds, "pull_us", "p50")),
            number(middle(rounds, "pull_us", "p99")),
            number(middle(rounds, "lost")),
        ]
        for name, rounds in data["concurrent"].items()
    ]
    return [
        Table("Cost of a pull", ["call", "all fresh, us", "none changed, us"], cost),
        Table(
            "Concurrent pulls of 200 prices while 20,000 messages a second come in",
            ["pulled from", "pulls/s", "p50 us", "p99 us", "messages lost"],
            concurrent,
        ),
    ]


def targets(data: dict[str, Any]) -> list[Target]:
    """The bounds for 200 symbols, and that concurrent pulls lose nothing."""
    rounds = data.get("cost", {}).get("200", [])
    lost = [result["lost"] for found in data.get("concurrent", {}).values() for result in found if "lost" in result]
    return [
        Target("get_multiple_prices(), 200 fresh symbols", middle(rounds, "fresh_us"), 1000, unit=" us"),
        Target("get_multiple_prices(), 200 unchanged symbols", middle(rounds, "unchanged_us"), 100, unit=" us"),
        Target("messages lost under concurrent pulls", float(max(lost, key=abs)) if lost else None, 0),
    ]
