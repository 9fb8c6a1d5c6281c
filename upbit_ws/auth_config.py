"""Where the keys come from. They enter here as text, are wrapped at once, and leave only by `Secret.reveal`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from attrs import field, frozen

from upbit_ws import checks
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.secret import Secret

__all__ = ["AuthConfig", "Credentials", "KeyProvider"]


class Credentials(NamedTuple):
    """One pair of keys."""

    access_key: Secret
    secret_key: Secret


KeyProvider = Callable[[], "tuple[str | Secret, str | Secret] | None"]


def _wrapped(value: str | Secret | None) -> Secret | None:
    return Secret(value) if isinstance(value, str) else value


def _key(_record: object, attribute: Any, value: Any) -> None:
    name = f"AuthConfig.{attribute.name}"
    if value is None:
        return
    if not isinstance(value, Secret):
        problem = f"must be a str or Secret, got {type(value).__name__}"
        raise InvalidArgumentError(name, problem, f"{attribute.name}='...'")
    text = value.reveal()
    if not text or text != text.strip() or not text.isascii() or not text.isprintable():
        raise InvalidArgumentError(
            name, "is empty or has spaces, line ends or other characters that no key has", "the key without them"
        )


@frozen(kw_only=True)
class AuthConfig:
    """Keys for private and info endpoints. They never show in repr, asdict, pickle, logs or tracebacks.

    Attributes:
        access_key, secret_key: Given both or neither; wrapped in `Secret`.
        algorithm: ``HS256`` (as Upbit's own SDK) or ``HS512`` (as its documentation recommends); both are accepted.
        refresh_threshold: Seconds after which a prepared token is thrown away instead of used.
        key_provider: Called before each connect, returns (access_key, secret_key), for keys that rotate.
    """

    access_key: Secret | None = field(default=None, converter=_wrapped, validator=_key)
    secret_key: Secret | None = field(default=None, converter=_wrapped, validator=_key)
    algorithm: str = "HS256"
    refresh_threshold: float = field(default=30.0, validator=checks.seconds(above=0))
    key_provider: KeyProvider | None = field(default=None, repr=lambda value: "None" if value is None else "...")

    def __attrs_post_init__(self) -> None:
        if self.algorithm not in ("HS256", "HS512"):
            problem = f"must be HS256 or HS512, got {self.algorithm!r}"
            raise InvalidArgumentError("AuthConfig.algorithm", problem, "algorithm='HS256'")
        if (self.access_key is None) != (self.secret_key is None):
            missing = "access_key" if self.access_key is None else "secret_key"
            raise InvalidArgumentError(
                f"AuthConfig.{missing}", "is missing", "AuthConfig(access_key='...', secret_key='...')"
            )
        provider: Any = self.key_provider
        if provider is not None and not callable(provider):
            problem = f"must be callable, got {type(provider).__name__}"
            raise InvalidArgumentError("AuthConfig.key_provider", problem, "key_provider=lambda: (access, secret)")

    def credentials(self) -> Credentials | None:
        """Return the keys to use now: given ones, else the provider's, else the environment's, else None.

        Raises:
            InvalidArgumentError: only one of the two keys is there, or one is malformed.
        """
        access, secret = self.access_key, self.secret_key
        if access is None and self.key_provider is not None:
            return _pair(self.key_provider())
        if access is None or secret is None:
            return _pair((os.environ.get("UPBIT_ACCESS_KEY") or None, os.environ.get("UPBIT_SECRET_KEY") or None))
        return Credentials(access, secret)


def _pair(keys: Any) -> Credentials | None:
    if keys is None or keys == (None, None):
        return None
    if not isinstance(keys, tuple) or len(keys) != 2:
        problem, instead = "must return two keys or None", "key_provider=lambda: (access_key, secret_key)"
        raise InvalidArgumentError("AuthConfig.key_provider", problem, instead)
    return AuthConfig(access_key=keys[0], secret_key=keys[1]).credentials()
