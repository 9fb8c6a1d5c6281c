"""The user's orders and balances behind one lock, and since when they are complete.

Live events come from the I/O thread of the private endpoint, rows of REST from the reconciler; both end here, and what
comes back is what was news, each once.

What is *covered* is what somebody wants: all markets, or some. When a market comes to be covered, its open orders are
taken over from REST in silence (the *base*); only what happened after that moment is news. From the base on, everything
that REST knows and no event told was missed, and is news.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

from upbit_ws.events import Event, MyAsset, MyAssetEvent, MyOrderEvent
from upbit_ws.protocol.account_rows import OrderRow, missed_events
from upbit_ws.protocol.my_assets import MyAssets
from upbit_ws.protocol.my_orders import MyOrders
from upbit_ws.shared.locks import make_lock

__all__ = ["ASSETS", "AccountBook"]

#: The name under which balances are covered; markets have their codes, all markets together the empty one.
ASSETS = "assets"
#: REST tells whole seconds.
_RESOLUTION = 1000


class AccountBook:
    """One per pool."""

    def __init__(self) -> None:
        #: Guards everything below. What is public is replaced as a whole, and read without it.
        self._lock = make_lock("account-book", 28)
        self._orders = MyOrders()
        self._assets = MyAssets()
        #: What is covered, and since when (ms since the epoch).
        self.covered: Mapping[str, int] = MappingProxyType({})
        #: The part of it that has its base.
        self.based: frozenset[str] = frozenset()
        #: The newest epoch in which everything covered was reconciled; when that epoch was over, until when (monotonic
        #: seconds) it vouches for what is known.
        self.reconciled_in = 0
        self.vouched_at = float("-inf")
        #: Of how many fills of which orders the exchange has told that are not known.
        self.incomplete: Mapping[str, int] = MappingProxyType({})
        #: Whether live events wait until everything has been compared. Called under the lock, takes none.
        self.is_held: Callable[[], bool] = lambda: False
        #: Of the newest version of the wishes that was taken over.
        self._version = 0

    # -- what is covered ----------------------------------------------------------------------------------------------

    def cover(self, names: Collection[str], now: int, version: int = 0) -> None:
        """Follow exactly these: market codes, `""` for all markets, `ASSETS`. What is not covered is forgotten.

        Args:
            version: Of the wishes that say so; read before these. An older one than was taken over already is ignored:
                two threads that change what is wanted may come here in the other order.
        """
        markets = {name for name in names if name != ASSETS}
        with self._lock:
            if version < self._version:
                return
            self._version = version
            before = self.covered
            covered = {name: before[name] if name in before else before.get("", now) for name in markets}
            if ASSETS in names:
                covered[ASSETS] = before.get(ASSETS, now)
            self.covered = MappingProxyType(covered)
            self.based = frozenset(
                name for name in names if name in self.based or (name != ASSETS and "" in self.based)
            )
            if "" not in markets:
                self._orders.keep_only(markets)
                self._look_for_gaps_locked()
            if ASSETS not in names:
                self._assets = MyAssets()

    def covers(self, symbol: str) -> bool:
        """Whether orders of this market are followed."""
        return symbol in self.covered or "" in self.covered

    def has_base(self, names: Iterable[str]) -> bool:
        """Whether what is known of these is complete. Takes no lock."""
        based = self.based
        return all(name in based or (name != ASSETS and "" in based) for name in names)

    # -- events -------------------------------------------------------------------------------------------------------

    def take(self, event: Event) -> Event | None:
        """Apply a live event; what of it is news, completed."""
        with self._lock:
            if isinstance(event, MyOrderEvent):
                news = self._orders.take(event)
                if event.uuid not in self._orders.incomplete and not self.is_held():
                    self._orders.open_silently(event.uuid)
                self._look_for_gaps_locked()
                return news
            if isinstance(event, MyAssetEvent):
                return self._assets.take(event)
        return event

    def _look_for_gaps_locked(self) -> None:
        assert self._lock.locked()
        if self._orders.incomplete != self.incomplete:
            self.incomplete = MappingProxyType(dict(self._orders.incomplete))

    # -- rows of REST -------------------------------------------------------------------------------------------------

    def wants_details(self, row: OrderRow) -> bool:
        """Whether the fills of an order are needed to tell what was missed of it."""
        with self._lock:
            return len(row.fills) < row.trades_count and self._is_news_locked(row)

    def _is_news_locked(self, row: OrderRow) -> bool:
        assert self._lock.locked()
        if not self.covers(row.symbol) or self._orders.is_past(row.uuid):
            return False
        known = self._orders.get(row.uuid)
        if known is None and row.is_finished and row.created_at < self._began_locked(row.symbol) - 2 * _RESOLUTION:
            return False  # over before anybody was interested
        if known is not None and (row.uuid in self._orders.incomplete or not self._orders.is_opened(row.uuid)):
            return True  # a list may be behind the stream, and as many fills need not be the same ones
        return not row.is_told_by(known, len(self._orders.fills(row.uuid)))

    def _began_locked(self, symbol: str) -> int:
        assert self._lock.locked()
        moments = [self.covered[name] for name in (symbol, "") if name in self.covered]
        return min(moments, default=0) // _RESOLUTION * _RESOLUTION

    def apply(self, row: OrderRow, now: int) -> list[MyOrderEvent]:
        """Take over what REST says of an order; the events that were missed, in order."""
        with self._lock:
            self._orders.learn(row.uuid, row.now.price, row.now.volume)
            if not self._is_news_locked(row):
                return []
            known, fills = self._orders.get(row.uuid), self._orders.fills(row.uuid)
            events = missed_events(row, known, fills, now, is_opened=self._orders.is_opened(row.uuid))
            if not self._has_base_locked(row.symbol):
                events = self._as_base_locked(row, events)
            taken = [self._orders.take(event) for event in events]
            self._look_for_gaps_locked()
            return [event for event in taken if event is not None]

    def _has_base_locked(self, symbol: str) -> bool:
        assert self._lock.locked()
        return symbol in self.based or "" in self.based

    def _as_base_locked(self, row: OrderRow, events: list[MyOrderEvent]) -> list[MyOrderEvent]:
        """Take over in silence what happened before anybody was interested; the rest."""
        assert self._lock.locked()
        began = self._began_locked(row.symbol)
        if row.created_at >= began:
            return events
        fresh = [event for event in events if event.state == "trade" and event.timestamp >= began]
        if self._orders.get(row.uuid) is not None:  # live events of it came first; what REST has beyond is newer
            fresh += [event for event in events if event.state not in ("watch", "wait", "trade")]
        elif row.is_finished and not fresh:
            self._orders.pass_over(row.uuid)
            return []
        elif fresh:
            fresh += events[events.index(fresh[-1]) + 1 :]
        for event in events:
            if event not in fresh:
                self._orders.take(event)
        return fresh

    def open_orders(self) -> frozenset[str]:
        """Ids of the orders that are not finished, as far as is known."""
        with self._lock:
            return self._orders.open_uuids()

    @property
    def assets_revision(self) -> int:
        """To be read before the call whose result `apply_assets` gets."""
        with self._lock:
            return self._assets.revision

    def apply_assets(
        self, listed: Iterable[MyAsset], since: int, now: int, *, is_whole: bool = True
    ) -> MyAssetEvent | None:
        """Take over the balances as REST lists them; what was missed of them, None where nothing was."""
        listed = list(listed)
        with self._lock:
            changed = self._assets.reconcile(listed, since, now, is_whole=is_whole)
            return changed if ASSETS in self.based else None

    def settle(self, names: Iterable[str], epoch: int) -> None:
        """These were reconciled in an epoch."""
        with self._lock:
            self.based = self.based | (frozenset(names) & self.covered.keys())
            if self.covered.keys() <= self.based:
                self.reconciled_in = max(self.reconciled_in, epoch)

    # -- reading ------------------------------------------------------------------------------------------------------

    def orders(self) -> dict[str, MyOrderEvent]:
        """The newest state of every order by its id."""
        with self._lock:
            return self._orders.orders()

    def order(self, uuid: str) -> MyOrderEvent | None:
        """The newest state of one order."""
        with self._lock:
            return self._orders.get(uuid)

    def balances(self) -> dict[str, MyAsset]:
        """The newest balance of each currency."""
        with self._lock:
            return self._assets.balances()
