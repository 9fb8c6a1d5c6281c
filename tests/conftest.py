"""Fixtures that every test gets, and the few that many ask for.

An exception that leaves a thread fails the test by way of the warning filters in pyproject.toml.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.leaks import Census
from tests.ports import reserved_port
from tests.process import PythonRunner
from upbit_ws.testing import ManualClock
from upbit_ws.wire.wakeup import Wakeup

if TYPE_CHECKING:
    from tests.canaries import Watch
    from upbit_ws.sandbox import Sandbox

if find_spec("upbit_ws.shared.locks") is not None:
    # Before any lock is made: from here on a thread that takes one lock while holding another fails at once.
    from upbit_ws.shared.locks import enable_lock_ranks

    enable_lock_ranks()

# An example may take long beside others that compute. With `--hypothesis-profile=few` fewer are tried, where they were
# tried before: a test run once more, on another Python.
# A test that is repeated (`--count`) has another instance of its class each time, which holds nothing.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.differing_executors])
settings.load_profile("usual")
settings.register_profile("few", max_examples=15)

#: A test that is still there so many seconds after its timeout holds the interpreter.
_HELD = 5.0
_stderr = 2

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and processes of the tests would inherit it: Ctrl-C is tested here.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """How many processes share the tests: most tests wait for something, so two for each processor."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # xdist obeys
    if os.environ.get("RELIABILITY_RESULTS"):
        return 0  # what is measured for the page is measured alone
    if config.option.markexpr == "conformance":
        return 0  # its tests share one run of the cases
    named = config.option.file_or_dir
    if named and not any(Path(name).is_dir() for name in named):
        return 0  # a few files are done sooner than processes have begun
    return max(2, min(8, 2 * (os.cpu_count() or 1)))


def patience(item: pytest.Item) -> float:
    """How many seconds a test may take; 0: any number."""
    mark = item.get_closest_marker("timeout")
    given = mark.args[0] if mark is not None and mark.args else item.config.getoption("timeout")
    return float(item.config.getini("timeout") if given is None else given)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take longest begins first, so that no process is left alone with it at the end."""
    items.sort(key=patience, reverse=True)


def pytest_configure() -> None:
    global _stderr
    _stderr = os.dup(2)  # nothing is captured yet


def pytest_unconfigure() -> None:
    os.close(_stderr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Where all threads are, of a test that holds the interpreter for ever, so that its timeout cannot end it.

    Not a moment before: `faulthandler` looks at threads while they run, and now and then that crashes the process
    (`faulthandler_timeout`, which knows one time for all tests, did so with healthy ones).
    """
    limit = patience(item)
    if limit:
        faulthandler.dump_traceback_later(limit + _HELD, file=_stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_collection_finish() -> None:
    """What collecting has made stays to the end, and the collector need not go through it again and again: on a busy
    machine that halts every thread for half a second, in the middle of what is timed.
    """
    gc.collect()
    gc.freeze()


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


@pytest.fixture
def frozen_heap() -> Iterator[None]:
    """What was there before is no concern of the collector, which this test has look at everything hundreds of times: what
    thousands of tests have left costs each look a good part of a second on a busy machine.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # as it was, see above


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where processes that a test starts find the file of the rate limits that they share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> None:
    """A developer's own settings, keys above all, do not reach the tests, and the tests leave nothing in the home."""
    for name in [name for name in os.environ if name.startswith("UPBIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_folder))


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
            port = stack.enter_context(reserved_port())
            return stack.enter_context(Sandbox(SandboxConfig(**{"port": port, "seed": 1, **settings})))

        yield make


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    """What wakes a thread that waits for a socket."""
    made = Wakeup()
    yield made
    made.close()


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
