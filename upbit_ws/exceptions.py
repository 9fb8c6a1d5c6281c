"""One error tree, split by what the caller can do about it.

::

    UpbitWebSocketError
    |-- InvalidArgumentError (ValueError)   yours: the message says what to write instead
    |-- NotSubscribedError                  yours: this client did not register that stream
    |-- ClientClosedError                   yours: used after close()
    |-- ForkedProcessError                  yours: used in a child process, make a new client there
    |-- DataTimeoutError (TimeoutError)     nothing arrived in time: .missing, .received
    |-- StaleDataError                      there is a value, but nobody can vouch for it: .age, .max_age, .keys
    |-- BackpressureError                   a subscriber was too slow and asked to be told (strategy RAISE)
    |-- AuthenticationError                 the exchange refused the keys: .name, .message_ko
    |-- ConnectionFailedError               the network's: retried by the SDK
    |   |-- DnsError
    |   |-- ConnectTimeoutError (TimeoutError)
    |   |-- TlsError
    |   |   `-- TlsVerificationError        the certificate is wrong: not retryable
    |   |-- HandshakeError                  HTTP answered instead of the upgrade: .status, .retry_after
    |   `-- ConnectionLostError             an open connection ended: .reason, .code
    |-- WebSocketProtocolError              the peer broke RFC 6455 or 7692: .close_code
    |   `-- MessageTooBigError              .size, .limit
    |-- PayloadError                        the message is not what the exchange documents: .field, .raw
    |-- RequestRejectedError                an error frame of the exchange: .name, .message
    |-- RateLimitedError                    HTTP 429 or 418: .retry_after
    `-- RestError                           any other REST refusal: .status, .name, .message

Every error carries its facts as attributes, builds its text from them, answers ``.retryable`` ("may the same call
succeed later without any change?") and survives pickling. No error ever holds a key or a token.

Those about the caller's own program and about waiting stand here, the others in `network_errors` and `exchange_errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from upbit_ws.base_error import UpbitWebSocketError, listing
from upbit_ws.exchange_errors import (
    AuthenticationError,
    PayloadError,
    RateLimitedError,
    RequestRejectedError,
    RestError,
)
from upbit_ws.network_errors import (
    ConnectionFailedError,
    ConnectionLostError,
    ConnectTimeoutError,
    DnsError,
    HandshakeError,
    MessageTooBigError,
    TlsError,
    TlsVerificationError,
    WebSocketProtocolError,
)

__all__ = [
    "AuthenticationError",
    "BackpressureError",
    "ClientClosedError",
    "ConnectTimeoutError",
    "ConnectionFailedError",
    "ConnectionLostError",
    "DataTimeoutError",
    "DnsError",
    "ForkedProcessError",
    "HandshakeError",
    "InvalidArgumentError",
    "MessageTooBigError",
    "NotSubscribedError",
    "PayloadError",
    "RateLimitedError",
    "RequestRejectedError",
    "RestError",
    "StaleDataError",
    "TlsError",
    "TlsVerificationError",
    "UpbitWebSocketError",
    "WebSocketProtocolError",
]


class InvalidArgumentError(UpbitWebSocketError, ValueError):
    """An argument cannot be meant as written.

    Args:
        argument: Name of the argument, or a whole sentence when there is no single one.
        problem: What is wrong with it, continuing the sentence: ``must be a list of codes, got the string 'KRW-BTC'``.
        instead: What to write instead: ``symbols=['KRW-BTC']``.
    """

    def __init__(self, argument: str, problem: str = "", instead: str = "") -> None:
        super().__init__()
        self.argument = argument
        self.problem = problem
        self.instead = instead
        self.message = f"{argument} {problem}".strip() + (f"; write {instead}" if instead else "")


class NotSubscribedError(UpbitWebSocketError):
    """This client did not register the stream it asks for; clients see only their own interests."""

    def __init__(self, keys: Iterable[object], *, component_id: str = "", instead: str = "") -> None:
        super().__init__()
        self.keys = tuple(keys)
        self.component_id = component_id
        self.instead = instead

    def __str__(self) -> str:
        who = f"client {self.component_id!r}" if self.component_id else "this client"
        hint = self.instead or "client.register_interest(data_types=[...], symbols=[...]) first"
        return f"{who} did not register {listing(self.keys)}; write {hint}"


class ClientClosedError(UpbitWebSocketError):
    """The object was closed, by its owner or because its manager shut down."""

    def __init__(self, what: str = "client") -> None:
        super().__init__()
        self.what = what

    def __str__(self) -> str:
        return f"the {self.what} is closed; make a new one"


class ForkedProcessError(UpbitWebSocketError):
    """An object that owns threads and sockets was carried into a child process by fork."""

    def __init__(self, what: str = "client", *, owner_pid: int = 0, current_pid: int = 0) -> None:
        super().__init__()
        self.what = what
        self.owner_pid = owner_pid
        self.current_pid = current_pid

    def __str__(self) -> str:
        return (
            f"the {self.what} belongs to process {self.owner_pid} and does not work in its child {self.current_pid} "
            "(threads and sockets do not survive a fork); make a new one in the child"
        )


class DataTimeoutError(UpbitWebSocketError, TimeoutError):
    """No first value came within the timeout.

    Attributes:
        missing: The stream keys without a value.
        received: What did arrive: the partial result of the call, or the keys that have a value.
        timeout: Seconds waited.
        reason: Why, where the SDK knows (connection down, code unknown to the exchange, ...).
    """

    def __init__(
        self,
        missing: Iterable[object],
        received: Mapping[Any, Any] | Sequence[Any] = (),
        *,
        timeout: float | None = None,
        reason: str = "",
    ) -> None:
        super().__init__()
        self.missing = tuple(missing)
        self.received = received
        self.timeout = timeout
        self.reason = reason

    @property
    def retryable(self) -> bool:
        return True

    def __str__(self) -> str:
        waited = "" if self.timeout is None else f" within {self.timeout:g} s"
        why = f": {self.reason}" if self.reason else ""
        if not self.missing:
            return f"no answer{waited}{why}"
        return f"no data for {listing(self.missing)}{waited} ({len(self.received)} received){why}"


class StaleDataError(UpbitWebSocketError):
    """There is a value, but the SDK cannot vouch for it within `max_age` seconds."""

    def __init__(self, age: float | None, max_age: float, keys: Iterable[object] = ()) -> None:
        super().__init__()
        self.age = age
        self.max_age = max_age
        self.keys = tuple(keys)

    @property
    def retryable(self) -> bool:
        return True

    def __str__(self) -> str:
        known = "was never vouched for" if self.age is None else f"was last vouched for {self.age:.1f} s ago"
        return f"{listing(self.keys) or 'the value'} {known}, allowed are {self.max_age:g} s"


class BackpressureError(UpbitWebSocketError):
    """A subscriber with the RAISE strategy let its mailbox overflow."""

    def __init__(self, component_id: str, *, subscription_id: str = "", size: int = 0, dropped: int = 0) -> None:
        super().__init__()
        self.component_id = component_id
        self.subscription_id = subscription_id
        self.size = size
        self.dropped = dropped

    @property
    def retryable(self) -> bool:
        return True

    def __str__(self) -> str:
        return (
            f"subscriber {self.component_id!r} is too slow: its mailbox of {self.size} overflowed, "
            f"{self.dropped} events were dropped"
        )
