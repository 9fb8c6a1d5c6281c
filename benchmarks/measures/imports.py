"""Import time against the libraries that the SDK cannot do without, and what an import must not load.

An installer compiles what it installs; a checkout may not be compiled, and PYTHONDONTWRITEBYTECODE keeps it so. So that
like is measured with like, everything (the standard library included) is compiled once into a folder of this run, and
all statements read from there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.clients import CLIENTS, SDK
from benchmarks.load import ROOT
from benchmarks.runner import Bench, interleaved, middle
from benchmarks.tables import Table, Target, number

_USE = "upbit_ws, a client made"
_STATEMENTS = {
    "base": "import attrs, orjson, websocket",
    SDK: "import upbit_ws",
    _USE: "from upbit_ws import DataType, SimpleWebSocketClient; SimpleWebSocketClient('mine')",
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
    able = [name for name in _STATEMENTS if name == "base" or _is_able(SDK if name == _USE else name, names)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(bench.folder / "bytecode")

    def one(name: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM.format(statement=_STATEMENTS[name])],
            cwd=ROOT,
            env=environment,
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


def _is_able(client: str, names: Sequence[str]) -> bool:
    return client in names and not CLIENTS[client].missing


def tables(data: dict[str, Any]) -> list[Table]:
    """One row for each statement."""
    rounds = data["rounds"]
    rows = []
    for name, results in rounds.items():
        took = number(middle(results, "ms"))
        more = "-" if name == "base" else number(_more(rounds, name))
        rows.append([f"`{_STATEMENTS[name]}`", took, more, number(middle(results, "modules"))])
    return [Table("Import time", ["statement", "ms", "more than the base, ms", "modules loaded"], rows)]


def targets(data: dict[str, Any]) -> list[Target]:
    """How much more than its libraries, and what stays unloaded."""
    rounds = data["rounds"]
    loaded = [
        len(result["loaded"]) + result["ssl_contexts"] + result["threads"] - 1
        for result in (*rounds.get(SDK, []), *rounds.get(_USE, []))
        if "loaded" in result
    ]
    libraries = "more than attrs, orjson, websocket"
    return [
        Target(f"import upbit_ws, {libraries}", _more(rounds, SDK), 80, unit=" ms"),
        Target(f"import upbit_ws and make a client, {libraries}", _more(rounds, _USE), 80, unit=" ms"),
        Target("jwt, requests, ssl contexts and threads after both", max(loaded) if loaded else None, 0),
    ]


def _more(rounds: dict[str, Any], name: str) -> float | None:
    took, base = middle(rounds.get(name, []), "ms"), middle(rounds["base"], "ms")
    return None if took is None or base is None else took - base
