"""``python -m benchmarks``: measure, write the tables and plots, and say which targets are met."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots, report
from benchmarks.clients import CLIENTS, SDK, STOCK
from benchmarks.load import ROOT
from benchmarks.measures import MEASURES
from benchmarks.runner import Bench

_PAGE = ROOT / "docs" / "performance.md"
_PICTURES = ROOT / "docs" / "images" / "performance"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=MEASURES, help=f"measures: {', '.join(MEASURES)}")
    parser.add_argument("--clients", nargs="+", metavar="NAME", choices=CLIENTS, help=f"clients: {', '.join(CLIENTS)}")
    parser.add_argument("--rounds", type=int, help="rounds of each measure (default 3, quick 1)")
    parser.add_argument("--quick", action="store_true", help="one short round: tests the harness, figures mean nothing")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="folder for tables and plots")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="JSON", help="measure nothing; report an earlier run's results.json"
    )
    parser.add_argument("--write-docs", action="store_true", help="also write the results into docs/performance.md")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run what was asked for."""
    names = list(options.clients or CLIENTS)
    # Every ratio is against the stock client, whatever else was chosen.
    names += [name for name in (SDK, STOCK) if name not in names]
    skipped = {name: "not installed: " + ", ".join(CLIENTS[name].missing) for name in names if CLIENTS[name].missing}
    for name, why in skipped.items():
        _say(f"skipped {name}: {why}")
    able = [name for name in CLIENTS if name in names and name not in skipped]
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        bench = Bench.of(Path(folder), quick=options.quick, rounds=options.rounds)
        bench.say = _say
        run: dict[str, Any] = {
            "machine": report.describe_machine(),
            "quick": bench.quick,
            "rounds": bench.rounds,
            "window": bench.window,
            "skipped": skipped,
            "measures": {},
        }
        for name in options.only or MEASURES:
            _say(f"{name}:")
            run["measures"][name] = MEASURES[name].measure(bench, able)
    return run


def main(arguments: Sequence[str]) -> int:
    """0 when no target is short, 1 otherwise; a quick run's verdicts do not count."""
    options = parse(arguments)
    run = json.loads(options.source.read_text()) if options.source else measure(options)
    options.out.mkdir(parents=True, exist_ok=True)
    pictures = plots.draw(run, options.out)
    report.write(run, options.out, pictures)
    if options.write_docs:
        _PICTURES.mkdir(parents=True, exist_ok=True)
        report.write_docs(run, _PAGE, plots.draw(run, _PICTURES))
    for table in report.tables_of(run):
        print("\n" + table.markdown(), end="")
    failures = report.failures_of(run["measures"])
    if failures:
        print("\nFailed:\n" + "\n".join(failures))
    targets = report.targets_of(run)
    print("\nTargets:\n" + "\n".join(target.line() for target in targets))
    print(f"\nTables and plots: {options.out}")
    return int(not run["quick"] and any(target.verdict == "SHORT" for target in targets))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
