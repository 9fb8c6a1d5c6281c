"""`docs/extending.md`, followed to the letter: what the page tells to write is written, and works."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.process import ROOT, PythonRunner

PAGE = ROOT / "docs" / "extending.md"

FLOOD = """
import threading, time
from upbit_ws import GlobalWebSocketManager
from upbit_ws.protocol.delivery import delivery_of
from upbit_ws.types import DataType, StreamKey
from tests.push_rig import trade

release, numbers = threading.Event(), []

def slow(event):
    numbers.append(event.sequential_id)
    release.wait()

manager = GlobalWebSocketManager(config)
proxy = WebSocketClientProxy("extended", manager=manager)
id_ = proxy.subscribe_trade(["KRW-BTC"], slow, mailbox_size=8)
key = StreamKey(DataType.TRADE, "KRW-BTC")
for number in range(1, 101):
    manager.hub.publish([delivery_of(key, trade("KRW-BTC", number), time.monotonic())])
    while not numbers:
        pass
release.set()
while proxy.statistics()[0].queued:
    pass
mine = proxy.statistics()[0]
assert mine.received == 100 == mine.delivered + mine.dropped + mine.conflated
assert mine.dropped > 0 and numbers[-1] == 100 and numbers == sorted(numbers)
assert numbers[1] < 60, numbers  # a drop of the oldest would have kept 93 and on
manager.close()
print("thinned out")
"""

CANDLES = """
from upbit_ws import *
from upbit_ws.sandbox import Sandbox, SandboxConfig

assert DataType.candle("1d").wire_name == "candle.1d"
sandbox = Sandbox(SandboxConfig(rate=50.0)).start()
config = WebSocketConfig.testing(connection=ConnectionConfig(base_url=sandbox.url))
manager = GlobalWebSocketManager(config)
with SimpleWebSocketClient("daily", manager=manager) as client:
    client.register_interest(["candle.1d"], ["KRW-BTC"])
    candle = client.get_candle_data(unit="1d")["KRW-BTC"]
    print(candle.type)
    got = []
    with WebSocketClientProxy("daily", manager=manager) as proxy:
        proxy.subscribe_candle(["KRW-BTC"], got.append, unit="1d")
        while not got:
            pass
    print(got[0].type, got[0].stream_type)
manager.close()
sandbox.stop()
"""


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_strategy_of_the_page_works_by_its_name(run_python: PythonRunner) -> None:
    strategy, use = code_blocks("python")
    config = re.sub(r"^proxy[.=\s].*$", "", use, flags=re.MULTILINE)
    done = run_python(["-c", strategy + config + FLOOD])

    assert (done.stdout, done.returncode) == ("thinned out\n", 0), done.stderr


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """A copy of the package with the row of the page in its table."""
    shutil.copytree(ROOT / "upbit_ws", tmp_path / "upbit_ws", ignore=shutil.ignore_patterns("__pycache__"))
    table = tmp_path / "upbit_ws" / "data_types.py"
    (row,) = code_blocks("text")
    source = table.read_text(encoding="utf-8")
    last = source.index("    CANDLE_240M = ")
    table.write_text(source[:last] + row + source[last:], encoding="utf-8")
    return tmp_path


def test_the_data_type_of_the_page_is_one_row(extended: Path, run_python: PythonRunner) -> None:
    done = run_python(["-c", CANDLES], cwd=extended, PYTHONPATH=str(extended))

    assert (done.stdout.split(), done.returncode) == (["candle.1d", "candle.1d", "SNAPSHOT"], 0), done.stderr


def test_without_the_row_there_is_no_such_type(run_python: PythonRunner) -> None:
    done = run_python(["-c", "from upbit_ws import DataType; DataType.candle('1d')"])

    assert "InvalidArgumentError" in done.stderr
