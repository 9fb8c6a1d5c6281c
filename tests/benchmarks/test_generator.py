"""The load generator as real clients see it, on loopback, each in a process as in a run."""

from __future__ import annotations

import itertools
import json
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import websocket
from websockets.sync.client import connect

from benchmarks.certificate import make_certificate
from benchmarks.clients.base import Task
from benchmarks.flow import Plan
from benchmarks.frames import sent_at
from benchmarks.generator import Settings, take_client_frame
from benchmarks.load import LoadGenerator


def request(symbols: int) -> str:
    return Task("http://127.0.0.1", symbols).request()


def address(generator: LoadGenerator) -> str:
    return Task(generator.url).websocket_url


def take(generator: LoadGenerator, count: int, **options: Any) -> list[dict[str, Any]]:
    with connect(address(generator), max_size=None, close_timeout=0.1, **options) as connection:
        connection.send(request(generator.settings.symbols))
        return [json.loads(connection.recv(timeout=10)) for _ in range(count)]


def test_it_answers_a_request_with_snapshots_and_then_sends_exactly_the_total() -> None:
    with LoadGenerator(Settings(Plan(total=300), symbols=10)) as generator:
        connection = websocket.create_connection(address(generator), timeout=5)
        connection.send(request(10))
        received = [json.loads(connection.recv()) for _ in range(330)]
        connection.settimeout(0.2)
        with pytest.raises(websocket.WebSocketTimeoutException):
            connection.recv()
        statistics = generator.statistics()[0]
        connection.close()
    assert [message["stream_type"] for message in received] == ["SNAPSHOT"] * 30 + ["REALTIME"] * 300
    assert statistics["frames"] == 330
    assert json.loads(statistics["requests"][0])[3]["codes"][0] == "KRW-C0000.15"


def test_it_goes_around_the_ring_without_repeating_an_id() -> None:
    with LoadGenerator(Settings(symbols=2, types=("trade",))) as generator:
        trades = take(generator, 12_002)
    ids = [trade["sequential_id"] for trade in trades]
    assert len(set(ids)) == len(ids)
    assert [trade["timestamp"] for trade in trades] == sorted(trade["timestamp"] for trade in trades)


def test_a_second_request_in_mid_flow_gets_snapshots_again_and_times_still_advance() -> None:
    with LoadGenerator(Settings(Plan("even", 1000), symbols=3)) as generator, connect(address(generator)) as connection:
        connection.send(request(3))
        received = [json.loads(connection.recv(timeout=5)) for _ in range(50)]
        connection.send(request(3))
        while sum(message["stream_type"] == "SNAPSHOT" for message in received) < 18:
            received.append(json.loads(connection.recv(timeout=5)))
        received += [json.loads(connection.recv(timeout=5)) for _ in range(50)]
    newest: dict[tuple[str, str], int] = {}
    for message in received:
        key = (message["type"], message["code"])
        assert message["timestamp"] > newest.get(key, 0)
        newest[key] = message["timestamp"]


def test_an_even_flow_keeps_its_rate_and_carries_the_time_of_each_write() -> None:
    with LoadGenerator(Settings(Plan("even", 500), symbols=1)) as generator, connect(address(generator)) as connection:
        connection.send(request(1))
        start, delays = time.monotonic(), []
        for _ in range(203):
            message = json.loads(connection.recv(timeout=5))
            delays.append(time.monotonic_ns() // 1000 - sent_at(message))
        took = time.monotonic() - start
    assert 0.3 < took < 1.0  # 200 messages, 2 ms apart
    assert 0 <= min(delays) < 5000


def test_a_burst_comes_each_100_ms_in_one_piece() -> None:
    plan = Plan("bursts", burst=6)
    with LoadGenerator(Settings(plan, symbols=2)) as generator:
        received = take(generator, 6 + 30)
    stamps = sorted({sent_at(message) for message in received[6:]})
    assert len(stamps) == 5
    gaps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    assert 80_000 < sum(gaps) / len(gaps) < 120_000


def test_it_speaks_tls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    pair = make_certificate(tmp_path)
    settings = Settings(symbols=2, certificate=str(pair.certificate), key=str(pair.key))
    with LoadGenerator(settings) as generator:
        assert generator.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(pair.certificate))
        assert len(take(generator, 5000, ssl=context)) == 5000


def test_it_compresses_when_told_to_and_refuses_who_does_not_offer() -> None:
    with LoadGenerator(Settings(symbols=2, deflate=True)) as generator:
        trades = [message for message in take(generator, 13_000) if message["type"] == "trade"]
        with pytest.raises(websocket.WebSocketBadStatusException):
            websocket.create_connection(address(generator), timeout=5)
        assert generator.statistics()[0]["compressed"] is True
    ids = {(trade["code"], trade["sequential_id"]) for trade in trades}
    assert len(ids) == len(trades)


def test_a_ping_is_answered_while_the_flow_goes_on() -> None:
    settings = Settings(Plan("even", 1000), symbols=2)
    with LoadGenerator(settings) as generator, connect(address(generator)) as connection:
        connection.send(request(2))
        pong = connection.ping()
        while not pong.is_set():
            connection.recv(timeout=5)


def test_a_masked_frame_is_taken_only_when_complete() -> None:
    frame = b"\x81\x85\x01\x02\x03\x04" + bytes(a ^ b for a, b in zip(b"hello", b"\x01\x02\x03\x04\x01", strict=True))
    inbox = bytearray()
    for byte in frame[:-1]:
        inbox.append(byte)
        assert take_client_frame(inbox) is None
    inbox += frame[-1:] + b"\x89"
    assert take_client_frame(inbox) == (0x81, b"hello")
    assert inbox == b"\x89"
