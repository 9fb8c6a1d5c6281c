"""Orders and accounts over REST: what is signed, found, listed, refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.sandbox.traders import ACCESS, SECRET, Trader, bearer
from upbit_ws.sandbox import Sandbox, SandboxKey

Make = Callable[..., Sandbox]
RESTING = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "160000000", "volume": "0.001"}


@pytest.fixture
def exchange(make: Make) -> Sandbox:
    """An exchange that counts no calls."""
    return make(default_limit=None, order_limit=None, keys={ACCESS: SECRET, "b": SandboxKey(SECRET, account="other")})


@pytest.fixture
def trader(exchange: Sandbox) -> Trader:
    return Trader(exchange)


def error(response: requests.Response) -> tuple[int, str]:
    body = response.json()["error"]
    assert body["message"]
    return response.status_code, body["name"]


def test_an_order_is_answered_as_it_was_accepted_and_found_as_it_is(trader: Trader, exchange: Sandbox) -> None:
    reply = trader.place(market="KRW-BTC", side="bid", ord_type="price", price="1000000", identifier="mine")
    assert reply.status_code == 201
    accepted = reply.json()
    assert (accepted["state"], accepted["executed_volume"], accepted["locked"]) == ("wait", "0", "1000500")

    found = trader.get("/v1/order", ("identifier", "mine")).json()

    (record,) = exchange.exchange.orders().values()
    assert found["uuid"] == accepted["uuid"] == record.uuid
    assert found["state"] == record.state == "cancel"
    assert Decimal(found["executed_volume"]) == record.executed_volume > 0
    assert found["trades_count"] == len(found["trades"]) == len(record.fills)
    assert sum(Decimal(trade["funds"]) for trade in found["trades"]) == record.executed_funds
    assert {trade["trend"] for trade in found["trades"]} == {"up"}
    assert [trade["uuid"] for trade in found["trades"]] == [fill.uuid for fill in record.fills]


def test_a_row_has_the_published_keys_and_amounts_as_text(trader: Trader) -> None:
    row = trader.place(**RESTING).json()

    assert list(row) == [
        *("market", "uuid", "side", "ord_type", "price", "state", "created_at", "volume", "remaining_volume"),
        *("executed_volume", "reserved_fee", "remaining_fee", "paid_fee", "locked", "trades_count", "time_in_force"),
        *("identifier", "smp_type", "prevented_volume", "prevented_locked"),
    ]
    assert (row["side"], row["price"], row["volume"], row["locked"]) == ("bid", "160000000", "0.001", "160080")
    assert row["created_at"] == "2026-09-23T12:39:02+09:00"
    assert (row["identifier"], row["time_in_force"], row["smp_type"]) == (None, None, "cancel_maker")
    (listed,) = trader.get("/v1/orders/open").json()
    assert listed == {**row, "executed_funds": "0"}


def test_accounts_tell_every_digit(trader: Trader, exchange: Sandbox) -> None:
    trader.place(**RESTING)
    exchange.exchange.deposit("KRW", "0.12345678901234567891")
    rows = {row["currency"]: row for row in trader.get("/v1/accounts").json()}

    assert list(rows["KRW"]) == [
        *("currency", "balance", "locked", "avg_buy_price", "avg_buy_price_modified", "unit_currency")
    ]
    assert rows["KRW"]["balance"] == "99839920.12345678901234567891"
    assert (rows["KRW"]["locked"], rows["BTC"]["balance"], rows["BTC"]["unit_currency"]) == ("160080", "1", "KRW")


def test_a_cancel_is_answered_as_it_was_asked_and_works_once(trader: Trader, exchange: Sandbox) -> None:
    uuid = trader.place(**RESTING).json()["uuid"]

    assert trader.cancel(uuid).json()["state"] == "wait"
    assert exchange.exchange.orders()[uuid].state == "cancel"
    assert error(trader.cancel(uuid)) == (400, "canceled_order")
    assert exchange.exchange.balances()["KRW"].locked == 0


def test_a_key_sees_its_own_account_only(trader: Trader, exchange: Sandbox) -> None:
    uuid = trader.place(**RESTING).json()["uuid"]
    other = Trader(exchange, access="b")

    assert error(other.get("/v1/order", ("uuid", uuid))) == (404, "order_not_found")
    assert error(other.cancel(uuid)) == (404, "order_not_found")
    assert other.get("/v1/orders/open").json() == []
    assert {row["balance"] for row in other.get("/v1/accounts").json()} == {"100000000", "1"}


@pytest.fixture
def many(trader: Trader, exchange: Sandbox) -> Iterator[list[str]]:
    """Open orders of a number of seconds, oldest first."""
    uuids = []
    for number in range(5):
        market = ("KRW-BTC", "KRW-ETH")[number % 2]
        price = {"KRW-BTC": "160000000", "KRW-ETH": "5800000"}[market]
        uuids.append(trader.place(**{**RESTING, "market": market, "price": price, "volume": "0.01"}).json()["uuid"])
        exchange.exchange.advance(1.0)
    return uuids  # type: ignore[return-value]


def uuids(response: requests.Response) -> list[str]:
    assert response.status_code == 200
    return [row["uuid"] for row in response.json()]


def test_open_orders_are_listed_newest_first_page_by_page(trader: Trader, many: list[str]) -> None:
    assert uuids(trader.get("/v1/orders/open")) == many[::-1]
    assert uuids(trader.get("/v1/orders/open", ("order_by", "asc"), ("limit", "2"), ("page", "2"))) == many[2:4]
    assert uuids(trader.get("/v1/orders/open", ("market", "KRW-ETH"))) == [many[3], many[1]]
    assert uuids(trader.get("/v1/orders/open", ("page", "2"))) == []
    assert uuids(trader.get("/v1/orders/open", ("limit", "1000"))) == many[::-1]


def test_reserved_orders_are_open_if_asked_for(trader: Trader, exchange: Sandbox, many: list[str]) -> None:
    options: dict[str, Any] = {"price": 170_000_000, "volume": "0.001", "trigger_price": 170_000_000}
    reserved = exchange.exchange.place_order("KRW-BTC", "BID", **options)
    assert reserved.state == "watch"
    assert uuids(trader.get("/v1/orders/open", ("state", "watch"))) == [reserved.uuid]
    states = (("states[]", "wait"), ("states[]", "watch"))
    assert uuids(trader.get("/v1/orders/open", *states)) == [reserved.uuid, *many[::-1]]


def test_closed_orders_are_found_by_state_and_time(trader: Trader, exchange: Sandbox, many: list[str]) -> None:
    for uuid in many[:4]:
        exchange.exchange.cancel_order(uuid)
    first = 1_790_134_742_000

    assert uuids(trader.get("/v1/orders/closed")) == many[3::-1]
    assert uuids(trader.get("/v1/orders/closed", ("state", "done"))) == []
    assert uuids(trader.get("/v1/orders/closed", ("limit", "2"))) == [many[3], many[2]]
    window = (("start_time", str(first + 1_000)), ("end_time", str(first + 2_000)))
    assert uuids(trader.get("/v1/orders/closed", *window)) == [many[2], many[1]]
    assert uuids(trader.get("/v1/orders/closed", ("start_time", "2026-09-23T12:39:05+09:00"))) == [many[3]]
    assert uuids(trader.get("/v1/orders/closed", ("end_time", "2026-09-23T03:39:02Z"))) == [many[0]]
    assert uuids(trader.get("/v1/orders/closed", ("end_time", "2026-09-23T12:39:02"))) == [many[0]]


def test_a_window_of_more_than_seven_days_is_refused(trader: Trader) -> None:
    now, day = 1_790_134_742_000, 86_400_000
    for start, end in ((now - 7 * day - 1, now), (now, now - 1)):
        reply = trader.get("/v1/orders/closed", ("start_time", str(start)), ("end_time", str(end)))
        assert error(reply) == (400, "invalid_parameter")
    assert (
        trader.get("/v1/orders/closed", ("start_time", str(now - 7 * day)), ("end_time", str(now))).status_code == 200
    )


def test_orders_are_found_by_name(trader: Trader, many: list[str]) -> None:
    named = [("uuids[]", many[0]), ("uuids[]", many[2]), ("uuids[]", "00000000-0000-0000-0000-000000000000")]
    assert uuids(trader.get("/v1/orders/uuids", *named, ("order_by", "asc"))) == [many[0], many[2]]
    mine = trader.place(**RESTING, identifier="mine").json()["uuid"]
    assert uuids(trader.get("/v1/orders/uuids", ("identifiers[]", "mine"))) == [mine]


@pytest.mark.parametrize(
    ("path", "pairs", "expected"),
    [
        ("/v1/order", [], (400, "validation_error")),
        ("/v1/order", [("uuid", "no"), ("identifier", "no")], (400, "validation_error")),
        ("/v1/order", [("uuid", "no")], (404, "order_not_found")),
        ("/v1/orders/uuids", [], (400, "validation_error")),
        ("/v1/orders/uuids", [("uuids[]", str(number)) for number in range(101)], (400, "validation_error")),
        ("/v1/orders/open", [("state", "done")], (400, "invalid_parameter")),
        ("/v1/orders/open", [("limit", "many")], (400, "invalid_parameter")),
        ("/v1/orders/open", [("page", "0")], (400, "invalid_parameter")),
        ("/v1/orders/closed", [("start_time", "yesterday")], (400, "invalid_parameter")),
    ],
)
def test_what_cannot_be_answered_is_refused(
    trader: Trader, path: str, pairs: list[tuple[str, str]], expected: tuple[int, str]
) -> None:
    assert error(trader.get(path, *pairs)) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"market": "KRW-NOPE"}, (404, "notfoundmarket")),
        ({"market": ""}, (400, "validation_error")),
        ({"price": "160000001"}, (400, "invalid_price_bid")),
        ({"volume": "10"}, (400, "insufficient_funds_bid")),
        ({"volume": "0.00001"}, (400, "under_min_total_bid")),
        ({"ord_type": "price"}, (400, "create_bid_error")),
    ],
)
def test_orders_that_cannot_be_are_refused(
    trader: Trader, exchange: Sandbox, changed: dict[str, str], expected: tuple[int, str]
) -> None:
    assert error(trader.place(**{**RESTING, **changed})) == expected
    assert exchange.exchange.orders() == {}


def test_numbers_in_a_body_are_taken_as_written(trader: Trader) -> None:
    row = trader.place(**{**RESTING, "price": 160_000_000, "volume": 0.001}).json()
    assert (row["price"], row["volume"]) == ("160000000", "0.001")


@pytest.mark.parametrize("body", [b"market=KRW-BTC&side=bid", b"[]", b"{", b"\xff"])
def test_a_body_that_is_no_object_is_refused(exchange: Sandbox, body: bytes) -> None:
    reply = requests.post(f"{exchange.url}/v1/orders", data=body, headers={"Authorization": bearer()}, timeout=5)
    assert error(reply) == (400, "validation_error")


def test_a_token_for_another_query_is_refused(exchange: Sandbox) -> None:
    url = f"{exchange.url}/v1/order?uuid=a"
    assert error(requests.get(url, headers={"Authorization": bearer("uuid=b")}, timeout=5)) == (
        401,
        "invalid_query_payload",
    )
    body = requests.post(f"{exchange.url}/v1/orders", json=RESTING, headers={"Authorization": bearer()}, timeout=5)
    assert error(body) == (401, "invalid_query_payload")
    assert error(requests.get(f"{exchange.url}/v1/accounts", timeout=5)) == (401, "no_authorization_token")


def test_a_token_works_once_for_rest_and_sockets_together(exchange: Sandbox) -> None:
    headers = {"Authorization": bearer()}
    assert requests.get(f"{exchange.url}/v1/accounts", headers=headers, timeout=5).status_code == 200
    exchange.stop()
    exchange.start()
    assert error(requests.get(f"{exchange.url}/v1/accounts", headers=headers, timeout=5)) == (401, "nonce_used")


def test_each_call_needs_its_scope(make: Make) -> None:
    sandbox = make(keys={ACCESS: SandboxKey(SECRET, scopes=["view_orders"])})
    trader = Trader(sandbox)

    assert trader.get("/v1/orders/open").status_code == 200
    assert error(trader.get("/v1/accounts")) == (403, "out_of_scope")
    assert error(trader.place(**RESTING)) == (403, "out_of_scope")


def test_calls_are_counted_per_account_and_group(make: Make) -> None:
    sandbox = make(
        default_limit=2, order_limit=1, limit_patience=50, keys={ACCESS: SECRET, "b": SandboxKey(SECRET, account="b")}
    )
    trader, other = Trader(sandbox), Trader(sandbox, access="b")
    # A second may end between two of the calls, not between all of them.
    replies = [trader.get("/v1/accounts") for _ in range(10)]

    assert replies[0].headers["Remaining-Req"] == "group=default; min=600; sec=1"
    assert 429 in [reply.status_code for reply in replies]
    assert other.get("/v1/accounts").status_code == 200
    assert trader.place(**RESTING).headers["Remaining-Req"].startswith("group=order;")
