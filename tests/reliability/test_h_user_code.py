"""Catalogue H: what user code and its threads can do. Each test is named after its row; J7 has a home here too.

The exchange is embedded or there is none: events are handed to the manager's hub, which is what the I/O threads do.
"""

from __future__ import annotations

import gc
import logging
import random
import signal
import sys
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest
from attrs import evolve

from tests.process import PythonRunner
from tests.push_rig import ticker, trade
from tests.reliability.invariants import Invariants, ObservedManager, canary_auth
from upbit_ws import (
    BackpressureConfig,
    ConnectionConfig,
    DataTimeoutError,
    DataType,
    GlobalWebSocketManager,
    SimpleWebSocketClient,
    StreamKey,
    SubscriberStats,
    WebSocketClientProxy,
    WebSocketConfig,
)
from upbit_ws.lifecycle import SlowConsumer, StuckCallback
from upbit_ws.protocol.delivery import Delivery, delivery_of
from upbit_ws.runtime import native_websocket_client
from upbit_ws.sandbox import Sandbox
from upbit_ws.types import ConnectionState, Endpoint

NOWHERE = "http://127.0.0.1:9"
PATIENCE = 10.0
T0 = 1_700_000_000_000

MakeManager = Callable[..., ObservedManager]
Record = Callable[..., None]


def wait_until(is_true: Callable[[], bool], what: str, *, patience: float = PATIENCE) -> None:
    """Look until something is so that nobody announces. Bounded, and never for luck."""
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while not is_true():
        assert time.monotonic() < deadline, f"{what} did not happen within {patience:g} s"
        pause.wait(0.002)


@pytest.fixture
def make_manager(invariants: Invariants) -> MakeManager:
    """Managers for which I1 to I10 hold in the end; one of them is that they close within a second."""

    def make(url: str = NOWHERE, **backpressure: Any) -> ObservedManager:
        config = WebSocketConfig.testing(connection=ConnectionConfig(base_url=url), auth=canary_auth())
        manager = ObservedManager(evolve(config, backpressure=BackpressureConfig(**backpressure)))
        invariants.observe(manager)
        return manager

    return make


@pytest.fixture
def manager(make_manager: MakeManager) -> ObservedManager:
    """A manager that connects to nothing; events are handed to its hub."""
    return make_manager()


def trades(first: int, count: int, code: str = "KRW-BTC") -> list[Delivery]:
    now, key = time.monotonic(), StreamKey(DataType.TRADE, code)
    return [delivery_of(key, trade(code, T0 + number), now) for number in range(first, first + count)]


def tickers(first: int, count: int, code: str = "KRW-BTC") -> list[Delivery]:
    now, key = time.monotonic(), StreamKey(DataType.TICKER, code)
    return [delivery_of(key, ticker(code, T0 + number), now) for number in range(first, first + count)]


def stats_of(proxy: WebSocketClientProxy, subscription_id: str) -> SubscriberStats:
    return next(one for one in proxy.statistics() if one.subscription_id == subscription_id)


def assert_sums_hold(manager: GlobalWebSocketManager) -> None:
    total = manager.get_distribution_stats()
    for one in (total, *total.subscribers):
        assert one.received == one.delivered + one.conflated + one.dropped + one.queued, one


