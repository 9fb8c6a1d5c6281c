"""Field tables of the private types: orders, assets, announcements. Row order is the key order on the wire.

Source: Upbit's websocket-myorder, -myasset and -announcement pages; SIMPLE names as in Upbit's own SDK 1.1.0.
"""

from __future__ import annotations

from upbit_ws.field_spec import (
    CODE,
    REALTIME,
    SIDE,
    TIMESTAMP,
    FieldSpec,
    Kind,
    Table,
    money,
    stream_type,
    text,
    time,
    type_field,
)

__all__ = ["ANNOUNCEMENT_FIELDS", "MYASSET_FIELDS", "MYASSET_UNIT_FIELDS", "MYORDER_FIELDS"]

MYORDER_FIELDS: Table = (
    type_field("myOrder"),
    CODE,
    text("uuid", "uid", "Order id."),
    text("ask_bid", "ab", "ASK sells, BID buys (REST `side`: lower case).", enum=SIDE),
    text(
        "order_type",
        "ot",
        "limit; price = market buy by amount; market = market sell; best = best limit (REST `ord_type`).",
        enum=("limit", "price", "market", "best"),
    ),
    text(
        "state",
        "s",
        "wait rests, watch is a reserved order, trade is one fill, done, cancel, prevented by self-match prevention.",
        enum=("wait", "watch", "trade", "done", "cancel", "prevented"),
    ),
    text("trade_uuid", "tuid", "Id of the fill; null without one.", nullable=True),
    money("price", "p", "Of the order; of the fill in state trade; amount of a market buy.", "quote", nullable=True),
    money("avg_price", "ap", "Average price of the fills, 0 before the first.", "quote", nullable=True),
    money("volume", "v", "Volume of the order; of the fill in state trade.", "base", nullable=True),
    money("remaining_volume", "rv", "Volume not filled yet.", "base", nullable=True),
    money("executed_volume", "ev", "Volume filled.", "base", nullable=True),
    FieldSpec("trades_count", "tc", Kind.COUNT, "Number of fills.", "count"),
    money("reserved_fee", "rsf", "Fee reserved.", "quote", nullable=True),
    money("remaining_fee", "rmf", "Fee still reserved.", "quote", nullable=True),
    money("paid_fee", "pf", "Fee paid so far.", "quote", nullable=True),
    money("locked", "l", "Amount (buy) or volume (sell) locked by the order.", "quote or base", nullable=True),
    money("executed_funds", "ef", "Value of the fills, 0 before the first.", "quote", nullable=True),
    text("time_in_force", "tif", "Null when not set.", enum=("ioc", "fok", "post_only"), nullable=True),
    money("trade_fee", "tf", "Fee of this fill; null unless state is trade.", "quote", nullable=True),
    FieldSpec("is_maker", "im", Kind.BOOL, "This fill was made, not taken; null unless state is trade.", nullable=True),
    text("identifier", "id", "Your own order id, of orders made after 2024-10-18.", nullable=True),
    text(
        "smp_type",
        "smpt",
        "Self-match prevention; cancel_maker is the default since 2026-11-09.",
        enum=("reduce", "cancel_maker", "cancel_taker", "none"),
        nullable=True,
    ),
    money("prevented_volume", "pv", "Volume cut by self-match prevention.", "base", nullable=True),
    money("prevented_locked", "pl", "Amount or volume freed by self-match prevention.", "quote or base", nullable=True),
    time("trade_timestamp", "ttms", "Time of the fill.", nullable=True),
    time("order_timestamp", "otms", "Time of the order, in whole seconds."),
    TIMESTAMP,
    stream_type(description="REALTIME in practice."),
)

MYASSET_UNIT_FIELDS: Table = (
    text("currency", "cu", "Currency, upper case."),
    money("balance", "b", "Available amount; 20 fraction digits and more.", "currency"),
    money("locked", "l", "Locked amount.", "currency"),
)

_ACCOUNTS_HAVE_NONE = "balances recovered over REST have none"

MYASSET_FIELDS: Table = (
    type_field("myAsset"),
    text("asset_uuid", "astuid", "Asset id.", absent=_ACCOUNTS_HAVE_NONE),
    FieldSpec("assets", "ast", Kind.OBJECTS, "Balances that changed.", nested=MYASSET_UNIT_FIELDS),
    time("asset_timestamp", "asttms", "Time of the change.", absent=_ACCOUNTS_HAVE_NONE),
    TIMESTAMP,
    REALTIME,
)

# The first eight are those of the Korean site; the others exist in Upbit's SDK for the regional sites.
_CATEGORIES = (
    *("notice", "trade", "wallet", "maintenance", "digital_asset", "nft", "service", "event"),
    *("note", "trading", "airdrop", "feature", "disclosure"),
)

ANNOUNCEMENT_FIELDS: Table = (
    type_field("announcement"),
    text("event_type", "et", "New or changed.", enum=("CREATED", "UPDATED")),
    text("uuid", "uid", "Id of the notice, digits."),
    text("title", "tt", "Title."),
    text("category", "cat", "Category; maintenance announces downtime.", enum=_CATEGORIES),
    text("url", "url", "Page of the notice."),
    text("first_listed_at", "flat", "First publication.", "KST, ISO 8601"),
    text("listed_at", "lat", "Latest publication.", "KST, ISO 8601"),
    TIMESTAMP,
    REALTIME,
    text("body", "bd", "Markdown, if asked for by include_body; null when large.", optional=True, nullable=True),
)
