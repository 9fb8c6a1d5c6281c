"""A limit order book of price levels, and what the exchange shows of it: windows, grouping, padding."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

__all__ = ["UNIT_COUNTS", "Book", "Level", "Side", "grouped", "pad", "window"]

Level = tuple[int, int]
"""A price and the size resting there, both in 1e-8."""

UNIT_COUNTS: tuple[int, ...] = (1, 5, 15, 30)
"""
The depths that can be asked for. Any other falls back to 30. Upbit: change notice of 2025-07-02, measured on the
wire.
"""


class Side:
    """One side of a book, best price first. `sign` is 1 for asks (lowest is best) and -1 for bids."""

    __slots__ = ("_keys", "_sign", "_sizes")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []  # price times sign, ascending: the best price first on either side
        self._sizes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Level]:
        return ((key * self._sign, self._sizes[key]) for key in self._keys)

    @property
    def best(self) -> Level | None:
        """The best level, None where the side is empty."""
        if not self._keys:
            return None
        key = self._keys[0]
        return key * self._sign, self._sizes[key]

    def price_at(self, rank: int) -> int:
        """The price of the level with that rank, 0 being the best, -1 the worst."""
        return self._keys[rank] * self._sign

    def size_at(self, price: int) -> int:
        """What rests at `price`, 0 where nothing does."""
        return self._sizes.get(price * self._sign, 0)

    def add(self, price: int, size: int) -> None:
        """Put `size` on top of what rests at `price`."""
        key = price * self._sign
        if key in self._sizes:
            self._sizes[key] += size
        else:
            insort(self._keys, key)
            self._sizes[key] = size

    def reduce(self, price: int, size: int) -> int:
        """Take up to `size` away at `price`; what was taken. An emptied level is gone."""
        key = price * self._sign
        resting = self._sizes.get(key, 0)
        if size < resting:
            self._sizes[key] = resting - size
            return size
        if resting:
            del self._sizes[key]
            del self._keys[bisect_left(self._keys, key)]
        return resting

    def take(self, size: int, limit: int | None = None) -> list[Level]:
        """Fill an incoming order of `size` from the best price on, not beyond `limit`: the fills as price and size."""
        fills: list[Level] = []
        while size > 0 and self._keys:
            price = self._keys[0] * self._sign
            if limit is not None and self._keys[0] > limit * self._sign:
                break
            filled = self.reduce(price, size)
            fills.append((price, filled))
            size -= filled
        return fills

    def cut_through(self, price: int) -> None:
        """Remove every level at `price` or better, as if somebody had bought or sold all of them."""
        end = bisect_left(self._keys, price * self._sign + 1)
        for key in self._keys[:end]:
            del self._sizes[key]
        del self._keys[:end]

    def keep(self, count: int) -> None:
        """Remove everything worse than the best `count` levels."""
        for key in self._keys[count:]:
            del self._sizes[key]
        del self._keys[count:]

    def levels(self) -> tuple[Level, ...]:
        """All levels, best first."""
        prices = self._keys if self._sign == 1 else [-key for key in self._keys]
        return tuple(zip(prices, map(self._sizes.__getitem__, self._keys), strict=True))


class Book:
    """Asks and bids of one market."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.asks = Side(1)
        self.bids = Side(-1)

    def opposite(self, side: str) -> Side:
        """The side that a taker order of `side` ("ASK" sells, "BID" buys) fills from."""
        return self.bids if side == "ASK" else self.asks

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid reaches the best ask, which must never be seen."""
        ask, bid = self.asks.best, self.bids.best
        return ask is not None and bid is not None and bid[0] >= ask[0]


def grouped(levels: tuple[Level, ...], group: int, *, asks: bool) -> tuple[Level, ...]:
    """
    `levels` merged on a grid of `group` (in 1e-8), best first. Asks are rounded up and bids down, so no pair crosses
    that did not before.

    A bid below the first step of the grid falls to price 0, which a book shows as an empty slot: it is left out.
    """
    if not group:
        return levels
    merged: dict[int, int] = {}
    for price, size in levels:
        step = -(-price // group) * group if asks else price // group * group
        if step:
            merged[step] = merged.get(step, 0) + size
    return tuple(merged.items())


def window(levels: tuple[Level, ...], units: int) -> tuple[Level, ...]:
    """The best `units` levels."""
    return levels[:units]


def pad(levels: tuple[Level, ...], units: int) -> tuple[Level, ...]:
    """`levels` filled up to `units` with empty slots, the way thin markets look on the wire."""
    return levels + ((0, 0),) * (units - len(levels))
