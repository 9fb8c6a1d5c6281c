"""Your own orders and balances: what is open now, and every change as it happens.

Needs keys that may view orders and assets, in UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY. After a reconnect, what was missed
is fetched over REST and comes to the same callback, marked RECOVERED, each fill once.
"""

import sys
import threading

from upbit_ws import (
    AuthenticationError,
    DataType,
    MyAssetEvent,
    MyOrderEvent,
    SimpleWebSocketClient,
    WebSocketClientProxy,
)

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0


def on_order(order: MyOrderEvent) -> None:
    if order.state == "trade":
        print(f"{order.symbol} filled {order.volume} at {order.price}, order price {order.order_price or 'unknown'}")
    else:
        print(f"{order.symbol} {order.ask_bid} {order.state}, filled so far {order.executed_volume or 0}")


def on_assets(change: MyAssetEvent) -> None:
    print("now", ", ".join(f"{asset.currency} {asset.balance} + {asset.locked} locked" for asset in change.assets))


with SimpleWebSocketClient("balances") as client, WebSocketClientProxy("orders") as proxy:
    try:
        client.register_interest([DataType.MY_ORDER, DataType.MY_ASSET])
        proxy.subscribe_my_order(on_order)
        proxy.subscribe_my_asset(on_assets)
        assets = client.get_my_assets()
    except AuthenticationError as error:
        raise SystemExit(f"{error}") from error

    for asset in assets.values():
        print(f"{asset.currency}: {asset.balance} available, {asset.locked} locked")
    print(f"{len(client.get_my_orders(open_only=True))} orders are open")

    threading.Event().wait(SECONDS)
