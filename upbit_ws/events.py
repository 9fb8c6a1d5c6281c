"""The events: frozen records named after their type.

Field names are Upbit's DEFAULT names in the order of the wire, except `symbol` for ``code`` (`code` is an alias). What
a field means, its unit and its values stand in the tables of `upbit_ws.models`. Public prices and sizes are float,
money of private events is Decimal exactly as sent, ids and times (ms since the epoch) are int.

None stands for JSON null and for a field that was not sent; `absent` names the latter. `extra` keeps fields that this
version does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeVar

from attrs import evolve, field

from upbit_ws.data_types import DataType, StreamKey, indicator_variant
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.frozen_dict import FrozenDict
from upbit_ws.records import frozen

__all__ = [
    "AnnouncementEvent",
    "CandleEvent",
    "Event",
    "FrozenDict",
    "IndicatorEvent",
    "IndicatorSignalEvent",
    "MyAsset",
    "MyAssetEvent",
    "MyOrderEvent",
    "OrderbookEvent",
    "OrderbookUnit",
    "TickerEvent",
    "TradeEvent",
]

_T = TypeVar("_T")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

NO_EXTRA: Mapping[str, Any] = FrozenDict()


def _extra_text(extra: Mapping[str, Any]) -> str:
    return repr(dict(extra))


def _extra() -> Any:
    return field(default=NO_EXTRA, hash=False, repr=_extra_text)


def _absent() -> Any:
    return field(default=(), eq=False, repr=False)


class Event:
    """Base of all events. Every one has a `type`, a `stream_type` and a `timestamp`."""

    # Here and not in the subclasses: the builder needs classes that differ from their twin in nothing but slots.
    __slots__ = ("__weakref__",)

    type: str
    stream_type: str
    timestamp: int
    extra: Mapping[str, Any]
    absent: tuple[str, ...]

    @property
    def symbol(self) -> str:
        """The market code, empty where the type has none."""
        return ""

    @property
    def code(self) -> str:
        """Upbit's name of `symbol`."""
        return self.symbol

    @property
    def data_type(self) -> DataType:
        """The row of the data type table."""
        return DataType(self.type)

    @property
    def key(self) -> StreamKey:
        """What this event is filed under."""
        return StreamKey(self.data_type, self.symbol)

    @property
    def time(self) -> datetime:
        """When it happened, UTC: the trade where there is one, else the message."""
        return _datetime(getattr(self, "trade_timestamp", None) or self.timestamp)


