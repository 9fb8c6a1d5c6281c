"""Section E: TLS that is not what it should be."""

from __future__ import annotations

import itertools
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest

from tests.reliability.payloads import ticker
from tests.reliability.rig import DEFAULTS, Rig, wait_until
from tests.reliability.scripts import good
from upbit_ws import GlobalWebSocketManager, InvalidArgumentError, SimpleWebSocketClient, WebSocketConfig
from upbit_ws.config import ConnectionConfig
from upbit_ws.exceptions import ConnectTimeoutError, TlsError, TlsVerificationError
from upbit_ws.lifecycle import BackingOff, Connected, Connecting
from upbit_ws.protocol.handshake import accept_for
from upbit_ws.testing import CertificateAuthority, Conversation, server_frame
from upbit_ws.types import ConnectionState

Record = Callable[..., None]


def check_refusal(
    rig: Rig, row: str, record: Record, context: ssl.SSLContext, said: str, trust: ssl.SSLContext
) -> None:
    reached = threading.Event()
    server = rig.serve(lambda talk: reached.set(), tls=context)
    subject = rig.connect(server, connection={"ssl_context": trust})
    event, error = subject.refused()
    assert isinstance(error, TlsVerificationError)
    assert said in event.reason
    assert event.delay >= 30.0
    wait_until(lambda: subject.status.state is ConnectionState.ERROR, "the state ERROR")
    assert not reached.is_set(), "nothing was said to it"
    critical = [line for line in rig.invariants.log if line.startswith("CRITICAL")]
    assert len(critical) == 1
    assert said in critical[0]
    record(
        row, figure=f"refused ({said}), next attempt after {event.delay:.0f} s, 1 CRITICAL line", bound="30 s at least"
    )


def test_E1_an_expired_certificate(rig: Rig, record: Record, authority: CertificateAuthority) -> None:
    context = authority.server_context(is_expired=True)
    check_refusal(rig, "E1", record, context, "expired", authority.client_context())


def test_E2_a_certificate_for_another_host(rig: Rig, record: Record, authority: CertificateAuthority) -> None:
    context = authority.server_context("other.example")
    check_refusal(rig, "E2", record, context, "for another", authority.client_context())


@pytest.mark.parametrize("kind", ["self-signed", "unknown authority"])
def test_E3_an_issuer_that_nobody_knows(rig: Rig, record: Record, authority: CertificateAuthority, kind: str) -> None:
    issuer = authority if kind == "self-signed" else CertificateAuthority()
    context = issuer.server_context(is_self_signed=kind == "self-signed")
    check_refusal(rig, "E3", record, context, kind, authority.client_context())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_E4_a_server_of_yesterday(
    rig: Rig, record: Record, authority: CertificateAuthority, version: ssl.TLSVersion
) -> None:
    context = authority.server_context()
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.maximum_version = version
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    server = rig.serve(good(ticker(1)), tls=context)
    subject = rig.connect(server, connection={"ssl_context": authority.client_context()})
    _, error = subject.refused()
    assert isinstance(error, TlsError)
    assert subject.events(Connected) == []
    record("E4", figure="TLS 1.0 and 1.1 refused")


def test_E5_a_handshake_that_stalls(rig: Rig, record: Record, authority: CertificateAuthority) -> None:
    def stall(talk: Conversation) -> None:
        talk.read_some()  # the ClientHello
        talk.hold()

    server = rig.serve(stall)
    options = {"ssl_context": authority.client_context(), "connect_timeout": 0.5}
    subject = rig.connect(f"https://127.0.0.1:{server.port}", connection=options)
    event, error = subject.refused()
    took = event.at - subject.events(Connecting)[0].at
    assert isinstance(error, ConnectTimeoutError)
    assert 0.45 < took < 1.0
    record("E5", figure=f"given up after {took:.2f} s", bound="connect_timeout 0.5 s")


