"""The handles of the exchange that are about accounts: orders, balances, keys, and what is told to their owners."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.sandbox.accounts import Balance, InsufficientFundsError
from upbit_ws.sandbox.auth import KeyRing, SandboxKey
from upbit_ws.sandbox.desk import Desk
from upbit_ws.sandbox.money import to_atoms
from upbit_ws.sandbox.order_rules import OrderError
from upbit_ws.sandbox.orders import OrderRecord

__all__ = ["AccountHandles"]

Amount = Decimal | int | float | str


class AccountHandles:
    """A part of `Exchange`, which has the lock that everything here happens under. From any thread."""

    lock: threading.Lock
    desk: Desk
    keys: KeyRing
    _wake: Callable[[], None]

    def place_order(
        self,
        code: str,
        side: str,
        *,
        price: Amount | None = None,
        volume: Amount | None = None,
        order_type: str | None = None,
        account: str = "main",
        **options: Amount,
    ) -> OrderRecord:
        """
        Place an order as its owner would by REST; what has become of it at once.

        Args:
            side: "BID" or "ASK".
            price: of a limit order; the amount of a market buy (`price`) or of a `best` buy.
            order_type: by default limit with price and volume, else price (a bid) or market (an ask).
            options: `time_in_force`, `smp_type`, `identifier`; `trigger_price` makes a reserved order, which waits
                (`watch`) until the market gets there.

        Raises:
            OrderError: what REST would answer, `.name` and `.message`.
        """
        if order_type is None:
            order_type = "limit" if price is not None and volume is not None else "price" if price else "market"
        given = {"price": price, "volume": volume, **options}
        params = {name: str(value) for name, value in given.items() if value is not None}
        with self.lock:
            accepted = self.desk.place(
                account, {"market": code, "side": side.lower(), "ord_type": order_type, **params}
            )
            record = self.desk.engine.orders[accepted.uuid].record()
        self._wake()
        return record

    def cancel_order(self, uuid: str) -> OrderRecord:
        """
        Cancel what is left of an order. One that is over stays as it is.

        Raises:
            OrderError: there is no such order.
        """
        with self.lock:
            order = self.desk.engine.orders.get(uuid)
            if order is None:
                raise OrderError.named("order_not_found")
            self.desk.cancel(order)
            record = order.record()
        self._wake()
        return record

    def orders(self, *, account: str = "main", code: str | None = None) -> dict[str, OrderRecord]:
        """Every order of an account by uuid, oldest first, open ones and those that are over, with their fills."""
        with self.lock:
            return {
                order.uuid: order.record()
                for order in self.desk.engine.orders.values()
                if order.account == account and code in (None, order.terms.code)
            }

    def balances(self, account: str = "main") -> dict[str, Balance]:
        """What an account has of each currency that it ever held, exactly."""
        with self.lock:
            return {balance.currency: balance for balance in self.desk.account(account)}

    def deposit(self, currency: str, amount: Amount, *, account: str = "main") -> None:
        """Pay in; a negative amount pays out what is free."""
        with self.lock:
            try:
                self.desk.deposit(account, currency, to_atoms(amount))
            except (ValueError, InsufficientFundsError) as error:
                raise InvalidArgumentError("amount", f"cannot be paid: {error}", 'deposit("KRW", "1000")') from None
        self._wake()

    def put_key(self, access_key: str, key: SandboxKey) -> None:
        """Add a key, or change what is behind it: `SandboxKey(secret, expired=True)`."""
        with self.lock:
            self.keys.put(access_key, key)

    def remove_key(self, access_key: str) -> None:
        """Take a key away; open connections stay."""
        with self.lock:
            self.keys.remove(access_key)

    def announce(self, title: str, *, category: str = "notice", body: str = "", update_of: str | None = None) -> str:
        """
        Publish a notice, or change the one with the uuid `update_of` (its category stays); its uuid.

        Args:
            category: notice, trade, wallet, maintenance, digital_asset, ...
            body: told to those who asked for bodies; a large one is told as null.
        """
        with self.lock:
            board, now = self.desk.board, self.desk.now
            if update_of is None:
                record = board.announce(title, category, body, now)
            else:
                record = board.update(update_of, title, body or None, now)
            self.desk.feeds.announce(record)
        self._wake()
        return record.uuid
