"""Accounts: nothing is lost, nothing comes from nothing, nothing is negative."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from upbit_ws.sandbox.accounts import InsufficientFundsError, Ledger, LedgerError
from upbit_ws.sandbox.money import ATOMS, from_size, to_atoms

MARKET = ("KRW", "BTC")


def ledger_with(**amounts: str) -> Ledger:
    ledger = Ledger()
    account = ledger.open("main", "uuid")
    for currency, amount in amounts.items():
        ledger.deposit(account, currency, to_atoms(amount))
    return ledger


def shown(ledger: Ledger, currency: str) -> tuple[str, str]:
    balance = ledger.accounts["main"].balance(currency)
    return str(balance.balance), str(balance.locked)


def test_what_is_locked_is_not_free_and_comes_back_when_released() -> None:
    ledger = ledger_with(KRW="1000")
    account = ledger.accounts["main"]
    ledger.lock(account, "KRW", to_atoms("600.5"))
    assert shown(ledger, "KRW") == ("399.5", "600.5")
    ledger.release(account, "KRW", to_atoms("600.5"))
    assert shown(ledger, "KRW") == ("1000", "0")


def test_no_more_can_be_locked_or_paid_out_than_is_free() -> None:
    ledger = ledger_with(KRW="1000")
    account = ledger.accounts["main"]
    ledger.lock(account, "KRW", to_atoms("1000"))
    for currency in ("KRW", "BTC"):
        with pytest.raises(InsufficientFundsError):
            ledger.lock(account, currency, 1)
        with pytest.raises(InsufficientFundsError):
            ledger.deposit(account, currency, -1)
    assert shown(ledger, "KRW") == ("0", "1000")


def test_a_buy_is_paid_from_the_lock_and_the_spare_part_is_free_again() -> None:
    ledger = ledger_with(KRW="1000")
    account = ledger.accounts["main"]
    ledger.lock(account, "KRW", to_atoms("200"))
    ledger.buy(account, MARKET, 50_000_000, to_atoms("150"), to_atoms("0.075"), to_atoms("10"))

    assert shown(ledger, "KRW") == ("810", "39.925")
    assert shown(ledger, "BTC") == ("0.5", "0")
    assert account.average_price("BTC") == 300


def test_a_sale_brings_its_proceeds_without_the_fee() -> None:
    ledger = ledger_with(BTC="2")
    account = ledger.accounts["main"]
    ledger.lock(account, "BTC", to_atoms("1"))
    ledger.sell(account, MARKET, 10**8, to_atoms("100"), to_atoms("0.05"))

    assert shown(ledger, "KRW") == ("99.95", "0")
    assert shown(ledger, "BTC") == ("1", "0")


def test_the_average_price_weighs_purchases_by_their_size() -> None:
    ledger = ledger_with(KRW="1000")
    account = ledger.accounts["main"]
    ledger.lock(account, "KRW", to_atoms("500"))
    ledger.buy(account, MARKET, 10**8, to_atoms("100"), 0, 0)
    ledger.buy(account, MARKET, 3 * 10**8, to_atoms("400"), 0, 0)

    assert account.average_price("BTC") == 125
    assert account.average_price("ETH") == 0


def test_taking_more_from_a_lock_than_is_in_it_is_a_fault() -> None:
    ledger = ledger_with(KRW="1000")
    with pytest.raises(LedgerError):
        ledger.buy(ledger.accounts["main"], MARKET, 1, 1, 0, 0)


def test_changes_are_told_once_in_the_order_they_came() -> None:
    ledger = ledger_with(KRW="1000", BTC="1")
    account = ledger.accounts["main"]
    assert [balance.currency for balance in account.take_changed()] == ["KRW", "BTC"]
    ledger.lock(account, "BTC", ATOMS)
    (change,) = account.take_changed()
    assert (change.currency, change.balance, change.locked) == ("BTC", Decimal(0), Decimal(1))
    assert account.take_changed() == []


amounts = st.integers(0, 10**24)


class LedgerMachine(RuleBasedStateMachine):
    """Any movements in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.owners = [self.ledger.open(name, name) for name in ("a", "b")]

    @rule(owner=st.integers(0, 1), currency=st.sampled_from(MARKET), amount=st.integers(-(10**24), 10**24))
    def deposit(self, owner: int, currency: str, amount: int) -> None:
        with suppress(InsufficientFundsError):
            self.ledger.deposit(self.owners[owner], currency, amount)

    @rule(owner=st.integers(0, 1), currency=st.sampled_from(MARKET), amount=amounts)
    def lock(self, owner: int, currency: str, amount: int) -> None:
        with suppress(InsufficientFundsError):
            self.ledger.lock(self.owners[owner], currency, amount)

    @rule(owner=st.integers(0, 1), currency=st.sampled_from(MARKET), amount=amounts)
    def release(self, owner: int, currency: str, amount: int) -> None:
        with suppress(LedgerError):
            self.ledger.release(self.owners[owner], currency, amount)

    @rule(
        owner=st.integers(0, 1), size=st.integers(1, 10**10), value=amounts, fee=st.integers(0, 10**20), spare=amounts
    )
    def buy(self, owner: int, size: int, value: int, fee: int, spare: int) -> None:
        with suppress(LedgerError):
            self.ledger.buy(self.owners[owner], MARKET, size, value, fee, spare)

    @rule(owner=st.integers(0, 1), size=st.integers(1, 10**10), value=amounts, parts=st.integers(0, 100))
    def sell(self, owner: int, size: int, value: int, parts: int) -> None:
        with suppress(LedgerError):
            self.ledger.sell(self.owners[owner], MARKET, size, value, value * parts // 1_000)

    @invariant()
    def nothing_is_missing(self) -> None:
        assert [self.ledger.missing(currency) for currency in MARKET] == [0, 0]

    @invariant()
    def nothing_is_negative(self) -> None:
        for owner in self.owners:
            assert all(held.balance >= 0 and held.locked >= 0 for held in owner)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@given(st.integers(1, 10**12))
def test_sizes_of_the_market_are_whole_numbers_of_atoms(size: int) -> None:
    assert from_size(size) % (ATOMS // 10**8) == 0
