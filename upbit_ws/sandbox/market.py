"""
The market: seeded, consistent, and driven by nothing but `advance`.

Pure: no clock, thread or socket. Orders arrive at random moments, eat from the books and leave trades; books are
shown on
a grid of 100 ms with a phase of each pair's own; candles are told once a second; days roll over at UTC midnight.
Source of the cadence: measured on the wire (books), Upbit's candle page (candles), ticker page (days).
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect
from collections.abc import Callable, Iterable
from itertools import accumulate
from random import Random

from attrs import frozen

from upbit_ws.sandbox.catalogue import MarketSpec
from upbit_ws.sandbox.guests import Fill, Guest
from upbit_ws.sandbox.history import write_history
from upbit_ws.sandbox.intensity import Intensity, intensity
from upbit_ws.sandbox.liquidity import Liquidity
from upbit_ws.sandbox.listing import Listing
from upbit_ws.sandbox.records import CandleRecord, MarketEvent, TradeRecord
from upbit_ws.sandbox.tick_size import SCALE, round_to_tick

__all__ = ["Market", "MarketOptions"]

_SECOND = 1_000
_HOUR = 3_600_000
_DAY = 86_400_000
_GRID = 100
"""Milliseconds between two books of one pair. Measured on the wire."""
_SPLIT = 0.35
"""Chance that a fill at one price consists of two makers' orders, hence two trades in one millisecond."""
_TYPICAL_KRW = 400_000
_KRW_PER = {"KRW": 1.0, "BTC": 163_900_000.0, "USDT": 1_391.0}


@frozen
class MarketOptions:
    """
    How the market behaves.

    Attributes:
        seed: the same seed, markets and start give the same market.
        rate: messages per second over all markets, as seen by who subscribes to every ticker, trade and orderbook; 0
        is quiet.
        history_hours: how far back trades and candles reach at the start; 0 for none.
        keep_trades, keep_candles: bounds of memory, per market (candles: per market and unit).
        duplicate_trades: chance that a trade is told twice.
        late_final_candle: tell the last state of a finished candle one tick after the first of its successor.
    """

    seed: int = 1
    rate: float = 50.0
    history_hours: float = 30.0
    keep_trades: int = 5_000
    keep_candles: int = 1_000
    duplicate_trades: float = 0.0
    late_final_candle: bool = False


