"""What the exchange has as subscribed: asked behind the changes made before, and answered to whoever asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.runtime.parts import connection_parts
from upbit_ws.protocol.rate_limit import RateGroup
from upbit_ws.protocol.subscription_list import SubscriptionList
from upbit_ws.runtime.listing import Listing
from upbit_ws.types import DataType, Endpoint, StreamKey, Want

PUBLIC = Endpoint.PUBLIC
BTC = StreamKey(DataType.TICKER, "KRW-BTC")
NEVER = float("inf")


class Bench:
    def __init__(self, limit: int = 5) -> None:
        self.sent: list[Any] = []
        parts = connection_parts(PUBLIC, lambda: 0.0)
        self.subscriptions, self.meter = parts.subscriptions, parts.meter
        budget = RateGroup.of([(limit, 1.0)])
        self.listing = Listing(parts, budget, lambda message: self.sent.append(json.loads(message)))

    def answer(self, number: int, *keys: StreamKey) -> None:
        """The exchange answers the question that was sent as the `number`th, from 0."""
        self.listing.answered(SubscriptionList(self.sent[number][0]["ticket"], frozenset(keys)))

    def ask(self) -> int:
        return self.subscriptions.ask_listing(PUBLIC)

    def listed(self, number: int) -> SubscriptionList | None:
        return self.subscriptions.listed(PUBLIC, number)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_is_asked_while_nobody_wants_to_know(bench: Bench) -> None:
    bench.listing.tick(10.0, 0, NEVER)

    assert bench.sent == []
    assert bench.listing.due == NEVER


def test_the_answer_is_told_to_whoever_asked(bench: Bench) -> None:
    number = bench.ask()
    bench.listing.tick(10.0, 0, NEVER)
    bench.listing.tick(10.0, 0, NEVER)

    assert [request[1:] for request in bench.sent] == [[{"method": "LIST_SUBSCRIPTIONS"}, {"format": "DEFAULT"}]]
    assert bench.listed(number) is None
    bench.answer(0, BTC)
    listed = bench.listed(number)
    assert listed is not None
    assert listed.keys == {BTC}


@pytest.mark.parametrize(("send_at", "due"), [(NEVER, 10.0), (10.5, 10.5)], ids=["not noticed yet", "on its way"])
def test_a_change_made_before_is_sent_first(bench: Bench, send_at: float, due: float) -> None:
    bench.subscriptions.set_wants("a", [Want(BTC)])
    bench.ask()
    bench.listing.tick(10.0, 0, send_at)

    assert bench.sent == []
    assert bench.listing.due == due
    bench.listing.tick(10.5, 1, NEVER)
    assert len(bench.sent) == 1


def test_a_change_made_since_is_not_waited_for(bench: Bench) -> None:
    bench.ask()
    bench.subscriptions.set_wants("a", [Want(BTC)])
    bench.listing.tick(10.0, 0, 10.5)

    assert len(bench.sent) == 1


def test_the_answer_to_an_earlier_question_is_none_to_a_later_one(bench: Bench) -> None:
    earlier = bench.ask()
    bench.listing.tick(10.0, 0, NEVER)
    later = bench.ask()
    bench.listing.tick(10.1, 0, NEVER)
    bench.answer(0)

    assert bench.listed(earlier) is not None
    assert bench.listed(later) is None
    bench.answer(1, BTC)
    listed = bench.listed(later)
    assert listed is not None
    assert listed.keys == {BTC}


def test_one_question_answers_all_who_asked_before(bench: Bench) -> None:
    numbers = [bench.ask() for _ in range(3)]
    bench.listing.tick(10.0, 0, NEVER)
    bench.answer(0, BTC)

    assert len(bench.sent) == 1
    assert None not in [bench.listed(number) for number in numbers]


def test_an_answer_to_somebody_elses_question_is_none(bench: Bench) -> None:
    number = bench.ask()
    bench.listing.tick(10.0, 0, NEVER)
    bench.listing.answered(SubscriptionList("somebody else's", frozenset()))

    assert bench.listed(number) is None


def test_the_question_counts_as_a_message_and_waits_for_its_turn() -> None:
    bench = Bench(limit=1)
    for now in (10.0, 10.1):
        bench.ask()
        bench.listing.tick(now, 0, NEVER)

    assert len(bench.sent) == bench.meter.requests == 1
    assert bench.listing.due == pytest.approx(11.1)
    bench.listing.tick(11.2, 0, NEVER)
    assert len(bench.sent) == bench.meter.requests == 2


def test_what_nobody_waits_for_any_more_is_not_asked(bench: Bench) -> None:
    bench.subscriptions.forget_listing(PUBLIC, bench.ask())
    bench.listing.tick(10.0, 0, NEVER)

    assert bench.sent == []
