"""Runs client processes against a generator, round by round, and gathers what they report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from attrs import define, evolve, field

from benchmarks.certificate import Certificate, make_certificate
from benchmarks.clients.base import Task
from benchmarks.flow import Plan
from benchmarks.frames import TYPES, build_stock
from benchmarks.generator import Settings
from benchmarks.load import ROOT, LoadGenerator

Result = dict[str, Any]


@define
class Bench:
    """How long and how often, and where scratch files go."""

    folder: Path
    quick: bool = False
    rounds: int = 3
    warmup: float = 0.7
    window: float = 2.0
    say: Callable[[str], None] = print
    _certificate: Certificate | None = field(default=None, init=False)
    _mean_frame_size: float = field(default=0.0, init=False)

    @classmethod
    def of(cls, folder: Path, *, quick: bool, rounds: int | None = None) -> Bench:
        """The usual settings: 3 rounds of 2 s, or with `quick` 1 round of 0.5 s."""
        bench = cls(folder, True, 1, 0.3, 0.5) if quick else cls(folder)
        return evolve(bench, rounds=rounds) if rounds else bench

    def settings(
        self, transport: str = "plain", plan: Plan | None = None, *, symbols: int = 100, types: Sequence[str] = TYPES
    ) -> Settings:
        """Settings of a generator for `plain`, `tls` or `deflate`."""
        made = Settings(plan or Plan(), symbols, types, deflate=transport == "deflate")
        if transport == "tls":
            pair = self.certificate()
            made = evolve(made, certificate=str(pair.certificate), key=str(pair.key))
        return made

    def certificate(self) -> Certificate:
        """The certificate of this run."""
        if self._certificate is None:
            self._certificate = make_certificate(self.folder)
        return self._certificate

    def task(self, generator: LoadGenerator, **changes: Any) -> Task:
        """A task for a client of this generator."""
        settings = generator.settings
        options = {"mean_frame_size": self._mean_size(), **changes.pop("options", {})}
        made = Task(
            generator.url,
            settings.symbols,
            settings.types,
            settings.certificate,
            settings.deflate,
            self.warmup,
            self.window,
            total=settings.plan.total,
            options=options,
        )
        return evolve(made, **changes)

    def _mean_size(self) -> float:
        if not self._mean_frame_size:
            self._mean_frame_size = build_stock(10, groups=10).ring.mean_frame_size
        return self._mean_frame_size


def run_client(name: str, task: Task, *, timeout: float = 120.0, command: Sequence[str] = ()) -> Result:
    """Run one client process to its end. A failure is a result with an `error`, not an exception."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    arguments = [*command, sys.executable, "-m", "benchmarks.clients", name, task.dump()]
    process = subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, complaints = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its children too
        process.communicate()
        return {"error": f"did not finish within {timeout:g} s"}
    lines = output.strip().splitlines()
    try:
        result = json.loads(lines[-1])
    except (IndexError, ValueError):
        tail = complaints.strip().splitlines()[-1:] or [f"ended with code {process.returncode} and said nothing"]
        return {"error": tail[0]}
    if "error" in result and complaints:
        result["stderr"] = complaints[-2000:]
    return dict(result)


def interleaved(
    bench: Bench, names: Iterable[str], measure: Callable[[str], Result], label: str
) -> dict[str, list[Result]]:
    """Measure each name once per round, in turns (A B C, C B A, ...), so that drift of the machine hits all alike."""
    order = list(names)
    results: dict[str, list[Result]] = {name: [] for name in order}
    for number in range(bench.rounds):
        for name in order if number % 2 == 0 else reversed(order):
            result = measure(name)
            results[name].append(result)
            bench.say(f"  {label} {number + 1}/{bench.rounds} {name}: {_brief(result)}")
    return results


def middle(results: Sequence[Result], *path: str) -> float | None:
    """The median over the rounds of a number inside the results; None where no round has it."""
    values = []
    for result in results:
        value: Any = result
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, (int, float)):
            values.append(float(value))
    return median(values) if values else None


def paired_ratio(results: Sequence[Result], others: Sequence[Result], key: str) -> float | None:
    """The median over the rounds of `key` against the same round of others: what drifts, drifts for both."""
    ratios = [
        float(mine[key]) / float(theirs[key])
        for mine, theirs in zip(results, others, strict=False)
        if mine.get(key) is not None and theirs.get(key)
    ]
    return median(ratios) if ratios else None


def _brief(result: Result) -> str:
    if "error" in result:
        return f"failed: {result['error']}"
    parts = []
    if "per_second" in result:
        parts.append(f"{result['per_second']:,.0f} messages/s")
    if result.get("cpu_us_per_message") is not None:
        parts.append(f"{result['cpu_us_per_message']:.2f} us CPU")
    delay = result.get("delay_us") or {}
    if delay.get("count"):
        parts.append(f"delay p50 {delay['p50']:.0f} us, p99 {delay['p99']:.0f} us")
    return ", ".join(parts) or json.dumps(result)[:100]
