"""The callback client, end to end on an exchange of the test's own."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.client.conftest import STILL, MakeManager, wait_until
from upbit_ws import (
    BackpressureError,
    BackpressureStrategy,
    ClientClosedError,
    DataType,
    GlobalWebSocketManager,
    InvalidArgumentError,
    RequestRejectedError,
    SimpleWebSocketClient,
    StreamKey,
    SubscriptionSpec,
    WebSocketClientProxy,
    get_global_websocket_manager,
)
from upbit_ws.lifecycle import Closed, Connected, Connecting, SilentCodes, SlowConsumer, Subscribed
from upbit_ws.sandbox import Sandbox
from upbit_ws.types import Endpoint, WireFormat

BTC, ETH = "KRW-BTC", "KRW-ETH"
RSI: dict[str, Any] = {"type": "rsi", "params": {"period": 14}}


def type_objects(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What the last request asked for."""
    return [item for item in json.loads(sandbox.requests[-1]) if "type" in item]


@pytest.fixture
def proxy(manager: GlobalWebSocketManager) -> Any:
    with WebSocketClientProxy("proxy", manager=manager) as proxy:
        yield proxy


# -- what comes -------------------------------------------------------------------------------------------------------


def test_the_first_events_are_the_snapshots_of_the_exchange(exchange: Sandbox, proxy: WebSocketClientProxy) -> None:
    got: list[Any] = []
    proxy.subscribe_ticker([BTC, ETH], got.append)
    wait_until(lambda: len(got) == 2, "two tickers")

    assert {(event.symbol, event.stream_type) for event in got} == {(BTC, "SNAPSHOT"), (ETH, "SNAPSHOT")}
    assert len(exchange.requests) == 1


def test_trades_come_each_once_and_in_order(exchange: Sandbox, proxy: WebSocketClientProxy) -> None:
    got: list[Any] = []
    proxy.subscribe_trade([BTC], got.append)
    wait_until(lambda: bool(got), "the snapshot")
    for _ in range(50):
        exchange.exchange.trade(BTC)
    wait_until(lambda: len(got) >= 51, "fifty trades")

    ids = [event.sequential_id for event in got]
    assert ids == sorted(set(ids))
    assert {event.stream_type for event in got[1:]} == {"REALTIME"}


def test_every_wire_format_gives_the_same_events(exchange: Sandbox, make_manager: MakeManager) -> None:
    seen = []
    for wire_format in WireFormat:
        manager = make_manager(exchange.url, connection={"wire_format": wire_format})
        got: list[Any] = []
        with WebSocketClientProxy("format", manager=manager) as proxy:
            proxy.subscribe_ticker([BTC], got.append)
            wait_until(lambda got=got: bool(got), "a ticker")  # type: ignore[misc]
        seen.append(got[0])

    assert len({(event.symbol, event.trade_price, event.stream_type) for event in seen}) == 1


@pytest.mark.parametrize(
    ("unit", "name"), [(5, "candle.5m"), ("1s", "candle.1s"), (DataType.CANDLE_240M, "candle.240m")]
)
def test_candles_of_a_unit(exchange: Sandbox, proxy: WebSocketClientProxy, unit: Any, name: str) -> None:
    got: list[Any] = []
    proxy.subscribe_candle([BTC], got.append, unit=unit)
    wait_until(lambda: bool(got), "a candle")

    assert got[0].type == name


def test_books_are_asked_for_by_the_deepest_and_cut_for_the_others(
    exchange: Sandbox, proxy: WebSocketClientProxy
) -> None:
    shallow: list[Any] = []
    deep: list[Any] = []
    proxy.subscribe_orderbook([BTC], shallow.append, units=5)
    proxy.subscribe_orderbook([BTC], deep.append, units=15)
    wait_until(lambda: bool(shallow) and bool(deep) and len(deep[-1].orderbook_units) == 15, "two books")

    assert {len(event.orderbook_units) for event in shallow} == {5}
    assert [item["codes"] for item in type_objects(exchange)] == [[f"{BTC}.15"]]


