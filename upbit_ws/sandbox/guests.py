"""
Orders of users in the book of a market: the crowd's levels and the users' orders as one book, first come, first served.

The crowd's own book stays free of them, so that whatever the crowd does to its levels it never touches a user's order.
Prices and sizes are in 1e-8. Pure.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from typing import Any, NamedTuple

from upbit_ws.sandbox.orderbook import Book, Level, Side

__all__ = ["Fill", "Guest", "Offer", "SharedBook"]


class Guest:
    """
    A resting order of a user.

    Attributes:
        side: "ASK" or "BID". `size`: what is left of it.
        ahead: how much of the crowd's size at the price came earlier and is served first.
        order: whatever the owner wants to find it by.
    """

    __slots__ = ("ahead", "order", "price", "side", "size")

    def __init__(self, side: str, price: int, size: int, order: Any) -> None:
        self.side = side
        self.price = price
        self.size = size
        self.order = order
        self.ahead = 0


class Offer(NamedTuple):
    """What an incoming order meets next: a part of a crowd's level, or a user's order."""

    price: int
    size: int
    guest: Guest | None


class Fill(NamedTuple):
    """A part of an incoming order that has met its offer."""

    price: int
    size: int
    guest: Guest | None = None


def _opposite(side: str) -> str:
    return "BID" if side == "ASK" else "ASK"


def _reaches(side: str, limit: int | None, price: int) -> bool:
    """Whether a taker of `side` with that limit would trade at `price`."""
    return limit is None or (price <= limit if side == "BID" else price >= limit)


class SharedBook:
    """The crowd's book and the orders of users in it. A taker of one side fills from the other."""

    def __init__(self, crowd: Book) -> None:
        self._crowd = crowd
        self._guests: dict[str, list[Guest]] = {"ASK": [], "BID": []}  # best price first, then in order of arrival

    def __len__(self) -> int:
        return sum(map(len, self._guests.values()))

    def guests(self, side: str) -> Iterator[Guest]:
        """The users' orders of a side, in the order in which they will be served."""
        return iter(tuple(self._guests[side]))

    def best_guest(self, side: str) -> int | None:
        """The best price among the users' orders of a side."""
        return self._guests[side][0].price if self._guests[side] else None

    def add(self, guest: Guest) -> None:
        """Let an order rest. It must not cross the other side."""
        sign = 1 if guest.side == "ASK" else -1
        levels = self._crowd.asks if guest.side == "ASK" else self._crowd.bids
        guest.ahead = levels.size_at(guest.price)
        insort(self._guests[guest.side], guest, key=lambda other: sign * other.price)

    def remove(self, guest: Guest) -> None:
        """Take an order away."""
        self._guests[guest.side].remove(guest)

    # Taking

    def offer(self, side: str, limit: int | None = None) -> Offer | None:
        """What a taker of `side` meets next, not beyond `limit`; None where there is nothing (any more)."""
        queue, level = self._guests[_opposite(side)], self._crowd.opposite(side).best
        guest = queue[0] if queue else None
        found: Offer | None = None
        if level is not None and (guest is None or self._is_served_first(side, level, guest)):
            ahead = level[1] if guest is None or guest.price != level[0] else min(guest.ahead, level[1])
            found = Offer(level[0], ahead, None)
        elif guest is not None:
            found = Offer(guest.price, guest.size, guest)
        return found if found is not None and _reaches(side, limit, found.price) else None

    @staticmethod
    def _is_served_first(side: str, level: Level, guest: Guest) -> bool:
        if level[0] == guest.price:
            return guest.ahead > 0
        return level[0] < guest.price if side == "BID" else level[0] > guest.price

    def consume(self, side: str, offer: Offer, size: int) -> Fill:
        """Let a taker of `side` have `size` of the offer it has just met."""
        guest = offer.guest
        if guest is not None:
            self.shrink(guest, size)
            return Fill(offer.price, size, guest)
        self._crowd.opposite(side).reduce(offer.price, size)
        for other in self._guests[_opposite(side)]:
            if other.price == offer.price:
                other.ahead = max(other.ahead - size, 0)
        return Fill(offer.price, size)

    def shrink(self, guest: Guest, size: int) -> None:
        """Make an order smaller; an emptied one is gone."""
        guest.size -= size
        if not guest.size:
            self.remove(guest)

    def take(self, side: str, size: int, limit: int | None = None) -> list[Fill]:
        """Fill an incoming order of `side` as far as it goes."""
        fills: list[Fill] = []
        while size > 0 and (offer := self.offer(side, limit)) is not None:
            fills.append(self.consume(side, offer, min(size, offer.size)))
            size -= fills[-1].size
        return fills

    def take_guests(self, side: str, price: int, size: int | None = None) -> list[Fill]:
        """
        Fill only from users' orders: those better than `price` for the taker, and with `size` up to that at `price`.
        """
        fills: list[Fill] = []
        for guest in self.guests(_opposite(side)):
            at_price = guest.price == price
            if not _reaches(side, price, guest.price) or (at_price and not size):
                break
            part = min(guest.size, size) if at_price and size is not None else guest.size
            self.shrink(guest, part)
            fills.append(Fill(guest.price, part, guest))
            if at_price and size is not None:
                size -= part
        return fills

    # Looking

    def best(self, side: str) -> Level | None:
        """The best level of a side, everybody's sizes together."""
        return next(iter(self.levels(side)), None) if self._guests[side] else self._crowd_side(side).best

    def levels(self, side: str) -> tuple[Level, ...]:
        """All levels of a side, best first."""
        levels = self._crowd_side(side).levels()
        if not self._guests[side]:
            return levels
        sizes = dict(levels)
        for guest in self._guests[side]:
            sizes[guest.price] = sizes.get(guest.price, 0) + guest.size
        return tuple(sorted(sizes.items(), reverse=side == "BID"))

    def _crowd_side(self, side: str) -> Side:
        return self._crowd.asks if side == "ASK" else self._crowd.bids

    def available(self, side: str, limit: int | None) -> Iterator[Offer]:
        """Everything that a taker of `side` could have, not beyond `limit`: guests one by one, then the crowd."""
        for guest in self._guests[_opposite(side)]:
            if _reaches(side, limit, guest.price):
                yield Offer(guest.price, guest.size, guest)
        for price, size in self._crowd.opposite(side):
            if not _reaches(side, limit, price):
                return
            yield Offer(price, size, None)
