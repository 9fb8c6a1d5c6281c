"""Delay of this SDK from the generator's write until a pull returns the message, or a waiting thread runs on.

`options["way"]`: `pull` looks once per message at a random age (see `visibility`); `wait` sits in `wait_for_update`;
`history` pulls the trades of one symbol every millisecond and so sees each of them, for loads where newer values hide
older ones; `own` is that too, but from the thread that never waits. `options["rate"]`: messages a second, all types.
"""

from __future__ import annotations

import math
import random
import time

from benchmarks.clients.base import Task, percentiles, report, start_busy_thread
from benchmarks.clients.sdk import counters, open_client, wait_for_silence
from benchmarks.clients.visibility import Look, quantiles, statuses
from benchmarks.flow import sharpen_timers
from benchmarks.frames import stamp_of
from upbit_ws import DataType, SimpleWebSocketClient, TickerEvent

_PULL_EVERY = 1e-3
_LONG_HISTORY = 20_000
_RECENT = 50
_EARLY = 600
"""Microseconds. Three looks of four are at ages below this, where the answer is not certain."""


def run(task: Task) -> None:
    """Note delays for the window, then wait for the end of the flow and report what arrived."""
    way = str(task.options["way"])
    if way != "wait":
        task.options["history"] = _LONG_HISTORY
    with open_client(task) as client:
        sharpen_timers()
        if task.busy and way != "own":
            start_busy_thread()
        time.sleep(task.warmup)
        symbol, until = task.codes[0], time.monotonic() + task.window
        if way == "pull":
            delays = _pull(client, symbol, until, len(task.types) * 1e6 / float(task.options["rate"]))
        else:
            delays = percentiles({"wait": _wait, "history": _history, "own": _own}[way](client, symbol, until))
        wait_for_silence()
        report({"delay_us": delays} | counters())


def _now() -> int:
    return time.monotonic_ns() // 1000


def _pull(client: SimpleWebSocketClient, symbol: str, until: float, gap: float) -> dict[str, float]:
    rng, looks = random.Random(1), []
    while time.monotonic() < until:
        event = client.get_ticker_data([symbol])[symbol]
        at = _now()
        looks.append(Look(at, event.timestamp))
        # Writes are evenly spaced, so the next one is known well enough to look at an age of choice.
        last_write = stamp_of(event.acc_trade_price)
        next_write = last_write + math.ceil((at + 200 - last_write) / gap) * gap
        age = rng.uniform(0, _EARLY if rng.random() < 0.75 else gap)
        time.sleep(max(0.0, next_write + age - _now()) / 1e6)
    history = client.get_ticker_history(symbol)
    return quantiles(statuses(looks, {event.timestamp: stamp_of(event.acc_trade_price) for event in history}))


def _wait(client: SimpleWebSocketClient, symbol: str, until: float) -> list[int]:
    delays: list[int] = []
    while time.monotonic() < until:
        event = client.wait_for_update(DataType.TICKER, symbol, timeout=5)
        now = _now()
        assert isinstance(event, TickerEvent)
        delays.append(now - stamp_of(event.acc_trade_price))
    return delays


def _new_trades(client: SimpleWebSocketClient, symbol: str, last: int, delays: list[int]) -> int:
    trades = client.get_trade_history(symbol, limit=_RECENT)
    now = _now()
    if trades[0].sequential_id > last > 0:
        trades = client.get_trade_history(symbol)  # more have come than were asked for
    for trade in reversed(trades):
        if trade.sequential_id <= last:
            break
        delays.append(now - stamp_of(trade.trade_volume))
    return trades[-1].sequential_id


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
