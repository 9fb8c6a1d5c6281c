"""A value that is worked out once, without a lock."""

from __future__ import annotations

import threading

from upbit_ws.protocol.remembered import remembered


class Thing:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.inside = threading.Event()
        self.may_leave = threading.Event()
        self.may_leave.set()

    @remembered
    def value(self) -> int:
        """What it is worth."""
        self.asked += 1
        self.inside.set()
        assert self.may_leave.wait(5.0)
        return 7


def test_it_is_worked_out_once() -> None:
    thing = Thing()

    assert (thing.value, thing.value, thing.asked) == (7, 7, 1)


def test_the_class_shows_what_it_is_for() -> None:
    assert Thing.value.__doc__ == "What it is worth."


def test_nobody_waits_for_another_object() -> None:
    slow, quick = Thing(), Thing()
    slow.may_leave.clear()
    asking = threading.Thread(target=lambda: slow.value)
    asking.start()
    assert slow.inside.wait(5.0)

    done = threading.Event()
    other = threading.Thread(target=lambda: (quick.value, done.set()), daemon=True)
    other.start()
    answered = done.wait(2.0)
    slow.may_leave.set()
    asking.join(5.0)
    other.join(5.0)

    assert answered
