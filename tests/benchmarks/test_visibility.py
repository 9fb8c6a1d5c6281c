"""The estimate of delays from single looks, against distributions that are known."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.clients.visibility import Look, quantiles, statuses


def test_a_look_says_whether_the_last_message_written_before_it_was_visible() -> None:
    written = {1: 1000, 2: 4000, 3: 7000}
    looks = [Look(1050, 1), Look(4050, 1), Look(4200, 2), Look(500, 0)]
    assert statuses(looks, written) == [(50, True), (50, False), (200, True)]


def test_the_last_message_of_all_counts_only_when_seen_as_later_ones_may_be_unknown() -> None:
    assert statuses([Look(2000, 0)], {1: 1000}) == []
    assert statuses([Look(2000, 1)], {1: 1000}) == [(1000, True)]


def test_quantiles_of_a_known_distribution_come_back() -> None:
    rng = random.Random(5)
    found = []
    for _ in range(20_000):
        delay = rng.uniform(50, 150)
        age = rng.randrange(400)
        found.append((age, age >= delay))
    result = quantiles(found)
    assert 90 <= result["p50"] <= 110
    assert 130 <= result["p90"] <= 150
    assert 140 <= result["p99"] <= 165


def test_a_quantile_that_no_look_bears_out_is_left_out() -> None:
    assert quantiles([(10, False), (20, True), (30, False)]) == {"count": 3, "p50": 20}
    assert quantiles([]) == {"count": 0}


@given(st.lists(st.tuples(st.integers(0, 500), st.booleans())))
def test_quantiles_never_fall(found: list[tuple[int, bool]]) -> None:
    result = quantiles(found)
    values = [result[name] for name in ("p50", "p90", "p99") if name in result]
    assert values == sorted(values)
