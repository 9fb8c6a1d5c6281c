"""Be called with what happens, instead of asking for it.

Callbacks run on threads of the SDK, one at a time and in order for each subscription.
"""

import threading

from upbit_ws import Event, TradeEvent, WebSocketClientProxy

enough = threading.Event()
seen: list[TradeEvent] = []


def on_trade(event: Event) -> None:
    """Called once per trade. A slow callback delays only itself."""
    if isinstance(event, TradeEvent) and not enough.is_set():
        seen.append(event)
        print(f"{event.trade_time}  {event.symbol}  {event.trade_price:,.0f}")
        if len(seen) == 10:
            enough.set()


with WebSocketClientProxy("callbacks") as proxy:
    proxy.on_connection_event(lambda event: print(f"connection: {type(event).__name__}"))
    proxy.subscribe_trade(["KRW-BTC", "KRW-ETH"], on_trade)
    if not enough.wait(timeout=60):
        print("fewer than ten trades in a minute")
