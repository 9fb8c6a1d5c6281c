"""How users call the package, for the type checker. This file is NOT meant to be executed.

Every line must be accepted by `mypy --strict`; a changed return type of the public API fails here first.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from upbit_ws import (
    AuthenticationError,
    CandleEvent,
    ClientStatus,
    ConnectionConfig,
    ConnectionState,
    DataTimeoutError,
    DataType,
    Event,
    GlobalWebSocketManager,
    HealthStatus,
    MyAsset,
    MyOrderEvent,
    OrderbookEvent,
    PerformanceMetrics,
    Readiness,
    Reading,
    SimpleWebSocketClient,
    StaleDataError,
    StreamKey,
    SubscriptionSpec,
    TickerEvent,
    TradeEvent,
    WebSocketClientProxy,
    WebSocketConfig,
    WireFormat,
    get_global_websocket_manager,
)
from upbit_ws.sandbox import Sandbox, SandboxConfig


def configurations() -> WebSocketConfig:
    config = WebSocketConfig.production(connection=ConnectionConfig(base_url="https://api.upbit.com"))
    return evolve(config, connection=evolve(config.connection, wire_format=WireFormat.SIMPLE, compression=True))


def interests(client: SimpleWebSocketClient) -> None:
    client.register_interest([DataType.TICKER, "trade"], ["KRW-BTC", "KRW-*"], history=100)
    client.register_interest(data_types="candle.5m", symbols=("KRW-BTC",))
    client.register_interest([DataType.ORDERBOOK], {"KRW-BTC"}, orderbook_units=15, orderbook_level=10_000)
    client.unregister_interest()
    client.unregister_interest(data_types=[DataType.TICKER], symbols=["KRW-BTC"])


def pulls(client: SimpleWebSocketClient) -> None:
    price: float = client.get_price("KRW-BTC", timeout=1, max_age=2.5)
    prices: dict[str, float] = client.get_multiple_prices()
    tickers: dict[str, TickerEvent] = client.get_ticker_data(["KRW-BTC"])
    trades: dict[str, TradeEvent] = client.get_trade_data()
    books: dict[str, OrderbookEvent] = client.get_orderbook_data(symbols=["KRW-BTC"], timeout=0)
    candles: dict[str, CandleEvent] = client.get_candle_data(unit=5)
    print(price, prices, tickers, trades, books, candles)


def histories(client: SimpleWebSocketClient) -> None:
    tickers: list[TickerEvent] = client.get_ticker_history("KRW-BTC", limit=10)
    trades: list[TradeEvent] = client.get_trade_history("KRW-BTC")
    books: list[OrderbookEvent] = client.get_orderbook_history("KRW-BTC", 5)
    candles: list[CandleEvent] = client.get_candle_history("KRW-BTC", "1m", limit=5)
    print(tickers, trades, books, candles)


def waiting(client: SimpleWebSocketClient) -> None:
    ready: Readiness = client.wait_ready(timeout=10)
    silent: tuple[StreamKey, ...] = ready.silent
    event: Event = client.wait_for_update(DataType.TRADE, "KRW-BTC", timeout=1)
    updates: Iterator[Event] = client.updates(["trade"], ["KRW-BTC"], timeout=1)
    if isinstance(event, TradeEvent):
        exact: int = event.sequential_id
        print(exact)
    print(silent, next(updates, None))


def truth(client: SimpleWebSocketClient) -> None:
    reading: Reading = client.snapshot(DataType.TICKER, "KRW-BTC")
    age: float | None = reading.age
    status: ClientStatus = client.status()
    states: list[ConnectionState] = [connection.state for connection in status.connections]
    print(age, states)


def errors(client: SimpleWebSocketClient) -> None:
    try:
        client.get_price("KRW-BTC")
    except DataTimeoutError as error:
        print(error.missing, error.received)
    except StaleDataError as error:
        print(error.age, error.max_age, error.keys)


def callbacks(proxy: WebSocketClientProxy) -> None:
    def on_event(event: Event) -> None:
        print(event.symbol, event.timestamp)

    subscription: str = proxy.subscribe_trade(["KRW-BTC"], on_event, strategy="block")
    proxy.subscribe_candle(["KRW-BTC"], on_event, unit="5m")
    proxy.subscribe(SubscriptionSpec("orderbook", ["KRW-BTC"], units=5), on_event)
    was_there: bool = proxy.unsubscribe(subscription)
    proxy.unsubscribe_all()
    print(was_there)


def accounts(client: SimpleWebSocketClient, proxy: WebSocketClientProxy) -> None:
    client.register_interest([DataType.MY_ORDER, DataType.MY_ASSET])
    client.register_interest(DataType.ANNOUNCEMENT, categories=["maintenance"], include_body=True)
    rsi = {"type": "rsi", "params": {"period": 14}}
    client.register_interest(DataType.INDICATOR, ["KRW-BTC"], timeframe="5m", indicators=[rsi])
    orders: dict[str, MyOrderEvent] = client.get_my_orders(["KRW-BTC"], open_only=True, max_age=5.0)
    assets: dict[str, MyAsset] = client.get_my_assets(timeout=1.0)
    print([order.order_price for order in orders.values()], assets["KRW"].balance)
    titles: list[str] = [notice.title for notice in client.get_announcements(10)]
    values: list[float] = [event.value["rsi"] for event in client.get_indicators(indicator="rsi")]
    triggers: list[str] = [signal.trigger for signal in client.get_indicator_signals()]
    print(titles, values, triggers, client.get_my_order_history(limit=5), client.wait_for_update(DataType.MY_ORDER))
    proxy.subscribe_my_order(lambda order: print(order.uuid))
    try:
        client.get_my_assets()
    except AuthenticationError as error:
        print(error.name, error.message_ko, error.status, error.advice)


def managers() -> None:
    manager: GlobalWebSocketManager = get_global_websocket_manager()
    health: HealthStatus = manager.get_health_status()
    performance: PerformanceMetrics = manager.get_performance_metrics()
    print(health.is_healthy, performance.messages_per_second, manager.uptime_seconds, manager.background_tasks)
    with SimpleWebSocketClient("typed", manager=manager) as client:
        interests(client)


def sandboxes() -> None:
    with Sandbox(SandboxConfig(port=0, seed=1, rate=50.0)) as sandbox:
        url: str = sandbox.url
        print(url)
