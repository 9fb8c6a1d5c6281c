"""Who wants what: many owners, three endpoints, one lock."""

from __future__ import annotations

import sys
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.protocol.wants import all_wants, key, want
from upbit_ws.exceptions import PayloadError
from upbit_ws.protocol.subscription_list import SubscriptionList
from upbit_ws.protocol.subscription_plan import plan_wants
from upbit_ws.shared.subscription_state_manager import SubscriptionStateManager
from upbit_ws.testing import ManualClock
from upbit_ws.types import DataType, Endpoint, StreamKey, Want

PUBLIC, PRIVATE = Endpoint.PUBLIC, Endpoint.PRIVATE
T, B = DataType.TICKER, DataType.ORDERBOOK
BTC, ETH = key(T, "KRW-BTC"), key(T, "KRW-ETH")


@pytest.fixture
def manager(manual_clock: ManualClock) -> SubscriptionStateManager:
    return SubscriptionStateManager(clock=manual_clock)


def _keys(manager: SubscriptionStateManager, endpoint: Endpoint = PUBLIC) -> frozenset[StreamKey]:
    plan = manager.wanted(endpoint)
    return plan.keys if plan is not None else frozenset()


def _send(manager: SubscriptionStateManager, epoch: int, endpoint: Endpoint = PUBLIC) -> None:
    plan = manager.wanted(endpoint)
    assert plan is not None
    manager.mark_sent(endpoint, epoch, plan)


class TestWishes:
    def test_a_change_names_the_endpoints_to_be_woken(self, manager: SubscriptionStateManager) -> None:
        assert manager.set_wants("a", [Want(BTC), want(DataType.MY_ASSET)]) == {PUBLIC, PRIVATE}
        assert manager.set_wants("a", [Want(ETH), want(DataType.MY_ASSET)]) == {PUBLIC}
        assert manager.drop_owner("a") == {PUBLIC, PRIVATE}

    def test_wanting_what_another_wants_already_changes_nothing(self, manager: SubscriptionStateManager) -> None:
        manager.set_wants("a", [Want(BTC)])
        version = manager.version(PUBLIC)
        assert not manager.set_wants("b", [Want(BTC)])
        assert manager.version(PUBLIC) == version

    def test_the_last_one_out_unsubscribes(self, manager: SubscriptionStateManager) -> None:
        manager.set_wants("a", [Want(BTC)])
        manager.set_wants("b", [Want(BTC)])
        assert not manager.drop_owner("a")
        assert _keys(manager) == {BTC}
        assert manager.drop_owner("b") == {PUBLIC}
        assert manager.wanted(PUBLIC) is None
        assert manager.owners_of(BTC) == frozenset()

    def test_the_deeper_book_goes_with_its_owner(self, manager: SubscriptionStateManager) -> None:
        book = key(B, "KRW-BTC")
        manager.set_wants("a", [Want(book, units=5)])
        assert manager.set_wants("b", [Want(book, units=15)]) == {PUBLIC}
        assert manager.wanted(PUBLIC) == plan_wants([Want(book, units=15)])
        assert manager.drop_owner("b") == {PUBLIC}
        assert manager.wanted(PUBLIC) == plan_wants([Want(book, units=5)])

    def test_adding_keeps_what_was_there_and_replaces_the_same_key(self, manager: SubscriptionStateManager) -> None:
        book = key(B, "KRW-BTC")
        manager.add("a", [Want(BTC), Want(book, units=5)])
        manager.add("a", [Want(ETH), Want(book, units=1)])
        assert {wish.key: wish.units for wish in manager.wants_of("a")} == {BTC: None, ETH: None, book: 1}

    def test_removing_some_keeps_the_others(self, manager: SubscriptionStateManager) -> None:
        manager.set_wants("a", [Want(BTC), Want(ETH)])
        assert manager.remove("a", [BTC, key(T, "KRW-XRP")]) == {PUBLIC}
        assert _keys(manager) == {ETH}
        assert not manager.remove("stranger")

    def test_the_same_key_twice_in_one_call_is_merged(self, manager: SubscriptionStateManager) -> None:
        manager.set_wants("a", [Want(BTC, snapshot=False), Want(BTC, realtime=False)])
        assert manager.wants_of("a") == (Want(BTC),)

    def test_a_plan_comes_with_its_version(self, manager: SubscriptionStateManager) -> None:
        assert manager.wanted_with_version(PUBLIC) == (None, 0)
        manager.set_wants("a", [Want(BTC)])
        assert manager.wanted_with_version(PUBLIC) == (plan_wants([Want(BTC)]), 1)
        assert manager.version(PRIVATE) == 0

    def test_the_plan_is_the_same_object_until_it_changes(self, manager: SubscriptionStateManager) -> None:
        manager.set_wants("a", [Want(BTC)])
        assert manager.wanted(PUBLIC) is manager.wanted(PUBLIC)