def test_books_of_different_levels_are_different_streams(exchange: Sandbox, proxy: WebSocketClientProxy) -> None:
    plain: list[Any] = []
    grouped: list[Any] = []
    proxy.subscribe_orderbook([BTC], plain.append)
    proxy.subscribe_orderbook([BTC], grouped.append, level=100_000)
    wait_until(lambda: bool(plain) and bool(grouped), "two books")

    assert {event.level or 0 for event in plain} == {0}
    assert {event.level for event in grouped} == {100_000}
    assert [item.get("level") for item in type_objects(exchange)] == [None, 100_000]


# -- the present value ------------------------------------------------------------------------------------------------


def test_who_comes_later_gets_the_present_value_at_once_and_without_a_request(
    exchange: Sandbox, proxy: WebSocketClientProxy
) -> None:
    first: list[Any] = []
    later: list[Any] = []
    proxy.subscribe_ticker([BTC], first.append)
    wait_until(lambda: bool(first), "the snapshot")
    exchange.exchange.trade(BTC)
    wait_until(lambda: first[-1].stream_type == "REALTIME", "a newer ticker")
    requests = len(exchange.requests)
    proxy.subscribe_ticker([BTC], later.append)
    wait_until(lambda: bool(later), "the present value")

    assert (later[0].stream_type, later[0].trade_price) == ("SNAPSHOT", first[-1].trade_price)
    assert len(exchange.requests) == requests


def test_what_a_pull_client_registered_is_there_for_callbacks_too(
    exchange: Sandbox, manager: GlobalWebSocketManager, proxy: WebSocketClientProxy
) -> None:
    with SimpleWebSocketClient("pull", manager=manager) as client:
        client.register_interest([DataType.TICKER], [BTC])
        price = client.get_price(BTC)
        got: list[Any] = []
        proxy.subscribe_ticker([BTC], got.append)
        wait_until(lambda: bool(got), "the present value")

        assert got[0].trade_price == price
        assert len(exchange.requests) == 1


def test_a_value_of_a_dead_connection_is_no_present_value(
    exchange: Sandbox, manager: GlobalWebSocketManager, proxy: WebSocketClientProxy
) -> None:
    first: list[Any] = []
    later: list[Any] = []
    proxy.subscribe_ticker([BTC], first.append)
    wait_until(lambda: bool(first), "the snapshot")
    exchange.stop()
    slot = manager.pool.slot(StreamKey(DataType.TICKER, BTC))
    assert slot is not None
    wait_until(lambda: not manager.pool.is_live(slot), "the end of the connection")
    proxy.subscribe_ticker([BTC], later.append)
    assert later == []

    exchange.start()
    wait_until(lambda: bool(later), "the snapshot of the new connection")
    assert later[0].stream_type == "SNAPSHOT"


# -- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["is_only_realtime", "isOnlyRealtime"])
def test_only_realtime_beside_both_means_both_and_no_snapshot_for_the_one(
    exchange: Sandbox, proxy: WebSocketClientProxy, spelling: str
) -> None:
    both: list[Any] = []
    realtime: list[Any] = []
    proxy.subscribe_ticker([BTC], realtime.append, **{spelling: True})
    wait_until(lambda: len(exchange.requests) == 1, "the request")
    assert type_objects(exchange)[0]["is_only_realtime"] is True

    proxy.subscribe_ticker([BTC], both.append)
    wait_until(lambda: bool(both), "the snapshot")
    assert "is_only_realtime" not in type_objects(exchange)[0]
    exchange.exchange.trade(BTC)
    wait_until(lambda: bool(realtime) and len(both) == 2, "a trade")

    assert [event.stream_type for event in both] == ["SNAPSHOT", "REALTIME"]
    assert [event.stream_type for event in realtime] == ["REALTIME"]


@pytest.mark.parametrize("spelling", ["is_only_snapshot", "isOnlySnapshot"])
def test_only_snapshot_beside_realtime_gets_one_snapshot_of_each_code(
    exchange: Sandbox, proxy: WebSocketClientProxy, spelling: str
) -> None:
    once: list[Any] = []
    both: list[Any] = []
    proxy.subscribe_ticker([BTC, ETH], once.append, **{spelling: True})
    wait_until(lambda: len(once) == 2, "two snapshots")
    proxy.subscribe_ticker([BTC], both.append)
    # The present value at once, and another snapshot by the request for more than snapshots.
    wait_until(lambda: len(both) == 2, "both snapshots")
    exchange.exchange.trade(BTC)
    wait_until(lambda: both[-1].stream_type == "REALTIME", "a trade")
    exchange.drop_all("rst")
    wait_until(lambda: exchange.connections == 1 and len(both) >= 3, "the snapshots of a new connection")

    assert sorted((event.symbol, event.stream_type) for event in once) == [(BTC, "SNAPSHOT"), (ETH, "SNAPSHOT")]


