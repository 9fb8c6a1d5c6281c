"""
Who owns what: balances and locked amounts of every account, and proof that nothing is lost or made of nothing.

Knows no order and no clock. Amounts are whole numbers of 1e-20, see `money`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from attrs import define, frozen

from upbit_ws.sandbox.money import exact, from_size

__all__ = ["Account", "Balance", "InsufficientFundsError", "Ledger", "LedgerError"]

_AVERAGES_IN = "KRW"


class InsufficientFundsError(Exception):
    """The balance of a currency does not cover what shall be locked or withdrawn."""


class LedgerError(Exception):
    """More was taken from a lock than is in it. A fault of this program, never of a client."""


@frozen
class Balance:
    """What an account has of one currency: `balance` is free, `locked` is in orders."""

    currency: str
    balance: Decimal
    locked: Decimal


@define
class _Purse:
    free: int = 0
    locked: int = 0


class Account:
    """
    One owner.

    Attributes:
        name: what keys refer to.
        asset_uuid: the id that its `myAsset` messages carry.
    """

    def __init__(self, name: str, asset_uuid: str) -> None:
        self.name = name
        self.asset_uuid = asset_uuid
        self._purses: dict[str, _Purse] = {}
        self._averages: dict[str, Decimal] = {}
        self._changed: dict[str, None] = {}

    def __iter__(self) -> Iterator[Balance]:
        return (self.balance(currency) for currency in self._purses)

    def balance(self, currency: str) -> Balance:
        """What there is of a currency, zeros where it was never held."""
        purse = self._purses.get(currency, _Purse())
        return Balance(currency, exact(purse.free), exact(purse.locked))

    def average_price(self, currency: str) -> Decimal:
        """What the holdings of a currency were bought at on average, in KRW; 0 where nothing was bought for KRW."""
        return self._averages.get(currency, Decimal(0))

    def take_changed(self) -> list[Balance]:
        """The balances that changed since the last call, in the order of their first change."""
        changed, self._changed = self._changed, {}
        return [self.balance(currency) for currency in changed]

    def purse(self, currency: str) -> _Purse:
        """The purse itself, about to be changed. For the ledger only."""
        self._changed[currency] = None
        return self._purses.setdefault(currency, _Purse())

    def held(self, currency: str) -> int:
        """Free and locked together, in atoms."""
        purse = self._purses.get(currency, _Purse())
        return purse.free + purse.locked

    def bought(self, currency: str, size: int, value: int) -> None:
        """Work the average price out anew, before `size` for `value` (atoms of KRW) is added."""
        held = self.held(currency)
        before = self._averages.get(currency, Decimal(0)) * exact(held)
        after = (before + exact(value)) / exact(held + size)
        self._averages[currency] = after.quantize(Decimal("1.00000000")).normalize()


class Ledger:
    """
    All accounts, and for each currency the sums that they have to agree with.

    Attributes:
        deposited: what was paid in, less what was paid out.
        fees: what the exchange kept.
        outside: what the other side of the market got from the accounts, less what it gave.
    """

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.deposited: Counter[str] = Counter()
        self.fees: Counter[str] = Counter()
        self.outside: Counter[str] = Counter()

    def open(self, name: str, asset_uuid: str) -> Account:
        """A new account without anything."""
        account = self.accounts[name] = Account(name, asset_uuid)
        return account

    def missing(self, currency: str) -> int:
        """What was paid in and is neither in an account, nor fee, nor with the others: always 0."""
        held = sum(account.held(currency) for account in self.accounts.values())
        return self.deposited[currency] - self.fees[currency] - self.outside[currency] - held

    # Movements

    def deposit(self, account: Account, currency: str, amount: int) -> None:
        """Pay in; a negative `amount` pays out."""
        purse = account.purse(currency)
        if purse.free + amount < 0:
            raise InsufficientFundsError(currency)
        purse.free += amount
        self.deposited[currency] += amount

    def lock(self, account: Account, currency: str, amount: int) -> None:
        """Set aside for an order."""
        if account.balance(currency).balance < exact(amount):
            raise InsufficientFundsError(currency)
        purse = account.purse(currency)
        purse.free -= amount
        purse.locked += amount

    def release(self, account: Account, currency: str, amount: int) -> None:
        """Give back what an order does not need any more."""
        if amount:
            self._unlock(account, currency, amount)
            account.purse(currency).free += amount

    def buy(self, account: Account, market: tuple[str, str], size: int, value: int, fee: int, spare: int) -> None:
        """
        Settle a fill of a bid.

        Args:
            market: quote and base currency.
            size: in 1e-8. `value`, `fee`, `spare`: atoms; what is paid, on top of it, and given back of the lock
                because the fill was cheaper than the order's price.
        """
        quote, base = market
        self._unlock(account, quote, value + fee + spare)
        account.purse(quote).free += spare
        if quote == _AVERAGES_IN:
            account.bought(base, from_size(size), value)
        account.purse(base).free += from_size(size)
        self.outside[quote] += value
        self.outside[base] -= from_size(size)
        self.fees[quote] += fee

    def sell(self, account: Account, market: tuple[str, str], size: int, value: int, fee: int) -> None:
        """Settle a fill of an ask; the fee comes off the proceeds."""
        quote, base = market
        self._unlock(account, base, from_size(size))
        account.purse(quote).free += value - fee
        self.outside[base] += from_size(size)
        self.outside[quote] -= value
        self.fees[quote] += fee

    @staticmethod
    def _unlock(account: Account, currency: str, amount: int) -> None:
        purse = account.purse(currency)
        if not 0 <= amount <= purse.locked:
            raise LedgerError(f"{account.name}: {exact(amount)} of {exact(purse.locked)} locked {currency}")
        purse.locked -= amount
