"""Three ways to say that keys are not accepted, one error."""

from __future__ import annotations

import pytest

from upbit_ws.exceptions import AuthenticationError, ConnectionLostError, HandshakeError, UpbitWebSocketError
from upbit_ws.protocol.key_refusal import key_refusal
from upbit_ws.types import Endpoint

LOST = ConnectionLostError("closed", 1000)


@pytest.mark.parametrize("endpoint", [Endpoint.PRIVATE, Endpoint.INFO])
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_upgrade_keeps_name_status_and_words(endpoint: Endpoint, status: int) -> None:
    error = HandshakeError("no_authorization_ip: 허용되지 않은 IP", status=status, name="no_authorization_ip")
    refusal = key_refusal(endpoint, error)

    assert refusal is not None
    assert (refusal.name, refusal.message_ko, refusal.status) == ("no_authorization_ip", "허용되지 않은 IP", status)
    assert "public address" in refusal.advice


def test_a_refused_upgrade_without_a_name_is_told_by_its_status() -> None:
    refusal = key_refusal(Endpoint.PRIVATE, HandshakeError("Unauthorized", status=401))

    assert refusal is not None
    assert refusal.name == "HTTP 401"


def test_an_error_frame_says_so_whatever_ended_the_connection() -> None:
    refusal = key_refusal(Endpoint.PRIVATE, LOST, ("INVALID_AUTH", "인증 정보가 올바르지 않습니다."))

    assert refusal is not None
    assert (refusal.name, refusal.message_ko) == ("INVALID_AUTH", "인증 정보가 올바르지 않습니다.")


def test_a_close_for_policy_is_about_keys_where_there_are_any() -> None:
    assert key_refusal(Endpoint.PRIVATE, ConnectionLostError("no", 1008)) is not None
    assert key_refusal(Endpoint.PUBLIC, ConnectionLostError("no", 1008)) is None


def test_the_authenticators_own_error_is_passed_on() -> None:
    error = AuthenticationError("missing_keys")

    assert key_refusal(Endpoint.PRIVATE, error) is error


@pytest.mark.parametrize(
    ("endpoint", "error", "rejection"),
    [
        (Endpoint.PUBLIC, HandshakeError("x", status=401), None),
        (Endpoint.PRIVATE, HandshakeError("x", status=503), None),
        (Endpoint.PRIVATE, LOST, ("WRONG_FORMAT", "Format 이 맞지 않습니다.")),
        (Endpoint.PRIVATE, LOST, None),
    ],
)
def test_everything_else_is_not(
    endpoint: Endpoint, error: UpbitWebSocketError, rejection: tuple[str, str] | None
) -> None:
    assert key_refusal(endpoint, error, rejection) is None
