"""Wanted, sent, confirmed, refused: the state of one endpoint."""

from __future__ import annotations

import pytest

from tests.protocol.wants import key, want
from upbit_ws.protocol.endpoint_subscriptions import ACCEPTED_AFTER, MAX_PAROLE, PAROLE, EndpointSubscriptions
from upbit_ws.protocol.subscription_plan import plan_wants
from upbit_ws.types import DataType, StreamKey, Want

T = DataType.TICKER
BTC, ETH, XRP = key(T, "KRW-BTC"), key(T, "KRW-ETH"), key(T, "KRW-XRP")


def _wanting(*wants: Want) -> EndpointSubscriptions:
    state = EndpointSubscriptions()
    for wish in wants:
        state.merged(wish.key, wish)
    state.replan()
    return state


def _tickers(*keys: StreamKey) -> EndpointSubscriptions:
    return _wanting(*(Want(k) for k in keys))


def _send(state: EndpointSubscriptions, epoch: int, now: float) -> None:
    assert state.wanted is not None
    state.mark_sent(epoch, state.wanted, now)


def _refuse(state: EndpointSubscriptions, epoch: int, now: float) -> frozenset[StreamKey]:
    """Connect, send what is wanted, be refused, be disconnected."""
    _send(state, epoch, now)
    guilty = state.reject("INVALID_PARAM", "no", now + 0.2)
    state.disconnected()
    return guilty


class TestRefusedQuestions:
    def test_a_request_refused_with_a_question_under_way_is_excused_once(self) -> None:
        """Also where it asks for one stream, which would be guilty at once."""
        state = _tickers(BTC)
        for epoch in (1, 2):
            _send(state, epoch, 0.0)
            state.questions.mark_sent(state.questions.ask(state.version))
            if epoch == 1:
                assert state.reject("WRONG_FORMAT", "no", 0.2) == frozenset()
                assert (state.wanted, state.isolation) == (state.plan, None)
                state.disconnected()
        assert state.reject("WRONG_FORMAT", "no", 0.2) == {BTC}

    def test_a_request_that_delivered_meanwhile_is_excused_again(self) -> None:
        state = _tickers(BTC)
        for epoch in (1, 2, 3):
            _send(state, epoch, 0.0)
            state.confirm(epoch, [BTC])
            state.questions.mark_sent(state.questions.ask(state.version))
            assert state.reject("WRONG_FORMAT", "no", 5.0) == frozenset()
            state.disconnected()
        assert state.wanted == state.plan

    def test_a_refusal_that_is_about_no_request_leaves_the_question_as_it_is(self) -> None:
        state = _tickers(BTC)
        _send(state, 1, 0.0)
        number = state.questions.ask(state.version)
        state.questions.mark_sent(number)
        state.reject("TOO_MANY_REQUEST", "slower", 0.2)
        state.disconnected()

        assert state.questions.due == (number, 1)


class TestWishes:
    def test_the_version_counts_changes_of_what_is_wanted(self) -> None:
        state = EndpointSubscriptions()
        assert state.merged(BTC, Want(BTC))
        assert state.replan()
        assert state.version == 1
        assert not state.merged(BTC, Want(BTC))
        assert not state.replan()
        assert state.merged(BTC, None)
        assert state.replan()
        assert (state.version, state.wanted, state.plan) == (2, None, None)

    def test_a_wish_for_nothing_leaves_the_plan_as_it_is(self) -> None:
        state = _tickers(BTC)
        assert state.merged(ETH, Want(ETH, snapshot=False, realtime=False))
        assert not state.replan()