class TestProgress:
    def test_wanted_sent_and_confirmed_can_be_looked_at(self, manager: SubscriptionStateManager) -> None:
        manager.set_wants("a", [Want(BTC), Want(ETH)])
        assert manager.progress(PUBLIC) == (2, 0)
        assert manager.sent(PUBLIC) is None
        _send(manager, 1)
        assert manager.sent(PUBLIC) == manager.wanted(PUBLIC)
        assert not manager.confirm(PUBLIC, 1, [BTC])
        assert manager.confirmed(PUBLIC) == {BTC}
        assert manager.progress(PUBLIC) == (2, 1)
        manager.on_disconnected(PUBLIC)
        assert manager.sent(PUBLIC) is None
        assert manager.progress(PUBLIC) == (2, 0)
        assert manager.progress(PRIVATE) == (0, 0)

    def test_a_misspelt_code_is_silent(self, manager: SubscriptionStateManager, manual_clock: ManualClock) -> None:
        typo = key(T, "KRW-BCT")
        manager.set_wants("a", [Want(BTC), Want(typo), want(DataType.MY_ASSET)])
        _send(manager, 1)
        _send(manager, 2, PRIVATE)
        manager.confirm(PUBLIC, 1, [BTC])
        assert manager.silent(manual_clock.advance(4.9), 5.0) == ()
        assert manager.silent(manual_clock.advance(0.1), 5.0) == (typo,)

    def test_what_is_listed_confirms_streams_that_have_no_snapshot(self, manager: SubscriptionStateManager) -> None:
        manager.set_wants("a", [Want(BTC), Want(ETH, snapshot=False)])
        _send(manager, 1)
        answer = {"method": "LIST_SUBSCRIPTIONS", "result": [{"type": "ticker", "codes": ["KRW-BTC", "KRW-ETH"]}]}

        assert manager.take_listing(PUBLIC, 0, answer).keys == {BTC, ETH}
        assert manager.confirmed(PUBLIC) == frozenset(), "late news of an older connection"
        manager.take_listing(PUBLIC, 1, answer)
        assert manager.confirmed(PUBLIC) == {ETH}
        with pytest.raises(PayloadError):
            manager.take_listing(PUBLIC, 1, {})

    def test_a_question_that_was_not_answered_is_put_to_the_next_connection(
        self, manager: SubscriptionStateManager
    ) -> None:
        number = manager.ask_listing(PUBLIC)
        assert manager.listing_due(PUBLIC) == (number, 0)
        manager.mark_listing_sent(PUBLIC, number)
        assert manager.listing_due(PUBLIC) is None
        manager.on_disconnected(PUBLIC)
        assert manager.listing_due(PUBLIC) == (number, 0)
        manager.forget_listing(PUBLIC, number)
        assert manager.listing_due(PUBLIC) is None

    def test_an_answer_outlives_its_connection(self, manager: SubscriptionStateManager) -> None:
        """Whoever asked may be slow to look."""
        number, listed = manager.ask_listing(PUBLIC), SubscriptionList("t", frozenset({BTC}))
        manager.answer_listing(PUBLIC, number, listed)
        manager.on_disconnected(PUBLIC)

        assert manager.listed(PUBLIC, number) is listed
        assert manager.listed(PUBLIC, manager.ask_listing(PUBLIC)) is None

    def test_an_older_answer_does_not_take_the_place_of_a_newer_one(self, manager: SubscriptionStateManager) -> None:
        earlier, later = manager.ask_listing(PUBLIC), manager.ask_listing(PUBLIC)
        newer = SubscriptionList("newer", frozenset())
        manager.answer_listing(PUBLIC, later, newer)
        manager.answer_listing(PUBLIC, earlier, SubscriptionList("older", frozenset()))

        assert manager.listed(PUBLIC, earlier) is newer