def test_H1_a_callback_that_raises_is_logged_once_and_counted_and_the_others_run(
    manager: GlobalWebSocketManager, caplog: pytest.LogCaptureFixture, record: Record
) -> None:
    numbers: list[int] = []
    handled: list[BaseException] = []

    def fails(event: Any) -> None:
        raise ValueError(f"no {event.sequential_id}")

    with WebSocketClientProxy("h1", manager=manager) as proxy:
        failing = proxy.subscribe_trade(["KRW-BTC"], fails)
        proxy.subscribe_trade(["KRW-BTC"], fails, on_error=handled.append)
        proxy.subscribe_trade(["KRW-BTC"], lambda event: numbers.append(event.sequential_id - T0))
        with caplog.at_level(logging.ERROR, "upbit_ws"):
            manager.hub.publish(trades(0, 500))
            wait_until(lambda: len(numbers) == len(handled) == stats_of(proxy, failing).exceptions == 500, "all calls")

        assert numbers == list(range(500))
        assert [str(error) for error in handled[:2]] == [f"no {T0}", f"no {T0 + 1}"]
        said = [record for record in caplog.records if "fails" in record.getMessage()]
        assert len(said) == 1
        assert said[0].exc_info is not None
        assert_sums_hold(manager)
        counted = stats_of(proxy, failing).exceptions
    figure = f"{counted} errors of the callback counted, {len(said)} log line, {len(numbers)} calls of another one"
    record("H1", figure=figure, bound="once")


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, BaseException, GeneratorExit])
def test_H2_even_the_exceptions_that_end_programs_end_in_the_worker(
    manager: GlobalWebSocketManager, kind: type[BaseException], caplog: pytest.LogCaptureFixture, record: Record
) -> None:
    calls: list[int] = []

    def fails(event: Any) -> None:
        calls.append(event.sequential_id)
        raise kind

    with WebSocketClientProxy("h2", manager=manager) as proxy:
        id_ = proxy.subscribe_trade(["KRW-BTC"], fails)
        before = set(manager.background_tasks)
        manager.hub.publish(trades(0, 50))
        wait_until(lambda: stats_of(proxy, id_).exceptions == 50, "fifty exceptions")

        assert len(calls) == 50
        assert {name for name, runs in manager.background_tasks.items() if runs} >= before
        assert sum("h2" in name or "fails" in name for name in caplog.messages) == 1
    record("H2", figure=f"{len(calls)} of 50 calls each of 4 kinds, no thread ended", bound="survived")


def test_H2_an_error_handler_that_raises_is_survived_too(manager: GlobalWebSocketManager) -> None:
    def fails(_: Any) -> None:
        raise SystemExit

    with WebSocketClientProxy("h2", manager=manager) as proxy:
        id_ = proxy.subscribe_trade(["KRW-BTC"], fails, on_error=fails)
        manager.hub.publish(trades(0, 10))
        wait_until(lambda: stats_of(proxy, id_).exceptions == 10, "ten exceptions")


def test_H3_a_callback_that_never_returns_stalls_its_own_lane_only(
    make_manager: MakeManager, record: Record
) -> None:
    manager = make_manager(stuck_after=0.2, mailbox_size=100)
    release, entered = threading.Event(), threading.Event()
    numbers: list[int] = []
    seen: list[Any] = []

    def sleeps_for_ever(_: Any) -> None:
        entered.set()
        release.wait()

    try:
        proxy = WebSocketClientProxy("h3", manager=manager)
        proxy.on_connection_event(seen.append)
        stuck = [proxy.subscribe_trade(["KRW-BTC"], sleeps_for_ever) for _ in range(3)]
        proxy.subscribe_trade(["KRW-BTC"], lambda event: numbers.append(event.sequential_id - T0), mailbox_size=10_000)
        for begin in range(0, 2_000, 100):
            manager.hub.publish(trades(begin, 100))
        assert entered.wait(PATIENCE)
        # Three are stuck and there are two workers: the pool replaces them, and the fourth subscriber gets everything.
        wait_until(lambda: len(numbers) == 2_000, "all calls of the fourth")

        assert numbers == list(range(2_000))
        wait_until(lambda: sum(isinstance(event, StuckCallback) for event in seen) == 3, "three reports")
        report = next(event for event in seen if isinstance(event, StuckCallback))
        assert "sleeps_for_ever" in report.stack
        assert report.component_id == "h3"
        for id_ in stuck:
            mine = stats_of(proxy, id_)
            assert (mine.delivered, mine.received) == (1, 2_000)
            assert 99 <= mine.queued <= 100
        assert sum(isinstance(event, SlowConsumer) for event in seen) == 3
        assert_sums_hold(manager)
        begun = time.monotonic()
        manager.close()
        took = time.monotonic() - begun
        assert took < 1.0
        record("H3", figure=f"{len(stuck)} stuck, another one got {len(numbers)} of 2000; closed after {took:.2f} s", bound="close() 1 s")
    finally:
        release.set()


