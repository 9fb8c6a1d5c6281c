"""
Where orders are handed in, by REST or by Python, and everybody concerned is told. Under the lock of the exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from upbit_ws.sandbox.accounts import Account, Ledger
from upbit_ws.sandbox.announcements import NoticeBoard
from upbit_ws.sandbox.feeds import Feeds
from upbit_ws.sandbox.hub import Hub
from upbit_ws.sandbox.indicators import Indicators
from upbit_ws.sandbox.market import Market
from upbit_ws.sandbox.matching import Engine
from upbit_ws.sandbox.order_rules import OrderError, read_terms
from upbit_ws.sandbox.orders import Order, OrderRecord
from upbit_ws.sandbox.records import MarketEvent

__all__ = ["Desk"]


class Desk:
    """
    Args:
        market, hub: the public side.
        ledger, engine, feeds: the private side.
    """

    def __init__(self, market: Market, hub: Hub, ledger: Ledger, engine: Engine, feeds: Feeds) -> None:
        self.ledger = ledger
        self.engine = engine
        self.feeds = feeds
        self.indicators = Indicators(market, feeds)
        self.board = NoticeBoard()
        self._market = market
        self._hub = hub

    @property
    def now(self) -> int:
        """The market's time in ms."""
        return int(self._market.now)

    def publish(self, events: Iterable[MarketEvent]) -> None:
        """Tell the public what happened in the market, and users what became of their orders and assets through it."""
        self._hub.publish(events)
        self.feeds.publish(self.engine.take_notices())
        self.indicators.tick()

    def account(self, name: str) -> Account:
        """The account of that name, opened if it is new."""
        found = self.ledger.accounts.get(name)
        return found if found is not None else self.ledger.open(name, self.engine.new_uuid())

    def deposit(self, name: str, currency: str, amount: int) -> None:
        """Pay in atoms of a currency, or out if negative."""
        self.ledger.deposit(self.account(name), currency, amount)
        self.engine.tell_assets(name)
        self.publish(())

    def place(self, name: str, params: Mapping[str, str]) -> OrderRecord:
        """
        Place an order as `POST /v1/orders` describes it; what it looks like when accepted.

        Raises:
            OrderError: it is refused.
        """
        listing = self._market.listings.get(params.get("market", "").upper())
        if listing is None:
            raise OrderError.named("notfoundmarket" if params.get("market") else "validation_error")
        self.account(name)
        accepted, events = self.engine.place(name, read_terms(params, listing, self.engine.options.default_smp))
        self.publish(events)
        return accepted

    def cancel(self, order: Order) -> None:
        """Cancel what is left of an order."""
        self.engine.cancel(order)
        self.publish(())

    def cancel_market(self, code: str) -> None:
        """Cancel all orders of a market."""
        self.engine.cancel_market(code)
        self.publish(())
