"""The fuzzing server in a process of its own: prints its port, serves the cases named, prints the verdicts as JSON.

Run as `python fuzzing_server.py <case or glob>...`; without cases it serves all. A process of its own, because it is
compiled code with threads of its own, which has no business in the process whose leaks are counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import kosoku


def verdict(result: Any) -> dict[str, Any]:
    """What is told of one case."""
    return {
        "case": result.case_id,
        "behavior": result.behavior.value,
        "close": result.behavior_close.value,
        "result": result.result,
        "result_close": result.result_close,
        "milliseconds": result.duration,
    }


async def serve(cases: Sequence[str]) -> list[Any]:
    """Serve until the client asks for the reports; all verdicts, in the order of the cases."""
    async with kosoku.run_fuzzingserver(cases or None, port=0) as server:
        print(server.port, flush=True)
        try:
            return list(await server.get_result())
        except kosoku.FailureError as failure:
            return failure.results


if __name__ == "__main__":
    print(json.dumps([verdict(result) for result in asyncio.run(serve(sys.argv[1:]))]), flush=True)
    sys.stdout.flush()
    os._exit(0)  # its threads do not survive an ordinary end of the interpreter (abort of 0.1.0)
