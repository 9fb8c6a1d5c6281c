"""Tokens made of keys: each is good for one connect or one call, and is never used again.

What a token holds (Upbit: auth page): `access_key` and a fresh `nonce`; for REST also the hash of the query. There is
no expiry claim, the nonce makes it single-use (`nonce_used`). HS256 is what Upbit's own SDK signs, HS512 what its
documentation recommends; both are accepted. The secret is used as the bytes of its text, not decoded.

Keys and tokens are `Secret` in every frame of this module; the text exists only inside one call of the signer, and an
error from there is replaced by one of ours, so that no traceback with locals shows it.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from upbit_ws.config import Credentials
from upbit_ws.exceptions import AuthenticationError, InvalidArgumentError
from upbit_ws.records import frozen
from upbit_ws.secret import Secret

if TYPE_CHECKING:
    from jwt import PyJWS

__all__ = ["JWTManager", "Token", "query_hash"]

_SHAPE: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_ALGORITHMS: Final = ("HS256", "HS512")


@frozen
class Token:
    """One token and when it was made (monotonic seconds). `text` shows itself to nobody but `reveal`."""

    text: Secret
    made_at: float

    def header(self) -> str:
        """The value of `Authorization`. Pass it on at once."""
        return f"Bearer {self.text.reveal()}"


def query_hash(query: str) -> str:
    """The SHA-512 of a query in the order in which it is sent, before it is percent-encoded (Upbit: auth page)."""
    return hashlib.sha512(query.encode()).hexdigest()


class JWTManager:
    """Makes tokens, and holds at most one that was prepared. May be used by several threads at once.

    Args:
        credentials: Asked for each token, so keys may rotate.
        nonce: Makes a text that was never used before: a random UUID.
        algorithm: ``HS256`` or ``HS512``.
        refresh_threshold: Seconds after which a prepared token is thrown away instead of used.

    Raises:
        InvalidArgumentError: another algorithm.
    """

    def __init__(
        self,
        credentials: Callable[[], Credentials],
        nonce: Callable[[], str],
        *,
        algorithm: str = "HS256",
        refresh_threshold: float = 30.0,
    ) -> None:
        if algorithm not in _ALGORITHMS:
            raise InvalidArgumentError("algorithm", f"must be HS256 or HS512, got {algorithm!r}", "algorithm='HS256'")
        self._credentials = credentials
        self._nonce = nonce
        self.algorithm = algorithm
        self._refresh_threshold = refresh_threshold
        # A deque gives the token to one thread only, without a lock.
        self._prepared: deque[Token] = deque(maxlen=1)

    def __repr__(self) -> str:
        return f"<JWTManager {self.algorithm}, {len(self._prepared)} prepared>"

    def prepare(self, now: float) -> None:
        """Make a token in advance. What is wrong with the keys shows here.

        Raises:
            AuthenticationError: the keys cannot sign.
        """
        self._prepared.append(self._sign(now, None))

    def take(self, now: float) -> Token:
        """A token for one connect: the prepared one where it is fresh and of the present keys, else a new one."""
        token: Token | None = None
        with suppress(IndexError):
            token = self._prepared.pop()
        return self._sign(now, None) if token is None or self.validate(token, now) else token

    def for_query(self, query: str, now: float) -> Token:
        """A token for one REST call with this query (not encoded, in the sent order; may be empty)."""
        return self._sign(now, query)

    def validate(self, token: Token, now: float) -> tuple[str, ...]:
        """What speaks against using a token for a connect: its shape, its keys, its age. Empty when nothing does."""
        problems = []
        age = now - token.made_at
        if not 0 <= age <= self._refresh_threshold:
            problems.append(f"it is {age:.1f} s old, more than {self._refresh_threshold:g} s")
        return (*problems, *_shape_problems(token.text), *self._key_problems(token.text))

    def _key_problems(self, text: Secret) -> tuple[str, ...]:
        claims = _decoded(text, 1)
        keys = self._credentials()
        if not isinstance(claims, dict):
            return ()
        if keys.access_key != Secret(str(claims.get("access_key", ""))):
            return ("it is of another access key",)
        again = _signed(Secret(orjson.dumps(claims).decode()), keys.secret_key, self.algorithm)
        return () if again == text else ("it was signed with another secret key or algorithm",)

    def _sign(self, now: float, query: str | None) -> Token:
        keys = self._credentials()
        return Token(_signed(_claims(keys.access_key, self._nonce(), query), keys.secret_key, self.algorithm), now)


def _claims(access_key: Secret, nonce: str, query: str | None) -> Secret:
    facts: dict[str, Any] = {"access_key": access_key.reveal(), "nonce": nonce}
    if query:
        facts |= {"query_hash": query_hash(query), "query_hash_alg": "SHA512"}
    return Secret(orjson.dumps(facts).decode())


def _signed(claims: Secret, secret_key: Secret, algorithm: str) -> Secret:
    try:
        return Secret(_signer(algorithm).encode(claims.reveal().encode(), secret_key.reveal(), algorithm=algorithm))
    except Exception as error:  # whatever it is: the frames that it came through hold the key
        problem = type(error).__name__
    raise AuthenticationError("invalid_secret_key", f"it cannot sign {algorithm} ({problem})")


@lru_cache(maxsize=2)
def _signer(algorithm: str) -> PyJWS:
    """A signer of our own, so that no setting of the library that others see is touched.

    PyJWT warns that a 40-character secret is short for HS512 (RFC 7518, 3.2). Upbit issues no longer ones, so the
    warning would tell a user nothing that can be acted upon; silencing it would change a state that all threads share.
    """
    import jwt  # costs a tenth of a second, and a program of public data never signs
    from jwt.algorithms import HMACAlgorithm

    class UpbitHMAC(HMACAlgorithm):
        """HMAC with a key as long as Upbit makes them."""

        def check_key_length(self, key: bytes) -> str | None:  # noqa: ARG002
            return None

    signer = jwt.PyJWS(algorithms=[algorithm])
    signer.unregister_algorithm(algorithm)
    signer.register_algorithm(algorithm, UpbitHMAC(hashlib.sha512 if algorithm == "HS512" else hashlib.sha256))
    return signer


def _shape_problems(text: Secret) -> tuple[str, ...]:
    if not _SHAPE.fullmatch(text.reveal()):
        return ("it is not three parts of base64",)
    header, claims = _decoded(text, 0), _decoded(text, 1)
    problems = []
    if not isinstance(header, dict) or header.get("alg") not in _ALGORITHMS or header.get("typ") != "JWT":
        problems.append("its header names no known algorithm")
    if not isinstance(claims, dict) or {"access_key", "nonce"} != claims.keys():
        problems.append("it must hold access_key and nonce, and nothing else")
    return tuple(problems)


def _decoded(text: Secret, part: int) -> Any:
    try:
        piece = text.reveal().split(".")[part]
        return orjson.loads(urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
    except (IndexError, ValueError):
        return None
