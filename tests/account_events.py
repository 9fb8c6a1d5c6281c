"""Private events and REST rows, as short as tests want them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from upbit_ws.events import MyAsset, MyAssetEvent, MyOrderEvent

__all__ = ["asset_event", "balance", "fill_row", "order_event", "order_row"]


def order_event(state: str, uuid: str = "o1", *, trade: str | None = None, **facts: Any) -> MyOrderEvent:
    """An event of an order to buy 10 at 100."""
    usual: dict[str, Any] = {
        "symbol": "KRW-BTC",
        "ask_bid": "BID",
        "order_type": "limit",
        "price": Decimal(100),
        "volume": Decimal(10),
        "executed_volume": Decimal(0),
        "remaining_volume": Decimal(10),
        "trades_count": 0,
        "order_timestamp": 1_000_000,
        "timestamp": 1_000_000,
        "stream_type": "REALTIME",
    }
    return MyOrderEvent(uuid=uuid, state=state, trade_uuid=trade, **{**usual, **facts})


def balance(currency: str, amount: int | str, locked: int | str = 0) -> MyAsset:
    return MyAsset(currency, Decimal(amount), Decimal(locked))


def asset_event(*assets: MyAsset, at: int = 1_000, uuid: str = "a1") -> MyAssetEvent:
    return MyAssetEvent(asset_uuid=uuid, assets=assets, asset_timestamp=at, timestamp=at, stream_type="REALTIME")


def fill_row(uuid: str, volume: str, price: str = "100", second: int = 10) -> dict[str, Any]:
    return {
        "market": "KRW-BTC",
        "uuid": uuid,
        "price": price,
        "volume": volume,
        "funds": str(Decimal(price) * Decimal(volume)),
        "created_at": f"2026-11-23T09:00:{second:02d}+09:00",
        "side": "bid",
    }


def order_row(state: str = "wait", uuid: str = "o1", *, trades: Any = None, **facts: Any) -> dict[str, Any]:
    """The same order as REST lists it."""
    fills = list(trades or ())
    executed = sum((Decimal(fill["volume"]) for fill in fills), Decimal(0))
    row = {
        "market": "KRW-BTC",
        "uuid": uuid,
        "side": "bid",
        "ord_type": "limit",
        "price": "100",
        "state": state,
        "created_at": "2026-11-23T09:00:00+09:00",
        "volume": "10",
        "remaining_volume": str(10 - executed),
        "executed_volume": str(executed),
        "reserved_fee": "0.5",
        "remaining_fee": "0.5",
        "paid_fee": "0",
        "locked": "1000.5",
        "prevented_volume": "0",
        "prevented_locked": "0",
        "trades_count": len(fills),
        "time_in_force": None,
        "identifier": None,
        "smp_type": None,
        **facts,
    }
    if trades is not None:
        row["trades"] = fills
    return row
