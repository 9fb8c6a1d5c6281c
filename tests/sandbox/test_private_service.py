"""The private socket: who is let in, what is told there, and that REST knows it already."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.sandbox.clients import Client, ticker, trade
from tests.sandbox.traders import ACCESS, SECRET, Trader, bearer, private, sentence
from upbit_ws.models import MYORDER_FIELDS, validate
from upbit_ws.sandbox import Sandbox, SandboxKey

Make = Callable[..., Sandbox]
Dial = Callable[..., Client]

MY_ORDER: dict[str, Any] = {"type": "myOrder"}
MY_ASSET: dict[str, Any] = {"type": "myAsset"}
INVALID_AUTH = {"error": {"name": "INVALID_AUTH", "message": "인증 정보가 올바르지 않습니다."}}
WRONG_FORMAT = {"error": {"message": "Format 이 맞지 않습니다.", "name": "WRONG_FORMAT"}}


def subscribed(client: Client, *objects: dict[str, Any], format: str = "DEFAULT") -> Client:
    """The same client, subscribed for certain."""
    client.subscribe(*objects, format=format)
    assert client.so_far() == []
    return client


def listening(dial: Dial, sandbox: Sandbox, *objects: dict[str, Any], **key: Any) -> Client:
    return subscribed(private(dial, sandbox, **key), *(objects or (MY_ORDER, MY_ASSET)))


# Who is let in


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
@pytest.mark.parametrize("path", ["/private", "/info"])
def test_a_token_opens_the_sockets_that_need_one(exchange: Sandbox, dial: Dial, algorithm: str, path: str) -> None:
    client = private(dial, exchange, path, algorithm=algorithm)
    assert client.so_far() == []


BAD = [None, "Bearer a.b.c", bearer(access="unknown"), bearer(secret="wrong-secret-of-a-decent-length-for-HS256")]


@pytest.mark.parametrize("token", BAD)
@pytest.mark.parametrize("path", ["/private", "/info"])
def test_by_default_a_bad_token_fails_on_the_first_request(
    exchange: Sandbox, dial: Dial, token: str | None, path: str
) -> None:
    client = dial(exchange, path, additional_headers={"Authorization": token} if token else {})
    assert client.so_far() == []
    client.subscribe({"type": "myOrder"} if path == "/private" else {"type": "indicator", "codes": ["KRW-BTC"]})

    assert client.next() == INVALID_AUTH
    assert client.close_code() == 1000


@pytest.mark.parametrize("token", BAD)
def test_a_bad_token_can_fail_right_after_the_connect(make: Make, dial: Dial, token: str | None) -> None:
    headers = {"Authorization": token} if token else {}
    client = dial(make(auth_failure="on_connect"), "/private", additional_headers=headers)

    assert client.next() == INVALID_AUTH
    assert client.close_code() == 1000


@pytest.mark.parametrize(
    ("key", "claims", "name"),
    [
        ({}, {"access": "unknown"}, "invalid_access_key"),
        ({}, {"secret": "wrong-secret-of-a-decent-length-for-HS256"}, "jwt_verification"),
        ({"expired": True}, {}, "expired_access_key"),
        ({"ips": ["203.0.113.9"]}, {}, "no_authorization_ip"),
    ],
)
def test_a_bad_token_can_fail_in_the_handshake(
    make: Make, dial: Dial, key: dict[str, Any], claims: dict[str, str], name: str
) -> None:
    sandbox = make(auth_failure="http", keys={ACCESS: SandboxKey(SECRET, **key)})
    with pytest.raises(InvalidStatus) as caught:
        private(dial, sandbox, **claims)

    response = caught.value.response
    assert response.status_code == 401
    assert json.loads(response.body or b"")["error"]["name"] == name
    assert sandbox.handshakes[-1].status == 401
    assert sandbox.connections == 0


def test_a_token_opens_one_connection_and_no_other(make: Make, dial: Dial) -> None:
    sandbox = make(auth_failure="http")
    headers = {"Authorization": bearer()}
    dial(sandbox, "/private", additional_headers=headers)
    for path in ("/private", "/info"):
        with pytest.raises(InvalidStatus) as caught:
            dial(sandbox, path, additional_headers=headers)
        assert json.loads(caught.value.response.body or b"")["error"]["name"] == "nonce_used"


def test_the_public_socket_minds_no_token(make: Make, dial: Dial) -> None:
    sandbox = make(auth_failure="http")
    client = dial(sandbox, additional_headers={"Authorization": "Bearer a.b.c"})
    client.subscribe(ticker("KRW-BTC"))
    assert client.next()["type"] == "ticker"


def connect_status(dial: Dial, sandbox: Sandbox) -> int:
    """Try to connect; with what status that ends."""
    try:
        private(dial, sandbox)
    except InvalidStatus as refused:
        return refused.response.status_code
    return 101


def test_connects_with_a_key_are_counted_by_account_and_not_by_address(make: Make, dial: Dial) -> None:
    sandbox = make(connect_limit=2, limit_patience=50, keys={ACCESS: SECRET, "b": SandboxKey(SECRET, account="b")})
    statuses = [connect_status(dial, sandbox) for _ in range(9)]

    assert statuses[:2] == [101, 101]
    assert 429 in statuses
    private(dial, sandbox, access="b")
    dial(sandbox)


@pytest.mark.parametrize(
    ("scopes", "wanted", "refused"),
    [(["view_assets"], MY_ORDER, True), (["view_orders"], MY_ASSET, True), ([], {"type": "announcement"}, False)],
)
def test_types_need_their_scopes(
    make: Make, dial: Dial, scopes: list[str], wanted: dict[str, Any], refused: bool
) -> None:
    client = private(dial, make(keys={ACCESS: SandboxKey(SECRET, scopes=scopes)}))
    client.subscribe(wanted)
    if refused:
        assert client.next()["error"]["name"] == "out_of_scope"
        assert client.close_code() == 1000
    else:
        assert client.so_far() == []


# Requests


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"type": "myAsset", "codes": ["KRW-BTC"]}, WRONG_FORMAT),
        ({"type": "myAsset", "codes": []}, WRONG_FORMAT),
        ({"type": "announcement", "codes": ["KRW-BTC"]}, WRONG_FORMAT),
        ({"type": "myOrder", "codes": "KRW-BTC"}, WRONG_FORMAT),
        ({"type": "announcement", "categories": "notice"}, WRONG_FORMAT),
        ({"type": "announcement", "include_body": "yes"}, WRONG_FORMAT),
        ({"type": "ticker", "codes": ["KRW-BTC"]}, INVALID_AUTH),
    ],
)
def test_what_cannot_be_asked_for_here_ends_the_connection(
    exchange: Sandbox, dial: Dial, wanted: dict[str, Any], error: dict[str, Any]
) -> None:
    client = private(dial, exchange)
    client.subscribe(wanted)

    assert client.next() == error
    assert client.close_code() == 1000


def test_an_unknown_category_is_an_invalid_parameter(exchange: Sandbox, dial: Dial) -> None:
    client = private(dial, exchange)
    client.subscribe({"type": "announcement", "categories": ["notice", "gossip"]})
    assert client.next()["error"]["name"] == "INVALID_PARAM"


def test_subscriptions_are_listed_as_asked_for(exchange: Sandbox, dial: Dial) -> None:
    client = private(dial, exchange)
    client.subscribe(MY_ASSET, {"type": "myOrder", "codes": ["KRW-BTC", "KRW-ETH"]})
    client.send({"method": "LIST_SUBSCRIPTIONS"}, ticket="mine")

    assert client.next() == {
        "method": "LIST_SUBSCRIPTIONS",
        "result": [{"type": "myAsset"}, {"type": "myOrder", "codes": ["KRW-BTC", "KRW-ETH"]}],
        "ticket": "mine",
    }


# What is told


def test_the_life_of_a_resting_order(exchange: Sandbox, dial: Dial) -> None:
    client = listening(dial, exchange)
    order = exchange.exchange.place_order("KRW-BTC", "BID", price=163_000_000, volume="0.5")
    exchange.exchange.trade("KRW-BTC", 163_000_000, 0.2, "ASK")
    exchange.exchange.cancel_order(order.uuid)

    assert [sentence(message) for message in client.so_far()] == [
        "wait limit BID",
        "assets KRW 18459250/81540750",
        "trade limit BID 0.2 at 163000000 as maker",
        "assets KRW 18459250/48924450, BTC 1.2/0",
        "cancel limit BID",
        "assets KRW 67383700/0",
    ]


def test_the_life_of_a_market_buy_follows_the_capture(exchange: Sandbox, dial: Dial) -> None:
    client = listening(dial, exchange, MY_ORDER)
    exchange.exchange.place_order("KRW-BTC", "BID", price=5_000)
    wait, *trades, end = client.so_far()

    nulls = {name for name, value in wait.items() if value is None}
    assert nulls == {
        *("trade_uuid", "volume", "remaining_volume", "executed_volume", "time_in_force", "trade_fee", "is_maker"),
        *("identifier", "prevented_volume", "trade_timestamp"),
    }
    zeros = {name for name, value in wait.items() if value == 0}
    assert zeros == {"avg_price", "trades_count", "paid_fee", "executed_funds", "prevented_locked"}
    assert (wait["price"], wait["reserved_fee"], wait["locked"]) == (5_000, 2.5, 5_002.5)
    assert wait["order_timestamp"] % 1_000 == 0
    assert {one["state"] for one in trades} == {"trade"}
    assert end["state"] == "cancel"
    assert (end["price"], end["volume"], end["trade_uuid"]) == (5_000, None, None)


def test_a_message_has_the_published_keys_in_their_order(exchange: Sandbox, dial: Dial) -> None:
    client = listening(dial, exchange)
    exchange.exchange.place_order("KRW-BTC", "BID", price=5_000, identifier="mine")
    messages = client.so_far()

    names = [field.name for field in MYORDER_FIELDS]
    assert all(list(message) == names for message in messages if message["type"] == "myOrder")
    assert [validate(message) for message in messages] == [[]] * len(messages)
    assert {message["identifier"] for message in messages if message["type"] == "myOrder"} == {"mine"}
    assert {message["stream_type"] for message in messages} == {"REALTIME"}


@pytest.mark.parametrize("format", ["DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST"])
def test_all_four_formats_say_the_same(exchange: Sandbox, dial: Dial, format: str) -> None:
    client = private(dial, exchange)
    client.subscribe(MY_ORDER, MY_ASSET, format=format)
    assert client.so_far() == []
    order = exchange.exchange.place_order("KRW-BTC", "BID", price=163_000_000, volume="0.5")
    found, assets = client.so_far()
    if format.endswith("LIST"):
        (found,), (assets,) = found, assets
    if format.startswith("SIMPLE"):
        assert (found["ty"], found["cd"], found["uid"], found["s"], found["rv"]) == (
            *("myOrder", "KRW-BTC", order.uuid),
            *("wait", 0.5),
        )
        assert assets["ast"] == [{"cu": "KRW", "b": 18459250, "l": 81540750}]
    else:
        assert (found["type"], found["uuid"], found["state"]) == ("myOrder", order.uuid, "wait")
        assert assets["assets"] == [{"currency": "KRW", "balance": 18459250, "locked": 81540750}]


def test_every_digit_is_sent(exchange: Sandbox, dial: Dial) -> None:
    client = listening(dial, exchange, MY_ASSET)
    exchange.exchange.deposit("KRW", "0.12345678901234567891")
    text = client.raw().decode()

    assert '"balance":100000000.12345678901234567891,' in text
    (asset,) = json.loads(text, parse_float=Decimal)["assets"]
    assert asset["balance"] == exchange.exchange.balances()["KRW"].balance


def test_small_amounts_can_have_exponents(make: Make, dial: Dial) -> None:
    sandbox = make(money_exponents=True)
    client = listening(dial, sandbox, MY_ASSET)
    sandbox.exchange.deposit("XRP", "0.00079276")
    assert '"balance":7.9276E-4,' in client.raw().decode()


def test_orders_can_be_asked_for_by_code(exchange: Sandbox, dial: Dial) -> None:
    client = listening(dial, exchange, {"type": "myOrder", "codes": ["KRW-ETH", "krw-btc"]})
    for code, price in (("KRW-BTC", 163_000_000), ("KRW-ETH", 5_900_000)):
        exchange.exchange.place_order(code, "BID", price=price, volume="0.01")
    assert [message["code"] for message in client.so_far()] == ["KRW-ETH"]


def test_a_new_request_replaces_the_old_one(exchange: Sandbox, dial: Dial) -> None:
    client = listening(dial, exchange)
    subscribed(client, MY_ASSET)
    exchange.exchange.place_order("KRW-BTC", "BID", price=163_000_000, volume="0.01")
    assert [message["type"] for message in client.so_far()] == ["myAsset"]


def test_there_is_no_snapshot_and_only_snapshots_are_nothing(exchange: Sandbox, dial: Dial) -> None:
    exchange.exchange.place_order("KRW-BTC", "BID", price=163_000_000, volume="0.01")
    client = listening(dial, exchange, {"type": "myOrder", "is_only_snapshot": True})
    exchange.exchange.place_order("KRW-BTC", "BID", price=163_000_000, volume="0.01")
    assert client.so_far() == []


def test_accounts_do_not_see_each_other(make: Make, dial: Dial) -> None:
    sandbox = make(keys={ACCESS: SECRET, "b": SandboxKey(SECRET, account="other")})
    mine, theirs = listening(dial, sandbox), listening(dial, sandbox, access="b")
    sandbox.exchange.place_order("KRW-BTC", "BID", price=163_000_000, volume="0.01", account="other")

    assert mine.so_far() == []
    assert next(map(sentence, theirs.so_far())) == "wait limit BID"


def test_all_connections_of_an_account_are_told(exchange: Sandbox, dial: Dial) -> None:
    clients = [listening(dial, exchange, MY_ORDER) for _ in range(3)]
    exchange.exchange.place_order("KRW-BTC", "BID", price=163_000_000, volume="0.01")
    assert [len(client.so_far()) for client in clients] == [1, 1, 1]


def test_what_the_stream_tells_rest_knows_already(make: Make, dial: Dial) -> None:
    sandbox = make(default_limit=None, order_limit=None)
    trader, client = Trader(sandbox), listening(dial, sandbox)
    for _ in range(5):
        trader.place(market="KRW-BTC", side="bid", ord_type="price", price="100000")
        told = [message for message in client.so_far() if message["type"] == "myOrder"]
        known = trader.get("/v1/order", ("uuid", told[-1]["uuid"])).json()
        assert known["state"] == told[-1]["state"]
        assert [fill["uuid"] for fill in known["trades"]] == [one["trade_uuid"] for one in told[1:-1]]


def test_a_users_trade_is_told_to_everybody(exchange: Sandbox, dial: Dial, client: Client) -> None:
    client.subscribe(trade("KRW-BTC", is_only_realtime=True), ticker("KRW-BTC", is_only_realtime=True))
    assert client.so_far() == []
    order = exchange.exchange.place_order("KRW-BTC", "ASK", volume="0.5")
    messages = client.so_far()

    trades = [message for message in messages if message["type"] == "trade"]
    assert [(Decimal(str(one["trade_price"])), Decimal(str(one["trade_volume"]))) for one in trades] == [
        (fill.price, fill.volume) for fill in order.fills
    ]
    assert {one["ask_bid"] for one in trades} == {"ASK"}
    assert messages[-1]["trade_price"] == trades[-1]["trade_price"]


def test_a_muted_exchange_tells_nobody_anything(exchange: Sandbox, dial: Dial) -> None:
    client = listening(dial, exchange)
    exchange.mute(until="request")
    exchange.exchange.place_order("KRW-BTC", "BID", price=163_000_000, volume="0.01")
    assert client.so_far() == []
    subscribed(client, MY_ORDER)
    exchange.exchange.place_order("KRW-BTC", "BID", price=163_000_000, volume="0.01")
    assert len(client.so_far()) == 1


def test_the_very_first_subscription_of_assets_can_get_nothing_for_a_while(make: Make, dial: Dial) -> None:
    sandbox = make(asset_delay=300.0)
    client = listening(dial, sandbox)
    sandbox.exchange.deposit("KRW", 1)
    assert client.so_far() == []
    sandbox.exchange.advance(301.0)
    sandbox.exchange.deposit("KRW", 1)
    assert [sentence(message) for message in client.so_far()] == ["assets KRW 100000002/0"]
    again = listening(dial, sandbox)
    sandbox.exchange.deposit("KRW", 1)
    assert len(again.so_far()) == 1


def test_orders_live_on_while_the_server_is_down(exchange: Sandbox, dial: Dial) -> None:
    order = exchange.exchange.place_order("KRW-BTC", "BID", price=163_000_000, volume="0.01")
    exchange.stop()
    exchange.exchange.trade("KRW-BTC", 162_000_000)
    exchange.start()

    assert exchange.exchange.orders()[order.uuid].state == "done"
    client = listening(dial, exchange)
    exchange.exchange.place_order("KRW-BTC", "BID", price=160_000_000, volume="0.01")
    assert len(client.so_far()) == 2
