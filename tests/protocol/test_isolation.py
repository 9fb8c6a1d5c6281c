"""Finding the guilty part of a refused request, one question per connection."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.wants import any_endpoint, key, want
from upbit_ws.protocol.isolation import Isolation, is_blameable
from upbit_ws.protocol.subscription_plan import Plan, plan_wants
from upbit_ws.types import DataType, StreamKey, Want

T, C1 = DataType.TICKER, DataType.CANDLE_1M


def _plan(*wants: Want) -> Plan:
    plan = plan_wants(wants)
    assert plan is not None
    return plan


def _tickers(count: int) -> Plan:
    return _plan(*(want(T, f"KRW-{number:03}") for number in range(count)))


def _search(plan: Plan, is_refused: Callable[[Plan], bool]) -> tuple[frozenset[StreamKey], frozenset[StreamKey], int]:
    """Ask until the search is over: good streams, blamed streams, connections it took."""
    search, asked = Isolation.of_rejected(plan), 1
    while not search.is_over:
        attempt = search.attempt(plan)
        assert attempt is not None
        asked += 1
        assert asked < 5 * len(plan) + 10
        search = search.rejected(plan) if is_refused(attempt) else search.accepted()
    return search.good, search.blamed, asked


def test_one_guilty_code_among_many_is_found_in_few_questions() -> None:
    plan, guilty = _tickers(200), key(T, "KRW-123")
    good, blamed, asked = _search(plan, lambda attempt: guilty in attempt.keys)
    assert blamed == {guilty}
    assert good == plan.keys - {guilty}
    assert asked <= 20


def test_a_guilty_type_is_blamed_as_a_whole_after_two_of_its_codes() -> None:
    candles = [want(C1, f"KRW-{number:03}") for number in range(300)]
    plan = _plan(want(T, "KRW-BTC"), want(DataType.TRADE, "KRW-BTC"), *candles)
    _, blamed, asked = _search(plan, lambda attempt: any(k.data_type is C1 for k in attempt.keys))
    assert blamed == {wish.key for wish in candles}
    assert asked <= 16


def test_a_single_guilty_wish_is_blamed_at_once() -> None:
    plan = _plan(want(T, "KRW-BTC"))
    search = Isolation.of_rejected(plan)
    assert search.is_over
    assert search.blamed == plan.keys
    assert search.attempt(plan) is None
    assert search.accepted() is search


def test_what_is_known_to_be_good_stays_in_every_question() -> None:
    plan = _tickers(8)
    search = Isolation.of_rejected(plan).accepted()
    good = search.good
    while not search.is_over:
        attempt = search.attempt(plan)
        assert attempt is not None
        assert good <= attempt.keys
        search = search.rejected(plan)


def test_new_wishes_are_asked_for_last_and_dropped_ones_not_at_all() -> None:
    plan = _tickers(4)
    search = Isolation.of_rejected(plan).accepted()
    changed = _plan(*(wish for wish in plan.wants[1:]), want(T, "KRW-NEW"))
    search = search.adjusted(changed.keys)
    assert key(T, "KRW-000") not in search.good.union(*search.suspects)
    assert search.suspects[0] == {key(T, "KRW-NEW")}
    assert search.suspects[-1] == {key(T, "KRW-002"), key(T, "KRW-003")}


def test_a_blamed_stream_that_is_wanted_again_is_a_suspect_again() -> None:
    plan = _plan(want(T, "KRW-BTC"))
    search = Isolation.of_rejected(plan).adjusted(plan.keys)
    assert search.blamed == frozenset()
    assert search.suspects == (plan.keys,)


def test_a_stream_wanted_in_another_way_is_neither_good_nor_suspected_any_more() -> None:
    plan = _tickers(4)
    search = Isolation.of_rejected(plan).accepted()
    for doubted in (key(T, "KRW-000"), key(T, "KRW-003")):
        search = search.doubted(doubted)
        assert doubted not in search.good.union(*search.suspects)


def test_suspects_that_nobody_wants_any_more_are_passed_over() -> None:
    plan = _tickers(4)
    search = Isolation.of_rejected(plan)
    left = _plan(want(T, "KRW-002"), want(T, "KRW-003"))
    assert search.rejected(left).suspects == (frozenset({key(T, "KRW-002"), key(T, "KRW-003")}),)


def test_a_finished_search_begins_anew_when_the_good_are_refused() -> None:
    plan = _tickers(4)
    search = Isolation(good=plan.keys)
    assert search.rejected(plan) == Isolation.of_rejected(plan)


@pytest.mark.parametrize("name", ["INVALID_AUTH", "TOO_MANY_REQUEST", "Too Many Requests", "I'm a teapot"])
def test_errors_about_the_account_or_the_rate_blame_nobody(name: str) -> None:
    assert not is_blameable(name)


@pytest.mark.parametrize("name", ["WRONG_FORMAT", "NO_TICKET", "NO_TYPE", "NO_CODES", "INVALID_PARAM", "SOMETHING_NEW"])
def test_other_errors_are_about_the_request(name: str) -> None:
    assert is_blameable(name)


@settings(max_examples=150, deadline=None)
@given(any_endpoint, st.data())
def test_every_search_ends_with_the_guilty_blamed(wants: list[Want], data: st.DataObject) -> None:
    plan = plan_wants(wants)
    if plan is None:
        return
    guilty = data.draw(st.sets(st.sampled_from([wish.key for wish in plan]), min_size=1))
    good, blamed, _ = _search(plan, lambda attempt: bool(attempt.keys & guilty))
    assert guilty <= blamed
    assert not good & guilty
    assert good | blamed == plan.keys
    # An innocent is blamed only along with two guilty ones of its own kind.
    for innocent in blamed - guilty:
        kind = (innocent.data_type, innocent.variant)
        assert sum((k.data_type, k.variant) == kind for k in guilty) >= 2
