"""Section A, the rows that need packets to get lost: behind a proxy the kernel still acknowledges.

They run with the configuration that users have, so each takes as long as it takes a user.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.reliability.netns import Wire, why_not
from tests.reliability.payloads import ticker
from tests.reliability.rig import DEFAULTS, Rig, Subject, wait_until
from tests.reliability.scripts import Script, attend, good, greet, until
from upbit_ws.lifecycle import BackingOff, Connected, Connecting, Disconnected, GapReported, Stale
from upbit_ws.protocol.frames import Opcode
from upbit_ws.testing import Conversation, ScriptedServer, server_frame

Record = Callable[..., None]
pytestmark = [pytest.mark.slow, pytest.mark.linux, pytest.mark.root, pytest.mark.timeout(90)]


@pytest.fixture
def wire() -> Iterator[Wire]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with Wire() as made:
        yield made


class Site:
    """An exchange at one end of the wire and the SDK at the other."""

    def __init__(self, rig: Rig, wire: Wire, *scripts: Script, **sections: Any) -> None:
        self.rig = rig
        self.wire = wire
        with wire.exchange.here():
            self.server = ScriptedServer(*scripts, host=wire.exchange.address, timeout=60.0)
        sections = {name: {**DEFAULTS.get(name, {}), **fields} for name, fields in {**DEFAULTS, **sections}.items()}
        self.url = f"http://{wire.exchange.address}:{self.server.port}"
        with wire.user.here():
            self.subject: Subject = rig.connect(self.url, **sections)

    def close(self) -> None:
        # The listener is woken by a connection, which must be made where it listens.
        self.subject.manager.close()
        with self.wire.exchange.here():
            self.server.close()


@pytest.fixture
def site(rig: Rig, wire: Wire) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(*scripts: Script, **sections: Any) -> Site:
        made.append(Site(rig, wire, *scripts, **sections))
        return made[-1]

    yield make
    for each in made:
        each.close()
        # Its kernel gives up on a client that it cannot reach.
        assert [error for error in each.server.errors if not isinstance(error, OSError)] == []


def quiet(talk: Conversation) -> None:
    """Answers what it is asked, says nothing of itself."""
    greet(talk, ticker(1))
    attend(talk, ticker(1))


def ticking(talk: Conversation) -> None:
    """A price every 50 ms, from the number of the connection on; pings are answered in between."""
    greet(talk, ticker(1))
    for number in range(2, 100_000):
        talk._sock.settimeout(60.0)
        talk.send_frame(ticker(number))
        talk._sock.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            frame = talk.read_frame()
            talk.send_frame(frame.payload, Opcode.PONG)


def noticed(subject: Subject, since: float, *, patience: float = 25.0) -> tuple[float, Disconnected]:
    end = subject.await_event(Disconnected, patience=patience)
    return end.at - since, end


def check_return(subject: Subject, wire_mend: Callable[[], None]) -> None:
    assert not subject.client.snapshot("ticker", "KRW-BTC").is_live
    wire_mend()
    wait_until(lambda: subject.status.epoch == 2, "a second connection", patience=45.0)
    wait_until(lambda: subject.client.snapshot("ticker", "KRW-BTC").is_live, "live data")


def test_A8_half_open_and_idle(wire: Wire, site: Callable[..., Site], record: Record) -> None:
    subject = site(quiet).subject
    subject.await_price(1.0)
    cut = time.monotonic()
    wire.cut()
    took, end = noticed(subject, cut)
    assert took <= 16.0
    assert end.reason.endswith(("no pong", "timed out"))
    assert subject.events(Stale) != [] or end.reason.endswith("timed out")
    check_return(subject, wire.mend)
    record("A8", figure=f"noticed after {took:.1f} s ({end.reason.rpartition(': ')[2]})", bound="16 s")


def test_A9_half_open_with_data_in_flight(wire: Wire, site: Callable[..., Site], record: Record) -> None:
    subject = site(quiet).subject
    subject.await_price(1.0)
    wire.cut()
    cut = time.monotonic()
    subject.client.register_interest(["ticker"], ["KRW-ETH"])  # a request that nobody acknowledges
    took, end = noticed(subject, cut)
    assert took <= 10.0
    assert end.reason.endswith("timed out")
    check_return(subject, wire.mend)
    record("A9", figure=f"noticed after {took:.1f} s ({end.reason.rpartition(': ')[2]})", bound="10 s")


def test_A10_half_open_inside_a_frame(wire: Wire, site: Callable[..., Site], record: Record) -> None:
    seen, cut_now = threading.Event(), threading.Event()

    def half(talk: Conversation) -> None:
        greet(talk, ticker(1))
        until(talk, seen)
        talk.send(server_frame(ticker(2))[:100])
        talk.pause(0.1)
        cut_now.set()
        attend(talk)

    subject = site(half, quiet).subject
    subject.await_price(1.0)
    seen.set()
    cut_now.wait(5.0)
    cut = time.monotonic()
    wire.cut()
    took, end = noticed(subject, cut)
    assert took <= 16.0
    check_return(subject, wire.mend)
    assert subject.price() == 1.0
    record("A10", figure=f"noticed after {took:.1f} s ({end.reason.rpartition(': ')[2]})", bound="16 s")


def test_A11_five_seconds_of_nothing(wire: Wire, site: Callable[..., Site], record: Record) -> None:
    subject = site(ticking).subject
    subject.await_price(20.0)
    wire.cut()
    time.sleep(5.0)
    before = subject.price()
    wire.mend()
    mended = time.monotonic()
    wait_until(lambda: subject.price() != before, "a further price", patience=10.0)
    resumed = time.monotonic() - mended
    assert before is not None
    wait_until(lambda: (subject.price() or 0) > before + 100, "all that was held", patience=15.0)
    assert subject.status.epoch == 1
    assert subject.events(BackingOff) == []
    assert subject.events(GapReported) == []
    record("A11", figure=f"data again {resumed:.1f} s after the wire; 0 reconnects, 0 gaps", bound="no reconnect")


def test_A18_only_the_way_back_is_lost(wire: Wire, site: Callable[..., Site], record: Record) -> None:
    subject = site(ticking, quiet).subject
    subject.await_price(20.0)
    cut = time.monotonic()
    wire.exchange.lose_towards(wire.user.address)
    took, end = noticed(subject, cut)
    assert took <= 16.0
    check_return(subject, lambda: wire.exchange.find_again(wire.user.address))
    record("A18", figure=f"noticed after {took:.1f} s ({end.reason.rpartition(': ')[2]})", bound="16 s")


def test_A19_the_own_address_changes(wire: Wire, site: Callable[..., Site], record: Record) -> None:
    subject = site(ticking, quiet).subject
    subject.await_price(20.0)
    changed = time.monotonic()
    wire.user.ip("address", "del", f"{wire.user.address}/24", "dev", wire.user.device)
    wire.user.ip("address", "add", "192.0.2.77/24", "dev", wire.user.device)
    took, _end = noticed(subject, changed)
    assert took <= 16.0
    wait_until(lambda: subject.status.epoch == 2, "a second connection", patience=10.0)
    session = subject.manager._connections.all()[0]._session
    assert session is not None
    assert session.transport._sock.getsockname()[0] == "192.0.2.77"
    record("A19", figure=f"noticed after {took:.1f} s, then from the new address", bound="16 s")


def test_A20_a_refused_port_on_a_real_wire(wire: Wire, site: Callable[..., Site], rig: Rig, record: Record) -> None:
    first = site(quiet)
    first.subject.await_price(1.0)
    with wire.exchange.here():
        first.server.close()
    first.subject.await_event(BackingOff, 4, patience=20.0)
    opened = time.monotonic()
    with wire.exchange.here():
        server = ScriptedServer(good(ticker(2)), host=wire.exchange.address, port=first.server.port)
    first.subject.await_price(2.0, patience=10.0)
    again = first.subject.events(Connected)[1].at - opened
    first.subject.manager.close()
    with wire.exchange.here():
        server.close()
    delays = [event.delay for event in first.subject.events(BackingOff)]
    assert again <= delays[-1] + 0.2
    record("A20", figure=f"{len(delays)} attempts refused, connected {again:.2f} s after the port opened")


def test_A21_a_syn_that_gets_lost(wire: Wire, site: Callable[..., Site], record: Record) -> None:
    wire.exchange.lose_towards(wire.user.address)
    subject = site(good(ticker(1)), connection={"connect_timeout": 2.0}).subject
    lost = subject.await_event(BackingOff)
    took = lost.at - subject.events(Connecting)[0].at
    assert "timed out" in lost.reason
    assert 1.9 < took < 2.8
    wire.exchange.find_again(wire.user.address)
    subject.await_price(1.0, patience=10.0)
    record("A21", figure=f"given up after {took:.2f} s", bound="connect_timeout 2 s")


def test_A22_the_first_of_two_addresses_is_dead(
    wire: Wire, site: Callable[..., Site], rig: Rig, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wire.exchange.here():
        wire.exchange.ip("address", "add", "192.0.2.9/24", "dev", wire.exchange.device)
        server = ScriptedServer(good(ticker(1)), host=wire.exchange.address)
    wire.user.lose_towards("192.0.2.99")
    wire.exchange.ip("route", "add", "blackhole", "192.0.2.99/32")
    ask = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **named: Any) -> Any:
        if host != "exchange.test" or named.get("flags"):
            return ask(host, port, *args, **named)
        return [row for name in ("192.0.2.9", "192.0.2.1") for row in ask(name, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    # The first address takes SYNs and its answers are lost.
    wire.exchange.ip("rule", "add", "from", "192.0.2.9", "blackhole")
    with wire.user.here():
        subject = rig.connect(f"http://exchange.test:{server.port}", connection={"connect_timeout": 4.0})
    try:
        subject.await_price(1.0, patience=10.0)
        took = subject.events(Connected)[0].at - subject.events(Connecting)[0].at
        assert 1.8 < took < 3.5
    finally:
        subject.manager.close()
        with wire.exchange.here():
            server.close()
    record("A22", figure=f"connected to the second after {took:.2f} s", bound="half of connect_timeout (4 s)")
