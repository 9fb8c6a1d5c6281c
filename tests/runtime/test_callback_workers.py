"""The threads that run callbacks: fair, in order, replaced when stuck, gone when stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.push_rig import ticker, trade
from upbit_ws.backpressure import backlog_for
from upbit_ws.config import BackpressureConfig
from upbit_ws.protocol.delivery import Delivery, announced, delivery_of
from upbit_ws.runtime.callback_workers import CallbackWorkers, StuckReport
from upbit_ws.shared.mailbox import Mailbox
from upbit_ws.shared.subscriber import (
    DATA_LANE,
    EVENTS_LANE,
    CallbackReference,
    Subscriber,
    Subscription,
)
from upbit_ws.types import DataType, StreamKey

PATIENCE = 10.0
KEY = StreamKey(DataType.TRADE, "KRW-BTC")


class Pool:
    """Workers with subscribers that have no hub."""

    def __init__(self, **config: Any) -> None:
        self.stuck: list[StuckReport] = []
        self.workers = CallbackWorkers(BackpressureConfig(**config), time.monotonic, self.stuck.append)

    def subscriber(self, callback: Callable[[Any], object], *, lane: str = DATA_LANE, size: int = 10_000) -> Subscriber:
        subscriber = Subscriber(
            Subscription(subscription_id="one", component_id="test", token=1, lane=lane),
            CallbackReference(callback, lambda: None),
            None,
            Mailbox(backlog_for("drop_oldest", size)),
        )
        subscriber.open((), 0.0)
        self.workers.start(lane)
        return subscriber

    def bring(self, subscriber: Subscriber, deliveries: list[Delivery]) -> None:
        if subscriber.accept(deliveries, time.monotonic()).wakes:
            self.workers.schedule(subscriber)


@pytest.fixture
def make_pool() -> Iterator[Callable[..., Pool]]:
    pools: list[Pool] = []

    def make(**config: Any) -> Pool:
        pools.append(Pool(**config))
        return pools[-1]

    yield make
    for pool in pools:
        pool.workers.stop()
        for thread in pool.workers.threads():
            thread.join(PATIENCE)


def trades(count: int) -> list[Delivery]:
    return [delivery_of(KEY, trade("KRW-BTC", number), time.monotonic()) for number in range(count)]


def test_threads_have_names_and_are_daemons(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool(workers=3)
    pool.workers.start(DATA_LANE)
    pool.workers.start(EVENTS_LANE)
    names = sorted(thread.name for thread in pool.workers.threads())

    assert names == [*(f"upbit-ws-callback-{number}" for number in range(1, 5)), "upbit-ws-callback-watch"]
    assert all(thread.daemon for thread in pool.workers.threads())


def test_starting_twice_starts_once(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool(workers=2)
    for _ in range(5):
        pool.workers.start(DATA_LANE)

    assert len(pool.workers.threads()) == 3


def test_one_subscriber_is_never_called_by_two_threads_at_once(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool(workers=4)
    inside, overlaps, numbers = [0], [0], list[int]()
    done = threading.Event()

    def callback(event: Any) -> None:
        inside[0] += 1
        overlaps[0] += inside[0] > 1
        numbers.append(event.sequential_id)
        inside[0] -= 1
        if len(numbers) == 2_000:
            done.set()

    subscriber = pool.subscriber(callback)
    for delivery in trades(2_000):
        pool.bring(subscriber, [delivery])

    assert done.wait(PATIENCE)
    assert overlaps == [0]
    assert numbers == list(range(2_000))


def test_a_busy_subscriber_costs_the_others_one_turn(make_pool: Callable[..., Pool]) -> None:
    """One worker, a thousand slow calls waiting: somebody else is called after one of them, not after all."""
    pool = make_pool(workers=1)
    order: list[str] = []
    gate, started, done = threading.Event(), threading.Event(), threading.Event()

    def busy(_: Any) -> None:
        started.set()
        gate.wait(PATIENCE)
        order.append("busy")
        threading.Event().wait(0.003)

    def other(_: Any) -> None:
        order.append("other")
        done.set()

    first, second = pool.subscriber(busy), pool.subscriber(other)
    pool.bring(first, trades(1_000))
    assert started.wait(PATIENCE)
    pool.bring(second, trades(1))
    gate.set()

    assert done.wait(PATIENCE)
    assert order.index("other") <= 2


def test_the_lane_of_events_is_not_stuck_behind_data(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool(workers=1)
    release, entered, heard = threading.Event(), threading.Event(), threading.Event()

    def hangs(_: Any) -> None:
        entered.set()
        release.wait(PATIENCE)

    try:
        pool.bring(pool.subscriber(hangs), trades(1))
        assert entered.wait(PATIENCE)
        listener = pool.subscriber(lambda _: heard.set(), lane=EVENTS_LANE)
        pool.bring(listener, [announced("event", time.monotonic())])
        assert heard.wait(PATIENCE)
    finally:
        release.set()


def test_a_stuck_worker_is_replaced_and_ends_when_its_callback_returns(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool(workers=1, stuck_after=0.05)
    release, called = threading.Event(), threading.Event()
    held: list[threading.Thread] = []

    def hangs(_: Any) -> None:
        held.append(threading.current_thread())
        release.wait(PATIENCE)

    stuck = pool.subscriber(hangs)
    pool.bring(stuck, trades(3))
    other = pool.subscriber(lambda _: called.set())
    pool.bring(other, trades(1))

    assert called.wait(PATIENCE)
    wait_for(lambda: bool(pool.stuck))
    assert [report.subscriber for report in pool.stuck] == [stuck]
    assert "hangs" in pool.stuck[0].stack
    assert pool.stuck[0].seconds >= 0.05
    assert stuck.mailbox.counts().queued == 2  # it keeps its place and its thread: nobody else calls it

    release.set()
    held[0].join(PATIENCE)
    assert not held[0].is_alive()
    wait_for(lambda: stuck.mailbox.counts().queued == 0)
    assert stuck.mailbox.counts().delivered == 3


def test_stop_ends_all_threads_and_what_waits_is_counted(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool(workers=2)
    entered, release = threading.Event(), threading.Event()

    def callback(_: Any) -> None:
        entered.set()
        release.wait(PATIENCE)

    subscriber = pool.subscriber(callback)
    pool.bring(subscriber, trades(500))
    assert entered.wait(PATIENCE)
    pool.workers.stop()
    release.set()
    for thread in pool.workers.threads():
        thread.join(PATIENCE)

    assert not any(thread.is_alive() for thread in pool.workers.threads())
    counts = subscriber.mailbox.counts()
    assert counts.received == counts.delivered + counts.dropped + counts.queued == 500


def test_nothing_starts_after_the_stop(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool()
    pool.workers.stop()
    pool.workers.start(DATA_LANE)

    assert pool.workers.threads() == []


def test_a_job_that_fails_does_not_end_its_worker(make_pool: Callable[..., Pool], caplog: Any) -> None:
    pool = make_pool()
    done = threading.Event()
    pool.workers.run(lambda: 1 / 0)
    pool.workers.run(done.set)

    assert done.wait(PATIENCE)
    assert sum("ZeroDivisionError" in message for message in caplog.messages) == 1


def test_what_is_conflated_is_never_decoded(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool()
    entered, release, done = threading.Event(), threading.Event(), threading.Event()
    seen: list[int] = []

    def callback(event: Any) -> None:
        seen.append(event.timestamp)
        entered.set()
        release.wait(PATIENCE)
        if event.timestamp == 999:
            done.set()

    subscriber = pool.subscriber(callback)
    subscriber.mailbox = Mailbox(backlog_for("conflate", 10))
    subscriber.open((), 0.0)
    key = StreamKey(DataType.TICKER, "KRW-BTC")
    pool.bring(subscriber, [delivery_of(key, ticker("KRW-BTC", 1), 0.0)])
    assert entered.wait(PATIENCE)
    # Everything but the last is no ticker at all, and nobody notices.
    pool.bring(subscriber, [delivery_of(key, b"not even JSON", 0.0) for _ in range(100)])
    pool.bring(subscriber, [delivery_of(key, ticker("KRW-BTC", 999), 0.0)])
    release.set()

    assert done.wait(PATIENCE)
    assert seen == [1, 999]
    assert (subscriber.undecodable, subscriber.mailbox.counts().conflated) == (0, 100)


def wait_for(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.002)
