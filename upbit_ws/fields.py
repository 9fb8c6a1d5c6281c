"""All field tables by family, and those of the messages that are no events. Import them from `upbit_ws.models`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from upbit_ws.account_fields import ANNOUNCEMENT_FIELDS, MYASSET_FIELDS, MYASSET_UNIT_FIELDS, MYORDER_FIELDS
from upbit_ws.field_spec import FieldSpec, Kind, Table, number, text
from upbit_ws.indicator_fields import (
    EVENT_PARAMS_FIELDS,
    INDICATOR_FIELDS,
    INDICATOR_PARAMS_FIELDS,
    INDICATOR_SIGNAL_FIELDS,
    INDICATOR_VALUE_FIELDS,
)
from upbit_ws.market_fields import (
    CANDLE_FIELDS,
    ORDERBOOK_FIELDS,
    ORDERBOOK_UNIT_FIELDS,
    TICKER_FIELDS,
    TRADE_FIELDS,
)

__all__ = [
    "ANNOUNCEMENT_FIELDS",
    "CANDLE_FIELDS",
    "ERROR_FIELDS",
    "EVENT_PARAMS_FIELDS",
    "FAMILY_FIELDS",
    "INDICATOR_FIELDS",
    "INDICATOR_PARAMS_FIELDS",
    "INDICATOR_SIGNAL_FIELDS",
    "INDICATOR_VALUE_FIELDS",
    "LIST_SUBSCRIPTIONS_FIELDS",
    "MYASSET_FIELDS",
    "MYASSET_UNIT_FIELDS",
    "MYORDER_FIELDS",
    "ORDERBOOK_FIELDS",
    "ORDERBOOK_UNIT_FIELDS",
    "STATUS_FIELDS",
    "SUBSCRIPTION_FIELDS",
    "TICKER_FIELDS",
    "TRADE_FIELDS",
    "FieldSpec",
    "Kind",
    "Table",
    "family_fields",
]

FAMILY_FIELDS: Mapping[str, Table] = MappingProxyType(
    {
        "ticker": TICKER_FIELDS,
        "trade": TRADE_FIELDS,
        "orderbook": ORDERBOOK_FIELDS,
        "candle": CANDLE_FIELDS,
        "myOrder": MYORDER_FIELDS,
        "myAsset": MYASSET_FIELDS,
        "announcement": ANNOUNCEMENT_FIELDS,
        "indicator": INDICATOR_FIELDS,
        "indicator_signal": INDICATOR_SIGNAL_FIELDS,
    }
)

#: Rows of the reply to LIST_SUBSCRIPTIONS. The SIMPLE names of the last two were never published (Upbit:
#: list-subscriptions page), so they stay as they are.
SUBSCRIPTION_FIELDS: Table = (
    text("type", "ty", "Subscribed type."),
    FieldSpec("codes", "cds", Kind.TEXTS, "Codes; absent for myAsset.", optional=True),
    number("level", "lv", "Order books only.", "quote", optional=True),
    text("timeframe", "timeframe", "Indicators only.", enum=("5m", "15m", "60m", "240m", "1d"), optional=True),
    FieldSpec("indicators", "indicators", Kind.OBJECTS, "Indicators only.", optional=True),
)

LIST_SUBSCRIPTIONS_FIELDS: Table = (
    text("method", "mthd", "Method, echoed.", enum=("LIST_SUBSCRIPTIONS",)),
    FieldSpec("result", "rslt", Kind.OBJECTS, "What this connection subscribes.", nested=SUBSCRIPTION_FIELDS),
    text("ticket", "tckt", "Ticket of the question."),
)

_ERROR_DETAIL_FIELDS: Table = (
    text(
        "name",
        "name",
        "Error code.",
        enum=(
            *("INVALID_AUTH", "WRONG_FORMAT", "NO_TICKET", "NO_TYPE"),
            *("NO_CODES", "INVALID_PARAM", "TOO_MANY_REQUEST"),
        ),
    ),
    text("message", "message", "Korean on api.upbit.com, English on the regional hosts."),
)

ERROR_FIELDS: Table = (FieldSpec("error", "error", Kind.OBJECT, "What was wrong.", nested=_ERROR_DETAIL_FIELDS),)

STATUS_FIELDS: Table = (text("status", "status", "Sent every 10 s after one text PING.", enum=("UP",)),)


def family_fields(family: str) -> Table:
    """Return the field table of a family (`DataType.family`)."""
    return FAMILY_FIELDS[family]
