"""
Who is asking: keys, and the tokens that are made of them. Verified here with nothing but the standard library, so that
a fault in the client's way to sign cannot hide behind the same fault on this side.

Source: Upbit's auth page (claims, algorithms, query hash, scopes) and REST error page (names).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from binascii import Error as Base64Error
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.secret import Secret

__all__ = [
    "AUTH_FAILURES",
    "SANDBOX_ACCESS_KEY",
    "SANDBOX_SECRET_KEY",
    "SCOPES",
    "AuthError",
    "Holder",
    "KeyRing",
    "SandboxKey",
]

SANDBOX_ACCESS_KEY = "sandboxAccessKey000000000000000000000001"
SANDBOX_SECRET_KEY = "sandboxSecretKey000000000000000000000001"
"""The pair of keys that the embedded exchange knows if none are configured. Made up, and of use nowhere else."""

SCOPES: tuple[str, ...] = ("view_assets", "view_orders", "make_orders")
"""What a key can be good for. Announcements and indicators need a key and no scope."""

AUTH_FAILURES: tuple[str, ...] = ("on_request", "on_connect", "http")
"""
How a bad token for a private socket fails: INVALID_AUTH upon the first request (documented), INVALID_AUTH at once, or
HTTP 401 instead of the upgrade. Which of them is real was not found out.
"""

_DIGESTS = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}
_KEPT_NONCES = 100_000
_ERRORS: dict[str, tuple[int, str]] = {
    "no_authorization_token": (401, "인증 토큰이 존재하지 않습니다."),
    "jwt_verification": (401, "Jwt 토큰 검증에 실패했습니다."),
    "invalid_access_key": (401, "잘못된 엑세스 키입니다."),
    "expired_access_key": (401, "만료된 엑세스 키입니다."),
    "nonce_used": (401, "이미 사용된 nonce 입니다."),
    "no_authorization_ip": (401, "허용되지 않은 IP 주소입니다."),
    "invalid_query_payload": (401, "Jwt의 query를 검증하는데 실패하였습니다."),
    "out_of_scope": (403, "권한이 부족합니다."),
}


class AuthError(Exception):
    """A token that is refused: HTTP status, name and message as REST tells them."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
        self.status, self.message = _ERRORS[name]


def _to_secret(value: Any) -> Any:
    return Secret(value) if isinstance(value, str) else value


def _scopes(_: object, attribute: Any, value: Any) -> None:
    if isinstance(value, str) or not set(value) <= set(SCOPES):
        problem = f"must be some of {', '.join(SCOPES)}, got {value!r}"
        raise InvalidArgumentError(f"SandboxKey.{attribute.name}", problem, 'scopes=["view_orders"]')


@frozen
class SandboxKey:
    """
    What belongs to an access key.

    Attributes:
        secret: signs the tokens.
        account: whose orders and assets it opens.
        scopes: some of `SCOPES`; all by default.
        ips: the addresses it may be used from; None: any.
        expired: nothing it signs is accepted any more.
    """

    secret: Secret = field(converter=_to_secret)
    account: str = "main"
    scopes: Iterable[str] = field(default=SCOPES, validator=_scopes)
    ips: Iterable[str] | None = None
    expired: bool = False


@frozen
class Holder:
    """Who a verified token speaks for."""

    access_key: str = field(repr=False)
    account: str
    scopes: frozenset[str]

    def require(self, scope: str | None) -> None:
        """Raise `AuthError` unless the key has that scope."""
        if scope is not None and scope not in self.scopes:
            raise AuthError("out_of_scope")


class KeyRing:
    """
    All keys, and the nonces that were used with each.

    Args:
        keys: by access key.
    """

    def __init__(self, keys: Mapping[str, SandboxKey]) -> None:
        self._keys = dict(keys)
        self._nonces: dict[str, OrderedDict[str, None]] = {}

    def __repr__(self) -> str:
        return f"<KeyRing {len(self._keys)} keys>"

    def put(self, access_key: str, key: SandboxKey) -> None:
        """Add or change a key."""
        self._keys[access_key] = key

    def remove(self, access_key: str) -> None:
        """Forget a key."""
        self._keys.pop(access_key, None)

    @property
    def accounts(self) -> list[str]:
        """The accounts that keys speak for, each once."""
        return list(dict.fromkeys(key.account for key in self._keys.values()))

    def verify(self, authorization: str | None, address: str, query: str | None = None) -> Holder:
        """
        Check the `Authorization` header of a request from `address`. Its nonce is used up if all is well.

        Args:
            query: the query string of a REST call, not encoded; None or empty where there is none, as on a socket.

        Raises:
            AuthError: with the name that REST has for it.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AuthError("no_authorization_token")
        claims, is_signed = self._claims(token.strip())
        access_key = claims.get("access_key")
        key = self._keys.get(access_key) if isinstance(access_key, str) else None
        if key is None or not isinstance(access_key, str):
            raise AuthError("invalid_access_key")
        if not is_signed(key.secret):
            raise AuthError("jwt_verification")
        if key.expired:
            raise AuthError("expired_access_key")
        if key.ips is not None and address not in key.ips:
            raise AuthError("no_authorization_ip")
        self._check_query(claims, query)
        self._use(access_key, claims.get("nonce"))
        return Holder(access_key, key.account, frozenset(key.scopes))

    @staticmethod
    def _claims(token: str) -> tuple[dict[str, Any], Any]:
        """The claims of a token, and a function that tells whether a secret has signed it."""
        try:
            head, body, signature = token.split(".")
            header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
            digest, signed = _DIGESTS[header["alg"]], _decoded(signature)
        except (ValueError, KeyError, TypeError, Base64Error):
            raise AuthError("jwt_verification") from None
        if not isinstance(claims, dict):
            raise AuthError("jwt_verification")

        def is_signed(secret: Secret) -> bool:
            expected = hmac.new(secret.reveal().encode(), f"{head}.{body}".encode(), digest).digest()
            return hmac.compare_digest(expected, signed)

        return claims, is_signed

    @staticmethod
    def _check_query(claims: Mapping[str, Any], query: str | None) -> None:
        if not query:
            return
        hashed = hashlib.sha512(query.encode()).hexdigest()
        if claims.get("query_hash") != hashed or claims.get("query_hash_alg", "SHA512") != "SHA512":
            raise AuthError("invalid_query_payload")

    def _use(self, access_key: str, nonce: object) -> None:
        if not isinstance(nonce, str) or not nonce:
            raise AuthError("jwt_verification")
        used = self._nonces.setdefault(access_key, OrderedDict())
        if nonce in used:
            raise AuthError("nonce_used")
        used[nonce] = None
        if len(used) > _KEPT_NONCES:
            used.popitem(last=False)


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