class TestRefusals:
    def test_owners_learn_what_of_theirs_is_refused(
        self, manager: SubscriptionStateManager, manual_clock: ManualClock
    ) -> None:
        manager.set_wants("a", [Want(BTC), Want(ETH)])
        manager.set_wants("b", [Want(ETH), want(DataType.MY_ASSET)])
        _send(manager, 1)
        assert manager.reject(PUBLIC, "INVALID_PARAM", "no") == ()
        manager.on_disconnected(PUBLIC)
        assert manager.is_isolating(PUBLIC)
        assert _keys(manager) == {BTC}
        _send(manager, 2)
        assert manager.settles_at(PUBLIC) == manual_clock() + 1.5
        assert manager.confirm(PUBLIC, 2, [BTC]) == {PUBLIC}
        assert _keys(manager) == {BTC, ETH}
        _send(manager, 2)
        assert manager.reject(PUBLIC, "INVALID_PARAM", "no") == (ETH,)
        assert not manager.is_isolating(PUBLIC)
        assert manager.settles_at(PUBLIC) is None
        assert _keys(manager) == {BTC}
        asked = manager.asked(PUBLIC)
        assert asked is not None
        assert asked.keys == {BTC, ETH}
        assert [error.name for error in manager.rejections("b").values()] == ["INVALID_PARAM"]
        assert manager.rejections("a").keys() == manager.rejections("b").keys() == {ETH}
        assert manager.rejections("stranger") == {}

    def test_a_request_that_meets_no_error_settles(
        self, manager: SubscriptionStateManager, manual_clock: ManualClock
    ) -> None:
        manager.set_wants("a", [Want(BTC), Want(ETH)])
        _send(manager, 1)
        manager.reject(PUBLIC, "INVALID_PARAM", "no")
        _send(manager, 2)
        assert not manager.settle(PUBLIC)
        manual_clock.advance(1.5)
        assert manager.settle(PUBLIC) == {PUBLIC}
        assert _keys(manager) == {BTC, ETH}

    def test_a_refused_stream_is_tried_again_on_parole(
        self, manager: SubscriptionStateManager, manual_clock: ManualClock
    ) -> None:
        manager.set_wants("a", [Want(BTC)])
        _send(manager, 1)
        assert manager.reject(PUBLIC, "INVALID_PARAM", "no") == (BTC,)
        assert manager.wanted(PUBLIC) is None
        assert not manager.parole()
        manual_clock.advance(301.0)
        assert manager.parole() == {PUBLIC}
        assert _keys(manager) == {BTC}
        assert manager.rejections("a") == {}


def test_churn_from_many_threads_ends_with_what_is_wanted() -> None:
    manager = SubscriptionStateManager()
    codes = [f"KRW-{number:02}" for number in range(20)]
    start = threading.Barrier(8)

    def churn(owner: int) -> None:
        start.wait()
        for turn in range(60):
            manager.set_wants(owner, [want(T, codes[(owner + turn + step) % 20]) for step in range(5)])
            manager.wanted(PUBLIC)
            if turn % 7 == 0:
                manager.drop_owner(owner)
        manager.set_wants(owner, [want(T, codes[owner])])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=churn, args=(owner,)) for owner in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert _keys(manager) == {key(T, code) for code in codes[:8]}


