"""Runs one client in this process and prints its result as the last line of standard output."""

from __future__ import annotations

import importlib
import json
import sys
import traceback

from benchmarks.clients import CLIENTS
from benchmarks.clients.base import Task, fail


def main(name: str, task: str) -> None:
    """Run the client (or the module of this package) called `name`."""
    module = importlib.import_module(f"benchmarks.clients.{CLIENTS[name].module if name in CLIENTS else name}")
    try:
        module.run(Task(**json.loads(task)))
    except Exception as error:  # the parent shows it in the table, so that one broken peer spoils no run
        traceback.print_exc()
        fail(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
