"""
Those who quote: they set a book up, mend it after trades, and move orders about in it. Driven by a seeded generator.
"""

from __future__ import annotations

from random import Random

from upbit_ws.sandbox.orderbook import Book, Side
from upbit_ws.sandbox.tick_size import step

__all__ = ["Liquidity"]

_WIDEST_SPREAD = 3
"""Ticks between best bid and best ask before somebody steps in between."""
_WIDEST_GAP = 3
"""Ticks between neighbouring levels, at the most, where a side is filled up."""
_ACTIVE_RANKS = 12
"""How far from the best price orders come and go."""
_MARGIN = 12
"""Levels that a side may have beyond its target before the worst are withdrawn."""


Inside = tuple[int | None, int | None]
"""The best ask and the best bid that somebody else has in the book."""


class Liquidity:
    """
    The quoting crowd of one market.

    Args:
        quote: quote currency, which decides the price grid.
        depth: levels that each side is filled up to. Fewer than 30 make a thin market, whose books are padded on the
        wire.
        size: a typical size of a level, in 1e-8 of the base currency.
        rng: source of all chance.
    """

    __slots__ = ("_depth", "_quote", "_rng", "_size")

    def __init__(self, quote: str, depth: int, size: int, rng: Random) -> None:
        self._quote = quote
        self._depth = depth
        self._size = size
        self._rng = rng

    def _level_size(self) -> int:
        return max(int(self._size * self._rng.lognormvariate(0.0, 0.9)), 1)

    def mend(self, book: Book, last: int, guests: Inside = (None, None)) -> None:
        """
        Close a wide spread and fill both sides up. An empty side begins beside `last`, the last traded price.

        `guests`: the best ask and the best bid of users, which the crowd does not quote through.
        """
        self._anchor(book, last, guests)
        self._narrow(book, guests)
        self._fill(book.asks, up=True)
        self._fill(book.bids, up=False)

    def _anchor(self, book: Book, last: int, guests: Inside) -> None:
        """Give an empty side its first level, on the far side of `last` and of the other side's best."""
        bid = book.bids.best
        guest_ask, guest_bid = guests
        if book.asks.best is None:
            reference = max(last, bid[0] if bid else 0, guest_bid or 0)
            book.asks.add(step(self._quote, reference, 1), self._level_size())
        if book.bids.best is None:
            ask = book.asks.price_at(0)
            price = step(self._quote, min(last, ask, guest_ask or ask), -1)
            if price < min(ask, guest_ask or ask):
                book.bids.add(price, self._level_size())

    def _narrow(self, book: Book, guests: Inside) -> None:
        """Quote inside a spread that has become too wide, from either side by chance."""
        while len(book.bids):
            ask = min(book.asks.price_at(0), guests[0] or book.asks.price_at(0))
            bid = max(book.bids.price_at(0), guests[1] or 0)
            if step(self._quote, bid, _WIDEST_SPREAD) >= ask:
                break
            ticks = self._rng.randint(1, 2)
            if self._rng.random() < 0.5:
                book.bids.add(step(self._quote, bid, ticks), self._level_size())
            else:
                book.asks.add(step(self._quote, ask, -ticks), self._level_size())

    def _fill(self, side: Side, *, up: bool) -> None:
        while 0 < len(side) < self._depth:
            worst = side.price_at(-1)
            ticks = self._rng.randint(1, _WIDEST_GAP)
            price = step(self._quote, worst, ticks if up else -ticks)
            if price == worst:  # the bottom of the grid
                break
            side.add(price, self._level_size())
        side.keep(self._depth + _MARGIN)

    def stir(self, book: Book) -> None:
        """One order is placed, enlarged, reduced or withdrawn near the best price. The best level of a side stays."""
        side, up = (book.asks, True) if self._rng.random() < 0.5 else (book.bids, False)
        if not len(side):
            return
        rank = min(int(self._rng.expovariate(0.35)), len(side) - 1, _ACTIVE_RANKS)
        price = side.price_at(rank)
        chance = self._rng.random()
        if chance < 0.45:
            side.add(price, self._level_size() // 2 + 1)
        elif chance < 0.7:
            behind = step(self._quote, price, 1 if up else -1)
            if behind != price:
                side.add(behind, self._level_size())
        elif rank and chance < 0.85:
            side.reduce(price, side.size_at(price))
        else:
            side.reduce(price, side.size_at(price) // 2)

    def price_jumped(self, book: Book, price: int, side: str, guests: Inside = (None, None)) -> None:
        """
        A trade of taker `side` was made at `price`, wherever that is: clear what stood in its way and quote around
        it.
        """
        if side == "BID":
            book.asks.cut_through(price)
            book.bids.cut_through(price)  # bids at the price or above would have been the makers' own
        else:
            book.bids.cut_through(price)
            book.asks.cut_through(price)
        far = step(self._quote, price, 3 * self._depth), step(self._quote, price, -3 * self._depth)
        _withdraw_stale(book, *far)
        self.mend(book, price, guests)


def _withdraw_stale(book: Book, highest: int, lowest: int) -> None:
    """Empty a side whose best price the market has left far behind."""
    if len(book.asks) and book.asks.price_at(0) > highest:
        book.asks.keep(0)
    if len(book.bids) and book.bids.price_at(0) < lowest:
        book.bids.keep(0)
