"""The sources of the package, read as syntax trees: what imports what, what calls what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import field, frozen

from tests.process import ROOT

PACKAGE = ROOT / "upbit_ws"
FACE = "face"
VOCABULARY = "vocabulary"


@frozen
class Import:
    """One imported name: `from a.b import c` is the module `a.b` and the name `c`; `import a.b` has no name.

    `alias` is what the importing module calls it.
    """

    module: str
    name: str | None
    alias: str
    line: int
    only_for_types: bool

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module

    @property
    def folder(self) -> str | None:
        """Where in the package it points, in the words of `Module.folder`; None for what is not of the package."""
        package, _, inner = self.dotted.partition(".")
        if package != PACKAGE.name:
            return None
        first = inner.split(".")[0]
        if (PACKAGE / first).is_dir() and first:
            return first
        inside = self.module != package or (PACKAGE / f"{first}.py").is_file()
        return VOCABULARY if inside else FACE

    def is_of(self, *modules: str) -> bool:
        """Is it one of these modules, something inside one, or a name of one (`threading`, `os.urandom`)?"""
        return any(f"{self.dotted}.".startswith(f"{module}.") for module in modules)


@frozen(eq=False)
class Module:
    """One source file."""

    path: Path
    tree: ast.Module = field(repr=False)
    source: str = field(repr=False)

    @property
    def where(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def folder(self) -> str:
        """The first folder below the package, `FACE` for the package's own `__init__.py`, `VOCABULARY` beside it."""
        parts = self.path.relative_to(PACKAGE).parts
        if len(parts) > 1:
            return parts[0]
        return FACE if parts == ("__init__.py",) else VOCABULARY

    @cache  # noqa: B019 - the modules live as long as the tests
    def imports(self) -> tuple[Import, ...]:
        """Every import statement, those inside functions included; relative ones are made absolute."""
        return tuple(self._imports())

    def _imports(self) -> Iterator[Import]:
        for_types = {id(inner) for block in _type_checking_blocks(self.tree) for inner in ast.walk(block)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    local = alias.asname or alias.name.split(".")[0]
                    yield Import(alias.name, None, local, node.lineno, id(node) in for_types)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    local = alias.asname or alias.name
                    yield Import(self._absolute(node), alias.name, local, node.lineno, id(node) in for_types)

    @cache  # noqa: B019
    def calls(self) -> tuple[tuple[str, int], ...]:
        """Every call by its dotted name as the imports resolve it: `Lock()` after `from threading import Lock` is
        `threading.Lock`. What is called on a value keeps the value's name: `self._clock`."""
        return tuple(self._calls())

    def _calls(self) -> Iterator[tuple[str, int]]:
        # `import a.b` binds `a`, but `import a.b as c` binds the inner module.
        known = {
            found.alias: found.alias if found.module.startswith(f"{found.alias}.") and not found.name else found.dotted
            for found in self.imports()
        }
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                head, _, rest = _dotted(node.func).partition(".")
                resolved = known.get(head, head)
                yield (f"{resolved}.{rest}" if rest else resolved), node.lineno

    def lines_of_code(self) -> int:
        """Lines that hold code: no blank ones, comments or docstrings."""
        documentation: set[int] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str):
                documentation.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        return sum(
            1
            for number, line in enumerate(self.source.splitlines(), start=1)
            if number not in documentation and line.strip() and not line.lstrip().startswith("#")
        )

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        base = self.path.relative_to(ROOT).with_suffix("").parts[: -node.level]
        return ".".join([*base, *filter(None, [node.module])])


def _type_checking_blocks(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and _dotted(node.test).endswith("TYPE_CHECKING"):
            yield from node.body


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


@cache
def modules() -> tuple[Module, ...]:
    """All modules of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        found.append(Module(path, ast.parse(source, str(path)), source))
    return tuple(found)
