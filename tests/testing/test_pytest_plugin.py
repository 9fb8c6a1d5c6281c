"""The fixtures that users get, seen from a project of theirs."""

from __future__ import annotations

import importlib
import re
from importlib.metadata import entry_points

import pytest

from tests.process import ROOT, PythonRunner

pytest_plugins = ["pytester"]

PLUGIN = "upbit_ws.testing.pytest_plugin"


def examples() -> str:
    """The Python of the page."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text("utf-8"), re.DOTALL)[0]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with tests of a user, run in a process of its own on these sources."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    is_installed = any(entry.value == PLUGIN for entry in entry_points(group="pytest11"))
    plugin = () if is_installed else ("-p", PLUGIN)
    return project.runpytest_subprocess(*plugin, "-p", "no:randomly", *options)


def test_what_the_page_shows_passes(project: pytest.Pytester) -> None:
    project.makepyfile(examples())
    run(project, "--strict-markers").assert_outcomes(passed=3)


def test_the_fixtures_are_what_they_say_and_are_listed(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        from upbit_ws.sandbox import Sandbox
        from upbit_ws.testing import FaultProxy, ManualClock

        @pytest.mark.upbit_sandbox(rate=0, seed=9)
        def test_all(upbit_sandbox, fault_proxy, manual_clock):
            assert type(upbit_sandbox) is Sandbox and upbit_sandbox.is_running
            assert (upbit_sandbox.config.seed, upbit_sandbox.config.rate) == (9, 0)
            assert type(fault_proxy) is FaultProxy and fault_proxy.url.startswith("http://127.0.0.1:")
            assert type(manual_clock) is ManualClock
            manual_clock.advance(1)
        """
    )
    run(project).assert_outcomes(passed=1)
    listed = run(project, "--fixtures").stdout.str()
    assert all(name in listed for name in ("upbit_sandbox", "fault_proxy", "manual_clock"))


def test_a_fixture_of_the_project_takes_its_place(project: pytest.Pytester) -> None:
    project.makeconftest("import pytest\n@pytest.fixture\ndef manual_clock():\n    return 'mine'\n")
    project.makepyfile("def test_mine(manual_clock):\n    assert manual_clock == 'mine'\n")
    run(project).assert_outcomes(passed=1)


def test_it_imports_nothing_heavy_before_it_is_used(run_python: PythonRunner) -> None:
    script = """
import sys, pytest
import upbit_ws.testing.pytest_plugin
heavy = ("upbit_ws.sandbox", "cryptography", "jwt", "requests", "websocket", "websockets", "asyncio")
print([name for name in heavy if name in sys.modules])
"""
    done = run_python(["-c", script])
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_setup_cfg_names_it() -> None:
    text = (ROOT / "setup.cfg").read_text("utf-8")
    assert f"pytest11 =\n    upbit_ws = {PLUGIN}\n" in text
    assert importlib.import_module(PLUGIN).__all__ == ["fault_proxy", "manual_clock", "upbit_sandbox"]
