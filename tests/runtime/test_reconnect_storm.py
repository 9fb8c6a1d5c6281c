"""Eight processes that lose their connections together do not exceed the budget that they share by their address."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.account_rig import wait_until
from tests.process import PythonRunner
from upbit_ws.sandbox import Sandbox

PROCESSES = 8
PROGRAM = """
import time
from attrs import evolve
from upbit_ws import *
from upbit_ws.lifecycle import Connecting

def note(event):
    if isinstance(event, Connecting):
        print(event.at, flush=True)

config = evolve(WebSocketConfig.testing(), rate_limit=RateLimitConfig())
with GlobalWebSocketManager(config) as manager, SimpleWebSocketClient("one", manager=manager) as client:
    watcher = WebSocketClientProxy("two", manager=manager)
    watcher.on_connection_event(note)
    client.register_interest("ticker", ["KRW-BTC"])
    time.sleep(60)
"""


def busiest_second(moments: list[float]) -> int:
    """The most of these moments within one second."""
    moments = sorted(moments)
    return max(sum(start <= moment < start + 1.0 for moment in moments) for start in moments)


@pytest.mark.linux
def test_eight_processes_in_a_reconnect_storm_make_five_connects_a_second_together(
    tmp_path: Path, make_sandbox: Callable[..., Sandbox], run_python: PythonRunner
) -> None:
    sandbox = make_sandbox(rate=20.0, markets=("KRW-BTC",), connect_limit=None)
    environment = {"UPBIT_BASE_URL": sandbox.url, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    started = [run_python.start(["-c", PROGRAM], **environment) for _ in range(PROCESSES)]

    wait_until(lambda: sandbox.connections == PROCESSES, "eight connections", 30.0)
    storm_until = time.monotonic() + 4.0
    while time.monotonic() < storm_until:
        sandbox.drop_all("rst")
        time.sleep(0.2)
    begun: list[float] = []
    for process in started:
        process.terminate()
        said, complaints = process.communicate(timeout=10)
        assert complaints == ""
        begun += map(float, said.split())

    assert busiest_second(begun) <= 5
    moments = [shake.at for shake in sandbox._log.handshakes]
    assert len(begun) >= len(moments) >= 3 * PROCESSES
    # The exchange notes when it got round to a connect. On a busy machine some come late, and then several at once: less
    # than a second late, and never more of them than the time allows.
    assert busiest_second(moments) <= 10
    assert len(moments) <= 5 * (max(moments) - min(moments) + 1.0)
    assert all(shake.status == 101 for shake in sandbox._log.handshakes)
