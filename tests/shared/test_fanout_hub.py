"""Events in, calls out: a state machine against a model that is too simple to be wrong."""

from __future__ import annotations

import weakref
from collections import Counter, deque
from collections.abc import Hashable
from typing import Any

import pytest
from attrs import define, field
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.push_rig import Component, Rig, ticker, trade
from upbit_ws.client.push_parts import Member
from upbit_ws.types import BackpressureStrategy, DataType, Endpoint

CODES = ("KRW-BTC", "KRW-ETH", "KRW-XRP")
MODELLED = [BackpressureStrategy.CONFLATE, BackpressureStrategy.DROP_OLDEST, BackpressureStrategy.DROP_NEWEST]
Label = tuple[str, str, int, str]  # type, code, number, stream type


def label_of(event: Any) -> Label:
    return event.type, event.symbol, event.timestamp, event.stream_type


@define(eq=False)
class Model:
    """What a mailbox and its worker should do, written for clarity alone."""

    strategy: BackpressureStrategy
    size: int
    waiting: list[tuple[Hashable, Label]] = field(factory=list)
    counts: Counter[str] = field(factory=Counter)
    calls: list[Label] = field(factory=list)

    def put(self, key: Hashable, label: Label) -> None:
        self.counts["received"] += 1
        if self.strategy is BackpressureStrategy.CONFLATE:
            for place, (other, _) in enumerate(self.waiting):
                if other == key:
                    self.waiting[place] = (key, label)
                    self.counts["conflated"] += 1
                    return
        if len(self.waiting) >= self.size:
            self.counts["dropped"] += 1
            if self.strategy is BackpressureStrategy.DROP_NEWEST:
                return
            self.waiting.pop(0)
        self.waiting.append((key, label))

    def take(self) -> None:
        if self.waiting:
            self.calls.append(self.waiting.pop(0)[1])
            self.counts["delivered"] += 1

    def end(self) -> None:
        self.counts["dropped"] += len(self.waiting)
        self.waiting.clear()


def ignore(_: BaseException) -> None:
    """Not logged: a kept log record has the traceback, which has the collector, which is to be collected."""


class Collector:
    """A subscriber with a bound method, which the hub holds weakly."""

    def __init__(self, rig: Rig, calls: list[Label]) -> None:
        self._rig = rig
        self._calls = calls

    def on_event(self, event: Any) -> None:
        self._calls.append(label_of(event))
        self._rig.clock.advance(0.01)  # longer than a turn: one event at a time
        if event.timestamp % 5 == 0:
            raise ValueError("every fifth")


@define(eq=False)
class Subscribed:
    id: str
    data_type: DataType
    codes: tuple[str, ...]
    model: Model
    calls: list[Label]
    collector: Collector | None
    component: Component | None
    member: Member


