"""This SDK without its extension: the inner loops in Python, as where there was no compiler."""

from __future__ import annotations

import os

from benchmarks.clients.base import Task

os.environ["UPBIT_WS_NO_EXTENSIONS"] = "1"  # before the package is imported


def run(task: Task) -> None:
    """As `sdk_flow`."""
    from benchmarks.clients import sdk_flow
    from upbit_ws._extension import speedups

    assert speedups is None
    sdk_flow.run(task)
