"""
One order: what was asked for, what has become of it, and the record that is shown of it. Pure.

Inside, prices and sizes are in 1e-8, values (price times size) in 1e-16 and money in 1e-20; records have Decimals.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from upbit_ws.sandbox.guests import Guest
from upbit_ws.sandbox.money import exact, from_size, from_value
from upbit_ws.sandbox.tick_size import SCALE

__all__ = ["FillRecord", "Order", "OrderRecord", "Terms"]

_FEE_PARTS = 10_000


@frozen
class Terms:
    """
    What somebody asks for. Prices, sizes and amounts in 1e-8.

    Attributes:
        side: "ASK" or "BID".
        order_type: limit, price, market or best.
        price: of a limit order. `size`: where the order is one of volume. `amount`: where it is one of money.
        trigger: a reserved order waits until the market gets there.
    """

    code: str
    side: str
    order_type: str
    price: int | None = None
    size: int | None = None
    amount: int | None = None
    time_in_force: str | None = None
    smp_type: str | None = None
    identifier: str | None = None
    trigger: int | None = None

    @property
    def market(self) -> tuple[str, str]:
        """Quote and base currency."""
        quote, _, base = self.code.partition("-")
        return quote, base

    @property
    def rests(self) -> bool:
        """Whether what is not filled at once stays in the book."""
        return self.order_type == "limit" and self.time_in_force in (None, "post_only")


@frozen
class FillRecord:
    """One fill of an order. `side` is the order's, `timestamp` in ms since the epoch, `fee` in the quote currency."""

    uuid: str
    price: Decimal
    volume: Decimal
    funds: Decimal
    fee: Decimal
    is_maker: bool
    side: str
    timestamp: int


@frozen
class OrderRecord:
    """
    An order as it stood at one moment. Names are those of `myOrder`, money is exact.

    Attributes:
        state: wait, watch, done or cancel.
        price: of a limit order; the amount where the order is one of money; else None.
        created_at: ms since the epoch, whole seconds.
        fills: all of them, oldest first.
    """

    uuid: str
    code: str
    ask_bid: str
    order_type: str
    state: str
    price: Decimal | None
    avg_price: Decimal
    volume: Decimal | None
    remaining_volume: Decimal | None
    executed_volume: Decimal
    trades_count: int
    reserved_fee: Decimal
    remaining_fee: Decimal
    paid_fee: Decimal
    locked: Decimal
    executed_funds: Decimal
    time_in_force: str | None
    identifier: str | None
    smp_type: str | None
    prevented_volume: Decimal
    prevented_locked: Decimal
    created_at: int
    trigger_price: Decimal | None
    fills: tuple[FillRecord, ...]

    @property
    def is_open(self) -> bool:
        """Whether anything can still become of it."""
        return self.state in ("wait", "watch")


