from __future__ import annotations

import copy
import pickle
import weakref
from datetime import datetime, timezone
from typing import Any

import attrs
import pytest

from tests.samples import event_messages
from upbit_ws import events
from upbit_ws.events import (
    CandleEvent,
    Event,
    FrozenDict,
    IndicatorSignalEvent,
    MyAssetEvent,
    MyOrderEvent,
    OrderbookEvent,
    OrderbookUnit,
    TickerEvent,
    TradeEvent,
)
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.models import convert_dict_to_event, convert_event_to_dict
from upbit_ws.types import DataType, StreamKey, indicator_variant

SAMPLES = event_messages()


def sample(name: str) -> Any:
    return convert_dict_to_event(SAMPLES[name][0])


ALL = {name: sample(name) for name in SAMPLES}


@pytest.mark.parametrize("name", ALL)
def test_every_event_says_what_it_is_and_when(name: str) -> None:
    event: Event = ALL[name]

    assert event.data_type.wire_name == event.type
    assert event.stream_type in ("SNAPSHOT", "REALTIME")
    assert isinstance(event.timestamp, int)
    assert event.key.data_type is event.data_type
    assert event.key.symbol == event.symbol == event.code
    assert event.time.tzinfo is timezone.utc
    assert isinstance(hash(event), int)


