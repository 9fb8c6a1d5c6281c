"""The book of one's own orders: rules one by one, and against a model whatever order events come in."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.account_events import order_event
from upbit_ws.events import MyOrderEvent
from upbit_ws.protocol.my_orders import FINISHED_STATES, MyOrders

FILL = {"price": Decimal(99), "volume": Decimal(4), "executed_volume": Decimal(4), "trades_count": 1}


def book_of(*events: MyOrderEvent) -> MyOrders:
    book = MyOrders()
    for event in events:
        book.take(event)
    return book


def test_the_orders_own_price_and_volume_survive_a_fill() -> None:
    book = MyOrders()
    book.take(order_event("wait"))
    told = book.take(order_event("trade", trade="t1", **FILL))

    assert told is not None
    assert (told.price, told.volume) == (99, 4)
    assert (told.order_price, told.order_volume) == (100, 10)
    assert book.orders() == {"o1": told}


def test_what_was_never_seen_is_none() -> None:
    told = MyOrders().take(order_event("trade", trade="t1", **FILL))

    assert told is not None
    assert (told.order_price, told.order_volume) == (None, None)


def test_it_is_filled_in_as_soon_as_it_is_known() -> None:
    book = book_of(order_event("trade", trade="t1", **FILL), order_event("wait"))

    assert book.orders()["o1"].state == "trade"
    assert book.orders()["o1"].order_price == 100


def test_a_fill_counts_once() -> None:
    book = book_of(order_event("wait"), order_event("trade", trade="t1", **FILL))

    assert book.take(order_event("trade", trade="t1", **FILL)) is None
    assert book.duplicates == 1


@pytest.mark.parametrize("last", FINISHED_STATES)
@pytest.mark.parametrize("late", ["wait", "watch", "prevented", "done", "cancel"])
def test_nothing_reopens_a_finished_order(last: str, late: str) -> None:
    book = book_of(order_event("wait"), order_event(last))

    assert book.take(order_event(late, uuid="o1", prevented_volume=Decimal(1))) is None
    assert book.orders()["o1"].state == last
    assert book.open_uuids() == frozenset()


def test_the_beginning_that_was_missed_is_told_once_and_leaves_its_order_finished() -> None:
    book = book_of(order_event("trade", trade="t1", **FILL), order_event("done", trades_count=1))
    assert not book.is_opened("o1")

    told = book.take(order_event("wait"))
    assert told is not None
    assert book.is_opened("o1")
    assert book.orders()["o1"].state == "done"
    assert book.take(order_event("wait")) is None
    assert book.take(order_event("watch")) is None


def test_the_beginning_need_not_be_told_for_ever() -> None:
    book = book_of(order_event("trade", trade="t1", **FILL), order_event("done", trades_count=1))
    book.open_silently("o1")

    assert book.take(order_event("wait")) is None
    book.open_silently("another one")
    assert not book.is_opened("another one")


def test_what_rest_says_of_an_orders_own_price_and_volume_fills_in_and_changes_nothing_that_is_known() -> None:
    book = book_of(order_event("trade", trade="t1", **FILL))
    book.learn("o1", Decimal(100), None)
    book.learn("o1", Decimal(101), Decimal(10))
    book.learn("another one", Decimal(1), Decimal(1))

    assert (book.orders()["o1"].order_price, book.orders()["o1"].order_volume) == (100, 10)
    assert [*book.orders()] == ["o1"]


def test_a_fill_that_was_missed_is_told_and_leaves_its_order_finished() -> None:
    book = book_of(order_event("wait"), order_event("done", trades_count=1, executed_volume=Decimal(10)))
    assert book.incomplete == {"o1": 1}

    told = book.take(order_event("trade", trade="t1", **FILL))

    assert told is not None
    assert told.order_price == 100
    assert book.orders()["o1"].state == "done"
    assert book.incomplete == {}


def test_an_earlier_fill_that_comes_later_is_told_and_does_not_set_the_order_back() -> None:
    second = {**FILL, "executed_volume": Decimal(8), "trades_count": 2}
    book = book_of(order_event("wait"), order_event("trade", trade="t2", **second))
    assert book.incomplete == {"o1": 1}

    assert book.take(order_event("trade", trade="t1", **FILL)) is not None
    assert book.orders()["o1"].executed_volume == 8
    assert book.incomplete == {}


def test_a_reserved_order_waits_twice() -> None:
    book = book_of(order_event("watch"))

    assert book.take(order_event("wait")) is not None
    assert book.take(order_event("wait")) is None
    assert book.orders()["o1"].state == "wait"


def test_self_match_prevention_counts_by_what_it_cut() -> None:
    book = book_of(order_event("wait"))
    cuts = [
        order_event("prevented", prevented_volume=Decimal(cut), remaining_volume=Decimal(10 - cut)) for cut in (1, 3)
    ]

    assert [book.take(cut) is not None for cut in (*cuts, *cuts)] == [True, True, False, False]
    assert book.orders()["o1"].prevented_volume == 3


def test_memory_of_finished_orders_is_bounded_and_they_do_not_come_back() -> None:
    book = MyOrders(finished_kept=10, ids_kept=50)
    for number in range(100):
        book.take(order_event("wait", uuid=f"o{number}"))
        book.take(order_event("cancel", uuid=f"o{number}"))

    assert [*book.orders()] == [f"o{number}" for number in range(90, 100)]
    assert book.take(order_event("wait", uuid="o60")) is None
    assert book.is_past("o60")
    assert book.take(order_event("wait", uuid="o30")) is not None, "forgotten altogether"


def test_markets_that_nobody_follows_are_forgotten() -> None:
    book = book_of(order_event("wait"), order_event("wait", "o2", symbol="KRW-ETH"), order_event("cancel", "o3"))
    book.keep_only({"KRW-ETH"})

    assert [*book.orders()] == ["o2"]
    assert len(book) == 1


# -- against a model --------------------------------------------------------------------------------------------------


@st.composite
def lives(draw: st.DrawFn) -> list[MyOrderEvent]:
    """What an exchange tells of some orders, in the order in which it happens."""
    events: list[MyOrderEvent] = []
    for number in range(draw(st.integers(1, 3))):
        uuid, fills = f"o{number}", draw(st.integers(0, 5))
        if draw(st.booleans()):
            events.append(order_event("watch", uuid))
        events.append(order_event("wait", uuid))
        for fill in range(1, fills + 1):
            executed = Decimal(2 * fill)
            facts = {"trades_count": fill, "executed_volume": executed, "remaining_volume": 10 - executed}
            events.append(
                order_event("trade", uuid, trade=f"{uuid}-{fill}", price=Decimal(99), volume=Decimal(2), **facts)
            )
        executed = Decimal(2 * fills)
        last = {"trades_count": fills, "executed_volume": executed, "remaining_volume": 10 - executed}
        if draw(st.booleans()):
            events.append(order_event("done" if fills == 5 else "cancel", uuid, **last))
    return events


@given(lives(), st.data())
def test_whatever_order_and_however_often_events_come_the_end_is_the_same(
    life: list[MyOrderEvent], data: st.DataObject
) -> None:
    model = book_of(*life)
    repeated = [*life, *data.draw(st.lists(st.sampled_from(life)))]
    shuffled = data.draw(st.permutations(repeated))
    book = MyOrders()
    told = [event for event in shuffled if book.take(event) is not None]

    def facts(orders: MyOrders) -> dict[str, tuple[object, ...]]:
        return {
            uuid: (order.state in FINISHED_STATES and order.state, order.trades_count, order.executed_volume,
                   order.remaining_volume, order.order_price, order.order_volume)
            for uuid, order in orders.orders().items()
        }  # fmt: skip

    assert facts(book) == facts(model)
    fills = [event.trade_uuid for event in told if event.state == "trade"]
    assert sorted(map(str, fills)) == sorted(str(event.trade_uuid) for event in life if event.state == "trade")
    assert book.incomplete == {}


@given(lives(), st.data())
def test_events_in_their_order_are_all_told_and_each_once(life: list[MyOrderEvent], data: st.DataObject) -> None:
    book = MyOrders()
    repeats = data.draw(st.lists(st.integers(1, 3), min_size=len(life), max_size=len(life)))
    told = [
        event.state
        for event, times in zip(life, repeats, strict=True)
        for _ in range(times)
        if book.take(event) is not None
    ]

    assert told == [event.state for event in life]


def test_a_fill_without_an_id_counts_once_by_its_number() -> None:
    book = book_of(order_event("wait"), order_event("trade", **FILL))

    assert book.take(order_event("trade", **FILL)) is None
    assert book.take(order_event("trade", **{**FILL, "trades_count": 2})) is not None
    assert book.duplicates == 1
