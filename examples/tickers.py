"""A function that is called with every ticker."""

import threading

from upbit_ws import TickerEvent, WebSocketClientProxy

enough = threading.Event()
prices: dict[str, float] = {}


def on_ticker(ticker: TickerEvent) -> None:
    prices[ticker.symbol] = ticker.trade_price
    print(f"{ticker.symbol}  {ticker.trade_price:>13,.0f}  {ticker.signed_change_rate:+.2%}  {ticker.stream_type}")
    if len(prices) == 3 and ticker.stream_type == "REALTIME":
        enough.set()


with WebSocketClientProxy("tickers") as proxy:
    # The present prices come at once, marked SNAPSHOT; after that on_ticker is called with every change, in order, one
    # at a time. If it is slower than the market it gets the newest of each.
    proxy.subscribe_ticker(["KRW-BTC", "KRW-ETH", "KRW-XRP"], on_ticker)

    # The main thread is free meanwhile. This one waits.
    enough.wait(timeout=60)
