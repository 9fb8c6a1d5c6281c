"""The pull client on the embedded exchange, end to end: real sockets, real threads, a market that moves when told."""

from __future__ import annotations

import contextlib
import copy
import gc
import json
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from tests.client.conftest import STILL, MakeClient, MakeManager, wait_until
from upbit_ws import (
    ClientClosedError,
    DataTimeoutError,
    DataType,
    GlobalWebSocketManager,
    InvalidArgumentError,
    NotSubscribedError,
    OrderbookEvent,
    SimpleWebSocketClient,
    StaleDataError,
    WireFormat,
)
from upbit_ws.sandbox import Sandbox
from upbit_ws.types import StreamKey

TICKER, TRADE, ORDERBOOK = DataType.TICKER, DataType.TRADE, DataType.ORDERBOOK


def requests(sandbox: Sandbox) -> list[list[dict[str, Any]]]:
    """What was subscribed to, request by request: the data types, without ticket and format."""
    return [[part for part in json.loads(text) if "type" in part] for text in sandbox.requests]


def codes_of(request: list[dict[str, Any]], name: str) -> set[str]:
    """The codes of one data type in a request."""
    return {code for part in request if part["type"] == name for code in part["codes"]}


# -- pulls ------------------------------------------------------------------------------------------------------------


