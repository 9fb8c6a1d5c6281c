"""
How numbers are written, which at Upbit depends on the format and on the field.

Measured on the wire (2026-09-23): DEFAULT writes prices the way Java prints a double (`1.16539E8`, `5921000.0`) and
sizes with
eight decimals (`0.00077720`); SIMPLE writes prices plain (`116606000`) and sizes as a double (`7.9276E-4`). REST is
plain
throughout. Every function here takes a whole number and says of what: `units` are 1e-8, `squares` are 1e-16 (a price
times a size).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from attrs import frozen

from upbit_ws.sandbox.tick_size import SCALE

__all__ = ["DEFAULT_SPELLING", "PLAIN_SPELLING", "SIMPLE_SPELLING", "Spelling", "double", "fixed", "plain"]

_SQUARE = SCALE * SCALE
_CACHED = 65_536


def _digits(whole: int, fraction: int, width: int) -> str:
    return f"{whole}.{fraction:0{width}d}".rstrip("0").rstrip(".") if fraction else str(whole)


@lru_cache(maxsize=_CACHED)
def plain(units: int) -> str:
    """Without exponent and without trailing zeros: `116606000`, `0.0007772`."""
    if units < 0:
        return "-" + str(plain(-units))
    whole, fraction = divmod(units, SCALE)
    return _digits(whole, fraction, 8)


@lru_cache(maxsize=_CACHED)
def fixed(units: int) -> str:
    """With all eight decimals: `0.00077720`; an empty slot of a book is `0`."""
    if units == 0:
        return "0"
    whole, fraction = divmod(units, SCALE)
    return f"{whole}.{fraction:08d}"


def java(value: float) -> str:
    """`value` as Java prints a double: an exponent from 10 million on and below a thousandth, always one decimal."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    # Position of the decimal point, counted from the first digit that is not a zero.
    leading = len(whole) if whole != "0" else -(len(fraction) - len(fraction.lstrip("0")))
    power = int(exponent or 0) + leading - 1
    digits = digits.rstrip("0") or "0"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{power}"


@lru_cache(maxsize=_CACHED)
def double(units: int) -> str:
    """As Java prints a double: `1.16539E8`, `7.9276E-4`, `5.0E-4`, `0.0`."""
    return java(units / SCALE)


def plain_square(squares: int) -> str:
    """A price times a size, or a sum of such, without exponent: all of its up to sixteen decimals."""
    whole, fraction = divmod(squares, _SQUARE)
    return _digits(whole, fraction, 16)


def double_square(squares: int) -> str:
    """A price times a size, or a sum of such, as Java prints a double."""
    return java(squares / _SQUARE)


@frozen
class Spelling:
    """One function per kind of number. `ratio` takes a change rate in 1e-10."""

    price: Callable[[int], str]
    size: Callable[[int], str]
    value: Callable[[int], str]
    ratio: Callable[[int], str]


def _ratio_plain(parts: int) -> str:
    sign, parts = ("-", -parts) if parts < 0 else ("", parts)
    whole, fraction = divmod(parts, 10**10)
    return sign + _digits(whole, fraction, 10)


def _ratio_double(parts: int) -> str:
    return java(parts / 10**10)


DEFAULT_SPELLING = Spelling(price=double, size=fixed, value=double_square, ratio=_ratio_double)
SIMPLE_SPELLING = Spelling(price=plain, size=double, value=plain_square, ratio=_ratio_plain)
PLAIN_SPELLING = Spelling(price=plain, size=plain, value=plain_square, ratio=_ratio_plain)
