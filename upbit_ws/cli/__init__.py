"""The `upbit-ws` command (extra `cli`). Importing this loads neither click nor rich."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

_EXTRA = {"click", "rich"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    try:
        from upbit_ws.cli.program import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        print(f'upbit-ws: the command needs {error.name}: pip install "upbit-ws[cli]"', file=sys.stderr)
        return 1
    return run(arguments)