def test_a_price_is_the_last_trades_price(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("prices", [TICKER], ["KRW-BTC", "KRW-ETH"])

    prices = client.get_multiple_prices()

    assert prices == {code: exchange.exchange.price(code) for code in ("KRW-BTC", "KRW-ETH")}


def test_a_new_trade_moves_the_price(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("prices", [TICKER])
    before = client.get_price("KRW-BTC")
    seen = client.snapshot(TICKER, "KRW-BTC").revision

    exchange.exchange.trade("KRW-BTC", before + 10_000)
    wait_until(lambda: client.snapshot(TICKER, "KRW-BTC").revision > seen, "a new ticker")

    assert client.get_price("krw-btc") == before + 10_000
    assert client.get_current_price("KRW-BTC") == before + 10_000
    assert client.get_current_price(["KRW-BTC"]) == {"KRW-BTC": before + 10_000}


def test_prices_come_from_trades_where_only_those_are_registered(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("prices", [TRADE])

    assert client.get_price("KRW-BTC") == exchange.exchange.price("KRW-BTC")


def test_every_kind_of_market_data_can_be_pulled(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("all", [TICKER, TRADE, ORDERBOOK, DataType.CANDLE_1S, DataType.CANDLE_5M])

    ticker = client.get_ticker_data()["KRW-BTC"]
    trade = client.get_trade_data(["KRW-BTC"])["KRW-BTC"]
    book = client.get_orderbook_data()["KRW-BTC"]
    candle = client.get_candle_data(unit=5)["KRW-BTC"]

    assert ticker.trade_price == trade.trade_price == exchange.exchange.price("KRW-BTC")
    assert trade.sequential_id == exchange.exchange.trades("KRW-BTC")[-1].sequential_id
    assert len(book.orderbook_units) == 30
    assert book.orderbook_units[0].ask_price > book.orderbook_units[0].bid_price
    assert (candle.type, candle.symbol) == ("candle.5m", "KRW-BTC")
    assert client.get_candle_data(unit="1s")["KRW-BTC"].type == "candle.1s"
    assert {event.stream_type for event in (ticker, trade, book, candle)} == {"SNAPSHOT"}


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_pulled_events_are_equal_whichever_format_is_used(
    exchange: Sandbox, make_manager: MakeManager, wire_format: WireFormat
) -> None:
    types = [TICKER, TRADE, ORDERBOOK, DataType.CANDLE_1M]
    found = []
    for asked in (WireFormat.DEFAULT, wire_format):
        manager = make_manager(exchange.url, connection={"wire_format": asked})
        with SimpleWebSocketClient("formats", manager=manager) as client:
            client.register_interest(types, ["KRW-BTC", "BTC-ETH"])
            assert client.wait_ready(timeout=5.0)
            found.append(
                [
                    client.get_ticker_data(),
                    client.get_trade_data(),
                    client.get_orderbook_data(),
                    client.get_candle_data(unit="1m"),
                ]
            )
        assert manager.rejected_payloads() == ()

    assert found[0] == found[1]


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_what_follows_the_snapshot_is_filed_in_every_format(
    exchange: Sandbox, make_manager: MakeManager, wire_format: WireFormat
) -> None:
    manager = make_manager(exchange.url, connection={"wire_format": wire_format})
    with SimpleWebSocketClient("formats", manager=manager) as client:
        client.register_interest([TICKER, TRADE, ORDERBOOK, DataType.CANDLE_1S], ["KRW-BTC"], history=10)
        assert client.wait_ready(timeout=5.0)
        made = []
        for _ in range(3):
            made.append(exchange.exchange.trade("KRW-BTC"))
            exchange.exchange.advance(1.1)
        ids = [trade.sequential_id for trade in made]
        wait_until(
            lambda: [trade.sequential_id for trade in client.get_trade_history("KRW-BTC")][-3:] == ids, "three trades"
        )
        wait_until(lambda: client.get_price("KRW-BTC") == made[-1].price, "the last price")
        wait_until(lambda: len(client.get_candle_history("KRW-BTC", "1s")) >= 3, "three candles")

        assert manager.rejected_payloads() == ()
        assert client.get_orderbook_data()["KRW-BTC"].stream_type == "REALTIME"


def test_books_are_as_deep_as_this_client_asked(exchange: Sandbox, make_client: MakeClient) -> None:
    shallow = make_client("shallow", [ORDERBOOK], orderbook_units=5)
    deep = make_client("deep", [ORDERBOOK], orderbook_units=15)

    def depth(client: SimpleWebSocketClient) -> int:
        return len(client.get_orderbook_data()["KRW-BTC"].orderbook_units)

    wait_until(lambda: depth(deep) == 15, "the deeper book")  # until its request was answered, the shallow one is there
    assert len(shallow.get_orderbook_data()["KRW-BTC"].orderbook_units) == 5
    assert len(shallow.get_orderbook_history("KRW-BTC")[-1].orderbook_units) == 5


def test_whatever_way_a_book_comes_it_is_as_deep_as_asked(exchange: Sandbox, make_client: MakeClient) -> None:
    shallow = make_client("shallow", [ORDERBOOK], orderbook_units=5)
    make_client("deep", [ORDERBOOK], orderbook_units=15).get_orderbook_data()
    updates = shallow.updates([ORDERBOOK], timeout=5)
    price = exchange.exchange.price("KRW-BTC")

    exchange.exchange.trade("KRW-BTC", price + 10_000)
    exchange.exchange.advance(0.2)
    event = next(updates)

    assert isinstance(event, OrderbookEvent)
    assert len(event.orderbook_units) == 5
    reading = shallow.snapshot(ORDERBOOK, "KRW-BTC").event
    assert isinstance(reading, OrderbookEvent)
    assert len(reading.orderbook_units) == 5


def test_a_grouped_book_is_another_stream(exchange: Sandbox, make_client: MakeClient) -> None:
    plain = make_client("plain", [ORDERBOOK])
    grouped = make_client("grouped", [ORDERBOOK], orderbook_level=1_000_000)

    assert grouped.get_orderbook_data()["KRW-BTC"].level == 1_000_000
    assert plain.get_orderbook_data()["KRW-BTC"].level == 0


def test_histories_are_bounded_and_oldest_first(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("history", [TICKER, TRADE], history=5)
    client.get_price("KRW-BTC")

    for _ in range(12):
        exchange.exchange.trade("KRW-BTC")
    made = exchange.exchange.trades("KRW-BTC")
    wait_until(lambda: client.get_price("KRW-BTC") == made[-1].price, "the last price")
    wait_until(
        lambda: client.get_trade_history("KRW-BTC")[-1].sequential_id == made[-1].sequential_id, "the last trade"
    )

    assert [trade.sequential_id for trade in client.get_trade_history("KRW-BTC")] == [
        trade.sequential_id for trade in made[-5:]
    ]
    assert [trade.sequential_id for trade in client.get_trade_history("KRW-BTC", 2)] == [
        trade.sequential_id for trade in made[-2:]
    ]
    tickers = client.get_ticker_history("KRW-BTC", limit=3)
    assert [ticker.trade_price for ticker in tickers] == [trade.price for trade in made[-3:]]


# -- waiting ----------------------------------------------------------------------------------------------------------


def test_a_history_has_its_length_before_anything_can_come(
    manager: GlobalWebSocketManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int | None] = []

    def wake(endpoints: object) -> None:
        slot = manager.pool.slot(StreamKey(DataType.TRADE, "KRW-BTC"))
        lengths.append(slot.history_limit if slot is not None else None)

    monkeypatch.setattr(manager._connections, "wake", wake)
    SimpleWebSocketClient("one", manager=manager).register_interest(["trade"], ["KRW-BTC"], history=77)

    assert lengths == [77]


def test_wait_for_update_returns_the_next_event(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("waiting", [TICKER], ["KRW-BTC", "KRW-ETH"])
    client.get_multiple_prices()
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(client.wait_for_update(TICKER, "KRW-BTC", timeout=5.0)))
    waiting.start()
    slot = client._manager.pool.slot(StreamKey(TICKER, "KRW-BTC"))
    assert slot is not None
    wait_until(lambda: bool(slot.waiters), "the wait")

    made = exchange.exchange.trade("KRW-BTC")
    waiting.join(5.0)

    assert [event.trade_price for event in found] == [made.price]


def test_wait_for_update_says_why_nothing_came(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("waiting", [TICKER])
    client.get_price("KRW-BTC")

    with pytest.raises(DataTimeoutError, match="connected"):
        client.wait_for_update(TICKER, "KRW-BTC", timeout=0.05)


def test_wait_ready_tells_the_silent_streams_from_the_others(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("typo", [TICKER, TRADE], ["KRW-BTC", "KRW-BTCC"])

    readiness = client.wait_ready(timeout=0.5)

    assert not readiness
    assert set(readiness.silent) == {StreamKey(TICKER, "KRW-BTCC"), StreamKey(TRADE, "KRW-BTCC")}
    assert set(readiness.delivered) == {StreamKey(TICKER, "KRW-BTC"), StreamKey(TRADE, "KRW-BTC")}
    assert client.status().silent == readiness.silent


def test_a_pull_of_a_misspelt_code_names_what_is_missing_and_what_came(
    exchange: Sandbox, make_client: MakeClient
) -> None:
    client = make_client("typo", [TICKER], ["KRW-BTC", "KRW-BTCC"])
    client.get_price("KRW-BTC")

    with pytest.raises(DataTimeoutError) as caught:
        client.get_multiple_prices(timeout=0.05)

    assert caught.value.missing == (StreamKey(TICKER, "KRW-BTCC"),)
    assert "spelt" in str(caught.value)


def test_a_pull_with_timeout_zero_never_waits(make_client: MakeClient) -> None:
    client = make_client("impatient", [TICKER], ["KRW-NONE"])
    begun = time.monotonic()

    with pytest.raises(DataTimeoutError):
        client.get_price("KRW-NONE", timeout=0)

    assert time.monotonic() - begun < 0.5


# -- wrong use --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (([TICKER], "KRW-BTC"), r"symbols=\['KRW-BTC'\]"),
        (([TICKER], ["BTC-KRW"]), "KRW-BTC"),
        (([TICKER], []), "symbols"),
        ((["tickr"], ["KRW-BTC"]), "ticker"),
        (([], ["KRW-BTC"]), "data_types"),
        ((42, ["KRW-BTC"]), "data_types"),
    ],
)
def test_a_wrong_interest_is_refused_at_once_and_registers_nothing(
    make_client: MakeClient, arguments: tuple[Any, Any], hint: str
) -> None:
    client = make_client("wrong")

    with pytest.raises(InvalidArgumentError, match=hint):
        client.register_interest(*arguments)

    assert client.status().interests == 0


@pytest.mark.parametrize(
    "options", [{"history": -1}, {"history": True}, {"history": 10**9}, {"orderbook_units": 7}, {"orderbook_level": -1}]
)
def test_wrong_options_are_refused(make_client: MakeClient, options: dict[str, Any]) -> None:
    client = make_client("wrong")

    with pytest.raises(InvalidArgumentError):
        client.register_interest([ORDERBOOK], ["KRW-BTC"], **options)
    assert client.status().interests == 0


def test_order_book_options_are_for_order_books(make_client: MakeClient) -> None:
    client = make_client("wrong")

    with pytest.raises(InvalidArgumentError, match="ORDERBOOK"):
        client.register_interest([TICKER], ["KRW-BTC"], orderbook_units=5)


@pytest.mark.parametrize("value", ["1", -1, float("nan"), True])
def test_timeouts_and_ages_are_seconds(make_client: MakeClient, value: Any) -> None:
    client = make_client("wrong", [TICKER])

    with pytest.raises(InvalidArgumentError, match="timeout"):
        client.get_multiple_prices(timeout=value)
    with pytest.raises(InvalidArgumentError, match="max_age"):
        client.get_multiple_prices(max_age=value)


@pytest.mark.parametrize("limit", [0, -1, True, "5"])
def test_limits_are_whole_numbers(make_client: MakeClient, limit: Any) -> None:
    client = make_client("wrong", [TICKER])

    with pytest.raises(InvalidArgumentError, match="limit"):
        client.get_ticker_history("KRW-BTC", limit)


def test_a_client_sees_only_what_it_registered_itself(make_client: MakeClient) -> None:
    make_client("other", [TICKER, TRADE], ["KRW-BTC", "KRW-ETH"]).wait_ready(timeout=5.0)
    client = make_client("mine", [TICKER], ["KRW-BTC"])

    assert set(client.get_multiple_prices()) == {"KRW-BTC"}
    with pytest.raises(NotSubscribedError, match="KRW-ETH"):
        client.get_price("KRW-ETH")
    with pytest.raises(NotSubscribedError, match="TRADE"):
        client.get_trade_data()


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_component_has_a_name(manager: GlobalWebSocketManager, name: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="component_id"):
        SimpleWebSocketClient(name, manager=manager)


@pytest.mark.parametrize("manager", [0, "manager", GlobalWebSocketManager])
def test_a_manager_is_a_manager(manager: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^manager must be a GlobalWebSocketManager"):
        SimpleWebSocketClient("component", manager=manager)


@pytest.mark.parametrize("options", [{"categories": [[]]}, {"include_body": 1}])
def test_wrong_options_of_announcements_are_refused(make_client: MakeClient, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        make_client("wrong").register_interest([DataType.ANNOUNCEMENT], **options)


def test_a_manager_and_a_configuration_exclude_each_other(manager: GlobalWebSocketManager) -> None:
    with pytest.raises(InvalidArgumentError, match="config"):
        SimpleWebSocketClient("both", manager=manager, config=manager.config)


def test_a_client_is_neither_copied_nor_pickled(make_client: MakeClient) -> None:
    client = make_client("one")

    for copier in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="live connection"):
            copier(client)


def test_a_closed_client_says_so(make_client: MakeClient) -> None:
    client = make_client("closed", [TICKER])
    client.close()
    client.close()

    assert client.is_closed
    assert "closed" in repr(client)
    for use in (
        lambda: client.get_price("KRW-BTC"),
        lambda: client.register_interest([TICKER], ["KRW-BTC"]),
        lambda: client.unregister_interest(),
        lambda: client.status(),
        lambda: client.wait_ready(),
        lambda: client.updates(),
    ):
        with pytest.raises(ClientClosedError):
            use()


def test_closing_wakes_a_pull_that_waits(make_client: MakeClient) -> None:
    client = make_client("closing", [TICKER], ["KRW-NONE"])
    found: list[BaseException] = []

    def pull() -> None:
        try:
            client.get_price("KRW-NONE", timeout=30.0)
        except ClientClosedError as error:
            found.append(error)

    pulling = threading.Thread(target=pull)
    pulling.start()
    pool = client._manager.pool
    wait_until(lambda: bool(pool._waiters), "the wait")
    client.close()
    pulling.join(1.0)

    assert len(found) == 1


def test_closing_in_the_middle_of_another_call_takes_no_lock_and_wakes_who_waits(
    manager: GlobalWebSocketManager, make_client: MakeClient
) -> None:
    client, raised = make_client("interrupted", [TICKER]), []
    client.wait_ready(timeout=5.0)

    def pull() -> None:
        try:
            client.wait_for_update(TICKER, "KRW-BTC", timeout=30)
        except ClientClosedError as error:
            raised.append(error)

    thread = threading.Thread(target=pull)
    thread.start()
    wait_until(lambda: bool(manager.pool._waiters), "the pull waits")

    # As a signal handler or a finalizer would: below it, its own thread holds a lock of the SDK.
    manager.pool.wait((), lambda: client.close() is None, 0.0)
    thread.join(5.0)

    assert not thread.is_alive()
    assert len(raised) == 1


# -- sharing ----------------------------------------------------------------------------------------------------------


def test_two_components_share_one_connection_and_one_wanted_set(exchange: Sandbox, make_client: MakeClient) -> None:
    first = make_client("first", [TICKER], ["KRW-BTC", "KRW-ETH"])
    first.get_multiple_prices()
    second = make_client("second", [TICKER, TRADE], ["KRW-ETH", "KRW-XRP"])
    assert second.wait_ready(timeout=5.0)

    assert len(exchange.connection_logs) == 1
    last = requests(exchange)[-1]
    assert codes_of(last, "ticker") == {"KRW-BTC", "KRW-ETH", "KRW-XRP"}
    assert codes_of(last, "trade") == {"KRW-ETH", "KRW-XRP"}


def test_the_first_one_out_changes_nothing_for_the_second(exchange: Sandbox, make_client: MakeClient) -> None:
    first = make_client("first", [TICKER], ["KRW-BTC", "KRW-ETH"])
    second = make_client("second", [TICKER], ["KRW-ETH"])
    assert second.wait_ready(timeout=5.0)
    before = second.snapshot(TICKER, "KRW-ETH")

    first.close()
    wait_until(lambda: codes_of(requests(exchange)[-1], "ticker") == {"KRW-ETH"}, "the smaller request")

    after = second.snapshot(TICKER, "KRW-ETH")
    assert (after.epoch, after.event.trade_price) == (before.epoch, before.event.trade_price)
    made = exchange.exchange.trade("KRW-ETH")
    wait_until(lambda: second.get_price("KRW-ETH") == made.price, "the next price")
    assert len(exchange.connection_logs) == 1


def test_the_last_one_out_ends_the_connection(exchange: Sandbox, make_client: MakeClient) -> None:
    first, second = make_client("first", [TICKER]), make_client("second", [TICKER])
    second.get_price("KRW-BTC")

    first.close()
    second.close()

    wait_until(lambda: exchange.connection_logs[0].close_code == 1000, "the goodbye")


def test_a_component_that_was_only_deleted_is_swept(
    exchange: Sandbox, manager: GlobalWebSocketManager, make_client: MakeClient
) -> None:
    make_client("stays", [TICKER], ["KRW-ETH"]).get_price("KRW-ETH")
    client = SimpleWebSocketClient("forgotten", manager=manager)
    client.register_interest([TICKER], ["KRW-BTC"])
    client.get_price("KRW-BTC")

    del client
    gc.collect()

    wait_until(lambda: codes_of(requests(exchange)[-1], "ticker") == {"KRW-ETH"}, "the sweep")
    wait_until(lambda: manager.get_health_status().dead_components_swept == 1, "the count")


def test_running_a_notebooks_cell_again_sends_only_the_difference(
    exchange: Sandbox, manager: GlobalWebSocketManager
) -> None:
    def cell(symbols: list[str]) -> SimpleWebSocketClient:
        client = SimpleWebSocketClient("cell", manager=manager)
        client.register_interest([TICKER, TRADE], symbols)
        assert client.wait_ready(timeout=5.0)
        return client

    first = cell(["KRW-BTC", "KRW-ETH"])
    sent = len(requests(exchange))
    second = cell(["KRW-BTC", "KRW-ETH"])
    assert first.is_closed
    assert not second.is_closed
    with pytest.raises(ClientClosedError):
        first.get_price("KRW-BTC")
    third = cell(["KRW-BTC", "KRW-XRP"])

    # The second cell wanted the same: nothing was sent for it. The third one's request replaced the first one's.
    wait_until(lambda: len(requests(exchange)) == sent + 1, "one more request")
    assert codes_of(requests(exchange)[-1], "ticker") == {"KRW-BTC", "KRW-XRP"}
    assert len(exchange.connection_logs) == 1
    assert third.get_price("KRW-BTC") == exchange.exchange.price("KRW-BTC")
    third.close()


def test_unregistering_tells_the_exchange(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("less", [TICKER, TRADE], ["KRW-BTC", "KRW-ETH"])
    assert client.wait_ready(timeout=5.0)

    client.unregister_interest([TRADE])
    client.unregister_interest([TICKER], ["KRW-ETH"])

    wait_until(lambda: requests(exchange)[-1] == [{"type": "ticker", "codes": ["KRW-BTC"]}], "the smaller request")
    with pytest.raises(NotSubscribedError):
        client.get_price("KRW-ETH")


def test_threads_that_register_at_once_start_one_connection(
    exchange: Sandbox, manager: GlobalWebSocketManager, make_client: MakeClient
) -> None:
    clients = [make_client(f"component-{number}") for number in range(8)]
    codes = exchange.exchange.markets[:8]
    gate = threading.Barrier(8)

    def register(client: SimpleWebSocketClient, code: str) -> None:
        gate.wait()
        client.register_interest([TICKER], [code])
        client.get_price(code)

    threads = [threading.Thread(target=register, args=pair) for pair in zip(clients, codes, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5.0)

    assert len(exchange.connection_logs) == 1
    assert codes_of(requests(exchange)[-1], "ticker") == set(codes)
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("upbit-ws-io")]
    assert names == ["upbit-ws-io-public"]


# -- patterns ---------------------------------------------------------------------------------------------------------


def test_a_pattern_means_all_markets_of_its_quote_currency(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("pattern", [TICKER], ["KRW-*"])

    prices = client.get_multiple_prices()

    assert set(prices) == {code for code in exchange.exchange.markets if code.startswith("KRW-")}


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_price("KRW-*"),
        lambda client: client.get_ticker_history("KRW-*"),
        lambda client: client.snapshot(TICKER, "KRW-*"),
        lambda client: client.wait_for_update(TICKER, "KRW-*", timeout=0),
    ],
)
def test_where_one_market_is_meant_a_pattern_is_refused(
    make_client: MakeClient, call: Callable[[SimpleWebSocketClient], object]
) -> None:
    client = make_client("pattern", [TICKER], ["KRW-*"])

    with pytest.raises(InvalidArgumentError, match="one market"):
        call(client)


def test_a_pattern_follows_listings_and_delistings(
    exchange: Sandbox, manager: GlobalWebSocketManager, make_client: MakeClient
) -> None:
    client = make_client("pattern", [TICKER], ["KRW-*"])
    before = set(client.get_multiple_prices())

    exchange.exchange.list_market("KRW-NEWCOIN", 1234.0)
    exchange.exchange.delist_market("KRW-XRP")
    manager._monitors["markets"].kick()
    wait_until(lambda: "KRW-NEWCOIN" in codes_of(requests(exchange)[-1], "ticker"), "the new request")

    prices = client.get_multiple_prices()
    assert set(prices) == before - {"KRW-XRP"} | {"KRW-NEWCOIN"}
    assert prices["KRW-NEWCOIN"] == exchange.exchange.price("KRW-NEWCOIN")
    assert "KRW-XRP" not in codes_of(requests(exchange)[-1], "ticker")


def test_a_pattern_waits_for_the_list_of_markets_and_says_when_there_is_none(make_manager: MakeManager) -> None:
    manager = make_manager("http://127.0.0.1:9")
    with SimpleWebSocketClient("pattern", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-*"])
        wait_until(lambda: manager._markets.last_error is not None, "the failure")

        assert client.status().interests == 0
        with pytest.raises(DataTimeoutError, match=r"refused|list of markets"):
            client.get_multiple_prices(timeout=0.1)


# -- truth ------------------------------------------------------------------------------------------------------------


def test_a_reading_says_what_is_known_about_a_value(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("truth", [TICKER])
    client.get_price("KRW-BTC")

    reading = client.snapshot("ticker", "KRW-BTC")

    assert reading.event == client.get_ticker_data()["KRW-BTC"]
    assert (reading.data_type, reading.symbol) == (TICKER, "KRW-BTC")
    assert reading.is_live
    assert reading.epoch == 1
    assert reading.revision >= 1
    assert reading.age is not None
    assert 0 <= reading.age < 5


def test_a_quiet_market_is_still_vouched_for_while_pongs_come(
    exchange: Sandbox, make_manager: MakeManager, make_client: MakeClient
) -> None:
    manager = make_manager(exchange.url, connection={"ping_interval": 0.05})
    client = make_client("quiet", [TICKER], manager=manager)
    client.get_price("KRW-BTC")
    first = client.snapshot(TICKER, "KRW-BTC")

    wait_until(
        lambda: (client.snapshot(TICKER, "KRW-BTC").vouched_at or 0.0) > (first.vouched_at or 0.0) + 0.1, "pongs"
    )

    reading = client.snapshot(TICKER, "KRW-BTC")
    assert reading.received_at == first.received_at
    assert client.get_price("KRW-BTC", max_age=2.0) == first.event.trade_price


def test_after_the_end_of_a_connection_the_age_grows_and_a_bound_on_it_holds(
    exchange: Sandbox, make_client: MakeClient
) -> None:
    client = make_client("outage", [TICKER])
    price = client.get_price("KRW-BTC")
    exchange.stop()
    wait_until(lambda: not client.snapshot(TICKER, "KRW-BTC").is_live, "the loss")

    wait_until(lambda: (client.snapshot(TICKER, "KRW-BTC").age or 0.0) > 0.1, "age")

    assert client.get_price("KRW-BTC") == price
    with pytest.raises(StaleDataError) as caught:
        client.get_price("KRW-BTC", max_age=0.1)
    assert caught.value.keys == (StreamKey(TICKER, "KRW-BTC"),)
    assert caught.value.max_age == 0.1
    assert caught.value.age is not None
    assert caught.value.age > 0.1


def test_prices_move_again_after_an_outage_of_three_seconds(
    make_sandbox: Callable[..., Sandbox], make_manager: MakeManager, make_client: MakeClient
) -> None:
    sandbox = make_sandbox(rate=200.0, markets=["KRW-BTC", "KRW-ETH"], history_hours=1.0)
    client = make_client("outage", [TICKER], ["KRW-BTC", "KRW-ETH"], manager=make_manager(sandbox.url))
    client.get_multiple_prices()
    ages: list[float] = []

    sandbox.stop()
    stopped = time.monotonic()
    while time.monotonic() < stopped + 3.0:
        reading = client.snapshot(TICKER, "KRW-BTC")
        ages.append(reading.age or 0.0)
        with contextlib.suppress(StaleDataError, DataTimeoutError):
            client.get_multiple_prices(max_age=1.0)
        time.sleep(0.01)
    sandbox.start()
    restarted = time.monotonic()
    before = client.snapshot(TICKER, "KRW-BTC")
    wait_until(
        lambda: all(
            client.snapshot(TICKER, code).is_live and client.snapshot(TICKER, code).event.stream_type == "REALTIME"
            for code in ("KRW-BTC", "KRW-ETH")
        ),
        "new prices",
    )

    assert time.monotonic() - restarted < 5.0
    assert 2.5 < ages[-1] < 3.6
    assert client.snapshot(TICKER, "KRW-BTC").is_live
    assert client.snapshot(TICKER, "KRW-BTC").epoch > before.epoch
    assert client.get_multiple_prices(max_age=1.0)


def test_a_refused_port_fails_neither_the_constructor_nor_the_interest(make_manager: MakeManager) -> None:
    manager = make_manager("http://127.0.0.1:9")

    with SimpleWebSocketClient("nobody", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        wait_until(lambda: client.status().connections[0].last_error is not None, "the first refusal")
        with pytest.raises(DataTimeoutError, match=r"last connection error: .*refused") as caught:
            client.get_price("KRW-BTC", timeout=0.1)

        assert caught.value.missing == (StreamKey(TICKER, "KRW-BTC"),)
        status = client.status().connections[0]
        assert status.connected_since is None
        assert status.epoch == 0


def test_a_status_shows_connection_and_streams(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("status", [TICKER], ["KRW-BTC", "KRW-NONE"])
    client.get_price("KRW-BTC")

    status = client.status()

    (connection,) = status.connections
    assert (status.component_id, status.interests, status.delivered) == ("status", 2, 1)
    assert status.silent == (StreamKey(TICKER, "KRW-NONE"),)
    assert (connection.state.value, connection.epoch, connection.wanted) == ("connected", 1, 2)
    assert connection.last_data_age is not None
    assert status.oldest_vouched_age is not None
    assert "KRW" in repr(status)


# -- size -------------------------------------------------------------------------------------------------------------


def test_855_markets_times_three_types_in_one_client(
    make_sandbox: Callable[..., Sandbox], make_manager: MakeManager, make_client: MakeClient
) -> None:
    sandbox = make_sandbox(**{**STILL, "market_count": 855, "history_hours": 0.2})
    codes = sandbox.exchange.markets
    client = make_client("all", [TICKER, TRADE, ORDERBOOK], codes, manager=make_manager(sandbox.url))

    assert len(codes) == 855
    readiness = client.wait_ready(timeout=20.0)

    assert readiness.silent == ()
    assert len(readiness.delivered) == 3 * 855
    assert client.get_multiple_prices() == {code: sandbox.exchange.price(code) for code in codes}
    assert len(client.get_orderbook_data()) == 855
    assert len(sandbox.connection_logs) == 1


def test_events_are_frozen_and_comparable(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("events", [TICKER])

    ticker = client.get_ticker_data()["KRW-BTC"]

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ticker.trade_price = 1.0  # type: ignore[misc]
    assert client.get_ticker_data()["KRW-BTC"] is ticker
