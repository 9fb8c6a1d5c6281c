"""What happened lately: minute candles, and the average price of the last trades."""

from upbit_ws import DataType, SimpleWebSocketClient

MARKET = "KRW-BTC"
TRADES = 20

with SimpleWebSocketClient("history") as client:
    # `history` is how many of each are kept, oldest ones leave first.
    client.register_interest([DataType.TRADE, DataType.CANDLE_1M], [MARKET], history=TRADES)

    # Each update is a chance to look; on a busy market this takes seconds.
    for _ in client.updates([DataType.TRADE], timeout=60):
        trades = client.get_trade_history(MARKET, limit=TRADES)
        if len(trades) == TRADES:
            break

    volume = sum(trade.trade_volume for trade in trades)
    average = sum(trade.trade_price * trade.trade_volume for trade in trades) / volume
    print(f"{len(trades)} trades, {volume:.6f} in all, at {average:,.0f} on average")

    for candle in client.get_candle_history(MARKET, unit="1m", limit=5):
        print(
            f"{candle.start:%H:%M}  open {candle.opening_price:,.0f}  high {candle.high_price:,.0f}"
            f"  low {candle.low_price:,.0f}  close {candle.trade_price:,.0f}"
        )
