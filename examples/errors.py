"""What happens when a callback fails, when it is too slow, and when the connection does something."""

import threading

from upbit_ws import BackpressureStrategy, TickerEvent, TradeEvent, WebSocketClientProxy
from upbit_ws.lifecycle import BackingOff, Connected, ConnectionEvent, SlowConsumer

failed = threading.Event()


def on_trade(trade: TradeEvent) -> None:
    # Raises for small trades. The next trade comes all the same, and nobody else notices.
    assert trade.trade_volume > 1_000_000, "too small to care"


def on_error(error: BaseException) -> None:
    if not failed.is_set():
        print(f"the callback raised {type(error).__name__}: {error}")
    failed.set()


def on_ticker(ticker: TickerEvent) -> None:
    """Never slow, and never raises."""


with WebSocketClientProxy("errors") as proxy:

    @proxy.on_connection_event
    def on_event(event: ConnectionEvent) -> None:
        # They have a thread of their own: they come through also while a callback hangs.
        if isinstance(event, Connected):
            print(f"connected, for the {event.epoch}. time")
        elif isinstance(event, BackingOff):
            print(f"lost, trying again in {event.delay:.1f} s: {event.reason}")
        elif isinstance(event, SlowConsumer):
            print(f"{event.subscription_id} is too slow, {event.dropped} events were dropped")

    # Up to 1,000 trades may wait. Whoever is slower than that is told, by on_error, and loses the oldest.
    proxy.subscribe_trade(
        ["KRW-BTC"], on_trade, on_error=on_error, strategy=BackpressureStrategy.RAISE, mailbox_size=1_000
    )
    proxy.subscribe_ticker(["KRW-BTC"], on_ticker)

    failed.wait(timeout=60)
    for stats in proxy.statistics():
        print(f"{stats.callback}: {stats.delivered} delivered, {stats.exceptions} raised, {stats.dropped} dropped")
