"""Be called when an indicator crosses a line: computed by the exchange when a candle closes, KRW markets only.

Needs keys, of any permission, in UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY.
"""

import sys
import threading

from upbit_ws import AuthenticationError, IndicatorSignalEvent, InvalidArgumentError, WebSocketClientProxy

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0
MARKETS = ["KRW-BTC", "KRW-ETH"]
CROSSINGS = [
    {"type": "moving_average", "params": {"type": "SMA", "period": 5}, "trigger": trigger}
    for trigger in ("price_cross_above", "price_cross_below")
]


def on_signal(signal: IndicatorSignalEvent) -> None:
    print(f"{signal.symbol} {signal.trigger} of the {signal.timeframe} average, which is {signal.value['value']:,.0f}")


with WebSocketClientProxy("signals") as proxy:
    try:
        # An unsupported parameter would refuse the whole request at the exchange, so it is refused here.
        typo = {"type": "rsi", "params": {"period": 8}, "trigger": "overbought", "event_params": {"threshold": 70}}
        proxy.subscribe_indicator_signal(MARKETS, on_signal, timeframe="5m", indicators=[typo])
    except InvalidArgumentError as error:
        print(f"refused: {error}")

    try:
        proxy.subscribe_indicator_signal(MARKETS, on_signal, timeframe="5m", indicators=CROSSINGS)
    except AuthenticationError as error:
        raise SystemExit(f"{error}") from error
    print("listening")
    threading.Event().wait(SECONDS)
