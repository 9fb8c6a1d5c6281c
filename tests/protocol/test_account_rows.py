"""REST rows as the events that a stream would have sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.account_events import fill_row, order_event, order_row
from upbit_ws.events import MyOrderEvent
from upbit_ws.exceptions import PayloadError
from upbit_ws.protocol.account_rows import OrderRow, asset_of, missed_events
from upbit_ws.protocol.my_orders import MyOrders

CREATED = 1_795_392_000_000
NOW = CREATED + 60_000


def missed(row: dict[str, Any], *known: MyOrderEvent) -> list[MyOrderEvent]:
    book = MyOrders()
    for event in known:
        book.take(event)
    return missed_events(OrderRow(row), book.get("o1"), book.fills("o1"), NOW)


def test_an_open_order_never_seen_is_as_rest_has_it() -> None:
    [event] = missed(order_row("wait"))

    assert (event.state, event.stream_type, event.ask_bid) == ("wait", "RECOVERED", "BID")
    assert (event.price, event.volume, event.locked) == (100, 10, Decimal("1000.5"))
    assert event.timestamp == event.order_timestamp == CREATED


def test_a_whole_life_is_told_in_its_order() -> None:
    row = order_row("done", trades=[fill_row("t1", "4", second=10), fill_row("t2", "6", "101", second=20)])
    events = missed(row)

    assert [event.state for event in events] == ["wait", "trade", "trade", "done"]
    assert [event.trade_uuid for event in events] == [None, "t1", "t2", None]
    assert [event.executed_volume for event in events] == [0, 4, 10, 10]
    assert [event.remaining_volume for event in events] == [10, 6, 0, 0]
    assert [event.trades_count for event in events] == [0, 1, 2, 2]
    assert [event.timestamp - CREATED for event in events] == [0, 10_000, 20_000, 20_000]
    assert events[2].avg_price == Decimal("100.6")
    assert (events[1].price, events[1].volume, events[1].order_price, events[1].order_volume) == (100, 4, 100, 10)
    assert events[0].locked is None, "nobody can say what was locked then"


def test_fills_that_are_listed_newest_first_are_told_oldest_first_those_of_one_second_too() -> None:
    fills = [fill_row("t3", "2", second=20), fill_row("t2", "2", second=10), fill_row("t1", "2", second=10)]

    assert [event.trade_uuid for event in missed(order_row("wait", trades=fills))] == [None, "t1", "t2", "t3"]


def test_the_beginning_of_an_order_is_told_where_only_its_fills_were() -> None:
    row = order_row("wait", trades=[fill_row("t1", "4")])
    known = order_event("trade", trade="t1", volume=Decimal(4), executed_volume=Decimal(4), trades_count=1)
    [event] = missed_events(OrderRow(row), known, frozenset({"t1"}), NOW, is_opened=False)

    assert (event.state, event.trades_count, event.executed_volume, event.price) == ("wait", 0, 0, 100)


def test_only_what_is_not_known_is_told() -> None:
    known = (
        order_event("wait"),
        order_event("trade", trade="t1", volume=Decimal(4), executed_volume=Decimal(4), trades_count=1),
    )
    row = order_row("wait", trades=[fill_row("t1", "4"), fill_row("t2", "2")])
    [event] = missed(row, *known)

    assert (event.trade_uuid, event.executed_volume, event.trades_count) == ("t2", 6, 2)
    assert event.paid_fee == 0, "the last fill of an open order ends where REST is"
    assert missed(row, *known, event) == []


def test_a_cancel_has_the_time_at_which_it_was_found() -> None:
    [event] = missed(order_row("cancel"), order_event("wait"))

    assert (event.state, event.timestamp) == ("cancel", NOW)


def test_self_match_prevention_and_a_reserved_order_that_became_one() -> None:
    events = missed(order_row("wait", prevented_volume="3"), order_event("watch"))

    assert [event.state for event in events] == ["wait", "prevented"]
    assert events[1].prevented_volume == 3


def test_times_never_contradict_the_order_of_events() -> None:
    row = order_row("done", prevented_volume="1", trades=[fill_row("t1", "9")])
    times = [event.timestamp for event in missed(row)]

    assert times == sorted(times)


def test_a_reserved_order_still_watches() -> None:
    assert [event.state for event in missed(order_row("watch"))] == ["watch"]
    assert missed(order_row("watch"), order_event("watch")) == []


def test_a_market_buy_has_no_volume() -> None:
    row = order_row("cancel", ord_type="price", volume=None, remaining_volume=None, trades=[fill_row("t1", "0.5")])
    events = missed(row)

    assert [event.volume for event in events] == [None, Decimal("0.5"), None]
    assert [event.order_volume for event in events][1] is None


@pytest.mark.parametrize("amount", ["1386929.37231066771348207123", "7.9276E-4", "0", "1e3"])
def test_amounts_are_exact(amount: str) -> None:
    assert asset_of({"currency": "BTC", "balance": amount, "locked": "0"}).balance == Decimal(amount)


@pytest.mark.parametrize(
    "row",
    [
        {},
        order_row(created_at=None),
        order_row(created_at="yesterday"),
        order_row(side="hold"),
        order_row(price="NaN"),
        order_row(price="much"),
        order_row(volume=True),
        order_row(trades_count="x"),
        {**order_row(), "trades": [{"uuid": "t1"}]},
    ],
)
def test_a_row_that_is_not_as_documented_is_told_by_one_error(row: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        OrderRow(row)


@pytest.mark.parametrize("row", [{}, {"currency": "KRW", "balance": "Infinity", "locked": "0"}, {"currency": "KRW"}])
def test_an_account_that_is_not_as_documented_is_too(row: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        asset_of(row)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-11-23T09:00:00+09:00", CREATED),
        ("2026-11-23T00:00:00Z", CREATED),
        ("2026-11-23T09:00:00", CREATED),
        ("2026-11-23T00:00:00.123+00:00", CREATED + 123),
    ],
)
def test_times_are_read_with_their_zone_and_korean_without(text: str, milliseconds: int) -> None:
    assert OrderRow(order_row(created_at=text)).created_at == milliseconds
