"""Windows that are never exceeded, blocks that grow, and the header that says what is left."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upbit_ws.protocol.rate_limit import (
    FORGIVEN_AFTER,
    GROUPS,
    RateGroup,
    RateWindow,
    RemainingRequests,
    block_seconds,
    parse_remaining_req,
)

pauses = st.lists(st.floats(0.0, 3.0) | st.just(0.0), max_size=200)


def _granted(group: RateGroup, gaps: list[float], *, patient: bool) -> list[float]:
    now, grants = 100.0, []
    for gap in gaps:
        now += gap
        wait = group.reserve(now)
        if wait and patient:
            now += wait
            wait = group.reserve(now)
        if not wait:
            grants.append(now)
    return grants


@settings(max_examples=200, deadline=None)
@given(limit=st.integers(1, 6), period=st.sampled_from([0.5, 1.0, 2.0]), gaps=pauses, patient=st.booleans())
def test_no_window_of_the_period_ever_holds_more_grants_than_the_limit(
    limit: int, period: float, gaps: list[float], patient: bool
) -> None:
    grants = _granted(RateGroup.of([(limit, period)]), gaps, patient=patient)
    for index, start in enumerate(grants):
        assert bisect_right(grants, start + period) - index <= limit


@settings(max_examples=100, deadline=None)
@given(gaps=pauses)
def test_several_windows_hold_at_once(gaps: list[float]) -> None:
    grants = _granted(RateGroup.of([(5, 1.0), (8, 10.0)]), gaps, patient=True)
    for index, start in enumerate(grants):
        assert bisect_right(grants, start + 1.0) - index <= 5
        assert bisect_right(grants, start + 10.0) - index <= 8


@settings(max_examples=100, deadline=None)
@given(gaps=pauses)
def test_waiting_as_told_is_enough(gaps: list[float]) -> None:
    group, now = RateGroup.of([(3, 1.0)]), 0.0
    for gap in gaps:
        now += gap
        wait = group.reserve(now)
        if wait:
            now += wait
            assert group.reserve(now) == pytest.approx(0.0, abs=1e-9)


def test_the_first_grants_come_at_once_and_the_next_after_the_period_and_its_slack() -> None:
    group = RateGroup.of([(2, 1.0)], slack=0.1)
    assert [group.reserve(0.0), group.reserve(0.5)] == [0.0, 0.0]
    assert group.reserve(0.6) == pytest.approx(0.5)
    assert group.reserve(1.1) == 0.0
    assert group.reserve(1.1) == pytest.approx(0.5)


def test_asking_in_vain_costs_nothing() -> None:
    group = RateGroup.of([(1, 1.0)], slack=0.0)
    assert group.reserve(0.0) == 0.0
    for now in (0.2, 0.5, 0.9):
        assert group.reserve(now) > 0.0
    assert group.reserve(1.0) == 0.0


def test_a_clock_that_runs_backwards_never_makes_the_wait_longer_than_a_period() -> None:
    group = RateGroup.of([(1, 1.0)], slack=0.1)
    group.reserve(1_000.0)
    assert group.reserve(0.0) == pytest.approx(1.1)


@pytest.mark.parametrize(("limit", "period", "slack"), [(0, 1.0, 0.0), (1, 0.0, 0.0), (1, 1.0, -0.1)])
def test_a_window_that_makes_no_sense_is_refused(limit: int, period: float, slack: float) -> None:
    with pytest.raises(ValueError, match="limit >= 1"):
        RateWindow(limit, period, slack=slack)


def test_a_block_holds_whatever_the_windows_say_and_is_never_shortened() -> None:
    group = RateGroup.of([(5, 1.0)])
    group.block(10.0)
    group.block(4.0)
    assert group.blocked_until == 10.0
    assert group.reserve(3.0) == 7.0
    assert group.reserve(10.0) == 0.0


def test_a_group_without_windows_only_knows_blocks() -> None:
    group = RateGroup([])
    assert group.reserve(0.0) == 0.0
    group.block(5.0)
    assert group.reserve(0.0) == 5.0


def test_penalties_grow_on_repetition_and_are_forgiven_after_a_while() -> None:
    group = RateGroup.of([(5, 1.0)])
    assert [group.penalize(429, None, 0.0), group.penalize(429, None, 10.0), group.penalize(429, None, 20.0)] == [
        1.0,
        12.0,
        24.0,
    ]
    later = 24.0 + FORGIVEN_AFTER + 1.0
    assert group.penalize(429, None, later) == later + 1.0


def test_a_reset_forgets_grants_and_keeps_blocks() -> None:
    group = RateGroup.of([(1, 60.0)])
    group.reserve(0.0)
    group.reset()
    assert group.reserve(0.0) == 0.0
    group.block(9.0)
    group.reset()
    assert group.reserve(1.0) == 8.0


@pytest.mark.parametrize(
    ("status", "told", "strikes", "seconds"),
    [
        (429, None, 0, 1.0),
        (429, None, 3, 8.0),
        (429, 30.0, 3, 30.0),
        (429, 0.0, 0, 1.0),
        (429, -5.0, 0, 1.0),
        (429, 1e9, 0, 600.0),
        (429, float("nan"), 0, 1.0),
        (429, float("inf"), 0, 600.0),
        (429, None, 10_000, 600.0),
        (418, None, 0, 60.0),
        (418, None, 2, 240.0),
        (418, 10.0, 0, 60.0),
        (418, 90.0, 0, 90.0),
    ],
)
def test_how_long_a_block_lasts(status: int, told: float | None, strikes: int, seconds: float) -> None:
    assert block_seconds(status, told, strikes) == seconds


def test_what_others_used_up_counts_as_ours_in_the_windows_of_a_second() -> None:
    group = RateGroup.of([(5, 1.0), (100, 60.0)], slack=0.0)
    group.reserve(0.0)
    group.narrow(1, 0.0)
    assert group.reserve(0.0) == 0.0
    assert group.reserve(0.0) == 1.0
    assert group.reserve(1.0) == 0.0


def test_hearing_of_more_left_than_we_think_changes_nothing() -> None:
    window = RateWindow(5, 1.0, slack=0.0)
    window.record(0.0)
    window.narrow(0.0, 7)
    assert window.left(0.0) == 4
    window.narrow(0.0, -3)
    assert window.left(0.0) == 0
    assert window.left(1.0) == 5


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("group=default; min=1800; sec=29", RemainingRequests("default", 29, 1800)),
        ("group=websocket; min=300; sec=3", RemainingRequests("websocket-connect", 3, 300)),
        ("group=order-cancel-all;sec=0", RemainingRequests("order-cancel-all", 0, None)),
        (" sec = 4 ; group = ticker ", RemainingRequests("ticker", 4, None)),
        (None, None),
        ("", None),
        ("group=default", None),
        ("sec=3", None),
        ("group=default; sec=-1", None),
        ("group=default; sec=٣", None),
        ("group=default; sec=99999999999999", None),
        ("rubbish", None),
        ("group=default; sec=1" + " " * 300, None),
    ],
)
def test_the_remaining_requests_header(header: str | None, expected: RemainingRequests | None) -> None:
    assert parse_remaining_req(header) == expected


@given(st.text(max_size=120))
def test_any_header_is_read_or_not_but_never_raises(header: str) -> None:
    parse_remaining_req(header)


def test_the_table_of_groups_is_the_published_one() -> None:
    assert GROUPS["websocket-connect"] == ((5, 1.0),)
    assert GROUPS["websocket-message"] == ((5, 1.0), (100, 60.0))
    assert {GROUPS[name] for name in ("market", "candle", "trade", "ticker", "orderbook")} == {((10, 1.0),)}
    assert GROUPS["order-cancel-all"] == ((1, 2.0),)
    assert GROUPS["origin"] == ((1, 10.0),)
