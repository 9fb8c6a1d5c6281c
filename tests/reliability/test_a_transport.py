"""Section A: the transport breaks, on loopback. What needs lost packets is in `test_a_partitions.py`."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.reliability.loss import Loss
from tests.reliability.payloads import ticker, trade
from tests.reliability.recorder import VARIABLE as RECORDING
from tests.reliability.rig import Rig, wait_until
from tests.reliability.scripts import attend, good, greet, send_apart, then, until
from upbit_ws.lifecycle import BackingOff, Connected, Connecting
from upbit_ws.protocol.frames import Opcode
from upbit_ws.testing import CertificateAuthority, Conversation, server_frame

Record = Callable[..., None]
TYPES = ["ticker", "trade", "orderbook"]
HALF = server_frame(ticker(2))[:100]


def check_loss(loss: Loss, row: str, record: Record, reason: str) -> None:
    loss.check_return()
    assert loss.end.reason.endswith(reason)
    loss.check_times(noticed=0.1, tried_again=0.25)
    figure = f"noticed in {loss.noticed_after * 1e3:.1f} ms, next attempt after {loss.tried_again_after * 1e3:.0f} ms"
    record(row, figure=figure, bound="0.1 s, 0.25 s")


def test_A1_a_reset_inside_a_frame(rig: Rig, record: Record) -> None:
    loss = Loss(rig, Conversation.reset, before=send_apart(HALF))
    check_loss(loss, "A1", record, "reset")
    assert loss.end.code == 1006


def test_A2_a_reset_between_frames(rig: Rig, record: Record) -> None:
    check_loss(Loss(rig, Conversation.reset), "A2", record, "reset")


def test_A3_a_fin_inside_a_frame(rig: Rig, record: Record) -> None:
    loss = Loss(rig, Conversation.end, before=send_apart(HALF))
    check_loss(loss, "A3", record, "truncated")
    assert loss.end.code == 1006


def test_A4_a_fin_without_close_is_1006_and_that_is_never_sent(rig: Rig, record: Record) -> None:
    sent: list[bytes] = []

    def lose(talk: Conversation) -> None:
        talk.half_close()
        sent.append(talk.wait_for_end())

    loss = Loss(rig, lose)
    check_loss(loss, "A4", record, "no close frame")
    assert loss.end.code == 1006
    assert [data for data in sent if data[:1] == bytes((0x80 | Opcode.CLOSE,))] == []


@pytest.mark.parametrize(
    ("lose", "before", "reason"),
    [
        (Conversation.end, None, "no close frame"),
        (Conversation.end, send_apart(HALF), "truncated"),
        (Conversation.reset, send_apart(HALF), "reset"),
    ],
)
def test_A5_tls_ends_without_close_notify(
    rig: Rig, record: Record, authority: CertificateAuthority, lose: Any, before: Any, reason: str
) -> None:
    trust = {"ssl_context": authority.client_context()}
    check_loss(Loss(rig, lose, before=before, tls=authority.server_context(), connection=trust), "A5", record, reason)


def test_A6_a_close_notify_inside_a_frame_is_a_truncation(
    rig: Rig, record: Record, authority: CertificateAuthority
) -> None:
    lose = then(Conversation.end_tls, lambda talk: talk.pause(0.3))
    trust = {"ssl_context": authority.client_context()}
    loss = Loss(rig, lose, before=send_apart(HALF), tls=authority.server_context(), connection=trust)
    check_loss(loss, "A6", record, "truncated")


def test_A7_plain_text_between_tls_records(rig: Rig, record: Record, authority: CertificateAuthority) -> None:
    lose = then(lambda talk: talk.send_under_tls(b"HTTP/1.1 400 Bad Request\r\n\r\n"), lambda talk: talk.pause(0.3))
    trust = {"ssl_context": authority.client_context()}
    loss = Loss(rig, lose, tls=authority.server_context(), connection=trust)
    check_loss(loss, "A7", record, "")
    assert "TLS" in loss.end.reason
    assert loss.end.code is None


def test_A12_a_server_that_reads_nothing_stops_neither_the_caller_nor_the_data(rig: Rig, record: Record) -> None:
    prices = iter(range(2, 10_000))

    def script(talk: Conversation) -> None:
        talk._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greet(talk, ticker(1))
        while True:  # sends, and reads no more
            talk.send_frame(ticker(next(prices)))
            talk.pause(0.005)

    subject = rig.connect(rig.serve(script), connection={"ping_interval": 60.0, "close_timeout": 0.2})
    subject.client.get_price("KRW-BTC", timeout=5.0)
    rig.invariants.waive("I4")  # it does not read what is wanted
    session = subject.manager._connections.all()[0]._session
    assert session is not None
    # Both buffers as small as they can be: one large request fills them.
    session.transport._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    begun = time.monotonic()
    subject.client.register_interest(TYPES, [f"KRW-X{number}" for number in range(4000)])
    took = time.monotonic() - begun
    wait_until(lambda: session.transport.wants_write, "a full buffer")
    before = subject.price()
    wait_until(lambda: subject.price() != before, "a further price")
    assert subject.status.epoch == 1
    begun = time.monotonic()
    subject.client.close()
    subject.manager.close()
    closed = time.monotonic() - begun
    # Alone, a second. In a crowd it is work too, to give up 12,000 streams; a wait for this peer would have no end.
    assert closed < (1.0 if os.environ.get(RECORDING) else 5.0)
    record("A12", figure=f"register_interest of 12,000 streams {took * 1e3:.0f} ms, close {closed:.2f} s", bound="1 s")


def test_A13_one_byte_at_a_time(rig: Rig, record: Record) -> None:
    proxy = rig.proxy(rig.serve(good(ticker(1), ticker(2))))
    proxy.slicer(1, 0.0005)
    subject = rig.connect(proxy, connection={"connect_timeout": 5.0, "ping_interval": 30.0})
    subject.await_price(2.0, patience=15.0)
    metrics = subject.manager.get_connection_metrics()[0]
    assert metrics.messages == 2
    assert subject.status.epoch == 1
    record("A13", figure=f"{metrics.bytes} bytes in {metrics.reads} reads, 2 of 2 messages right")


def test_A14_a_frame_cut_at_every_byte(rig: Rig, record: Record) -> None:
    size = len(server_frame(trade(1000)))

    def script(talk: Conversation) -> None:
        greet(talk)
        for cut in range(1, size):
            frame = server_frame(trade(1000 + cut))
            talk.send(frame[:cut])
            talk.pause(0.001)
            talk.send(frame[cut:])
        attend(talk)

    subject = rig.connect(rig.serve(script), "trade", data_pool={"history": size})
    last = 1000 + size - 1
    wait_until(
        lambda: subject.client.get_trade_data(timeout=5.0)["KRW-BTC"].sequential_id == last, "the last", patience=15.0
    )
    history = subject.client.get_trade_history("KRW-BTC")
    assert [event.sequential_id for event in history] == list(range(1001, last + 1))
    assert subject.manager.get_connection_metrics()[0].reads > size, "they came in two parts"
    record("A14", figure=f"{size - 1} of {size - 1} splits give the same trade")


def test_A15_many_frames_in_one_segment(rig: Rig, record: Record) -> None:
    asked = threading.Event()

    def script(talk: Conversation) -> None:
        greet(talk, trade(1))
        until(talk, asked)
        talk.send(b"".join(server_frame(trade(number)) for number in range(2, 102)))
        talk.pause(0.2)
        talk.send(b"".join(server_frame(trade(number)) for number in range(102, 402)))
        attend(talk)

    subject = rig.connect(rig.serve(script), "trade", data_pool={"history": 500}, connection={"ping_interval": 30.0})
    subject.client.wait_ready(timeout=5.0)

    def newest() -> int:
        return int(subject.client.get_trade_data()["KRW-BTC"].sequential_id)

    before = subject.manager.get_connection_metrics()[0].reads
    asked.set()
    wait_until(lambda: newest() >= 101, "a hundred trades")
    reads = subject.manager.get_connection_metrics()[0].reads - before
    wait_until(lambda: newest() == 401, "three hundred more")
    ids = [event.sequential_id for event in subject.client.get_trade_history("KRW-BTC")]
    assert ids == list(range(1, 402))
    assert reads <= 2
    record("A15", figure=f"100 messages in {reads} read(s); 300 more across 64 KiB in order", bound="2 reads")


def test_A16_a_narrow_line(rig: Rig, record: Record) -> None:
    count = 40

    def script(talk: Conversation) -> None:
        greet(talk)
        for number in range(1, count + 1):
            talk.send_frame(trade(number))
        attend(talk)

    proxy = rig.proxy(rig.serve(script))
    proxy.bandwidth(8000)
    subject = rig.connect(proxy, "trade")
    connected = subject.await_event(Connected)
    wait_until(
        lambda: subject.client.get_trade_data(timeout=5.0)["KRW-BTC"].sequential_id == count, "the last", patience=8.0
    )
    took = time.monotonic() - connected.at
    assert [event.sequential_id for event in subject.client.get_trade_history("KRW-BTC")] == list(range(1, count + 1))
    assert took > 1.0
    assert subject.status.epoch == 1
    record("A16", figure=f"{count} of {count} trades, the last {took:.1f} s after the upgrade; no reconnect")


def test_A17_a_slow_and_uneven_line(rig: Rig, record: Record) -> None:
    proxy = rig.proxy(rig.serve(good(ticker(1))))
    subject = rig.connect(proxy, connection={"ping_interval": 0.25, "pong_timeout": 1.0})
    subject.await_price(1.0)
    proxy.latency(0.25, 0.1)  # each way

    def pongs() -> int:
        return subject.manager.get_connection_metrics()[0].pongs_received

    begun = pongs()
    wait_until(lambda: pongs() >= begun + 8, "eight pongs", patience=10.0)
    metrics = subject.manager.get_connection_metrics()[0]
    assert metrics.rtt_last is not None
    assert 0.28 < metrics.rtt_last < 0.9
    assert subject.status.epoch == 1
    assert subject.events(BackingOff) == []
    record("A17", figure=f"RTT of the last ping {metrics.rtt_last * 1e3:.0f} ms; no reconnect", bound="300 to 700 ms")


@contextlib.contextmanager
def silent_listener(host: str, port: int = 0) -> Iterator[int]:
    """A port whose SYNs are not answered any more: its queue is full and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        place = listener.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(place)
        yield place[1]


