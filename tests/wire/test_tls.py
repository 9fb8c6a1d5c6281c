"""Only a verified TLS of today is a connection, and each refusal says which part was wrong."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from upbit_ws.exceptions import (
    ConnectionLostError,
    ConnectTimeoutError,
    InvalidArgumentError,
    TlsError,
    TlsVerificationError,
)
from upbit_ws.testing import CertificateAuthority, Conversation, ScriptedServer, server_frame
from upbit_ws.wire.connect import literal_addresses
from upbit_ws.wire.dial import DialTarget
from upbit_ws.wire.tls import TlsStream, check_context, default_context, is_loopback
from upbit_ws.wire.transport import Transport, TransportSettings, Upgraded
from upbit_ws.wire.wakeup import Wakeup

Opener = Callable[..., Transport]


def legacy_server(version: ssl.TLSVersion, context: ssl.SSLContext) -> ssl.SSLContext:
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.maximum_version = version
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_of_today_works(
    open_transport: Opener,
    authority: CertificateAuthority,
    collect: Callable[[Transport, int], list[bytes]],
    version: ssl.TLSVersion,
) -> None:
    context = authority.server_context()
    context.maximum_version = version
    with ScriptedServer(
        lambda talk: (talk.upgrade(followed_by=server_frame(b"hello")), talk.hold()), tls=context
    ) as server:
        transport = open_transport(server.url, ssl_context=authority.client_context())
        assert collect(transport, 1) == [b"hello"]
    assert server.errors == []


@pytest.mark.parametrize(
    ("names", "flaw", "said"),
    [
        ((), {"is_expired": True}, "expired"),
        (("other.example",), {}, "for another"),
        ((), {"is_self_signed": True}, "self-signed"),
    ],
)
def test_a_certificate_that_does_not_verify_is_refused(
    open_transport: Opener, authority: CertificateAuthority, names: tuple[str, ...], flaw: dict[str, bool], said: str
) -> None:
    reached = threading.Event()
    with ScriptedServer(lambda talk: reached.set(), tls=authority.server_context(*names, **flaw)) as server:
        with pytest.raises(TlsVerificationError, match=said) as caught:
            open_transport(server.url, ssl_context=authority.client_context(), authorization=lambda: "Bearer x")
        assert not caught.value.retryable
    assert not reached.is_set()


def test_an_authority_that_nobody_knows_is_refused(open_transport: Opener, authority: CertificateAuthority) -> None:
    with (
        ScriptedServer(Conversation.upgrade, tls=authority.server_context()) as server,
        pytest.raises(TlsVerificationError, match="unknown authority"),
    ):
        open_transport(server.url)


def test_a_name_is_verified_as_the_name_that_was_asked_for(
    open_transport: Opener, authority: CertificateAuthority
) -> None:
    with ScriptedServer(Conversation.upgrade, tls=authority.server_context("api.upbit.com")) as server:
        with pytest.raises(TlsVerificationError, match="another host"):
            open_transport(f"wss://localhost:{server.port}", ssl_context=authority.client_context())
        assert server.tls_errors != [] or server.connections == 1


def test_a_name_that_no_certificate_can_have_is_an_error(
    open_transport: Opener, authority: CertificateAuthority
) -> None:
    with ScriptedServer(Conversation.hold) as server, pytest.raises(TlsError, match="not a name"):
        open_transport(
            f"wss://.example:{server.port}",
            ssl_context=authority.client_context(),
            resolve=lambda *_: literal_addresses("127.0.0.1", server.port),
        )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_tls_of_yesterday_is_refused(
    open_transport: Opener, authority: CertificateAuthority, version: ssl.TLSVersion
) -> None:
    context = legacy_server(version, authority.server_context())
    with ScriptedServer(Conversation.upgrade, tls=context) as server, pytest.raises(TlsError) as caught:
        open_transport(server.url, ssl_context=authority.client_context())
    assert not isinstance(caught.value, TlsVerificationError)


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 100, b"\x16\x03\x03\x00\x05hello"])
def test_garbage_instead_of_tls_is_an_error(
    open_transport: Opener, authority: CertificateAuthority, garbage: bytes
) -> None:
    def script(talk: Conversation) -> None:
        talk.send(garbage)
        talk.hold()

    with ScriptedServer(script) as server, pytest.raises(TlsError):
        open_transport(f"wss://127.0.0.1:{server.port}", ssl_context=authority.client_context())


def test_garbage_in_the_middle_ends_the_connection_after_what_came_before(
    open_transport: Opener, authority: CertificateAuthority
) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.send(server_frame(b"good"))
        talk.send_under_tls(b"\x17\x03\x03\x00\x10" + b"garbage" * 10)
        talk.hold()

    with ScriptedServer(script, tls=authority.server_context()) as server:
        transport = open_transport(server.url, ssl_context=authority.client_context())
        messages: list[bytes] = []
        while not messages:
            assert transport.wait(5.0)[0]
            messages += transport.receive()
        assert transport.wait(5.0)[0]
        for _ in range(2):
            transport.send_text(b"into the void")
            with pytest.raises(TlsError):
                transport.receive()
    assert messages == [b"good"]


def test_an_end_inside_the_tls_handshake_is_an_error(open_transport: Opener, authority: CertificateAuthority) -> None:
    def leave(talk: Conversation) -> None:
        talk.pause(0.05)
        talk.half_close()
        talk.hold()

    def slam(talk: Conversation) -> None:
        talk.read_some()
        talk.reset()

    with ScriptedServer(leave, slam) as server:
        for said in ("inside the TLS handshake", "reset"):
            with pytest.raises(ConnectionLostError, match=said):
                open_transport(f"wss://127.0.0.1:{server.port}", ssl_context=authority.client_context())


def test_a_tls_handshake_that_stalls_costs_the_deadline_and_no_more(
    open_transport: Opener, authority: CertificateAuthority
) -> None:
    with ScriptedServer(Conversation.hold) as server:
        started = time.monotonic()
        with pytest.raises(ConnectTimeoutError, match="TLS"):
            open_transport(f"wss://127.0.0.1:{server.port}", timeout=0.3, ssl_context=authority.client_context())
        assert 0.25 < time.monotonic() - started < 0.8


@pytest.mark.parametrize("host", ["localhost", "api.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_machine_has_several_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["api.upbit.com", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "1270.0.0.1", ""])
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_loopback(host)


def unverifying(**settings: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    for name, value in settings.items():
        setattr(context, name, value)
    return context


@pytest.mark.parametrize(
    "context", [unverifying(verify_mode=ssl.CERT_NONE), unverifying(verify_mode=ssl.CERT_OPTIONAL), unverifying()]
)
def test_a_context_that_believes_anybody_is_good_for_this_machine_only(context: ssl.SSLContext) -> None:
    with pytest.raises(InvalidArgumentError, match="ssl_context"):
        DialTarget.from_url("wss://api.upbit.com/", ssl_context=context)
    DialTarget.from_url("wss://127.0.0.1:1/", ssl_context=context)
    check_context(ssl.create_default_context(), "api.upbit.com")


def test_the_default_context_is_made_once_and_verifies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    default_context.cache_clear()
    context = default_context()

    assert context is default_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.keylog_filename is None
    default_context.cache_clear()


def test_a_system_without_authorities_gets_those_of_certifi(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nowhere = ssl.DefaultVerifyPaths("", "", "", "", "", "")
    monkeypatch.setattr(ssl, "create_default_context", lambda: empty)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    default_context.cache_clear()
    assert default_context().cert_store_stats()["x509_ca"] > 50
    default_context.cache_clear()


def connected_pair(authority: CertificateAuthority, read_size: int) -> tuple[TlsStream, ssl.SSLObject, ssl.MemoryBIO]:
    """A client's stream and a server over memory, past the handshake."""
    client = TlsStream(authority.client_context(), "localhost", read_size)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = authority.server_context().wrap_bio(incoming, outgoing, server_side=True)
    is_done = False
    while not is_done:
        is_done = client.handshake()
        incoming.write(client.take_outgoing())
        with contextlib.suppress(ssl.SSLWantReadError):
            server.do_handshake()
        client.receive(outgoing.read())
    return client, server, outgoing