@contextmanager
def openssl_server(folder: Path, authority: CertificateAuthority) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`openssl s_server`, which changes its keys on a command; what it is told otherwise goes to the client."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from upbit_ws.testing import certificates

    key = certificates._new_key()
    names = ("localhost", "127.0.0.1")
    signed = certificates._certificate(
        key, authority._key, names[0], authority._certificate.subject, names=names, expired=False
    )
    pem = folder / "server.pem"
    pem.write_bytes(certificates._private_pem(key) + signed.public_bytes(Encoding.PEM))
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(pem), "-key", str(pem), "-tls1_3", "-num_tickets", "8"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = b""
        while not (found := re.search(rb"ACCEPT [\d.]+:(\d+)\n", said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


@pytest.mark.linux
@pytest.mark.skipif(which("openssl") is None, reason="needs the command openssl: Python cannot ask for new keys")
def test_E6_new_keys_and_tickets_in_mid_traffic(
    rig: Rig, record: Record, authority: CertificateAuthority, tmp_path: Path
) -> None:
    with openssl_server(tmp_path, authority) as (process, port):
        assert process.stdin is not None
        assert process.stdout is not None

        def tell(data: bytes) -> None:
            assert process.stdin is not None
            process.stdin.write(data)
            process.stdin.flush()

        options = {"ssl_context": authority.client_context(), "ping_interval": 30.0}
        subject = rig.connect(f"https://127.0.0.1:{port}", connection=options)
        said = b""
        while not (found := re.search(rb"Sec-WebSocket-Key: (\S+)", said)):
            said += process.stdout.readline()
        head = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")
        tell("\r\n".join((*head, f"Sec-WebSocket-Accept: {accept_for(found[1].decode())}", "", "")).encode())
        subject.await_event(Connected)
        for number in range(1, 11):
            tell(server_frame(ticker(number)))
            subject.await_price(float(number))
            tell(b"K\n" if number % 2 else b"k\n")  # new keys, with and without asking for the client's
            time.sleep(0.02)  # commands are told from data by the read that brings them
        # The client's own keys are new as well: what it sends is still understood.
        before = subject.manager.get_connection_metrics()[0].requests_sent
        subject.client.register_interest(["ticker"], ["KRW-ETH"])
        wait_until(lambda: subject.manager.get_connection_metrics()[0].requests_sent > before, "a request")
        tell(server_frame(ticker(11)))
        subject.await_price(11.0)
        assert subject.status.epoch == 1
        subject.manager.close()
    record("E6", figure="8 tickets and 10 changes of keys between 11 messages, no reconnect")


def churn(rig: Rig, authority: CertificateAuthority, seconds: float) -> tuple[int, int]:
    """Sixteen threads that change what is wanted while a busy feed is read over TLS; messages and requests."""
    sandbox = rig.sandbox(rate=2000.0, market_count=80, ssl_context=authority.server_context(), history_hours=0.1)
    codes = list(sandbox.exchange.market.listings)[:60]
    subject = rig.connect(
        sandbox, ["ticker", "trade", "orderbook"], codes[:1],
        connection={**DEFAULTS["connection"], "ssl_context": authority.client_context()},
    )  # fmt: skip
    subject.client.wait_ready(timeout=5.0)
    stop = threading.Event()
    errors: list[BaseException] = []

    def change(number: int) -> None:
        try:
            with SimpleWebSocketClient(f"changer-{number}", manager=subject.manager) as client:
                for turn in itertools.count():
                    if stop.is_set():
                        return
                    code = codes[(number + turn) % len(codes)]
                    client.register_interest(["ticker", "trade"], [code])
                    stop.wait(0.02)
                    client.unregister_interest(["ticker", "trade"], [code])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=change, args=(number,), name=f"changer-{number}") for number in range(16)]
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    stop.set()
    for thread in threads:
        thread.join(10.0)
    assert errors == []
    assert subject.status.epoch == 1, "not a single reconnect"
    assert subject.events(BackingOff) == []
    metrics = subject.manager.get_connection_metrics()[0]
    return metrics.messages, metrics.requests_sent


def test_E7_sixteen_threads_change_what_is_wanted_on_a_busy_line(
    rig: Rig, record: Record, authority: CertificateAuthority
) -> None:
    messages, requests = churn(rig, authority, 2.0)
    assert messages > 300
    assert requests >= 5


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_E7_a_minute_of_it(rig: Rig, record: Record, authority: CertificateAuthority) -> None:
    messages, requests = churn(rig, authority, 60.0)
    record(
        "E7", figure=f"{messages:,} messages and {requests:,} requests in 60 s, 0 disconnects", bound="0 disconnects"
    )


def test_E8_a_bundle_of_authorities_that_is_not_there(record: Record, tmp_path: Path) -> None:
    missing = tmp_path / "authorities.pem"
    with pytest.raises(FileNotFoundError):
        ssl.create_default_context(cafile=missing)
    for instead in (missing, str(missing), object()):
        with pytest.raises(InvalidArgumentError, match="ssl_context"):
            ConnectionConfig(ssl_context=instead)  # type: ignore[arg-type]
    record("E8", figure="refused where the configuration is written, in the caller's thread")


def test_E9_a_context_that_believes_anybody(record: Record) -> None:
    blind = ssl.create_default_context()
    blind.check_hostname = False
    half_blind = ssl.create_default_context()
    half_blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    for context in (blind, half_blind):
        config = WebSocketConfig(connection=ConnectionConfig(base_url="https://api.example.test", ssl_context=context))
        with GlobalWebSocketManager(config) as manager:
            client = SimpleWebSocketClient("subject", manager=manager)
            with pytest.raises(InvalidArgumentError, match="must verify"):
                client.register_interest(["ticker"], ["KRW-BTC"])
            assert not any(name.startswith("upbit-ws-io") for name in manager.background_tasks)
    record("E9", figure="refused in the caller's thread, no connection is made")
