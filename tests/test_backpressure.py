"""Each strategy against its sentence, and the registry."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws import BackpressureConfig, BackpressureStrategy, InvalidArgumentError
from upbit_ws.backpressure import Backlog, Consequence, backlog_for, known_strategy, register_strategy, strategy_names


@frozen
class Item:
    """Something that waits."""

    number: int
    identity: Hashable = "A"


def numbers(backlog: Backlog) -> list[int]:
    """Take everything."""
    taken = []
    while (item := backlog.take()) is not None:
        taken.append(item.number)
    return taken


def filled(strategy: str, count: int, size: int = 3, *, identities: int = 1, deadline: float = 0.0) -> Backlog:
    backlog = backlog_for(strategy, size, deadline)
    for number in range(count):
        backlog.put(Item(number, number % identities), 0.0)
    return backlog


def test_drop_oldest_keeps_the_newest() -> None:
    backlog = filled("drop_oldest", 10)

    assert (numbers(backlog), backlog.dropped) == ([7, 8, 9], 7)


def test_drop_newest_keeps_what_came_first() -> None:
    backlog = filled("drop_newest", 10)

    assert (numbers(backlog), backlog.dropped) == ([0, 1, 2], 7)


def test_conflate_keeps_the_newest_of_each_identity_in_the_place_of_the_first() -> None:
    backlog = filled("conflate", 10, identities=3)

    assert (numbers(backlog), backlog.conflated, backlog.dropped) == ([9, 7, 8], 7, 0)


def test_conflate_is_bounded_in_identities() -> None:
    backlog = filled("conflate", 10, identities=10)

    assert (numbers(backlog), backlog.conflated, backlog.dropped) == ([7, 8, 9], 0, 7)


def test_block_loses_nothing_within_the_deadline_and_twice_the_size() -> None:
    backlog = filled("block", 6, deadline=1.0)

    assert (len(backlog), backlog.dropped) == (6, 0)


def test_block_has_a_bound_of_its_own_before_the_deadline() -> None:
    backlog = filled("block", 10, deadline=1.0)

    assert (numbers(backlog), backlog.dropped) == ([4, 5, 6, 7, 8, 9], 4)


def test_block_falls_back_to_dropping_the_oldest_after_the_deadline() -> None:
    backlog = filled("block", 6, deadline=1.0)

    assert backlog.put(Item(6), 1.0)
    assert (numbers(backlog), backlog.dropped) == ([4, 5, 6], 4)


def test_the_deadline_of_block_begins_anew_when_it_was_back_below_its_size() -> None:
    backlog = filled("block", 4, deadline=1.0)
    for _ in range(2):
        backlog.take()
    backlog.put(Item(4), 10.0)

    assert not backlog.put(Item(5), 11.0)
    assert not backlog.put(Item(6), 11.9)
    assert backlog.dropped == 0


def test_disconnect_and_raise_ask_for_more_than_counting() -> None:
    assert backlog_for("disconnect", 1).consequence is Consequence.DISCONNECT
    assert backlog_for("raise", 1).consequence is Consequence.RAISE
    assert numbers(filled("disconnect", 5)) == [0, 1, 2]
    assert numbers(filled("raise", 5)) == [2, 3, 4]


@given(
    st.sampled_from(list(BackpressureStrategy)),
    st.lists(st.one_of(st.none(), st.integers(0, 4))),
    st.integers(1, 5),
)
def test_nothing_is_lost_uncounted(strategy: BackpressureStrategy, steps: list[int | None], size: int) -> None:
    """None takes one out, a number puts one of that identity in."""
    backlog, put, taken = backlog_for(strategy, size, 0.5), 0, 0
    for now, step in enumerate(steps):
        before = backlog.dropped
        if step is None:
            taken += backlog.take() is not None
        else:
            lost = backlog.put(Item(now, step), now / 4)
            put += 1
            assert lost is (backlog.dropped > before)
        assert put == taken + backlog.conflated + backlog.dropped + len(backlog)
        assert len(backlog) <= 2 * size
    waiting = len(backlog)
    assert backlog.clear() == waiting
    assert (len(backlog), backlog.take()) == (0, None)


def test_a_strategy_is_known_by_member_name_and_any_case() -> None:
    assert known_strategy(BackpressureStrategy.CONFLATE) is BackpressureStrategy.CONFLATE
    assert known_strategy("DROP_OLDEST") is BackpressureStrategy.DROP_OLDEST
    assert set(strategy_names()) >= {strategy.value for strategy in BackpressureStrategy}


@pytest.mark.parametrize("value", ["drop", 3, None, []])
def test_an_unknown_strategy_is_refused_with_the_names_of_all(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="'conflate', ") as caught:
        known_strategy(value)
    assert "strategy=BackpressureStrategy.DROP_OLDEST" in str(caught.value)


def test_a_name_is_registered_once() -> None:
    with pytest.raises(InvalidArgumentError, match="is a strategy already"):
        register_strategy("conflate")(Backlog)


def test_the_configuration_takes_names_and_refuses_unknown_ones() -> None:
    assert BackpressureConfig(log_strategy="block").log_strategy is BackpressureStrategy.BLOCK
    with pytest.raises(InvalidArgumentError, match="log_strategy"):
        BackpressureConfig(log_strategy="never")
