"""The catalogue, its tests and the page made of both belong together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.reliability import catalogue
from tests.reliability.catalogue import not_run, promises, row_of, rows
from tests.reliability.page import PAGE, main, page
from tests.reliability.recorder import Recorder, load


def test_there_are_152_rows() -> None:
    counted = Counter(row.id[0] for row in rows())
    assert dict(counted) == {
        "A": 25,
        "B": 19,
        "C": 12,
        "D": 17,
        "E": 9,
        "F": 15,
        "G": 7,
        "H": 18,
        "I": 13,
        "J": 8,
        "K": 9,
    }
    assert len({row.id for row in rows()}) == 152


def test_every_test_that_is_named_after_a_row_names_one_that_exists() -> None:
    known = {row.id for row in (*rows(), *promises())}
    assert set(catalogue.tests_by_row()) <= known
    assert set(not_run()) <= known


def test_no_row_has_both_a_test_and_an_excuse() -> None:
    assert set(not_run()) & set(catalogue.tests_by_row()) == set()


#: Row tests for which the ten invariants are not checked by a fixture, and why.
UNWATCHED = {
    "test_E8_a_bundle_of_authorities_that_is_not_there": "is refused before there is a manager",
    "test_E9_a_context_that_believes_anybody": "is refused before there is a manager",
    "test_H12_signal_handlers_may_pull_and_close": "its program checks them itself",
    "test_H13_a_keyboard_interrupt_ends_a_wait_at_once_and_leaves_all_in_order": "its program checks them itself",
    "test_I11_a_second_import_brings_no_second_hook_and_no_thread": "imports, and makes nothing",
    "test_I12_sub_interpreters_are_documented_as_unsupported": "looks at the documentation",
    "test_J3_clients_come_and_go": "thousands of managers that never connect",
    "test_J3_ten_thousand_clients_come_and_go": "thousands of managers that never connect",
    "test_J4_memory_does_not_grow_with_messages": "a pool and callbacks without a manager",
    "test_J4_memory_does_not_grow_with_a_million_messages": "a pool and callbacks without a manager",
    "test_K2_a_key_that_cannot_sign_does_not_show_either": "is refused before there is a manager",
}


def test_the_invariants_are_checked_after_every_row() -> None:
    assert catalogue.tests_without_invariants() == set(UNWATCHED)


@pytest.mark.parametrize(
    ("name", "row"),
    [("test_A1_a_reset", "A1"), ("test_A10_x[y]", "A10"), ("test_B14[9-True]", "B14"), ("test_all_is_well", None)],
)
def test_a_row_is_recognised_by_its_tests_name(name: str, row: str | None) -> None:
    assert row_of(name) == row


def test_the_worst_outcome_of_a_parametrized_test_counts() -> None:
    recorder = Recorder()
    for outcome in ("passed", "failed", "passed"):
        recorder.finish("test_a.py::test_A1_x", outcome)
    assert recorder.outcomes == {"test_a.py::test_A1_x": "failed"}


def test_what_is_skipped_here_keeps_its_last_real_run(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first = Recorder()
    first.record("test_a.py::test_A8_x", "15 s", "16 s")
    first.finish("test_a.py::test_A8_x", "passed")
    first.write(path)
    second = Recorder()
    second.finish("test_a.py::test_A8_x", "skipped")
    second.write(path)
    assert load(path)["test_a.py::test_A8_x"]["figure"] == "15 s"


def test_the_page_shows_figure_bound_and_test() -> None:
    name = next(name for name in catalogue.tests_by_row()["A1"])
    text = page({name: {"outcome": "passed", "figure": "77 ms", "bound": "1 s", "at": "2026-01-01"}})
    line = next(line for line in text.splitlines() if line.startswith("| A1 |"))
    assert "77 ms | 1 s" in line
    assert f"`{name.partition('::')[2]}` |" in line


def test_a_row_that_was_not_run_says_so() -> None:
    assert next(line for line in page({}).splitlines() if line.startswith("| A1 |")).endswith("| none yet |")


def test_a_failed_row_does_not_hide() -> None:
    name = catalogue.tests_by_row()["A1"][0]
    text = page({name: {"outcome": "failed", "figure": "", "bound": "", "at": "2026-01-01"}})
    assert next(line for line in text.splitlines() if line.startswith("| A1 |")).endswith("` (failed) |")
    assert "0 of 152 rows passed" in text


def test_the_page_is_what_the_last_recorded_run_says() -> None:
    assert main(["--check"]) == 0, f"{PAGE.name} is old: python -m tests.reliability.page"
