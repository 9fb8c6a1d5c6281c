"""Cost of an event made of a payload, against parsing the same payload with orjson into a dictionary."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

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
    """Medians over the passes. Building is what an event costs more than the parse of the same pass."""
    decode_event(payloads[0])  # what is made at the first message of a type is made
    pairs = [(_time(orjson.loads, payloads), _time(decode_event, payloads)) for _ in range(passes)]
    return {
        "parse_us": median(parse for parse, _ in pairs),
        "building_us": median(event - parse for parse, event in pairs),
        "event_us": median(event for _, event in pairs),
        "building_ratio": median((event - parse) / parse for parse, event in pairs),
        "event_ratio": median(event / parse for parse, event in pairs),
    }


def _time(function: Callable[[bytes], object], payloads: Sequence[bytes]) -> float:
    start = time.perf_counter()
    for payload in payloads:
        function(payload)
    return (time.perf_counter() - start) * 1e6 / len(payloads)
