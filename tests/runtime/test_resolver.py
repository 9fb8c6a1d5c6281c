"""Names are resolved within a deadline, whatever the system's own resolver does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from upbit_ws.exceptions import DnsError
from upbit_ws.runtime.resolver import make_resolver
from upbit_ws.wire.connect import Address, DialAborted
from upbit_ws.wire.wakeup import Wakeup

ANSWER: list[Address] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened after the test, so that a lookup that hangs ends."""
    made = threading.Event()
    yield made
    made.set()


def test_an_answer_is_handed_on(wakeup: Wakeup) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int, deadline: float) -> list[Address]:
        asked.append((host, port))
        return ANSWER

    resolver = make_resolver(wakeup, time.monotonic, lambda: False, resolve)

    assert resolver("exchange.test", 80, time.monotonic() + 5.0) == ANSWER
    assert asked == [("exchange.test", 80)]


def test_a_failure_is_raised_where_somebody_waits(wakeup: Wakeup) -> None:
    def resolve(host: str, port: int, deadline: float) -> list[Address]:
        raise DnsError("unknown", host=host)

    with pytest.raises(DnsError, match="unknown"):
        make_resolver(wakeup, time.monotonic, lambda: False, resolve)("nowhere.test", 80, time.monotonic() + 5.0)


def test_a_name_server_that_does_not_answer_costs_the_deadline_and_no_more(
    wakeup: Wakeup, gate: threading.Event
) -> None:
    def resolve(host: str, port: int, deadline: float) -> list[Address]:
        gate.wait(30.0)
        return ANSWER

    begun = time.monotonic()
    with pytest.raises(DnsError, match="in time"):
        make_resolver(wakeup, time.monotonic, lambda: False, resolve)("slow.test", 80, begun + 0.1)

    assert 0.1 <= time.monotonic() - begun < 1.0


def test_a_lookup_can_be_given_up(wakeup: Wakeup, gate: threading.Event) -> None:
    is_stopping, asked = threading.Event(), threading.Event()

    def resolve(host: str, port: int, deadline: float) -> list[Address]:
        asked.set()
        gate.wait(30.0)
        return ANSWER

    def stop() -> None:
        asked.wait(5.0)
        is_stopping.set()
        wakeup.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    begun = time.monotonic()
    with pytest.raises(DialAborted):
        make_resolver(wakeup, time.monotonic, is_stopping.is_set, resolve)("slow.test", 80, begun + 30.0)
    stopper.join()

    assert time.monotonic() - begun < 5.0


def test_a_wake_up_for_something_else_does_not_end_the_wait(wakeup: Wakeup, gate: threading.Event) -> None:
    def resolve(host: str, port: int, deadline: float) -> list[Address]:
        wakeup.set()
        gate.wait(0.05)
        return ANSWER

    resolver = make_resolver(wakeup, time.monotonic, lambda: False, resolve)

    assert resolver("exchange.test", 80, time.monotonic() + 5.0) == ANSWER


def test_no_answer_at_all_is_none(wakeup: Wakeup) -> None:
    resolver = make_resolver(wakeup, time.monotonic, lambda: False, lambda host, port, deadline: [])

    assert resolver("empty.test", 80, time.monotonic() + 5.0) == []
