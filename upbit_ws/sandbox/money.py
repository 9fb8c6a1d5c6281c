"""
Amounts of money and coins without any rounding: whole numbers of 1e-20, `Decimal` at the borders.

A price (1e-8) times a size (1e-8) has sixteen decimals, and a fee of a few ten-thousandths of it twenty: that is where
the long fractions of real balances come from. Whole numbers keep every one of them; the arithmetic of `Decimal` would
round to its context's 28 digits, which a balance of ten thousand million won with twenty decimals exceeds.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from upbit_ws.sandbox.tick_size import SCALE

__all__ = ["ATOMS", "exact", "from_size", "from_value", "spelled", "to_atoms", "whole_units"]

ATOMS = 10**20
"""Atoms in 1."""

_DECIMALS = 20
_SIZE = ATOMS // SCALE
_VALUE = ATOMS // SCALE**2
_SMALLEST_PLAIN = Decimal("0.001")


def from_size(units: int) -> int:
    """Atoms of a size, a price or an amount in 1e-8."""
    return units * _SIZE


def from_value(squares: int) -> int:
    """Atoms of a price times a size, in 1e-16."""
    return squares * _VALUE


def exact(atoms: int) -> Decimal:
    """The same amount as a Decimal without superfluous zeros."""
    if not atoms:
        return Decimal(0)
    exponent = -_DECIMALS
    while exponent < 0 and atoms % 10 == 0:
        atoms //= 10
        exponent += 1
    return Decimal(f"{atoms}E{exponent}")


def _scaled(value: Decimal | int | float | str, decimals: int) -> int:
    """
    `value` in units of ten to the minus `decimals`.

    Raises:
        ValueError: no finite number, or one with more decimals.
    """
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"no number: {value!r}") from None
    if not number.is_finite() or abs(number.adjusted()) > _DECIMALS:
        raise ValueError(f"no amount: {value!r}")
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    whole: int = int("".join(map(str, digits)))
    shift: int = exponent + decimals
    if shift < 0:
        unit = int(10**-shift)
        if whole % unit:
            raise ValueError(f"more than {decimals} decimals: {value!r}")
        whole //= unit
    else:
        whole *= int(10**shift)
    return -whole if sign else whole


def to_atoms(value: Decimal | int | float | str) -> int:
    """Atoms of an amount with up to 20 decimals; `ValueError` for anything else."""
    return _scaled(value, _DECIMALS)


def whole_units(value: Decimal | int | float | str) -> int:
    """A price or size in 1e-8; `ValueError` where it has more decimals than that or is no number."""
    return _scaled(value, 8)


def spelled(value: Decimal, *, exponents: bool = False) -> str:
    """
    Every digit of `value` as a JSON number, plain; with `exponents` what is small as `7.9276E-4`, digits complete.
    """
    if exponents and value and abs(value) < _SMALLEST_PLAIN:
        sign, digits, _ = value.as_tuple()
        others = "".join(map(str, digits[1:])).rstrip("0") or "0"
        return f"{'-' if sign else ''}{digits[0]}.{others}E{value.adjusted()}"
    return f"{value:f}"