class Order:
    """
    An order in the engine.

    Args:
        account: name of its owner.
        terms: what was asked for.
        uuid, now: its id, and ms since the epoch.
        fee: in ten-thousandths of what is traded.
    """

    def __init__(self, account: str, terms: Terms, *, uuid: str, now: int, fee: int) -> None:
        self.account = account
        self.terms = terms
        self.uuid = uuid
        self.created_at = now // 1_000 * 1_000
        self.state = "wait" if terms.trigger is None else "watch"
        self.left = terms.size or 0  # of the volume
        self.left_value = (terms.amount or 0) * SCALE  # of the amount
        self.guest: Guest | None = None  # while it rests in the book
        self.rises_to_trigger = False
        self._fee = fee
        self._reserved_value = self._open_value
        self._executed = 0
        self._funds = 0
        self._paid_fee = 0
        self._prevented = 0
        self._prevented_value = 0
        self._fills: list[FillRecord] = []

    @property
    def is_bid(self) -> bool:
        """Whether it buys."""
        return self.terms.side == "BID"

    @property
    def is_open(self) -> bool:
        """Whether anything can still become of it."""
        return self.state in ("wait", "watch")

    @property
    def is_exhausted(self) -> bool:
        """Whether there is nothing left to be filled."""
        return not self.left and not self.left_value

    @property
    def currency(self) -> str:
        """What it locks."""
        return self.terms.market[0 if self.is_bid else 1]

    @property
    def _open_value(self) -> int:
        """What a bid still wants to spend, without fees."""
        return self.left_value if self.terms.amount is not None else self.left * (self.terms.price or 0)

    @property
    def locked(self) -> int:
        """What it holds of its owner's, in atoms: of the quote currency with the fee for a bid, else of the base."""
        return from_value(self._open_value) + self._fee_on(self._open_value) if self.is_bid else from_size(self.left)

    def _fee_on(self, value: int) -> int:
        return from_value(value) * self._fee // _FEE_PARTS  # exact: a value has four decimals to spare

    def affordable(self, price: int) -> int:
        """The size that it still wants at `price`."""
        return self.left_value // price if self.terms.amount is not None else self.left

    # What happens to it

    def fill(self, uuid: str, price: int, size: int, *, is_maker: bool, now: int) -> tuple[FillRecord, int, int, int]:
        """Count a fill; its record, and in atoms its value, its fee, and what it frees of the lock beyond both."""
        before, value = self.locked, price * size
        fee = self._fee_on(value)
        self._take(price, size)
        self._executed += size
        self._funds += value
        self._paid_fee += fee
        funds = from_value(value)
        spare = before - self.locked - funds - fee if self.is_bid else 0
        record = FillRecord(
            uuid=uuid,
            price=exact(from_size(price)),
            volume=exact(from_size(size)),
            funds=exact(funds),
            fee=exact(fee),
            is_maker=is_maker,
            side=self.terms.side,
            timestamp=now,
        )
        self._fills.append(record)
        return record, funds, fee, spare

    def prevent(self, price: int, size: int) -> int:
        """Cut `size`, which would have traded at `price` with an order of the same owner; what that frees, in atoms."""
        before = self.locked
        value = self._take(price, size)
        self._reserved_value -= value
        if self.terms.amount is None:
            self._prevented += size
        self._prevented_value += value
        return before - self.locked

    def prevent_all(self) -> int:
        """Cut everything that is left; what that frees, in atoms."""
        before = self.locked
        self._prevented += self.left
        self._prevented_value += self._open_value
        self._reserved_value -= self._open_value
        self.left = self.left_value = 0
        return before - self.locked

    def _take(self, price: int, size: int) -> int:
        """Reduce what is left; by what value of the order's own price."""
        if self.terms.amount is not None:
            self.left_value -= price * size
            return price * size
        self.left -= size
        return size * (self.terms.price or 0)

    # Showing

    @property
    def last_fill(self) -> FillRecord:
        """The newest fill."""
        return self._fills[-1]

    def record(self, *, fills: bool = True) -> OrderRecord:
        """What it looks like now, with or without the list of its fills."""
        terms, is_bid = self.terms, self.is_bid
        price = terms.amount if terms.amount is not None else terms.price
        average = (2 * self._funds + self._executed) // (2 * self._executed) if self._executed else 0
        return OrderRecord(
            uuid=self.uuid,
            code=terms.code,
            ask_bid=terms.side,
            order_type=terms.order_type,
            state=self.state,
            price=None if price is None else exact(from_size(price)),
            avg_price=exact(from_size(average)),
            volume=None if terms.size is None else exact(from_size(terms.size)),
            remaining_volume=None if terms.size is None else exact(from_size(self.left)),
            executed_volume=exact(from_size(self._executed)),
            trades_count=len(self._fills),
            reserved_fee=exact(self._fee_on(self._reserved_value) if is_bid else 0),
            remaining_fee=exact(self._fee_on(self._open_value) if is_bid else 0),
            paid_fee=exact(self._paid_fee),
            locked=exact(self.locked),
            executed_funds=exact(from_value(self._funds)),
            time_in_force=terms.time_in_force,
            identifier=terms.identifier,
            smp_type=terms.smp_type,
            prevented_volume=exact(from_size(self._prevented)),
            prevented_locked=exact(from_value(self._prevented_value) if is_bid else from_size(self._prevented)),
            created_at=self.created_at,
            trigger_price=None if terms.trigger is None else exact(from_size(terms.trigger)),
            fills=tuple(self._fills) if fills else (),
        )
