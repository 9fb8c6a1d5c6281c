"""How old may a price be? Ask before you trust it.

The age counts from the moment at which the connection last proved that the value is still the newest, so a quiet market
on a healthy connection is fresh, and a busy one on a dead connection is not.
"""

from upbit_ws import DataTimeoutError, DataType, SimpleWebSocketClient, StaleDataError, WebSocketConfig

MARKET = "KRW-BTC"

# The production preset refuses every value that nobody could vouch for within 60 seconds.
with SimpleWebSocketClient("freshness", config=WebSocketConfig.production()) as client:
    client.register_interest([DataType.TICKER], [MARKET])

    try:
        price = client.get_price(MARKET, timeout=10, max_age=2)
        print(f"{MARKET} is at {price:,.0f}, vouched for within 2 seconds")
    except DataTimeoutError as error:
        raise SystemExit(f"nothing came: {error}") from error
    except StaleDataError as error:
        raise SystemExit(f"do not trade on this: {error}") from error

    reading = client.snapshot(DataType.TICKER, MARKET)
    age = "never" if reading.age is None else f"{reading.age:.2f} s ago"
    print(f"vouched for {age}, live: {reading.is_live}")
    print(f"connection number {reading.epoch}, value number {reading.revision}")

    for connection in client.status().connections:
        print(f"{connection.endpoint} connection: {connection.state}, last error: {connection.last_error or 'none'}")
