"""What an order has to look like."""

from __future__ import annotations

import pytest

from tests.sandbox.engines import CODE, Floor
from upbit_ws.sandbox.order_rules import OrderError, read_terms
from upbit_ws.sandbox.orders import Terms
from upbit_ws.sandbox.tick_size import SCALE

LISTING = Floor().market.listings[CODE]
LIMIT = {"side": "bid", "ord_type": "limit", "price": "4000", "volume": "2"}


def read(**params: str | None) -> Terms:
    return read_terms({name: value for name, value in params.items() if value is not None}, LISTING, "cancel_maker")


def refusal(**params: str | None) -> str:
    with pytest.raises(OrderError) as caught:
        read(**params)
    assert caught.value.status == 400
    return caught.value.name


def test_a_limit_order_is_read_exactly() -> None:
    terms = read(**{**LIMIT, "volume": "1.30000001"}, identifier="mine")

    assert (terms.price, terms.size, terms.amount) == (4_000 * SCALE, 130_000_001, None)
    assert (terms.side, terms.smp_type, terms.identifier, terms.rests) == ("BID", "cancel_maker", "mine", True)
    assert terms.market == ("KRW", "XRP")


def test_the_price_of_an_order_of_money_is_its_amount() -> None:
    terms = read(side="bid", ord_type="price", price="5000.5")
    assert (terms.price, terms.size, terms.amount) == (None, None, 500_050_000_000)
    assert not terms.rests


@pytest.mark.parametrize("missing", ["side", "ord_type"])
def test_what_is_missing_is_named_by_no_more_than_that(missing: str) -> None:
    assert refusal(**{**LIMIT, missing: None}) == "validation_error"


@pytest.mark.parametrize(
    "params",
    [
        {**LIMIT, "price": None},
        {**LIMIT, "volume": None},
        {"side": "bid", "ord_type": "market", "volume": "5"},
        {"side": "bid", "ord_type": "price", "price": "5000", "volume": "1"},
        {"side": "ask", "ord_type": "price", "price": "5000"},
        {"side": "ask", "ord_type": "market", "volume": "5", "price": "4000"},
        {"side": "ask", "ord_type": "market", "volume": "5", "time_in_force": "ioc"},
        {"side": "ask", "ord_type": "best", "volume": "5"},
        {"side": "ask", "ord_type": "best", "volume": "5", "time_in_force": "post_only"},
        {"side": "bid", "ord_type": "best", "volume": "5", "time_in_force": "ioc"},
    ],
)
def test_what_does_not_go_together_is_refused(params: dict[str, str | None]) -> None:
    assert refusal(**params) == f"create_{params['side']}_error"


@pytest.mark.parametrize(
    "params",
    [
        {**LIMIT, "ord_type": "stop"},
        {**LIMIT, "time_in_force": "gtc"},
        {**LIMIT, "smp_type": "both"},
        {**LIMIT, "price": "cheap"},
        {**LIMIT, "price": "-4000"},
        {**LIMIT, "volume": "0"},
        {**LIMIT, "volume": "1.000000001"},
        {**LIMIT, "time_in_force": "post_only", "smp_type": "cancel_maker"},
    ],
)
def test_values_that_do_not_exist_are_refused(params: dict[str, str]) -> None:
    assert refusal(**params) == "invalid_parameter"


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_price_off_the_grid_and_a_total_too_small_are_refused_by_side(side: str) -> None:
    assert refusal(**{**LIMIT, "side": side, "price": "4000.5"}) == f"invalid_price_{side}"
    assert refusal(**{**LIMIT, "side": side, "volume": "1.2499"}) == f"under_min_total_{side}"
    assert read(**{**LIMIT, "side": side, "volume": "1.25"}).size == 125_000_000


def test_a_market_order_is_worth_what_the_market_says() -> None:
    assert refusal(side="ask", ord_type="market", volume="1.2") == "under_min_total_ask"


def test_a_post_only_order_prevents_nothing() -> None:
    assert read(**LIMIT, time_in_force="post_only").smp_type == "none"
    assert read(**LIMIT, time_in_force="post_only", smp_type="none").smp_type == "none"
    assert read_terms({**LIMIT, "time_in_force": "post_only"}, LISTING, None).smp_type is None
