"""The tables of the documentation name what is in the sources."""

from __future__ import annotations

import ast
import re

from tests.imports import Module, modules
from tests.process import ROOT
from upbit_ws.types import ConnectionState

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return ARCHITECTURE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_column(title: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)`", section(title), re.MULTILINE))


def first_arguments(module: Module, function: str) -> set[str]:
    """The texts given as first argument to a function; what an f-string puts in stands in brackets: `<endpoint>`."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
            elif isinstance(first, ast.JoinedStr):
                found.add("".join(_part(part) for part in first.values))
    return found


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.FormattedValue):
        return f"<{ast.unparse(part.value).split('.')[-1]}>"
    assert isinstance(part, ast.Constant)
    return str(part.value)


def test_every_lock_is_in_the_table_and_no_other() -> None:
    assert first_column("Locks") == {name for module in modules() for name in first_arguments(module, "make_lock")}


def test_every_thread_is_in_the_table_and_no_other() -> None:
    own = [module for module in modules() if module.folder not in ("sandbox", "testing")]
    named = {
        name for module in own for call in ("spawn", "Monitor", "Successor") for name in first_arguments(module, call)
    }

    assert first_column("Threads") == named


def test_every_state_of_a_connection_is_explained() -> None:
    assert first_column("Connections and epochs") == {state.value for state in ConnectionState}


def test_every_folder_is_in_the_table() -> None:
    folders = {f"{module.folder}/" for module in modules()} - {"face/", "vocabulary/"}

    assert first_column("Folders") == folders


def test_every_link_between_documents_leads_somewhere() -> None:
    for path in (ROOT / "docs").glob("*.md"):
        targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
        assert [target for target in targets if not (path.parent / target).exists()] == []
