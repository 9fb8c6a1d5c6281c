"""TLS over memory buffers, and the one context that all connections share.

A `ssl.SSLSocket` reads at most one record (16 KiB) a call and hides from `poll` what it has decrypted already; two
threads on one break it. Here the owner reads the raw socket once, up to 256 KiB, and takes the records apart in
memory: few system calls, nothing hidden, one owner.
"""

from __future__ import annotations

import functools
import ipaddress
import ssl
from collections import deque

from upbit_ws.exceptions import InvalidArgumentError, TlsError, TlsVerificationError
from upbit_ws.protocol.redaction import escape_text

__all__ = ["TlsStream", "check_context", "default_context", "is_loopback", "tls_error"]

#: What `verify_code` of OpenSSL means, and what to do about it.
_VERIFY_ADVICE = {
    9: "the certificate is not valid yet; is this machine's clock right?",
    10: "the certificate has expired; is this machine's clock right?",
    18: "the certificate is self-signed",
    19: "the certificate chain ends in an unknown authority",
    20: "the certificate was issued by an unknown authority; is a proxy opening TLS on the way?",
    62: "the certificate is for another host",
    64: "the certificate is for another address",
}
_RECORD = 16384


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine: `localhost`, 127.0.0.0/8, ::1."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@functools.cache
def default_context() -> ssl.SSLContext:
    """The context used where the user gives none: system trust, TLS 1.2 or newer (Upbit: websocket-guide page).

    Loading the trusted certificates costs tens of milliseconds, so it happens once. `SSLKEYLOGFILE` is not followed:
    no variable of the environment makes a trading connection readable.
    """
    context = ssl.create_default_context()
    context.keylog_filename = None  # type: ignore[assignment]
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    paths = ssl.get_default_verify_paths()
    if not context.cert_store_stats()["x509_ca"] and not any((paths.cafile, paths.capath)):
        # A Python from python.org on macOS has no store of its own until its user runs a script.
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def check_context(context: ssl.SSLContext, host: str) -> None:
    """Refuse a context that would accept anybody's certificate, except for this machine itself.

    Raises:
        InvalidArgumentError: certificates or host names are not verified.
    """
    if is_loopback(host) or (context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname):
        return
    raise InvalidArgumentError(
        "ssl_context",
        f"must verify certificates and host names for {host}",
        "ssl.create_default_context(), and its load_verify_locations() for an authority of your own",
    )


def tls_error(error: ssl.SSLError, host: str) -> TlsError:
    """The SDK's error for one of OpenSSL's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = _VERIFY_ADVICE.get(error.verify_code) or escape_text(error.verify_message, 120)
        return TlsVerificationError(f"{advice} (OpenSSL verify code {error.verify_code})", host=host)
    return TlsError(error.reason or escape_text(str(error), 120), host=host)


class TlsStream:
    """The encryption of one connection, without its socket: bytes of the wire in and out, plain bytes in and out."""

    __slots__ = ("_backlog", "_error", "_incoming", "_outgoing", "_tls", "_view", "has_more", "is_finished")

    def __init__(self, context: ssl.SSLContext, host: str, read_size: int = 126_976) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        #: Plain bytes that OpenSSL would not take yet (a renegotiation of TLS 1.2 is under way).
        self._backlog: deque[bytes | memoryview] = deque()
        # Decryption makes bytes fewer, never more: what one read brings always fits, with one record from before.
        self._view = memoryview(bytearray(read_size + 2 * _RECORD))
        #: A break that was found behind bytes that had to be delivered first.
        self._error: ssl.SSLError | None = None
        #: The last `read` filled its buffer, so the next may find something without new bytes from the wire.
        self.has_more = False
        #: The peer has said close_notify: no more will come.
        self.is_finished = False

    @property
    def has_unread(self) -> bool:
        """Whether `read` may have something without a new `receive`."""
        return self._incoming.pending > 0 or self._tls.pending() > 0

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is done. Send `take_outgoing` after each call, also after an error.

        Raises:
            ssl.SSLError: it failed.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def receive(self, data: bytes) -> None:
        """Take bytes from the wire; empty ones mean that it ended."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def read(self) -> bytes:
        """All plain bytes that can be had now, at most one buffer of them.

        Raises:
            ssl.SSLError: the stream is broken, and nothing came before the break.
        """
        if self._error is not None:
            raise self._error
        read, view = self._tls.read, self._view
        got, size = 0, len(view)
        try:
            while got < size:
                count = int(read(size - got, view[got:]))
                if not count:
                    self.is_finished = True
                    break
                got += count
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.is_finished = True
        except ssl.SSLError as error:
            self._error = error
            if not got:
                raise
        self.has_more = got == size or self._error is not None
        return bytes(view[:got])

    def write(self, data: bytes | memoryview) -> None:
        """Encrypt `data`, all of it, now or with the next `take_outgoing`."""
        if data:
            self._backlog.append(data)

    def take_outgoing(self) -> bytes:
        """The bytes to send next; also what the protocol itself wants to say (tickets, key updates, alerts)."""
        backlog = self._backlog
        while backlog:
            try:
                count = self._tls.write(backlog[0])
            except ssl.SSLWantReadError:
                break
            rest = backlog.popleft()[count:]
            if rest:
                backlog.appendleft(rest)
        return self._outgoing.read() if self._outgoing.pending else b""

    def say_goodbye(self) -> None:
        """Put a close_notify into the outgoing bytes, so that the peer can tell an end from a cut."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            # The usual answer: the peer's own close_notify is not here yet, and nobody waits for it.
            return
