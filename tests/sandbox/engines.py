"""An engine on a market that stands still, with a book of known levels, and what it tells as sentences."""

from __future__ import annotations

from typing import Any

from upbit_ws.sandbox.accounts import Ledger
from upbit_ws.sandbox.catalogue import named_specs
from upbit_ws.sandbox.market import Market, MarketOptions
from upbit_ws.sandbox.matching import AssetNotice, Engine, EngineOptions, OrderNotice
from upbit_ws.sandbox.money import exact, to_atoms
from upbit_ws.sandbox.order_rules import OrderError, read_terms
from upbit_ws.sandbox.orders import OrderRecord
from upbit_ws.sandbox.records import MarketEvent
from upbit_ws.sandbox.tick_size import SCALE

START = 1_790_134_742_345.0
CODE = "KRW-XRP"
ASKS = {4_012: 10, 4_013: 20, 4_020: 500}
BIDS = {4_010: 10, 4_009: 20, 4_000: 500}


class Floor:
    """Everything that is needed to trade, without a server."""

    def __init__(self, *codes: str, rate: float = 0.0, seed: int = 1, **options: Any) -> None:
        self.market = Market(
            named_specs(codes or [CODE]),
            now=START,
            options=MarketOptions(rate=rate, seed=seed, history_hours=1.0 if rate else 0.0),
        )
        self.ledger = Ledger()
        self.engine = Engine(self.market, self.ledger, EngineOptions(seed=seed, **options))
        self.events: list[MarketEvent] = []
        self.notices: list[OrderNotice | AssetNotice] = []
        for name in ("main", "other"):
            account = self.ledger.open(name, name)
            for currency in ("KRW", "XRP", "BTC"):
                self.ledger.deposit(account, currency, to_atoms(10_000_000 if currency == "KRW" else 10_000))
                account.take_changed()
        if CODE in self.market.listings and not rate:
            self.quote(ASKS, BIDS)

    def quote(self, asks: dict[int, int], bids: dict[int, int]) -> None:
        """Have the crowd quote these levels and nothing else."""
        book = self.market.listings[CODE].book
        for side, levels in ((book.asks, asks), (book.bids, bids)):
            side.keep(0)
            for price, size in levels.items():
                side.add(price * SCALE, size * SCALE)

    def place(self, side: str, account: str = "main", code: str = CODE, **params: Any) -> OrderRecord:
        """Place an order, by default a limit order; what has become of it."""
        order_type = params.pop("ord_type", "limit")
        texts = {"market": code, "side": side, "ord_type": order_type, **params}
        listing = self.market.listings[code]
        terms = read_terms({k: str(v) for k, v in texts.items()}, listing, self.engine.options.default_smp)
        accepted, events = self.engine.place(account, terms)
        self.events += events
        return self.engine.orders[accepted.uuid].record()

    def now(self, record: OrderRecord) -> OrderRecord:
        """The same order as it stands now."""
        return self.engine.orders[record.uuid].record()

    def told(self, account: str = "main") -> list[str]:
        """What was said of the account's orders since the last call."""
        self.notices = self.engine.take_notices()
        return [said(one) for one in self.notices if isinstance(one, OrderNotice) and one.account == account]

    def balance(self, currency: str, account: str = "main") -> tuple[str, str]:
        """Free and locked."""
        balance = self.ledger.accounts[account].balance(currency)
        return str(balance.balance), str(balance.locked)

    def check(self) -> None:
        """What always has to hold."""
        orders = self.engine.orders.values()
        for currency in ("KRW", "XRP", "BTC"):
            assert self.ledger.missing(currency) == 0
            for account in self.ledger.accounts.values():
                held = account.balance(currency)
                assert held.balance >= 0
                mine = (o for o in orders if o.account == account.name and o.currency == currency and o.is_open)
                assert held.locked == exact(sum(order.locked for order in mine))
        for order in orders:
            record = order.record()
            if record.volume is not None:
                assert record.remaining_volume is not None
                assert record.executed_volume + record.remaining_volume + record.prevented_volume == record.volume
            assert sum(fill.volume for fill in record.fills) == record.executed_volume
            assert sum(fill.funds for fill in record.fills) == record.executed_funds
            assert sum(fill.fee for fill in record.fills) == record.paid_fee
            assert (order.guest is not None) == (order.state == "wait")
            assert order.guest is None or order.guest.size == order.left
        for listing in self.market.listings.values():
            bid, ask = listing.shared.best("BID"), listing.shared.best("ASK")
            assert bid is None or ask is None or bid[0] < ask[0]


def said(notice: OrderNotice) -> str:
    """A notice in a few words."""
    if notice.fill is None:
        return notice.state
    role = "maker" if notice.fill.is_maker else "taker"
    return f"trade {notice.fill.volume:f} at {notice.fill.price:f} as {role}"


__all__ = ["ASKS", "BIDS", "CODE", "START", "Floor", "OrderError", "said"]
