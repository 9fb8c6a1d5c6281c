"""Pulling a stream of changes: each trade once, of state the newest, and an end where there is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tests.client.conftest import MakeClient, wait_until
from tests.payloads import candle, orderbook, ticker, trade
from upbit_ws import CandleEvent, DataType, Event, GlobalWebSocketManager, NotSubscribedError, TickerEvent, TradeEvent
from upbit_ws.client.updates import Updates
from upbit_ws.sandbox import Sandbox
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.testing import ManualClock
from upbit_ws.types import Endpoint, StreamKey

TICKER, TRADE, BOOK, CANDLE = DataType.TICKER, DataType.TRADE, DataType.ORDERBOOK, DataType.CANDLE_1M


class Feed:
    """A pool with one open connection, and an iterator over some of its keys."""

    def __init__(self, *data_types: DataType, history: int = 5) -> None:
        self.pool = DataPoolManager()
        self.clock = ManualClock()
        self.is_open = True
        keys = [StreamKey(data_type, "KRW-BTC") for data_type in data_types]
        self.pool.admit(Endpoint.PUBLIC, keys, 1)
        self.pool.keep_history(dict.fromkeys(keys, history))
        self.epoch = self.pool.open_epoch(Endpoint.PUBLIC, self.clock())
        self.slots = [self.pool.slot_for(key) for key in keys]

    def send(self, *payloads: bytes) -> None:
        self.pool.ingest(Endpoint.PUBLIC, self.epoch, list(payloads), self.clock())

    def updates(self, timeout: float | None = 0.0) -> Updates:
        return Updates(self.pool, lambda: self.slots, timeout, self.clock, lambda: self.is_open, lambda event: event)


def prices(events: Updates) -> list[float]:
    return [event.trade_price for event in events if isinstance(event, (TickerEvent, TradeEvent, CandleEvent))]


def test_what_was_there_before_is_not_told() -> None:
    feed = Feed(TRADE, TICKER)
    feed.send(trade(at=1), ticker(at=1))

    assert list(feed.updates()) == []


def test_every_trade_comes_once_and_in_order() -> None:
    feed = Feed(TRADE)
    updates = feed.updates()

    feed.send(trade(at=1, price=1.0), trade(at=2, price=2.0), trade(at=2, price=2.0))
    first = prices(updates)
    feed.send(trade(at=3, price=3.0))

    assert first == [1.0, 2.0]
    assert prices(updates) == [3.0]
    assert updates.missed == 0


def test_trades_that_left_the_history_are_counted() -> None:
    feed = Feed(TRADE, history=3)
    updates = feed.updates()

    feed.send(*(trade(at=number, price=float(number)) for number in range(10)))

    assert prices(updates) == [7.0, 8.0, 9.0]
    assert updates.missed == 7


def test_of_a_state_the_newest_comes() -> None:
    feed = Feed(TICKER, BOOK)
    updates = feed.updates()

    feed.send(ticker(at=1, price=1.0), ticker(at=2, price=2.0), orderbook(at=1), orderbook(at=2))

    found = list(updates)
    assert [(event.type, event.timestamp % 1000) for event in found] == [("ticker", 2), ("orderbook", 2)]


def test_of_candles_each_start_comes_with_its_newest_state() -> None:
    feed = Feed(CANDLE)
    updates = feed.updates()

    feed.send(candle(start="2026-05-29T00:00:00", at=1, price=1.0))
    first = prices(updates)
    feed.send(
        candle(start="2026-05-29T00:00:00", at=2, price=2.0),
        candle(start="2026-05-29T00:01:00", at=3, price=3.0),
        candle(start="2026-05-29T00:01:00", at=4, price=4.0),
    )

    assert first == [1.0]
    assert prices(updates) == [2.0, 4.0]


def test_an_undecodable_trade_is_left_out() -> None:
    feed = Feed(TRADE)
    feed.send(trade(at=0))
    updates = feed.updates()

    feed.send(trade(at=1, price=1.0), trade(at=2).replace(b'"trade_price":100.0', b'"trade_price":"?"'))
    feed.send(trade(at=3, price=3.0))

    assert prices(updates) == [1.0, 3.0]


def test_it_waits_for_the_next_event() -> None:
    feed = Feed(TICKER)
    updates = feed.updates(timeout=30.0)
    found: list[Event] = []
    thread = threading.Thread(target=lambda: found.append(next(updates)))
    thread.start()
    wait_until(lambda: bool(feed.slots[0].waiters), "the wait")

    feed.send(ticker(at=1, price=5.0))
    thread.join(5.0)

    assert [event.timestamp % 1000 for event in found] == [1]
    assert iter(updates) is updates


def test_it_ends_when_nothing_came_for_the_timeout() -> None:
    feed = Feed(TICKER)
    updates = Updates(feed.pool, lambda: feed.slots, 0.02, time.monotonic, lambda: True, lambda event: event)
    begun = time.monotonic()

    assert list(updates) == []
    assert 0.02 <= time.monotonic() - begun < 2.0


def test_it_ends_when_its_client_is_closed(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("closing", [TICKER])
    client.get_price("KRW-BTC")
    _ends(client.updates(), client.close, client._manager)


def test_it_ends_when_the_manager_is_closed(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("closing", [TICKER])
    client.get_price("KRW-BTC")
    _ends(client.updates(), client._manager.close, client._manager)


def _ends(updates: Updates, close: Callable[[], object], manager: GlobalWebSocketManager) -> None:
    found: list[list[Event]] = []
    thread = threading.Thread(target=lambda: found.append(list(updates)))
    thread.start()
    wait_until(lambda: bool(manager.pool._waiters), "the wait")
    close()
    thread.join(2.0)
    assert found == [[]]


def test_it_follows_what_is_registered_later(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("later", [TICKER], ["KRW-BTC"])
    client.get_price("KRW-BTC")
    updates = client.updates(TICKER, timeout=5.0)

    client.register_interest([TICKER], ["KRW-ETH"])

    # The new request makes the exchange send a snapshot of the old code too.
    assert next(event for event in updates if event.symbol != "KRW-BTC").symbol == "KRW-ETH"


def test_it_gives_only_what_was_chosen(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("chosen", [TICKER, TRADE], ["KRW-BTC", "KRW-ETH"])
    assert client.wait_ready(timeout=5.0)
    updates = client.updates(["trade"], ["KRW-ETH"], timeout=0.2)

    exchange.exchange.trade("KRW-BTC")
    made = exchange.exchange.trade("KRW-ETH")
    event = next(updates)

    assert isinstance(event, TradeEvent)
    assert (event.symbol, event.sequential_id) == ("KRW-ETH", made.sequential_id)
    with pytest.raises(NotSubscribedError):
        client.updates([BOOK])
    with pytest.raises(NotSubscribedError):
        client.updates([TICKER], ["KRW-XRP"])


def test_a_pattern_means_the_markets_that_it_means_elsewhere(exchange: Sandbox, make_client: MakeClient) -> None:
    client = make_client("pattern", [TICKER], ["KRW-*"])
    client.wait_ready(timeout=5)
    updates = client.updates([TICKER], ["KRW-*"], timeout=5)

    exchange.exchange.trade("KRW-BTC", exchange.exchange.price("KRW-BTC") + 10_000)

    assert next(updates).symbol == "KRW-BTC"
