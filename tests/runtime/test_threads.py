"""The one place where threads are made, and the end of the process."""

from __future__ import annotations

import logging
import threading
import weakref

import pytest

from tests.process import PythonRunner
from upbit_ws.runtime import threads
from upbit_ws.runtime.threads import close_at_exit, spawn


class Closing:
    """Writes down what is done to it."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []
        self.is_abandoned = False

    def close(self, timeout: float = 0.0) -> None:
        self.timeouts.append(timeout)

    def abandon_after_fork(self) -> None:
        self.is_abandoned = True


def test_a_thread_is_a_named_daemon() -> None:
    seen: list[threading.Thread] = []

    thread = spawn("upbit-ws-test", lambda: seen.append(threading.current_thread()), on_crash=pytest.fail)
    thread.join(5.0)

    assert seen == [thread]
    assert thread.daemon
    assert thread.name == "upbit-ws-test"


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(1), KeyboardInterrupt()])
def test_a_thread_never_dies_in_silence(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    caught: list[BaseException] = []

    def fail() -> None:
        raise error

    with caplog.at_level(logging.CRITICAL, "upbit_ws"):
        spawn("upbit-ws-test-broken", fail, on_crash=caught.append).join(5.0)

    assert caught == [error]
    assert "upbit-ws-test-broken" in caplog.text


def test_what_is_open_at_the_end_is_closed_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_open", weakref.WeakSet())
    first, second = Closing(), Closing()
    close_at_exit(first)
    close_at_exit(second)
    close_at_exit(first)

    threads._close_all()

    assert first.timeouts == second.timeouts
    assert len(first.timeouts) == 1
    assert 0 < first.timeouts[0] <= 1.0


def test_what_is_open_is_abandoned_in_a_child_and_closed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_open", weakref.WeakSet())
    closing = Closing()
    close_at_exit(closing)

    threads._abandon_all()
    threads._close_all()

    assert closing.is_abandoned
    assert closing.timeouts == []


def test_what_was_forgotten_is_neither_kept_nor_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_open", weakref.WeakSet())
    closing = Closing()
    gone = weakref.ref(closing)
    close_at_exit(closing)

    del closing

    assert gone() is None
    threads._close_all()


def test_a_program_ends_although_a_thread_never_returns(run_python: PythonRunner) -> None:
    program = """
import threading
from upbit_ws.runtime.threads import spawn
begun = threading.Event()
def stuck():
    begun.set()
    threading.Event().wait()
spawn("upbit-ws-stuck", stuck, on_crash=print)
begun.wait(5)
print("over")
"""
    done = run_python(["-c", program], timeout=10.0)

    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")
