"""The catalogue of faults as data (`rows.json`), and which test function is which row."""

from __future__ import annotations

import ast
import functools
import json
import re
from pathlib import Path

from attrs import frozen

__all__ = ["Row", "not_run", "promises", "row_of", "rows", "tests_by_row"]

FOLDER = Path(__file__).resolve().parent
_ROW_NAME = re.compile(r"test_([A-KP]\d+)(?:_|\[|\Z)")


@frozen
class Row:
    """One fault of the catalogue, or one of the figures that the SDK promises (their ids begin with P)."""

    id: str
    title: str
    expected: str
    section: str = ""


@functools.cache
def _stored() -> dict[str, object]:
    stored: dict[str, object] = json.loads((FOLDER / "rows.json").read_text("utf-8"))
    return stored


def rows() -> tuple[Row, ...]:
    """All faults, in the order of the catalogue."""
    return tuple(Row(**row) for row in _stored()["rows"])  # type: ignore[attr-defined]


def promises() -> tuple[Row, ...]:
    """The figures that hold whatever the fault is called."""
    return tuple(Row(**row) for row in _stored()["promises"])  # type: ignore[attr-defined]


def not_run() -> dict[str, str]:
    """Rows without a test of their own, and what covers them instead."""
    return dict(_stored()["not_run"])  # type: ignore[call-overload]


def row_of(test_name: str) -> str | None:
    """The row that a test function proves, by its name: `test_A1_...` is row A1."""
    found = _ROW_NAME.match(test_name)
    return found[1] if found else None


def tests_by_row() -> dict[str, list[str]]:
    """Row -> its test functions, as `file::name`, read from the sources so that what was not run is known as well."""
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            row = row_of(node.name) if isinstance(node, ast.FunctionDef) else None
            if row is not None and isinstance(node, ast.FunctionDef):
                found.setdefault(row, []).append(f"{path.name}::{node.name}")
    return found
