"""What the command tells about a market: one flat record, printed as a JSON line or shown as a line of the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from upbit_ws.events import CandleEvent, Event, OrderbookEvent, TickerEvent, TradeEvent
from upbit_ws.types import Reading

__all__ = ["Row", "describe"]

Row = dict[str, Any]


def describe(event: Event, reading: Reading | None = None, book: OrderbookEvent | None = None) -> Row:
    """Flatten an event.

    Args:
        event: What arrived.
        reading: What is known about how true it is: gives `age` (seconds), `epoch` and `live`.
        book: The order book of the same market, for the best bid and ask beside a ticker.
    """
    row: Row = {"type": event.type, "market": event.symbol}
    row.update(_FIELDS[type(event)](event))
    if book is not None:
        row.update(_best(book))
    row["timestamp"] = event.timestamp
    row["stream_type"] = event.stream_type
    if reading is not None:
        row.update(
            age=None if reading.age is None else round(reading.age, 3), epoch=reading.epoch, live=reading.is_live
        )
    return row


def _ticker(event: TickerEvent) -> Row:
    return {
        "price": event.trade_price,
        "change": event.signed_change_price,
        "change_rate": event.signed_change_rate,
        "volume": event.acc_trade_volume_24h,
        "value": event.acc_trade_price_24h,
        "bid": None,
        "ask": None,
    }


def _trade(event: TradeEvent) -> Row:
    return {
        "price": event.trade_price,
        "volume": event.trade_volume,
        # Upbit names the side of the taker (websocket-trade page): ASK sold, BID bought.
        "side": "buy" if event.ask_bid == "BID" else "sell",
        "bid": event.best_bid_price,
        "ask": event.best_ask_price,
        "sequential_id": event.sequential_id,
        "trade_timestamp": event.trade_timestamp,
    }


def _orderbook(event: OrderbookEvent) -> Row:
    return {
        **_best(event),
        "total_bid_size": event.total_bid_size,
        "total_ask_size": event.total_ask_size,
        "bids": event.bids,
        "asks": event.asks,
    }


def _best(event: OrderbookEvent) -> Row:
    bid, bid_size = event.best_bid or (None, None)
    ask, ask_size = event.best_ask or (None, None)
    return {"bid": bid, "bid_size": bid_size, "ask": ask, "ask_size": ask_size}


def _candle(event: CandleEvent) -> Row:
    return {
        "start": event.candle_date_time_utc,
        "open": event.opening_price,
        "high": event.high_price,
        "low": event.low_price,
        "price": event.trade_price,
        "volume": event.candle_acc_trade_volume,
        "value": event.candle_acc_trade_price,
    }


_FIELDS: dict[type[Event], Callable[[Any], Row]] = {
    TickerEvent: _ticker,
    TradeEvent: _trade,
    OrderbookEvent: _orderbook,
    CandleEvent: _candle,
}
