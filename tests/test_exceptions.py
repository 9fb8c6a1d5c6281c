from __future__ import annotations

import inspect
import pickle
import re

import pytest

from upbit_ws import exceptions
from upbit_ws.base_error import shown
from upbit_ws.exceptions import (
    AuthenticationError,
    BackpressureError,
    ClientClosedError,
    ConnectionFailedError,
    ConnectionLostError,
    ConnectTimeoutError,
    DataTimeoutError,
    DnsError,
    ForkedProcessError,
    HandshakeError,
    InvalidArgumentError,
    MessageTooBigError,
    NotSubscribedError,
    PayloadError,
    RateLimitedError,
    RequestRejectedError,
    RestError,
    StaleDataError,
    TlsError,
    TlsVerificationError,
    UpbitWebSocketError,
    WebSocketProtocolError,
)
from upbit_ws.types import DataType, StreamKey

KEY = StreamKey(DataType.TICKER, "KRW-BTC")

#: One of each class: error, text, retryable.
EXAMPLES: list[tuple[UpbitWebSocketError, str, bool]] = [
    (UpbitWebSocketError("something"), "something", False),
    (
        InvalidArgumentError("symbols", "must be a list of codes, got the string 'KRW-BTC'", "symbols=['KRW-BTC']"),
        "symbols must be a list of codes, got the string 'KRW-BTC'; write symbols=['KRW-BTC']",
        False,
    ),
    (
        NotSubscribedError([KEY], component_id="bot"),
        "client 'bot' did not register ticker KRW-BTC; "
        "write client.register_interest(data_types=[...], symbols=[...]) first",
        False,
    ),
    (ClientClosedError(), "the client is closed; make a new one", False),
    (
        ForkedProcessError(owner_pid=1, current_pid=2),
        "the client belongs to process 1 and does not work in its child 2 "
        "(threads and sockets do not survive a fork); make a new one in the child",
        False,
    ),
    (
        DataTimeoutError([KEY], {"KRW-ETH": 1.0}, timeout=10.0, reason="the connection is down"),
        "no data for ticker KRW-BTC within 10 s (1 received): the connection is down",
        True,
    ),
    (
        DataTimeoutError((), timeout=5.0, reason="the exchange did not say what is subscribed"),
        "no answer within 5 s: the exchange did not say what is subscribed",
        True,
    ),
    (
        StaleDataError(61.24, 60.0, [KEY]),
        "ticker KRW-BTC was last vouched for 61.2 s ago, allowed are 60 s",
        True,
    ),
    (
        BackpressureError("bot", size=10, dropped=3),
        "subscriber 'bot' is too slow: its mailbox of 10 overflowed, 3 events were dropped",
        True,
    ),
    (
        AuthenticationError("no_authorization_ip", "허용되지 않은 IP", status=401),
        "authentication failed: no_authorization_ip (HTTP 401) [허용되지 않은 IP]: add this machine's public address to "
        "the ones that the key allows, at upbit.com/mypage/open_api_management",
        False,
    ),
    (ConnectionFailedError("refused", host="x.example"), "connection failed to x.example: refused", True),
    (DnsError("no such name", host="x.example"), "name resolution failed to x.example: no such name", True),
    (ConnectTimeoutError(host="x.example"), "connecting timed out to x.example", True),
    (TlsError("bad record"), "TLS failed: bad record", True),
    (TlsVerificationError("self-signed"), "certificate verification failed: self-signed", False),
    (HandshakeError("busy", status=429, retry_after=3.0), "upgrade refused with HTTP 429: busy", True),
    (ConnectionLostError("idle", 1006), "connection lost (code 1006): idle", True),
    (
        WebSocketProtocolError("a masked frame", 1002),
        "WebSocket protocol violation (close code 1002): a masked frame",
        True,
    ),
    (
        MessageTooBigError(10, 5),
        "WebSocket protocol violation (close code 1009): a message of 10 bytes is over the limit of 5",
        True,
    ),
    (PayloadError("is missing", field="code", raw=b'{"x":1}'), 'code is missing in {"x":1}', False),
    (RequestRejectedError("NO_CODES", "codes"), "the exchange rejected the request: NO_CODES: codes", False),
    (RateLimitedError(2.0, group="candle"), "rate limited in group 'candle' (HTTP 429), retry after 2 s", True),
    (RestError(404, 404, "Code not found"), "REST call failed: HTTP 404 404: Code not found", False),
]


@pytest.mark.parametrize(("error", "text", "retryable"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_an_error_builds_its_text_from_its_facts(error: UpbitWebSocketError, text: str, retryable: bool) -> None:
    assert str(error) == text
    assert error.retryable is retryable
    assert repr(error) == f"{type(error).__name__}({text!r})"


@pytest.mark.parametrize("error", [error for error, _, _ in EXAMPLES], ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: UpbitWebSocketError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


def test_there_is_an_example_of_every_error() -> None:
    classes = {item for item in vars(exceptions).values() if inspect.isclass(item) and issubclass(item, Exception)}

    assert {type(error) for error, _, _ in EXAMPLES} == classes
    assert {cls.__name__ for cls in classes} == set(exceptions.__all__)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines():
        match = re.match(r" {4}(?P<branches>(?:\|   |    )*(?:\|-- |`-- )?)(?P<name>\w+Error)\b", line)
        if match is None:
            continue
        depth = len(match["branches"]) // 4
        path = [*path[:depth], match["name"]]
        drawn[match["name"]] = path[depth - 1] if depth else "Exception"

    real = {name: getattr(exceptions, name).__bases__[0].__name__ for name in exceptions.__all__}
    assert real == drawn


def test_familiar_builtin_errors_also_catch_ours() -> None:
    assert issubclass(InvalidArgumentError, ValueError)
    assert issubclass(DataTimeoutError, TimeoutError)
    assert issubclass(ConnectTimeoutError, TimeoutError)


def test_only_the_first_of_many_keys_are_listed() -> None:
    keys = [StreamKey(DataType.TRADE, f"KRW-A{number}") for number in range(40)]

    assert str(DataTimeoutError(keys)) == (
        "no data for trade KRW-A0, trade KRW-A1, trade KRW-A2, trade KRW-A3, trade KRW-A4 and 35 more (0 received)"
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refused_upgrade_is_not_tried_again(status: int) -> None:
    assert not HandshakeError(status=status).retryable


@pytest.mark.parametrize("status", [0, 418, 429, 500, 503])
def test_an_upgrade_refused_for_now_is_tried_again(status: int) -> None:
    assert HandshakeError(status=status).retryable


def test_a_payload_error_keeps_only_the_beginning_of_the_message() -> None:
    assert len(PayloadError("is wrong", raw=b"x" * 10_000).raw) == 256
    assert PayloadError("is wrong", raw="text").raw == b"text"
    assert PayloadError("is wrong", raw=memoryview(b"view")).raw == b"view"


def test_a_value_that_breaks_repr_is_shown_by_its_type() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]

    assert shown(nested).startswith("[")
    assert len(shown("x" * 1000)) < 50
    assert len(shown(10**10_000)) < 60
