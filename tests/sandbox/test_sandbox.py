"""The embedded exchange as one object: its life, its disturbances, what it remembers."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.sandbox.clients import Client, candle, lazy_reader, orderbook, ticker, trade
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.sandbox import Sandbox, SandboxConfig, SandboxError

Make = Callable[..., Sandbox]
Dial = Callable[..., Client]


def test_it_says_what_it_is(exchange: Sandbox, client: Client) -> None:
    assert repr(exchange) == f"<Sandbox serving {exchange.url}, 1 connections, 5 markets>"
    exchange.stop()
    assert repr(exchange) == "<Sandbox stopped, 5 markets>"


def test_starting_and_stopping_twice_changes_nothing() -> None:
    sandbox = Sandbox(SandboxConfig(markets=["KRW-BTC"]))
    assert sandbox.start() is sandbox.start()
    assert sandbox.is_running
    sandbox.stop()
    sandbox.stop()
    assert not sandbox.is_running


def test_it_comes_back_on_the_same_port_with_the_same_market(exchange: Sandbox) -> None:
    url, made = exchange.url, exchange.exchange.trade("KRW-BTC")
    exchange.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/v1/market/all", timeout=1)
    meanwhile = exchange.exchange.trade("KRW-BTC")
    exchange.start()

    assert exchange.url == url
    rows = requests.get(f"{url}/v1/trades/ticks?market=KRW-BTC&count=2", timeout=5).json()
    assert {row["sequential_id"] for row in rows} == {made.sequential_id, meanwhile.sequential_id}


def test_stopping_takes_no_time_whatever_the_clients_do(make: Make) -> None:
    sandbox = make(rate=2_000.0, manual=False)
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(lazy_reader(sandbox.port, ticker("KRW-BTC"), orderbook("KRW-BTC")))
        half_a_request = stack.enter_context(socket.create_connection(("127.0.0.1", sandbox.port)))
        half_a_request.sendall(b"GET / HT")
        begun = time.monotonic()
        sandbox.stop()

        assert time.monotonic() - begun < 1.0


def test_a_port_that_is_taken_is_an_error_that_says_so(exchange: Sandbox) -> None:
    with pytest.raises(SandboxError, match=str(exchange.port)):
        Sandbox(SandboxConfig(port=exchange.port, markets=["KRW-BTC"])).start()


def test_its_threads_are_named_daemons(exchange: Sandbox) -> None:
    own = [thread for thread in threading.enumerate() if thread.name.startswith("upbit-sandbox-")]

    assert own
    assert all(thread.daemon for thread in own)


def test_a_program_that_forgets_to_stop_it_still_ends() -> None:
    code = "from upbit_ws.sandbox import *; Sandbox(SandboxConfig(markets=['KRW-BTC'])).start(); print('done')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)

    assert (result.stdout, result.stderr) == ("done\n", "")


def test_in_real_time_the_market_moves_by_itself(make: Make, dial: Dial) -> None:
    sandbox = make(manual=False, rate=500.0)
    client = dial(sandbox)
    client.subscribe(ticker("KRW-BTC"), trade("KRW-BTC"), orderbook("KRW-BTC"), candle("1s", "KRW-BTC"))

    seen: set[str] = set()
    while len(seen) < 8:
        message = client.next()
        seen.add(f"{message['type']} {message['stream_type']}")

    assert abs(sandbox.exchange.now - time.time()) < 1.0


def test_every_trade_that_was_made_was_told_once(make: Make, dial: Dial) -> None:
    sandbox = make(manual=False, rate=1_000.0)
    client = dial(sandbox)
    client.subscribe(trade("KRW-BTC"))
    told = [client.next() for _ in range(100)]
    sandbox.freeze()
    made = {trade.sequential_id: trade for trade in sandbox.exchange.trades("KRW-BTC")}

    ids = [message["sequential_id"] for message in told]
    assert len(set(ids)) == 100
    assert all(made[message["sequential_id"]].price == message["trade_price"] for message in told)
    between = [one for one in made.values() if told[0]["trade_timestamp"] < one.timestamp < told[-1]["trade_timestamp"]]
    assert {one.sequential_id for one in between} <= set(ids)


@pytest.mark.parametrize(("kind", "code"), [("fin", None), ("rst", None), ("close", 1012)])
def test_all_connections_can_be_ended_in_each_way(exchange: Sandbox, dial: Dial, kind: str, code: int | None) -> None:
    clients = [dial(exchange) for _ in range(3)]

    assert exchange.drop_all(kind, code=code or 1000) == 3
    assert [client.close_code() for client in clients] == [code] * 3
    with pytest.raises(ConnectionClosed) as caught:
        clients[0].raw()
    assert isinstance(caught.value.__cause__, ConnectionResetError) is (kind == "rst")


def test_nothing_is_dropped_while_nothing_runs() -> None:
    assert Sandbox(SandboxConfig(markets=["KRW-BTC"])).drop_all() == 0


def test_a_mute_exchange_answers_pings_and_sends_no_data(exchange: Sandbox, client: Client) -> None:
    client.subscribe(ticker("KRW-BTC"))
    client.next()
    exchange.mute()
    exchange.exchange.trade("KRW-BTC")
    client.subscribe(ticker("KRW-BTC"))

    assert client.connection.ping().wait(2.0)
    assert client.so_far() == []
    exchange.mute(False)
    exchange.exchange.trade("KRW-BTC")
    assert client.next()["stream_type"] == "REALTIME"


def test_a_frozen_exchange_does_nothing_until_it_thaws(exchange: Sandbox, client: Client) -> None:
    client.subscribe(ticker("KRW-BTC"))
    client.next()
    exchange.freeze()
    made = exchange.exchange.trade("KRW-BTC")
    pong = client.connection.ping()
    with pytest.raises(TimeoutError):
        client.raw(0.2)
    assert not pong.is_set()

    exchange.freeze(False)

    assert client.next()["trade_price"] == made.price
    assert pong.wait(2.0)


def test_a_frozen_exchange_costs_nothing_and_can_be_stopped(exchange: Sandbox, client: Client) -> None:
    exchange.freeze()
    client.connection.ping()
    before = time.thread_time(), time.process_time()
    with pytest.raises(TimeoutError):
        client.raw(0.3)
    assert time.process_time() - before[1] < 0.2
    begun = time.monotonic()
    exchange.stop()
    assert time.monotonic() - begun < 1.0


def test_a_wrong_disturbance_is_refused(exchange: Sandbox) -> None:
    with pytest.raises(InvalidArgumentError, match="kind"):
        exchange.drop_all("gently")
    with pytest.raises(InvalidArgumentError, match="until"):
        exchange.mute(until="tomorrow")


def test_what_clients_sent_and_got_is_remembered(exchange: Sandbox, client: Client) -> None:
    client.connection.send("PING")
    client.subscribe(ticker("KRW-BTC"))
    client.next()
    (log,) = exchange.connection_logs

    assert log.path == "/websocket/v1"
    assert exchange.requests[0] == "PING"
    assert '"ticker"' in exchange.requests[1]
    assert log.sent == {("ticker", "KRW-BTC"): 1}
    assert exchange.exchange.sent("ticker", "KRW-BTC") == 1
    assert log.is_open
    client.connection.close(4_000)
    exchange.stop()
    assert (log.is_open, log.close_code, exchange.connections) == (False, 4_000, 0)


def test_many_connections_are_served_at_once(make: Make, dial: Dial) -> None:
    sandbox = make()
    clients = [dial(sandbox) for _ in range(20)]
    for client in clients:
        client.subscribe(trade("KRW-BTC", is_only_realtime=True))
        client.so_far()
    made = sandbox.exchange.trade("KRW-BTC")

    assert {client.next()["sequential_id"] for client in clients} == {made.sequential_id}


def test_855_markets_fit_into_one_request(make: Make, dial: Dial) -> None:
    sandbox = make(markets=None, market_count=855, history_hours=0.2, snapshot_delays=(0.0, 0.01))
    client = dial(sandbox)
    codes = sandbox.exchange.markets
    client.subscribe(ticker(*codes), trade(*codes), orderbook(*codes))

    messages = client.take(3 * 855)

    assert {message["stream_type"] for message in messages} == {"SNAPSHOT"}
    assert {(message["type"], message["code"]) for message in messages} == {
        (kind, code) for kind in ("ticker", "trade", "orderbook") for code in codes
    }


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for the loopback, with its key, made now."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "sandbox.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_it_serves_tls(make: Make, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    sandbox = make(ssl_context=context, market_count=200, markets=None)
    trust = ssl.create_default_context(cafile=str(certificate))

    assert sandbox.url.startswith("https://")
    rows = requests.get(f"{sandbox.url}/v1/market/all", verify=str(certificate), timeout=5).json()
    codes = [row["market"] for row in rows]
    with connect(sandbox.websocket_url, ssl=trust, ping_interval=None, max_size=None) as connection:
        client = Client(connection)
        client.subscribe(orderbook(*codes))  # far more than one record, and than one buffer
        assert len(client.take(200)) == 200
        sandbox.exchange.trade("KRW-BTC")
        sandbox.exchange.advance(1.0)
        assert client.next()["code"] == "KRW-BTC"
        assert sandbox.drop_all() == 1
        assert client.close_code() is None


def test_who_does_not_speak_tls_is_dropped(make: Make, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    sandbox = make(ssl_context=context)
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with suppress(ConnectionResetError):
            while sock.recv(4_096):  # the alert that says so
                continue