def test_H3_what_the_others_get_is_as_fast_as_without_it(make_manager: MakeManager) -> None:
    def median_delay(with_sleeper: bool) -> float:
        manager = make_manager(workers=2)
        release = threading.Event()
        numbers: list[int] = []
        try:
            proxy = WebSocketClientProxy("h3", manager=manager)
            if with_sleeper:
                proxy.subscribe_ticker(["KRW-BTC"], lambda _: release.wait())
            id_ = proxy.subscribe_trade(["KRW-BTC"], lambda event: numbers.append(event.sequential_id))
            manager.hub.publish(tickers(0, 1))
            for number in range(300):
                manager.hub.publish(trades(number, 1))
                wait_until(lambda count=number + 1: len(numbers) == count, "the call")  # type: ignore[misc]
            return stats_of(proxy, id_).delay_p50 or 0.0
        finally:
            release.set()

    assert median_delay(True) < 3 * median_delay(False) + 0.001


def test_H4_a_slow_callback_loses_by_policy_and_within_bounds(make_manager: MakeManager, record: Record) -> None:
    """100 ms a call at 1,000 events a second for a second: conflated to the newest, or dropped and counted."""
    manager = make_manager(mailbox_size=50)
    seen: list[Any] = []
    got: dict[str, list[int]] = {"ticker": [], "trade": []}

    def slowly(event: Any) -> None:
        got[event.type].append(event.timestamp - T0)
        threading.Event().wait(0.1)

    with WebSocketClientProxy("h4", manager=manager) as proxy:
        proxy.on_connection_event(seen.append)
        state = proxy.subscribe_ticker(["KRW-BTC"], slowly)
        log = proxy.subscribe_trade(["KRW-BTC"], slowly)
        tick = threading.Event()
        for begin in range(0, 1_000, 10):
            manager.hub.publish([*tickers(begin, 10), *trades(begin, 10)])
            tick.wait(0.01)
        wait_until(lambda: stats_of(proxy, state).queued == 0, "the last ticker")

        conflated, dropped = stats_of(proxy, state), stats_of(proxy, log)
        assert conflated.received == dropped.received == 1_000
        assert conflated.dropped == 0
        assert conflated.conflated == 1_000 - conflated.delivered
        assert got["ticker"][-1] == 999  # however slow, it ends with the newest
        assert dropped.queued_highest == 50
        assert dropped.dropped == 1_000 - dropped.delivered - dropped.queued
        assert sum(isinstance(event, SlowConsumer) for event in seen) == 1  # one episode, one event
        assert_sums_hold(manager)
        record(
            "H4",
            figure=f"of 1,000 tickers {conflated.conflated} conflated; of 1,000 trades {dropped.dropped} dropped, at most "
            f"{dropped.queued_highest} waited",
            bound="50 wait",
        )


def test_H5_everything_may_be_called_from_within_a_callback(
    sandbox: Sandbox, make_manager: MakeManager, record: Record
) -> None:
    manager = make_manager(sandbox.url)
    done: list[str] = []
    finished = threading.Event()
    code = sandbox.exchange.markets[0]

    with SimpleWebSocketClient("h5-pull", manager=manager) as client:
        client.register_interest([DataType.TICKER], [code])
        proxy = WebSocketClientProxy("h5", manager=manager)

        def inner(_: Any) -> None:
            if "inner" in done:
                return
            done.append("inner")
            proxy.close()
            manager.close()  # joins the other threads, and not this one
            done.append("closed")
            finished.set()

        def outer(_: Any) -> None:
            if "outer" in done:
                return
            done.append("outer")
            assert client.get_price(code, timeout=5.0) > 0
            proxy.unsubscribe(outer_id)
            proxy.subscribe_orderbook([code], inner)
            done.append("subscribed")

        outer_id = proxy.subscribe_ticker([code], outer)
        assert finished.wait(PATIENCE), done

    assert set(done) == {"outer", "subscribed", "inner", "closed"}
    wait_until(lambda: not any(manager.background_tasks.values()), "the end of all threads")
    record("H5", figure="pull, unsubscribe, subscribe and both closes from a callback: all threads gone", bound="allowed")


