"""What is to be done later."""

from __future__ import annotations

from upbit_ws.sandbox.timers import Timers


def test_calls_come_due_in_the_order_of_their_times() -> None:
    timers, made = Timers(), []
    for when, name in ((3.0, "c"), (1.0, "a"), (2.0, "b"), (1.0, "a2")):
        timers.at(when, lambda name=name: made.append(name))  # type: ignore[misc]

    assert timers.next_due == 1.0
    for call in timers.take_due(2.0):
        call()

    assert made == ["a", "a2", "b"]
    assert len(timers) == 1


def test_what_a_call_asks_for_waits_for_the_next_look() -> None:
    timers = Timers()
    timers.at(1.0, lambda: timers.at(1.0, lambda: None))
    for call in timers.take_due(5.0):
        call()

    assert len(timers) == 1
    timers.clear()
    assert timers.next_due is None
