"""Import time against the libraries that the SDK cannot do without, and what an import must not load."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.clients import CLIENTS, SDK
from benchmarks.load import ROOT
from benchmarks.runner import Bench, interleaved, middle
from benchmarks.tables import Table, Target, number

_STATEMENTS = {
    "base": "import attrs, orjson, websocket",
    SDK: "import upbit_ws",
    "upbit-sdk": "import upbit",
    "pyupbit": "import pyupbit",
    "ccxt": "import ccxt.pro",
}
_PROGRAM = """
import sys, time
start = time.perf_counter()
{statement}
took = time.perf_counter() - start
loaded = [name for name in ("jwt", "requests") if name in sys.modules]
import gc, json
ssl = sys.modules.get("ssl")
contexts = sum(isinstance(thing, ssl.SSLContext) for thing in gc.get_objects()) if ssl else 0
import threading
print(json.dumps({{"ms": took * 1000, "loaded": loaded, "ssl_contexts": contexts, "threads": threading.active_count(),
                   "modules": len(sys.modules)}}))
"""


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """Each statement in processes of its own, in turns, compiled files in place."""
    able = ["base", *(name for name in _STATEMENTS if name in names and not CLIENTS[name].missing)]

    def one(name: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM.format(statement=_STATEMENTS[name])],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            return {"error": done.stderr.strip().splitlines()[-1]}
        return dict(json.loads(done.stdout))

    for name in able:
        one(name)  # compile, and bring the files into memory
    quiet = Bench(bench.folder, bench.quick, 3 if bench.quick else 11, say=lambda _line: None)
    return {"rounds": interleaved(quiet, able, one, "import")}


def tables(data: dict[str, Any]) -> list[Table]:
    """One row for each statement."""
    rounds = data["rounds"]
    base = middle(rounds["base"], "ms")
    rows = []
    for name, results in rounds.items():
        took = middle(results, "ms")
        more = None if took is None or base is None else took - base
        rows.append(
            [
                f"`{_STATEMENTS[name]}`",
                number(took),
                "-" if name == "base" else number(more),
                number(middle(results, "modules")),
            ]
        )
    return [Table("Import time", ["statement", "ms", "more than the base, ms", "modules loaded"], rows)]


def targets(data: dict[str, Any]) -> list[Target]:
    """How much more than its libraries, and what stays unloaded."""
    rounds = data["rounds"]
    took, base = middle(rounds.get(SDK, []), "ms"), middle(rounds["base"], "ms")
    more = None if took is None or base is None else took - base
    loaded = [
        len(result["loaded"]) + result["ssl_contexts"] + result["threads"] - 1
        for result in rounds.get(SDK, [])
        if "loaded" in result
    ]
    return [
        Target("import upbit_ws, more than attrs, orjson, websocket", more, 80, unit=" ms"),
        Target("jwt, requests, ssl contexts and threads after the import", max(loaded) if loaded else None, 0),
    ]
