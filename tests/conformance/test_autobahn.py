"""The transport against the Autobahn cases, all of them. The slowest test there is: the cases move 22 GB.

With CONFORMANCE_GROUPS=2 it is a sample: the long cases of two groups of compression, drawn afresh each time and shown.
"""

from __future__ import annotations

import faulthandler
import os
import random
from collections.abc import Iterator

import pytest

from tests.conformance.report import published, row, table
from tests.conformance.suite import GROUPS, LONG_CASES, PARTS, Verdict, run_parts, sample, total_cases

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(3600)]

_verdicts: list[Verdict] = []
#: The groups whose long cases are run; all of them unless a sample is asked for.
_whole = random.SystemRandom().sample(GROUPS, min(int(os.environ.get("CONFORMANCE_GROUPS") or len(GROUPS)), len(GROUPS)))
_is_sample = len(_whole) < len(GROUPS)


@pytest.fixture
def verdicts() -> list[Verdict]:
    """One run for all tests of this module."""
    if not _verdicts:
        faulthandler.cancel_dump_traceback_later()  # it is going to take minutes, and that is no hang
        _verdicts.extend(run_parts(sample(_whole) if _is_sample else PARTS))
    return _verdicts


@pytest.fixture(autouse=True)
def _counts_are_shown(capsys: pytest.CaptureFixture[str], verdicts: list[Verdict]) -> Iterator[None]:
    yield
    with capsys.disabled():
        if _is_sample:
            print(f"\na sample: the long cases of {', '.join(_whole)} only", end="")
        print(f"\n{row('cases, OK, NON-STRICT, INFORMATIONAL, UNIMPLEMENTED, FAILED, ERROR, bad close', verdicts)}")


def test_every_case_is_passed_and_closed_with_the_right_code(verdicts: list[Verdict]) -> None:
    bad = [
        verdict
        for verdict in verdicts
        if verdict.behavior not in ("OK", "NON-STRICT", "INFORMATIONAL") or verdict.close not in ("OK", "INFORMATIONAL")
    ]

    assert bad == []
    assert [verdict.case for verdict in verdicts if verdict.behavior == "NON-STRICT"] == ["6.4.3", "6.4.4"]
    assert len(verdicts) == total_cases() - len(LONG_CASES) * (len(GROUPS) - len(_whole))


@pytest.mark.skipif(_is_sample, reason="a sample has fewer cases than the table")
def test_the_published_table_is_what_the_run_gives(verdicts: list[Verdict]) -> None:
    assert published() == table(verdicts)[2:]