def test_H6_a_subscriber_collected_in_mid_dispatch_gets_no_further_call(
    manager: GlobalWebSocketManager, record: Record
) -> None:
    class Bot:
        def __init__(self) -> None:
            self.proxy = WebSocketClientProxy("h6", manager=manager)
            self.id = self.proxy.subscribe_trade(["KRW-BTC"], self.on_trade)

        def on_trade(self, event: Any) -> None:
            calls.append(event.sequential_id - T0)
            entered.set()
            release.wait(PATIENCE)

    calls: list[int] = []
    entered, release = threading.Event(), threading.Event()
    bot = Bot()
    gone = weakref.ref(bot)
    manager.hub.publish(trades(0, 100))
    assert entered.wait(PATIENCE)

    del bot
    assert gone() is not None  # the call under way holds it
    release.set()
    wait_until(lambda: gone() is None, "the end of the bot")
    wait_until(lambda: manager.get_distribution_stats().subscribers == (), "the sweep", patience=3.0)

    assert calls == [0]
    assert manager.subscriptions.wanted(Endpoint.PUBLIC) is None
    assert manager.hub.routes.keys == frozenset()
    dropped = manager.get_distribution_stats().dropped
    assert dropped == 99
    assert_sums_hold(manager)
    record("H6", figure=f"{len(calls)} call, the one under way; {dropped} events dropped", bound="no call on a dead one")


def test_H6_the_sweep_comes_at_once_when_anything_else_changes(make_manager: MakeManager) -> None:
    manager = make_manager()

    class Bot:
        def on_trade(self, event: Any) -> None:
            raise AssertionError("never called")

    bot = Bot()
    with WebSocketClientProxy("h6", manager=manager) as proxy:
        proxy.subscribe_trade(["KRW-BTC"], bot.on_trade)
        del bot
        kept = proxy.subscribe_trade(["KRW-ETH"], print)

        assert proxy.subscriptions == (kept,)


@pytest.mark.usefixtures("frozen_heap")
def test_H7_finalizers_that_run_while_a_lock_is_held_do_not_deadlock(
    make_manager: MakeManager, record: Record
) -> None:
    """The collector runs a component's end in the middle of the SDK's own critical sections, over and over."""
    manager = make_manager()

    class Bot:
        def __init__(self, number: int) -> None:
            self.me = self  # a cycle: only the collector ends it, whenever it likes
            self.proxy = WebSocketClientProxy(f"h7-{number}", manager=manager)
            self.proxy.subscribe_ticker(["KRW-BTC"], self.on_ticker)

        def on_ticker(self, _: Any) -> None:
            pass

        def __del__(self) -> None:
            self.proxy.close()

    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for number in range(100):
            Bot(number)
            manager.hub.publish(tickers(number, 2))
            manager.pool.prove_alive(0, 0.0)
        gc.disable()
        for number in range(100, 110):
            Bot(number)
            # What it waits for is asked under the pool's lock: the collector could run there any time, and now it does.
            manager.pool.wait((), lambda: bool(gc.collect()), 0.0)
    finally:
        gc.enable()
        gc.set_threshold(*thresholds)
    gc.collect()
    wait_until(lambda: manager.get_distribution_stats().subscribers == (), "the sweep")
    assert_sums_hold(manager)
    record("H7", figure="110 components collected in the middle of critical sections, all swept", bound="no deadlock")


def test_H8_bound_methods_are_held_weakly_and_survive_as_long_as_their_object(manager: GlobalWebSocketManager) -> None:
    class Bot:
        def __init__(self) -> None:
            self.numbers: list[int] = []

        def on_trade(self, event: Any) -> None:
            self.numbers.append(event.sequential_id - T0)

    bot = Bot()
    with WebSocketClientProxy("h8", manager=manager) as proxy:
        proxy.subscribe_trade(["KRW-BTC"], bot.on_trade)
        gc.collect()
        manager.hub.publish(trades(0, 3))
        wait_until(lambda: len(bot.numbers) == 3, "the calls")

        gone = weakref.ref(bot)
        bot = Bot()
        wait_until(lambda: gone() is None, "the end of the first one")
        assert gone() is None  # the worker and the subscription do not hold it


