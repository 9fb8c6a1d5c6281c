"""Which kind of failure an error is, for the pause before the next attempt."""

from __future__ import annotations

import pytest

from upbit_ws.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    ConnectionLostError,
    ConnectTimeoutError,
    DnsError,
    HandshakeError,
    MessageTooBigError,
    TlsError,
    TlsVerificationError,
    UpbitWebSocketError,
    WebSocketProtocolError,
)
from upbit_ws.protocol.backoff import Failure, FailureKind, failure_of_error_frame
from upbit_ws.protocol.liveness import ReconnectReason
from upbit_ws.runtime.endings import GivenUp
from upbit_ws.runtime.failures import failure_of_dial, failure_of_session


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (AuthenticationError("missing_keys"), Failure(FailureKind.CREDENTIALS)),
        (TlsVerificationError("expired"), Failure(FailureKind.TLS_VERIFICATION)),
        (TlsError("reset"), Failure(FailureKind.NETWORK)),
        (HandshakeError(status=429, retry_after=3.0), Failure(FailureKind.HTTP, 429, 3.0)),
        (HandshakeError("no HTTP"), Failure(FailureKind.NETWORK)),
        (DnsError("no such host"), Failure(FailureKind.NETWORK)),
        (ConnectTimeoutError(), Failure(FailureKind.NETWORK)),
    ],
)
def test_a_connection_that_did_not_come_about_fails_for_what_the_other_side_said(
    error: ConnectionFailedError | AuthenticationError, failure: Failure
) -> None:
    assert failure_of_dial(error) == failure


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionLostError("reset"), Failure(FailureKind.NETWORK)),
        (ConnectionLostError("closed", 1000), Failure(FailureKind.CLOSE, 1000)),
        (WebSocketProtocolError("a reserved bit"), Failure(FailureKind.PROTOCOL, 1002)),
        (MessageTooBigError(10, 5), Failure(FailureKind.PROTOCOL, 1009)),
        (GivenUp(ReconnectReason.MUTE), Failure(FailureKind.MUTE)),
        (GivenUp(ReconnectReason.NO_PONG), Failure(FailureKind.NETWORK)),
    ],
)
def test_a_connection_that_ended_failed_for_how_it_ended(error: UpbitWebSocketError, failure: Failure) -> None:
    assert failure_of_session(error, None) == failure


def test_an_error_frame_says_more_than_the_close_that_follows_it() -> None:
    rejection = ("INVALID_AUTH", "인증 정보가 올바르지 않습니다.")

    assert failure_of_session(ConnectionLostError("closed", 1000), rejection) == failure_of_error_frame("INVALID_AUTH")
