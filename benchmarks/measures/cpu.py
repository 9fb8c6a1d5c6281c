"""CPU time per message at loads as an exchange makes them: evenly spaced, and in bursts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.clients import CLIENTS, SDK, STOCK
from benchmarks.flow import Plan
from benchmarks.load import LoadGenerator
from benchmarks.runner import Bench, Result, interleaved, middle, paired_ratio, run_client
from benchmarks.tables import Table, Target, number, times
from upbit_ws import MonitoringConfig

RATE = 2000.0
WARMUP, WINDOW = 4.0, 4.0
"""Seconds, for all clients alike: at this rate the histories of tickers and books are full after three."""
COALESCE = 0.005
LOADS = {
    "even": "2,000 a second, evenly spaced",
    "bursts": "2,000 a second, in bursts each 100 ms",
    "coalesced": "2,000 a second, evenly spaced, read_coalesce=0.005",
}
_COMPARED = (SDK, STOCK, "picows", "websockets", "websocketapp", "upbit-sdk", "pyupbit", "ccxt")


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """The clients that parse, under each load; with read_coalesce only this SDK differs."""
    data: dict[str, Any] = {}
    for load in LOADS:
        able = [name for name in _COMPARED if name in names]
        if load == "coalesced":
            able = [name for name in able if name in (SDK, STOCK)]
        options: dict[str, Any] = {"metrics_interval": MonitoringConfig().metrics_interval}
        if load == "coalesced":
            options["connection"] = {"read_coalesce": COALESCE}
        plan = Plan("bursts" if load == "bursts" else "even", RATE)
        with LoadGenerator(bench.settings(plan=plan)) as generator:

            def one(name: str, generator: LoadGenerator = generator, options: dict[str, Any] = options) -> Result:
                times = {} if bench.quick else {"warmup": WARMUP, "window": WINDOW}
                return run_client(name, bench.task(generator, options=options, **times))

            data[load] = interleaved(bench, able, one, load)
    return data


def tables(data: dict[str, Any]) -> list[Table]:
    """One table for each load."""
    made = []
    for load, title in LOADS.items():
        results = data.get(load, {})
        rows = [
            [
                CLIENTS[name].title,
                number(middle(rounds, "cpu_us_per_message")),
                times(paired_ratio(rounds, results.get(STOCK, []), "cpu_us_per_message")),
            ]
            for name, rounds in results.items()
            if middle(rounds, "cpu_us_per_message") is not None
        ]
        if rows:
            made.append(
                Table(
                    f"CPU per message, {title}", ["client", "CPU us/message", "against websocket-client + orjson"], rows
                )
            )
    return made


def targets(data: dict[str, Any]) -> list[Target]:
    """How much of what the stock client costs."""

    def against(load: str) -> float | None:
        results = data.get(load, {})
        return paired_ratio(results.get(SDK, []), results.get(STOCK, []), "cpu_us_per_message")

    stock = "CPU against websocket-client + orjson"
    return [
        Target(f"{stock}, {LOADS['even']}", against("even"), 0.75, unit="x"),
        Target(f"{stock}, {LOADS['bursts']}", against("bursts"), 0.2, unit="x"),
        Target(f"{stock}, {LOADS['coalesced']}", against("coalesced"), 0.3, unit="x"),
    ]
