"""One attempt to open a WebSocket connection: name, TCP, proxy, TLS, upgrade, all within one deadline.

The deadline is for the whole attempt, not for each read: a server that answers a byte at a time does not outlive it.
Every wait is on the socket and the wake-up at once, so closing a client interrupts a dial within milliseconds. Whatever
goes wrong, no descriptor is left behind, and what is raised is of the SDK's own tree.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable

from upbit_ws.exceptions import (
    ConnectionFailedError,
    ConnectionLostError,
    HandshakeError,
    TlsError,
    TlsVerificationError,
)
from upbit_ws.protocol.deflate import offer_header
from upbit_ws.protocol.handshake import build_connect_request, build_upgrade_request, check_upgrade, make_key, refusal
from upbit_ws.protocol.http import HttpResponse, ResponseParser
from upbit_ws.secret import Secret
from upbit_ws.wire.connect import (
    AddressBook,
    DialAborted,
    Patience,
    Resolver,
    connect,
    literal_addresses,
    resolve_blocking,
)
from upbit_ws.wire.errors import lost_by
from upbit_ws.wire.poller import make_poller
from upbit_ws.wire.proxy import Proxy
from upbit_ws.wire.target import DialTarget
from upbit_ws.wire.tls import TlsStream, default_context, tls_error
from upbit_ws.wire.transport import Transport, Upgraded
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["AddressBook", "DialAborted", "DialTarget", "dial"]

_READ = 65536
#: Part of the time that a name may take: what is left must suffice for a connection to an address known from before.
_DNS_SHARE = 0.5
#: Seconds for the body of a refusal. Its status is known by then; the body only explains it.
_BODY_PATIENCE = 1.0


def dial(
    target: DialTarget,
    *,
    deadline: float,
    clock: Callable[[], float],
    wakeup: Wakeup,
    should_stop: Callable[[], bool],
    resolve: Resolver | None = None,
    book: AddressBook | None = None,
) -> Transport:
    """Open a connection.

    Args:
        deadline: On `clock`, for everything together.
        wakeup: Set by whoever wants to be heard; then `should_stop` is asked. The dial clears it, so whatever else it
            may have meant is for the caller to look up afterwards.
        resolve: Finds addresses and keeps the deadline it is given; the default blocks.
        book: Remembers addresses between dials; give the same one each time.

    Raises:
        DialAborted: `should_stop` said yes.
        ConnectionFailedError: one of its children says where it failed.
        InvalidArgumentError: a header cannot be sent.
    """
    book = book or AddressBook()
    patience = Patience(clock=clock, deadline=deadline, wakeup=wakeup, should_stop=should_stop, host=target.host)
    near = target.proxy or target
    dns_deadline = clock() + _DNS_SHARE * patience.remaining("name resolution")
    addresses = literal_addresses(near.host, near.port) or book.lookup(
        near.host, near.port, resolve or resolve_blocking, dns_deadline
    )
    sock, address = connect(addresses, patience, book, near.host)
    try:
        transport = _Opening(sock, target, patience).run()
    except BaseException as error:
        sock.close()
        # An answer in HTTP, a certificate or our own stop says nothing about the address.
        if isinstance(error, ConnectionFailedError) and not isinstance(error, (HandshakeError, TlsVerificationError)):
            book.report(address, is_good=False)
        raise
    book.report(address, is_good=True)
    return transport


class _Opening:
    """The steps between a TCP connection and a transport, on one socket."""

    def __init__(self, sock: socket.socket, target: DialTarget, patience: Patience) -> None:
        self._sock = sock
        self._target = target
        self._patience = patience
        self._poller = make_poller(sock, patience.wakeup)
        self._tls: TlsStream | None = None

    def run(self) -> Transport:
        target = self._target
        if target.proxy is not None:
            self._open_tunnel(target.proxy)
        if target.is_secure:
            self._start_tls()
        upgraded = self._upgrade()
        return Transport(
            self._sock,
            wakeup=self._patience.wakeup,
            clock=self._patience.clock,
            upgraded=upgraded,
            settings=target.settings,
            tls=self._tls,
            host=target.host,
        )

    def _open_tunnel(self, proxy: Proxy) -> None:
        target = self._target
        request = build_connect_request(host=target.host, port=target.port, authorization=proxy.authorization)
        self._send(request, "proxy")
        response = self._read_response(ResponseParser(without_body=range(200, 300)), "proxy")
        if not 200 <= response.status < 300:
            raise ConnectionFailedError(f"the proxy {proxy.host} answered HTTP {response.status}", host=target.host)
        if response.leftover:
            raise ConnectionFailedError(f"the proxy {proxy.host} spoke before the tunnel was used", host=target.host)

    def _start_tls(self) -> None:
        target = self._target
        try:
            tls = TlsStream(target.ssl_context or default_context(), target.host, target.settings.object_size)
        except ValueError as error:
            raise TlsError("not a name that a certificate can have", host=target.host) from error
        try:
            while not tls.handshake():
                self._send_raw(tls.take_outgoing(), "TLS")
                data = self._receive_raw("TLS", None)
                if not data:
                    raise ConnectionLostError("the connection ended inside the TLS handshake", host=target.host)
                tls.receive(data)
        except ssl.SSLError as error:
            with contextlib.suppress(OSError):
                # Tell the peer why, if it listens.
                self._sock.send(tls.take_outgoing())
            raise tls_error(error, target.host) from error
        self._send_raw(tls.take_outgoing(), "TLS")
        self._tls = tls

    def _upgrade(self) -> Upgraded:
        target = self._target
        key = make_key(os.urandom(16))
        token = None if target.authorization is None else Secret(target.authorization())
        self._send(self._upgrade_request(key, token), "upgrade")
        response = self._read_response(ResponseParser(), "upgrade")
        if response.status != 101:
            refused = self._refusal(response, token)
            del response  # a server that repeats the token does not get it into a traceback with locals
            raise refused
        deflate = check_upgrade(response, key=key, has_offered_deflate=target.offers_deflate)
        kept = {name: value for name, value in response.headers.items() if name != "set-cookie"}
        return Upgraded(kept, deflate, response.leftover)

    def _upgrade_request(self, key: str, token: Secret | None) -> memoryview:
        """The request. A view does not show what it holds: an error on the way carries the frames that sent it."""
        target = self._target
        request = build_upgrade_request(
            host=target.host,
            port=target.port,
            is_secure=target.is_secure,
            path=target.path,
            key=key,
            extensions=offer_header() if target.offers_deflate else None,
            user_agent=target.user_agent,
            headers=(*(() if token is None else (("Authorization", token.reveal()),)), *target.headers),
        )
        return memoryview(request)

    def _refusal(self, response: HttpResponse, token: Secret | None) -> HandshakeError:
        values = [value for _, value in self._target.headers] + ([token.reveal()] if token is not None else [])
        secrets = [part for value in values for part in (value, value.rpartition(" ")[2])]
        return refusal(response, now=time.time(), host=self._target.host, secrets=secrets)

    def _read_response(self, parser: ResponseParser, phase: str) -> HttpResponse:
        response: HttpResponse | None = None
        body_deadline: float | None = None
        while response is None:
            if parser.head is not None and body_deadline is None:
                body_deadline = self._patience.clock() + _BODY_PATIENCE
            try:
                data = self._receive(phase, body_deadline)
            except ConnectionFailedError:
                if parser.head is None:
                    raise
                data = b""
            response = parser.feed(data) if data else parser.end()
        return response

    def _send(self, data: bytes | memoryview, phase: str) -> None:
        tls = self._tls
        if tls is None:
            self._send_raw(data, phase)
            return
        try:
            tls.write(data)
            self._send_raw(tls.take_outgoing(), phase)
        except ssl.SSLError as error:
            raise tls_error(error, self._target.host) from error

    def _send_raw(self, data: bytes | memoryview, phase: str) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[self._sock.send(left) :]
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                raise lost_by(error, self._target.host) from error
            if left:
                self._patience.wait(self._poller, phase, for_write=True)

    def _receive(self, phase: str, deadline: float | None) -> bytes:
        """The next bytes of the response, empty at its end."""
        tls = self._tls
        if tls is None:
            return self._receive_raw(phase, deadline)
        try:
            while not (plain := tls.read()) and not tls.is_finished:
                self._send_raw(tls.take_outgoing(), phase)
                tls.receive(self._receive_raw(phase, deadline))
        except ssl.SSLError as error:
            raise tls_error(error, self._target.host) from error
        return plain

    def _receive_raw(self, phase: str, deadline: float | None) -> bytes:
        while True:
            self._patience.wait(self._poller, phase, for_write=False, deadline=deadline)
            try:
                return self._sock.recv(_READ)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError as error:
                raise lost_by(error, self._target.host) from error
