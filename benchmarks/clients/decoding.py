"""Cost of building an event from a payload, against parsing the same payload with orjson into a dictionary."""

from __future__ import annotations

import time
from collections.abc import Callable

import orjson

from benchmarks.clients.base import Task, report
from benchmarks.frames import sample_payloads
from upbit_ws.models import decode_event

_REPEATS = 200


def run(task: Task) -> None:
    """Time both in turns, type by type."""
    rounds = 10 if task.options.get("quick") else 50
    result: dict[str, dict[str, float]] = {}
    for name in task.types:
        payloads = sample_payloads(20, (name,))
        parse: list[float] = []
        build: list[float] = []
        for _ in range(rounds):
            parse.append(_time(orjson.loads, payloads))
            build.append(_time(decode_event, payloads))
        # Minima: what other processes add to a millisecond of computing says nothing about the code.
        result[name] = {"parse_us": min(parse), "build_us": min(build), "ratio": min(build) / min(parse)}
    report({"types": result})


def _time(function: Callable[[bytes], object], payloads: list[bytes]) -> float:
    start = time.perf_counter()
    for _ in range(_REPEATS // len(payloads)):
        for payload in payloads:
            function(payload)
    return (time.perf_counter() - start) * 1e6 / (_REPEATS // len(payloads) * len(payloads))