def test_A20_a_refused_port_that_opens_after_a_while(rig: Rig, record: Record) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        subject = rig.connect(
            f"http://127.0.0.1:{port}", reconnection={"first_jitter": 0.2, "base_delay": 0.5, "max_delay": 1.0}
        )
        subject.await_event(BackingOff, 4, patience=10.0)
    opened = time.monotonic()
    rig.serve(good(ticker(1)), port=port)
    subject.await_price(1.0, patience=5.0)
    again = subject.events(Connected)[0].at - opened
    delays = [event.delay for event in subject.events(BackingOff)]
    assert again <= delays[-1] + 0.5
    assert len(set(delays)) == len(delays), "jitter"
    assert all("refused" in event.reason for event in subject.events(BackingOff))
    record(
        "A20", figure=f"{len(delays)} attempts refused, connected {again:.2f} s after the port opened", bound="1.2 s"
    )


@pytest.mark.linux
def test_A21_a_syn_that_nobody_answers_costs_the_connect_timeout(rig: Rig, record: Record) -> None:
    with silent_listener("127.0.0.1") as port:
        subject = rig.connect(f"http://127.0.0.1:{port}", connection={"connect_timeout": 0.5})
        lost = subject.await_event(BackingOff)
    took = lost.at - subject.events(Connecting)[0].at
    assert "timed out" in lost.reason
    assert 0.45 < took < 1.0
    record("A21", figure=f"given up after {took:.2f} s", bound="connect_timeout 0.5 s")


