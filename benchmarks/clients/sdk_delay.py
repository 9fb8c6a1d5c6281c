"""Delay of this SDK from the generator's write until a pull returns the message, or a waiting thread runs on.

`options["way"]`: `pull` looks every few microseconds; `wait` sits in `wait_for_update`; `history` pulls the trades of
one symbol every millisecond and so sees each of them, for loads where newer values hide older ones; `own` is that too,
but from the thread that never waits.
"""

from __future__ import annotations

import time

from benchmarks.clients.base import Task, percentiles, report, start_busy_thread
from benchmarks.clients.sdk import counters, open_client, wait_for_silence
from benchmarks.flow import sharpen_timers
from benchmarks.frames import stamp_of
from upbit_ws import DataType, SimpleWebSocketClient

_LOOK_EVERY = 5e-6
_PULL_EVERY = 1e-3
_HISTORY = 1000


def run(task: Task) -> None:
    """Note delays for the window, then wait for the end of the flow and report what arrived."""
    task.options.setdefault("history", _HISTORY if task.options["way"] in ("history", "own") else None)
    with open_client(task) as client:
        sharpen_timers()
        if task.busy:
            start_busy_thread()
        time.sleep(task.warmup)
        way = {"pull": _pull, "wait": _wait, "history": _history, "own": _own}[task.options["way"]]
        delays = way(client, task.codes[0], time.monotonic() + task.window)
        wait_for_silence()
        report({"delay_us": percentiles(delays)} | counters())


def _now() -> int:
    return time.monotonic_ns() // 1000


def _pull(client: SimpleWebSocketClient, symbol: str, until: float) -> list[int]:
    delays: list[int] = []
    last = client.get_ticker_data([symbol])[symbol].timestamp
    while time.monotonic() < until:
        event = client.get_ticker_data([symbol])[symbol]
        if event.timestamp != last:
            delays.append(_now() - stamp_of(event.acc_trade_price))
            last = event.timestamp
        time.sleep(_LOOK_EVERY)
    return delays


def _wait(client: SimpleWebSocketClient, symbol: str, until: float) -> list[int]:
    delays: list[int] = []
    while time.monotonic() < until:
        event = client.wait_for_update(DataType.TICKER, symbol, timeout=5)
        delays.append(_now() - stamp_of(event.acc_trade_price))  # type: ignore[union-attr]
    return delays


def _new_trades(client: SimpleWebSocketClient, symbol: str, last: int, delays: list[int]) -> int:
    trades = client.get_trade_history(symbol)
    now = _now()
    for trade in reversed(trades):
        if trade.sequential_id <= last:
            break
        delays.append(now - stamp_of(trade.trade_volume))
    return trades[-1].sequential_id if trades else last


def _history(client: SimpleWebSocketClient, symbol: str, until: float) -> list[int]:
    delays: list[int] = []
    last = _new_trades(client, symbol, 0, [])
    while time.monotonic() < until:
        last = _new_trades(client, symbol, last, delays)
        time.sleep(_PULL_EVERY)
    return delays


def _own(client: SimpleWebSocketClient, symbol: str, until: float) -> list[int]:
    delays: list[int] = []
    last, value = _new_trades(client, symbol, 0, []), 0
    while time.monotonic() < until:
        last = _new_trades(client, symbol, last, delays)
        for _ in range(10_000):  # about half a millisecond of work between two pulls
            value = (value * 31 + 7) % 1_000_003
    return delays