# -- subscriptions ----------------------------------------------------------------------------------------------------


def test_the_same_subscription_twice_is_two_and_each_ends_on_its_own(
    exchange: Sandbox, manager: GlobalWebSocketManager, proxy: WebSocketClientProxy
) -> None:
    got: list[Any] = []
    one, other = (proxy.subscribe_ticker([BTC], got.append) for _ in range(2))
    wait_until(lambda: len(got) == 2, "two snapshots")
    assert one != other

    assert proxy.unsubscribe(one) is True
    assert proxy.unsubscribe(one) is False
    got.clear()
    exchange.exchange.trade(BTC)
    wait_until(lambda: bool(got), "a ticker for the other")
    assert len(got) == 1

    proxy.unsubscribe(other)
    assert manager.subscriptions.wanted(Endpoint.PUBLIC) is None
    wait_until(lambda: exchange.connections == 0, "the end of the connection")


def test_many_changes_at_once_are_one_request(exchange: Sandbox, proxy: WebSocketClientProxy) -> None:
    proxy.subscribe_ticker([BTC], print_nothing)
    wait_until(lambda: len(exchange.requests) == 1, "the first request")
    for code in (BTC, ETH, "KRW-XRP"):
        proxy.subscribe_trade([code], print_nothing)
        proxy.subscribe_orderbook([code], print_nothing)
    wait_until(lambda: len(type_objects(exchange)) == 3, "the request for all")

    assert len(exchange.requests) <= 3


def test_unsubscribe_all_leaves_the_listeners(exchange: Sandbox, proxy: WebSocketClientProxy) -> None:
    seen: list[Any] = []
    proxy.on_connection_event(seen.append)
    proxy.subscribe_ticker([BTC], print_nothing)
    proxy.subscribe_trade([BTC], print_nothing)
    assert len(proxy.subscriptions) == 2

    proxy.unsubscribe_all()
    assert proxy.subscriptions == ()
    proxy.subscribe_ticker([BTC], print_nothing)
    wait_until(lambda: any(isinstance(event, Subscribed) for event in seen), "an event")


def test_a_pattern_follows_the_list_of_markets(
    exchange: Sandbox, manager: GlobalWebSocketManager, proxy: WebSocketClientProxy
) -> None:
    got: list[Any] = []
    proxy.subscribe_ticker(["KRW-*"], got.append)
    markets = {code for code in exchange.exchange.markets if code.startswith("KRW-")}
    wait_until(lambda: {event.symbol for event in got} == markets, "a ticker of each")

    exchange.exchange.list_market("KRW-NEWCOIN", 1234.0)
    exchange.exchange.delist_market(BTC)
    manager._markets.monitor.kick()
    wait_until(lambda: any(event.symbol == "KRW-NEWCOIN" for event in got), "the new one")
    assert StreamKey(DataType.TICKER, BTC) not in manager.hub.routes.keys


def test_a_specification_says_the_same_as_the_methods(exchange: Sandbox, proxy: WebSocketClientProxy) -> None:
    got: list[Any] = []
    proxy.subscribe(SubscriptionSpec("orderbook", [BTC], units=5), got.append)
    wait_until(lambda: bool(got), "a book")

    assert len(got[0].orderbook_units) == 5


def test_decorators_leave_the_function_what_it_is(exchange: Sandbox, proxy: WebSocketClientProxy) -> None:
    got: list[str] = []

    @proxy.on_ticker(BTC)
    @proxy.on_trade(BTC, ETH)
    @proxy.on_orderbook(BTC, units=5)
    @proxy.on_candle(BTC, unit="1m")
    def note(event: Any) -> str:
        got.append(event.type)
        return event.type

    wait_until(lambda: set(got) == {"ticker", "trade", "orderbook", "candle.1m"}, "each type")
    assert note.__name__ == "note"
    assert len(proxy.subscriptions) == 4


# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda proxy: proxy.subscribe_ticker(BTC, print), r"symbols=\['KRW-BTC'\]"),
        (lambda proxy: proxy.subscribe_ticker(["BTC-KRW"], print), "'KRW-BTC'"),
        (lambda proxy: proxy.subscribe_ticker([], print), "at least one code"),
        (lambda proxy: proxy.subscribe_ticker([BTC], None), "callback=print"),
        (lambda proxy: proxy.subscribe_ticker([BTC], coroutine), "coroutine function"),
        (lambda proxy: proxy.subscribe_ticker([BTC], print, units=5), "order books"),
        (lambda proxy: proxy.subscribe_ticker([BTC], print, depth=5), "depth is no option of ticker; write one of"),
        (lambda proxy: proxy.subscribe_orderbook([BTC], print, units=7), "units=15"),
        (lambda proxy: proxy.subscribe_orderbook([BTC], print, units=5, orderbook_units=5), "given as well"),
        (lambda proxy: proxy.subscribe_orderbook([BTC], print, level=-1), "level=10000"),
        (lambda proxy: proxy.subscribe_candle([BTC], print, unit=7), "unit='1m'"),
        (lambda proxy: proxy.subscribe_trade([BTC], print, strategy="lossy"), "'drop_oldest'"),
        (lambda proxy: proxy.subscribe_trade([BTC], print, mailbox_size=0), "mailbox_size=1000"),
        (lambda proxy: proxy.subscribe_trade([BTC], print, on_error=3), "on_error=print"),
        (lambda proxy: proxy.subscribe_trade([BTC], print, is_only_snapshot=True, isOnlyRealtime=True), "exclude"),
        (lambda proxy: proxy.subscribe_my_asset(print, is_only_snapshot=True), "has no snapshot"),
        (lambda proxy: proxy.subscribe_indicator([BTC], print, timeframe=5, indicators=[{}]), "timeframe .* write"),
        (lambda proxy: proxy.subscribe_indicator([BTC], print, timeframe="5m", indicators=[]), "at least one"),
        (lambda proxy: proxy.subscribe_indicator_signal([BTC], print, timeframe="5m", indicators=[RSI]), "trigger"),
        (lambda proxy: proxy.subscribe_indicator([BTC], print, timeframe="5m", indicators=None), "^indicators must be"),
        (lambda proxy: proxy.subscribe_indicator_signal([BTC], print, timeframe="5m", indicators=5), "^indicators must"),
        (lambda proxy: proxy.subscribe_ticker([BTC], print, is_only_snapshot="no"), "^is_only_snapshot must be True"),
        (lambda proxy: proxy.subscribe_ticker([BTC], print, isOnlyRealtime=None), "^is_only_realtime must be True"),
        (lambda proxy: proxy.subscribe_ticker([BTC], Coroutine()), "coroutine function"),
        (lambda proxy: proxy.subscribe("ticker", print), "SubscriptionSpec"),
        (lambda proxy: proxy.subscribe(SubscriptionSpec("ticker", [BTC]), print, options=5), "^options must be"),
        (lambda proxy: proxy.subscribe(SubscriptionSpec("ticker", [BTC]), print, options=""), "^options must be"),
        (lambda proxy: proxy.subscribe(SubscriptionSpec("ticker", [BTC], options=5), print), "^options must be"),
        (lambda proxy: proxy.subscribe(SubscriptionSpec("ticker", [BTC], options=["x"]), print), "^options must be"),
        (lambda proxy: proxy.unsubscribe(["bot#1"]), "^subscription_id must be"),
        (lambda proxy: proxy.unsubscribe(None), "^subscription_id must be"),
        (lambda proxy: proxy.on_connection_event(None), "callback=print"),
        (lambda proxy: proxy.on_ticker("BTC"), "'KRW-BTC'"),
    ],
)  # fmt: skip
def test_a_wrong_argument_says_what_to_write_and_subscribes_nothing(
    proxy: WebSocketClientProxy, call: Callable[[WebSocketClientProxy], object], says: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        call(proxy)
    assert proxy.subscriptions == ()


async def coroutine(_: Any) -> None:
    """Nobody awaits it."""


class Coroutine:
    """An object that is called like a coroutine function."""

    async def __call__(self, _: Any) -> None:
        """Nobody awaits it."""


def print_nothing(_: Any) -> None:
    """A callback that costs nothing."""


def test_private_and_info_streams_are_wanted_as_they_were_described(make_manager: MakeManager) -> None:
    manager = make_manager("http://127.0.0.1:9", auth={"access_key": "A" * 40, "secret_key": "S" * 40})
    with WebSocketClientProxy("private", manager=manager) as proxy:
        proxy.subscribe_my_order(print_nothing)
        proxy.subscribe_my_order(print_nothing, [BTC])
        proxy.subscribe_my_asset(print_nothing)
        proxy.subscribe_announcement(print_nothing, categories=["maintenance"], include_body=True)
        proxy.subscribe_indicator([BTC], print_nothing, timeframe="5m", indicators=[RSI])
        signal = {**RSI, "trigger": "overbought", "event_params": {"threshold": 70}}
        proxy.subscribe_indicator_signal([BTC], print_nothing, timeframe="5m", indicators=[signal])
        private, info = (manager.subscriptions.asked(endpoint) for endpoint in (Endpoint.PRIVATE, Endpoint.INFO))

    assert private is not None
    assert {(key.data_type.wire_name, key.symbol) for key in private.keys} == {
        ("myOrder", ""), ("myOrder", BTC), ("myAsset", ""), ("announcement", ""),
    }  # fmt: skip
    assert {want.options for want in private} == {(), (("categories", ("maintenance",)), ("include_body", True))}
    assert info is not None
    assert {key.variant for key in info.keys} == {
        ("5m", "rsi", (("period", 14),)),
        ("5m", "rsi", (("period", 14),), "overbought", (("threshold", 70),)),
    }


# -- slow and refused -------------------------------------------------------------------------------------------------


def fill(exchange: Sandbox, count: int) -> None:
    for _ in range(count):
        exchange.exchange.trade(BTC)


@pytest.mark.parametrize("strategy", [BackpressureStrategy.DISCONNECT, BackpressureStrategy.RAISE])
def test_strategies_that_tell_the_subscriber(
    exchange: Sandbox, proxy: WebSocketClientProxy, strategy: BackpressureStrategy
) -> None:
    release, entered = threading.Event(), threading.Event()
    errors: list[Any] = []
    seen: list[Any] = []

    def block(_: Any) -> None:
        entered.set()
        release.wait(10.0)

    proxy.on_connection_event(seen.append)
    id_ = proxy.subscribe_trade([BTC], block, strategy=strategy, mailbox_size=5, on_error=errors.append)
    assert entered.wait(5.0)
    fill(exchange, 20)
    # It is told although its callback has not returned.
    wait_until(lambda: bool(errors), "the error")
    wait_until(lambda: any(isinstance(event, SlowConsumer) for event in seen), "the event")
    release.set()

    assert isinstance(errors[0], BackpressureError)
    assert (errors[0].subscription_id, errors[0].size) == (id_, 5)
    if strategy is BackpressureStrategy.DISCONNECT:
        wait_until(lambda: id_ not in proxy.subscriptions, "the end of the subscription")
    else:
        assert id_ in proxy.subscriptions


def test_what_is_refused_is_told_to_whoever_asked_for_it_and_all_else_goes_on(
    make_sandbox: Callable[..., Sandbox], make_manager: MakeManager
) -> None:
    exchange = make_sandbox(**STILL, regional=True)  # there, order books have no levels
    manager = make_manager(exchange.url)
    proxy = WebSocketClientProxy("refused", manager=manager)
    errors: list[Any] = []
    others: list[Any] = []
    got: list[Any] = []
    proxy.subscribe_ticker([BTC], got.append, on_error=others.append)
    wait_until(lambda: bool(got), "a ticker")
    proxy.subscribe_orderbook([BTC], print_nothing, level=10_000, on_error=errors.append)
    wait_until(lambda: bool(errors), "the refusal", patience=10.0)

    assert isinstance(errors[0], RequestRejectedError)
    assert errors[0].name
    count = len(got)
    exchange.exchange.trade(BTC)
    wait_until(lambda: len(got) > count, "a ticker after all")
    assert others == []
    with SimpleWebSocketClient("refused", manager=manager) as client:
        client.register_interest([DataType.ORDERBOOK], [BTC], orderbook_level=10_000)
        with pytest.raises(RequestRejectedError):
            client.get_orderbook_data(timeout=10.0)


def test_a_code_that_is_never_answered_is_an_event(make_manager: MakeManager, exchange: Sandbox) -> None:
    manager = make_manager(exchange.url, connection={"snapshot_timeout": 0.2})
    seen: list[Any] = []
    with WebSocketClientProxy("silent", manager=manager) as proxy:
        proxy.on_connection_event(seen.append)
        proxy.subscribe_ticker([BTC, "KRW-TYPO"], print_nothing)
        wait_until(lambda: any(isinstance(event, SilentCodes) for event in seen), "the report")

        silent = next(event for event in seen if isinstance(event, SilentCodes))
        assert silent.keys == (StreamKey(DataType.TICKER, "KRW-TYPO"),)


def test_the_exchange_lists_what_is_subscribed(
    exchange: Sandbox, manager: GlobalWebSocketManager, proxy: WebSocketClientProxy
) -> None:
    assert manager.list_subscriptions().keys == frozenset()
    proxy.subscribe_ticker([BTC, ETH], print_nothing)
    proxy.subscribe_trade([BTC], print_nothing, is_only_realtime=True)
    listed = manager.list_subscriptions()

    assert manager.subscriptions.confirmed(Endpoint.PUBLIC) <= listed.keys
    assert {(key.data_type, key.symbol) for key in listed.keys} == {
        (DataType.TICKER, BTC), (DataType.TICKER, ETH), (DataType.TRADE, BTC),
    }  # fmt: skip
    # No snapshot was asked of the trades: the list is what confirms them.
    assert StreamKey(DataType.TRADE, BTC) in manager.subscriptions.confirmed(Endpoint.PUBLIC)
    before = manager.get_connection_metrics()[0].requests_sent
    manager.list_subscriptions()
    assert manager.get_connection_metrics()[0].requests_sent == before + 1


def test_a_list_asked_for_without_a_connection_is_not_asked_for_later(
    manager: GlobalWebSocketManager, proxy: WebSocketClientProxy
) -> None:
    manager.list_subscriptions()
    got: list[Any] = []
    proxy.subscribe_ticker([BTC], got.append)
    wait_until(lambda: bool(got), "the first event")
    assert manager.get_connection_metrics()[0].requests_sent == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"endpoint": "pubic"}, "^endpoint must be"),
        ({"endpoint": []}, "^endpoint must be"),
        ({"timeout": "5"}, "^timeout must be"),
        ({"timeout": float("nan")}, "^timeout must be"),
        ({"timeout": None}, "^timeout must be"),
    ],
)
def test_a_wrong_question_for_the_list_is_refused(
    manager: GlobalWebSocketManager, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        manager.list_subscriptions(**arguments)


# -- life -------------------------------------------------------------------------------------------------------------


def test_connection_events_come_in_order_and_the_last_word_is_closed(
    exchange: Sandbox, manager: GlobalWebSocketManager
) -> None:
    seen: list[Any] = []
    proxy = WebSocketClientProxy("events", manager=manager)
    proxy.on_connection_event(seen.append)
    proxy.subscribe_ticker([BTC], print_nothing)
    wait_until(lambda: any(isinstance(event, Subscribed) for event in seen), "the subscription")
    manager.close()

    assert [type(event) for event in seen[:3]] == [Connecting, Connected, Subscribed]
    assert isinstance(seen[-1], Closed)


def test_a_slow_listener_does_not_hold_up_data(exchange: Sandbox, proxy: WebSocketClientProxy) -> None:
    release = threading.Event()
    got: list[Any] = []
    try:
        proxy.on_connection_event(lambda _: release.wait(10.0))
        proxy.subscribe_ticker([BTC], got.append)
        wait_until(lambda: bool(got), "a ticker")
    finally:
        release.set()


def test_after_close_nothing_is_called_and_everything_says_so(
    exchange: Sandbox, manager: GlobalWebSocketManager, make_client: Any
) -> None:
    got: list[Any] = []
    make_client("other", [DataType.TICKER])
    proxy = WebSocketClientProxy("closing", manager=manager)
    proxy.subscribe_ticker([BTC], got.append)
    wait_until(lambda: bool(got), "a ticker")
    proxy.close()
    proxy.close()
    count = len(got)
    exchange.exchange.trade(BTC)

    assert proxy.is_closed
    assert manager.get_distribution_stats().queued == 0
    assert len(got) == count
    for call in (lambda: proxy.subscribe_ticker([BTC], print), lambda: proxy.on_connection_event(print)):
        with pytest.raises(ClientClosedError):
            call()


def test_the_last_one_out_unsubscribes_also_when_it_was_only_collected(
    exchange: Sandbox, manager: GlobalWebSocketManager
) -> None:
    proxy = WebSocketClientProxy("forgotten", manager=manager)
    proxy.subscribe_ticker([BTC], print_nothing)
    wait_until(lambda: exchange.connections == 1, "the connection")
    gone = weakref.ref(proxy)
    del proxy
    gc.collect()

    assert gone() is None
    wait_until(lambda: exchange.connections == 0, "the end of the connection")
    assert manager.hub.routes.keys == frozenset()


def test_a_cell_that_is_run_again_takes_the_place_of_the_old_one(
    exchange: Sandbox, manager: GlobalWebSocketManager
) -> None:
    old: list[Any] = []
    new: list[Any] = []
    first = WebSocketClientProxy("notebook", manager=manager)
    first.subscribe_ticker([BTC], old.append)
    first.on_connection_event(old.append)
    wait_until(lambda: any(getattr(event, "type", "") == "ticker" for event in old), "a ticker")
    requests, connections = len(exchange.requests), len(exchange.connection_logs)

    second = WebSocketClientProxy("notebook", manager=manager)
    assert first.is_closed
    count = len(old)
    assert manager.subscriptions.wanted(Endpoint.PUBLIC) is not None  # until the new one says what it wants
    second.subscribe_ticker([BTC], new.append)
    wait_until(lambda: bool(new), "the present value")
    exchange.exchange.trade(BTC)
    wait_until(lambda: len(new) >= 2, "the next ticker")

    assert len(old) == count
    assert (len(exchange.requests), len(exchange.connection_logs)) == (requests, connections)
    second.close()
    wait_until(lambda: exchange.connections == 0, "the end of the connection")


def test_a_pull_client_and_a_proxy_may_have_one_name(manager: GlobalWebSocketManager, exchange: Sandbox) -> None:
    with SimpleWebSocketClient("bot", manager=manager) as client, WebSocketClientProxy("bot", manager=manager) as proxy:
        client.register_interest([DataType.TICKER], [BTC])

        assert client.get_price(BTC) > 0
        assert (client.is_closed, proxy.is_closed) == (False, False)


def test_a_proxy_is_neither_copied_nor_pickled(proxy: WebSocketClientProxy) -> None:
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="make a new one"):
            attempt(proxy)


