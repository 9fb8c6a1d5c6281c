"""Errors of the exchange: it refuses the keys, a request or a call, or sends what it does not document.

To be imported from `upbit_ws.exceptions`, where the whole tree is drawn.
"""

from __future__ import annotations

from upbit_ws.base_error import UpbitWebSocketError

__all__ = [
    "KEY_ERRORS",
    "AuthenticationError",
    "PayloadError",
    "RateLimitedError",
    "RequestRejectedError",
    "RestError",
]

_RAW_SAMPLE = 256
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
