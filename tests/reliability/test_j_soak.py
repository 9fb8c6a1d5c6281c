"""Section J in short: what hours would show, if it grows at all, shows in seconds. The long run is `benchmarks.soak`."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable

import pytest

from tests.process import ROOT, PythonRunner
from tests.push_rig import HandWorkers, ticker, trade
from tests.push_rig import Rig as PushRig
from tests.reliability.rig import Rig, wait_until
from tests.reliability.storm import Storm
from upbit_ws import GlobalWebSocketManager, SimpleWebSocketClient, WebSocketClientProxy, WebSocketConfig
from upbit_ws.shared.locks import LockRuleError, make_lock
from upbit_ws.types import DataType

Record = Callable[..., None]
MIB = 1 << 20


#: What the SDK may hold on to for one reconnect (bytes): the record of a gap of each market, and what was announced,
#: which this test's manager keeps for good.
HELD_A_RECONNECT = 4_000


def held_by_the_sdk(snapshot: tracemalloc.Snapshot) -> int:
    """Bytes that lines of the SDK have allocated. The exchange, the proxy and the test have their own books."""
    package = ROOT / "upbit_ws"
    filters = [tracemalloc.Filter(True, str(package / "*"))]
    filters += [tracemalloc.Filter(False, str(package / folder / "*")) for folder in ("sandbox", "testing")]
    return sum(line.size for line in snapshot.filter_traces(filters).statistics("filename"))


def check_storm(rig: Rig, reconnects: int) -> str:
    storm = Storm(rig)
    gc.collect()
    threads, descriptors = storm.standing()
    tracemalloc.start()
    try:
        held = held_by_the_sdk(tracemalloc.take_snapshot())
        kinds = storm.rage(reconnects)
        storm.settle()
        gc.collect()
        grown = held_by_the_sdk(tracemalloc.take_snapshot()) - held
    finally:
        tracemalloc.stop()
    after = storm.standing()
    assert sum(kinds.values()) == reconnects
    assert after[0] <= threads + 1  # the one that recovers starts with the first gap
    assert after[1] <= descriptors + 4  # its REST connection: both ends, and those of the proxy between them
    assert grown < MIB + reconnects * HELD_A_RECONNECT
    gaps = storm.subject.manager.gaps()
    recovered = sum(gap.count for gap in gaps)
    return (
        f"{reconnects} reconnects in {len(kinds)} ways: {len(storm.made)} trades made, each delivered once and in order, "
        f"{recovered} of them recovered in {len(gaps)} gaps; +{after[0] - threads} thread, "
        f"{grown / reconnects / 1000:.1f} kB a reconnect (its gaps and announcements)"
    )


@pytest.mark.slow
def test_J1_sixty_reconnects_and_every_trade_once(rig: Rig) -> None:
    check_storm(rig, 60)


@pytest.mark.soak
@pytest.mark.timeout(420)
def test_J1_a_thousand_reconnects_and_every_trade_once(rig: Rig, record: Record) -> None:
    record("J1", figure=check_storm(rig, 1_000), bound="equal sets, no leak")


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_the_soak_run_keeps_its_books(run_python: PythonRunner) -> None:
    done = run_python(["-m", "benchmarks.soak", "--minutes", "0.5", "--seed", "7"], timeout=110.0)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    assert {"seed", "faults", "trades", "callbacks", "gaps", "reconnects", "at the start", "at the end"} <= set(lines)


def churn_clients(rounds: int) -> tuple[Counter[str], Counter[str]]:
    """Objects by type before and after so many managers and clients came and went."""

    def once() -> None:
        with GlobalWebSocketManager(WebSocketConfig.testing()) as manager:
            client = SimpleWebSocketClient("client", manager=manager)
            proxy = WebSocketClientProxy("proxy", manager=manager)
            client.close()
            proxy.close()

    def census() -> Counter[str]:
        gc.collect()
        return Counter(type(one).__name__ for one in gc.get_objects())

    for _ in range(20):
        once()
    before = census()
    for _ in range(rounds):
        once()
    return before, census()


def check_clients(record: Record, rounds: int) -> None:
    before, after = churn_clients(rounds)
    grown = {name: more for name, more in (after - before).items() if more > rounds // 4}
    assert grown == {}
    record("J3", figure=f"{rounds} managers with 2 clients each: no type of object grew", bound="baseline")


def test_J3_clients_come_and_go(record: Record) -> None:
    check_clients(record, 300)


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_J3_ten_thousand_clients_come_and_go(record: Record) -> None:
    check_clients(record, 5_000)


def test_J3_connected_clients_come_and_go(rig: Rig) -> None:
    sandbox = rig.sandbox(rate=0.0)
    before = Storm.standing()
    for _ in range(20):
        manager = rig.manager(sandbox)
        with SimpleWebSocketClient("client", manager=manager) as client:
            client.register_interest(["ticker"], ["KRW-BTC"])
            assert client.get_price("KRW-BTC") > 0
        manager.close()
    wait_until(lambda: sandbox.connections == 0, "the end of all connections")
    wait_until(lambda: all(now <= then for now, then in zip(Storm.standing(), before, strict=True)), "as many threads and descriptors as before")


def check_memory(record: Record, messages: int) -> None:
    rig = PushRig(HandWorkers)
    seen = [0]

    def count(event: object) -> None:
        seen[0] += 1

    rig.subscribe(DataType.TICKER, ["KRW-BTC"], count)
    rig.subscribe(DataType.TRADE, ["KRW-BTC"], count)

    def run(first: int, number: int) -> None:
        for at in range(first, first + number, 50):
            for one in range(at, at + 50, 2):
                rig.bring(ticker("KRW-BTC", one), trade("KRW-BTC", one))
            rig.workers.run_out()

    warm = 20_000
    run(1, warm)
    gc.collect()
    tracemalloc.start()
    try:
        run(1 + warm, 2_000)
        gc.collect()
        before = tracemalloc.take_snapshot()
        run(10_000_000, messages)
        gc.collect()
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    own = [tracemalloc.Filter(True, str(ROOT / "upbit_ws" / "*"))]
    top = max(line.size_diff for line in after.filter_traces(own).compare_to(before.filter_traces(own), "lineno"))
    assert top < 64 << 10
    assert seen[0] > messages // 2
    record("J4", figure=f"{messages} messages: top difference {top / 1024:.1f} KiB", bound="64 KiB")


def test_J4_memory_does_not_grow_with_messages(record: Record) -> None:
    check_memory(record, 20_000)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_J4_memory_does_not_grow_with_a_million_messages(record: Record) -> None:
    check_memory(record, 1_000_000)


@pytest.mark.soak
def test_J5_a_thread_that_takes_a_second_lock_is_caught(rig: Rig, record: Record) -> None:
    sandbox = rig.sandbox(rate=500.0)
    subject = rig.connect(sandbox, ["ticker", "trade", "orderbook"], ["KRW-BTC", "KRW-ETH"])
    with WebSocketClientProxy("busy", manager=subject.manager) as proxy:
        for _ in range(10):
            proxy.subscribe_trade(["KRW-*"], lambda event: None)
            subject.client.get_price("KRW-BTC")
            sandbox.drop_all("rst")
            subject.client.wait_for_update("ticker", "KRW-BTC", timeout=5.0)
    with make_lock("one", 1), pytest.raises(LockRuleError, match="held by the same thread"):
        make_lock("another", 2).acquire()
    assert "dump_traceback_later" in (ROOT / "tests/conftest.py").read_text("utf-8")
    record("J5", figure="all locks checked in every test of the suite: 0 nested", bound="0")


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_repeated_in_random_order_tests_do_not_flake(run_python: PythonRunner) -> None:
    chosen = ["tests/protocol", "tests/shared", "tests/reliability/test_c_close.py"]
    times = 5
    command = ["-m", "pytest", "-q", "--count", str(times), "-p", "no:cacheprovider", *chosen]
    done = run_python(command, timeout=380.0, PYTEST_ADDOPTS="")
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("name", ["health", "metrics", "cleanup"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_J8_the_death_of_a_monitor_shows(rig: Rig, record: Record, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rig.invariants.waive("I10")
    subject = rig.connect(rig.sandbox(), monitoring={"health_interval": 0.05})
    manager = subject.manager
    subject.client.get_price("KRW-BTC")
    wait_until(lambda: manager.get_health_status().is_healthy and manager.get_health_status().checked_at, "health")

    def die() -> None:
        sys.exit("injected")

    monitor = manager._monitors[name]
    monkeypatch.setattr(monitor, "_work", die)
    monitor.kick()
    wait_until(lambda: not monitor.is_alive, "the death")
    took = wait_until(lambda: not manager.get_health_status().is_healthy, "a bad health") - manager.clock()
    health = manager.get_health_status()
    assert [task for task, lives in health.background_tasks.items() if not lives] == [f"upbit-ws-{name}"]
    assert subject.client.get_price("KRW-BTC") > 0
    assert took < 1.0
    record("J8", figure="the health status says at once which thread is dead; the feed goes on", bound="reported")
