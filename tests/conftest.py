"""Fixtures that every test gets, and the few that many ask for.

An exception that leaves a thread fails the test by way of the warning filters in pyproject.toml.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.leaks import Census
from tests.process import PythonRunner
from upbit_ws.testing import ManualClock

if TYPE_CHECKING:
    from tests.canaries import Watch
    from upbit_ws.sandbox import Sandbox

if find_spec("upbit_ws.shared.locks") is not None:
    # Before any lock is made: from here on a thread that takes one lock while holding another fails at once.
    from upbit_ws.shared.locks import enable_lock_ranks

    enable_lock_ranks()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("linux") and not sys.platform.startswith("linux"):
        pytest.skip("needs Linux")
    if item.get_closest_marker("root") and (not hasattr(os, "geteuid") or os.geteuid() != 0):
        pytest.skip("needs root")


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    """Threads, sockets and file descriptors are back to where they were after every test."""
    before = Census.take()
    yield
    leaks = before.leaks()
    if leaks:
        pytest.fail("the test left behind: " + "; ".join(leaks), pytrace=False)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings, keys above all, do not reach the tests."""
    for name in [name for name in os.environ if name.startswith("UPBIT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that moves only when the test says so."""
    return ManualClock()


@pytest.fixture
def make_sandbox() -> Iterator[Callable[..., Sandbox]]:
    """Start embedded exchanges; the arguments are those of `SandboxConfig`. All stop after the test."""
    from upbit_ws.sandbox import Sandbox, SandboxConfig

    with ExitStack() as stack:

        def make(**settings: Any) -> Sandbox:
            return stack.enter_context(Sandbox(SandboxConfig(**{"port": 0, "seed": 1, **settings})))

        yield make


@pytest.fixture
def sandbox(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """An embedded exchange with a lively, seeded market on a free port of the loopback."""
    return make_sandbox(rate=50.0)


@pytest.fixture
def no_key_shows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Keys that the test uses are found in no log, error, traceback, report, output, thread name or file of it."""
    from tests.canaries import Watch

    watch = Watch(monkeypatch)
    yield watch
    printed = "".join(text for _, kind, text in request.node._report_sections if kind != "log")
    files = request.node.funcargs.get("tmp_path")
    found = watch.finds(printed, files)
    if found:
        pytest.fail("a key or a token is shown by " + ", ".join(found), pytrace=False)


@pytest.fixture
def run_python() -> Iterator[PythonRunner]:
    """Run this Python in processes of their own, on the same sources as the test."""
    with PythonRunner() as runner:
        yield runner
