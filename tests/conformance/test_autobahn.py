"""The transport against the Autobahn cases, all of them. The slowest test there is: the cases move 22 GB."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator

import pytest

from tests.conformance.report import published, row, table
from tests.conformance.suite import Verdict, run_parts, total_cases

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(3600)]

_verdicts: list[Verdict] = []


@pytest.fixture
def verdicts() -> list[Verdict]:
    """One run for all tests of this module."""
    if not _verdicts:
        faulthandler.cancel_dump_traceback_later()  # it is going to take minutes, and that is no hang
        _verdicts.extend(run_parts())
    return _verdicts


@pytest.fixture(autouse=True)
def _counts_are_shown(capsys: pytest.CaptureFixture[str], verdicts: list[Verdict]) -> Iterator[None]:
    yield
    with capsys.disabled():
        print(f"\n{row('cases, OK, NON-STRICT, INFORMATIONAL, UNIMPLEMENTED, FAILED, ERROR, bad close', verdicts)}")


def test_every_case_is_passed_and_closed_with_the_right_code(verdicts: list[Verdict]) -> None:
    bad = [
        verdict
        for verdict in verdicts
        if verdict.behavior not in ("OK", "NON-STRICT", "INFORMATIONAL") or verdict.close not in ("OK", "INFORMATIONAL")
    ]

    assert bad == []
    assert [verdict.case for verdict in verdicts if verdict.behavior == "NON-STRICT"] == ["6.4.3", "6.4.4"]
    assert len(verdicts) == total_cases()


def test_the_published_table_is_what_the_run_gives(verdicts: list[Verdict]) -> None:
    assert published() == table(verdicts)[2:]
