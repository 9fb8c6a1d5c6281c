"""What measures hand to the report: tables and targets."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen


@frozen
class Table:
    """A table of the report. Cells are text already."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        """As a Markdown table under a heading."""
        lines = [f"### {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines.append("| " + " | ".join(self.columns) + " |")
        lines.append("| --- |" + " ---: |" * (len(self.columns) - 1))
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines) + "\n"


@frozen
class Target:
    """A bound that a figure has to keep."""

    text: str
    figure: float | None
    """None where it could not be measured in this run."""
    bound: float
    at_least: bool = False
    unit: str = ""
    why_missing: str = field(default="not measured in this run")

    @property
    def verdict(self) -> str:
        """`PASS`, `SHORT`, or `SKIPPED` where there is no figure."""
        if self.figure is None:
            return "SKIPPED"
        kept = self.figure >= self.bound if self.at_least else self.figure <= self.bound
        return "PASS" if kept else "SHORT"

    def line(self) -> str:
        """One line of the verdict list."""
        bound = f"{'at least' if self.at_least else 'at most'} {number(self.bound)}{self.unit}"
        figure = self.why_missing if self.figure is None else f"{number(self.figure)}{self.unit}"
        return f"{self.verdict:7} {self.text}: {figure} ({bound})"


def number(value: float | None) -> str:
    """Three significant digits, thousands separated; a dash for nothing."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def ratio(part: float | None, whole: float | None) -> float | None:
    """`part / whole`, None where either is missing or the divisor is zero."""
    return part / whole if part is not None and whole else None


def times(value: float | None) -> str:
    """A ratio as it stands in a table."""
    return "-" if value is None else f"{number(value)}x"
