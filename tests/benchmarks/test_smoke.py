"""One tiny run of each kind through the command, with whatever is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import parse
from benchmarks.clients import CLIENTS, SDK, STOCK
from benchmarks.load import LoadGenerator
from benchmarks.runner import Bench, run_client
from tests.process import PythonRunner


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, True, 1, 0.1, 1.0)


@pytest.mark.parametrize(
    "name", [name if name in (SDK, STOCK) else pytest.param(name, marks=pytest.mark.slow) for name in CLIENTS]
)
def test_each_client_that_is_installed_counts_messages(name: str, bench: Bench) -> None:
    client = CLIENTS[name]
    if client.missing:
        pytest.skip(f"{', '.join(client.missing)} not installed")
    with LoadGenerator(bench.settings(client.transports[-1], symbols=5)) as generator:
        result = run_client(name, bench.task(generator), timeout=30)
    assert "error" not in result, result
    assert result["messages"] > 0
    assert result["cpu_us_per_message"] > 0


def test_a_client_that_fails_is_a_line_of_the_report_and_not_an_exception(bench: Bench) -> None:
    with LoadGenerator(bench.settings()) as generator:
        task = bench.task(generator)
    result = run_client("websocket-client", task, timeout=30)  # the generator is gone
    assert "refused" in result["error"]


def test_the_command_writes_tables_plots_and_verdicts(tmp_path: Path, run_python: PythonRunner) -> None:
    pytest.importorskip("matplotlib")
    done = run_python(
        ["-m", "benchmarks", "--quick", "--only", "imports", "--out", str(tmp_path), "--clients", "websocket-client"]
    )
    assert done.returncode == 0, done.stderr
    run = json.loads((tmp_path / "results.json").read_text())
    assert list(run["measures"]) == ["imports"]
    assert "import upbit_ws, more than attrs, orjson, websocket" in done.stdout
    assert "### Import time" in (tmp_path / "results.md").read_text()


def test_an_unknown_measure_is_refused_with_the_names_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--only", "speed"])
    assert "throughput" in capsys.readouterr().err