def test_a_name_is_a_name_and_the_configuration_belongs_to_the_manager(manager: GlobalWebSocketManager) -> None:
    with pytest.raises(InvalidArgumentError, match="component_id='my_bot'"):
        WebSocketClientProxy("", manager=manager)
    with pytest.raises(InvalidArgumentError, match="only manager"):
        WebSocketClientProxy("bot", manager=manager, config=manager.config)
    with pytest.raises(InvalidArgumentError, match=r"^manager must be a GlobalWebSocketManager"):
        WebSocketClientProxy("bot", manager=cast("GlobalWebSocketManager", 0))


def test_without_a_manager_it_takes_the_one_of_the_process(exchange: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPBIT_BASE_URL", exchange.url)
    got: list[Any] = []
    with WebSocketClientProxy("global") as proxy:
        manager = get_global_websocket_manager()
        proxy.subscribe_ticker([BTC], got.append)
        wait_until(lambda: bool(got), "a ticker")
    manager.close()


def test_statistics_and_repr_tell_what_is_going_on(exchange: Sandbox, proxy: WebSocketClientProxy) -> None:
    got: list[Any] = []
    id_ = proxy.subscribe_trade([BTC], got.append)
    wait_until(lambda: bool(got), "a trade")
    fill(exchange, 9)
    wait_until(lambda: len(got) == 10, "ten trades")

    (mine,) = proxy.statistics()
    assert (mine.subscription_id, mine.component_id, mine.callback) == (id_, "proxy", "list.append")
    assert (mine.received, mine.delivered, mine.queued) == (10, 10, 0)
    assert 0 < (mine.delay_p50 or 0) <= (mine.delay_p99 or 0) < 5
    assert mine.callback_seconds > 0
    assert repr(proxy) == "<WebSocketClientProxy 'proxy' open, 1 subscriptions>"
    assert [status.endpoint for status in proxy.connections()] == [Endpoint.PUBLIC]
