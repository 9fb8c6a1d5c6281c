"""The engine: what becomes of an order, in which order it is told, and that the books agree afterwards."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.engines import CODE, Floor, OrderError
from upbit_ws.sandbox.matching import AssetNotice, OrderNotice
from upbit_ws.sandbox.records import BookRecord, TradeRecord
from upbit_ws.sandbox.tick_size import SCALE, step

XRP_BUY = {"price": 4_011, "volume": 5}


@pytest.fixture
def floor(monkeypatch: pytest.MonkeyPatch) -> Floor:
    """A market on which a level is one maker's, so that a fill is a trade."""
    monkeypatch.setattr("upbit_ws.sandbox.market._SPLIT", 0.0)
    return Floor()


# One order


def test_a_limit_order_out_of_reach_rests_and_locks_its_value_and_fee(floor: Floor) -> None:
    order = floor.place("bid", **XRP_BUY)

    assert floor.told() == ["wait"]
    assert order.state == "wait"
    assert (order.locked, order.reserved_fee, order.remaining_fee) == (
        Decimal("20065.0275"),
        Decimal("10.0275"),
        Decimal("10.0275"),
    )
    assert floor.balance("KRW") == ("9979934.9725", "20065.0275")
    assert floor.market.listings[CODE].shared.best("BID") == (4_011 * SCALE, 5 * SCALE)
    floor.check()


def test_a_resting_order_is_filled_when_somebody_trades_at_its_price(floor: Floor) -> None:
    order = floor.place("bid", **XRP_BUY)
    floor.told()
    floor.market.trade(CODE, price=4_011 * SCALE, size=2 * SCALE, side="ASK")
    assert floor.told() == ["trade 2 at 4011 as maker"]
    assert (floor.now(order).state, floor.now(order).remaining_volume) == ("wait", 3)
    floor.market.trade(CODE, price=4_011 * SCALE, size=9 * SCALE, side="ASK")

    assert floor.told() == ["trade 3 at 4011 as maker", "done"]
    assert floor.balance("XRP") == ("10005", "0")
    assert floor.balance("KRW") == ("9979934.9725", "0")
    floor.check()


def test_a_market_that_trades_through_a_price_fills_what_rests_there_at_its_own_price(floor: Floor) -> None:
    order = floor.place("bid", **XRP_BUY)
    floor.told()
    floor.market.trade(CODE, price=3_990 * SCALE, size=SCALE, side="BID")

    assert floor.told() == ["trade 5 at 4011 as maker", "done"]
    assert floor.now(order).avg_price == 4_011
    floor.check()


def test_a_taker_pays_the_prices_of_the_book_and_gets_the_difference_back(floor: Floor) -> None:
    order = floor.place("bid", price=4_013, volume=15)

    assert floor.told() == ["wait", "trade 10 at 4012 as taker", "trade 5 at 4013 as taker", "done"]
    assert order.executed_funds == 10 * 4_012 + 5 * 4_013
    assert order.paid_fee == order.executed_funds * Decimal("0.0005")
    assert order.avg_price == Decimal("4012.33333333")
    assert floor.balance("KRW") == (str(10_000_000 - order.executed_funds - order.paid_fee), "0")
    floor.check()


def test_what_is_left_of_a_taker_rests(floor: Floor) -> None:
    order = floor.place("bid", price=4_013, volume=40)

    assert floor.told() == ["wait", "trade 10 at 4012 as taker", "trade 20 at 4013 as taker"]
    assert (order.state, order.remaining_volume) == ("wait", 10)
    assert dict(floor.market.listings[CODE].shared.levels("BID"))[4_013 * SCALE] == 10 * SCALE
    floor.check()


