"""Row H18: a notebook, whose cells run again, are interrupted, and keep what they have shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.process import PythonRunner
from tests.reliability.rig import Rig, wait_until
from upbit_ws import ClientClosedError, SimpleWebSocketClient

Record = Callable[..., None]
GOODBYE = 1000


def test_H18_a_cell_that_runs_again_takes_over_and_says_so_once(rig: Rig) -> None:
    sandbox = rig.sandbox()
    manager = rig.manager(sandbox)
    shown: dict[int, SimpleWebSocketClient] = {}  # as `Out[]` does, it keeps every client alive

    for number in range(20):
        shown[number] = SimpleWebSocketClient("cell", manager=manager)
        shown[number].register_interest(["ticker"], ["KRW-BTC"])
        assert shown[number].get_price("KRW-BTC") > 0

    assert [number for number, client in shown.items() if not client.is_closed] == [19]
    with pytest.raises(ClientClosedError):
        shown[0].get_price("KRW-BTC")
    assert (len(sandbox.connection_logs), len(sandbox.requests)) == (1, 1)
    said = [line for line in rig.invariants.log if line.startswith("WARNING") and "takes the place" in line]
    assert len(said) == 1
    assert "'SimpleWebSocketClient/cell'" in said[0]


#: A notebook without its window: the cells go to a kernel of its own, and what they show comes back.
NOTEBOOK = """
import json, time
from jupyter_client.manager import KernelManager

kernel = KernelManager()
kernel.start_kernel()
front = kernel.blocking_client()
front.start_channels()
front.wait_for_ready(timeout=40)

def run(code, interrupt=False):
    cell, sent_at = front.execute(code), None
    seen = {"printed": "", "complained": "", "shown": "", "error": "", "took": 0.0}
    while True:
        message = front.get_iopub_msg(timeout=30)
        if message["parent_header"].get("msg_id") != cell:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            seen["printed" if content["name"] == "stdout" else "complained"] += content["text"]
            if interrupt and sent_at is None and "waiting" in seen["printed"]:
                sent_at = time.monotonic()
                kernel.interrupt_kernel()
        elif kind == "execute_result":
            seen["shown"] = content["data"]["text/plain"]
        elif kind == "error":
            seen["error"], seen["took"] = content["ename"], time.monotonic() - (sent_at or 0.0)
        elif kind == "status" and content["execution_state"] == "idle":
            return seen

CELL = '''
from upbit_ws import SimpleWebSocketClient, WebSocketConfig
client = SimpleWebSocketClient("notebook", config=WebSocketConfig.testing())
client.register_interest(["ticker"], ["KRW-BTC"])
client.get_price("KRW-BTC")
client
'''
seen = {
    "cells": [run(CELL) for _ in range(5)],
    "closed": run("[one.is_closed for one in Out.values() if isinstance(one, SimpleWebSocketClient)]"),
    "event": run("client.get_ticker_data()['KRW-BTC'].symbol"),
    "interrupted": run('''
client.register_interest(["trade"], ["KRW-NOBODY"])
print("waiting", flush=True)
client.wait_for_update("trade", "KRW-NOBODY", timeout=60)
''', interrupt=True),
    "after": run("client.get_price('KRW-BTC') > 0, client.status().connections[0].epoch"),
}
front.stop_channels()
kernel.shutdown_kernel()
print(json.dumps(seen))
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ipykernel") is None, reason="needs a kernel of Jupyter (pip install ipykernel)")
def test_H18_a_kernel_runs_cells_again_is_interrupted_and_goes(
    rig: Rig, run_python: PythonRunner, record: Record, tmp_path: Path
) -> None:
    sandbox = rig.sandbox()
    folders = dict.fromkeys(("HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR"), str(tmp_path))
    done = run_python(["-W", "ignore", "-c", NOTEBOOK], timeout=50.0, UPBIT_BASE_URL=sandbox.url, **folders)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)

    assert [cell["error"] for cell in seen["cells"]] == [""] * 5
    lines = [line for cell in seen["cells"] for line in cell["complained"].splitlines()]
    assert len(lines) == 1, lines  # the first time that the name was taken
    assert "'SimpleWebSocketClient/notebook'" in lines[0]
    assert seen["closed"]["shown"] == "[True, True, True, True, False]"
    assert seen["event"]["shown"] == "'KRW-BTC'"
    assert seen["interrupted"]["error"] == "KeyboardInterrupt"
    assert seen["interrupted"]["took"] < 5.0  # of the 60 s that it would have waited
    assert seen["after"]["shown"] == "(True, 1)"
    wait_until(lambda: sandbox.connection_logs[0].closed_at is not None, "the end of the connection")
    assert (len(sandbox.connection_logs), sandbox.connection_logs[0].close_code) == (1, GOODBYE)
    record(
        "H18",
        figure=f"a real kernel: 5 runs of a cell on one connection, 1 line of warning; an interrupt ends a wait after "
        f"{seen['interrupted']['took']:.2f} s; goodbye said when the kernel goes",
        bound="one connection",
    )
