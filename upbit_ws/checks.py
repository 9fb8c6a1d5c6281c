"""Validators of the configuration records. Each error names the record and the argument, and says what to write."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Any
from urllib.parse import SplitResult, urlsplit

from upbit_ws.exceptions import InvalidArgumentError

__all__ = [
    "flag",
    "http_url",
    "masked_url",
    "member",
    "proxy_url",
    "record",
    "seconds",
    "tls_context",
    "to_member",
    "whole",
]

_Validator = Callable[[Any, Any, Any], None]


def _name(record: object, attribute: Any) -> str:
    return f"{type(record).__name__}.{attribute.name}"


def seconds(*, above: float | None = None, at_least: float = 0.0, optional: bool = False) -> _Validator:
    """A finite number, greater than `above` or not less than `at_least`."""

    def check(record: object, attribute: Any, value: Any) -> None:
        if value is None and optional:
            return
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if number and (value > above if above is not None else value >= at_least):
            return
        bound = f"greater than {above:g}" if above is not None else f"of at least {at_least:g}"
        default = attribute.default if isinstance(attribute.default, (int, float)) else 10
        also = " or None" if optional else ""
        raise InvalidArgumentError(
            _name(record, attribute), f"must be a number {bound}{also}, got {value!r}", f"{attribute.name}={default}"
        )

    return check


def whole(*, at_least: int = 0) -> _Validator:
    """A whole number."""

    def check(record: object, attribute: Any, value: Any) -> None:
        if isinstance(value, int) and not isinstance(value, bool) and value >= at_least:
            return
        problem = f"must be a whole number of at least {at_least}, got {value!r}"
        raise InvalidArgumentError(_name(record, attribute), problem, f"{attribute.name}={attribute.default}")

    return check


def flag(record: object, attribute: Any, value: Any) -> None:
    """True or False, nothing that merely counts as one."""
    if not isinstance(value, bool):
        problem = f"must be True or False, got {value!r}"
        raise InvalidArgumentError(_name(record, attribute), problem, f"{attribute.name}={attribute.default}")


def to_member(enum: type[Enum], value: Any) -> Any:
    """The member meant by its value or name in any case; anything else stays as it is, for `member` to refuse."""
    if isinstance(value, str) and not isinstance(value, enum):
        for candidate in enum:
            if value.lower() in (candidate.name.lower(), str(candidate.value).lower()):
                return candidate
    return value


def member(enum: type[Enum]) -> _Validator:
    """A member of the enum."""

    def check(record: object, attribute: Any, value: Any) -> None:
        if not isinstance(value, enum):
            names = ", ".join(f"{enum.__name__}.{member.name}" for member in enum)
            instead = f"{attribute.name}={enum.__name__}.{next(iter(enum)).name}"
            raise InvalidArgumentError(_name(record, attribute), f"must be one of {names}, got {value!r}", instead)

    return check


def record(cls: Any) -> _Validator:
    """A record of the class itself, no dict that looks like one."""

    def check(instance: object, attribute: Any, value: Any) -> None:
        if not isinstance(value, cls):
            problem = f"must be a {cls.__name__}, got {type(value).__name__}"
            raise InvalidArgumentError(_name(instance, attribute), problem, f"{attribute.name}={cls.__name__}(...)")

    return check


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return None
    return parts


def http_url(record: object, attribute: Any, value: Any) -> None:
    """An http or https URL of a host, without user, query and fragment."""
    name = _name(record, attribute)
    if not isinstance(value, str):
        raise InvalidArgumentError(name, f"must be a URL, got {value!r}", "'https://api.upbit.com'")
    shown, parts = masked_url(value), _split(value)
    scheme, _, rest = value.partition("://")
    if scheme.lower() not in ("http", "https"):
        secure = {"ws": "http", "wss": "https"}.get(scheme.lower(), "https")
        instead = f"{secure}://{masked_url(rest or scheme)}"
        raise InvalidArgumentError(name, f"must start with http:// or https://, got {shown!r}", repr(instead))
    if parts is None or not parts.hostname or not value.isprintable() or " " in value:
        raise InvalidArgumentError(name, f"has no valid host or port, got {shown!r}", "'https://api.upbit.com'")
    if parts.username is not None or parts.query or parts.fragment:
        instead = repr(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
        raise InvalidArgumentError(name, "must have no user, query or fragment", instead)


def proxy_url(record: object, attribute: Any, value: Any) -> None:
    """None or an http URL of a proxy, user and password allowed."""
    if value is None:
        return
    name, instead = _name(record, attribute), "'http://proxy.example:3128'"
    if not isinstance(value, str):
        raise InvalidArgumentError(name, f"must be a URL or None, got {type(value).__name__}", instead)
    parts = _split(value)
    if parts is None or parts.scheme != "http" or not parts.hostname:
        raise InvalidArgumentError(name, f"must be an http:// URL of a proxy, got {masked_url(value)!r}", instead)


def tls_context(record: object, attribute: Any, value: Any) -> None:
    """None or an `ssl.SSLContext`; known by what it does, so that nobody imports `ssl` for a configuration."""
    if value is None or hasattr(value, "wrap_bio"):
        return
    problem = f"must be an ssl.SSLContext or None, got {value!r}"
    raise InvalidArgumentError(_name(record, attribute), problem, "ssl.create_default_context(cafile=...)")


def masked_url(value: str | None) -> str | None:
    """The URL with user and password replaced, for repr and messages."""
    if value is None or "@" not in value:
        return value
    scheme, separator, rest = value.rpartition("://")
    return f"{scheme}{separator}***@{rest.rpartition('@')[2]}"
