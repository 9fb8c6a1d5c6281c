"""The question that proves a request was processed: sent behind it, within the budget, and not waited for in vain."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import pytest

from tests.runtime.parts import connection_parts
from upbit_ws.protocol.rate_limit import RateGroup
from upbit_ws.protocol.subscription_list import SubscriptionList
from upbit_ws.protocol.subscription_plan import Plan, plan_wants
from upbit_ws.runtime.confirmation import Confirmation
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.types import DataType, Endpoint, StreamKey, Want

ORDERS = StreamKey(DataType.MY_ORDER, "")
TICKER = StreamKey(DataType.TICKER, "KRW-BTC")


class Bench:
    def __init__(self, limit: int = 5) -> None:
        self.sent: list[Any] = []
        self.confirmed: list[tuple[int, Collection[StreamKey]]] = []
        self.pool = DataPoolManager()
        self.pool.admit(Endpoint.PRIVATE, [ORDERS], 1)
        parts = connection_parts(
            Endpoint.PRIVATE,
            lambda: 0.0,
            pool=self.pool,
            confirmed=lambda endpoint, epoch, keys: self.confirmed.append((epoch, keys)),
        )
        budget = RateGroup.of([(limit, 1.0)])
        self.confirmation = Confirmation(parts, 7, budget, lambda message: self.sent.append(json.loads(message)))

    @property
    def is_established(self) -> bool:
        slot = self.pool.slot(ORDERS)
        return slot is not None and slot.is_ready

    def answer(self) -> None:
        self.confirmation.answered(SubscriptionList(self.sent[-1][0]["ticket"], frozenset()))


def plan(*keys: StreamKey) -> Plan:
    made = plan_wants(Want(key) for key in keys)
    assert made is not None
    return made


def test_the_question_goes_out_behind_the_request_and_its_answer_confirms_the_streams() -> None:
    bench = Bench()
    bench.confirmation.requested(plan(ORDERS), 10.0)
    assert bench.confirmation.due == 10.0
    bench.confirmation.tick(10.0)

    assert bench.sent[0][1:] == [{"method": "LIST_SUBSCRIPTIONS"}, {"format": "DEFAULT"}]
    assert not bench.is_established
    bench.answer()
    assert bench.confirmed == [(7, {ORDERS})]
    assert bench.is_established
    assert bench.confirmation.due == float("inf")


def test_public_streams_answer_with_data_and_are_not_asked_about() -> None:
    bench = Bench()
    bench.confirmation.requested(plan(TICKER), 10.0)
    bench.confirmation.tick(10.0)

    assert bench.sent == []


def test_no_answer_is_taken_for_one_after_some_seconds() -> None:
    bench = Bench()
    bench.confirmation.requested(plan(ORDERS), 10.0)
    bench.confirmation.tick(10.0)
    bench.confirmation.tick(12.9)
    assert bench.confirmed == []
    bench.confirmation.tick(13.0)

    assert bench.confirmed == [(7, {ORDERS})]
    bench.answer()
    assert len(bench.confirmed) == 1, "an answer that comes later confirms nothing twice"


def test_an_answer_to_another_question_confirms_nothing() -> None:
    bench = Bench()
    bench.confirmation.requested(plan(ORDERS), 10.0)
    bench.confirmation.tick(10.0)
    bench.confirmation.answered(SubscriptionList("somebody else's", frozenset()))

    assert bench.confirmed == []


def test_the_answer_to_a_former_question_does_not_confirm_a_newer_request() -> None:
    bench = Bench()
    bench.confirmation.requested(plan(ORDERS), 10.0)
    bench.confirmation.tick(10.0)
    former = SubscriptionList(bench.sent[-1][0]["ticket"], frozenset())
    bench.confirmation.requested(plan(ORDERS, StreamKey(DataType.MY_ASSET, "")), 10.1)
    bench.confirmation.tick(10.1)
    bench.confirmation.answered(former)
    assert bench.confirmed == []
    bench.answer()

    assert len(bench.confirmed[0][1]) == 2


def test_the_answer_to_a_former_question_does_not_confirm_a_request_that_is_not_asked_about_yet() -> None:
    bench = Bench(limit=1)
    bench.confirmation.requested(plan(ORDERS), 10.0)
    bench.confirmation.tick(10.0)
    bench.confirmation.requested(plan(ORDERS, StreamKey(DataType.MY_ASSET, "")), 10.1)
    bench.confirmation.tick(10.1)
    bench.answer()

    assert bench.confirmed == []


def test_the_question_counts_as_a_message_and_waits_for_its_turn() -> None:
    bench = Bench(limit=1)
    for now in (10.0, 10.1):
        bench.confirmation.requested(plan(ORDERS), now)
        bench.confirmation.tick(now)

    assert len(bench.sent) == 1
    assert bench.confirmation.due == pytest.approx(11.1)
    bench.confirmation.tick(11.2)
    assert len(bench.sent) == 2