class FanoutMachine(RuleBasedStateMachine):
    """Subscribe, unsubscribe, deliver, be slow, be collected, reconnect, in any order."""

    open_ones = Bundle("open_ones")

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.number = 0
        self.current: dict[tuple[DataType, str], int] = {}
        self.batch = 0
        self.batch_of: dict[tuple[DataType, str], int] = {}
        self.live: set[tuple[DataType, str]] = set()
        self.wanted: Counter[tuple[DataType, str]] = Counter()
        self.all: list[Subscribed] = []
        self.open: list[Subscribed] = []
        self.queue: deque[Subscribed] = deque()

    def _schedule(self, one: Subscribed) -> None:
        if one.model.waiting and one not in self.queue:
            self.queue.append(one)

    @rule(
        target=open_ones,
        data_type=st.sampled_from([DataType.TICKER, DataType.TRADE]),
        codes=st.sets(st.sampled_from(CODES), min_size=1),
        strategy=st.sampled_from(MODELLED),
        size=st.integers(1, 6),
        twice=st.booleans(),
    )
    def subscribe(
        self, data_type: DataType, codes: set[str], strategy: BackpressureStrategy, size: int, twice: bool
    ) -> Any:
        """Once, or the same thing twice, which makes two subscriptions."""
        return multiple(*(self._subscribe(data_type, tuple(sorted(codes)), strategy, size) for _ in range(1 + twice)))

    def _subscribe(
        self, data_type: DataType, codes: tuple[str, ...], strategy: BackpressureStrategy, size: int
    ) -> Subscribed:
        calls: list[Label] = []
        collector, component = Collector(self.rig, calls), Component()
        member = Member(f"component {len(self.all)}", len(self.all), weakref.ref(component))
        id_ = self.rig.subscribe(
            data_type,
            codes,
            collector.on_event,
            strategy=strategy,
            mailbox_size=size,
            member=member,
            on_error=ignore,
        )
        one = Subscribed(id_, data_type, codes, Model(strategy, size), calls, collector, component, member)
        # What flows already comes at once, in the order in which its batches came.
        present = [code for code in codes if (data_type, code) in self.live]
        for code in sorted(present, key=lambda code: (self.batch_of[data_type, code], code)):
            one.model.put(code, (data_type.value, code, self.current[data_type, code], "SNAPSHOT"))
        self.wanted.update((data_type, code) for code in codes)
        self.all.append(one)
        self.open.append(one)
        self._schedule(one)
        return one

    @rule(one=consumes(open_ones))
    def unsubscribe(self, one: Subscribed) -> None:
        was_open = one in self.open
        if was_open:
            self._end(one)
        assert self.rig.push.unsubscribe(one.id) is was_open

    def _end(self, one: Subscribed) -> None:
        one.model.end()
        self.open.remove(one)
        self.wanted.subtract((one.data_type, code) for code in one.codes)

    def _send_request(self) -> None:
        """What nobody wants is left out, and the pool forgets it. Until then it flows on."""
        for stream in [stream for stream in self.current if not self.wanted[stream]]:
            self.live.discard(stream)
            del self.current[stream]
        plan = self.rig.subscriptions.asked(Endpoint.PUBLIC)
        version = self.rig.subscriptions.version(Endpoint.PUBLIC)
        self.rig.pool.forget_except(Endpoint.PUBLIC, plan.keys if plan else frozenset(), version)

    @rule(
        batch=st.lists(
            st.tuples(st.sampled_from([DataType.TICKER, DataType.TRADE]), st.sampled_from(CODES)), max_size=12
        )
    )
    def deliver(self, batch: list[tuple[DataType, str]]) -> None:
        self._send_request()
        self.batch += 1
        messages = []
        for data_type, code in batch:
            self.number += 1
            make = ticker if data_type is DataType.TICKER else trade
            messages.append(make(code, 1_700_000_000_000 + self.number))
            if self.wanted[data_type, code]:
                self.current[data_type, code] = 1_700_000_000_000 + self.number
                self.live.add((data_type, code))
                self.batch_of[data_type, code] = self.batch
                self._put(data_type, code, "REALTIME")
        self.rig.bring(*messages)

    def _put(self, data_type: DataType, code: str, stream_type: str) -> None:
        for one in self.open:
            if one.data_type is data_type and code in one.codes:
                one.model.put(code, (data_type.value, code, self.current[data_type, code], stream_type))
                self._schedule(one)

    @rule(turns=st.integers(1, 8))
    def call(self, turns: int) -> None:
        """Workers run; each callback takes as long as a turn may."""
        for _ in range(turns):
            assert self.rig.workers.turn() is bool(self.queue)
            if self.queue:
                one = self.queue.popleft()
                one.model.take()
                self._schedule(one)

    @rule(one=consumes(open_ones), whole=st.booleans())
    def collect(self, one: Subscribed, whole: bool) -> None:
        """The object of the callback, or the whole component, is collected: no more calls, and gone at the next
        sweep."""
        if whole:
            one.component = None
            self.rig.push.end(one.member.token)  # what the manager does with a swept token
        else:
            one.collector = None
            self.rig.push.sweep()
        if one in self.open:
            self._end(one)

    @rule()
    def reconnect(self) -> None:
        """Nothing is live until it has come on the new connection."""
        self._send_request()
        self.rig.reconnect()
        self.live.clear()

    @rule()
    def resend(self) -> None:
        """The snapshots of a new connection: the same values again. Tickers count anew, trades are known."""
        self._send_request()
        self.batch += 1
        messages = []
        for (data_type, code), number in sorted(self.current.items(), key=lambda item: item[1]):
            self.live.add((data_type, code))
            if data_type is DataType.TICKER:
                messages.append(ticker(code, number, "SNAPSHOT"))
                self.batch_of[data_type, code] = self.batch
                self._put(data_type, code, "SNAPSHOT")
            else:
                messages.append(trade(code, number, "SNAPSHOT"))
        self.rig.bring(*messages)

    @invariant()
    def every_subscriber_got_the_right_calls_in_the_right_order(self) -> None:
        for one in self.all:
            assert one.calls == one.model.calls, one.id

    @invariant()
    def the_counters_are_exact(self) -> None:
        stats = self.rig.push.statistics()
        assert stats.received == stats.delivered + stats.conflated + stats.dropped + stats.queued
        for name in ("received", "delivered", "conflated", "dropped"):
            assert getattr(stats, name) == sum(one.model.counts[name] for one in self.all), name
        assert stats.queued == sum(len(one.model.waiting) for one in self.open)
        by_id = {each.subscription_id: each for each in stats.subscribers}
        assert set(by_id) == {one.id for one in self.open}
        for one in self.open:
            each = by_id[one.id]
            assert each.received == each.delivered + each.conflated + each.dropped + each.queued
            assert (each.received, each.queued) == (one.model.counts["received"], len(one.model.waiting))

    def teardown(self) -> None:
        self.rig.workers.run_out()
        for one in list(self.open):
            self.rig.push.unsubscribe(one.id)
        stats = self.rig.push.statistics()
        assert (stats.queued, stats.subscribers, len(self.rig.push.hub.routes)) == (0, (), 0)


FLAGS = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def test_a_simple_model_says_the_same() -> None:
    run_state_machine_as_test(FanoutMachine, settings=settings(max_examples=60, stateful_step_count=30, **FLAGS))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_simple_model_says_the_same_a_thousand_times() -> None:
    run_state_machine_as_test(FanoutMachine, settings=settings(max_examples=1000, stateful_step_count=50, **FLAGS))
