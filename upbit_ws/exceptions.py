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
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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

_RAW_SAMPLE = 256
_LISTED = 5


def shown(value: object) -> str:
    """The repr of a value from outside, short, and never failing: nesting and huge integers can break `repr`."""
    try:
        return reprlib.repr(value)
    except (ValueError, RecursionError):
        return f"<{type(value).__name__}>"


def _listing(items: Iterable[object]) -> str:
    """The first few items as text: `ticker KRW-BTC, ticker KRW-ETH and 3 more`."""
    texts = [_key_text(item) for item in items]
    if len(texts) <= _LISTED:
        return ", ".join(texts)
    return f"{', '.join(texts[:_LISTED])} and {len(texts) - _LISTED} more"


def _key_text(item: object) -> str:
    data_type, symbol = getattr(item, "data_type", None), getattr(item, "symbol", None)
    if data_type is None:
        return str(item)
    return f"{getattr(data_type, 'wire_name', data_type)} {symbol}".strip()


def _rebuild(cls: type[UpbitWebSocketError], facts: dict[str, Any]) -> UpbitWebSocketError:
    error = cls.__new__(cls)
    error.__dict__.update(facts)
    return error


class UpbitWebSocketError(Exception):
    """Anything that this package raises on purpose."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later without any change by the caller."""
        return False

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__dict__.copy())


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
        return f"{who} did not register {_listing(self.keys)}; write {hint}"


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
        return f"no data for {_listing(self.missing)}{waited} ({len(self.received)} received){why}"


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
        return f"{_listing(self.keys) or 'the value'} {known}, allowed are {self.max_age:g} s"


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


_KEYS_PAGE = "upbit.com/mypage/open_api_management"
_GIVE_KEYS = "write AuthConfig(access_key=..., secret_key=...) or set UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY"
_ADVICE = {
    "missing_keys": f"private and info streams need keys; {_GIVE_KEYS}",
    "invalid_keys": f"these cannot be keys; {_GIVE_KEYS}",
    "invalid_secret_key": f"this cannot be a secret key of Upbit; {_GIVE_KEYS}",
    "INVALID_AUTH": "check that both keys are copied whole and belong together, that the key has not expired, has the "
    f"permission to view orders and assets, and allows this machine's address, at {_KEYS_PAGE}",
    "no_authorization_ip": f"add this machine's public address to the ones that the key allows, at {_KEYS_PAGE}",
    "out_of_scope": f"give the key the permission to view orders and assets, at {_KEYS_PAGE}",
    "expired_access_key": f"the key has expired; make a new one at {_KEYS_PAGE}",
    "jwt_verification": f"the secret key does not belong to the access key; copy both anew from {_KEYS_PAGE}",
    "invalid_access_key": f"the exchange does not know the access key; copy it anew from {_KEYS_PAGE}",
    "nonce_used": "a token was used twice; does another program replay the requests of this one?",
    "no_authorization_token": "the token did not arrive; does a proxy remove the Authorization header?",
    "invalid_query_payload": "the query changed on its way; does a proxy rewrite addresses?",
}
_OTHER_ADVICE = f"check the keys, their permissions and the addresses they allow, at {_KEYS_PAGE}"


#: Names of the exchange that are about keys, wherever it uses them.
KEY_ERRORS = frozenset(_ADVICE)


class AuthenticationError(UpbitWebSocketError):
    """The exchange refused the keys, or there are none.

    Attributes:
        name: Upbit's error name (``INVALID_AUTH``, ``no_authorization_ip``, ``expired_access_key``, ...);
            ``missing_keys``, ``invalid_keys`` and ``invalid_secret_key`` are this package's own.
        message_ko: Upbit's text, Korean on api.upbit.com.
        status: HTTP status where it came by HTTP.
        advice: What to do about it.
    """

    def __init__(self, name: str, message_ko: str = "", *, status: int | None = None) -> None:
        super().__init__()
        self.name = name
        self.message_ko = message_ko
        self.status = status

    @property
    def advice(self) -> str:
        """What to do about it, one sentence."""
        return _ADVICE.get(self.name, _OTHER_ADVICE)

    def __str__(self) -> str:
        status = "" if self.status is None else f" (HTTP {self.status})"
        said = f" [{self.message_ko}]" if self.message_ko else ""
        return f"authentication failed: {self.name}{status}{said}: {self.advice}"


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


class PayloadError(UpbitWebSocketError):
    """A message is not valid JSON, of an unknown type, or its fields are not as documented.

    Attributes:
        problem: What is wrong, continuing the sentence that starts with the field.
        field: Path of the field, DEFAULT names: ``orderbook_units[3].ask_price``; empty when it is the whole message.
        raw: The first bytes of the message, for diagnosis.
    """

    def __init__(self, problem: str, *, field: str = "", raw: bytes | bytearray | memoryview | str = b"") -> None:
        super().__init__()
        self.problem = problem
        self.field = field
        self.raw = raw[:_RAW_SAMPLE].encode("utf-8", "replace") if isinstance(raw, str) else bytes(raw[:_RAW_SAMPLE])

    def __str__(self) -> str:
        sample = f" in {self.raw.decode('utf-8', 'replace')}" if self.raw else ""
        return f"{self.field} {self.problem}".strip() + sample


class RequestRejectedError(UpbitWebSocketError):
    """The exchange answered a request with an error frame (and closes the connection after it).

    Attributes:
        name: ``WRONG_FORMAT``, ``NO_TICKET``, ``NO_TYPE``, ``NO_CODES``, ``INVALID_PARAM``, ``TOO_MANY_REQUEST``, ...
        message: Upbit's text, Korean on api.upbit.com, English on the regional hosts.
    """

    def __init__(self, name: str, message: str = "") -> None:
        super().__init__(message)
        self.name = name

    @property
    def retryable(self) -> bool:
        return self.name in ("TOO_MANY_REQUEST", "Too Many Requests", "I'm a teapot")

    def __str__(self) -> str:
        return f"the exchange rejected the request: {self.name}" + (f": {self.message}" if self.message else "")


class RateLimitedError(UpbitWebSocketError):
    """HTTP 429, or 418 for a temporary block; `retry_after` is in seconds, None when the server did not say."""

    def __init__(self, retry_after: float | None = None, *, status: int = 429, group: str = "") -> None:
        super().__init__()
        self.retry_after = retry_after
        self.status = status
        self.group = group

    @property
    def retryable(self) -> bool:
        return True

    def __str__(self) -> str:
        group = f" in group {self.group!r}" if self.group else ""
        wait = "" if self.retry_after is None else f", retry after {self.retry_after:g} s"
        return f"rate limited{group} (HTTP {self.status}){wait}"


class RestError(UpbitWebSocketError):
    """A REST call was refused. `name` is an integer for quotation calls and a string for exchange calls at Upbit."""

    def __init__(self, status: int, name: str | int = "", message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.name = name

    @property
    def retryable(self) -> bool:
        return self.status == 0 or self.status == 408 or self.status >= 500

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"REST call failed: HTTP {self.status}{name}" + (f": {self.message}" if self.message else "")
