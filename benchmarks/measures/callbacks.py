"""Callbacks: the delay from receipt to call at 50,000 events a second, and what a hundred subscribers cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.clients import SDK
from benchmarks.flow import Plan
from benchmarks.load import LoadGenerator
from benchmarks.runner import Bench, Result, interleaved, middle, paired_ratio, run_client
from benchmarks.tables import Table, Target, number, times

#: What is to be reached, and what is sent, as the generator may fall behind a little.
RATE = 50_000.0
_SENT = 51_000.0
_FAN_RATE = 1000.0
_FAN = (1, 100)


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """This SDK only; ten markets' trades."""
    if SDK not in names:
        return {}
    return {
        "delay": interleaved(bench, ["1"], lambda _: _one(bench, _SENT, 1), "callbacks"),
        "fan": interleaved(
            bench, [str(count) for count in _FAN], lambda count: _one(bench, _FAN_RATE, int(count)), "subscribers"
        ),
    }


def _one(bench: Bench, rate: float, subscribers: int) -> Result:
    with LoadGenerator(bench.settings(plan=Plan("even", rate), symbols=10, types=("trade",))) as generator:
        return run_client("sdk_callback_delay", bench.task(generator, options={"subscribers": subscribers}))


def tables(data: dict[str, Any]) -> list[Table]:
    """One for the delay, one for the subscribers."""
    made = []
    delay = data.get("delay", {}).get("1", [])
    if middle(delay, "per_second") is not None:
        made.append(
            Table(
                "One empty callback for every trade",
                ["events/s", "receipt to call, p50 us", "p99 us", "dropped"],
                [
                    [
                        number(middle(delay, "per_second")),
                        number(middle(delay, "delay_us", "p50")),
                        number(middle(delay, "delay_us", "p99")),
                        number(middle(delay, "dropped")),
                    ]
                ],
            )
        )
    fan = data.get("fan", {})
    cpu = "cpu_us_per_message"
    rows = [
        [name, number(middle(rounds, cpu)), times(paired_ratio(rounds, fan["1"], cpu))]
        for name, rounds in fan.items()
        if middle(rounds, cpu) is not None
    ]
    if rows:
        columns = ["subscribers", "CPU us/message", "against one"]
        made.append(Table("Subscribers to the same trades, 1,000 a second", columns, rows))
    return made


def targets(data: dict[str, Any]) -> list[Target]:
    """The bounds of the callback API."""
    delay = data.get("delay", {}).get("1", [])
    fan = data.get("fan", {})
    p99 = middle(delay, "delay_us", "p99")
    return [
        Target("events a second into one callback", middle(delay, "per_second"), RATE, at_least=True),
        Target("events dropped on the way to it", middle(delay, "dropped"), 0),
        Target("receipt to call, p99", None if p99 is None else p99 / 1000, 2, unit=" ms"),
        Target(
            "100 subscribers against one, CPU per message",
            paired_ratio(fan.get("100", []), fan.get("1", []), "cpu_us_per_message"),
            25,
            unit="x",
        ),
    ]
