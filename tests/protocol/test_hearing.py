"""When data was read, noted for later: the first and the last of what came together, and every pause between."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.config import ConnectionConfig
from upbit_ws.protocol.cadence import Cadence
from upbit_ws.protocol.hearing import Hearing
from upbit_ws.protocol.liveness import Liveness
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.types import Endpoint

INTERVAL = 0.05


def in_c() -> Any:
    """The same in C, which is a part of what files."""
    pool = DataPoolManager()
    made = pool.intake(pool.open_epoch(Endpoint.PUBLIC, 0.0), lambda: 0.0, INTERVAL)
    if made is None:
        pytest.skip("needs the extension")
    return made


@pytest.fixture(params=["Python", "C"])
def hearing(request: pytest.FixtureRequest) -> Any:
    return Hearing(INTERVAL) if request.param == "Python" else in_c()


def test_of_what_comes_together_the_first_and_the_last_moment_are_noted(hearing: Any) -> None:
    for now in (1.0, 1.01, 1.02, 1.03):
        hearing.hear(now)

    assert hearing.heard_at == 1.03
    assert hearing.take() == [1.0, 1.03]
    assert hearing.take() == []


def test_a_pause_is_noted_with_its_beginning_and_its_end(hearing: Any) -> None:
    for now in (1.0, 1.02, 3.0, 3.04):
        hearing.hear(now)

    assert hearing.take() == [1.0, 1.02, 3.0, 3.04]


def test_what_comes_behind_a_look_is_noted_at_once(hearing: Any) -> None:
    hearing.hear(1.0)
    hearing.take()
    hearing.hear(1.01)
    hearing.hear(1.02)

    assert hearing.take() == [1.01, 1.02]


def test_it_is_due_when_somebody_waits_for_data_and_some_came(hearing: Any) -> None:
    hearing.hear(1.0)
    hearing.take()
    hearing.is_awaited = True
    assert not hearing.is_due
    hearing.hear(1.01)
    assert hearing.is_due
    hearing.take()
    assert not hearing.is_due


def test_it_is_due_before_moments_are_lost(hearing: Any) -> None:
    count = 0
    while not hearing.is_due:
        count += 1
        hearing.hear(float(count))
        assert count < 100

    assert hearing.take() == [float(number) for number in range(1, count + 1)]


def test_what_nobody_takes_is_bounded_and_the_last_moment_stays(hearing: Any) -> None:
    for number in range(1000):
        hearing.hear(float(number))

    heard = hearing.take()
    assert heard[:3] == [0.0, 1.0, 2.0]
    assert len(heard) < 100
    assert heard[-1] == hearing.heard_at == 999.0


steps = st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.02, 0.049, 0.05, 0.06, 0.3, 7.0]), st.booleans()), max_size=300)


@given(steps)
def test_both_note_the_same(pauses: list[tuple[float, bool]]) -> None:
    python, c, now = Hearing(INTERVAL), in_c(), 100.0
    for pause, is_taken in pauses:
        now += pause
        python.hear(now)
        c.hear(now)
        assert (python.heard_at, python.is_due) == (c.heard_at, c.is_due)
        if is_taken or python.is_due:
            assert python.take() == c.take()


@given(st.lists(st.sampled_from([0.001, 0.02, 0.06, 0.3, 7.0, 70.0]), min_size=1, max_size=200))
def test_clocks_that_hear_later_learn_nearly_the_same_patience(pauses: list[float]) -> None:
    at_once, later = Cadence(10.0, 4.0), Cadence(10.0, 4.0)
    told, hearing = Liveness(ConnectionConfig(), 1, 100.0, at_once), Hearing(INTERVAL)
    telling = Liveness(ConnectionConfig(), 1, 100.0, later)
    for liveness in (told, telling):
        liveness.on_request(100.0, is_watchable=True)
    now = 100.0
    for pause in pauses:
        now += pause
        told.on_bytes(now)
        told.on_data(now)
        hearing.hear(now)
        if hearing.is_due:
            for heard_at in hearing.take():
                telling.on_data(heard_at)
    for heard_at in hearing.take():
        telling.on_data(heard_at)

    assert telling.last_data_at == told.last_data_at == now
    assert later.patience == pytest.approx(at_once.patience, rel=0.02)