class TestWire:
    def test_what_delivers_is_confirmed_and_the_rest_is_silent(self) -> None:
        state = _tickers(BTC, ETH)
        _send(state, 1, 10.0)
        assert not state.confirm(1, [BTC, XRP])
        assert state.confirmed == {BTC}
        assert list(state.silent(14.9, 5.0)) == []
        assert list(state.silent(15.0, 5.0)) == [ETH]

    def test_sending_again_on_the_same_connection_does_not_start_the_wait_anew(self) -> None:
        state = _tickers(BTC, ETH)
        _send(state, 1, 10.0)
        state.confirm(1, [BTC])
        _send(state, 1, 14.0)
        assert state.confirmed == {BTC}
        assert list(state.silent(15.0, 5.0)) == [ETH]

    def test_a_stream_without_snapshot_is_never_called_silent(self) -> None:
        state = _wanting(want(DataType.MY_ORDER), want(DataType.MY_ASSET))
        _send(state, 1, 0.0)
        assert list(state.silent(100.0, 5.0)) == []

    def test_late_news_of_an_older_connection_confirms_nothing(self) -> None:
        state = _tickers(BTC)
        _send(state, 1, 0.0)
        _send(state, 2, 1.0)
        state.confirm(1, [BTC])
        assert state.confirmed == set()

    def test_a_new_connection_starts_with_nothing_confirmed(self) -> None:
        state = _tickers(BTC)
        _send(state, 1, 0.0)
        state.confirm(1, [BTC])
        state.disconnected()
        assert (state.sent, state.confirmed) == (None, set())
        assert list(state.silent(100.0, 0.0)) == []
        _send(state, 2, 1.0)
        assert state.confirmed == set()

    def test_what_is_not_asked_for_any_more_is_not_confirmed_any_more(self) -> None:
        state = _tickers(BTC, ETH)
        _send(state, 1, 0.0)
        state.confirm(1, [BTC, ETH])
        state.merged(ETH, None)
        state.replan()
        _send(state, 1, 1.0)
        assert state.confirmed == {BTC}

    def test_an_order_of_one_market_confirms_the_wish_for_all(self) -> None:
        state = _wanting(want(DataType.MY_ORDER))
        _send(state, 1, 0.0)
        state.confirm(1, [key(DataType.MY_ORDER, "KRW-BTC")])
        assert state.confirmed == {key(DataType.MY_ORDER)}


class TestRefusals:
    def test_a_refused_wish_is_excluded_and_remembered(self) -> None:
        state = _tickers(BTC)
        assert _refuse(state, 1, 0.0) == {BTC}
        assert state.wanted is None
        assert state.plan == plan_wants([Want(BTC)])
        assert state.rejected[BTC].error.name == "INVALID_PARAM"
        assert state.isolation is None

    def test_the_good_half_goes_on_while_the_other_is_asked_for(self) -> None:
        state = _tickers(BTC, ETH, XRP)
        _refuse(state, 1, 0.0)  # all three
        assert state.wanted is not None
        assert state.wanted.keys == {BTC}
        _send(state, 2, 1.0)
        assert state.settles_at == 1.0 + ACCEPTED_AFTER
        assert not state.settle(1.0)
        assert state.settle(1.0 + ACCEPTED_AFTER)
        assert state.wanted.keys == {BTC, ETH, XRP}
        assert state.settles_at is None
        assert not state.settle(100.0)
        _refuse(state, 2, 3.0)
        assert state.wanted.keys == {BTC, ETH}
        assert _refuse(state, 3, 4.0) == {ETH}
        assert state.wanted.keys == {BTC, XRP}
        _send(state, 4, 5.0)
        assert not state.settle(5.0 + ACCEPTED_AFTER)  # the search is over and nothing else is wanted by it
        assert state.isolation is None
        assert state.wanted.keys == {BTC, XRP}
        assert set(state.rejected) == {ETH}

    def test_first_data_of_a_suspect_acquits_all_that_were_asked_for(self) -> None:
        state = _tickers(BTC, ETH, XRP, key(T, "KRW-ZZZ"))
        _refuse(state, 1, 0.0)
        _send(state, 2, 1.0)
        assert state.confirm(2, [BTC])
        assert state.isolation is not None
        assert state.isolation.good == {BTC, ETH}
        _send(state, 2, 1.2)
        assert not state.confirm(2, [BTC])  # known to be good: says nothing about the new ones

    def test_a_suspect_without_snapshot_is_no_witness(self) -> None:
        state = _wanting(want(DataType.MY_ORDER), want(DataType.MY_ASSET))
        _refuse(state, 1, 0.0)
        _send(state, 2, 1.0)
        assert not state.confirm(2, [key(DataType.MY_ORDER)])
        assert state.settle(1.0 + ACCEPTED_AFTER)

    def test_errors_about_something_else_change_nothing(self) -> None:
        state = _tickers(BTC)
        _send(state, 1, 0.0)
        assert state.reject("INVALID_AUTH", "", 1.0) == frozenset()
        assert state.reject("TOO_MANY_REQUEST", "", 1.0) == frozenset()
        assert state.wanted == plan_wants([Want(BTC)])

    def test_an_error_before_any_request_changes_nothing(self) -> None:
        assert _tickers(BTC).reject("WRONG_FORMAT", "", 0.0) == frozenset()

    def test_an_error_about_what_is_not_wanted_any_more_changes_nothing(self) -> None:
        state = _tickers(BTC, ETH)
        _send(state, 1, 0.0)
        state.merged(ETH, None)
        state.replan()
        assert state.reject("WRONG_FORMAT", "", 1.0) == frozenset()
        assert state.isolation is None

    def test_asked_for_in_another_way_a_refused_stream_gets_another_chance(self) -> None:
        state = _wanting(want(DataType.ORDERBOOK, "KRW-BTC", units=5))
        _refuse(state, 1, 0.0)
        book = key(DataType.ORDERBOOK, "KRW-BTC")
        state.merged(book, want(DataType.ORDERBOOK, "KRW-BTC", units=15))
        assert state.replan()
        assert state.wanted is not None
        assert not state.rejected

    def test_when_nobody_wants_it_any_more_the_refusal_is_forgotten(self) -> None:
        state = _tickers(BTC)
        _refuse(state, 1, 0.0)
        state.merged(BTC, None)
        state.replan()
        assert not state.rejected

    def test_all_suspects_withdrawn_ends_the_search(self) -> None:
        state = _tickers(BTC, ETH)
        _refuse(state, 1, 0.0)
        for k in (BTC, ETH):
            state.merged(k, None)
        state.replan()
        assert state.isolation is None
        assert state.wanted is None

    def test_a_wish_that_changes_during_a_search_becomes_a_suspect(self) -> None:
        state = _tickers(BTC, ETH, XRP)
        _refuse(state, 1, 0.0)
        _send(state, 2, 1.0)
        state.settle(3.0)
        state.merged(BTC, Want(BTC, snapshot=False))
        state.replan()
        assert state.isolation is not None
        assert state.isolation.good == frozenset()
        assert state.isolation.suspects[0] == {BTC}


