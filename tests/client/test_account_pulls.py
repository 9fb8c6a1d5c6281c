"""Pulls of private and info streams, and what may be registered of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import attrs
import pytest

from tests.account_rig import account_config, wait_until
from upbit_ws import (
    AnnouncementEvent,
    ConnectionConfig,
    DataTimeoutError,
    DataType,
    GlobalWebSocketManager,
    IndicatorEvent,
    IndicatorSignalEvent,
    InvalidArgumentError,
    MyAssetEvent,
    MyOrderEvent,
    NotSubscribedError,
    SimpleWebSocketClient,
    WireFormat,
)
from upbit_ws.client.websocket_client_proxy import WebSocketClientProxy
from upbit_ws.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("no_key_shows")

BTC, ETH = "KRW-BTC", "KRW-ETH"
RSI = {"type": "rsi", "params": {"period": 14}}
CROSS = [
    {"type": "moving_average", "params": {"type": "SMA", "period": 5}, "trigger": trigger}
    for trigger in ("price_cross_above", "price_cross_below")
]


class Set:
    """A sandbox, a manager and a client."""

    def __init__(self, stack: ExitStack, sandbox: Sandbox, **sections: Any) -> None:
        self.sandbox, self.exchange = sandbox, sandbox.exchange
        # An exchange that works out a hundred indicators on a busy machine is late with its pongs, and that is all.
        sections.setdefault("connection", ConnectionConfig(base_url=sandbox.url, connect_timeout=5.0))
        self.manager = stack.enter_context(GlobalWebSocketManager(account_config(sandbox.url, **sections)))
        self.client = stack.enter_context(SimpleWebSocketClient("a", manager=self.manager))
        self.other = stack.enter_context(SimpleWebSocketClient("b", manager=self.manager))
        self.proxy = stack.enter_context(WebSocketClientProxy("c", manager=self.manager))


@pytest.fixture
def make(make_sandbox: Callable[..., Sandbox]) -> Iterator[Callable[..., Set]]:
    with ExitStack() as stack:

        def made(settings: dict[str, Any] | None = None, **sections: Any) -> Set:
            quiet = {"rate": 0.0, "markets": (BTC, ETH), "connect_limit": None, **(settings or {})}
            return Set(stack, make_sandbox(**quiet), **sections)

        yield made


@pytest.fixture
def one(make: Callable[..., Set]) -> Set:
    return make()


# -- orders and balances ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire_format", WireFormat)
@pytest.mark.parametrize("exponents", [False, True])
def test_money_is_exact_in_every_format(wire_format: WireFormat, exponents: bool, make: Callable[..., Set]) -> None:
    amount = "0.00012345678901234567"
    settings = {"money_exponents": exponents, "balances": {"KRW": "1386929.37231066771348207123", "BTC": amount}}
    set_ = make(settings)
    config = set_.manager.config
    changed = attrs.evolve(config, connection=attrs.evolve(config.connection, wire_format=wire_format))
    with GlobalWebSocketManager(changed) as manager, SimpleWebSocketClient("x", manager=manager) as client:
        client.register_interest([DataType.MY_ASSET, DataType.MY_ORDER])
        assert client.get_my_assets()["BTC"].balance == Decimal(amount)
        assert client.wait_ready(timeout=5)
        set_.exchange.deposit("KRW", "0.00000000000000000001")
        wait_until(lambda: bool(client.get_my_asset_history()), "the deposit")
        event = client.get_my_asset_history()[-1]

        assert isinstance(event, MyAssetEvent)
        assert event.assets[0].balance == set_.exchange.balances()["KRW"].balance
        assert isinstance(event.assets[0].balance, Decimal)
        placed = set_.exchange.place_order(BTC, "BID", price=100_000_000, volume="0.00012345")
        wait_until(lambda: placed.uuid in client.get_my_orders(), "the order")
        assert client.get_my_orders()[placed.uuid].order_volume == Decimal("0.00012345")


def test_histories_and_waits_are_for_all_markets_or_for_one(one: Set) -> None:
    one.client.register_interest([DataType.MY_ORDER, DataType.MY_ASSET])
    one.client.get_my_orders()
    one.exchange.place_order(BTC, "BID", price=100_000_000, volume="0.001")
    one.exchange.place_order(ETH, "BID", price=1_000_000, volume="0.1")
    wait_until(lambda: len(one.client.get_my_order_history()) == 2, "both")

    assert [order.symbol for order in one.client.get_my_order_history()] == [BTC, ETH]
    assert [order.symbol for order in one.client.get_my_order_history([ETH])] == [ETH]
    assert [order.symbol for order in one.client.get_my_order_history(limit=1)] == [ETH]
    assert one.client.get_my_orders([ETH]).keys() < one.client.get_my_orders().keys()
    assert len(one.client.get_my_asset_history()) == 2
    with pytest.raises(DataTimeoutError):
        one.client.wait_for_update(DataType.MY_ORDER, timeout=0)
    order = iter(one.client.updates([DataType.MY_ORDER], timeout=5))
    one.exchange.place_order(BTC, "BID", price=1_000_000)
    event = next(order)
    assert isinstance(event, MyOrderEvent)
    assert event.symbol == BTC


def test_a_client_sees_its_own_interests_only(one: Set) -> None:
    one.client.register_interest(DataType.MY_ORDER)
    one.other.register_interest(DataType.MY_ORDER, [ETH])
    one.client.get_my_orders()
    bitcoin = one.exchange.place_order(BTC, "BID", price=100_000_000, volume="0.001").uuid
    ether = one.exchange.place_order(ETH, "BID", price=1_000_000, volume="0.1").uuid
    wait_until(lambda: one.client.get_my_orders().keys() == {bitcoin, ether}, "both")

    assert [*one.other.get_my_orders()] == [ether]
    assert [order.uuid for order in one.other.get_my_order_history()] == [ether]
    with pytest.raises(NotSubscribedError):
        one.other.get_my_orders([BTC])
    with pytest.raises(NotSubscribedError):
        one.other.get_my_assets()
    with pytest.raises(NotSubscribedError):
        one.client.get_announcements()


def test_each_callback_gets_each_event_once(one: Set) -> None:
    everything: list[MyOrderEvent] = []
    ether: list[MyOrderEvent] = []
    one.proxy.subscribe_my_order(everything.append)
    one.proxy.subscribe_my_order(ether.append, [ETH])
    one.client.register_interest(DataType.MY_ORDER, [BTC])
    one.client.get_my_orders()
    one.exchange.place_order(BTC, "BID", price=100_000_000, volume="0.001")
    one.exchange.place_order(ETH, "BID", price=1_000_000, volume="0.1")
    wait_until(lambda: bool(ether) and len(everything) == 2, "both")

    assert [event.symbol for event in everything] == [BTC, ETH]
    assert [event.symbol for event in ether] == [ETH]


def test_who_comes_later_is_not_told_old_events_as_news(one: Set) -> None:
    one.client.register_interest([DataType.MY_ORDER, DataType.ANNOUNCEMENT])
    one.client.get_my_orders()
    one.client.get_announcements()
    one.exchange.announce("old")
    one.exchange.place_order(BTC, "BID", price=100_000_000, volume="0.001")
    wait_until(lambda: len(one.client.get_my_orders()) + len(one.client.get_announcements()) == 2, "both")

    heard: list[object] = []
    one.proxy.subscribe_my_order(heard.append)
    one.proxy.subscribe_announcement(heard.append)
    one.exchange.announce("new")
    wait_until(lambda: bool(heard), "the new one")
    assert [getattr(event, "title", event) for event in heard] == ["new"]


# -- announcements ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", ["pull", "wait_ready"])
def test_who_asks_for_more_categories_waits_until_the_exchange_has_confirmed_these(one: Set, wait: str) -> None:
    """The stream stands already, for another client that asked for less; what is announced then must not be lost."""
    one.client.register_interest(DataType.ANNOUNCEMENT, categories=["maintenance"])
    one.client.get_announcements()
    one.other.register_interest(DataType.ANNOUNCEMENT)
    assert [key.data_type for key in one.other.status().silent] == [DataType.ANNOUNCEMENT]
    if wait == "pull":
        assert one.other.get_announcements() == []
    else:
        assert one.other.wait_ready(timeout=10)

    one.exchange.announce("fees", category="trade")
    wait_until(lambda: [notice.title for notice in one.other.get_announcements()] == ["fees"], "the notice", 3.0)
    assert one.client.get_announcements() == []
    assert one.client.status().silent == one.other.status().silent == ()


def test_announcements_come_as_they_were_asked_for(one: Set) -> None:
    one.client.register_interest(DataType.ANNOUNCEMENT, categories=["maintenance"], include_body=True)
    one.other.register_interest(DataType.ANNOUNCEMENT)
    heard: list[AnnouncementEvent] = []
    one.proxy.subscribe_announcement(heard.append, categories=["trade"])
    assert one.client.get_announcements() == one.other.get_announcements() == []
    assert one.client.wait_ready(timeout=5)
    wait_until(lambda: one.manager.subscriptions.progress(DataType.ANNOUNCEMENT.endpoint)[0] == 1, "one stream")

    one.exchange.announce("a", category="maintenance", body="tonight")
    changed = one.exchange.announce("b", category="trade")
    one.exchange.announce("b2", update_of=changed)
    wait_until(lambda: len(one.other.get_announcements()) == 3, "all three")

    assert [(notice.title, notice.body) for notice in one.client.get_announcements()] == [("a", "tonight")]
    assert [notice.title for notice in one.other.get_announcements(2)] == ["b", "b2"]
    wait_until(lambda: len(heard) == 2, "the callback")
    assert [notice.event_type for notice in heard] == ["CREATED", "UPDATED"]


# -- indicators -------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(90)
def test_indicators_come_when_a_candle_closes(make: Callable[..., Set]) -> None:
    set_ = make({"rate": 2.0, "history_hours": 4.0})
    client = set_.client
    volume = {"type": "volume", "params": {"period": 10}}
    client.register_interest(DataType.INDICATOR, [BTC, ETH], timeframe="5m", indicators=[RSI])
    client.register_interest(DataType.INDICATOR, [BTC], timeframe="15m", indicators=[volume])
    client.register_interest(DataType.INDICATOR_SIGNAL, [BTC, ETH], timeframe="5m", indicators=CROSS)
    heard: list[IndicatorSignalEvent] = []
    set_.proxy.subscribe_indicator_signal([BTC, ETH], heard.append, timeframe="5m", indicators=CROSS)
    assert client.get_indicators() == []
    assert client.wait_ready(timeout=5)

    for _ in range(8):
        set_.exchange.advance(300.0)
    wait_until(lambda: len(client.get_indicators()) == 3, "all three")

    values = {(event.symbol, event.indicator, event.timeframe) for event in client.get_indicators()}
    assert values == {(BTC, "rsi", "5m"), (ETH, "rsi", "5m"), (BTC, "volume", "15m")}
    assert [event.indicator for event in client.get_indicators([BTC], timeframe="15m")] == ["volume"]
    assert [event.symbol for event in client.get_indicators([ETH])] == [ETH]
    history = client.get_indicator_history(BTC, indicator="rsi")
    starts = [event.candle_date_time_utc for event in history]
    assert starts == sorted(set(starts))
    assert len(client.get_indicator_history(BTC, 1)) == 1
    wait_until(lambda: len(client.get_indicator_signals()) >= 1, "a signal")
    wait_until(lambda: len(heard) >= len(client.get_indicator_signals()), "the callback")
    assert {event.trigger for event in heard} <= {"price_cross_above", "price_cross_below"}
    assert isinstance(client.get_indicators([ETH])[0], IndicatorEvent)


def test_more_than_a_hundred_combinations_are_refused_before_anything_is_sent(one: Set) -> None:
    periods = [{"type": "rsi", "params": {"period": period}} for period in (*range(2, 15), 21, 25)]
    averages = [
        {"type": "moving_average", "params": {"type": kind, "period": period}}
        for kind in ("SMA", "EMA")
        for period in (5, 7, 10, 15, 20, 25, 30, 50, 60, 90, 99, 100, 120, 200)
    ]
    one.client.register_interest(DataType.INDICATOR, [BTC, ETH], timeframe="5m", indicators=averages)
    assert one.client.status().interests == 56

    with pytest.raises(InvalidArgumentError, match="116 combinations of code and indicator in this process"):
        one.other.register_interest(
            DataType.INDICATOR, [BTC, ETH], timeframe="15m", indicators=[*periods, *periods, *averages[:15]]
        )
    with pytest.raises(InvalidArgumentError, match="combinations"):
        one.proxy.subscribe_indicator([BTC, ETH], print, timeframe="60m", indicators=averages)
    assert one.other.status().interests == 0
    one.other.register_interest(DataType.INDICATOR, [BTC, ETH], timeframe="15m", indicators=periods)
    assert one.other.wait_ready(timeout=5)
    one.other.register_interest(DataType.INDICATOR, [BTC], timeframe="15m", indicators=periods)
    one.client.register_interest(DataType.INDICATOR, [BTC, ETH], timeframe="5m", indicators=averages)


def test_one_code_can_be_given_up(one: Set) -> None:
    one.client.register_interest(DataType.INDICATOR, [BTC, ETH], timeframe="5m", indicators=[RSI])
    one.client.unregister_interest(DataType.INDICATOR, [BTC])

    assert one.client.status().interests == 1
    with pytest.raises(NotSubscribedError):
        one.client.get_indicators([BTC])


# -- wrong arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("ticker", [BTC]), {"categories": ["trade"]}, "categories is for DataType.ANNOUNCEMENT"),
        (("ticker", [BTC]), {"timeframe": "5m"}, "timeframe is for DataType.INDICATOR"),
        (("announcement",), {"indicators": [RSI]}, "indicators is for DataType.INDICATOR"),
        (("announcement",), {"categories": "trade"}, r"categories=\['maintenance'\]"),
        (("announcement",), {"categories": []}, "must be some of notice, trade"),
        (("announcement",), {"categories": ["gossip"]}, "must be some of notice, trade"),
        (("announcement",), {"include_body": 1}, "include_body must be True or False"),
        (("indicator", [BTC]), {"timeframe": "5m"}, "at least one indicator"),
        (("indicator", [BTC]), {"indicators": [RSI]}, "timeframe must be one of"),
        (("indicator", ["BTC-ETH"]), {"timeframe": "5m", "indicators": [RSI]}, "must be KRW markets"),
        (("indicator", ["KRW-*"]), {"timeframe": "5m", "indicators": [RSI]}, "cannot be a pattern"),
        (("indicator",), {"timeframe": "5m", "indicators": [RSI]}, "symbols"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_registers_nothing(
    arguments: tuple[Any, ...], options: dict[str, Any], said: str, one: Set
) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        one.client.register_interest(*arguments, **options)

    assert one.client.status().interests == 0
    assert one.sandbox.handshakes == []


def test_the_connection_of_indicators_is_another_one(make: Callable[..., Set]) -> None:
    set_ = make()
    set_.client.register_interest(DataType.INDICATOR, [BTC], timeframe="5m", indicators=[RSI])
    set_.client.register_interest(DataType.ANNOUNCEMENT)
    assert set_.client.wait_ready(timeout=5)

    assert {shake.path for shake in set_.sandbox.handshakes} == {"/websocket/v1/info", "/websocket/v1/private"}
