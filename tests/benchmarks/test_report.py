"""Tables, verdicts and the documentation page, from results made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.clients.system_calls import parse_summary
from benchmarks.measures import MEASURES, throughput
from benchmarks.runner import middle, paired_ratio
from benchmarks.tables import Target
from tests.process import PythonRunner


def rounds(*rates: float) -> list[dict[str, Any]]:
    return [
        {"per_second": rate, "cpu_us_per_message": 1e6 / rate, "duplicates": 0, "out_of_order": 0, "decode_errors": 0}
        for rate in rates
    ]


@pytest.fixture
def run() -> dict[str, Any]:
    plain = {
        "upbit_ws": rounds(600_000, 500_000, 550_000),
        "picows": rounds(300_000, 250_000, 275_000),
        "websocket-client": rounds(80_000, 100_000, 90_000),
        "upbit-sdk": [{"error": "broken"}, {"error": "broken"}],
    }
    return {
        "machine": report.describe_machine(),
        "quick": False,
        "rounds": 3,
        "window": 2.0,
        "skipped": {"ccxt": "not installed: ccxt"},
        "measures": {"throughput": {"plain": plain}},
    }


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    assert paired_ratio(rounds(10, 30, 20), rounds(10, 10, 10), "per_second") == 2
    assert paired_ratio(rounds(10), [{"error": "broken"}], "per_second") is None


def test_the_median_leaves_failed_rounds_out() -> None:
    assert middle([*rounds(1, 3), {"error": "broken"}], "per_second") == 2
    assert middle([{"error": "broken"}], "per_second") is None


@pytest.mark.parametrize(
    ("figure", "at_least", "verdict"),
    [(1.5, True, "PASS"), (1.49, True, "SHORT"), (1.5, False, "PASS"), (1.51, False, "SHORT"), (None, True, "SKIPPED")],
)
def test_a_target_is_met_at_its_bound_and_skipped_without_a_figure(
    figure: float | None, at_least: bool, verdict: str
) -> None:
    assert Target("speed", figure, 1.5, at_least=at_least).verdict == verdict


def test_targets_compare_with_the_peers_of_the_same_run(run: dict[str, Any]) -> None:
    verdicts = {target.text: target.verdict for target in throughput.targets(run["measures"]["throughput"])}
    assert verdicts["into the pool, against picows + orjson"] == "PASS"
    assert verdicts["into the pool, against the official SDK"] == "SKIPPED"
    assert verdicts["over TLS, against picows + orjson"] == "SKIPPED"


def test_a_dropped_message_spoils_a_target(run: dict[str, Any]) -> None:
    run["measures"]["throughput"]["plain"]["upbit_ws"][1]["duplicates"] = 3
    spoiled = throughput.targets(run["measures"]["throughput"])[-1]
    assert (spoiled.verdict, spoiled.figure) == ("SHORT", 3)


def test_the_page_names_ratios_skipped_peers_and_failures(run: dict[str, Any]) -> None:
    page = report.markdown(run)
    assert "| upbit_ws, into the pool | 550,000 | 6.11x |" in page
    assert "ccxt (not installed: ccxt)" in page
    assert "- throughput / plain / upbit-sdk: broken" in page


def test_only_what_stands_between_the_markers_is_replaced(run: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Performance\n\n{report.BEGIN}\nold\n{report.END}\n\n## After\n")
    report.write_docs(run, page, [tmp_path / "images" / "growth.png"])
    text = page.read_text()
    assert text.startswith("# Performance\n")
    assert text.endswith("\n\n## After\n")
    assert "old" not in text
    assert "![growth](images/growth.png)" in text


def test_a_page_without_markers_is_refused_and_left_alone(run: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Performance\n")
    with pytest.raises(ValueError, match="lacks"):
        report.write_docs(run, page, [])
    assert page.read_text() == "# Performance\n"


def test_a_run_can_be_reported_again_from_its_file(
    run: dict[str, Any], tmp_path: Path, run_python: PythonRunner
) -> None:
    pytest.importorskip("matplotlib")
    source = tmp_path / "earlier.json"
    source.write_text(json.dumps(run))
    # In a process of its own, because matplotlib keeps font files open.
    done = run_python(["-m", "benchmarks", "--from", str(source), "--out", str(tmp_path / "out")])
    assert done.returncode == 0, done.stderr
    assert "PASS    into the pool, against picows + orjson: 2x (at least 1.5x)" in done.stdout
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == run
    assert (tmp_path / "out" / "throughput-plain.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_fails_when_a_target_is_short(
    run: dict[str, Any], tmp_path: Path, run_python: PythonRunner
) -> None:
    pytest.importorskip("matplotlib")
    run["measures"]["throughput"]["plain"]["upbit_ws"] = rounds(300_000, 250_000, 275_000)
    source = tmp_path / "earlier.json"
    source.write_text(json.dumps(run))
    done = run_python(["-m", "benchmarks", "--from", str(source), "--out", str(tmp_path / "out")])
    assert done.returncode == 1
    assert "SHORT   into the pool, against picows + orjson: 1x" in done.stdout


def test_every_measure_reports_targets_even_of_nothing() -> None:
    empty: dict[str, Any] = {"syscalls": {"full": {}}, "imports": {"rounds": {"base": []}}}
    for name, measure in MEASURES.items():
        for target in measure.targets(empty.get(name, {})):
            assert target.verdict == "SKIPPED"


def test_counts_are_read_from_the_table_of_strace() -> None:
    table = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 88.99    0.000210           5        40           recvfrom
  6.36    0.000015           1        12         3 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.000236           4        52         3 total
"""
    assert parse_summary(table) == {"recvfrom": 40, "futex": 12}
