"""The figures that the SDK promises, measured. The fast variants shorten the configuration, the slow ones leave it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.leaks import open_descriptors
from tests.reliability.loss import Loss
from tests.reliability.netns import Wire, why_not
from tests.reliability.payloads import ticker
from tests.reliability.rig import DEFAULTS, Rig, Subject, wait_until
from tests.reliability.scripts import Script, attend, good, greet, then
from upbit_ws.config import ConnectionConfig
from upbit_ws.lifecycle import BackingOff, Connected, Connecting, Disconnected, Stale
from upbit_ws.testing import Conversation, server_frame

Record = Callable[..., None]
#: The clocks of `ConnectionConfig`, a twentieth of what users have.
SCALE = 20.0
#: What a busy machine may add, in seconds. With the usual clocks the bounds are held without it, by the slow variants.
_SCHEDULING = 0.5
_CLOCKS = ("ping_interval", "pong_timeout", "snapshot_timeout", "mute_floor")
SHORT = {name: getattr(ConnectionConfig(), name) / SCALE for name in _CLOCKS}
USUAL = {name: getattr(ConnectionConfig(), name) for name in _CLOCKS}


def mute_after(*payloads: bytes, last: bytes = b"") -> Script:
    """Answers the first request, and then nothing at all, pings included."""

    def script(talk: Conversation) -> None:
        greet(talk, *payloads)
        if last:
            talk.send(last)
        while True:
            talk.read_frame()

    return script


@pytest.mark.parametrize("lose", [Conversation.end, Conversation.reset], ids=["fin", "rst"])
def test_P1_the_first_attempt_after_a_loss(rig: Rig, record: Record, lose: Script) -> None:
    waits = []
    for _ in range(5):
        loss = Loss(rig, lose)
        loss.check_return()
        loss.check_times(tried_again=0.25)
        waits.append(loss.tried_again_after)
    record("P1", figure=f"{max(waits):.2f} s at most of 10 losses", bound="0.25 s")


def test_P2_a_peer_that_is_silent(rig: Rig) -> None:
    subject = rig.connect(rig.serve(mute_after(ticker(1)), good(ticker(2))), connection=SHORT)
    opened = subject.await_event(Connected).at
    lost = subject.await_event(Disconnected)
    assert lost.reason.endswith("no pong")
    assert lost.at - opened <= 16.0 / SCALE + _SCHEDULING
    assert subject.events(Stale)[-1].reason == "no pong"
    subject.await_price(2.0)


def test_P4_half_a_frame_and_then_silence(rig: Rig) -> None:
    half = server_frame(ticker(2))[:50]
    subject = rig.connect(rig.serve(mute_after(ticker(1), last=half), good(ticker(3))), connection=SHORT)
    opened = subject.await_event(Connected).at
    lost = subject.await_event(Disconnected)
    assert lost.at - opened <= 16.0 / SCALE + _SCHEDULING
    subject.await_price(3.0)
    assert subject.manager.pool.counters().undecodable == 0


@pytest.fixture
def wire() -> Iterator[Wire]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with Wire() as made:
        yield made


def partition(rig: Rig, wire: Wire, script: Script, disturb: Callable[[Subject], object]) -> float:
    """How long the SDK takes to notice, with the configuration of users, that packets get lost."""
    from upbit_ws.testing import ScriptedServer

    with wire.exchange.here():
        server = ScriptedServer(script, host=wire.exchange.address, timeout=60.0)
    with wire.user.here():
        subject = rig.connect(f"http://{wire.exchange.address}:{server.port}", **DEFAULTS)
    try:
        subject.client.get_price("KRW-BTC", timeout=5.0)
        time.sleep(0.2)
        wire.cut()
        cut = time.monotonic()
        disturb(subject)
        return subject.await_event(Disconnected, patience=25.0).at - cut
    finally:
        subject.manager.close()
        with wire.exchange.here():
            server.close()


@pytest.mark.slow
@pytest.mark.linux
@pytest.mark.root
def test_P2_a_dead_wire_while_idle(rig: Rig, record: Record, wire: Wire) -> None:
    took = partition(rig, wire, good(ticker(1)), lambda subject: None)
    assert took <= 16.0
    record("P2", figure=f"{took:.1f} s", bound="16 s")


@pytest.mark.slow
@pytest.mark.linux
@pytest.mark.root
def test_P3_a_dead_wire_with_data_in_flight(rig: Rig, record: Record, wire: Wire) -> None:
    took = partition(
        rig, wire, good(ticker(1)), lambda subject: subject.client.register_interest(["ticker"], ["KRW-ETH"])
    )
    assert took <= 10.0
    record("P3", figure=f"{took:.1f} s", bound="10 s")


@pytest.mark.slow
@pytest.mark.linux
@pytest.mark.root
def test_P4_a_dead_wire_inside_a_frame(rig: Rig, record: Record, wire: Wire) -> None:
    half = server_frame(ticker(2))[:50]
    script = then(lambda talk: greet(talk, ticker(1)), lambda talk: talk.send(half), attend)
    took = partition(rig, wire, script, lambda subject: None)
    assert took <= 16.0
    record("P4", figure=f"{took:.1f} s", bound="16 s")


def feed_of_two(mutes: threading.Event, pause: float) -> Script:
    """A lively market and one that never speaks again after its snapshot; from `mutes` on only pongs."""

    def script(talk: Conversation) -> None:
        from upbit_ws.protocol.frames import Opcode

        greet(talk, ticker(1), ticker(1, code="KRW-ETH"))
        number = 1
        while True:
            talk._sock.settimeout(pause)
            try:
                frame = talk.read_frame()
            except TimeoutError:
                if not mutes.is_set():
                    number += 1
                    talk.send_frame(ticker(number))
                continue
            finally:
                talk._sock.settimeout(10.0)
            if frame.opcode == Opcode.PING:
                talk.send_frame(frame.payload, Opcode.PONG)

    return script


def check_mute_feed(rig: Rig, clocks: dict[str, Any], quiet_for: float, pause: float) -> float:
    """A quiet market raises nothing for so long; then the feed falls silent. Seconds to the reconnect."""
    mutes = threading.Event()
    server = rig.serve(feed_of_two(mutes, pause), good(ticker(500_000), ticker(500_000, code="KRW-ETH")))
    subject = rig.connect(server, symbols=("KRW-BTC", "KRW-ETH"), connection=clocks)
    assert subject.client.wait_ready(timeout=5.0)
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > quiet_for, "time", patience=quiet_for + 5)
    assert subject.events(Stale) == [], "one quiet market is no alarm"
    assert subject.events(BackingOff) == []
    assert subject.client.snapshot("ticker", "KRW-ETH").is_live
    mutes.set()
    fell_silent = time.monotonic()
    stale = subject.await_event(Stale, patience=40.0)
    assert not subject.client.snapshot("ticker", "KRW-BTC").is_live, "suspected is not live"
    lost = subject.await_event(Disconnected, patience=40.0)
    assert lost.reason.endswith("mute")
    assert stale.at < lost.at
    subject.await_price(500_000.0)
    return lost.at - fell_silent


def test_P5_a_mute_feed_and_a_quiet_market(rig: Rig) -> None:
    took = check_mute_feed(rig, SHORT, quiet_for=1.5, pause=0.01)
    assert took <= 30.0 / SCALE + _SCHEDULING


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_P5_a_mute_feed_and_a_quiet_market_with_the_usual_clocks(rig: Rig, record: Record) -> None:
    took = check_mute_feed(rig, USUAL, quiet_for=35.0, pause=0.2)
    assert took <= 30.0
    record("P5", figure=f"{took:.1f} s; nothing in 35 s beside one quiet market", bound="30 s")


def no_stray_connection(subject: Subject, connections: Callable[[], int]) -> float:
    """Close; no dial may follow. How long it took."""
    before = connections()
    begun = time.monotonic()
    subject.manager.close()
    took = time.monotonic() - begun
    time.sleep(0.5)
    assert connections() == before
    assert not any(subject.manager.background_tasks.values())
    return took


def test_P6_closing_against_a_peer_that_says_nothing(rig: Rig, record: Record) -> None:
    server = rig.serve(then(lambda talk: greet(talk, ticker(1)), Conversation.hold))
    subject = rig.connect(server)
    subject.await_price(1.0)
    took = no_stray_connection(subject, lambda: server.connections)
    assert took <= 1.0
    record("P6", figure=f"{took:.2f} s, 0 connections after it", bound="1 s")


def test_P7_closing_during_back_off(rig: Rig, record: Record) -> None:
    server = rig.serve(then(greet, lambda talk: talk.send_close(1013), Conversation.wait_for_end))
    subject = rig.connect(server)
    assert subject.await_event(BackingOff).delay >= 5.0
    took = no_stray_connection(subject, lambda: server.connections)
    assert took <= 1.0
    record("P7", figure=f"{took * 1e3:.0f} ms, 0 connections after it", bound="1 s")


@pytest.mark.parametrize("lose", [Conversation.end, Conversation.reset, lambda talk: talk.send_close(1000)])
def test_P8_descriptors_per_reconnect(rig: Rig, record: Record, lose: Script) -> None:
    """The server closes 20 times; what the process has open is the same after the 2nd and after the last."""
    count, may_go = 20, threading.Semaphore(0)

    def script(talk: Conversation) -> None:
        greet(talk, ticker(1))
        while not may_go.acquire(timeout=0.01):
            talk.pause(0.0)
        lose(talk)

    subject = rig.connect(
        rig.serve(script),
        rate_limit={"connects_per_second": 1000},
        reconnection={"first_jitter": 0.0, "base_delay": 0.001, "max_delay": 0.001},
    )

    def open_now(number: int) -> int:
        wait_until(
            lambda: subject.status.epoch == number and subject.client.snapshot("ticker", "KRW-BTC").is_live, "data"
        )
        found = open_descriptors()
        return sum(found.values()) if found is not None else 0

    subject.client.get_price("KRW-BTC", timeout=5.0)
    counts = []
    for number in range(1, count + 1):
        counts.append(open_now(number))
        may_go.release()
    counts.append(open_now(count + 1))
    # The server's side of a connection may close a moment later than ours.
    assert max(counts[2:]) <= counts[1] + 1
    assert min(counts[-3:]) <= counts[1]
    record("P8", figure=f"{min(counts[-3:]) - counts[1]} after {count} reconnects each", bound="0")


def test_P9_dials_in_a_storm_of_closes(rig: Rig, record: Record) -> None:
    server = rig.serve(then(greet, lambda talk: talk.send_close(1000), Conversation.wait_for_end))
    subject = rig.connect(server, reconnection={"first_jitter": 0.0, "base_delay": 0.001, "max_delay": 0.001})
    subject.await_event(Connecting, 11, patience=10.0)
    subject.manager.close()
    dials = [event.at for event in subject.events(Connecting)]
    densest = max(sum(at <= other < at + 1.0 for other in dials) for at in dials)
    assert densest <= 5
    assert all(later >= earlier for earlier, later in pairwise(dials))
    record("P9", figure=f"{densest} in the densest second of {dials[-1] - dials[0]:.1f} s", bound="5")
