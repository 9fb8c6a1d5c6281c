"""Orders, balances and keys by Python, before and while the server runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.sandbox.clients import Client
from tests.sandbox.conftest import PROMPT
from tests.sandbox.traders import ACCESS, SECRET, Trader, private
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.sandbox import Exchange, OrderError, OrderRecord, Sandbox, SandboxConfig, SandboxKey

Make = Callable[..., Sandbox]
Dial = Callable[..., Client]


@pytest.fixture
def handles() -> Exchange:
    """The exchange of a sandbox that serves nobody."""
    return Sandbox(SandboxConfig(**PROMPT)).exchange


def test_the_type_of_an_order_follows_from_what_is_given(handles: Exchange) -> None:
    assert handles.place_order("KRW-BTC", "BID", price=160_000_000, volume="0.001").order_type == "limit"
    assert handles.place_order("KRW-BTC", "BID", price=100_000).order_type == "price"
    assert handles.place_order("KRW-BTC", "ASK", volume=0.001).order_type == "market"
    best = handles.place_order("KRW-BTC", "ASK", volume=Decimal("0.001"), order_type="best", time_in_force="ioc")
    assert best.order_type == "best"


def test_an_order_is_returned_as_it_stands(handles: Exchange) -> None:
    resting = handles.place_order("KRW-BTC", "BID", price=160_000_000, volume="0.001", identifier="mine")
    sold = handles.place_order("KRW-BTC", "ASK", volume="0.005")

    assert (resting.state, resting.is_open, resting.fills, resting.identifier) == ("wait", True, (), "mine")
    assert (sold.state, sold.is_open, sum(fill.volume for fill in sold.fills)) == ("done", False, Decimal("0.005"))
    assert handles.cancel_order(resting.uuid).state == "cancel"
    assert handles.cancel_order(sold.uuid) == sold
    assert list(handles.orders()) == [resting.uuid, sold.uuid]
    assert handles.orders(code="KRW-ETH") == handles.orders(account="nobody") == {}


def test_errors_are_those_of_rest(handles: Exchange) -> None:
    with pytest.raises(OrderError) as caught:
        handles.place_order("KRW-BTC", "BID", price=160_000_000, volume=5)
    assert caught.value.name == "insufficient_funds_bid"
    with pytest.raises(OrderError, match="notfoundmarket"):
        handles.place_order("KRW-NOPE", "BID", price=5_000)
    with pytest.raises(OrderError, match="order_not_found"):
        handles.cancel_order("no")


def test_deposits_are_exact_and_nothing_can_be_paid_out_that_is_not_there(handles: Exchange) -> None:
    handles.deposit("ETH", "0.12345678901234567891")
    handles.deposit("KRW", -99_999_999)

    balances = handles.balances()
    assert list(balances) == ["KRW", "BTC", "ETH"]
    assert (balances["ETH"].balance, balances["KRW"].balance) == (Decimal("0.12345678901234567891"), 1)
    for amount in (-2, "much", "0.000000000000000000001"):
        with pytest.raises(InvalidArgumentError, match="amount"):
            handles.deposit("KRW", amount)
    assert handles.balances()["KRW"].balance == 1


def test_an_account_opens_when_it_is_first_used(handles: Exchange) -> None:
    handles.deposit("KRW", 100_000, account="new")
    assert handles.place_order("KRW-BTC", "BID", price=50_000, account="new").trades_count > 0
    assert "BTC" in handles.balances("new")
    assert handles.balances("empty") == {}


def test_a_delisted_market_takes_its_orders_along(handles: Exchange) -> None:
    order = handles.place_order("KRW-BTC", "BID", price=160_000_000, volume="0.001")
    handles.delist_market("KRW-BTC")
    assert handles.orders()[order.uuid].state == "cancel"
    assert handles.balances()["KRW"].locked == 0


def test_keys_come_and_go_while_it_runs(exchange: Sandbox) -> None:
    assert Trader(exchange, access="new").get("/v1/accounts").json()["error"]["name"] == "invalid_access_key"
    exchange.exchange.put_key("new", SandboxKey(SECRET, account="other"))
    assert Trader(exchange, access="new").get("/v1/accounts").json() == []
    exchange.exchange.put_key(ACCESS, SandboxKey(SECRET, expired=True))
    assert Trader(exchange).get("/v1/accounts").json()["error"]["name"] == "expired_access_key"
    exchange.exchange.remove_key("new")
    assert Trader(exchange, access="new").get("/v1/accounts").status_code == 401


def test_orders_of_many_threads_and_of_rest_end_in_one_book(make: Make, dial: Dial) -> None:
    sandbox = make(default_limit=None, order_limit=None, manual=False, rate=300.0)
    client = private(dial, sandbox)
    client.subscribe({"type": "myOrder"})
    client.so_far()
    placed: list[OrderRecord] = []

    def place() -> None:
        for _ in range(20):
            price = sandbox.exchange.price("KRW-BTC")
            placed.append(sandbox.exchange.place_order("KRW-BTC", "BID", price=round(price), volume="0.001"))

    threads = [threading.Thread(target=place) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        assert Trader(sandbox).place(market="KRW-BTC", side="ask", ord_type="market", volume="0.001").status_code == 201
    for thread in threads:
        thread.join()
    for record in placed:
        sandbox.exchange.cancel_order(record.uuid)

    told: dict[str, list[dict[str, object]]] = {}
    for message in client.so_far():
        told.setdefault(message["uuid"], []).append(message)
    orders = sandbox.exchange.orders()
    assert set(told) == set(orders)
    assert len(orders) == 80
    for uuid, record in orders.items():
        assert told[uuid][-1]["state"] == record.state
        assert [one["trade_uuid"] for one in told[uuid] if one["trade_uuid"]] == [fill.uuid for fill in record.fills]
    assert {balance.locked for balance in sandbox.exchange.balances().values()} == {0}
