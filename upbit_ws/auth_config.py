"""Where the keys come from. They enter here as text, are wrapped at once, and leave only by `Secret.reveal`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from attrs import field

from upbit_ws import checks
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.records import frozen
from upbit_ws.secret import Secret

__all__ = ["AuthConfig", "Credentials", "KeyProvider"]


class Credentials(NamedTuple):
    """One pair of keys."""

    access_key: Secret
    secret_key: Secret


Key = str | Secret
KeyProvider = Callable[[], tuple[Key, Key] | None]


def _wrapped(value: Any) -> Any:
    """Text becomes a Secret; anything else stays, for the validator to refuse."""
    return Secret(value) if isinstance(value, str) else value


def _is_malformed(key: Secret) -> bool:
    text = key.reveal()
    return not text or text != text.strip() or not text.isascii() or not text.isprintable()


def _key(_record: object, attribute: Any, value: Any) -> None:
    name = f"AuthConfig.{attribute.name}"
    if value is None:
        return
    if not isinstance(value, Secret):
        problem = f"must be a str or Secret, got {type(value).__name__}"
        raise InvalidArgumentError(name, problem, f"{attribute.name}='...'")
    if _is_malformed(value):
        raise InvalidArgumentError(
            name, "is empty or has spaces, line ends or other characters that no key has", "the key without them"
        )


@frozen(init=False)
class AuthConfig:
    """Keys for private and info endpoints. They never show in repr, asdict, pickle, logs or tracebacks.

    Attributes:
        access_key, secret_key: Given both or neither, as str or `Secret`; kept as `Secret`.
        algorithm: ``HS256`` (as Upbit's own SDK) or ``HS512`` (as its documentation recommends); both are accepted.
        refresh_threshold: Seconds after which a prepared token is thrown away instead of used.
        key_provider: Called before each connect, returns (access_key, secret_key) or None, for keys that rotate.
    """

    access_key: Secret | None = field(default=None, validator=_key)
    secret_key: Secret | None = field(default=None, validator=_key)
    algorithm: str = "HS256"
    refresh_threshold: float = field(default=30.0, validator=checks.seconds(above=0))
    key_provider: KeyProvider | None = field(default=None, repr=lambda value: "None" if value is None else "...")

    def __init__(
        self,
        *,
        access_key: Key | None = None,
        secret_key: Key | None = None,
        algorithm: str = "HS256",
        refresh_threshold: float = 30.0,
        key_provider: KeyProvider | None = None,
    ) -> None:
        # Not the generated one: its arguments would stay in its frame as text, and a traceback with locals shows them.
        access: Any = _wrapped(access_key)
        secret: Any = _wrapped(secret_key)
        del access_key, secret_key
        self.__attrs_init__(access, secret, algorithm, refresh_threshold, key_provider)

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
        if access is not None and secret is not None:
            return Credentials(access, secret)
        if self.key_provider is not None:
            return _provided(self.key_provider)
        return _checked(*(_wrapped(os.environ.get(name) or None) for name in ("UPBIT_ACCESS_KEY", "UPBIT_SECRET_KEY")))


def _provided(provider: Callable[[], Any]) -> Credentials | None:
    keys = provider()
    if keys is None:
        return None
    if not isinstance(keys, tuple) or len(keys) != 2:
        keys = None  # whatever it is, a traceback with locals does not show it
        problem, instead = "must return two keys or None", "key_provider=lambda: (access_key, secret_key)"
        raise InvalidArgumentError("AuthConfig.key_provider", problem, instead)
    keys = (_wrapped(keys[0]), _wrapped(keys[1]))
    return _checked(*keys)


def _checked(access: Any, secret: Any) -> Credentials | None:
    auth = AuthConfig(access_key=access, secret_key=secret)
    if auth.access_key is None or auth.secret_key is None:
        return None
    return Credentials(auth.access_key, auth.secret_key)