@pytest.mark.linux
def test_A22_the_second_address_where_the_first_is_dead(
    rig: Rig, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = rig.serve(good(ticker(1)))
    ask = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **named: Any) -> Any:
        if host != "exchange.test" or named.get("flags"):
            return ask(host, port, *args, **named)
        return [row for name in ("127.0.0.2", "127.0.0.1") for row in ask(name, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with silent_listener("127.0.0.2", server.port):
        subject = rig.connect(f"http://exchange.test:{server.port}", connection={"connect_timeout": 1.0})
        subject.await_price(1.0)
    took = subject.events(Connected)[0].at - subject.events(Connecting)[0].at
    assert 0.4 < took < 0.95
    assert subject.events(BackingOff) == []
    record("A22", figure=f"connected to the second after {took:.2f} s", bound="half of connect_timeout (1 s)")


@pytest.mark.linux
def test_A23_no_descriptor_is_left_for_a_reconnect(rig: Rig, record: Record) -> None:
    loss_of = threading.Event()
    server = rig.serve(then(lambda talk: greet(talk, ticker(1)), lambda talk: until(talk, loss_of)), good(ticker(2)))
    subject = rig.connect(server)
    subject.await_price(1.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Below what is open: what the lost connection frees is out of reach as well, and what is open stays so.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        loss_of.set()
        subject.await_event(BackingOff, 3, patience=10.0)
        time.sleep(1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    subject.await_price(2.0)
    reasons = [event.reason for event in subject.events(BackingOff)]
    assert any("Too many open files" in reason for reason in reasons), reasons
    dials = [event.at for event in subject.events(Connecting)]
    densest = max(sum(at <= other < at + 1.0 for other in dials) for at in dials)
    assert densest <= 5
    record(
        "A23", figure=f"{len(reasons)} failures reported, {densest} attempts in the densest second", bound="5 a second"
    )


@pytest.mark.linux
def test_A24_descriptors_above_1023(rig: Rig, record: Record) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    held = [os.dup(0) for _ in range(1100)]
    try:
        subject = rig.connect(rig.serve(then(lambda talk: greet(talk, ticker(1)), Conversation.end), good(ticker(2))))
        subject.await_price(2.0)
        session = subject.manager._connections.all()[0]._session
        assert session is not None
        number = session.transport.fileno()
        assert number > 1023
        subject.manager.close()
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    record("A24", figure=f"descriptor {number}, data and a reconnect")


def test_A25_a_server_that_stops_writing_and_still_reads(rig: Rig, record: Record) -> None:
    loss = Loss(rig, then(Conversation.half_close, Conversation.wait_for_end))
    check_loss(loss, "A25", record, "no close frame")
