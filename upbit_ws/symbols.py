"""Market codes as users write them and as the exchange wants them: quote currency first, upper case (``KRW-BTC``).

What can only mean one thing is accepted (``krw-btc``, ``BTC/KRW``); anything else raises `InvalidArgumentError` that
says what to write. The exchange is silent on a wrong code (measured on the wire), so this is the place to object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from upbit_ws.exceptions import InvalidArgumentError

__all__ = ["QUOTE_CURRENCIES", "is_pattern", "normalize_symbol", "normalize_symbols", "quote_currency"]

#: Quote currencies of the Korean host first, then of the regional hosts (Singapore, Indonesia, Thailand).
QUOTE_CURRENCIES = ("KRW", "BTC", "USDT", "SGD", "IDR", "THB")

_FIAT = frozenset({"KRW", "SGD", "IDR", "THB"})
_CODE = re.compile(r"(?P<first>[A-Z0-9]{1,20})(?P<separator>[-/])(?P<second>[A-Z0-9]{1,20}|\*)", re.ASCII)


def normalize_symbol(symbol: str, argument: str = "symbol") -> str:
    """Return `symbol` as the exchange writes it.

    ``"krw-btc"`` and ``"BTC/KRW"`` give ``"KRW-BTC"``; ``"KRW-*"`` (all markets of a quote currency) stays.

    Args:
        symbol: A market code.
        argument: Name of the caller's argument, for the message.

    Raises:
        InvalidArgumentError: `symbol` is no code, or its halves are swapped (``"BTC-KRW"``).
    """
    if not isinstance(symbol, str):
        raise InvalidArgumentError(argument, f"must be a code like 'KRW-BTC', got {symbol!r}", f"{argument}='KRW-BTC'")
    match = _CODE.fullmatch(symbol.upper()) if symbol.isascii() else None
    if match is None:
        raise InvalidArgumentError(
            argument, f"must be a code like 'KRW-BTC' without spaces, got {symbol!r}", _advice(symbol)
        )
    first, second = match["first"], match["second"]
    quote, base = (second, first) if match["separator"] == "/" and second != "*" else (first, second)
    return _checked(quote, base, symbol, argument)


def _checked(quote: str, base: str, symbol: str, argument: str) -> str:
    if quote in QUOTE_CURRENCIES and not (base in _FIAT and quote not in _FIAT) and quote != base:
        return f"{quote}-{base}"
    if base in QUOTE_CURRENCIES and quote != base:
        order = "has the quote currency last" if "/" not in symbol else "has the quote currency first"
        raise InvalidArgumentError(argument, f"{symbol!r} {order}", f"'{base}-{quote}'")
    known = ", ".join(QUOTE_CURRENCIES)
    instead = f"'KRW-{base}'" if base != "*" else "'KRW-*'"
    raise InvalidArgumentError(
        argument, f"{symbol!r} does not start with a quote currency ({known})", f"a code like {instead}"
    )


def _advice(symbol: str) -> str:
    cleaned = re.sub(r"[\s_:.]+", "-", symbol.strip().upper())
    if _CODE.fullmatch(cleaned) and cleaned.partition("-")[0] in QUOTE_CURRENCIES:
        return f"'{cleaned}'"
    if re.fullmatch(r"[A-Z0-9]{1,20}", cleaned) and cleaned not in _FIAT:
        return f"'KRW-{cleaned}'"
    return "a code like 'KRW-BTC'"


def normalize_symbols(symbols: Iterable[str], argument: str = "symbols") -> tuple[str, ...]:
    """Return all codes as the exchange writes them, duplicates removed, in the given order.

    Raises:
        InvalidArgumentError: a bare string, no iterable, nothing in it, or an item that is no code.
    """
    if isinstance(symbols, (str, bytes)):
        text = symbols if isinstance(symbols, str) else symbols.decode("ascii", "replace")
        raise InvalidArgumentError(
            argument, f"must be a list of codes, got the string {text!r}", f"{argument}=[{text!r}]"
        )
    if not isinstance(symbols, Iterable) or isinstance(symbols, Mapping):
        raise InvalidArgumentError(argument, f"must be a list of codes, got {symbols!r}", f"{argument}=['KRW-BTC']")
    found = tuple(
        dict.fromkeys(normalize_symbol(symbol, f"{argument}[{index}]") for index, symbol in enumerate(symbols))
    )
    if not found:
        raise InvalidArgumentError(argument, "must name at least one code", f"{argument}=['KRW-BTC']")
    return found


def is_pattern(symbol: str) -> bool:
    """Whether the code stands for all markets of a quote currency (``KRW-*``)."""
    return symbol.endswith("-*")


def quote_currency(symbol: str) -> str:
    """The quote currency of a normalised code: ``KRW`` of ``KRW-BTC`` and of ``KRW-*``."""
    return symbol.partition("-")[0]
