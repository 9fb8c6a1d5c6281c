"""Request limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.sandbox.limits import Gate, Limit, Verdict, Window


def test_a_window_lets_its_count_pass_and_begins_anew() -> None:
    window = Window(Limit(2))

    assert [window.take(now) for now in (0.1, 0.2, 0.3, 1.0)] == [True, True, False, True]


def test_what_is_left_is_told() -> None:
    window = Window(Limit(5))
    window.take(7.5)

    assert window.left(7.6) == 4
    assert window.left(8.0) == 5


@given(st.lists(st.floats(0, 30), max_size=80))
def test_no_second_lets_more_pass_than_the_limit(times: list[float]) -> None:
    window = Window(Limit(5))
    passed = [now for now in sorted(times) if window.take(now)]

    for second in range(31):
        assert sum(int(now) == second for now in passed) <= 5


def test_refusals_end_in_a_block_that_grows() -> None:
    gate = Gate((Limit(1),), patience=2, block=10.0)
    now = 100.0
    assert gate.ask("a", now) is Verdict.PASS
    assert [gate.ask("a", now) for _ in range(3)] == [Verdict.TOO_MANY, Verdict.TOO_MANY, Verdict.BLOCKED]
    assert gate.blocked_for("a", now) == 10.0
    assert gate.ask("a", now + 9.9) is Verdict.BLOCKED

    later = now + 10.5
    assert gate.ask("a", later) is Verdict.PASS
    assert [gate.ask("a", later) for _ in range(3)][-1] is Verdict.BLOCKED
    assert gate.blocked_for("a", later) == 20.0


def test_good_behaviour_is_rewarded() -> None:
    gate = Gate((Limit(1),), patience=0, block=10.0, forgive=60.0)
    for now in (0.0, 0.0):
        gate.ask("a", now)
    assert gate.blocked_for("a", 0.0) == 10.0

    gate.ask("a", 200.0)
    gate.ask("a", 200.0)

    assert gate.blocked_for("a", 200.0) == 10.0


def test_callers_do_not_hurt_each_other() -> None:
    gate = Gate((Limit(1),))
    gate.ask("a", 0.0)
    assert gate.ask("a", 0.0) is Verdict.TOO_MANY
    assert gate.ask("b", 0.0) is Verdict.PASS
    assert gate.left("c", 0.0) == 1

    gate.forget("a")

    assert gate.ask("a", 0.0) is Verdict.PASS


def test_all_limits_of_a_gate_hold() -> None:
    gate = Gate((Limit(5), Limit(7, 60.0)))
    verdicts = [gate.ask("a", now) for now in (0, 0, 0, 0, 0, 1, 1, 1)]

    assert [verdict is Verdict.PASS for verdict in verdicts] == [True] * 7 + [False]
