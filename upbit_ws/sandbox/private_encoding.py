"""
Private and info messages as JSON: keys, their order and their SIMPLE names from the field tables, every digit of money.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from upbit_ws.fields import FieldSpec, Table
from upbit_ws.sandbox.matching import AssetNotice, OrderNotice
from upbit_ws.sandbox.money import spelled
from upbit_ws.sandbox.rest_encoding import Raw, to_json
from upbit_ws.types import DataType

__all__ = ["asset_values", "order_values", "written"]

_REALTIME = "REALTIME"


def order_values(notice: OrderNotice) -> dict[str, Any]:
    """The fields of a `myOrder` message. What is null follows the captures of a market buy and a limit order."""
    record, fill = notice.record, notice.fill
    # An order of money has no volume; what it has bought is told once it has bought something.
    is_of_money = record.volume is None
    return {
        "type": DataType.MY_ORDER.wire_name,
        "code": record.code,
        "uuid": record.uuid,
        "ask_bid": record.ask_bid,
        "order_type": record.order_type,
        "state": notice.state,
        "trade_uuid": fill.uuid if fill else None,
        "price": fill.price if fill else record.price,
        "avg_price": record.avg_price,
        "volume": fill.volume if fill else record.volume,
        "remaining_volume": record.remaining_volume,
        "executed_volume": None if is_of_money and not record.trades_count else record.executed_volume,
        "trades_count": record.trades_count,
        "reserved_fee": record.reserved_fee,
        "remaining_fee": record.remaining_fee,
        "paid_fee": record.paid_fee,
        "locked": record.locked,
        "executed_funds": record.executed_funds,
        "time_in_force": record.time_in_force,
        "trade_fee": fill.fee if fill else None,
        "is_maker": fill.is_maker if fill else None,
        "identifier": record.identifier,
        "smp_type": record.smp_type,
        "prevented_volume": None if is_of_money else record.prevented_volume,
        "prevented_locked": record.prevented_locked,
        "trade_timestamp": fill.timestamp if fill else None,
        "order_timestamp": record.created_at,
        "timestamp": notice.timestamp,
        "stream_type": _REALTIME,
    }


def asset_values(notice: AssetNotice) -> dict[str, Any]:
    """The fields of a `myAsset` message: the balances that changed."""
    return {
        "type": DataType.MY_ASSET.wire_name,
        "asset_uuid": notice.asset_uuid,
        "assets": [
            {"currency": asset.currency, "balance": asset.balance, "locked": asset.locked} for asset in notice.assets
        ],
        "asset_timestamp": notice.asset_timestamp,
        "timestamp": notice.timestamp,
        "stream_type": _REALTIME,
    }


def written(table: Table, values: Mapping[str, Any], *, simple: bool, exponents: bool = False) -> bytes:
    """`values` as a JSON object with the keys of `table`, in its order; a field that is not among them is left out."""
    return to_json(_keyed(table, values, simple, exponents)).encode()


def _keyed(table: Iterable[FieldSpec], values: Mapping[str, Any], simple: bool, exponents: bool) -> dict[str, Any]:
    keyed: dict[str, Any] = {}
    for field in table:
        if field.name not in values:
            continue
        value = values[field.name]
        if isinstance(value, Decimal):
            value = Raw(spelled(value, exponents=exponents))
        elif isinstance(value, list):
            value = [_keyed(field.nested, inner, simple, exponents) for inner in value]
        elif isinstance(value, Mapping):
            # What an indicator takes and gives has its own order, whatever the table lists first.
            nested = sorted(field.nested, key=lambda inner: [*value, inner.name].index(inner.name))
            value = _keyed(nested, value, simple, exponents)
        keyed[field.key(simple)] = value
    return keyed
