"""The quotation calls, on the same market as the WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from tests.sandbox.clients import Client, candle, orderbook, ticker, trade
from upbit_ws.sandbox import Sandbox

Make = Callable[..., Sandbox]


def ask(sandbox: Sandbox, path: str, **query: Any) -> requests.Response:
    return requests.get(sandbox.url + path, params=query, timeout=5)


def get(sandbox: Sandbox, path: str, **query: Any) -> Any:
    reply = ask(sandbox, path, **query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def without(payload: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key not in keys}


def test_all_markets_are_listed(exchange: Sandbox) -> None:
    rows = get(exchange, "/v1/market/all")

    assert [row["market"] for row in rows] == exchange.exchange.markets
    assert rows[0] == {"market": "KRW-BTC", "korean_name": "비트코인", "english_name": "Bitcoin"}


def test_details_tell_of_warnings(exchange: Sandbox) -> None:
    exchange.exchange.warn("KRW-ETH")
    rows = {row["market"]: row["market_event"] for row in get(exchange, "/v1/market/all", is_details="true")}

    assert [code for code, event in rows.items() if event["warning"]] == ["KRW-ETH"]
    assert len(rows["KRW-BTC"]["caution"]) == 5


def test_listed_and_delisted_markets_come_and_go(exchange: Sandbox) -> None:
    exchange.exchange.list_market("KRW-NEW", price=1_234)
    exchange.exchange.delist_market("KRW-XRP")
    codes = {row["market"] for row in get(exchange, "/v1/market/all")}

    assert "KRW-NEW" in codes
    assert "KRW-XRP" not in codes
    assert ask(exchange, "/v1/ticker", markets="KRW-XRP").status_code == 404


def test_rest_and_websocket_tell_of_the_same_ticker(exchange: Sandbox, client: Client) -> None:
    client.subscribe(ticker("KRW-BTC"))
    (row,) = get(exchange, "/v1/ticker", markets="KRW-BTC")
    told = client.next()

    assert row["market"] == told["code"]
    for key in set(row) & set(told) - {"trade_date", "trade_time"}:
        assert row[key] == told[key], key


def test_rest_and_websocket_tell_of_the_same_book(exchange: Sandbox, client: Client) -> None:
    client.subscribe(orderbook("KRW-BTC.5", level=10_000))
    (row,) = get(exchange, "/v1/orderbook", markets="KRW-BTC", count=5, level="10000")
    told = client.next()

    assert row["orderbook_units"] == told["orderbook_units"]
    assert list(row["orderbook_units"][0]) == ["bid_price", "bid_size", "ask_price", "ask_size"]
    for key in ("timestamp", "total_ask_size", "total_bid_size", "level"):
        assert row[key] == told[key]


def test_rest_and_websocket_tell_of_the_same_trades(exchange: Sandbox, client: Client) -> None:
    client.subscribe(trade("KRW-BTC", is_only_realtime=True))
    client.so_far()
    for _ in range(5):
        exchange.exchange.trade("KRW-BTC")
        exchange.exchange.advance(0.01)
    told = {message["sequential_id"]: message for message in client.so_far()}
    rows = get(exchange, "/v1/trades/ticks", market="KRW-BTC", count=5)

    assert [row["sequential_id"] for row in rows] == sorted(told, reverse=True)
    for row in rows:
        message = told[row["sequential_id"]]
        assert row["timestamp"] == message["trade_timestamp"]
        assert abs(row["change_price"]) == message["change_price"]
        for key in ("trade_price", "trade_volume", "ask_bid", "prev_closing_price"):
            assert row[key] == message[key]


@pytest.mark.parametrize(("unit", "path"), [("1s", "seconds"), ("1m", "minutes/1"), ("240m", "minutes/240")])
def test_rest_and_websocket_tell_of_the_same_candle(exchange: Sandbox, client: Client, unit: str, path: str) -> None:
    client.subscribe(candle(unit, "KRW-BTC"))
    (row,) = get(exchange, f"/v1/candles/{path}", market="KRW-BTC")
    told = client.next()

    assert without(row, "market", "unit") == without(told, "type", "code", "stream_type")
    assert row.get("unit") == (None if unit == "1s" else int(unit[:-1]))


def test_tickers_of_a_quote_currency_come_all_at_once(exchange: Sandbox) -> None:
    rows = get(exchange, "/v1/ticker/all", quote_currencies="BTC,USDT")

    assert [row["market"] for row in rows] == ["BTC-ETH", "USDT-BTC"]


def test_instruments_tell_the_price_units(exchange: Sandbox) -> None:
    rows = get(exchange, "/v1/orderbook/instruments", markets="KRW-BTC,BTC-ETH")

    assert rows[0] == {
        "market": "KRW-BTC",
        "quote_currency": "KRW",
        "tick_size": "1000",
        "supported_levels": ["0", "10000", "100000", "1000000", "10000000", "100000000"],
    }
    assert (rows[1]["tick_size"], rows[1]["supported_levels"]) == ("0.00000001", ["0"])
    old = get(exchange, "/v1/orderbook/supported_levels", markets="KRW-BTC")
    assert old[0]["supported_levels"][:2] == [0, 10_000]


def test_numbers_are_plain(exchange: Sandbox) -> None:
    text = ask(exchange, "/v1/orderbook", markets="KRW-BTC,BTC-ETH").text
    text += ask(exchange, "/v1/ticker", markets="KRW-BTC,BTC-ETH").text

    assert "E-" not in text
    assert "e-" not in text
    assert '"trade_price":16' in text
    assert ".0," not in text


def test_a_count_of_books_is_clamped(exchange: Sandbox) -> None:
    (row,) = get(exchange, "/v1/orderbook", markets="KRW-BTC", count=99)

    assert len(row["orderbook_units"]) == 30


def test_trades_can_be_paged_without_a_gap_or_a_repetition(exchange: Sandbox) -> None:
    for _ in range(40):
        exchange.exchange.trade("KRW-BTC")
    expected = sorted((made.sequential_id for made in exchange.exchange.trades("KRW-BTC")), reverse=True)
    found: list[int] = []
    cursor: dict[str, int] = {}
    while page := get(exchange, "/v1/trades/ticks", market="KRW-BTC", count=7, **cursor):
        found += [row["sequential_id"] for row in page]
        cursor = {"cursor": found[-1]}

    assert found == expected


def test_trades_stop_at_the_day_and_go_on_with_days_ago(make: Make) -> None:
    sandbox = make(start_time=1_790_208_000.0 - 1, rate=0)
    yesterday = sandbox.exchange.trade("KRW-BTC")
    sandbox.exchange.advance(2)
    today = sandbox.exchange.trade("KRW-BTC")

    assert [row["sequential_id"] for row in get(sandbox, "/v1/trades/ticks", market="KRW-BTC", count=500)] == [
        today.sequential_id
    ]
    before = get(sandbox, "/v1/trades/ticks", market="KRW-BTC", count=500, days_ago=1)
    assert before[0]["sequential_id"] == yesterday.sequential_id
    assert get(sandbox, "/v1/trades/ticks", market="KRW-BTC", to="00:00:01", count=5) == []
    until = get(sandbox, "/v1/trades/ticks", market="KRW-BTC", to="235959", days_ago=1, count=1)
    assert until[0]["sequential_id"] < yesterday.sequential_id


def test_no_more_than_500_trades_come_at_once(make: Make) -> None:
    sandbox = make()
    for _ in range(520):
        sandbox.exchange.trade("KRW-BTC")

    assert len(get(sandbox, "/v1/trades/ticks", market="KRW-BTC", count=1_000)) == 500
    assert len(get(sandbox, "/v1/trades/ticks", market="KRW-BTC")) == 1


def test_candles_can_be_paged_backwards(exchange: Sandbox) -> None:
    everything = get(exchange, "/v1/candles/minutes/1", market="KRW-BTC", count=200)
    found: list[dict[str, Any]] = []
    to: dict[str, str] = {}
    while page := get(exchange, "/v1/candles/minutes/1", market="KRW-BTC", count=9, **to):
        found += page
        to = {"to": page[-1]["candle_date_time_utc"]}
        if len(found) >= len(everything):
            break

    assert found[: len(everything)] == everything
    starts = [row["candle_date_time_utc"] for row in found]
    assert starts == sorted(set(starts), reverse=True)


@pytest.mark.parametrize("offset", ["+09:00", "Z", ""])
def test_the_border_of_candles_may_carry_a_zone(exchange: Sandbox, offset: str) -> None:
    newest, *_ = get(exchange, "/v1/candles/minutes/1", market="KRW-BTC", count=1)
    start = datetime.fromisoformat(newest["candle_date_time_utc"])
    local = start + timedelta(hours=9) if offset == "+09:00" else start
    (row,) = get(exchange, "/v1/candles/minutes/1", market="KRW-BTC", count=1, to=local.isoformat() + offset)

    assert row["candle_date_time_utc"] < newest["candle_date_time_utc"]


@pytest.mark.parametrize("path", ["days", "weeks", "months", "years", "seconds", "minutes/5"])
def test_a_long_candle_adds_up_to_the_trades(make: Make, path: str) -> None:
    sandbox = make(history_hours=0.0)
    made = [sandbox.exchange.trade("KRW-BTC") for _ in range(5)]
    (row,) = get(sandbox, f"/v1/candles/{path}", market="KRW-BTC", count=10)

    assert row["opening_price"] == made[0].price
    assert row["trade_price"] == made[-1].price
    assert row["candle_acc_trade_volume"] == pytest.approx(sum(one.volume for one in made))


def test_days_tell_the_change_against_the_day_before(make: Make) -> None:
    sandbox = make(start_time=1_790_208_000.0 - 1)
    sandbox.exchange.trade("KRW-BTC", price=160_000_000)
    sandbox.exchange.advance(2)
    sandbox.exchange.trade("KRW-BTC", price=168_000_000)
    today, *_ = get(sandbox, "/v1/candles/days", market="KRW-BTC", count=2)

    assert (today["prev_closing_price"], today["change_price"]) == (160_000_000, 8_000_000)
    assert today["change_rate"] == 0.05


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/v1/orderbook?markets=KRW-NOPE", 404, {"name": 404, "message": "Code not found"}),
        ("/v1/ticker?markets=KRW-BTC,KRW-NOPE", 404, {"name": 404, "message": "Code not found"}),
        (
            "/v1/orderbook",
            400,
            {"name": 400, "message": "Missing request parameter error. Check the required parameters!"},
        ),
        (
            "/v1/orderbook?markets=KRW-BTC&count=abc",
            400,
            {"name": 400, "message": "Type mismatch error. Check the parameters type!"},
        ),
        ("/v1/nope", 404, {"name": "not_found", "message": "no Route matched with those values"}),
        ("/v1/candles/minutes/2?market=KRW-BTC", 404, None),
        ("/v1/candles/days", 400, None),
        ("/v1/candles/days?market=KRW-BTC&to=tomorrow", 400, None),
        ("/v1/trades/ticks?market=KRW-BTC&days_ago=8", 400, None),
        ("/v1/trades/ticks?market=KRW-BTC&to=25:00:00", 400, None),
        ("/v1/orderbook?markets=KRW-BTC&level=x", 400, None),
        ("/v1/ticker/all", 400, None),
    ],
)
def test_errors_are_those_that_were_captured(exchange: Sandbox, path: str, status: int, error: Any) -> None:
    reply = requests.get(exchange.url + path, timeout=5)

    assert reply.status_code == status
    assert error is None or reply.json() == {"error": error}
    assert exchange.rest_calls[-1].target == path


def test_lower_case_codes_are_understood_here(exchange: Sandbox) -> None:
    assert get(exchange, "/v1/ticker", markets="krw-btc")[0]["market"] == "KRW-BTC"


def test_each_group_has_its_limit_and_tells_what_is_left(make: Make) -> None:
    sandbox = make(rest_limit=3, limit_patience=1)
    with requests.Session() as session:
        replies = [session.get(f"{sandbox.url}/v1/market/all", timeout=5) for _ in range(14)]
        other = session.get(f"{sandbox.url}/v1/ticker?markets=KRW-BTC", timeout=5)
    statuses = [reply.status_code for reply in replies]

    assert replies[0].headers["Remaining-Req"] == "group=market; min=600; sec=2"
    assert 429 in statuses
    assert statuses[-1] == 418
    assert "Blocked for" in replies[-1].json()["error"]["message"]
    assert other.status_code == 200


def test_an_origin_header_allows_one_call_in_ten_seconds(exchange: Sandbox) -> None:
    headers = {"Origin": "http://example.com"}
    replies = [requests.get(f"{exchange.url}/v1/market/all", headers=headers, timeout=5) for _ in range(3)]

    assert 429 in [reply.status_code for reply in replies]
    assert replies[0].headers["Remaining-Req"].startswith("group=origin;")


def test_large_replies_are_compressed(exchange: Sandbox) -> None:
    assert ask(exchange, "/v1/orderbook", markets="KRW-BTC").headers["Content-Encoding"] == "gzip"


def test_a_call_that_does_not_exist_is_not_found(exchange: Sandbox) -> None:
    assert requests.post(f"{exchange.url}/v1/withdraws/coin", json={"currency": "BTC"}, timeout=5).status_code == 404
