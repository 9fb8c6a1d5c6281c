"""What one connection asks the exchange for: when, in which order, and within its limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.payloads import ticker
from tests.runtime.parts import connection_parts
from upbit_ws.lifecycle import SilentCodes, Subscribed
from upbit_ws.protocol.subscription_plan import Plan
from upbit_ws.runtime.endings import Retired
from upbit_ws.runtime.subscribing import Subscribing
from upbit_ws.testing import ManualClock
from upbit_ws.types import DataType, Endpoint, StreamKey, Want

TICKER = DataType.TICKER
BTC, ETH = StreamKey(TICKER, "KRW-BTC"), StreamKey(TICKER, "KRW-ETH")


class Bench:
    def __init__(self, endpoint: Endpoint = Endpoint.PUBLIC) -> None:
        self.endpoint = endpoint
        self.clock = ManualClock()
        self.begun = self.clock()
        self.messages: list[Any] = []
        self.told: list[tuple[Plan, float]] = []
        self.published: list[Any] = []
        self.parts = connection_parts(endpoint, self.clock, publish=self.published.append)
        self.subscriptions = self.parts.subscriptions
        self.subscribing = Subscribing(
            self.parts,
            self.parts.pool.open_epoch(endpoint, self.clock()),
            lambda message: self.messages.append(json.loads(message)),
            lambda plan, now: self.told.append((plan, now)),
        )

    @property
    def elapsed(self) -> float:
        return self.clock() - self.begun

    def want(self, *keys: StreamKey) -> None:
        self.subscriptions.set_wants("a", [Want(key) for key in keys])

    def ask(self) -> int:
        return self.subscriptions.ask_listing(self.endpoint)

    def run(self, seconds: float = 0.1) -> None:
        """As the I/O thread does: a round when it is due."""
        until = self.clock() + seconds
        while self.clock() < until:
            self.subscribing.tick(self.clock())
            self.clock.advance(0.005)

    @property
    def asked_for(self) -> list[Any]:
        """The codes of each request, and the name of each question."""
        return [message[1].get("codes", message[1].get("method")) for message in self.messages]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_first_request_goes_out_at_once_and_changes_are_gathered(bench: Bench) -> None:
    bench.want(BTC)
    bench.subscribing.tick(bench.clock())
    assert bench.asked_for == [["KRW-BTC"]]
    bench.want(ETH)
    bench.subscribing.tick(bench.clock())
    bench.want(BTC, ETH)
    assert 0.0 < bench.subscribing.due - bench.clock() <= 0.02
    bench.run()

    assert bench.asked_for == [["KRW-BTC"], ["KRW-BTC", "KRW-ETH"]]
    assert [len(plan.keys) for plan, _ in bench.told] == [1, 2]
    assert [type(event) for event in bench.published] == [Subscribed, Subscribed]
    assert bench.parts.meter.requests == 2


def test_the_question_that_confirms_a_private_request_goes_out_right_behind_it() -> None:
    bench = Bench(Endpoint.PRIVATE)
    bench.want(StreamKey(DataType.MY_ORDER, "KRW-BTC"))
    bench.subscribing.tick(bench.clock())

    assert bench.asked_for == [["KRW-BTC"], "LIST_SUBSCRIPTIONS"]


def test_the_same_is_sent_again_only_when_told_to(bench: Bench) -> None:
    bench.want(BTC)
    bench.run(1.0)
    assert len(bench.messages) == 1
    bench.subscribing.resend()
    bench.run(1.0)

    assert bench.asked_for == [["KRW-BTC"], ["KRW-BTC"]]


def test_a_request_for_which_there_is_no_turn_waits_for_it(bench: Bench) -> None:
    for number in range(8):
        bench.want(StreamKey(TICKER, f"KRW-{number}"))
        bench.run(0.02)
    assert bench.elapsed < 0.5
    assert len(bench.messages) < 8

    assert 0.5 < bench.subscribing._send_at - bench.begun < 1.5
    bench.run(1.5)
    assert bench.asked_for[-1] == ["KRW-7"]


def test_it_has_caught_up_when_all_streams_that_ever_had_a_value_have_one_of_this_connection(bench: Bench) -> None:
    pool = bench.parts.pool
    pool.admit(bench.endpoint, [BTC, ETH], 1)
    bench.want(BTC)
    bench.run()
    pool.ingest(bench.endpoint, 1, [ticker("KRW-BTC")], bench.clock())
    assert pool.has_delivered(BTC, 1)
    assert bench.subscribing.has_caught_up()

    epoch = pool.open_epoch(bench.endpoint, bench.clock(), replaces=1)
    successor = Subscribing(bench.parts, epoch, lambda message: None, lambda plan, now: None)
    assert not successor.has_caught_up()
    bench.want(BTC, ETH)
    for _ in range(3):
        successor.tick(bench.clock())
        bench.clock.advance(0.02)
    assert not successor.has_caught_up()
    pool.ingest(bench.endpoint, epoch, [ticker("KRW-BTC", at=1)], bench.clock())
    assert successor.has_caught_up()


def test_where_nothing_is_wanted_the_connection_is_retired(bench: Bench) -> None:
    bench.want(BTC)
    bench.run()
    bench.want()
    with pytest.raises(Retired):
        bench.run()


def test_what_stays_silent_is_reported_once(bench: Bench) -> None:
    bench.want(BTC)
    bench.run(bench.parts.config.connection.snapshot_timeout + 1.0)

    silent = [event for event in bench.published if isinstance(event, SilentCodes)]
    assert [event.keys for event in silent] == [(BTC,)]


def test_a_change_made_while_a_round_is_under_way_is_sent_before_the_list_is_asked_for(bench: Bench) -> None:
    """Another thread subscribes and asks between the first two looks of one round."""
    bench.want(BTC)
    bench.run()

    def interrupted(now: float) -> None:
        del bench.subscribing.confirmation.tick  # type: ignore[method-assign]
        bench.want(BTC, ETH)
        bench.ask()

    bench.subscribing.confirmation.tick = interrupted  # type: ignore[method-assign]
    bench.run()

    assert bench.asked_for == [["KRW-BTC"], ["KRW-BTC", "KRW-ETH"], "LIST_SUBSCRIPTIONS"]


def test_a_list_asked_for_behind_a_request_that_is_sent_again_comes_behind_it(bench: Bench) -> None:
    bench.want(BTC)
    bench.run()
    bench.ask()
    bench.subscribing.resend()
    bench.run()

    assert bench.asked_for == [["KRW-BTC"], ["KRW-BTC"], "LIST_SUBSCRIPTIONS"]


@pytest.mark.parametrize("asked_after", [5.0, 70.0], ids=["in a second's turn", "with no turns of the minute left"])
@pytest.mark.parametrize("every", [0.05, 0.15, 0.5])
def test_a_list_is_got_beside_somebody_who_keeps_changing_what_is_wanted(
    bench: Bench, every: float, asked_after: float
) -> None:
    changes, is_asked = 0, False
    while bench.elapsed < asked_after + 2.0:
        if bench.elapsed >= changes * every:
            changes += 1
            bench.want(StreamKey(TICKER, f"KRW-{changes % 10}"))
        if bench.elapsed >= asked_after and not is_asked:
            is_asked = True
            bench.ask()
        bench.run(0.005)

    assert bench.asked_for.count("LIST_SUBSCRIPTIONS") == 1


@pytest.mark.parametrize("what", ["a change", "the same again", "a question about orders"])
def test_other_messages_are_sent_beside_somebody_who_keeps_asking_for_the_list(what: str) -> None:
    """With the turns of the minute taken: each message that is free is wanted by several."""
    is_private = what == "a question about orders"
    bench = Bench(Endpoint.PRIVATE if is_private else Endpoint.PUBLIC)
    data_type = DataType.MY_ORDER if is_private else TICKER
    bench.want(StreamKey(data_type, "KRW-BTC"))
    before = None
    while bench.elapsed < 73.0:
        bench.ask()
        if before is None and bench.elapsed >= 70.0:
            before = len(bench.messages)
            if what == "the same again":
                bench.subscribing.resend()
            else:
                bench.want(StreamKey(data_type, "KRW-BTC"), StreamKey(data_type, "KRW-ETH"))
        bench.run(0.02)

    assert before is not None
    assert bench.asked_for.count("LIST_SUBSCRIPTIONS") > 50
    after = bench.asked_for[before:]
    at = next(index for index, codes in enumerate(after) if isinstance(codes, list))
    assert at <= 1
    if is_private:
        assert bench.subscribing.confirmation._ticket == bench.messages[before + at + 1][0]["ticket"]