class Market:
    """
    All markets together.

    Args:
        specs: what is listed.
        now: start time, ms since the epoch.
        options: see `MarketOptions`.
    """

    def __init__(self, specs: Iterable[MarketSpec], *, now: float, options: MarketOptions | None = None) -> None:
        self.options = options if options is not None else MarketOptions()
        self.now = float(now)
        self.listings: dict[str, Listing] = {}
        self._rng = Random(self.options.seed)
        self._crowds: dict[str, Liquidity] = {}
        self._phases: dict[str, int] = {}
        self.guest_fills: list[tuple[Guest, TradeRecord]] = []  # users' orders that it has traded with
        self.follow_up: Callable[[], Iterable[MarketEvent]] = tuple  # asked after trades: what users' orders do then
        self._showing: list[tuple[float, str]] = []  # heap of when which book is shown next
        self._to_show: set[str] = set()
        self._candles_touched: set[str] = set()
        self._candles_due = math.inf
        self._late: list[CandleRecord] = []
        self._midnight = (int(now) // _DAY + 1) * _DAY
        for spec in specs:
            self._list(spec)
        self._retime()

    # Listing and delisting

    def list_market(self, spec: MarketSpec) -> list[MarketEvent]:
        """List a market now. Its first trade is made at once, so that it can be seen."""
        if spec.code in self.listings:
            return []
        self._list(spec)
        self._retime()
        return self.trade(spec.code)

    def delist_market(self, code: str) -> None:
        """Take a market off. Nothing is said of it any more."""
        del self.listings[code], self._crowds[code], self._phases[code]
        self._to_show.discard(code)
        self._candles_touched.discard(code)
        self._showing = [entry for entry in self._showing if entry[1] != code]
        heapq.heapify(self._showing)
        self._retime()

    def _list(self, spec: MarketSpec) -> None:
        options, now = self.options, int(self.now)
        rng = Random(f"{options.seed} {spec.code}")
        typical = self._typical_size(spec)
        opened = now - int(options.history_hours * _HOUR)
        listing = Listing(spec, now=opened, keep_trades=options.keep_trades, keep_candles=options.keep_candles)
        write_history(listing, since=opened, now=now, typical=typical, rng=rng)
        crowd = Liquidity(spec.quote, spec.depth, 3 * typical, rng)
        crowd.mend(listing.book, listing.price)
        listing.open(now)
        self.listings[spec.code] = listing
        self._crowds[spec.code] = crowd
        self._phases[spec.code] = rng.randrange(_GRID)

    @staticmethod
    def _typical_size(spec: MarketSpec) -> int:
        krw = spec.price / SCALE * _KRW_PER.get(spec.quote, 1.0)
        return max(int(_TYPICAL_KRW / krw * SCALE), 1)

    def _retime(self) -> None:
        """Work out anew who trades how often, after the set of markets changed."""
        self._codes = list(self.listings)
        weights = [self.listings[code].spec.weight for code in self._codes]
        self._cumulative = list(accumulate(weights))
        self._intensity: Intensity = intensity(self.options.rate, weights)
        self._next_order = self._draw(self._intensity.orders)
        self._next_stir = self._draw(self._intensity.stirs)

    def _draw(self, per_second: float) -> float:
        return self.now + self._rng.expovariate(per_second) * _SECOND if per_second > 0 else math.inf

    # Time

    @property
    def next_event_at(self) -> float:
        """When something happens next, ms since the epoch, if nobody interferes."""
        showing = self._showing[0][0] if self._showing else math.inf
        return min(self._next_order, self._next_stir, showing, self._candles_due, self._midnight)

    def advance(self, seconds: float) -> list[MarketEvent]:
        """Let that much time pass; what happened, in order."""
        until = self.now + max(seconds, 0.0) * _SECOND
        events: list[MarketEvent] = []
        while (due := self.next_event_at) <= until:
            self.now = due
            # On one instant: first what was decided before it, then the new day, then new orders.
            if due == self._candles_due:
                self._tell_candles(events)
            elif due == self._midnight:
                self._roll_day(events)
            elif self._showing and due == self._showing[0][0]:
                self._show_book(events)
            elif due == self._next_order:
                self._arrive(events)
            else:
                self._stir()
        self.now = until
        return events

    def _roll_day(self, events: list[MarketEvent]) -> None:
        self._midnight += _DAY
        for listing in self.listings.values():
            listing.roll(int(self.now))
            events.append(listing.ticker(int(self.now)))

    # Candles

    def _tell_candles(self, events: list[MarketEvent]) -> None:
        late, self._late = self._late, []
        for code in sorted(self._candles_touched):
            changed = self.listings[code].candles.take_changed()
            if self.options.late_final_candle:
                changed = self._hold_back_finals(changed)
            events.extend(changed)
        self._candles_touched.clear()
        self._candles_due = self._next_second() if self._late else math.inf
        events.extend(candle for candle in late if candle.code in self.listings)

    def _next_second(self) -> float:
        return (self.now // _SECOND + 1) * _SECOND

    def _hold_back_finals(self, changed: list[CandleRecord]) -> list[CandleRecord]:
        """Keep what is not the newest candle of its unit for the next tick."""
        newest = {candle.unit: candle.start for candle in changed}
        self._late.extend(candle for candle in changed if candle.start != newest[candle.unit])
        return [candle for candle in changed if candle.start == newest[candle.unit]]

    # Books

    def touch_book(self, code: str) -> None:
        """Have the book shown at the next point of the pair's grid."""
        if code not in self._to_show:
            self._to_show.add(code)
            phase = self._phases[code]
            at = (math.floor((self.now - phase) / _GRID) + 1) * _GRID + phase
            heapq.heappush(self._showing, (at, code))

    def _show_book(self, events: list[MarketEvent]) -> None:
        _, code = heapq.heappop(self._showing)
        self._to_show.discard(code)
        shown = self.listings[code].publish(int(self.now))
        if shown is not None:
            events.append(shown)

    def _stir(self) -> None:
        self._next_stir = self._draw(self._intensity.stirs)
        code = self._pick()
        listing = self.listings[code]
        self._crowds[code].stir(listing.book)
        self._mend(listing, listing.price)
        self.touch_book(code)

    def _mend(self, listing: Listing, last: int) -> None:
        guests = listing.shared.best_guest("ASK"), listing.shared.best_guest("BID")
        self._crowds[listing.code].mend(listing.book, last, guests)

    # Trades

    def _pick(self) -> str:
        return self._codes[bisect(self._cumulative, self._rng.random() * self._cumulative[-1], hi=len(self._codes) - 1)]

    def _arrive(self, events: list[MarketEvent]) -> None:
        """A taker's order comes in somewhere. The further a price has strayed, the likelier it is pulled back."""
        self._next_order = self._draw(self._intensity.orders)
        code = self._pick()
        spec = self.listings[code].spec
        strayed = math.log(self.listings[code].price / spec.price)
        side = "BID" if self._rng.random() < 0.5 - max(min(2.5 * strayed, 0.4), -0.4) else "ASK"
        size = max(int(self._typical_size(spec) * self._rng.lognormvariate(0.0, 1.2)), 1)
        events.extend(self.execute(code, side, size))

    def execute(self, code: str, side: str, size: int, limit: int | None = None) -> list[MarketEvent]:
        """
        Fill a taker's order of `side` from the book, not beyond `limit`; what could not be filled is cancelled.

        Prices and sizes in 1e-8. The events are the trades and the ticker after them.
        """
        return self._made_by_crowd(code, side, self.listings[code].shared.take(side, size, limit))

    def trade(
        self, code: str, *, price: int | None = None, size: int | None = None, side: str | None = None
    ) -> list[MarketEvent]:
        """
        Make one trade now, by default of a typical size at the best price. A `price` elsewhere moves the book there:
        the orders of users that are in the way are filled first.
        """
        listing = self.listings[code]
        side = side or self._rng.choice(("ASK", "BID"))
        size = size or self._typical_size(listing.spec)
        self._mend(listing, listing.price)
        if price is None:
            best = listing.shared.offer(side)
            price = best.price if best else listing.price
        price = round_to_tick(listing.spec.quote, price)
        other = "BID" if side == "ASK" else "ASK"
        events = self._made_by_crowd(code, other, listing.shared.take_guests(other, price))
        fills = listing.shared.take_guests(side, price, size)
        left = size - sum(fill.size for fill in fills if fill.price == price)
        best_level = listing.book.opposite(side).best
        if best_level and best_level[0] == price and best_level[1] > left:
            listing.book.opposite(side).reduce(price, left)
        else:
            guests = listing.shared.best_guest("ASK"), listing.shared.best_guest("BID")
            self._crowds[code].price_jumped(listing.book, price, side, guests)
        if left:
            fills.append(Fill(price, left))
        return events + self._made_by_crowd(code, side, fills, split=False)

    def _made_by_crowd(self, code: str, side: str, fills: list[Fill], *, split: bool = True) -> list[MarketEvent]:
        """Settle an order of the market's own, and let the users' orders that it met follow up."""
        events, trades = self.settle(code, side, fills, split=split)
        for fill, parts in zip(fills, trades, strict=True):
            if fill.guest is not None:
                self.guest_fills.extend((fill.guest, trade) for trade in parts)
        events.extend(self.follow_up())
        return events

    def settle(
        self, code: str, side: str, fills: list[Fill], *, split: bool = True
    ) -> tuple[list[MarketEvent], list[list[TradeRecord]]]:
        """
        Turn fills of a taker of `side` into trades, and mend the book.

        Returns what the market has to tell of it, and the trades of each fill.
        """
        if not fills:
            return [], []
        listing, now = self.listings[code], int(self.now)
        self._mend(listing, fills[-1].price)
        numbered = self._numbered(listing, now, fills, split=split)
        made = iter(listing.record(now, side, [part for parts in numbered for part in parts]))
        trades = [[next(made) for _ in parts] for parts in numbered]
        self.touch_book(code)
        self._candles_touched.add(code)
        self._candles_due = min(self._candles_due, self._next_second())
        events: list[MarketEvent] = []
        for trade in (trade for parts in trades for trade in parts):
            events.append(trade)
            if self.options.duplicate_trades and self._rng.random() < self.options.duplicate_trades:
                events.append(trade)
        events.append(listing.ticker(now))
        return events, trades

    def _numbered(
        self, listing: Listing, now: int, fills: list[Fill], *, split: bool
    ) -> list[list[tuple[int, int, int]]]:
        """
        The parts of each fill with their ids. Inside one price the ids do not follow the order of execution, as on the
        real exchange; from one price to the next they do, so that sorting by id ends with the last price.
        """
        numbered: list[list[tuple[int, int, int]]] = []
        for price, size, guest in fills:
            parts = [size]
            if split and guest is None and size > 1 and self._rng.random() < _SPLIT:
                part = self._rng.randint(1, size - 1)
                parts = [part, size - part]
            ids = listing.take_ids(now, len(parts))[::-1]
            numbered.append([(price, part, number) for part, number in zip(parts, ids, strict=True)])
        return numbered

    # Users' orders

    def rest(self, code: str, guest: Guest) -> None:
        """Let a user's order rest in the book, which shows it at the next point of the grid."""
        self.listings[code].shared.add(guest)
        self.touch_book(code)

    def withdraw(self, code: str, guest: Guest) -> None:
        """Take a user's order out of the book."""
        self.listings[code].shared.remove(guest)
        self.touch_book(code)

    def trades_since(self, code: str, sequential_id: int = 0) -> list[TradeRecord]:
        """The trades still remembered with a larger id, oldest first."""
        return [trade for trade in self.listings[code].trades if trade.sequential_id > sequential_id]
