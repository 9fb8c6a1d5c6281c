"""
What an order has to look like: parameters as texts in, terms or an error out. Pure, but for the listing it reads.

Source: Upbit's order creation and REST error pages; minimum totals of the market pages.
"""

from __future__ import annotations

from collections.abc import Mapping

from upbit_ws.sandbox.listing import Listing
from upbit_ws.sandbox.money import whole_units
from upbit_ws.sandbox.orders import Terms
from upbit_ws.sandbox.tick_size import SCALE, is_on_grid

__all__ = ["ORDER_TYPES", "SMP_TYPES", "OrderError", "read_terms"]

ORDER_TYPES: tuple[str, ...] = ("limit", "price", "market", "best")
SMP_TYPES: tuple[str, ...] = ("reduce", "cancel_maker", "cancel_taker", "none")
_TIMES_IN_FORCE = ("ioc", "fok", "post_only")
_SIDES = {"bid": "BID", "ask": "ASK"}
_LEAST_TOTAL = {"KRW": 5_000 * SCALE, "BTC": 5_000, "USDT": SCALE // 2}  # 5,000 KRW, 0.00005 BTC, 0.5 USDT

_ERRORS: dict[str, tuple[int, str]] = {
    "create_ask_error": (400, "주문 요청 정보가 올바르지 않습니다."),
    "create_bid_error": (400, "주문 요청 정보가 올바르지 않습니다."),
    "insufficient_funds_ask": (400, "주문 가능한 금액이 부족합니다."),
    "insufficient_funds_bid": (400, "주문 가능한 금액이 부족합니다."),
    "under_min_total_ask": (400, "최소주문금액 이상으로 주문해주세요."),
    "under_min_total_bid": (400, "최소주문금액 이상으로 주문해주세요."),
    "invalid_price_ask": (400, "주문가격 단위를 잘못 입력하셨습니다. 확인 후 시도해주세요."),
    "invalid_price_bid": (400, "주문가격 단위를 잘못 입력하셨습니다. 확인 후 시도해주세요."),
    "validation_error": (400, "잘못된 API 요청입니다. 누락된 파라미터가 없는지 확인해주세요."),
    "invalid_parameter": (400, "잘못된 파라미터입니다."),
    "identifier_used": (400, "이미 사용된 identifier 입니다."),
    "notfoundmarket": (404, "존재하지 않는 마켓입니다."),
    "order_not_found": (404, "주문을 찾지 못했습니다."),
    "canceled_order": (400, "이미 취소되었거나 체결된 주문입니다."),
}


class OrderError(Exception):
    """A call about orders that is refused: HTTP status, name and message as REST tells them."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(status, name, message)
        self.status = status
        self.name = name
        self.message = message

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"

    @classmethod
    def named(cls, name: str) -> OrderError:
        """The error of that name with its usual status and message."""
        status, message = _ERRORS[name]
        return cls(status, name, message)


def _choice(params: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    value = params.get(name)
    if value is not None and value not in choices:
        raise OrderError.named("invalid_parameter")
    return value


def _units(params: Mapping[str, str], name: str) -> int | None:
    if params.get(name) is None:
        return None
    try:
        units = whole_units(params[name])
    except ValueError:
        raise OrderError.named("invalid_parameter") from None
    if units <= 0:
        raise OrderError.named("invalid_parameter")
    return units


def read_terms(params: Mapping[str, str], listing: Listing, default_smp: str | None) -> Terms:
    """
    The terms of an order from the parameters of `POST /v1/orders`.

    Args:
        params: texts; what is absent was not given. `trigger_price`, which REST does not have, makes a reserved order.
        default_smp: mode of self-match prevention of an order that names none.

    Raises:
        OrderError: something is missing, does not go together, or is not on the price grid.
    """
    side = _SIDES.get(params.get("side", ""))
    order_type = _choice(params, "ord_type", ORDER_TYPES)
    if side is None or order_type is None:
        raise OrderError.named("validation_error")
    price, size, trigger = (_units(params, name) for name in ("price", "volume", "trigger_price"))
    time_in_force = _choice(params, "time_in_force", _TIMES_IN_FORCE)
    smp_type = _choice(params, "smp_type", SMP_TYPES)
    if time_in_force == "post_only":
        # It never takes, so it has nothing to prevent: only none, or nothing, goes with it.
        if smp_type not in (None, "none"):
            raise OrderError.named("invalid_parameter")
        smp_type = smp_type or (None if default_smp is None else "none")
    takes_amount = side == "BID" and order_type in ("price", "best")
    terms = Terms(
        code=listing.code,
        side=side,
        order_type=order_type,
        price=None if takes_amount else price,
        size=size,
        amount=price if takes_amount else None,
        time_in_force=time_in_force,
        smp_type=smp_type or default_smp,
        identifier=params.get("identifier"),
        trigger=trigger,
    )
    _check(terms, listing)
    return terms


def _goes_together(terms: Terms) -> bool:
    """Whether the type has all that it needs and nothing else."""
    given = (terms.price is not None, terms.size is not None, terms.amount is not None)
    tif = terms.time_in_force
    if terms.order_type == "limit":
        return given == (True, True, False)
    if terms.order_type == "best":
        wanted = (False, False, True) if terms.side == "BID" else (False, True, False)
        return given == wanted and tif in ("ioc", "fok")
    if terms.order_type == "price":
        return given == (False, False, True) and tif is None
    return given == (False, True, False) and terms.side == "ASK" and tif is None


def _check(terms: Terms, listing: Listing) -> None:
    side = terms.side.lower()
    if not _goes_together(terms):
        raise OrderError.named(f"create_{side}_error")
    for price in (terms.price, terms.trigger):
        if price is not None and not is_on_grid(listing.spec.quote, price):
            raise OrderError.named(f"invalid_price_{side}")
    if terms.amount is not None:
        total = terms.amount
    else:
        assert terms.size is not None
        total = terms.size * (terms.price or listing.price) // SCALE
    if total < _LEAST_TOTAL.get(listing.spec.quote, 0):
        raise OrderError.named(f"under_min_total_{side}")
