"""How many orders a second make how many messages a second."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attrs import frozen

__all__ = ["Intensity", "intensity"]

_TRADES_PER_ORDER = 1.85
"""Measured: an order fills from one or more levels, and some fills are two makers'."""
_STIRS_PER_ORDER = 1.5
_BOOKS_PER_SECOND = 10.0
_TRIES = 60


@frozen
class Intensity:
    """Arrivals a second over all markets: takers' orders, and changes of a book without a trade."""

    orders: float
    stirs: float


def _messages(orders: float, shares: Sequence[float]) -> float:
    """Tickers, trades and books a second. Changes of a book inside one slot of its grid make one message."""
    changes = orders * (1 + _STIRS_PER_ORDER)
    books = sum(_BOOKS_PER_SECOND * -math.expm1(-changes * share / _BOOKS_PER_SECOND) for share in shares)
    return orders * (1 + _TRADES_PER_ORDER) + books


def intensity(rate: float, weights: Sequence[float]) -> Intensity:
    """What makes `rate` messages a second in all, for markets of these weights."""
    if rate <= 0 or not weights:
        return Intensity(0.0, 0.0)
    total = sum(weights)
    shares = [weight / total for weight in weights]
    low, high = 0.0, rate
    for _ in range(_TRIES):
        middle = (low + high) / 2
        if _messages(middle, shares) < rate:
            low = middle
        else:
            high = middle
    return Intensity(low, low * _STIRS_PER_ORDER)
