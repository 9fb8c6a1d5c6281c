"""Periodic work on a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.client.conftest import wait_until
from upbit_ws.runtime import monitors
from upbit_ws.runtime.monitors import Monitor
from upbit_ws.runtime.threads import spawn


def test_the_work_is_done_every_interval_until_it_is_stopped() -> None:
    monitor = Monitor("upbit-ws-test-monitor", 0.01, lambda: None)
    assert not monitor.is_alive
    monitor.start()
    wait_until(lambda: monitor.runs >= 3, "three rounds")

    assert monitor.is_alive
    assert "alive=True" in repr(monitor)
    monitor.stop()

    assert monitor.thread is not None
    monitor.thread.join(1.0)
    assert not monitor.is_alive


def test_threads_that_start_it_at_once_start_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    both, names = threading.Barrier(2), []

    def slow_spawn(name: str, run: Callable[[], None], **options: Any) -> threading.Thread:
        names.append(name)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.3)  # the other one is here as well, or never comes
        return spawn(name, run, **options)

    monkeypatch.setattr(monitors, "spawn", slow_spawn)
    monitor = Monitor("upbit-ws-test-monitor", 3600.0, lambda: None)
    starters = [threading.Thread(target=monitor.start) for _ in range(2)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(5.0)
    monitor.stop()

    assert names == ["upbit-ws-test-monitor"]


def test_a_monitor_for_which_there_was_no_thread_may_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more_threads(*_: object, **__: object) -> threading.Thread:
        raise RuntimeError("can't start new thread")

    monitor = Monitor("upbit-ws-test-monitor", 3600.0, lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(monitors, "spawn", no_more_threads)
        with pytest.raises(RuntimeError):
            monitor.start()
    monitor.start()

    assert monitor.is_alive
    monitor.stop()


def test_a_long_interval_ends_at_once() -> None:
    monitor = Monitor("upbit-ws-test-monitor", 3600.0, lambda: None)
    monitor.start()
    assert monitor.thread is not None
    begun = time.monotonic()

    monitor.stop()
    monitor.thread.join(5.0)

    assert time.monotonic() - begun < 1.0
    assert monitor.runs == 0


@pytest.mark.parametrize("at_once", [False, True])
def test_the_first_round_comes_at_once_or_after_the_interval(at_once: bool) -> None:
    ran = threading.Event()
    monitor = Monitor("upbit-ws-test-monitor", 3600.0, lambda: ran.set())
    monitor.start(at_once=at_once)

    assert ran.wait(5.0 if at_once else 0.05) == at_once
    monitor.kick()
    assert ran.wait(5.0)
    monitor.stop()


def test_the_work_may_say_when_it_wants_to_be_done_again() -> None:
    monitor = Monitor("upbit-ws-test-monitor", 3600.0, lambda: 0.01)
    monitor.start(at_once=True)

    wait_until(lambda: monitor.runs >= 3, "three rounds")
    monitor.stop()


def test_a_bad_round_is_told_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("this round")

    monitor = Monitor("upbit-ws-test-monitor", 0.01, fail)
    with caplog.at_level(logging.ERROR, "upbit_ws"):
        monitor.start()
        wait_until(lambda: monitor.runs >= 2, "a second round")
        monitor.stop()
        assert monitor.thread is not None
        monitor.thread.join(1.0)

    assert isinstance(monitor.last_error, ValueError)
    assert "this round" in caplog.text


def test_starting_twice_is_starting_once_and_after_a_stop_nothing_starts() -> None:
    monitor = Monitor("upbit-ws-test-monitor", 3600.0, lambda: None)
    monitor.start()
    thread = monitor.thread
    monitor.start()
    assert monitor.thread is thread
    monitor.stop()

    late = Monitor("upbit-ws-test-monitor", 3600.0, lambda: None)
    late.stop()
    late.start()
    assert late.thread is None
