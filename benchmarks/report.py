"""The report of a run: Markdown, JSON, the verdict lines, and the results part of the documentation page."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.measures import MEASURES
from benchmarks.tables import Table, Target

BEGIN = "<!-- results: begin (written by `python -m benchmarks --write-docs`) -->"
END = "<!-- results: end -->"
_PACKAGES = ("attrs", "orjson", "websocket-client", "websockets", "picows", "upbit-sdk", "pyupbit", "ccxt")


def describe_machine() -> dict[str, str]:
    """The machine in words, and the versions of what was compared. Names no host and no path."""
    found = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "date": datetime.now(timezone.utc).date().isoformat(),
    }
    return found | {package: _version(package) for package in _PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "unknown"


def targets_of(run: dict[str, Any]) -> list[Target]:
    """The targets of every measure that was run."""
    return [target for name, data in run["measures"].items() for target in MEASURES[name].targets(data)]


def tables_of(run: dict[str, Any]) -> list[Table]:
    """The tables of every measure that was run."""
    return [table for name, data in run["measures"].items() for table in MEASURES[name].tables(data)]


def markdown(run: dict[str, Any], pictures: Sequence[str] = ()) -> str:
    """The whole report; `pictures` are paths relative to the page."""
    machine = dict(run["machine"])
    words = (
        f"Measured on {machine['date']} on a machine with {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory']} of memory, {machine['system']}, {machine['python']}, everything on loopback. "
        f"{run['rounds']} round{'s' if run['rounds'] > 1 else ''} of {run['window']:g} s each, medians."
    )
    versions = ", ".join(f"{package} {machine[package]}" for package in _PACKAGES)
    parts = [words, f"Versions: {versions}."]
    if run["quick"]:
        parts.append("**A quick run: one short round, good for testing the harness and for nothing else.**")
    if run["skipped"]:
        parts.append("Skipped: " + "; ".join(f"{name} ({why})" for name, why in run["skipped"].items()) + ".")
    parts.append("### Targets\n\n```text\n" + "\n".join(target.line() for target in targets_of(run)) + "\n```")
    parts += [f"![{Path(picture).stem.replace('-', ' ')}]({picture})" for picture in pictures]
    parts += [table.markdown().rstrip() for table in tables_of(run)]
    failures = failures_of(run["measures"])
    if failures:
        parts.append("### What failed\n\n" + "\n".join(f"- {line}" for line in failures))
    return "\n\n".join(parts) + "\n"


def failures_of(data: Any, path: tuple[str, ...] = ()) -> list[str]:
    """One line for each distinct error inside the results."""
    if isinstance(data, dict):
        if isinstance(data.get("error"), str):
            return [f"{' / '.join(path)}: {data['error']}"]
        pairs = [(str(key), value) for key, value in data.items()]
    elif isinstance(data, list):
        pairs = [("", value) for value in data]
    else:
        return []
    found: list[str] = []
    for key, value in pairs:
        for line in failures_of(value, (*path, key) if key else path):
            if line not in found:
                found.append(line)
    return found


def write(run: dict[str, Any], folder: Path, pictures: Sequence[Path]) -> None:
    """Write `results.json` and `results.md` into `folder`."""
    (folder / "results.json").write_text(json.dumps(run, indent=1) + "\n")
    (folder / "results.md").write_text(
        "# Benchmark results\n\n" + markdown(run, [picture.name for picture in pictures])
    )


def write_docs(run: dict[str, Any], page: Path, pictures: Sequence[Path]) -> None:
    """Replace what stands between the markers of the documentation page."""
    text = page.read_text()
    head, found, rest = text.partition(BEGIN)
    _, closed, tail = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"{page.name} lacks the lines {BEGIN!r} and {END!r}")
    relative = [os.path.relpath(picture, page.parent) for picture in pictures]
    page.write_text(f"{head}{BEGIN}\n\n{markdown(run, relative)}\n{END}{tail}")
