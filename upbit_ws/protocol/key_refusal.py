"""Is this failure about the user's keys? The three ways in which the exchange may say so.

Documented is an error frame `INVALID_AUTH`; whether it may come before any request, or whether the upgrade is refused
with HTTP 401 and the error body of REST, is not (Upbit: auth and websocket-guide pages). All three mean the same.
"""

from __future__ import annotations

from upbit_ws.exceptions import (
    AuthenticationError,
    ConnectionLostError,
    HandshakeError,
    RequestRejectedError,
    UpbitWebSocketError,
)
from upbit_ws.exchange_errors import KEY_ERRORS
from upbit_ws.types import Endpoint

__all__ = ["key_refusal", "rejection_as_told"]

_POLICY_VIOLATION = 1008


def key_refusal(
    endpoint: Endpoint, error: UpbitWebSocketError, rejection: tuple[str, str] | None = None
) -> AuthenticationError | None:
    """The refusal of the keys that a failure is, None where it is something else.

    Args:
        endpoint: Public streams need no keys.
        error: What ended the connection or the attempt.
        rejection: Name and message of the error frame that came before.
    """
    if isinstance(error, AuthenticationError):
        return error
    if rejection is not None and rejection[0] == "INVALID_AUTH":
        return AuthenticationError(*rejection)
    if not endpoint.needs_auth:
        return None
    if isinstance(error, HandshakeError) and error.status in (401, 403):
        name = error.name or f"HTTP {error.status}"
        return AuthenticationError(name, error.reason.removeprefix(f"{error.name}: "), status=error.status)
    if isinstance(error, ConnectionLostError) and error.code == _POLICY_VIOLATION:
        return AuthenticationError("policy_violation", error.reason)
    return None


def rejection_as_told(error: RequestRejectedError) -> UpbitWebSocketError:
    """The refusal of one stream as its owner is told: a key may be good for one stream and not for another."""
    return AuthenticationError(error.name, error.message) if error.name in KEY_ERRORS else error
