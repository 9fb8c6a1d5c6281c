"""Your own orders and balances: what is open now, and every change as it happens.

Needs keys that may view orders and assets, in UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY. After a reconnect, what was missed
is fetched over REST and comes to the same callback, marked RECOVERED, each fill once.
"""

import sys
import threading

from upbit_ws import (
    AuthenticationError,
    DataType,
    MyOrderEvent,
    SimpleWebSocketClient,
    WebSocketClientProxy,
)

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0


def say(line: str) -> None:
    """Print in one piece: two subscriptions may have something to say at the same moment, on two threads."""
    print(f"{line}\n", end="", flush=True)


def on_order(order: MyOrderEvent) -> None:
    if order.state == "trade":
        say(f"{order.symbol} filled {order.volume} at {order.price}, order price {order.order_price or 'unknown'}")
    else:
        say(f"{order.symbol} {order.ask_bid} {order.state}, filled so far {order.executed_volume or 0}")


with SimpleWebSocketClient("balances") as client, WebSocketClientProxy("orders") as proxy:
    try:
        client.register_interest([DataType.MY_ORDER, DataType.MY_ASSET])
        proxy.subscribe_my_order(on_order)
        assets = client.get_my_assets()
    except AuthenticationError as error:
        raise SystemExit(f"{error}") from error

    for asset in assets.values():
        print(f"{asset.currency}: {asset.balance} available, {asset.locked} locked")
    print(f"{len(client.get_my_orders(open_only=True))} orders are open")

    threading.Event().wait(SECONDS)
    print("now", ", ".join(f"{asset.balance} {asset.currency}" for asset in client.get_my_assets().values()))
