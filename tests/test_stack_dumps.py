"""Stacks are dumped of a test that holds the interpreter for longer than it may, and of no other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.process import ROOT, PythonRunner

HOLDING = """
import ctypes
import time

import pytest

@pytest.mark.timeout(1)
def test_that_holds_the_interpreter():
    ctypes.PyDLL(None).sleep(8)

@pytest.mark.timeout(20)
def test_that_takes_its_time():
    time.sleep(7)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a C function that sleeps")
@pytest.mark.parametrize(("name", "dumps"), [("holds", 1), ("takes", 0)])
def test_only_what_is_over_its_time_is_dumped(tmp_path: Path, run_python: PythonRunner, name: str, dumps: int) -> None:
    (tmp_path / "test_holding.py").write_text(HOLDING, "utf-8")
    options = ["-q", "-n", "0", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    done = run_python(["-m", "pytest", *options, "-k", name, str(tmp_path)], timeout=40.0, PYTEST_ADDOPTS="")
    output = done.stdout + done.stderr
    assert output.count("Timeout (0:00:") == dumps, output
    assert ("in test_that_holds_the_interpreter" in output) is bool(dumps)
