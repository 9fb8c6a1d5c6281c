"""Do something whenever a five-minute candle grows, with a decorator."""

import threading

from upbit_ws import CandleEvent, WebSocketClientProxy

enough = threading.Event()
seen = 0

with WebSocketClientProxy("candles") as proxy:

    @proxy.on_candle("KRW-BTC", "KRW-ETH", unit=5)
    def on_candle(candle: CandleEvent) -> None:
        global seen
        seen += 1
        print(
            f"{candle.symbol} {candle.start:%H:%M}  open {candle.opening_price:,.0f}  high {candle.high_price:,.0f}"
            f"  low {candle.low_price:,.0f}  close {candle.trade_price:,.0f}"
        )
        if seen == 4:
            enough.set()

    enough.wait(timeout=60)
