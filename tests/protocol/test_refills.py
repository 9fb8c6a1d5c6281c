"""What was filled in afterwards: kept beside what came live, and told in the order in which it arrived."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.protocol.refills import Refills

#: Batches that arrived: how many live payloads, then how many that were filled in.
BATCHES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(batches=BATCHES, limit=st.integers(3, 8), data=st.data())
def test_what_arrived_since_is_told_in_order_and_nothing_from_before(
    batches: list[tuple[int, int]], limit: int, data: st.DataObject
) -> None:
    refills: Refills[int] = Refills(limit)
    live: deque[int] = deque(maxlen=limit)
    revision = 0
    for number, filled in batches:
        for _ in range(number):
            revision += 1
            live.append(revision)
        refills.forget_outlived(revision, limit)
        for _ in range(filled):
            revision += 1
            refills.add(revision, revision)
    since = data.draw(st.integers(0, revision))

    told = refills.arrived_since(since, revision, list(live))

    kept = {*live, *refills.entries()}
    assert told == [number for number in range(since + 1, revision + 1) if number in kept]


def test_no_more_than_the_limit_is_kept_of_all_fills_and_of_those_the_newest() -> None:
    refills: Refills[int] = Refills(3)
    for revision in (1, 2, 3, 5, 6):  # something live came in between
        refills.add(revision, revision)
    refills.add(8, 8)

    assert refills.entries() == [3, 5, 6, 8]  # the newest fill counts from the next one on


def test_a_fill_that_is_outlived_is_forgotten_with_all_before_it() -> None:
    refills: Refills[int] = Refills(3)
    refills.add(1, 1)
    refills.add(3, 3)

    refills.forget_outlived(4, 3)
    assert refills.entries() == [1, 3]
    refills.forget_outlived(5, 3)
    assert refills.entries() == [3]
    refills.forget_outlived(6, 3)
    assert (len(refills), refills.entries()) == (0, [])


def test_where_nobody_reads_what_is_outlived_is_forgotten_all_the_same() -> None:
    refills: Refills[int] = Refills(3)
    for gap in range(1_000):
        refills.add(gap, gap * 11)  # ten live payloads in between

    assert len(refills) == 1
    assert refills.entries() == [999]