class ManagerAgainstModel(RuleBasedStateMachine):
    """Any sequence of calls: the plan is always that of all wishes together, and changes are never missed."""

    def __init__(self) -> None:
        super().__init__()
        self.manager = SubscriptionStateManager()
        self.model: dict[str, dict[StreamKey, Want]] = {}
        self.seen: dict[Endpoint, object] = dict.fromkeys(Endpoint)
        self.versions = dict.fromkeys(Endpoint, 0)

    def _check(self, changed: frozenset[Endpoint]) -> None:
        for endpoint in Endpoint:
            plan = self.manager.wanted(endpoint)
            assert (plan != self.seen[endpoint]) == (endpoint in changed)
            assert (self.manager.version(endpoint) != self.versions[endpoint]) == (endpoint in changed)
            self.seen[endpoint], self.versions[endpoint] = plan, self.manager.version(endpoint)

    owners = st.sampled_from(["a", "b", "c"])

    @rule(owner=owners, wants=all_wants)
    def set_wants(self, owner: str, wants: list[Want]) -> None:
        self.model[owner] = {wish.key: wish for wish in plan_wants(wants) or ()}
        self._check(self.manager.set_wants(owner, wants))

    @rule(owner=owners, wants=all_wants)
    def add(self, owner: str, wants: list[Want]) -> None:
        self.model.setdefault(owner, {}).update({wish.key: wish for wish in plan_wants(wants) or ()})
        self._check(self.manager.add(owner, wants))

    @rule(owner=owners, data=st.data())
    def remove(self, owner: str, data: st.DataObject) -> None:
        mine = self.model.get(owner, {})
        gone = data.draw(st.sets(st.sampled_from(sorted(mine, key=repr)))) if mine else set()
        self.model[owner] = {k: wish for k, wish in mine.items() if k not in gone}
        self._check(self.manager.remove(owner, gone))

    @rule(owner=owners)
    def drop(self, owner: str) -> None:
        self.model.pop(owner, None)
        self._check(self.manager.drop_owner(owner))

    @invariant()
    def plans_are_those_of_all_wishes(self) -> None:
        wishes = [wish for mine in self.model.values() for wish in mine.values()]
        for endpoint in Endpoint:
            here = [wish for wish in wishes if wish.key.data_type.endpoint is endpoint]
            assert self.manager.wanted(endpoint) == plan_wants(here)
        for wish in wishes:
            assert self.manager.owners_of(wish.key) == {o for o, mine in self.model.items() if wish.key in mine}


TestManagerAgainstModel = ManagerAgainstModel.TestCase
TestManagerAgainstModel.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


class ExchangeAgainstModel(RuleBasedStateMachine):
    """An exchange that refuses some streams, while wishes change: in the end everything else is subscribed."""

    CODES = tuple(f"KRW-{letter}" for letter in "ABCDEFGH")

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.manager = SubscriptionStateManager(clock=self.clock)
        self.epoch = 0
        self.guilty: set[StreamKey] = set()
        self.wishes: set[StreamKey] = set()

    @rule(codes=st.sets(st.sampled_from(CODES), max_size=2))
    def choose_guilty(self, codes: set[str]) -> None:
        if not self.wishes:
            self.guilty = {key(T, code) for code in codes}

    @rule(codes=st.sets(st.sampled_from(CODES)), with_books=st.booleans())
    def change_wishes(self, codes: set[str], with_books: bool) -> None:
        self.wishes = {key(T, code) for code in codes} | ({key(B, code) for code in codes} if with_books else set())
        self.manager.set_wants("owner", [Want(k) for k in self.wishes])

    @rule()
    def serve(self) -> None:
        """One round: connect where needed, send, and be refused or served."""
        plan = self.manager.wanted(PUBLIC)
        self.clock.advance(0.3)
        if plan is None:
            self.manager.on_disconnected(PUBLIC)
            return
        if self.manager.sent(PUBLIC) is None:
            self.epoch += 1
        self.manager.mark_sent(PUBLIC, self.epoch, plan)
        if plan.keys & self.guilty:
            self.manager.reject(PUBLIC, "INVALID_PARAM", "no")
            self.manager.on_disconnected(PUBLIC)
        else:
            self.manager.confirm(PUBLIC, self.epoch, plan.keys)

    @rule()
    def lose_connection(self) -> None:
        self.manager.on_disconnected(PUBLIC)

    def teardown(self) -> None:
        for _ in range(80):
            self.serve()
        assert not self.manager.is_isolating(PUBLIC)
        blamed = set(self.manager.rejections("owner"))
        assert self.guilty & self.wishes <= blamed
        assert _keys(self.manager) == self.wishes - blamed
        kinds = {k.data_type for k in blamed - self.guilty}
        assert all(sum(k.data_type is kind for k in self.guilty) >= 2 for kind in kinds)


TestExchangeAgainstModel = ExchangeAgainstModel.TestCase
TestExchangeAgainstModel.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
