"""What every client process shares: its task, the sampling thread, and the result line."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from attrs import asdict, field, frozen

from benchmarks.clients.system_calls import SystemCallCounter
from benchmarks.frames import TYPES, market_codes, sent_at

FIRST_MESSAGE_TIMEOUT = 10.0
WARM_MESSAGES_TIMEOUT = 20.0


@frozen
class Task:
    """What a client process has to do. Times in seconds."""

    url: str
    """Base URL of the generator, http or https."""
    symbols: int = 100
    types: Sequence[str] = TYPES
    cafile: str | None = None
    deflate: bool = False
    warmup: float = 0.5
    window: float = 1.5
    delays: bool = False
    """Report the delay of each message from the generator's write."""
    busy: bool = False
    """Run a thread beside the client that never waits."""
    total: int | None = None
    """Realtime messages the generator will send, where it stops."""
    options: dict[str, Any] = field(factory=dict)

    @property
    def websocket_url(self) -> str:
        """The WebSocket address of the public endpoint."""
        return "ws" + self.url.removeprefix("http") + "/websocket/v1"

    @property
    def codes(self) -> list[str]:
        return market_codes(self.symbols)

    def request(self) -> str:
        """The subscription request a peer sends."""
        codes = self.codes
        books = [f"{code}.15" for code in codes]
        wanted = [{"type": name, "codes": books if name == "orderbook" else codes} for name in self.types]
        return json.dumps([{"ticket": "benchmark"}, *wanted, {"format": "DEFAULT"}])

    def dump(self) -> str:
        """As JSON, for the command line of the process."""
        return json.dumps(asdict(self))


def cpu_seconds() -> float:
    """CPU time of this process so far, all threads, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def cpu_seconds_of(pid: int) -> float:
    """CPU time of another process (Linux, in steps of 10 ms)."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(result: dict[str, Any]) -> None:
    """Write the result line and end the process at once: a receive loop has no way out of its own."""
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    os._exit(0)


def fail(reason: str) -> None:
    """Report that nothing could be measured, and why."""
    report({"error": reason})


class Meter:
    """Counts in the receive loop, sampled by a thread that sleeps all the time."""

    def __init__(
        self,
        task: Task,
        *,
        children: Callable[[], Sequence[int]] = tuple,
        extra: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self.task = task
        self.counter = [0]
        """The receive loop adds one to `counter[0]` for each message."""
        self.delays: list[int] = []
        self._children = children
        self._extra = extra

    def start(self, count: Callable[[], int] | None = None) -> None:
        """Start sampling. `count` replaces the counter where the client counts by itself."""
        threading.Thread(target=self._sample, args=(count or (lambda: self.counter[0]),), daemon=True).start()
        if self.task.busy:
            start_busy_thread()

    def note(self, message: dict[str, Any]) -> None:
        """Note the delay of a parsed message."""
        self.delays.append(time.monotonic_ns() // 1000 - sent_at(message))

    def _cpu(self) -> float:
        return cpu_seconds() + sum(cpu_seconds_of(pid) for pid in self._children())

    def _sample(self, count: Callable[[], int]) -> None:
        deadline = time.monotonic() + FIRST_MESSAGE_TIMEOUT
        while count() == 0:
            if time.monotonic() > deadline:
                fail(f"no message within {FIRST_MESSAGE_TIMEOUT:g} s")
            time.sleep(0.01)
        time.sleep(self.task.warmup)
        deadline = time.monotonic() + WARM_MESSAGES_TIMEOUT
        while count() < int(self.task.options.get("warm_messages", 0)) and time.monotonic() < deadline:
            time.sleep(0.05)
        tracer = SystemCallCounter() if self.task.options.get("count_system_calls") else None
        first_delay, cpu, messages, start = len(self.delays), self._cpu(), count(), time.perf_counter()
        time.sleep(self.task.window)
        end, last, spent = time.perf_counter(), count(), self._cpu()
        for pid in self._children():
            os.kill(pid, signal.SIGKILL)  # a child that lives on keeps our standard output open
        result = rates(last - messages, end - start, spent - cpu)
        if self.task.delays:
            result["delay_us"] = percentiles(self.delays[first_delay:])
        if tracer is not None:
            calls = tracer.stop()
            result |= {"system_calls": calls, "system_calls_per_message": sum(calls.values()) / (last - messages)}
        report(result | self._extra())


def rates(messages: int, seconds: float, cpu: float) -> dict[str, Any]:
    """The common part of a result."""
    return {
        "messages": messages,
        "seconds": seconds,
        "per_second": messages / seconds,
        "cpu_us_per_message": cpu * 1e6 / messages if messages else None,
        "cpu_share": cpu / seconds,
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p99, the maximum and how many."""
    if not values:
        return {"count": 0}
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50": ordered[last // 2],
        "p90": ordered[round(last * 0.9)],
        "p99": ordered[round(last * 0.99)],
        "max": ordered[-1],
    }


def start_busy_thread() -> None:
    """A user's thread that computes and never waits."""

    def compute() -> None:
        value = 0
        while True:
            value = (value * 31 + 7) % 1_000_003

    threading.Thread(target=compute, daemon=True, name="busy").start()
