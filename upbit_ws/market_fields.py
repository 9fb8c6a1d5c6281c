"""Field tables of the public types: ticker, trade, order book, candle. Row order is the key order on the wire.

Source: Upbit's websocket-ticker, -trade, -orderbook and -candle pages; SIMPLE names as in Upbit's own SDK 1.1.0.
"""

from __future__ import annotations

from upbit_ws.field_spec import (
    CODE,
    SIDE,
    TIMESTAMP,
    FieldSpec,
    Kind,
    Table,
    number,
    stream_type,
    text,
    time,
    type_field,
)

__all__ = ["CANDLE_FIELDS", "ORDERBOOK_FIELDS", "ORDERBOOK_UNIT_FIELDS", "TICKER_FIELDS", "TRADE_FIELDS"]

_CHANGE = ("RISE", "EVEN", "FALL")

TICKER_FIELDS: Table = (
    type_field("ticker"),
    CODE,
    number("opening_price", "op", "Opening price of the UTC day.", "quote"),
    number("high_price", "hp", "High of the UTC day.", "quote"),
    number("low_price", "lp", "Low of the UTC day.", "quote"),
    number("trade_price", "tp", "Current price, the last trade's.", "quote"),
    number("prev_closing_price", "pcp", "Close of the previous UTC day.", "quote"),
    number("acc_trade_price", "atp", "Traded value since 00:00 UTC.", "quote"),
    text("change", "c", "Direction against prev_closing_price.", enum=_CHANGE),
    number("change_price", "cp", "Price change, without sign.", "quote"),
    number("signed_change_price", "scp", "Price change with sign.", "quote"),
    number("change_rate", "cr", "Change rate, without sign.", "ratio"),
    number("signed_change_rate", "scr", "Change rate with sign.", "ratio"),
    text("ask_bid", "ab", "Side of the taker of the last trade.", enum=SIDE),
    number("trade_volume", "tv", "Volume of the last trade.", "base"),
    number("acc_trade_volume", "atv", "Volume since 00:00 UTC.", "base"),
    text("trade_date", "tdt", "Date of the last trade.", "UTC, yyyyMMdd"),
    text("trade_time", "ttm", "Time of the last trade.", "UTC, HHmmss"),
    time("trade_timestamp", "ttms", "Time of the last trade."),
    number("acc_ask_volume", "aav", "Accumulated sell volume.", "base"),
    number("acc_bid_volume", "abv", "Accumulated buy volume.", "base"),
    number("highest_52_week_price", "h52wp", "High of 52 weeks.", "quote"),
    text("highest_52_week_date", "h52wdt", "Date of that high.", "yyyy-MM-dd"),
    number("lowest_52_week_price", "l52wp", "Low of 52 weeks.", "quote"),
    text("lowest_52_week_date", "l52wdt", "Date of that low.", "yyyy-MM-dd"),
    text(
        "market_state",
        "ms",
        "PREVIEW takes deposits only, ACTIVE trades, DELISTED has ended.",
        enum=("PREVIEW", "ACTIVE", "DELISTED"),
    ),
    FieldSpec(
        "is_trading_suspended",
        "its",
        Kind.BOOL,
        "Trading is suspended. Deprecated by the notice of 2025-10-31, removal not dated.",
        optional=True,
        deprecated=True,
    ),
    FieldSpec(
        "delisting_date",
        "dd",
        Kind.DATE,
        "Delisting date: null, text, or an object of year, month and day.",
        nullable=True,
    ),
    text(
        "market_warning",
        "mw",
        "Investment caution. Deprecated like is_trading_suspended.",
        enum=("NONE", "CAUTION"),
        optional=True,
        deprecated=True,
    ),
    TIMESTAMP,
    number("acc_trade_price_24h", "atp24h", "Traded value of the last 24 h.", "quote"),
    number("acc_trade_volume_24h", "atv24h", "Volume of the last 24 h.", "base"),
    stream_type(),
)

