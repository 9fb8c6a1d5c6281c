"""What all errors of this package are, and how they put values of others into words."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import Any

__all__ = ["UpbitWebSocketError", "listing", "shown"]

#: How many items are listed.
_LISTED = 5


def shown(value: object) -> str:
    """The repr of a value from outside, short, and never failing: nesting and huge integers can break `repr`."""
    try:
        return reprlib.repr(value)
    except (ValueError, RecursionError):
        return f"<{type(value).__name__}>"


def listing(items: Iterable[object]) -> str:
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