def test_trades_of_users_are_trades_of_the_market(floor: Floor) -> None:
    order = floor.place("ask", price=4_009, volume=12)
    floor.market.advance(1.0)
    trades = [event for event in floor.events if isinstance(event, TradeRecord)]

    assert [(trade.price // SCALE, trade.size // SCALE, trade.side) for trade in trades] == [
        (4_010, 10, "ASK"),
        (4_009, 2, "ASK"),
    ]
    assert list(floor.market.listings[CODE].trades)[-2:] == trades
    candle = floor.market.listings[CODE].candles.last("1m")
    assert candle is not None
    assert (candle.opening, candle.close, candle.volume) == (4_010 * SCALE, 4_009 * SCALE, 12 * SCALE)
    assert [fill.timestamp for fill in order.fills] == [trade.timestamp for trade in trades]


def test_a_resting_order_is_shown_in_the_book_on_the_next_point_of_its_grid(floor: Floor) -> None:
    floor.place("bid", **XRP_BUY)
    (book,) = [event for event in floor.market.advance(0.2) if isinstance(event, BookRecord)]

    assert book.bids[0] == (4_011 * SCALE, 5 * SCALE)
    floor.engine.cancel(next(iter(floor.engine.orders.values())))
    (book,) = [event for event in floor.market.advance(0.2) if isinstance(event, BookRecord)]
    assert book.bids[0] == (4_010 * SCALE, 10 * SCALE)


def test_a_cancelled_order_gives_back_what_it_locked_and_still_shows_it(floor: Floor) -> None:
    order = floor.place("bid", **XRP_BUY)
    live = floor.engine.orders[order.uuid]
    floor.engine.cancel(live)
    floor.engine.cancel(live)

    assert floor.told() == ["wait", "cancel"]
    assert (floor.now(order).locked, floor.now(order).remaining_volume) == (order.locked, 5)
    assert floor.balance("KRW") == ("10000000", "0")
    floor.check()


def test_a_market_buy_spends_its_amount_and_returns_what_buys_nothing_more(floor: Floor) -> None:
    order = floor.place("bid", ord_type="price", price=50_000)

    assert floor.told()[0] == "wait"
    assert order.state == "cancel"
    assert (order.price, order.volume, order.remaining_volume) == (50_000, None, None)
    assert 0 < 50_000 - order.executed_funds < Decimal("0.0001")
    assert order.paid_fee + order.remaining_fee == order.reserved_fee == 25
    assert floor.balance("KRW")[1] == "0"
    floor.check()


def test_a_market_buy_that_comes_out_even_is_done(floor: Floor) -> None:
    floor.place("bid", ord_type="price", price=40_120)
    assert floor.told() == ["wait", "trade 10 at 4012 as taker", "done"]


def test_a_market_sale_takes_every_price(floor: Floor) -> None:
    order = floor.place("ask", ord_type="market", volume=25)

    assert floor.told() == ["wait", "trade 10 at 4010 as taker", "trade 15 at 4009 as taker", "done"]
    assert (order.price, order.reserved_fee, order.locked) == (None, 0, 0)
    assert floor.balance("KRW") == (str(10_000_000 + order.executed_funds - order.paid_fee), "0")
    floor.check()


@pytest.mark.parametrize(
    ("side", "params", "told"),
    [
        ("bid", {"price": 40_120}, ["wait", "trade 10 at 4012 as taker", "done"]),
        ("bid", {"price": 60_180}, ["wait", "trade 10 at 4012 as taker", "cancel"]),
        ("ask", {"volume": 8}, ["wait", "trade 8 at 4010 as taker", "done"]),
        ("ask", {"volume": 12}, ["wait", "trade 10 at 4010 as taker", "cancel"]),
    ],
)
def test_a_best_order_takes_the_best_price_and_no_other(
    floor: Floor, side: str, params: dict[str, int], told: list[str]
) -> None:
    floor.place(side, ord_type="best", time_in_force="ioc", **params)
    assert floor.told() == told
    floor.check()


def test_the_rest_of_an_ioc_order_is_cancelled(floor: Floor) -> None:
    order = floor.place("bid", price=4_012, volume=15, time_in_force="ioc")

    assert floor.told() == ["wait", "trade 10 at 4012 as taker", "cancel"]
    assert order.remaining_volume == 5
    floor.check()


def test_a_fok_order_fills_whole_or_not_at_all(floor: Floor) -> None:
    floor.place("bid", price=4_013, volume=31, time_in_force="fok")
    assert floor.told() == ["wait", "cancel"]
    floor.place("bid", price=4_013, volume=30, time_in_force="fok")
    assert floor.told() == ["wait", "trade 10 at 4012 as taker", "trade 20 at 4013 as taker", "done"]
    floor.check()


def test_a_fok_order_of_money_counts_money(floor: Floor) -> None:
    floor.place("bid", ord_type="best", price=40_121, time_in_force="fok")
    assert floor.told() == ["wait", "cancel"]
    floor.place("bid", ord_type="best", price=40_120, time_in_force="fok")
    assert floor.told() == ["wait", "trade 10 at 4012 as taker", "done"]


def test_a_post_only_order_never_takes(floor: Floor) -> None:
    order = floor.place("bid", price=4_012, volume=5, time_in_force="post_only")
    assert (floor.told(), order.state, order.smp_type) == (["wait", "cancel"], "cancel", "none")
    assert floor.place("bid", price=4_011, volume=5, time_in_force="post_only").state == "wait"
    floor.check()


def test_an_order_that_fills_at_once_can_be_told_without_wait() -> None:
    floor = Floor(wait_first=False)
    floor.place("bid", price=4_012, volume=10)
    assert "wait" not in floor.told()
    floor.place("bid", price=3_990, volume=10)
    assert floor.told() == ["wait"]


# Reserved orders


@pytest.mark.parametrize(("side", "trigger", "reached"), [("bid", 4_030, 4_031), ("ask", 4_000, 3_999)])
def test_a_reserved_order_waits_for_its_trigger(floor: Floor, side: str, trigger: int, reached: int) -> None:
    order = floor.place(side, price=trigger, volume=2, trigger_price=trigger)
    assert (floor.told(), order.state) == (["watch"], "watch")
    floor.market.trade(CODE, price=4_012 * SCALE, side="BID")
    assert floor.told() == []
    floor.market.trade(CODE, price=reached * SCALE, side="BID")

    assert floor.told()[0] == "wait"
    floor.check()


def test_a_reserved_order_can_be_cancelled_before_its_trigger(floor: Floor) -> None:
    order = floor.place("bid", price=4_030, volume=2, trigger_price=4_030)
    floor.engine.cancel(floor.engine.orders[order.uuid])
    floor.market.trade(CODE, price=4_031 * SCALE, side="BID")

    assert floor.told() == ["watch", "cancel"]
    floor.check()


# Oneself and others


def test_two_users_trade_with_each_other_and_both_are_told_of_one_trade(floor: Floor) -> None:
    floor.place("bid", **XRP_BUY)
    floor.place("ask", "other", price=4_011, volume=3)

    assert floor.told() == ["wait", "trade 3 at 4011 as maker"]
    other = [one for one in floor.notices if isinstance(one, OrderNotice) and one.account == "other"]
    assert [one.state for one in other] == ["wait", "trade", "done"]
    assert len({one.fill.uuid for one in floor.notices if isinstance(one, OrderNotice) and one.fill}) == 1
    floor.check()


def test_by_default_the_resting_order_of_the_same_owner_gives_way(floor: Floor) -> None:
    maker = floor.place("ask", price=4_011, volume=5)
    floor.told()
    taker = floor.place("bid", price=4_012, volume=8)

    assert floor.told() == ["wait", "cancel", "trade 8 at 4012 as taker", "done"]
    assert taker.smp_type == "cancel_maker"
    gone = floor.now(maker)
    assert (gone.state, gone.prevented_volume, gone.prevented_locked, gone.remaining_volume) == ("cancel", 5, 5, 0)
    floor.check()


def test_cancel_taker_stops_the_incoming_order_at_the_own_one(floor: Floor) -> None:
    floor.quote({4_012: 10}, {4_010: 10})
    floor.place("ask", price=4_013, volume=5)
    floor.told()
    taker = floor.place("bid", price=4_013, volume=18, smp_type="cancel_taker")

    assert floor.told() == ["wait", "trade 10 at 4012 as taker", "cancel"]
    assert (taker.state, taker.prevented_volume, taker.remaining_volume) == ("cancel", 8, 0)
    assert taker.prevented_locked == 8 * 4_013
    floor.check()


def test_reduce_cuts_both_and_the_larger_one_goes_on(floor: Floor) -> None:
    maker = floor.place("ask", price=4_011, volume=5)
    floor.told()
    taker = floor.place("bid", price=4_011, volume=8, smp_type="reduce")
    assert floor.told() == ["wait", "cancel", "prevented"]
    assert (floor.now(maker).state, taker.state, taker.remaining_volume) == ("cancel", "wait", 3)
    assert (taker.prevented_volume, taker.prevented_locked) == (5, 5 * 4_011)
    smaller = floor.place("ask", price=4_011, volume=2, smp_type="reduce")

    assert floor.told() == ["wait", "prevented", "cancel"]
    assert (smaller.state, floor.now(taker).remaining_volume) == ("cancel", 1)
    assert floor.now(taker).reserved_fee == Decimal("2.0055")
    floor.check()


def test_reduce_takes_money_from_an_order_of_money(floor: Floor) -> None:
    floor.place("ask", price=4_011, volume=5)
    floor.told()
    taker = floor.place("bid", ord_type="price", price=60_175, smp_type="reduce")

    assert floor.told() == ["wait", "cancel", "prevented", "trade 10 at 4012 as taker", "done"]
    assert (taker.prevented_volume, taker.prevented_locked) == (0, 5 * 4_011)
    floor.check()


def test_none_lets_one_trade_with_oneself(floor: Floor) -> None:
    floor.place("ask", price=4_011, volume=5)
    floor.told()
    floor.place("bid", price=4_011, volume=5, smp_type="none")

    assert floor.told() == ["wait", "trade 5 at 4011 as taker", "trade 5 at 4011 as maker", "done", "done"]
    floor.check()


def test_a_fok_order_is_not_begun_where_an_own_order_would_cut_it_short(floor: Floor) -> None:
    floor.place("ask", price=4_013, volume=5)
    floor.told()
    floor.place("bid", price=4_013, volume=30, time_in_force="fok", smp_type="cancel_taker")
    assert floor.told() == ["wait", "cancel"]
    floor.check()


# Refusals


def test_nobody_can_lock_what_they_do_not_have(floor: Floor) -> None:
    for side, params in (("bid", {"price": 4_000, "volume": 2_600}), ("ask", {"price": 4_020, "volume": 10_001})):
        with pytest.raises(OrderError) as caught:
            floor.place(side, **params)
        assert caught.value.name == f"insufficient_funds_{side}"
    assert (floor.told(), floor.engine.orders) == ([], {})
    floor.check()


def test_an_identifier_finds_its_order_and_can_be_used_once(floor: Floor) -> None:
    order = floor.place("bid", **XRP_BUY, identifier="mine")
    with pytest.raises(OrderError, match="identifier"):
        floor.place("bid", **XRP_BUY, identifier="mine")

    found = floor.engine.find("main", identifier="mine")
    assert found is not None
    assert found.uuid == order.uuid
    assert floor.engine.find("other", identifier="mine") is None
    assert floor.engine.find("other", uuid=order.uuid) is None
    assert floor.place("bid", "other", **XRP_BUY, identifier="mine").identifier == "mine"


def test_finished_orders_are_forgotten_some_time(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upbit_ws.sandbox.matching._KEPT_FINISHED", 2)
    first = floor.place("bid", **XRP_BUY, time_in_force="ioc", identifier="first")
    resting = floor.place("bid", price=3_990, volume=5)
    for _ in range(2):
        floor.place("bid", **XRP_BUY, time_in_force="ioc")

    assert first.uuid not in floor.engine.orders
    assert resting.uuid in floor.engine.orders
    assert floor.engine.find("main", identifier="first") is None


def test_a_market_that_is_closed_cancels_its_orders(floor: Floor) -> None:
    floor.place("bid", **XRP_BUY)
    floor.told()
    floor.engine.cancel_market(CODE)
    assert floor.told() == ["cancel"]


# What is told


def test_balances_follow_each_step_and_no_two_have_one_time(floor: Floor) -> None:
    floor.place("bid", price=4_013, volume=15)
    floor.told()
    assets = [one for one in floor.notices if isinstance(one, AssetNotice)]

    assert [[asset.currency for asset in one.assets] for one in assets] == [["KRW"], ["KRW", "XRP"], ["KRW", "XRP"]]
    times = [one.asset_timestamp for one in assets]
    assert times == sorted(set(times))
    assert (str(assets[-1].assets[1].balance), str(assets[-1].assets[1].locked)) == ("10015", "0")


def test_an_order_is_as_old_as_its_second(floor: Floor) -> None:
    order = floor.place("bid", **XRP_BUY)
    assert order.created_at == 1_790_134_742_000
    floor.told()
    assert floor.notices[0].timestamp == 1_790_134_742_346


def test_the_same_seed_gives_the_same_ids() -> None:
    first, second = (Floor(seed=7).place("bid", **XRP_BUY).uuid for _ in range(2))
    assert first == second != Floor(seed=8).place("bid", **XRP_BUY).uuid


# Everything together


def _random_order(floor: Floor, rng: Random) -> None:
    code = rng.choice(list(floor.market.listings))
    listing = floor.market.listings[code]
    side, kind = rng.choice(["bid", "ask"]), rng.choice(["limit", "limit", "limit", "price", "market", "best"])
    price = step("KRW", listing.price, rng.randint(-6, 6))
    total = rng.choice([6_000, 50_000, 3_000_000])
    volume = f"{total * SCALE / price:.8f}"
    params: dict[str, object] = {"smp_type": rng.choice(["reduce", "cancel_maker", "cancel_taker", "none"])}
    if kind == "limit":
        params |= {"price": f"{price / SCALE:.8f}", "volume": volume}
        tif = rng.choice([None, None, "ioc", "fok", "post_only"])
        if tif == "post_only":
            del params["smp_type"]
        params |= {"time_in_force": tif} if tif else {}
        params |= {"trigger_price": params["price"]} if rng.random() < 0.1 else {}
    elif kind == "best":
        params |= {"time_in_force": rng.choice(["ioc", "fok"])}
    if kind in ("market", "best") and (kind == "market" or side == "ask"):
        side, params = "ask", {**params, "volume": volume}
    elif kind != "limit":
        side, params = "bid", {**params, "price": total}
    try:
        floor.place(side, rng.choice(["main", "main", "other"]), code, ord_type=kind, **params)
    except OrderError as error:
        assert error.name.startswith("insufficient_funds")  # noqa: PT017


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_whatever_is_traded_the_books_agree_and_nothing_follows_an_end(seed: int) -> None:
    rng = Random(seed)
    floor = Floor("KRW-XRP", "KRW-BTC", rate=rng.choice([0.0, 100.0]), seed=seed)
    told: dict[str, list[OrderNotice]] = {}
    for _ in range(60):
        _random_order(floor, rng)
        if floor.engine.orders and rng.random() < 0.2:
            floor.engine.cancel(rng.choice(list(floor.engine.orders.values())))
        if rng.random() < 0.3:
            floor.market.trade("KRW-XRP")
        floor.market.advance(rng.random())
        floor.check()
        for notice in floor.engine.take_notices():
            if isinstance(notice, OrderNotice):
                told.setdefault(notice.record.uuid, []).append(notice)
    for uuid, notices in told.items():
        record = floor.engine.orders[uuid].record()
        states = [notice.state for notice in notices]
        assert states[0] in ("wait", "watch")
        assert not {"done", "cancel"} & set(states[:-1])
        assert (states[-1] in ("done", "cancel")) == (not record.is_open)
        assert [notice.fill for notice in notices if notice.fill] == list(record.fills)
        assert [notice.timestamp for notice in notices] == sorted(notice.timestamp for notice in notices)