def _datetime(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


@frozen(kw_only=True)
class TickerEvent(Event):
    """Current state of a market (table: `TICKER_FIELDS`)."""

    type: str = "ticker"
    symbol: str
    opening_price: float
    high_price: float
    low_price: float
    trade_price: float
    prev_closing_price: float
    acc_trade_price: float
    change: str
    change_price: float
    signed_change_price: float
    change_rate: float
    signed_change_rate: float
    ask_bid: str
    trade_volume: float
    acc_trade_volume: float
    trade_date: str
    trade_time: str
    trade_timestamp: int
    acc_ask_volume: float
    acc_bid_volume: float
    highest_52_week_price: float
    highest_52_week_date: str
    lowest_52_week_price: float
    lowest_52_week_date: str
    market_state: str
    is_trading_suspended: bool | None = None
    delisting_date: Mapping[str, Any] | str | None = field(default=None, hash=False)
    market_warning: str | None = None
    timestamp: int
    acc_trade_price_24h: float
    acc_trade_volume_24h: float
    stream_type: str
    extra: Mapping[str, Any] = _extra()
    absent: tuple[str, ...] = _absent()

    @property
    def delisting_day(self) -> date | None:
        """`delisting_date`, kept as sent (null, text or an object of year, month and day), as a date."""
        sent = self.delisting_date
        if sent is None:
            return None
        if isinstance(sent, str):
            return date.fromisoformat(f"{sent[:4]}-{sent[4:6]}-{sent[6:8]}" if sent[:8].isdigit() else sent[:10])
        return date(int(sent["year"]), int(sent["month"]), int(sent["day"]))


@frozen(kw_only=True)
class TradeEvent(Event):
    """One trade (table: `TRADE_FIELDS`). `sequential_id` is unique within the market; it does not give the order."""

    type: str = "trade"
    symbol: str
    timestamp: int
    trade_date: str
    trade_time: str
    trade_timestamp: int
    trade_price: float
    trade_volume: float
    ask_bid: str
    prev_closing_price: float
    change: str | None = None
    change_price: float
    sequential_id: int
    best_ask_price: float | None = None
    best_ask_size: float | None = None
    best_bid_price: float | None = None
    best_bid_size: float | None = None
    stream_type: str
    extra: Mapping[str, Any] = _extra()
    absent: tuple[str, ...] = _absent()


@frozen(weakref_slot=False)
class OrderbookUnit:
    """The i-th best ask beside the i-th best bid. A thin side is padded with price 0 and size 0."""

    ask_price: float
    bid_price: float
    ask_size: float
    bid_size: float
    extra: Mapping[str, Any] = _extra()


@frozen(kw_only=True)
class OrderbookEvent(Event):
    """A whole book (table: `ORDERBOOK_FIELDS`). `orderbook_units` is as sent, `asks` and `bids` have no padding."""

    type: str = "orderbook"
    symbol: str
    timestamp: int
    total_ask_size: float
    total_bid_size: float
    orderbook_units: tuple[OrderbookUnit, ...]
    stream_type: str
    level: float | None = None
    extra: Mapping[str, Any] = _extra()
    absent: tuple[str, ...] = _absent()

    @property
    def key(self) -> StreamKey:
        """What this event is filed under; the variant is the grouping level, None for 0."""
        return StreamKey(self.data_type, self.symbol, self.level or None)

    @property
    def asks(self) -> tuple[tuple[float, float], ...]:
        """(price, size), best first."""
        return tuple((u.ask_price, u.ask_size) for u in self.orderbook_units if u.ask_price and u.ask_size)

    @property
    def bids(self) -> tuple[tuple[float, float], ...]:
        """(price, size), best first."""
        return tuple((u.bid_price, u.bid_size) for u in self.orderbook_units if u.bid_price and u.bid_size)

    @property
    def best_ask(self) -> tuple[float, float] | None:
        """(price, size), None when nobody sells."""
        return next(((u.ask_price, u.ask_size) for u in self.orderbook_units if u.ask_price and u.ask_size), None)

    @property
    def best_bid(self) -> tuple[float, float] | None:
        """(price, size), None when nobody buys."""
        return next(((u.bid_price, u.bid_size) for u in self.orderbook_units if u.bid_price and u.bid_size), None)

    def sliced(self, units: int) -> OrderbookEvent:
        """Return the book cut to its best `units` units. The totals stay those of the book as sent."""
        if isinstance(units, bool) or not isinstance(units, int) or units < 1:
            raise InvalidArgumentError("units", f"must be a positive number, got {units!r}", "units=5")
        if len(self.orderbook_units) <= units:
            return self
        return evolve(self, orderbook_units=self.orderbook_units[:units])


@frozen(kw_only=True)
class CandleEvent(Event):
    """One candle so far (table: `CANDLE_FIELDS`). The same candle is sent many times, the last one counts."""

    type: str
    symbol: str
    candle_date_time_utc: str
    candle_date_time_kst: str | None = None
    opening_price: float
    high_price: float
    low_price: float
    trade_price: float
    candle_acc_trade_volume: float
    candle_acc_trade_price: float
    timestamp: int
    stream_type: str
    extra: Mapping[str, Any] = _extra()
    absent: tuple[str, ...] = _absent()

    @property
    def start(self) -> datetime:
        """Start of the candle, UTC. It covers [start, start + unit)."""
        return datetime.fromisoformat(self.candle_date_time_utc).replace(tzinfo=timezone.utc)


@frozen(kw_only=True)
class MyOrderEvent(Event):
    """An event of one of your orders (table: `MYORDER_FIELDS`).

    While `state` is ``trade``, `price` and `volume` are those of the fill. The order's own stand in `order_price` and
    `order_volume`, which the SDK fills from what it saw before; they are not on the wire.
    """

    type: str = "myOrder"
    symbol: str
    uuid: str
    ask_bid: str
    order_type: str
    state: str
    trade_uuid: str | None = None
    price: Decimal | None = None
    avg_price: Decimal | None = None
    volume: Decimal | None = None
    remaining_volume: Decimal | None = None
    executed_volume: Decimal | None = None
    trades_count: int
    reserved_fee: Decimal | None = None
    remaining_fee: Decimal | None = None
    paid_fee: Decimal | None = None
    locked: Decimal | None = None
    executed_funds: Decimal | None = None
    time_in_force: str | None = None
    trade_fee: Decimal | None = None
    is_maker: bool | None = None
    identifier: str | None = None
    smp_type: str | None = None
    prevented_volume: Decimal | None = None
    prevented_locked: Decimal | None = None
    trade_timestamp: int | None = None
    order_timestamp: int
    timestamp: int
    stream_type: str
    extra: Mapping[str, Any] = _extra()
    absent: tuple[str, ...] = _absent()
    order_price: Decimal | None = None
    order_volume: Decimal | None = None


@frozen(weakref_slot=False)
class MyAsset:
    """Balance of one currency."""

    currency: str
    balance: Decimal
    locked: Decimal
    extra: Mapping[str, Any] = _extra()


@frozen(kw_only=True)
class MyAssetEvent(Event):
    """Balances that changed (table: `MYASSET_FIELDS`)."""

    type: str = "myAsset"
    asset_uuid: str | None = None
    assets: tuple[MyAsset, ...]
    asset_timestamp: int | None = None
    timestamp: int
    stream_type: str
    extra: Mapping[str, Any] = _extra()
    absent: tuple[str, ...] = _absent()


@frozen(kw_only=True)
class AnnouncementEvent(Event):
    """A notice of the exchange (table: `ANNOUNCEMENT_FIELDS`); category ``maintenance`` announces downtime."""

    type: str = "announcement"
    event_type: str
    uuid: str
    title: str
    category: str
    url: str
    first_listed_at: str
    listed_at: str
    timestamp: int
    stream_type: str
    body: str | None = None
    extra: Mapping[str, Any] = _extra()
    absent: tuple[str, ...] = _absent()


@frozen(kw_only=True)
class IndicatorEvent(Event):
    """An indicator of a closed candle (table: `INDICATOR_FIELDS`)."""

    type: str = "indicator"
    symbol: str
    timeframe: str
    indicator: str
    params: Mapping[str, Any] = field(hash=False)
    candle_date_time_utc: str
    value: Mapping[str, Any] = field(hash=False)
    timestamp: int
    stream_type: str
    extra: Mapping[str, Any] = _extra()
    absent: tuple[str, ...] = _absent()

    @property
    def key(self) -> StreamKey:
        """What this event is filed under; the variant tells timeframe, indicator and parameters."""
        variant = indicator_variant(self.timeframe, self.indicator, self.params)
        return StreamKey(self.data_type, self.symbol, variant)


@frozen(kw_only=True)
class IndicatorSignalEvent(Event):
    """A condition of an indicator became true (table: `INDICATOR_SIGNAL_FIELDS`)."""

    type: str = "indicator_signal"
    symbol: str
    timeframe: str
    indicator: str
    params: Mapping[str, Any] = field(hash=False)
    trigger: str
    event_params: Mapping[str, Any] = field(hash=False, default=NO_EXTRA)
    candle_date_time_utc: str
    value: Mapping[str, Any] = field(hash=False)
    timestamp: int
    stream_type: str
    extra: Mapping[str, Any] = _extra()
    absent: tuple[str, ...] = _absent()

    @property
    def key(self) -> StreamKey:
        """What this event is filed under; the variant tells timeframe, indicator, parameters and trigger."""
        variant = indicator_variant(self.timeframe, self.indicator, self.params, self.trigger, self.event_params)
        return StreamKey(self.data_type, self.symbol, variant)
