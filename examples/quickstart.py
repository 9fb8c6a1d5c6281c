"""Prices, an order book and a history, pulled from a plain script.

Asks the real exchange; with UPBIT_BASE_URL set, the exchange there (`upbit-ws sandbox` serves one on your machine).
"""

from upbit_ws import DataType, SimpleWebSocketClient

with SimpleWebSocketClient("quickstart") as client:
    client.register_interest(
        data_types=[DataType.TICKER, DataType.TRADE, DataType.ORDERBOOK],
        symbols=["KRW-BTC", "KRW-ETH"],
    )

    # The first pull waits until every market has delivered, later ones return at once.
    for symbol, price in client.get_multiple_prices().items():
        print(f"{symbol}  {price:,.0f} KRW")

    book = client.get_orderbook_data(["KRW-BTC"])["KRW-BTC"]
    print("\nKRW-BTC order book, best five")
    for unit in book.orderbook_units[:5]:
        print(f"{unit.bid_size:12.6f} {unit.bid_price:>13,.0f} | {unit.ask_price:<13,.0f} {unit.ask_size:.6f}")

    # What was sent since we are connected is kept, here until there are three trades.
    while len(trades := client.get_trade_history("KRW-BTC", limit=10)) < 3:
        client.wait_for_update(DataType.TRADE, "KRW-BTC", timeout=60)
    print("\nKRW-BTC trades, oldest first")
    for trade in trades:
        side = "bought" if trade.ask_bid == "BID" else "sold"
        print(f"{trade.trade_time}  {side:6} {trade.trade_volume:.8f} at {trade.trade_price:,.0f}")
