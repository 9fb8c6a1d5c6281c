"""React to what happens, without callbacks: a loop over updates."""

from upbit_ws import DataType, SimpleWebSocketClient

with SimpleWebSocketClient("updates") as client:
    client.register_interest([DataType.TICKER, DataType.TRADE], ["KRW-BTC", "KRW-ETH", "KRW-XRP"])

    # Which markets have delivered? A code that does not exist is never answered, so ask instead of waiting for ever.
    ready = client.wait_ready(timeout=10)
    print(f"{len(ready.delivered)} streams deliver, {len(ready.silent)} are silent")

    # Trades come each once and in order; of tickers a slow loop gets the newest. Reconnecting happens by itself.
    for count, event in enumerate(client.updates(timeout=30), start=1):
        if event.type == "trade":
            print(f"{event.time:%H:%M:%S} {event.symbol} trade")
        else:
            print(f"{event.time:%H:%M:%S} {event.symbol} ticker, now {client.get_price(event.symbol):,.0f}")
        if count == 20:
            break
    else:
        print("nothing happened for 30 seconds")