def test_one_read_of_the_wire_gives_all_its_records(authority: CertificateAuthority) -> None:
    client, server, outgoing = connected_pair(authority, 262144)
    data = bytes(range(256)) * 900
    server.write(data)
    client.receive(outgoing.read())

    assert client.read() == data
    assert not client.has_more
    assert client.read() == b""


def test_more_than_one_buffer_is_announced(authority: CertificateAuthority) -> None:
    client, server, outgoing = connected_pair(authority, 1024)
    data = bytes(range(256)) * 900
    server.write(data)
    client.receive(outgoing.read())
    pieces = [client.read()]
    while client.has_more:
        pieces.append(client.read())

    assert len(pieces) > 1
    assert b"".join(pieces) == data


def test_a_broken_record_is_reported_behind_the_good_ones_and_again(authority: CertificateAuthority) -> None:
    client, server, outgoing = connected_pair(authority, 262144)
    server.write(b"good")
    good = outgoing.read()
    server.write(b"bad")
    bad = bytearray(outgoing.read())
    bad[-1] ^= 1
    client.receive(good + bytes(bad))

    assert client.read() == b"good"
    assert client.has_more
    for _ in range(2):
        with pytest.raises(ssl.SSLError, match=r"(?i)mac|decrypt"):
            client.read()


def test_records_that_came_with_the_handshake_are_read_without_waiting(
    authority: CertificateAuthority, wakeup: Wakeup
) -> None:
    client, server, outgoing = connected_pair(authority, 1024)
    messages = [b"%05d" % number * 25 for number in range(800)]
    server.write(b"".join(map(server_frame, messages)))
    client.receive(outgoing.read())
    here, there = socket.socketpair()
    with there:
        here.setblocking(False)
        transport = Transport(
            here,
            wakeup=wakeup,
            clock=time.monotonic,
            upgraded=Upgraded(),
            settings=TransportSettings(read_size=1024),
            tls=client,
        )
        got: list[bytes] = []
        rounds = 0
        while len(got) < len(messages):
            assert transport.wait(0.0)[0]
            got += transport.receive()
            rounds += 1
        assert got == messages
        assert rounds > 1, "all of it fitted one buffer"
        assert not transport.wait(0.0)[0]
        transport.abort()
