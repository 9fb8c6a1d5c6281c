"""What REST says about orders and balances, as the events that a stream would have sent.

REST has no `trade` and no `prevented` state, no average price and no fee of a single fill, and its times are whole
seconds; amounts are decimal strings (Upbit: get-order, list-open-orders, list-closed-orders and get-balance pages).
What REST cannot know of a moment in the past is None in the event that stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Final

from attrs import evolve

from upbit_ws.events import MyAsset, MyOrderEvent
from upbit_ws.exceptions import PayloadError
from upbit_ws.records import frozen
from upbit_ws.types import StreamType

__all__ = ["OrderRow", "asset_of", "missed_events"]

_SIDES: Final = {"bid": "BID", "ask": "ASK"}
_ZERO: Final = Decimal(0)


@frozen
class _Fill:
    uuid: str
    price: Decimal
    volume: Decimal
    funds: Decimal
    at: int
    is_maker: bool | None


class OrderRow:
    """One order as REST lists it, checked.

    Raises:
        PayloadError: it is not as documented.
    """

    def __init__(self, row: Mapping[str, Any]) -> None:
        try:
            self.uuid = str(row["uuid"])
            self.symbol = str(row["market"])
            self.state = str(row["state"])
            self.created_at = _milliseconds(row["created_at"])
            self.trades_count = int(row.get("trades_count") or 0)
            self.now = _state_of(row, self.created_at)
            self.fills = [_fill_of(trade) for trade in row.get("trades") or ()]
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise PayloadError(f"is not as documented: {error!r}", field="order") from error
        if self.fills and self.fills[0].at > self.fills[-1].at:
            self.fills.reverse()  # newest first: those of one second, too
        self.fills.sort(key=lambda fill: fill.at)

    @property
    def is_finished(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in ("done", "cancel")

    def is_told_by(self, known: MyOrderEvent | None, fills: int) -> bool:
        """Whether events already told all of this: the state, as many fills, as much prevented.

        Which fills those are, a list does not say: of an order that counts more of them than are known, look it up.
        """
        if known is None or fills < self.trades_count:
            return False
        is_over = known.state in ("done", "cancel")
        prevented = (self.now.prevented_volume or _ZERO) <= (known.prevented_volume or _ZERO)
        return is_over == self.is_finished and (is_over or (prevented and known.state != "watch"))


def missed_events(
    row: OrderRow, known: MyOrderEvent | None, fills: frozenset[str], now: int, *, is_opened: bool = True
) -> list[MyOrderEvent]:
    """The events that lead from what is known of an order to what REST says, oldest first, marked RECOVERED.

    Args:
        row: With its fills, where it has any that are not known.
        known: The newest known state of the order, None for an order never seen.
        fills: Ids of the fills that are known.
        now: ms since the epoch, for what REST gives no time of.
        is_opened: Whether the beginning of the known order was told; its fills may have come first.
    """
    events: list[MyOrderEvent] = []
    is_untouched = not row.fills and not row.is_finished
    if known is None or not is_opened or (known.state == "watch" and row.state != "watch"):
        opening = row.now if is_untouched else _as_placed(row.now)
        events.append(evolve(opening, state="watch" if row.state == "watch" else "wait", timestamp=row.created_at))
    events += _fill_events(row, fills)
    if (row.now.prevented_volume or _ZERO) > ((known.prevented_volume if known else None) or _ZERO):
        events.append(evolve(row.now, state="prevented", timestamp=now))
    if row.is_finished and (known is None or known.state not in ("done", "cancel")):
        last = max([row.created_at, *(fill.at for fill in row.fills)])
        events.append(evolve(row.now, state=row.state, timestamp=last if row.state == "done" else now))
    return _in_order(events)


def _in_order(events: list[MyOrderEvent]) -> list[MyOrderEvent]:
    """Events of one order whose times do not contradict their order."""
    ordered: list[MyOrderEvent] = []
    latest = 0
    for event in events:
        latest = max(latest, event.timestamp)
        ordered.append(event if event.timestamp == latest else evolve(event, timestamp=latest))
    return ordered


def _fill_events(row: OrderRow, known: frozenset[str]) -> list[MyOrderEvent]:
    events = []
    volume, funds = _ZERO, _ZERO
    for number, fill in enumerate(row.fills, start=1):
        volume += fill.volume
        funds += fill.funds
        if fill.uuid in known:
            continue
        is_last = number == len(row.fills) and not row.is_finished
        events.append(
            evolve(
                row.now if is_last else _in_between(row, volume),
                state="trade",
                trade_uuid=fill.uuid,
                price=fill.price,
                volume=fill.volume,
                avg_price=funds / volume if volume else _ZERO,
                executed_volume=volume,
                executed_funds=funds,
                trades_count=number,
                is_maker=fill.is_maker,
                trade_timestamp=fill.at,
                timestamp=fill.at,
                order_price=row.now.price,
                order_volume=row.now.volume,
            )
        )
    return events


def _in_between(row: OrderRow, executed: Decimal) -> MyOrderEvent:
    """An order while it was being filled: what it had paid and locked by then, nobody can say afterwards."""
    whole = row.now.volume
    is_cut = bool(row.now.prevented_volume)
    return evolve(
        row.now,
        remaining_volume=None if whole is None or is_cut else whole - executed,
        remaining_fee=None,
        paid_fee=None,
        locked=None,
        prevented_volume=None,
        prevented_locked=None,
    )


def _as_placed(order: MyOrderEvent) -> MyOrderEvent:
    return evolve(
        order,
        remaining_volume=order.volume,
        executed_volume=_ZERO,
        executed_funds=_ZERO,
        avg_price=_ZERO,
        trades_count=0,
        remaining_fee=order.reserved_fee,
        paid_fee=_ZERO,
        locked=None,
        prevented_volume=None,
        prevented_locked=None,
    )


def _state_of(row: Mapping[str, Any], created_at: int) -> MyOrderEvent:
    executed, funds = _decimal(row.get("executed_volume")), _decimal(row.get("executed_funds"))
    if funds is None and row.get("trades"):
        funds = sum((_fill_of(trade).funds for trade in row["trades"]), _ZERO)
    return MyOrderEvent(
        symbol=str(row["market"]),
        uuid=str(row["uuid"]),
        ask_bid=_SIDES[row["side"]],
        order_type=str(row["ord_type"]),
        state=str(row["state"]),
        price=_decimal(row.get("price")),
        avg_price=None if funds is None else funds / executed if executed else _ZERO,
        volume=_decimal(row.get("volume")),
        remaining_volume=_decimal(row.get("remaining_volume")),
        executed_volume=executed,
        trades_count=int(row.get("trades_count") or 0),
        reserved_fee=_decimal(row.get("reserved_fee")),
        remaining_fee=_decimal(row.get("remaining_fee")),
        paid_fee=_decimal(row.get("paid_fee")),
        locked=_decimal(row.get("locked")),
        executed_funds=funds,
        time_in_force=row.get("time_in_force"),
        identifier=row.get("identifier"),
        smp_type=row.get("smp_type"),
        prevented_volume=_decimal(row.get("prevented_volume")),
        prevented_locked=_decimal(row.get("prevented_locked")),
        order_timestamp=created_at,
        timestamp=created_at,
        stream_type=StreamType.RECOVERED.value,
    )


def _fill_of(trade: Mapping[str, Any]) -> _Fill:
    price, volume = _amount(trade["price"]), _amount(trade["volume"])
    funds = _decimal(trade.get("funds"))
    is_maker = trade.get("is_maker")
    return _Fill(
        uuid=str(trade["uuid"]),
        price=price,
        volume=volume,
        funds=price * volume if funds is None else funds,
        at=_milliseconds(trade["created_at"]),
        is_maker=is_maker if isinstance(is_maker, bool) else None,
    )


def asset_of(row: Mapping[str, Any]) -> MyAsset:
    """A row of `/v1/accounts`.

    Raises:
        PayloadError: it is not as documented.
    """
    try:
        return MyAsset(str(row["currency"]), _amount(row["balance"]), _amount(row["locked"]))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise PayloadError(f"is not as documented: {error!r}", field="account") from error


def _decimal(value: object) -> Decimal | None:
    return None if value is None else _amount(value)


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise TypeError(f"not an amount: {value!r}")
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        raise ValueError(f"not an amount: {value!r}")
    return number


def _milliseconds(text: str) -> int:
    """ISO 8601 with a zone, Korean time where it has none (Upbit: rest-api-guide page)."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = datetime.fromisoformat(f"{text}+09:00")
    delta = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000
