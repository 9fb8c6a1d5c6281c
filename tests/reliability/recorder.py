"""What a run of the tests has to say about each row: outcome and last measured figure, kept from run to run.

`RELIABILITY_RESULTS=tests/reliability/results.json pytest tests/reliability` writes it, and `docs/reliability.md` of it.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from attrs import define, field

__all__ = ["RESULTS", "VARIABLE", "Recorder", "load"]

RESULTS = Path(__file__).resolve().parent / "results.json"
VARIABLE = "RELIABILITY_RESULTS"

#: Test (`file::name`) -> {"outcome", "figure", "bound", "at"}; of a parametrized test the worst outcome counts.
Results = dict[str, dict[str, Any]]

_SEVERITY = ("passed", "xfailed", "skipped", "failed")


def load(path: Path = RESULTS) -> Results:
    """What earlier runs have written."""
    if not path.exists():
        return {}
    stored: Results = json.loads(path.read_text("utf-8"))
    return stored


@define
class Recorder:
    """Collects during one run."""

    outcomes: dict[str, str] = field(factory=dict)
    figures: dict[str, tuple[str, str]] = field(factory=dict)

    def record(self, test: str, figure: str, bound: str) -> None:
        """A measurement of the test that runs now; the last one counts."""
        self.figures[test] = (figure, bound)

    def finish(self, test: str, outcome: str) -> None:
        """A test, or one of its parametrizations, is over."""
        before = self.outcomes.get(test, "passed")
        self.outcomes[test] = max(before, outcome, key=_SEVERITY.index)

    def write(self, path: Path) -> None:
        """Merge into what earlier runs have written. A skipped test does not hide its last real run."""
        results = load(path)
        today = datetime.date.today().isoformat()
        for test, outcome in self.outcomes.items():
            if outcome == "skipped" and test in results:
                continue
            figure, bound = self.figures.get(test, ("", ""))
            results[test] = {"outcome": outcome, "figure": figure, "bound": bound, "at": today}
        text = json.dumps(dict(sorted(results.items())), ensure_ascii=False, indent=1)
        path.write_text(text + "\n", "utf-8")
