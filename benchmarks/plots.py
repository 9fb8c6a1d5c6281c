"""Plots of a run as PNG: ratios in bars, growth in lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.clients import CLIENTS, STOCK
from benchmarks.measures import growth, throughput
from benchmarks.runner import Result, middle, paired_ratio

_OURS, _THEIRS = "#1f6feb", "#9aa4b2"
Rounds = Mapping[str, Sequence[Result]]


def draw(run: dict[str, Any], folder: Path) -> list[Path]:
    """Draw what the run has; returns the files."""
    import matplotlib

    matplotlib.use("Agg")
    measures = run["measures"]
    drawn: list[Path] = []
    for transport, title in throughput.TRANSPORTS.items():
        results: Rounds = measures.get("throughput", {}).get(transport, {})
        stock = throughput.stock_of(dict(results))
        ratios = _ratios(results, results.get(stock, []), "per_second")
        drawn += _bars(
            ratios, f"Messages a second against {CLIENTS[stock].title}, {title}", folder / f"throughput-{transport}.png"
        )
    for load in measures.get("cpu", {}):
        results = measures["cpu"][load]
        ratios = _ratios(results, results.get(STOCK, []), "cpu_us_per_message")
        drawn += _bars(
            ratios,
            f"CPU per message against {CLIENTS[STOCK].title}, {load} (less is better)",
            folder / f"cpu-{load}.png",
        )
    for load, results in measures.get("delay", {}).items():
        values = {name: middle(rounds, "delay_us", "p99") for name, rounds in results.items()}
        drawn += _bars(
            {name: value for name, value in values.items() if value is not None},
            f"Delay, p99 in us, {load} (less is better)",
            folder / f"delay-{load}.png",
            unit=" us",
        )
    if measures.get("growth"):
        drawn.append(_growth(measures["growth"], folder / "growth.png"))
    return drawn


def _ratios(results: Rounds, stock: Sequence[Result], key: str) -> dict[str, float]:
    found = {name: paired_ratio(rounds, stock, key) for name, rounds in results.items()}
    return {name: value for name, value in found.items() if value is not None}


def _bars(values: Mapping[str, float], title: str, path: Path, unit: str = "x") -> list[Path]:
    from matplotlib import pyplot

    if not values:
        return []
    names = sorted(values, key=lambda name: values[name])
    figure, axes = pyplot.subplots(figsize=(8, 0.42 * len(names) + 1.2), layout="constrained")
    sdk = ("upbit_ws", "pull", "wait", "history", "own")
    bars = axes.barh(
        names, [values[name] for name in names], color=[_OURS if name.startswith(sdk) else _THEIRS for name in names]
    )
    axes.bar_label(bars, labels=[f"{values[name]:,.3g}{unit}" for name in names], padding=3)
    axes.set_title(title, fontsize=10)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return [path]


def _growth(data: Mapping[str, Rounds], path: Path) -> Path:
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(growth.SIZES), figsize=(10, 3), layout="constrained", sharey=True)
    for axes, (axis, sizes) in zip(panels, growth.SIZES.items(), strict=True):
        first = next(iter(data[axis].values()))
        ratios = _ratios(data[axis], first, "cpu_us_per_message")
        shown = [size for size in sizes if str(size) in ratios]
        axes.plot(shown, [ratios[str(size)] for size in shown], marker="o", color=_OURS)
        axes.axhline(1.15, color=_THEIRS, linestyle="--", linewidth=1)
        axes.set_xscale("log")
        axes.set_xlabel(axis)
    panels[0].set_ylim(0, panels[0].get_ylim()[1])  # of all three, which share it
    panels[0].set_ylabel("CPU per message,\nagainst the smallest")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
