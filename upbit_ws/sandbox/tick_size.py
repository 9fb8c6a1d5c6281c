"""
Order price units: the grid on which a price of a market may lie.

Prices and sizes are whole numbers of 1e-8 everywhere inside the sandbox (`SCALE`), so that sums of trades, candles and
accumulated values agree to the last digit and no grid is missed by a rounding error.

Source: Upbit's market information pages for KRW (the table in force since 2025-07-31), BTC and USDT markets.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal

__all__ = ["SCALE", "from_units", "is_on_grid", "round_to_tick", "step", "supported_levels", "tick_size", "to_units"]

SCALE = 10**8
"""Units in 1: a price of 0.00000001 is 1, a price of 1,000 KRW is 1000 * SCALE."""

# (the price from which the unit counts, the unit), both in 1e-8, lowest first.
_KRW: tuple[tuple[int, int], ...] = (
    (0, 1),  # below 0.00001
    (1_000, 10),
    (10_000, 100),
    (100_000, 1_000),
    (1_000_000, 10_000),
    (10_000_000, 100_000),  # 0.1
    (1 * SCALE, SCALE // 100),
    (10 * SCALE, SCALE // 10),
    (100 * SCALE, SCALE),
    (1_000 * SCALE, SCALE),
    (5_000 * SCALE, 5 * SCALE),
    (10_000 * SCALE, 10 * SCALE),
    (50_000 * SCALE, 50 * SCALE),
    (100_000 * SCALE, 100 * SCALE),
    (500_000 * SCALE, 500 * SCALE),
    (1_000_000 * SCALE, 1_000 * SCALE),
)
_BTC: tuple[tuple[int, int], ...] = ((0, 1),)
_USDT: tuple[tuple[int, int], ...] = (
    (0, 1),  # below 0.0001
    (10_000, 10),
    (100_000, 100),
    (1_000_000, 1_000),
    (10_000_000, 10_000),
    (SCALE, 100_000),
    (10 * SCALE, 1_000_000),
)
_TABLES = {"KRW": _KRW, "BTC": _BTC, "USDT": _USDT}
_STARTS = {quote: tuple(start for start, _ in table) for quote, table in _TABLES.items()}

_LEVELS_PER_MARKET = 5


def to_units(value: float | int | str) -> int:
    """`value` as the nearest whole number of 1e-8."""
    if isinstance(value, int):
        return value * SCALE
    float(value)  # a text that is no number fails here, and not in the way of decimals
    return round(Decimal(str(value)) * SCALE)


def from_units(units: int) -> float:
    """The float that is nearest to `units` times 1e-8."""
    return units / SCALE


def tick_size(quote: str, price: int) -> int:
    """The order price unit of a market in `quote` currency at `price`; both in 1e-8. An unknown quote counts as BTC."""
    table = _TABLES.get(quote, _BTC)
    starts = _STARTS.get(quote, (0,))
    return table[bisect_right(starts, max(price, 0)) - 1][1]


def is_on_grid(quote: str, price: int) -> bool:
    """Whether an order at `price` would be accepted."""
    return price > 0 and price % tick_size(quote, price) == 0


def round_to_tick(quote: str, price: float) -> int:
    """The price on the grid that is nearest to `price` (in 1e-8), at least one unit."""
    unit = tick_size(quote, int(price))
    return max(round(price / unit) * unit, unit)


def step(quote: str, price: int, ticks: int) -> int:
    """
    The price `ticks` units above `price` (below, where negative), crossing the borders of the table on the way.

    Never below the smallest price of the grid. `price` need not lie on the grid: the first step reaches it.
    """
    for _ in range(abs(ticks)):
        if ticks > 0:
            unit = tick_size(quote, price)
            price = (price // unit + 1) * unit
        else:
            # One below decides the unit: 1,000,000 KRW falls to 999,500 and not to 999,000.
            unit = tick_size(quote, price - 1)
            below = -(-price // unit) - 1
            if below < 1:
                return unit
            price = below * unit
    return price


def supported_levels(quote: str, price: int) -> tuple[int, ...]:
    """
    The grouping levels of a market around `price`, in 1e-8, beginning with 0 (no grouping).

    Only KRW markets have any: ten times the order price unit and each tenfold of it up to five of them, while a level
    is not larger than the price itself. Upbit: orderbook instruments page gives 0, 10000, 100000, 1000000 and two
    more for KRW-BTC.
    """
    if quote != "KRW":
        return (0,)
    unit = tick_size(quote, price)
    levels = (unit * 10**power for power in range(1, _LEVELS_PER_MARKET + 1))
    return (0, *(level for level in levels if level <= price))
