"""A string that does not show itself: not in repr, str, format, asdict, vars, pickle, log or traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, final

__all__ = ["Secret"]


def _keep(text: str) -> Callable[[], str]:
    return lambda: text


@final
class Secret:
    """Holds a key. `reveal` is the only way out.

    The text lives in a closure, so that a tool which walks ``__slots__`` finds a function and not the key.
    """

    __slots__ = ("_reveal",)
    _reveal: Callable[[], str]

    def __init__(self, value: str | Secret) -> None:
        if isinstance(value, Secret):
            reveal = value._reveal
        elif isinstance(value, str):
            reveal = _keep(value)
        else:
            raise TypeError(f"a Secret holds a str, got {type(value).__name__}")
        object.__setattr__(self, "_reveal", reveal)

    def reveal(self) -> str:
        """Return the text. Pass it on at once; do not keep it in a variable that outlives the call."""
        return self._reveal()

    def __repr__(self) -> str:
        return "***"

    def __str__(self) -> str:
        return "***"

    def __format__(self, format_spec: str) -> str:
        return format("***", format_spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest  # here, because it loads OpenSSL and importing this package should not

        return compare_digest(self._reveal().encode(), other._reveal().encode())

    def __hash__(self) -> int:
        # Constant: equal secrets must hash alike, and a hash of the text would be a hint to it.
        return hash(Secret)

    def __bool__(self) -> bool:
        return bool(self._reveal())

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret does not change; make a new one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret does not change; make a new one")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled; read the keys from the environment in the other process")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()
