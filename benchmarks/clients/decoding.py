"""Cost of an event made of a payload, against parsing the same payload with orjson into a dictionary."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import orjson

from benchmarks.clients.base import Task, report
from benchmarks.messages import PRIVATE, PUBLIC, messages_of
from upbit_ws.models import decode_event

#: Different payloads of each kind: as many as there are markets, so that no cache is warmer than it would be.
_PAYLOADS = 400


def run(task: Task) -> None:
    """Time both in turns, kind by kind."""
    passes = 10 if task.options.get("quick") else 40
    report({"types": {name: _measured(messages_of(name, _PAYLOADS), passes) for name in (*PUBLIC, *PRIVATE)}})


def _measured(payloads: Sequence[bytes], passes: int) -> dict[str, float]:
    """Minima: what other processes add to a millisecond of computing says nothing about the code."""
    decode_event(payloads[0])  # what is made at the first message of a type is made
    pairs = [(_time(orjson.loads, payloads), _time(decode_event, payloads)) for _ in range(passes)]
    parse, event = min(parse for parse, _ in pairs), min(event for _, event in pairs)
    return {
        "parse_us": parse,
        "building_us": event - parse,
        "event_us": event,
        "building_ratio": (event - parse) / parse,
        "event_ratio": event / parse,
    }


def _time(function: Callable[[bytes], object], payloads: Sequence[bytes]) -> float:
    start = time.perf_counter()
    for payload in payloads:
        function(payload)
    return (time.perf_counter() - start) * 1e6 / len(payloads)
