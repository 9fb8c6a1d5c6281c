"""The usual pause of a feed, and the patience that follows from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.protocol.cadence import Cadence


@pytest.fixture
def cadence() -> Cadence:
    return Cadence(10.0, 8.0)


def _learn(cadence: Cadence, *pauses: float) -> None:
    for pause in pauses:
        cadence.learn(pause)


def test_an_unknown_feed_gets_the_floor(cadence: Cadence) -> None:
    assert cadence.usual_pause == 0.0
    assert cadence.patience == 10.0


def test_a_busy_feed_gets_the_floor(cadence: Cadence) -> None:
    _learn(cadence, *[0.05] * 1000)
    assert cadence.usual_pause == pytest.approx(0.05)
    assert cadence.patience == 10.0


def test_a_steady_feed_gets_its_pause_times_the_factor(cadence: Cadence) -> None:
    _learn(cadence, *[4.0] * 30)
    assert cadence.patience == pytest.approx(32.0)


def test_a_feed_of_bursts_is_as_slow_as_its_rests(cadence: Cadence) -> None:
    for _ in range(5):
        _learn(cadence, *[0.05] * 20, 20.0)
    assert cadence.patience == pytest.approx(152.0, rel=0.05)


def test_one_slow_second_does_not_make_a_busy_feed_slow(cadence: Cadence) -> None:
    _learn(cadence, *[0.1] * 600, 3.0, *[0.1] * 10)
    assert cadence.patience == 10.0


def test_a_long_rest_is_forgotten_after_some_minutes_of_business(cadence: Cadence) -> None:
    _learn(cadence, 200.0)
    assert cadence.patience == 300.0
    _learn(cadence, *[0.1] * 4200)
    assert cadence.patience < 12.0


def test_patience_is_capped_at_five_minutes(cadence: Cadence) -> None:
    _learn(cadence, *[10_000.0] * 3)
    assert cadence.patience == 300.0


def test_connections_that_never_speak_are_given_ever_more_time(cadence: Cadence) -> None:
    given_time = []
    for _ in range(8):
        given_time.append(cadence.first_patience)
        cadence.connection_was_barren()
    assert given_time == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]
    cadence.spoke()
    assert cadence.first_patience == 10.0


def test_counting_barren_connections_never_overflows(cadence: Cadence) -> None:
    for _ in range(2000):
        cadence.connection_was_barren()
    assert cadence.first_patience == 300.0


@given(st.lists(st.floats(0.0, 1e6), max_size=200))
def test_patience_stays_within_floor_and_cap(pauses: list[float]) -> None:
    cadence = Cadence(10.0, 8.0)
    for pause in pauses:
        cadence.learn(pause)
        assert 10.0 <= cadence.patience <= 300.0
