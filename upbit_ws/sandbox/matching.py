"""
The engine: users' orders against the simulated market, against each other, and never against their own owner's.

Everything happens under the lock of the exchange and is complete before anybody is told: what a private message says is
what REST already answers. Source of the sequences: Upbit's myOrder page and captures of 2024 and 2025; what those leave
open (a `wait` before an immediate fill, the lock that a `cancel` still shows) follows the captures.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import NamedTuple
from uuid import UUID

from attrs import frozen

from upbit_ws.sandbox.accounts import Balance, InsufficientFundsError, Ledger
from upbit_ws.sandbox.guests import Fill, Guest
from upbit_ws.sandbox.market import Market
from upbit_ws.sandbox.order_rules import OrderError
from upbit_ws.sandbox.orders import FillRecord, Order, OrderRecord, Terms
from upbit_ws.sandbox.records import MarketEvent, TradeRecord

__all__ = ["AssetNotice", "Engine", "EngineOptions", "OrderNotice"]

_KEPT_FINISHED = 100_000


class OrderNotice(NamedTuple):
    """Something happened to an order. `state` is that of the message: also trade and prevented."""

    account: str
    record: OrderRecord
    state: str
    fill: FillRecord | None
    timestamp: int


class AssetNotice(NamedTuple):
    """Balances of an account changed."""

    account: str
    asset_uuid: str
    assets: tuple[Balance, ...]
    asset_timestamp: int
    timestamp: int


@frozen
class EngineOptions:
    """
    Args:
        seed: of the ids.
        fee: in ten-thousandths.
        default_smp: what an order without `smp_type` gets; None: null, as before 2026-11-09.
        wait_first: tell of an order before its immediate fills.
    """

    seed: int = 1
    fee: int = 5
    default_smp: str | None = "cancel_maker"
    wait_first: bool = True


class _Prevention(NamedTuple):
    """Instead of a fill: taker and maker have one owner."""

    maker: Order
    price: int
    size: int


_Step = Fill | _Prevention


class Engine:
    """
    Args:
        market: gives liquidity, and has the trades made.
        ledger: the accounts.
        options: see `EngineOptions`.
    """

    def __init__(self, market: Market, ledger: Ledger, options: EngineOptions | None = None) -> None:
        self.options = options if options is not None else EngineOptions()
        self.orders: dict[str, Order] = {}  # oldest first
        self._market = market
        self._ledger = ledger
        self._rng = Random(f"{self.options.seed} orders")
        self._identifiers: dict[tuple[str, str], Order] = {}
        self._watching: list[Order] = []
        self._finished: deque[Order] = deque()
        self._notices: list[OrderNotice | AssetNotice] = []
        self._asset_times: dict[str, int] = {}
        market.follow_up = self.follow_up

    @property
    def _now(self) -> int:
        return int(self._market.now)

    def new_uuid(self) -> str:
        """The next id; the same seed gives the same ones."""
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    def take_notices(self) -> list[OrderNotice | AssetNotice]:
        """What is to be told since the last call, in order."""
        notices, self._notices = self._notices, []
        return notices

    def find(self, account: str, *, uuid: str | None = None, identifier: str | None = None) -> Order | None:
        """An order of that account."""
        order = self.orders.get(uuid) if uuid is not None else self._identifiers.get((account, identifier or ""))
        return order if order is not None and order.account == account else None

    # Coming and going

    def place(self, account: str, terms: Terms) -> tuple[OrderRecord, list[MarketEvent]]:
        """
        Take an order: lock what it needs, then let it trade.

        Returns what it looked like when it was accepted, before anything became of it, and what the market has to tell.

        Raises:
            OrderError: the identifier was used before, or there is not enough to lock.
        """
        if terms.identifier is not None and (account, terms.identifier) in self._identifiers:
            raise OrderError.named("identifier_used")
        order = Order(account, terms, uuid=self.new_uuid(), now=self._now, fee=self.options.fee)
        try:
            self._ledger.lock(self._ledger.accounts[account], order.currency, order.locked)
        except InsufficientFundsError:
            raise OrderError.named(f"insufficient_funds_{terms.side.lower()}") from None
        self.orders[order.uuid] = order
        if terms.identifier is not None:
            self._identifiers[account, terms.identifier] = order
        accepted = order.record()
        if terms.trigger is not None:
            order.rises_to_trigger = terms.trigger > self._market.listings[terms.code].price
            self._watching.append(order)
            self._tell(order, "watch")
            return accepted, []
        return accepted, [*self._enter(order), *self.follow_up()]

    def cancel(self, order: Order) -> None:
        """Cancel what is left. Nothing happens to an order that is over."""
        if order.is_open:
            self._withdraw(order)
            self._finish(order, "cancel")

    def cancel_market(self, code: str) -> None:
        """Cancel all orders of a market, as when it is delisted."""
        for order in tuple(self.orders.values()):
            if order.terms.code == code:
                self.cancel(order)

    def follow_up(self) -> list[MarketEvent]:
        """Settle what the market has traded with users' orders, then let orders in whose trigger was reached."""
        fills, self._market.guest_fills = self._market.guest_fills, []
        for guest, trade in fills:
            self._fill(guest.order, trade, self.new_uuid(), is_maker=True)
        events: list[MarketEvent] = []
        while (order := next(filter(self._is_triggered, self._watching), None)) is not None:
            self._watching.remove(order)
            order.state = "wait"
            events.extend(self._enter(order))
        return events

    def _is_triggered(self, order: Order) -> bool:
        price, trigger = self._market.listings[order.terms.code].price, order.terms.trigger
        assert trigger is not None
        return price >= trigger if order.rises_to_trigger else price <= trigger

    # Trading

    def _enter(self, order: Order) -> list[MarketEvent]:
        """Let an order that was accepted meet the book: fills first, then it rests, or its remainder is cancelled."""
        terms = order.terms
        limit = self._limit(order)
        meets = self._market.listings[terms.code].shared.offer(terms.side, limit) is not None
        if self.options.wait_first or not meets or terms.trigger is not None:
            self._tell(order, "wait")
        refused = (terms.order_type == "best" and limit is None) or (terms.time_in_force == "post_only" and meets)
        if refused or (terms.time_in_force == "fok" and not self._is_fillable(order, limit)):
            self._finish(order, "cancel")
            return []
        steps, left = self._walk(order, limit)
        if terms.rests and left:
            order.guest = Guest(terms.side, limit or 0, left, order)
            self._market.rest(terms.code, order.guest)  # before the crowd quotes again: it must see it
        fills = [step for step in steps if isinstance(step, Fill)]
        events, trades = self._market.settle(terms.code, terms.side, fills)
        self._apply(order, steps, trades)
        if order.is_open and order.is_exhausted:
            self._finish(order, "done")
        elif order.is_open and order.guest is None:
            self._finish(order, "cancel")
        return events

    def _limit(self, order: Order) -> int | None:
        """The worst price that it trades at; None: any. A best order takes the best price there is."""
        if order.terms.order_type == "best":
            best = self._market.listings[order.terms.code].shared.offer(order.terms.side)
            return best.price if best else None
        return order.terms.price

    def _is_own(self, order: Order, guest: Guest | None) -> bool:
        """Whether trading with that guest would be trading with oneself, and is to be prevented."""
        return guest is not None and guest.order.account == order.account and order.terms.smp_type not in (None, "none")

    def _is_fillable(self, order: Order, limit: int | None) -> bool:
        """Whether all of it could trade at once."""
        terms, size, value = order.terms, 0, 0
        for offer in self._market.listings[terms.code].shared.available(terms.side, limit):
            if not self._is_own(order, offer.guest):
                size += offer.size
                value += offer.size * offer.price
            elif terms.smp_type != "cancel_maker":
                return False  # an own order in reach would cut it short
        return value >= order.left_value if terms.amount is not None else size >= order.left

    def _walk(self, order: Order, limit: int | None) -> tuple[list[_Step], int]:
        """
        Go through the book as far as the order reaches, and take what is there: the steps, and the volume left then.

        Only the book is changed here. The accounts follow once the trades have their ids.
        """
        terms, shared = order.terms, self._market.listings[order.terms.code].shared
        left, left_value = order.left, order.left_value
        steps: list[_Step] = []
        while (offer := shared.offer(terms.side, limit)) is not None:
            wanted = left if terms.amount is None else left_value // offer.price
            if not wanted:
                break
            size = min(wanted, offer.size)
            if self._is_own(order, offer.guest):
                assert offer.guest is not None
                steps.append(_Prevention(offer.guest.order, offer.price, size))
                if terms.smp_type == "cancel_taker":
                    return steps, 0
                shared.shrink(offer.guest, offer.guest.size if terms.smp_type == "cancel_maker" else size)
                if terms.smp_type == "cancel_maker":
                    continue
            else:
                steps.append(shared.consume(terms.side, offer, size))
            left -= 0 if terms.amount is not None else size
            left_value -= 0 if terms.amount is None else size * offer.price
        return steps, left

    def _apply(self, order: Order, steps: list[_Step], trades: list[list[TradeRecord]]) -> None:
        """Have the accounts follow the steps, and tell of each."""
        parts = iter(trades)
        for step in steps:
            if isinstance(step, _Prevention):
                self._prevent(order, step)
                continue
            for trade in next(parts):
                uuid = self.new_uuid()  # a trade has one id, for both of its sides
                self._fill(order, trade, uuid, is_maker=False)
                if step.guest is not None:
                    self._fill(step.guest.order, trade, uuid, is_maker=True)

    def _fill(self, order: Order, trade: TradeRecord, uuid: str, *, is_maker: bool) -> None:
        account, terms = self._ledger.accounts[order.account], order.terms
        record, value, fee, spare = order.fill(uuid, trade.price, trade.size, is_maker=is_maker, now=trade.timestamp)
        if order.is_bid:
            self._ledger.buy(account, terms.market, trade.size, value, fee, spare)
        else:
            self._ledger.sell(account, terms.market, trade.size, value, fee)
        self._tell(order, "trade", record)
        if is_maker and order.is_exhausted:
            order.guest = None
            self._finish(order, "done")

    def _prevent(self, taker: Order, step: _Prevention) -> None:
        """Cut what would have been a trade with oneself. The taker's mode decides whose order it costs what."""
        mode = taker.terms.smp_type
        if mode == "cancel_taker":
            self._cut(taker, taker.prevent_all())
            return
        maker = step.maker
        if mode == "cancel_maker":
            self._cut(maker, maker.prevent_all())
            return
        self._cut(maker, maker.prevent(step.price, step.size))
        self._cut(taker, taker.prevent(step.price, step.size))

    def _cut(self, order: Order, freed: int) -> None:
        self._ledger.release(self._ledger.accounts[order.account], order.currency, freed)
        if order.is_exhausted:
            order.guest = None
            self._finish(order, "cancel")
        else:
            self._tell(order, "prevented")

    # Ending and telling

    def _withdraw(self, order: Order) -> None:
        """Take an order out of the book, or out of those that wait for their trigger."""
        if order.guest is not None:
            self._market.withdraw(order.terms.code, order.guest)
            order.guest = None
        if order in self._watching:
            self._watching.remove(order)

    def _finish(self, order: Order, state: str) -> None:
        order.state = state
        self._ledger.release(self._ledger.accounts[order.account], order.currency, order.locked)
        self._tell(order, state)
        self._finished.append(order)
        if len(self._finished) > _KEPT_FINISHED:
            oldest = self._finished.popleft()
            del self.orders[oldest.uuid]
            self._identifiers.pop((oldest.account, oldest.terms.identifier or ""), None)

    def _tell(self, order: Order, state: str, fill: FillRecord | None = None) -> None:
        record = order.record(fills=False)
        self._notices.append(OrderNotice(order.account, record, state, fill, self._now + 1))
        self.tell_assets(order.account)

    def tell_assets(self, name: str) -> None:
        """Tell of the balances of an account that have changed. No two changes of one have the same time."""
        account = self._ledger.accounts[name]
        changed = tuple(account.take_changed())
        if changed:
            at = self._asset_times[name] = max(self._now, self._asset_times.get(name, 0) + 1)
            self._notices.append(AssetNotice(name, account.asset_uuid, changed, at, max(at, self._now + 1)))
