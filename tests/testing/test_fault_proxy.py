"""Each verb of the proxy does what it says, and good weather returns."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from upbit_ws.testing import Conversation, FaultProxy, ScriptedServer


def echo(talk: Conversation) -> None:
    while True:
        talk.send(talk.read_some())


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """In front of an echo."""
    with ScriptedServer(echo) as server, FaultProxy(("127.0.0.1", server.port)) as made:
        yield made


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5.0) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock


def exchange(sock: socket.socket, data: bytes) -> bytes:
    """Send and read as many bytes back."""
    sock.sendall(data)
    return receive(sock, len(data))


def receive(sock: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        data = sock.recv(65536)
        if not data:
            break
        received += data
    return received


def connect_and_read(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as sock:
        return sock.recv(1)


def timed(sock: socket.socket, data: bytes) -> float:
    started = time.monotonic()
    assert exchange(sock, data) == data
    return time.monotonic() - started


def quickest(sock: socket.socket, data: bytes) -> float:
    """Of a few: a busy machine only ever adds to what the proxy does."""
    return min(timed(sock, data) for _ in range(5))


def test_in_good_weather_everything_passes_and_is_counted(proxy: FaultProxy, client: socket.socket) -> None:
    data = bytes(range(256)) * 2000

    assert exchange(client, data) == data
    counters = proxy.counters
    assert (counters.connections, counters.open_connections, counters.resets) == (1, 1, 0)
    assert (counters.bytes_up, counters.bytes_down) == (len(data), len(data))


def test_latency_delays_each_way_and_can_be_taken_back(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.latency(0.05)
    assert 0.1 <= quickest(client, b"x") < 0.3
    proxy.heal()
    assert quickest(client, b"x") < 0.05


def test_jitter_keeps_the_order(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.latency(0.01, jitter=0.01)
    expected = b""
    for number in range(50):
        client.sendall(b"%03d" % number)
        expected += b"%03d" % number
    assert receive(client, len(expected)) == expected


def test_bandwidth_bounds_what_passes_in_a_second(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.bandwidth(200_000)
    proxy.slicer(1000)
    assert 0.09 < timed(client, b"x" * 20_000) < 0.5
    proxy.bandwidth(None)
    proxy.slicer(None)
    assert quickest(client, b"x" * 20_000) < 0.09


def test_a_narrow_line_lets_a_little_through_all_the_time(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.bandwidth(20_000)
    client.sendall(b"x" * 10_000)  # half a second each way
    started = time.monotonic()
    left = 10_000 - len(client.recv(65536))
    first = time.monotonic() - started
    receive(client, left)
    assert first < (time.monotonic() - started) / 2


def test_bandwidth_is_shared_by_all_that_passes(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.bandwidth(100_000)
    started = time.monotonic()
    for _ in range(10):
        client.sendall(b"x" * 2000)
        threading.Event().wait(0.002)
    receive(client, 20_000)
    assert 0.19 < time.monotonic() - started < 0.8


def test_a_slicer_cuts_what_passes_into_pieces(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.slicer(1, delay=0.005)
    client.sendall(b"abcd")
    pieces = []
    while sum(map(len, pieces)) < 4:
        pieces.append(client.recv(100))
    assert b"".join(pieces) == b"abcd"
    assert len(pieces) > 1


def test_a_blackhole_holds_everything_and_loses_nothing(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.blackhole()
    client.sendall(b"held")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(10)
    client.settimeout(5.0)
    proxy.blackhole(False)
    assert receive(client, 4) == b"held"


def test_a_reset_reaches_both_sides(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert proxy.counters.resets == 1
    assert proxy.counters.open_connections == 0
    assert proxy.counters.bytes_down == 4


def test_after_a_reset_new_connections_pass(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.reset()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5.0) as again:
        assert exchange(again, b"x") == b"x"
    assert proxy.counters.connections == 2


@pytest.mark.parametrize("lift", [FaultProxy.heal, lambda proxy: proxy.bandwidth(None)], ids=["heal", "bandwidth"])
def test_what_waits_for_bandwidth_passes_when_it_is_lifted(
    proxy: FaultProxy, client: socket.socket, lift: Callable[[FaultProxy], None]
) -> None:
    proxy.bandwidth(1_000)
    client.sendall(bytes(100_000))  # a hundred seconds, each way
    early = len(client.recv(65536))

    client.settimeout(5.0)
    lift(proxy)

    assert early < 1_000
    assert len(receive(client, 100_000 - early)) == 100_000 - early
    assert exchange(client, b"behind it") == b"behind it"


def test_a_limit_counts_from_where_it_was_set_while_bytes_pass_all_the_time() -> None:
    def flood(talk: Conversation) -> None:
        while True:
            talk.send(bytes(20_000))

    with ScriptedServer(flood) as server, FaultProxy(("127.0.0.1", server.port)) as proxy:
        for _ in range(5):
            proxy.limit_data(None)
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=5.0) as sock:
                receive(sock, 2_000_000)
                passed = proxy.counters.bytes_down
                proxy.limit_data(1_000_000)
                while sock.recv(65536):
                    pass
            assert proxy.counters.bytes_down - passed >= 1_000_000


def test_a_limit_ends_the_connection_after_so_many_bytes(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.limit_data(3)
    client.sendall(b"abcdef")
    assert receive(client, 6) == b"abc"


def test_corruption_flips_one_bit(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.corrupt(1.0)
    got = exchange(client, b"\x00" * 100)
    # Once on the way there, once on the way back.
    assert 0 < sum(byte.bit_count() for byte in got) <= 2
    proxy.corrupt(0.0)
    assert exchange(client, b"\x00" * 100) == b"\x00" * 100


def test_half_a_close_ends_one_direction(proxy: FaultProxy, client: socket.socket) -> None:
    exchange(client, b"warm")
    proxy.half_close()
    assert client.recv(1) == b""
    client.sendall(b"still passes")
    deadline = time.monotonic() + 5.0
    while proxy.counters.bytes_up < 16:
        assert time.monotonic() < deadline


def test_an_upstream_that_is_gone_resets_the_client() -> None:
    # Bound and not listening: nobody else gets the port meanwhile.
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with FaultProxy(nobody.getsockname()) as proxy:
            with pytest.raises(ConnectionResetError):
                # The reset may come as early as the connect.
                connect_and_read(proxy.port)
            assert proxy.counters.connections == 0


def test_closing_ends_connections_that_are_held() -> None:
    with ScriptedServer(Conversation.hold) as server:
        with FaultProxy(("127.0.0.1", server.port)) as proxy:
            sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=5.0)
            server.conversation()
            proxy.blackhole()
        assert sock.recv(1) == b""
        sock.close()
        proxy.close()
