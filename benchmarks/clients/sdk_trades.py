"""This SDK with nobody looking, and histories of trades only."""

from __future__ import annotations

from benchmarks.clients import sdk_flow
from benchmarks.clients.base import Task


def run(task: Task) -> None:
    """As `sdk_flow`, but tickers and order books keep their newest value only."""
    task.options["state_history"] = 0
    sdk_flow.run(task)