@pytest.mark.parametrize("name", ALL)
def test_an_event_does_not_change(name: str) -> None:
    event = ALL[name]

    for field in attrs.fields(type(event)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(event, field.name, None)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.brand_new = 1
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize("name", ALL)
def test_an_event_survives_copying_pickling_and_weak_references(name: str) -> None:
    event = attrs.evolve(ALL[name], extra=FrozenDict(new=1))

    for copied in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert copied == event
        assert type(copied) is type(event)
        assert copied.absent == event.absent
    assert weakref.ref(event)() is event


def test_only_messages_with_a_market_have_a_symbol() -> None:
    assert sample("ticker.DEFAULT").symbol == sample("ticker.DEFAULT").code == "KRW-BTC"
    assert sample("myAsset.DEFAULT").symbol == ""
    assert sample("announcement.DEFAULT").key == StreamKey(DataType.ANNOUNCEMENT, "")


def test_keys_of_books_and_indicators_have_a_variant() -> None:
    assert sample("orderbook.DEFAULT").key == StreamKey(DataType.ORDERBOOK, "KRW-BTC", 10_000)
    assert sample("orderbook.DEFAULT.captured").key == StreamKey(DataType.ORDERBOOK, "KRW-BTC")
    assert sample("orderbook.DEFAULT.indonesia").key == StreamKey(DataType.ORDERBOOK, "USDT-BTC")
    assert sample("indicator.DEFAULT.macd").key.variant == indicator_variant(
        "5m", "macd", {"signal_period": 9, "slow": 26, "fast": 12}
    )
    signal: IndicatorSignalEvent = sample("indicator_signal.DEFAULT")
    assert signal.key.variant == ("5m", "moving_average", (("period", 5), ("type", "SMA")), "price_cross_above", ())


def test_time_is_that_of_the_trade_where_there_is_one() -> None:
    trade: TradeEvent = sample("trade.DEFAULT")
    resting: MyOrderEvent = sample("myOrder.DEFAULT.wait.market_buy")

    assert trade.time == datetime(2026, 8, 26, 7, 15, 54, 797_000, tzinfo=timezone.utc)
    assert resting.time == datetime(2025, 11, 3, 17, 29, 21, 161_000, tzinfo=timezone.utc)


def test_a_candle_knows_its_start() -> None:
    candle: CandleEvent = sample("candle.15m.DEFAULT")

    assert candle.start == datetime(2026, 8, 26, 8, 0, tzinfo=timezone.utc)


def book(*units: tuple[float, float, float, float]) -> OrderbookEvent:
    return OrderbookEvent(
        symbol="BTC-BERA",
        timestamp=1,
        total_ask_size=1.0,
        total_bid_size=1.0,
        orderbook_units=tuple(OrderbookUnit(*unit) for unit in units),
        stream_type="SNAPSHOT",
        level=0.0,
    )


def test_padding_is_kept_in_the_units_and_left_out_of_asks_and_bids() -> None:
    thin = book((3.0, 2.0, 0.1, 0.2), (4.0, 0.0, 0.3, 0.0), (0.0, 0.0, 0.0, 0.0))

    assert len(thin.orderbook_units) == 3
    assert thin.asks == ((3.0, 0.1), (4.0, 0.3))
    assert thin.bids == ((2.0, 0.2),)
    assert (thin.best_ask, thin.best_bid) == ((3.0, 0.1), (2.0, 0.2))
    assert len(convert_event_to_dict(thin)["orderbook_units"]) == 3


def test_an_empty_side_has_no_best() -> None:
    one_sided = book((0.0, 2.0, 0.0, 0.2))

    assert one_sided.best_ask is None
    assert one_sided.best_bid == (2.0, 0.2)
    assert book().best_bid is None
    assert book().asks == ()


def test_a_sliced_book_has_the_best_units_and_the_totals_as_sent() -> None:
    full: OrderbookEvent = sample("orderbook.DEFAULT")

    assert full.sliced(2).orderbook_units == full.orderbook_units[:2]
    assert full.sliced(2).total_ask_size == full.total_ask_size
    assert full.sliced(30) is full
    for wrong in (0, -1, True, 2.0, None):
        with pytest.raises(InvalidArgumentError, match="units must be a positive number"):
            full.sliced(wrong)  # type: ignore[arg-type]


def test_what_the_sdk_adds_to_an_order_is_not_written() -> None:
    order: MyOrderEvent = sample("myOrder.DEFAULT.trade")
    known = attrs.evolve(order, order_price=order.price, order_volume=order.volume)

    assert known != order
    assert convert_event_to_dict(known) == convert_event_to_dict(order) == SAMPLES["myOrder.DEFAULT.trade"][0]


def test_recovered_events_may_lack_what_rest_does_not_have() -> None:
    trade = attrs.evolve(
        sample("trade.DEFAULT"), stream_type="RECOVERED", change=None, best_ask_price=None, best_bid_price=None
    )
    written = convert_event_to_dict(trade)

    assert "best_ask_price" not in written
    assert convert_dict_to_event(written) == trade
    assert MyAssetEvent(assets=(), timestamp=1, stream_type="RECOVERED").asset_uuid is None


def test_two_events_of_the_same_content_are_equal_whatever_was_absent() -> None:
    without = {key: value for key, value in SAMPLES["ticker.DEFAULT"][0].items() if key != "delisting_date"}

    assert convert_dict_to_event(without) == sample("ticker.DEFAULT")
    assert convert_dict_to_event(without).absent == ("delisting_date",)


def test_extra_is_shown_and_cannot_be_changed() -> None:
    event: TickerEvent = convert_dict_to_event({**SAMPLES["ticker.DEFAULT"][0], "brand_new": 1})  # type: ignore[assignment]

    assert "extra={'brand_new': 1}" in repr(event)
    with pytest.raises(TypeError, match="an event does not change"):
        event.extra["brand_new"] = 2  # type: ignore[index]


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item.__setitem__("a", 2),
        lambda item: item.__delitem__("a"),
        lambda item: item.update(a=2),
        lambda item: item.setdefault("b", 2),
        lambda item: item.pop("a"),
        lambda item: item.popitem(),
        lambda item: item.clear(),
        lambda item: item.__ior__({"b": 2}),
    ],
)
def test_a_frozen_dict_refuses_each_way_of_changing(change: Any) -> None:
    item = FrozenDict(a=1)

    with pytest.raises(TypeError, match="does not change"):
        change(item)
    assert item == {"a": 1}
    assert copy.copy(item) is item
    assert pickle.loads(pickle.dumps(item)) == item


def test_the_module_exports_its_events() -> None:
    classes = {name for name, item in vars(events).items() if isinstance(item, type) and issubclass(item, Event)}

    assert classes <= set(events.__all__)
