"""What an error means for the next attempt to connect."""

from __future__ import annotations

from upbit_ws.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    ConnectionLostError,
    HandshakeError,
    TlsVerificationError,
    UpbitWebSocketError,
    WebSocketProtocolError,
)
from upbit_ws.protocol.backoff import Failure, FailureKind, failure_of_error_frame
from upbit_ws.protocol.liveness import ReconnectReason
from upbit_ws.runtime.endings import GivenUp

__all__ = ["failure_of_dial", "failure_of_session"]


def failure_of_dial(error: ConnectionFailedError | AuthenticationError) -> Failure:
    """What it means that a connection did not come about."""
    if isinstance(error, AuthenticationError):
        return Failure(FailureKind.CREDENTIALS)
    if isinstance(error, TlsVerificationError):
        return Failure(FailureKind.TLS_VERIFICATION)
    if isinstance(error, HandshakeError) and error.status:
        return Failure(FailureKind.HTTP, error.status, error.retry_after)
    return Failure(FailureKind.NETWORK)


def failure_of_session(error: UpbitWebSocketError, rejection: tuple[str, str] | None) -> Failure:
    """What it means that a connection ended.

    Args:
        rejection: Name and message of the error frame that came before, if one did.
    """
    if rejection is not None:
        return failure_of_error_frame(rejection[0])
    if isinstance(error, WebSocketProtocolError):
        return Failure(FailureKind.PROTOCOL, error.close_code)
    if isinstance(error, ConnectionLostError):
        if isinstance(error, GivenUp) and error.why is ReconnectReason.MUTE:
            return Failure(FailureKind.MUTE)
        if error.code != 1006:
            return Failure(FailureKind.CLOSE, error.code)
    return Failure(FailureKind.NETWORK)
