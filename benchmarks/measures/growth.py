"""How the cost per message grows: with symbols, with pulling clients, with the length of histories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from benchmarks.clients import SDK
from benchmarks.frames import TYPES
from benchmarks.load import LoadGenerator
from benchmarks.runner import Bench, Result, interleaved, middle, paired_ratio, run_client
from benchmarks.tables import Table, Target, number, times

SIZES = {"symbols": (10, 100, 1000), "clients": (1, 10, 100), "history": (1, 200, 2000, 10_000)}
_DEFAULT_HISTORY = 200
_TITLES = {
    "symbols": ("Cost per message with the number of symbols, full load", "symbols"),
    "clients": ("Cost per message with the number of pulling clients, full load", "clients"),
    "history": ("Cost per message with the length of histories, full load, 10 symbols", "history"),
}


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """This SDK only, at full load."""
    if SDK not in names:
        return {}
    runs = {"symbols": _symbols, "clients": _clients, "history": _history}
    # A ratio of one round swings by 4 %, and what is asked is whether it stays within 15 %.
    close = evolve(bench, rounds=2 * bench.rounds + 1) if bench.rounds > 1 else bench
    return {
        axis: interleaved(
            bench if axis == "history" else close,
            [str(size) for size in SIZES[axis]],
            _bind(bench, runs[axis]),
            f"{axis}:",
        )
        for axis in SIZES
    }


def _bind(bench: Bench, run: Any) -> Any:
    return lambda size: run(bench, int(size))


def _symbols(bench: Bench, size: int) -> Result:
    with LoadGenerator(bench.settings(symbols=size)) as generator:
        return run_client(SDK, bench.task(generator, options={"warm_messages": _full(size, _DEFAULT_HISTORY)}))


def _clients(bench: Bench, size: int) -> Result:
    with LoadGenerator(bench.settings(symbols=10)) as generator:
        return run_client("sdk_clients", bench.task(generator, options={"clients": size}))


def _history(bench: Bench, size: int) -> Result:
    with LoadGenerator(bench.settings(symbols=10)) as generator:
        return run_client(SDK, bench.task(generator, options={"history": size, "warm_messages": _full(10, size)}))


def _full(symbols: int, history: int) -> int:
    """Messages after which all histories are full: before that, the cost is that of fetching memory from the system."""
    return symbols * len(TYPES) * (history + 2)


def tables(data: dict[str, Any]) -> list[Table]:
    """One table for each axis."""
    made = []
    for axis, results in data.items():
        title, column = _TITLES[axis]
        first = next(iter(results.values()))
        rows = [
            [
                f"{int(size):,}",
                number(middle(rounds, "cpu_us_per_message")),
                number(middle(rounds, "per_second")),
                times(paired_ratio(rounds, first, "cpu_us_per_message")),
            ]
            for size, rounds in results.items()
        ]
        made.append(Table(title, [column, "CPU us/message", "messages/s", "CPU against the first row"], rows))
    return made


def targets(data: dict[str, Any]) -> list[Target]:
    """Within 15 % from the smallest to the largest."""

    def grown(axis: str) -> float | None:
        results = data.get(axis, {})
        sizes = [str(size) for size in SIZES[axis]]
        return paired_ratio(results.get(sizes[-1], []), results.get(sizes[0], []), "cpu_us_per_message")

    return [
        Target("cost per message, 1,000 symbols against 10", grown("symbols"), 1.15, unit="x"),
        Target("cost per message, 100 pulling clients against 1", grown("clients"), 1.15, unit="x"),
    ]
