"""The catalogue of faults as data (`rows.json`), and which test function is which row."""

from __future__ import annotations

import ast
import functools
import json
import re
from pathlib import Path

from attrs import frozen

__all__ = ["Row", "not_run", "promises", "row_of", "rows", "tests_by_row", "tests_without_invariants"]

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


def tests_without_invariants() -> set[str]:
    """Names of row tests whose fixtures do not lead to `invariants`, read from the sources."""
    unwatched: set[str] = set()
    shared = _fixtures(FOLDER / "conftest.py")
    for path in sorted(FOLDER.glob("test_*.py")):
        fixtures = {**shared, **_fixtures(path)}
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and row_of(node.name) and not _leads(_needs(node), fixtures):
                unwatched.add(node.name)
    return unwatched


def _fixtures(path: Path) -> dict[str, set[str]]:
    """Fixture -> the fixtures that it asks for."""
    found = ast.parse(path.read_text("utf-8")).body
    return {
        node.name: _needs(node)
        for node in found
        if isinstance(node, ast.FunctionDef) and any("fixture" in ast.unparse(mark) for mark in node.decorator_list)
    }


def _needs(function: ast.FunctionDef) -> set[str]:
    return {argument.arg for argument in function.args.args}


def _leads(names: set[str], fixtures: dict[str, set[str]]) -> bool:
    """Whether these fixtures ask for `invariants`, at however many removes."""
    return "invariants" in names or any(_leads(fixtures[name], fixtures) for name in names if name in fixtures)