_REST_HAS_NONE = "trades recovered over REST have none"

TRADE_FIELDS: Table = (
    type_field("trade"),
    CODE,
    TIMESTAMP,
    text("trade_date", "td", "Date of the trade.", "UTC, yyyy-MM-dd"),
    text("trade_time", "ttm", "Time of the trade.", "UTC, HH:mm:ss"),
    time("trade_timestamp", "ttms", "Time of the trade; equals `timestamp` of REST /v1/trades/ticks."),
    number("trade_price", "tp", "Price.", "quote"),
    number("trade_volume", "tv", "Volume.", "base"),
    text("ask_bid", "ab", "Side of the taker: ASK sold, BID bought.", enum=SIDE),
    number("prev_closing_price", "pcp", "Close of the previous UTC day.", "quote"),
    text("change", "c", "Direction against prev_closing_price.", enum=_CHANGE, absent=_REST_HAS_NONE),
    number("change_price", "cp", "Price change, without sign (REST: with sign).", "quote"),
    FieldSpec(
        "sequential_id", "sid", Kind.INT, "Number of the trade: unique in its market, not ordered, beyond 2**53.", "id"
    ),
    number("best_ask_price", "bap", "Best ask at the trade, since 2024-11-27.", "quote", absent=_REST_HAS_NONE),
    number("best_ask_size", "bas", "Size of the best ask.", "base", absent=_REST_HAS_NONE),
    number("best_bid_price", "bbp", "Best bid at the trade.", "quote", absent=_REST_HAS_NONE),
    number("best_bid_size", "bbs", "Size of the best bid.", "base", absent=_REST_HAS_NONE),
    stream_type(),
)

ORDERBOOK_UNIT_FIELDS: Table = (
    number("ask_price", "ap", "Ask price of this rank; 0 pads a thin side.", "quote"),
    number("bid_price", "bp", "Bid price of this rank; 0 pads a thin side.", "quote"),
    number("ask_size", "as", "Ask size; 0 pads a thin side.", "base"),
    number("bid_size", "bs", "Bid size; 0 pads a thin side.", "base"),
)

ORDERBOOK_FIELDS: Table = (
    type_field("orderbook"),
    FieldSpec("code", "cd", Kind.TEXT, "Market code, without the count suffix of the request."),
    time("timestamp", "tms", "Time of the last change of the book; old in the snapshot of a quiet one."),
    number("total_ask_size", "tas", "Sum of the ask sizes.", "base"),
    number("total_bid_size", "tbs", "Sum of the bid sizes.", "base"),
    FieldSpec(
        "orderbook_units",
        "obu",
        Kind.OBJECTS,
        "1, 5, 15 or 30 units, best first: the whole book in every message.",
        nested=ORDERBOOK_UNIT_FIELDS,
    ),
    stream_type(),
    number("level", "lv", "Grouping step, 0 for none; KRW markets only. Absent in Indonesia.", "quote", optional=True),
)

CANDLE_FIELDS: Table = (
    type_field("candle", "candle.{unit}, as requested."),
    CODE,
    text("candle_date_time_utc", "cdttmu", "Start of the candle.", "UTC, yyyy-MM-dd'T'HH:mm:ss"),
    text(
        "candle_date_time_kst",
        "cdttmk",
        "Start of the candle.",
        "KST, yyyy-MM-dd'T'HH:mm:ss",
        absent="REST of the regional hosts has none",
    ),
    number("opening_price", "op", "Open.", "quote"),
    number("high_price", "hp", "High.", "quote"),
    number("low_price", "lp", "Low.", "quote"),
    number("trade_price", "tp", "Close so far, the last trade's price.", "quote"),
    number("candle_acc_trade_volume", "catv", "Volume of the candle.", "base"),
    number("candle_acc_trade_price", "catp", "Traded value of the candle.", "quote"),
    time("timestamp", "tms", "Time of the last tick in the candle."),
    stream_type(),
)
