"""
The exchange as Python sees it: the market behind one lock, and the handles by which a test or a demo interferes.

Everything may be called from any thread, before the server runs and while it runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from random import Random

from attrs import evolve

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.sandbox.account_handles import AccountHandles
from upbit_ws.sandbox.accounts import Ledger
from upbit_ws.sandbox.auth import KeyRing
from upbit_ws.sandbox.catalogue import market_specs, named_specs
from upbit_ws.sandbox.config import SandboxConfig
from upbit_ws.sandbox.desk import Desk
from upbit_ws.sandbox.feeds import Feeds
from upbit_ws.sandbox.hub import Hub, HubOptions
from upbit_ws.sandbox.listing import Listing
from upbit_ws.sandbox.market import Market
from upbit_ws.sandbox.matching import Engine, EngineOptions
from upbit_ws.sandbox.money import to_atoms
from upbit_ws.sandbox.records import MarketEvent, TradeRecord
from upbit_ws.sandbox.tick_size import from_units, is_on_grid, tick_size, to_units

__all__ = ["FIXED_START", "Exchange", "Trade"]

FIXED_START = 1_790_134_742.0
"""Where a `manual` market begins, 2026-09-23 03:39:02 UTC: the same run twice is the same."""

_SIDES = ("ASK", "BID")


class Trade:
    """
    A trade that was made, in the units that users think in.

    Attributes:
        code, side: "KRW-BTC"; "ASK" or "BID", the taker's.
        price, volume: floats.
        sequential_id: unique in its market.
        timestamp: ms since the epoch.
    """

    __slots__ = ("code", "price", "sequential_id", "side", "timestamp", "volume")

    def __init__(self, record: TradeRecord) -> None:
        self.code = record.code
        self.side = record.side
        self.price = from_units(record.price)
        self.volume = from_units(record.size)
        self.sequential_id = record.sequential_id
        self.timestamp = record.timestamp

    def __repr__(self) -> str:
        return f"<Trade {self.code} {self.side} {self.price:.8g} x {self.volume:.8g} #{self.sequential_id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trade) and (self.code, self.sequential_id) == (other.code, other.sequential_id)

    def __hash__(self) -> int:
        return hash((self.code, self.sequential_id))


class Exchange(AccountHandles):
    """
    One simulated exchange.

    Args:
        config: see `SandboxConfig`.
        wake: called, without the lock, when something was queued for a connection.
    """

    def __init__(self, config: SandboxConfig, *, wake: Callable[[], None] = lambda: None) -> None:
        self._ticked_at = time.monotonic()
        start = config.start_time
        if start is None:
            start = FIXED_START if config.manual else time.time()
        # Guards the market, the hub with all its readers, and the tick below.
        self.lock = threading.Lock()
        self.market = Market(
            market_specs(config.markets, config.market_count), now=start * 1_000, options=config.market_options
        )
        self.hub = Hub(self.market, _hub_options(config), Random(config.seed))
        self.feeds = Feeds(self.hub, exponents=config.money_exponents, asset_delay=config.asset_delay)
        self.keys = KeyRing(config.keys)
        ledger = Ledger()
        engine = Engine(self.market, ledger, _engine_options(config))
        self.desk = Desk(self.market, self.hub, ledger, engine, self.feeds)
        for account in self.keys.accounts or ["main"]:
            for currency, amount in config.balances.items():
                self.desk.deposit(account, currency, to_atoms(amount))
        self._config = config
        self._wake = wake

    def __repr__(self) -> str:
        return f"<Exchange {len(self.market.listings)} markets, {len(self.hub.readers)} connections>"

    # Looking

    @property
    def markets(self) -> list[str]:
        """The codes that are listed."""
        with self.lock:
            return list(self.market.listings)

    @property
    def now(self) -> float:
        """The market's time, seconds since the epoch."""
        with self.lock:
            return self.market.now / 1_000

    def price(self, code: str) -> float:
        """The last trade's price."""
        with self.lock:
            return from_units(self._listing_locked(code).price)

    def trades(self, code: str, *, since: int = 0) -> list[Trade]:
        """The trades still remembered, oldest first; with `since` only those with a larger sequential id."""
        with self.lock:
            self._listing_locked(code)
            records = self.market.trades_since(code, since)
        return [Trade(record) for record in records]

    def sent(self, data_type: str, code: str) -> int:
        """Messages of that type and code handed to connections so far, all connections together."""
        with self.lock:
            return self.hub.sent[data_type, code]

    # Interfering

    def advance(self, seconds: float) -> int:
        """Let that much market time pass at once, in addition to real time where that runs; the number of events."""
        if seconds < 0:
            raise InvalidArgumentError("seconds", f"must not be negative, got {seconds!r}", "advance(1.0)")
        with self.lock:
            events = self.market.advance(seconds)
            self.desk.publish(events)
        self._wake()
        return len(events)

    def trade(
        self, code: str, price: float | None = None, volume: float | None = None, side: str | None = None
    ) -> Trade:
        """
        Make one trade now.

        Args:
            price: by default the best of the book; elsewhere, the book moves there. Must lie on the price grid.
            volume: by default a typical one.
            side: the taker's, "ASK" sells and "BID" buys; by default either.
        """
        if side is not None and side not in _SIDES:
            raise InvalidArgumentError("side", f"must be ASK or BID, got {side!r}", 'side="BID"')
        with self.lock:
            listing = self._listing_locked(code)
            units = None if price is None else _on_grid(listing.spec.quote, price)
            size = None if volume is None else to_units(volume)
            if size is not None and size < 1:
                raise InvalidArgumentError("volume", f"must be at least 0.00000001, got {volume!r}", "volume=0.01")
            events = self.market.trade(code, price=units, size=size, side=side)
            self.desk.publish(events)
        self._wake()
        return next(Trade(event) for event in reversed(events) if isinstance(event, TradeRecord))

    def list_market(self, code: str, price: float | None = None) -> None:
        """List a market, by default at an invented price, and let it have its first trade."""
        (spec,) = named_specs([code], rank=len(self.market.listings))
        if price is not None:
            spec = evolve(spec, price=_on_grid(spec.quote, price))
        with self.lock:
            self.desk.publish(self.market.list_market(spec))
        self._wake()

    def delist_market(self, code: str) -> None:
        """Take a market off: it falls silent, and REST does not know it any more."""
        with self.lock:
            self._listing_locked(code)
            self.desk.cancel_market(code)
            self.market.delist_market(code)
        self._wake()

    def warn(self, code: str, warning: bool = True) -> None:
        """Put a market under the investment warning, or lift it."""
        with self.lock:
            self._listing_locked(code).warning = "CAUTION" if warning else "NONE"

    # For the server

    def tick(self) -> list[MarketEvent]:
        """Let as much market time pass as has really passed since the last call. Only where time runs by itself."""
        with self.lock:
            now = time.monotonic()
            passed, self._ticked_at = now - self._ticked_at, now
            if self._config.manual:
                return []
            events = self.market.advance(passed)
            self.desk.publish(events)
            return events

    def until_next_event(self) -> float | None:
        """Real seconds until the market does something by itself; None if it never does."""
        if self._config.manual:
            return None
        with self.lock:
            due = (min(self.market.next_event_at, self.desk.indicators.next_due) - self.market.now) / 1_000
            return due - (time.monotonic() - self._ticked_at)

    def _listing_locked(self, code: str) -> Listing:
        assert self.lock.locked()
        listing = self.market.listings.get(code)
        if listing is None:
            some = ", ".join(list(self.market.listings)[:3])
            raise InvalidArgumentError("code", f"is not listed here: {code!r}", f"one of {some}...")
        return listing


def _on_grid(quote: str, price: float) -> int:
    """A price in 1e-8, refused where no order could have it."""
    units = to_units(price)
    if not is_on_grid(quote, units):
        unit = from_units(tick_size(quote, units))
        raise InvalidArgumentError("price", f"must be a multiple of {unit:.8g}, got {price!r}", "another price")
    return units


def _engine_options(config: SandboxConfig) -> EngineOptions:
    return EngineOptions(
        seed=config.seed,
        fee=int(Decimal(str(config.fee_rate)) * 10_000),
        default_smp=config.default_smp_type,
        wait_first=config.wait_first,
    )


def _hub_options(config: SandboxConfig) -> HubOptions:
    return HubOptions(
        bursts=len(config.snapshot_delays),
        reorder_snapshots=config.reorder_snapshots,
        stale_frames=config.stale_frames,
        list_group=config.list_group,
        backlog=config.backlog,
        plain_numbers=config.plain_numbers,
        regional=config.regional,
        deprecated_ticker_fields=config.deprecated_ticker_fields,
    )
