"""Section G: clocks that jump, processes that stand still. Time is injected where the SDK reads it."""

from __future__ import annotations

import json
import signal
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from tests.process import PythonRunner
from tests.reliability.invariants import CANARIES, ObservedManager, canary_auth
from tests.reliability.payloads import ticker
from tests.reliability.rig import Rig, Server, Subject, base_url, wait_until
from tests.reliability.scripts import greet
from upbit_ws import SimpleWebSocketClient, WebSocketConfig
from upbit_ws.config import ConnectionConfig
from upbit_ws.lifecycle import BackingOff, Connected, Connecting, Disconnected, GapRecovered, Stale
from upbit_ws.protocol.frames import Opcode
from upbit_ws.runtime import connections
from upbit_ws.sandbox import Sandbox
from upbit_ws.testing import Conversation

Record = Callable[..., None]
NOON = 1_795_305_600.0


class ShiftedClock:
    """The real monotonic clock, and what was put on top of it."""

    def __init__(self, read: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self.shift = 0.0

    def __call__(self) -> float:
        return self._read() + self.shift


def connect(rig: Rig, server: Server, clock: Callable[[], float], types: str = "ticker", **connection: Any) -> Subject:
    """As `Rig.connect`, with a clock of the test's."""
    config = WebSocketConfig.testing(auth=canary_auth())
    usual = {name: getattr(ConnectionConfig(), name) for name in ("ping_interval", "pong_timeout", "mute_floor")}
    changed = evolve(config.connection, base_url=base_url(server), **{**usual, **connection})
    manager = ObservedManager(evolve(config, connection=changed), clock=clock)
    rig.invariants.observe(manager)
    client = SimpleWebSocketClient("subject", manager=manager)
    client.register_interest(types, ["KRW-BTC"])
    return Subject(manager, client)


def check_undisturbed(sandbox: Sandbox, subject: Subject) -> None:
    """One connection, one request, no doubt, and values still arrive."""
    sandbox.exchange.trade("KRW-BTC")
    subject.client.wait_for_update("ticker", "KRW-BTC", timeout=5.0) if sandbox.config.rate else None
    assert len(sandbox.handshakes) == 1
    assert len(sandbox.requests) == 1
    assert subject.events(Disconnected) == subject.events(Stale) == subject.events(BackingOff) == []
    assert subject.status.suspected_mute is False


@pytest.mark.parametrize("jump", [3600.0, -3600.0, -NOON], ids=["+1 h", "-1 h", "to 1970"])
def test_G1_the_wall_clock_is_set(rig: Rig, record: Record, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    sandbox = rig.sandbox(rate=300.0)
    shifted = ShiftedClock(time.time)
    monkeypatch.setattr(time, "time", shifted)
    subject = rig.connect(sandbox, ["ticker", "trade"])
    subject.client.get_price("KRW-BTC")
    shifted.shift = jump
    for _ in range(5):
        subject.client.wait_for_update("ticker", "KRW-BTC", timeout=5.0)
    check_undisturbed(sandbox, subject)
    # Now that it is wrong, a reconnect: the limiter lets it pass once, and no timer is stuck.
    sandbox.drop_all("rst")
    lost = subject.await_event(Disconnected).at
    assert subject.await_event(Connected, 2).at - lost < 1.0
    subject.client.wait_for_update("ticker", "KRW-BTC", timeout=5.0)
    assert len(subject.events(Connecting)) == 2
    record("G1", figure="no reconnect, no further request; the next reconnect as ever", bound="no effect")


def test_G2_the_monotonic_clock_jumps_and_what_lies_unread_counts(rig: Rig, record: Record) -> None:
    sandbox = rig.sandbox(rate=300.0)
    clock = ShiftedClock()
    subject = connect(rig, sandbox, clock)
    subject.client.get_price("KRW-BTC")
    for _ in range(3):
        clock.shift += 600.0
        for _ in range(3):
            subject.client.wait_for_update("ticker", "KRW-BTC", timeout=5.0)
    check_undisturbed(sandbox, subject)
    record("G2", figure="3 jumps of 10 min: no reconnect", bound="drained first, then judged")


STOPPED = """
import time
from attrs import evolve
from upbit_ws import SimpleWebSocketClient, WebSocketClientProxy, WebSocketConfig
from upbit_ws.client.global_websocket_manager import GlobalWebSocketManager
config = WebSocketConfig.testing()
short = evolve(config.connection, ping_interval=0.5, pong_timeout=0.5, mute_floor=1.0, snapshot_timeout=1.0)
manager = GlobalWebSocketManager(evolve(config, connection=short))
proxy = WebSocketClientProxy("stopped", manager=manager)
seen = []
proxy.subscribe_trade(["KRW-BTC"], lambda event: seen.append(event.sequential_id))
def wait(is_true):
    until = time.monotonic() + 15
    while not is_true() and time.monotonic() < until:
        time.sleep(0.005)
wait(lambda: seen)
print("up", flush=True)
wait(lambda: len(seen) > %d)
kinds = [type(event).__name__ for event in manager.recent_events()]
print(len(seen), len(set(seen)), kinds.count("Stale"), kinds.count("Disconnected"))
"""


@pytest.mark.linux
def test_G3_a_stopped_process_blames_nobody(rig: Rig, run_python: PythonRunner, record: Record) -> None:
    sandbox = rig.sandbox(rate=0.0)
    made = 250
    process = run_python.start(["-c", STOPPED % made], UPBIT_BASE_URL=sandbox.url)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    begun = time.monotonic()
    process.send_signal(signal.SIGSTOP)
    for _ in range(made):
        sandbox.exchange.trade("KRW-BTC")
        time.sleep(0.01)
    process.send_signal(signal.SIGCONT)
    stood = time.monotonic() - begun
    said, complaints = process.communicate(timeout=30.0)
    assert (said.split(), complaints) == ([str(made + 1), str(made + 1), "0", "0"], "")
    record("G3", figure=f"stopped for {stood:.1f} s: {made} of {made} trades, no false alarm", bound="no false alarm")


@pytest.fixture
def awake(monkeypatch: pytest.MonkeyPatch) -> ShiftedClock:
    """The clock that goes on while the machine sleeps."""
    clock = ShiftedClock(connections.awake_seconds)
    monkeypatch.setattr(connections, "awake_seconds", clock)
    return clock


def test_G4_after_a_suspend_a_dead_line_is_replaced_within_seconds(
    rig: Rig, record: Record, awake: ShiftedClock
) -> None:
    sandbox = rig.sandbox(rate=0.0)
    proxy = rig.proxy(sandbox)
    subject = connect(rig, proxy, time.monotonic)  # with the clocks that users have
    subject.client.get_price("KRW-BTC")
    time.sleep(0.3)
    proxy.blackhole()
    woke = time.monotonic()
    awake.shift += 600.0
    took = subject.await_event(Disconnected, patience=12.0).at - woke
    assert took <= 5.0
    proxy.heal()
    subject.await_event(Connected, 2)
    record("G4", figure=f"given up {took:.1f} s after the wake-up", bound="5 s")


def test_G4_after_a_suspend_a_line_that_lives_is_kept(rig: Rig, awake: ShiftedClock) -> None:
    sandbox = rig.sandbox(rate=0.0)
    subject = connect(rig, sandbox, time.monotonic)
    subject.client.get_price("KRW-BTC")
    pings = subject.manager.get_connection_metrics()[0].pings_sent
    awake.shift += 600.0
    wait_until(lambda: subject.manager.get_connection_metrics()[0].pings_sent > pings, "a ping at once", patience=4.0)
    time.sleep(2.2)  # longer than the answer may take
    assert subject.events(Disconnected) == subject.events(Stale) == []


@pytest.mark.linux
def test_G5_another_time_zone_changes_nothing(rig: Rig, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = rig.sandbox(rate=300.0)
    subject = rig.connect(sandbox, ["ticker", "trade", "candle.1m"])
    subject.client.get_price("KRW-BTC")
    try:
        # Korea, both sides of a change to summer time, the date line, and a clock that knows of leap seconds.
        for zone in ("Asia/Seoul", "EST5EDT,M3.2.0,M11.1.0", "Pacific/Kiritimati", "right/UTC", "XXX-13:45"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            subject.client.wait_for_update("ticker", "KRW-BTC", timeout=5.0)
            candle = subject.client.snapshot("candle.1m", "KRW-BTC").event
            assert abs(subject.client.snapshot("ticker", "KRW-BTC").event.timestamp / 1000 - time.time()) < 60
            assert candle.candle_date_time_kst > candle.candle_date_time_utc
        check_undisturbed(sandbox, subject)
        sandbox.stop()
        for _ in range(10):
            sandbox.exchange.trade("KRW-BTC")
        sandbox.start()
        assert subject.await_event(GapRecovered).count >= 1
    finally:
        monkeypatch.undo()
        time.tzset()
    record("G5", figure="5 zones: no reconnect, same timestamps, gaps filled", bound="no effect")


def test_G6_every_attempt_has_a_token_of_its_own(rig: Rig, record: Record) -> None:
    sandbox = rig.sandbox(rate=0.0, keys={CANARIES[0]: CANARIES[1]})
    clock = ShiftedClock()
    subject = connect(rig, sandbox, clock, "myOrder")
    attempts = 6
    for number in range(1, attempts + 1):
        subject.await_event(Connected, number)
        clock.shift += 600.0  # as long as a back-off may last
        sandbox.drop_all("rst")
        subject.await_event(Disconnected, number)
    tokens = [
        value.removeprefix("Bearer ")
        for handshake in sandbox.handshakes[:attempts]
        for name, value in handshake.headers.items()
        if name.lower() == "authorization"
    ]
    claims = [json.loads(urlsafe_b64decode(token.split(".")[1] + "==")) for token in tokens]
    assert len({claim["nonce"] for claim in claims}) == len(set(tokens)) == attempts
    assert all(handshake.status == 101 for handshake in sandbox.handshakes)
    record("G6", figure=f"{attempts} attempts, {attempts} nonces", bound="never one twice")


BUSY = """
import threading, time
from upbit_ws import SimpleWebSocketClient, WebSocketConfig
client = SimpleWebSocketClient("busy", config=WebSocketConfig.testing())
client.register_interest(["ticker"], ["KRW-BTC"])
client.get_price("KRW-BTC")
def burn():
    while True:
        sum(range(100))
for _ in range(2):
    threading.Thread(target=burn, daemon=True).start()
print("up", flush=True)
time.sleep(60)
"""


def test_G7_pongs_are_in_time_beside_threads_that_burn(rig: Rig, run_python: PythonRunner, record: Record) -> None:
    waits: list[float] = []

    def script(talk: Conversation) -> None:
        greet(talk, ticker(1))
        talk.pause(0.5)
        for number in range(15):
            asked = time.monotonic()
            talk.send_frame(b"%d" % number, Opcode.PING)
            while (frame := talk.read_frame()).opcode != Opcode.PONG or frame.payload != b"%d" % number:
                pass
            waits.append(time.monotonic() - asked)
            talk.pause(0.05)

    server = rig.serve(script)
    process = run_python.start(["-c", BUSY], UPBIT_BASE_URL=base_url(server))
    wait_until(lambda: len(waits) == 15, "15 pongs", patience=30.0)
    process.kill()
    assert max(waits) <= 1.0
    record("G7", figure=f"pong after {max(waits) * 1e3:.0f} ms at most", bound="1 s")