class TestParole:
    def test_a_refused_stream_is_tried_again_after_a_while_apart_from_the_good_ones(self) -> None:
        state = _tickers(BTC, ETH)
        _refuse(state, 1, 0.0)
        assert _refuse(state, 2, 1.0) == {BTC}
        _send(state, 3, 2.0)
        state.settle(10.0)
        assert not state.parole(100.0)
        assert state.parole(1.2 + PAROLE)
        assert state.isolation is not None
        assert state.isolation.good == {ETH}
        assert state.wanted is not None
        assert state.wanted.keys == {BTC, ETH}

    def test_each_refusal_doubles_the_time_until_the_next_chance(self) -> None:
        state, now, waited = _tickers(BTC), 0.0, []
        for epoch in range(1, 13):
            _refuse(state, epoch, now)
            until = state.rejected[BTC].until
            waited.append(until - (now + 0.2))
            now = until
            assert state.parole(now)
        assert waited[:4] == pytest.approx([PAROLE, 2 * PAROLE, 4 * PAROLE, 8 * PAROLE])
        assert waited[-1] == pytest.approx(MAX_PAROLE)

    def test_one_on_parole_during_a_search_is_asked_for_as_well(self) -> None:
        state = _tickers(BTC, ETH, XRP)
        _refuse(state, 1, 0.0)
        assert _refuse(state, 2, 1.0) == {BTC}
        assert state.isolation is not None
        state.parole(2_000.0)
        assert state.isolation is not None
        assert BTC in frozenset().union(*state.isolation.suspects)
        assert not state.rejected

    def test_with_nothing_else_wanted_the_stream_on_parole_is_all_that_is_asked_for(self) -> None:
        state = _tickers(BTC)
        _refuse(state, 1, 0.0)
        assert state.parole(2_000.0)
        assert state.wanted == plan_wants([Want(BTC)])
        _send(state, 2, 2_001.0)
        state.confirm(2, [BTC])
        assert state.isolation is None

    def test_a_stream_on_parole_that_is_dropped_and_wanted_again_starts_afresh(self) -> None:
        state = _tickers(BTC)
        _refuse(state, 1, 0.0)
        state.parole(2_000.0)
        state.merged(BTC, None)
        state.replan()
        state.merged(BTC, Want(BTC))
        state.replan()
        _refuse(state, 2, 2_001.0)
        assert state.rejected[BTC].times == 1