def test_H9_lambdas_and_closures_are_held_until_they_are_unsubscribed(manager: GlobalWebSocketManager) -> None:
    numbers: list[int] = []

    def make() -> Callable[[Any], None]:
        def closure(event: Any) -> None:
            numbers.append(event.sequential_id - T0)

        return closure

    with WebSocketClientProxy("h9", manager=manager) as proxy:
        callback = make()
        gone = weakref.ref(callback)
        id_ = proxy.subscribe_trade(["KRW-BTC"], callback)
        del callback
        gc.collect()
        manager.hub.publish(trades(0, 3))
        wait_until(lambda: len(numbers) == 3, "the calls")

        proxy.unsubscribe(id_)
        wait_until(lambda: gone() is None, "the end of the closure")


@pytest.mark.timeout(120)
def test_H10_ten_thousand_changes_from_eight_threads_end_in_the_right_set(
    make_sandbox: Callable[..., Sandbox], make_manager: MakeManager, record: Record
) -> None:
    codes = [f"KRW-{name}" for name in ("BTC", "ETH", "XRP", "SOL", "DOGE", "ADA", "DOT", "AVAX")]
    sandbox = make_sandbox(rate=20.0, markets=codes)
    manager = make_manager(sandbox.url)
    proxy = WebSocketClientProxy("h10", manager=manager)
    types = [DataType.TICKER, DataType.TRADE, DataType.ORDERBOOK]
    left: list[tuple[DataType, str]] = []

    def churn(seed: int) -> None:
        chance = random.Random(seed)
        mine: dict[str, tuple[DataType, str]] = {}
        for _ in range(1_250):
            if mine and chance.random() < 0.55:
                id_ = chance.choice(list(mine))
                del mine[id_]
                assert proxy.unsubscribe(id_)
            else:
                data_type, code = chance.choice(types), chance.choice(codes)
                subscribe = {
                    DataType.TICKER: proxy.subscribe_ticker,
                    DataType.TRADE: proxy.subscribe_trade,
                    DataType.ORDERBOOK: proxy.subscribe_orderbook,
                }[data_type]
                mine[subscribe([code], print_nothing)] = (data_type, code)
        left.extend(mine.values())

    begun = time.monotonic()
    threads = [threading.Thread(target=churn, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {StreamKey(*stream) for stream in left}
    plan = manager.subscriptions.asked(Endpoint.PUBLIC)
    assert (set() if plan is None else plan.keys) == wanted
    assert manager.hub.routes.keys == wanted

    states = manager.subscriptions
    wait_until(lambda: states.sent(Endpoint.PUBLIC) == states.wanted(Endpoint.PUBLIC), "the last request")
    if wanted:
        listed = manager.list_subscriptions(timeout=10.0)
        assert listed.keys == wanted
    seconds = time.monotonic() - begun
    sent = manager.get_connection_metrics()[0].requests_sent
    assert sent <= 5 * (seconds + 1) + 1
    proxy.close()
    wait_until(lambda: manager.get_distribution_stats().queued == 0, "empty mailboxes")
    assert manager.hub.routes.keys == frozenset()
    record("H10", figure=f"10,000 changes in {seconds:.1f} s: {sent} requests, sets equal", bound="5 requests a second")


def _note(numbers: list[int], event: Any) -> None:
    numbers.append(event.sequential_id)


def print_nothing(_: Any) -> None:
    """A callback that costs nothing."""


def test_H11_two_components_share_nothing_but_the_connection(
    sandbox: Sandbox, make_manager: MakeManager, record: Record
) -> None:
    manager = make_manager(sandbox.url)
    one: list[Any] = []
    other: list[Any] = []
    code = sandbox.exchange.markets[0]
    make = partial(WebSocketClientProxy, manager=manager)
    with make("one") as first, make("other") as second:
        first.subscribe_ticker([code], one.append)
        second.subscribe_orderbook([code], other.append)
        wait_until(lambda: bool(one) and bool(other), "an event each")
        first.unsubscribe_all()

        assert {event.type for event in one} == {"ticker"}
        assert {event.type for event in other} == {"orderbook"}
        assert first.subscriptions == ()
        assert len(second.subscriptions) == 1
        assert len(manager.get_connection_metrics()) == sandbox.connections == 1
    record("H11", figure="two components on one connection; neither saw what the other had asked for", bound="nothing")


SIGNALS = """
import faulthandler, random, signal, sys, time
from tests.reliability.invariants import Invariants, ObservedManager
from upbit_ws import *

faulthandler.dump_traceback_later(20, exit=True)
config = WebSocketConfig.testing(connection=ConnectionConfig(base_url=sys.argv[1]))
watched = Invariants()
watched.begin()
manager = ObservedManager(config)
watched.observe(manager)
client = SimpleWebSocketClient("signals", manager=manager)
client.register_interest(["ticker"], ["KRW-BTC"])
client.get_price("KRW-BTC")
chance = random.Random(1)
handled = 0

def handler(number, frame):
    global handled, client
    handled += 1
    assert client.get_price("KRW-BTC", timeout=0) > 0
    WebSocketClientProxy.close(proxies[-1])
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0002, 0.002))

proxies = [WebSocketClientProxy("p", manager=manager)]
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001)
ends = time.monotonic() + 3
number = 0
while time.monotonic() < ends:
    number += 1
    proxies.append(WebSocketClientProxy(f"p{number}", manager=manager))
    try:
        proxies[-1].subscribe_ticker(["KRW-ETH"], lambda event: None)
    except Exception as error:
        assert type(error).__name__ == "ClientClosedError", error
    client.register_interest(["trade"], ["KRW-ETH"])
    client.unregister_interest(["trade"])
    proxies[:-1] = []
signal.setitimer(signal.ITIMER_REAL, 0)
assert handled > 50, handled

def last(number, frame):
    client.close()
    manager.close()

signal.signal(signal.SIGALRM, last)
signal.setitimer(signal.ITIMER_REAL, 0.01)
try:
    while True:
        client.register_interest(["trade"], ["KRW-ETH"])
except Exception as error:
    assert type(error).__name__ == "ClientClosedError", error
while any(manager.background_tasks.values()):
    pass
print(watched.check())
print(handled)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_H12_signal_handlers_may_pull_and_close(sandbox: Sandbox, run_python: PythonRunner, record: Record) -> None:
    done = run_python(["-c", SIGNALS, sandbox.url])

    broken, _, handled = done.stdout.rstrip().partition("\n")
    assert (broken, done.returncode) == ("[]", 0), done.stdout + done.stderr
    record("H12", figure=f"{handled} signals in 3 s that pull and close, then one that closes all", bound="no deadlock")


INTERRUPTS = """
import faulthandler, random, signal, sys, threading, time
from tests.reliability.invariants import Invariants, ObservedManager
from upbit_ws import *

faulthandler.dump_traceback_later(25, exit=True)
config = WebSocketConfig.testing(connection=ConnectionConfig(base_url=sys.argv[1]))
watched = Invariants()
watched.begin()
manager = ObservedManager(config)
watched.observe(manager)
client = SimpleWebSocketClient("interrupts", manager=manager)
client.register_interest(["ticker"], ["KRW-BTC"])
client.get_price("KRW-BTC")
chance, prompt = random.Random(2), []
for round_ in range(40):
    sent_at = []
    def interrupt():
        sent_at.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    timer = threading.Timer(chance.uniform(0.001, 0.02), interrupt)
    try:
        timer.start()
        while True:
            client.register_interest(["trade"], ["KRW-NOBODY"])
            client.wait_for_update("trade", "KRW-NOBODY", timeout=30)
    except KeyboardInterrupt:
        prompt.append(time.monotonic() - sent_at[0])
    timer.join()
    client.unregister_interest(["trade"])
assert client.get_price("KRW-BTC") > 0
assert client.status().interests == 1
print(watched.check())
print(len(prompt), max(prompt))
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to a thread")
def test_H13_a_keyboard_interrupt_ends_a_wait_at_once_and_leaves_all_in_order(
    sandbox: Sandbox, run_python: PythonRunner, record: Record
) -> None:
    done = run_python(["-c", INTERRUPTS, sandbox.url])

    broken, _, figures = done.stdout.rstrip().partition("\n")
    assert (broken, done.returncode) == ("[]", 0), done.stdout + done.stderr
    count, longest = figures.split()
    assert float(longest) < 5.0  # of the 30 s that it would have waited
    record("H13", figure=f"{count} interrupts, each raised within {float(longest) * 1e3:.1f} ms, out of a wait of 30 s", bound="promptly")


@pytest.mark.timeout(120)
def test_H14_invariants_hold_with_64_threads_at_a_tiny_switch_interval(
    make_manager: MakeManager, record: Record
) -> None:
    manager = make_manager(mailbox_size=500)
    ends = time.monotonic() + 2.0
    orders_kept: list[bool] = []
    failures: list[BaseException] = []
    before = sys.getswitchinterval()
    codes = [f"KRW-T{number}" for number in range(4)]
    publishing = dict.fromkeys(codes, 0)

    def publish(code: str) -> None:
        while time.monotonic() < ends:
            manager.hub.publish(trades(publishing[code], 20, code))
            publishing[code] += 20
            threading.Event().wait(0.001)

    def churn(seed: int) -> None:
        chance, numbers = random.Random(seed), list[int]()
        try:
            with WebSocketClientProxy(f"h14-{seed}", manager=manager) as proxy:
                while time.monotonic() < ends:
                    numbers = []
                    id_ = proxy.subscribe_trade([chance.choice(codes)], partial(_note, numbers))
                    threading.Event().wait(chance.uniform(0.0, 0.05))
                    proxy.unsubscribe(id_)
                    seen = numbers.copy()  # a call that is running at the end may still add to it
                    orders_kept.append(seen == sorted(set(seen)))
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=publish, args=(code,)) for code in codes]
    threads += [threading.Thread(target=churn, args=(seed,)) for seed in range(60)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    wait_until(lambda: manager.get_distribution_stats().queued == 0, "empty mailboxes")

    assert failures == []
    assert len(orders_kept) > 60
    assert all(orders_kept)
    assert_sums_hold(manager)
    assert manager.hub.routes.keys == frozenset()
    assert manager.subscriptions.wanted(Endpoint.PUBLIC) is None
    published = sum(publishing.values())
    record("H14", figure=f"{len(orders_kept)} subscriptions under {published} trades: order kept in all", bound="hold")


@pytest.mark.timeout(120)
def test_H15_a_thousand_waiting_threads_all_wake_at_a_reconnect(
    make_sandbox: Callable[..., Sandbox], make_manager: MakeManager, record: Record
) -> None:
    sandbox = make_sandbox(manual=True, rate=0.0, snapshot_delays=(0.0,), stale_frames=0)
    manager = make_manager(sandbox.url)
    results: list[str] = []
    with SimpleWebSocketClient("h15", manager=manager) as client:
        client.register_interest([DataType.TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")
        slot = manager.pool.slot(StreamKey(DataType.TICKER, "KRW-BTC"))
        assert slot is not None

        def wait() -> None:
            try:
                results.append(client.wait_for_update(DataType.TICKER, "KRW-BTC", timeout=20.0).symbol)
            except DataTimeoutError:
                results.append("timeout")

        threads = [threading.Thread(target=wait) for _ in range(1_000)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(slot.waiters) == 1_000, "a thousand waiters", patience=20.0)
        sandbox.drop_all("rst")
        begun = time.monotonic()
        for thread in threads:
            thread.join(30.0)
        took = time.monotonic() - begun

        assert results == ["KRW-BTC"] * 1_000
        assert slot.waiters == []
    record("H15", figure=f"1,000 of 1,000 awake {took:.2f} s after the reset", bound="no lost wake-up")


def test_H16_a_bug_in_the_io_thread_is_said_and_survived(
    sandbox: Sandbox,
    make_manager: MakeManager,
    invariants: Invariants,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    record: Record,
) -> None:
    invariants.waive("I10")
    monkeypatch.setattr(native_websocket_client, "_CRASH_DELAY", 0.2)
    manager = make_manager(sandbox.url)
    code = sandbox.exchange.markets[0]
    got: list[Any] = []
    with WebSocketClientProxy("h16", manager=manager) as proxy:
        proxy.subscribe_ticker([code], got.append)
        wait_until(lambda: bool(got), "the first event")
        go_on, crashes = manager.pool._go_on, []

        def broken(*arguments: Any) -> Any:
            crashes.append(1)
            if len(crashes) == 1:
                raise ZeroDivisionError("a bug, injected")
            return go_on(*arguments)

        monkeypatch.setattr(manager.pool, "_go_on", broken)
        wait_until(lambda: bool(crashes), "the crash")
        wait_until(lambda: manager.connection_statuses()[0].epoch == 2, "the comeback")
        count = len(got)
        wait_until(lambda: len(got) > count, "events after the comeback")

        assert manager.connection_statuses()[0].state is ConnectionState.CONNECTED
        assert any("ZeroDivisionError" in message for message in caplog.messages)
        assert manager.background_tasks["upbit-ws-io-public"]
    record("H16", figure="said with its traceback, and connected again", bound="never a dead thread in silence")


def test_H17_a_payload_that_cannot_be_decoded_is_dropped_and_counted(
    manager: GlobalWebSocketManager, record: Record
) -> None:
    got: list[Any] = []
    key = StreamKey(DataType.TRADE, "KRW-BTC")
    monstrous = b'{"type":"trade","code":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with WebSocketClientProxy("h17", manager=manager) as proxy:
        id_ = proxy.subscribe_trade(["KRW-BTC"], got.append)
        now = time.monotonic()
        wrong = (monstrous, b"{}", b"\xff", orjson.dumps({"type": "trade"}))
        bad = [delivery_of(key, payload, now) for payload in wrong]
        manager.hub.publish([*trades(0, 1), *bad, *trades(1, 1)])
        wait_until(lambda: len(got) == 2, "the good ones")

        mine = stats_of(proxy, id_)
        assert (mine.delivered, mine.dropped, mine.undecodable) == (2, 4, 4)
        assert_sums_hold(manager)
    record("H17", figure=f"{mine.dropped} of {len(wrong)} dropped and counted; the next good one came", bound="lives")


@pytest.mark.timeout(120)
def test_J7_an_overflow_storm_stays_bounded_and_exactly_counted(make_manager: MakeManager, record: Record) -> None:
    """Ten times more than the callbacks take, for every strategy at once: bounded memory, exact counters."""
    manager = make_manager(mailbox_size=200, block_deadline=0.05)
    closed: list[BaseException] = []
    calls = dict.fromkeys(("conflate", "drop_oldest", "drop_newest", "block", "disconnect", "raise"), 0)
    ids: dict[str, str] = {}
    published = 0

    def counting(name: str) -> Callable[[Any], None]:
        def callback(_: Any) -> None:
            calls[name] += 1
            threading.Event().wait(0.002)

        return callback

    with WebSocketClientProxy("j7", manager=manager) as proxy:
        for name in calls:
            ids[name] = proxy.subscribe_trade(["KRW-BTC"], counting(name), strategy=name, on_error=closed.append)
        tracemalloc.start()
        peaks: list[int] = []
        for round_ in range(60):
            for _ in range(10):
                manager.hub.publish(trades(published, 50))
                published += 50
            threading.Event().wait(0.01)
            if round_ in (29, 59):
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.reset_peak()
        tracemalloc.stop()
        for name in calls:
            if name != "disconnect":
                mine = stats_of(proxy, ids[name])
                assert mine.received == published
                assert mine.queued_highest <= (400 if name == "block" else 200)
        wait_until(lambda: manager.get_distribution_stats().queued == 0, "empty mailboxes")

        total = manager.get_distribution_stats()
        assert total.published == published
        assert total.delivered == sum(calls.values())
        assert ids["disconnect"] not in proxy.subscriptions
        assert {type(error).__name__ for error in closed} == {"BackpressureError"}
        assert peaks[1] < peaks[0] + 256 * 1024  # full mailboxes are as full as it gets
        assert_sums_hold(manager)
    grown = max(peaks[1] - peaks[0], 0) / 1024
    record("J7", figure=f"{published} trades for 6 strategies: all accounted for, +{grown:.0f} KiB", bound="256 KiB")
