"""One thread waits, another one wakes it."""

from __future__ import annotations

import threading
import time

import pytest

from upbit_ws.shared.waiting import Signal, Waiter


def test_a_waiter_is_woken_by_fire() -> None:
    waiter, results = Waiter(), []
    thread = threading.Thread(target=lambda: results.append(waiter.wait(10.0)))
    thread.start()

    waiter.fire()
    thread.join(5.0)

    assert results == [True]


def test_a_waiter_that_was_fired_before_does_not_wait() -> None:
    waiter = Waiter()
    waiter.fire()

    assert waiter.wait(0.0)


def test_a_waiter_gives_up_after_its_time() -> None:
    begun = time.monotonic()

    assert not Waiter().wait(0.02)
    assert not Waiter().wait(-1.0)
    assert time.monotonic() - begun < 2.0


@pytest.mark.parametrize("timeout", [1e30, float("inf")])
def test_a_waiter_may_be_told_to_wait_for_ever(timeout: float) -> None:
    waiter = Waiter()
    waiter.fire()

    assert waiter.wait(timeout)


def test_a_signal_set_before_the_wait_is_seen_once() -> None:
    signal = Signal()
    signal.set()
    signal.set()

    assert signal.wait(5.0)
    assert not signal.wait(0.0)


def test_a_signal_wakes_a_thread_without_a_timeout() -> None:
    signal, results = Signal(), []
    thread = threading.Thread(target=lambda: results.append(signal.wait(None)))
    thread.start()

    signal.set()
    thread.join(5.0)

    assert results == [True]


def test_very_short_waits_of_several_threads_always_end() -> None:
    signal = Signal()

    def wait() -> None:
        for _ in range(3_000):
            signal.wait(1e-6)

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)

    assert not any(thread.is_alive() for thread in threads)
