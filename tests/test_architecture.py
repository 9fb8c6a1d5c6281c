"""The rules of the folders, checked on the sources: who may import whom, who makes threads and locks, who is pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.imports import FACE, PACKAGE, VOCABULARY, Module, modules

CORE = {VOCABULARY, "protocol", "shared", "wire", "runtime", "client"}

# What each folder may import of the package. Who imports `FACE` (the package itself) imports everything: a circle for
# all but those who stand outside.
MAY_IMPORT: dict[str, set[str]] = {
    VOCABULARY: {VOCABULARY},
    "protocol": {VOCABULARY, "protocol"},
    "shared": {VOCABULARY, "protocol", "shared"},
    "wire": {VOCABULARY, "protocol", "wire"},
    "runtime": CORE - {"client"},
    "client": CORE,
    FACE: CORE,
    # An exchange of its own: it shares the tables with the client, and none of the client's code.
    "sandbox": {VOCABULARY, "sandbox"},
    # What users hold, nothing behind it; and REST, for the list of markets.
    "cli": {FACE, VOCABULARY, "client", "wire", "sandbox", "cli"},
    "testing": {FACE, *CORE, "sandbox", "testing"},
}

NETWORK = (
    "websocket",
    "socket",
    "ssl",
    "requests",
    "urllib3",
    "urllib.request",
    "http.client",
    "http.server",
    "select",
)
LOCKS = ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier")
THREADS = (
    "threading.Thread",
    "threading.Timer",
    "threading._start_joinable_thread",
    "_thread",
    "concurrent.futures",
    "multiprocessing",
    "asyncio",
)
IMPURE = (
    *NETWORK,
    "threading",
    "_thread",
    "time",
    "random",
    "secrets",
    "logging",
    "selectors",
    "asyncio",
    "subprocess",
    "multiprocessing",
    "concurrent",
    "os",
    "io",
    "uuid.uuid1",
    "uuid.uuid4",
    "queue",
)
CLOCKS = ("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today")


def offences(
    said: Callable[[Module], Iterable[str]], *, within: Iterable[str] = (), outside: Iterable[str] = ()
) -> list[str]:
    """What `said` finds in the modules of the folders `within` (all if empty) that are not in `outside`."""
    within, outside = set(within), set(outside)
    return [
        f"{module.where}: {what}"
        for module in modules()
        if (not within or module.folder in within) and module.folder not in outside
        for what in said(module)
    ]


def imports_of(*banned: str) -> Callable[[Module], Iterator[str]]:
    def said(module: Module) -> Iterator[str]:
        for found in module.imports():
            if found.is_of(*banned) and not found.only_for_types:
                yield f"line {found.line} imports {found.dotted}"

    return said


def calls_of(*banned: str) -> Callable[[Module], Iterator[str]]:
    def said(module: Module) -> Iterator[str]:
        for name, line in module.calls():
            if name in banned:
                yield f"line {line} calls {name}"

    return said


def test_imports_point_one_way_only() -> None:
    def said(module: Module) -> Iterator[str]:
        for found in module.imports():
            if found.folder is not None and found.folder not in MAY_IMPORT[module.folder]:
                yield f"line {found.line} imports {found.dotted}"

    assert {module.folder for module in modules()} <= set(MAY_IMPORT), "a new folder needs a rule, with its reason"
    assert offences(said) == []


def test_only_wire_touches_the_network() -> None:
    assert offences(imports_of(*NETWORK), outside={"wire", "sandbox", "testing"}) == []


def test_the_protocol_is_pure() -> None:
    """Values in, values out: no thread, lock, socket, clock, chance or log."""
    assert offences(imports_of(*IMPURE), within={"protocol"}) == []
    assert offences(calls_of(*CLOCKS, "open", "print", "input"), within={"protocol"}) == []


def test_the_vocabulary_is_pure_too() -> None:
    """Except that the environment is read, for the base URL and the keys."""
    banned = [name for name in IMPURE if name != "os"]
    assert offences(imports_of(*banned), within={VOCABULARY}) == []


def test_only_one_factory_of_the_runtime_makes_threads() -> None:
    made = offences(calls_of(*THREADS), outside={"sandbox", "testing"})
    made += offences(imports_of(*THREADS[3:]), outside={"sandbox", "testing"})
    elsewhere = [line for line in made if not line.startswith("upbit_ws/runtime/threads.py:")]
    assert elsewhere == []
    assert offences(_thread_subclasses, outside={"sandbox", "testing"}) == []


def _thread_subclasses(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Thread") for base in node.bases):
            yield f"line {node.lineno} makes {node.name} a thread"


def test_only_shared_makes_locks() -> None:
    banned = [f"threading.{name}" for name in LOCKS] + ["queue.Queue", "queue.LifoQueue", "queue.PriorityQueue"]
    assert offences(calls_of(*banned), outside={"shared", "sandbox", "testing"}) == []


def test_no_lock_comes_in_through_a_decorator() -> None:
    """`cached_property` of Python 3.10 and 3.11 has one for all objects of a class, and forked children wait for it."""
    assert offences(imports_of("functools.cached_property")) == []


def test_nothing_sleeps() -> None:
    """Who waits, waits for something: an event, a condition, a selector."""

    def said(module: Module) -> Iterator[str]:
        for name, line in module.calls():
            if name.split(".")[-1] == "sleep":
                yield f"line {line} calls {name}"

    assert offences(said) == []


def test_only_the_command_prints() -> None:
    assert offences(calls_of("print", "sys.stdout.write", "sys.stderr.write"), outside={"cli"}) == []


def test_no_exception_is_swallowed() -> None:
    def said(module: Module) -> Iterator[str]:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler) and all(isinstance(inner, ast.Pass) for inner in node.body):
                kind = ast.unparse(node.type) if node.type else "everything"
                if kind in ("everything", "Exception", "BaseException"):
                    yield f"line {node.lineno} swallows {kind}"

    assert offences(said) == []


def test_annotations_are_never_evaluated_at_import() -> None:
    def said(module: Module) -> Iterator[str]:
        annotated = any(isinstance(node, ast.AnnAssign | ast.FunctionDef) for node in ast.walk(module.tree))
        if annotated and not any(found.module == "__future__" for found in module.imports()):
            yield "has no `from __future__ import annotations`"

    assert offences(said) == []


def test_nothing_happens_at_import_through_a_star() -> None:
    def said(module: Module) -> Iterator[str]:
        yield from (f"line {found.line}" for found in module.imports() if found.name == "*")

    assert offences(said) == []


def test_modules_functions_and_constructors_stay_small() -> None:
    """The house aims lower (350 lines, 35 lines, 8 parameters); beyond these bounds it is more than one thing."""

    def said(module: Module) -> Iterator[str]:
        if module.lines_of_code() > 400:
            yield f"{module.lines_of_code()} lines of code"
        for function in module.functions():
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > 60:
                yield f"{function.name}() has {length} lines"
            if function.name == "__init__" and len(function.args.args + function.args.kwonlyargs) > 9:
                yield f"line {function.lineno}: a constructor with more than 8 parameters wants a config record"

    assert offences(said) == []


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import socket", "socket"),
        ("from socket import create_connection", "socket.create_connection"),
        ("def f():\n    import ssl", "ssl"),
        ("from http import client", "http.client"),
        ("import requests.adapters", "requests.adapters"),
    ],
)
def test_the_reader_of_imports_misses_no_spelling(statement: str, expected: str) -> None:
    module = Module(PACKAGE / "protocol" / "made_up.py", ast.parse(statement), statement)

    assert [expected in line for line in imports_of(*NETWORK)(module)] == [True]


@pytest.mark.parametrize(
    "source",
    ["import threading\nthreading.Lock()", "from threading import Lock\nLock()", "import threading as t\nt.Lock()"],
)
def test_the_reader_of_calls_sees_through_names(source: str) -> None:
    module = Module(PACKAGE / "made_up.py", ast.parse(source), source)

    assert list(calls_of("threading.Lock")(module)) == [f"line {source.count(chr(10)) + 1} calls threading.Lock"]
