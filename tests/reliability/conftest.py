"""The rig with its invariants, and the record of what was measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.catalogue import row_of
from tests.reliability.invariants import Invariants
from tests.reliability.page import main as write_page
from tests.reliability.recorder import RESULTS, VARIABLE, Recorder
from tests.reliability.rig import Rig
from upbit_ws.testing import CertificateAuthority

_recorder = Recorder()
#: Calls it with a figure and its bound.
Record = Callable[..., None]


def _name_of(item: pytest.Item) -> str:
    """`file::function`, without the parameters."""
    function = getattr(item, "originalname", None) or item.name
    return f"{item.path.name}::{function}"


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """`record("A1", figure="0.08 s", bound="0.25 s")`: what this test has measured, for `docs/reliability.md`."""

    def keep(row: str, *, figure: str, bound: str = "") -> None:
        assert row_of(request.node.name) == row, f"{request.node.name} does not prove row {row}"
        _recorder.record(_name_of(request.node), figure, bound)

    return keep


@pytest.fixture
def invariants() -> Iterator[Invariants]:
    """I1 to I10 hold when the test is over, for everything that was made with `rig`."""
    watched = Invariants()
    watched.begin()
    try:
        yield watched
        broken = watched.check()
    finally:
        watched.end()
    assert broken == []


@pytest.fixture
def rig(invariants: Invariants) -> Iterator[Rig]:
    """Servers and clients on demand. All managers close before the servers do."""
    with ExitStack() as stack:
        made = Rig(invariants, stack)
        try:
            yield made
            # While the servers still stand: what the exchange was told last is compared with what is wanted.
            broken = invariants.check()
        finally:
            for manager in invariants.managers:
                manager.close()
        assert broken == []
        assert [server.errors for server in made.servers if server.errors] == []


@pytest.fixture(scope="session")
def authority() -> CertificateAuthority:
    return CertificateAuthority()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    report = yield
    row = row_of(item.name)
    if row is not None and (report.when == "call" or report.outcome != "passed"):
        outcome = "xfailed" if hasattr(report, "wasxfail") and report.outcome == "skipped" else report.outcome
        _recorder.finish(_name_of(item), outcome)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = os.environ.get(VARIABLE)
    if path:
        if hasattr(session.config, "workerinput"):
            raise pytest.UsageError(f"{VARIABLE} is written by one process: pytest -n 0")
        _recorder.write(Path(path))
        if Path(path).resolve() == RESULTS:
            write_page([])
