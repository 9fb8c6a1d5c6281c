"""Errors of connections: none came about, one ended, or the peer broke the rules of WebSocket.

To be imported from `upbit_ws.exceptions`, where the whole tree is drawn.
"""

from __future__ import annotations

from upbit_ws.base_error import UpbitWebSocketError

__all__ = [
    "ConnectTimeoutError",
    "ConnectionFailedError",
    "ConnectionLostError",
    "DnsError",
    "HandshakeError",
    "MessageTooBigError",
    "TlsError",
    "TlsVerificationError",
    "WebSocketProtocolError",
]


class ConnectionFailedError(UpbitWebSocketError):
    """The network, or the server, did not let a connection come about or go on."""

    def __init__(self, reason: str = "", *, host: str = "") -> None:
        super().__init__()
        self.reason = reason
        self.host = host

    @property
    def retryable(self) -> bool:
        return True

    def __str__(self) -> str:
        return f"{self._what()}{f' to {self.host}' if self.host else ''}{f': {self.reason}' if self.reason else ''}"

    def _what(self) -> str:
        return "connection failed"


class DnsError(ConnectionFailedError):
    """The host name did not resolve."""

    def _what(self) -> str:
        return "name resolution failed"


class ConnectTimeoutError(ConnectionFailedError, TimeoutError):
    """TCP, TLS and upgrade together took longer than `connect_timeout`."""

    def _what(self) -> str:
        return "connecting timed out"


class TlsError(ConnectionFailedError):
    """The TLS handshake failed."""

    def _what(self) -> str:
        return "TLS failed"


class TlsVerificationError(TlsError):
    """The certificate does not verify: a proxy that inspects TLS, a wrong clock or host, missing root certificates."""

    @property
    def retryable(self) -> bool:
        return False

    def _what(self) -> str:
        return "certificate verification failed"


class HandshakeError(ConnectionFailedError):
    """The server answered the upgrade request with something else than 101.

    Attributes:
        status: HTTP status, 0 when the answer was not HTTP.
        retry_after: Seconds that the server asked to wait, if it did.
        name: Upbit's name of the error, where its body had one; `reason` then ends with Upbit's text.
    """

    def __init__(
        self,
        reason: str = "",
        *,
        status: int = 0,
        retry_after: float | None = None,
        host: str = "",
        name: str = "",
    ) -> None:
        super().__init__(reason, host=host)
        self.status = status
        self.retry_after = retry_after
        self.name = name

    @property
    def retryable(self) -> bool:
        return self.status in (0, 408, 418, 425, 429) or self.status >= 500

    def _what(self) -> str:
        return f"upgrade refused with HTTP {self.status}" if self.status else "upgrade failed"


class ConnectionLostError(ConnectionFailedError):
    """An open connection ended; `code` is the WebSocket close code, 1006 when there was no close frame."""

    def __init__(self, reason: str = "", code: int = 1006, *, host: str = "") -> None:
        super().__init__(reason, host=host)
        self.code = code

    def _what(self) -> str:
        return f"connection lost (code {self.code})"


class WebSocketProtocolError(UpbitWebSocketError):
    """The peer sent something that RFC 6455 or RFC 7692 forbids; `close_code` is what to close with."""

    def __init__(self, reason: str, close_code: int = 1002) -> None:
        super().__init__()
        self.reason = reason
        self.close_code = close_code

    @property
    def retryable(self) -> bool:
        return True

    def __str__(self) -> str:
        return f"WebSocket protocol violation (close code {self.close_code}): {self.reason}"


class MessageTooBigError(WebSocketProtocolError):
    """A frame or message is larger than the configured limit."""

    def __init__(self, size: int, limit: int, *, what: str = "message") -> None:
        super().__init__(f"a {what} of {size} bytes is over the limit of {limit}", 1009)
        self.size = size
        self.limit = limit
        self.what = what
