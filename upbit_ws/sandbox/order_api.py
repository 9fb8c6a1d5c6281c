"""
The REST calls that need a key: accounts and orders. The lock of the exchange must be held while one is answered.

Source: Upbit's pages of these calls; names of errors from the REST error page. What is not published: whether
`start_time` means the second of `created_at` or the moment itself (here the second, as `created_at` is all that is
told).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from upbit_ws.sandbox.auth import AuthError, Holder, KeyRing
from upbit_ws.sandbox.desk import Desk
from upbit_ws.sandbox.encoding import kst_text
from upbit_ws.sandbox.http import HttpReply, HttpRequest
from upbit_ws.sandbox.limits import Verdict
from upbit_ws.sandbox.money import spelled
from upbit_ws.sandbox.order_rules import OrderError
from upbit_ws.sandbox.orders import FillRecord, Order, OrderRecord
from upbit_ws.sandbox.rest import RestLimits, refusal
from upbit_ws.sandbox.rest_encoding import to_json

__all__ = ["OrderApi", "auth_refusal", "order_row"]

_WEEK_MS = 7 * 86_400_000
_KOREA = timezone(timedelta(hours=9))
_MOST_OPEN = 100
_MOST_CLOSED = 1_000
_MOST_NAMED = 100

Params = Mapping[str, list[str]]


class _Call(NamedTuple):
    group: str
    scope: str
    status: int
    answer: Callable[[Holder, Params], Any]


def _error(status: int, name: str, message: str, headers: Mapping[str, str] | None = None) -> HttpReply:
    return HttpReply(status, to_json({"error": {"name": name, "message": message}}).encode(), headers or {})


def auth_refusal(error: AuthError) -> HttpReply:
    """The reply to a token that is refused."""
    return _error(error.status, error.name, error.message)


class OrderApi:
    """
    Args:
        desk: where orders are placed.
        keys: who may ask.
        limits: by group of calls ("default", "order").
        retry_after: tell block times in a header too.
    """

    def __init__(
        self, desk: Desk, keys: KeyRing, limits: Mapping[str, RestLimits], *, retry_after: bool = False
    ) -> None:
        self._desk = desk
        self._keys = keys
        self._limits = limits
        self._retry_after = retry_after
        self._calls = {
            ("GET", "/v1/accounts"): _Call("default", "view_assets", 200, self._accounts),
            ("GET", "/v1/order"): _Call("default", "view_orders", 200, self._order),
            ("GET", "/v1/orders/open"): _Call("default", "view_orders", 200, self._open),
            ("GET", "/v1/orders/closed"): _Call("default", "view_orders", 200, self._closed),
            ("GET", "/v1/orders/uuids"): _Call("default", "view_orders", 200, self._named),
            ("POST", "/v1/orders"): _Call("order", "make_orders", 201, self._place),
            ("DELETE", "/v1/order"): _Call("default", "make_orders", 200, self._cancel),
        }

    def knows(self, request: HttpRequest) -> bool:
        """Whether there is such a call."""
        return (request.method, request.path) in self._calls

    def answer(self, request: HttpRequest, address: str, now: float) -> HttpReply:
        """Answer one request from `address` at `now` (seconds of the limits' clock)."""
        call = self._calls[request.method, request.path]
        try:
            pairs, query = _params(request)
            holder = self._keys.verify(request.headers.get("authorization"), address, query)
            holder.require(call.scope)
        except AuthError as error:
            return auth_refusal(error)
        except OrderError as error:
            return _error(error.status, error.name, error.message)
        verdict, blocked_for, headers = self._limits[call.group].ask(request, call.group, holder.account, now)
        if verdict is not Verdict.PASS:
            return refusal(verdict, blocked_for, retry_after=self._retry_after)
        params: dict[str, list[str]] = {}
        for name, value in pairs:
            params.setdefault(name, []).append(value)
        try:
            return HttpReply(call.status, to_json(call.answer(holder, params)).encode(), headers)
        except OrderError as error:
            return _error(error.status, error.name, error.message, headers)

    # Calls

    def _accounts(self, holder: Holder, _params: Params) -> list[dict[str, Any]]:
        account = self._desk.account(holder.account)
        return [
            {
                "currency": held.currency,
                "balance": spelled(held.balance),
                "locked": spelled(held.locked),
                "avg_buy_price": spelled(account.average_price(held.currency)),
                "avg_buy_price_modified": False,
                "unit_currency": "KRW",
            }
            for held in account
        ]

    def _place(self, holder: Holder, params: Params) -> dict[str, Any]:
        return order_row(self._desk.place(holder.account, {name: values[-1] for name, values in params.items()}))

    def _cancel(self, holder: Holder, params: Params) -> dict[str, Any]:
        order = self._find(holder, params)
        if not order.is_open:
            raise OrderError.named("canceled_order")
        before = order.record()  # the reply to the request, not yet to what comes of it
        self._desk.cancel(order)
        return order_row(before)

    def _order(self, holder: Holder, params: Params) -> dict[str, Any]:
        record = self._find(holder, params).record()
        trades = [_trade_row(record.code, fill) for fill in record.fills]
        return {**order_row(record), "trades": trades}

    def _find(self, holder: Holder, params: Params) -> Order:
        uuid, identifier = _one(params, "uuid"), _one(params, "identifier")
        if (uuid is None) == (identifier is None):
            raise OrderError.named("validation_error")
        order = self._desk.engine.find(holder.account, uuid=uuid, identifier=identifier)
        if order is None:
            raise OrderError.named("order_not_found")
        return order

    def _named(self, holder: Holder, params: Params) -> list[dict[str, Any]]:
        uuids, identifiers = _many(params, "uuids"), _many(params, "identifiers")
        if bool(uuids) == bool(identifiers) or len(uuids or identifiers) > _MOST_NAMED:
            raise OrderError.named("validation_error")
        found = [self._desk.engine.find(holder.account, uuid=uuid) for uuid in uuids]
        found += [self._desk.engine.find(holder.account, identifier=identifier) for identifier in identifiers]
        return self._listed((order for order in found if order is not None), params)

    def _open(self, holder: Holder, params: Params) -> list[dict[str, Any]]:
        states = _states(params, ("wait", "watch"), default=("wait",))
        page, limit = _whole(params, "page", 1), min(_whole(params, "limit", _MOST_OPEN), _MOST_OPEN)
        rows = self._listed((order for order in self._of(holder) if order.state in states), params)
        return rows[(page - 1) * limit : page * limit]

    def _closed(self, holder: Holder, params: Params) -> list[dict[str, Any]]:
        states = _states(params, ("done", "cancel"), default=("done", "cancel"))
        since, until = _window(params, self._desk.now)
        limit = min(_whole(params, "limit", _MOST_OPEN), _MOST_CLOSED)
        wanted = (order for order in self._of(holder) if order.state in states and since <= order.created_at <= until)
        return self._listed(wanted, params)[:limit]

    def _of(self, holder: Holder) -> Iterable[Order]:
        return (order for order in self._desk.engine.orders.values() if order.account == holder.account)

    @staticmethod
    def _listed(orders: Iterable[Order], params: Params) -> list[dict[str, Any]]:
        """Rows of a list: of one market if asked for, newest first unless asked for `asc`."""
        market = _one(params, "market")
        rows = [order_row(order.record(), in_list=True) for order in orders if market in (None, order.terms.code)]
        return rows if _one(params, "order_by") == "asc" else rows[::-1]


# Rows


def order_row(record: OrderRecord, *, in_list: bool = False) -> dict[str, Any]:
    """An order as REST tells it: every amount a text. Only lists tell what the fills were worth."""

    def text(value: Any) -> str | None:
        return None if value is None else spelled(value)

    row = {
        "market": record.code,
        "uuid": record.uuid,
        "side": record.ask_bid.lower(),
        "ord_type": record.order_type,
        "price": text(record.price),
        "state": record.state,
        "created_at": _korean_time(record.created_at),
        "volume": text(record.volume),
        "remaining_volume": text(record.remaining_volume),
        "executed_volume": text(record.executed_volume),
        "executed_funds": text(record.executed_funds),
        "reserved_fee": text(record.reserved_fee),
        "remaining_fee": text(record.remaining_fee),
        "paid_fee": text(record.paid_fee),
        "locked": text(record.locked),
        "trades_count": record.trades_count,
        "time_in_force": record.time_in_force,
        "identifier": record.identifier,
        "smp_type": record.smp_type,
        "prevented_volume": text(record.prevented_volume),
        "prevented_locked": text(record.prevented_locked),
    }
    if not in_list:
        del row["executed_funds"]
    return row


def _trade_row(code: str, fill: FillRecord) -> dict[str, Any]:
    bought_from_book = (fill.side == "BID") is not fill.is_maker
    return {
        "market": code,
        "uuid": fill.uuid,
        "price": spelled(fill.price),
        "volume": spelled(fill.volume),
        "funds": spelled(fill.funds),
        "trend": "up" if bought_from_book else "down",
        "created_at": _korean_time(fill.timestamp),
        "side": fill.side.lower(),
    }


def _korean_time(timestamp: int) -> str:
    return f"{kst_text(timestamp)}+09:00"


# Parameters


def _params(request: HttpRequest) -> tuple[list[tuple[str, str]], str]:
    """The parameters of a request in the order sent, and the text that its token has to have hashed."""
    if request.method != "POST":
        query = urlsplit(request.target).query
        return parse_qsl(query, keep_blank_values=True), unquote(query)
    try:
        body = json.loads(request.body or b"{}", parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise OrderError.named("validation_error")  # forms are refused since 2022
    pairs = [(name, _text(value)) for name, value in body.items() if value is not None]
    return pairs, "&".join(f"{name}={value}" for name, value in pairs)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (bool, list, dict)) else str(value)


def _one(params: Params, name: str) -> str | None:
    return params[name][-1] if params.get(name) else None


def _many(params: Params, name: str) -> list[str]:
    return [*params.get(f"{name}[]", ()), *params.get(name, ())]


def _states(params: Params, known: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    states = (*_many(params, "states"), *params.get("state", ()))
    if not set(states) <= set(known):
        raise OrderError.named("invalid_parameter")
    return states or default


def _whole(params: Params, name: str, default: int) -> int:
    text = _one(params, name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text)):
        raise OrderError.named("invalid_parameter")
    return int(text)


def _window(params: Params, now: int) -> tuple[int, int]:
    """Between which creation times (ms) to look: up to 7 days, by default the last ones."""
    start, end = _moment(_one(params, "start_time")), _moment(_one(params, "end_time"))
    if end is None:
        end = now if start is None else start + _WEEK_MS
    if start is None:
        start = end - _WEEK_MS
    if not 0 <= end - start <= _WEEK_MS:
        raise OrderError.named("invalid_parameter")
    return start, end


def _moment(text: str | None) -> int | None:
    """An ISO 8601 time or milliseconds. Without a zone it is Korean time; an unescaped + arrives as a space."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "+").replace("Z", "+00:00"))
    except ValueError:
        raise OrderError.named("invalid_parameter") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_KOREA)
    return round(moment.timestamp() * 1_000)
