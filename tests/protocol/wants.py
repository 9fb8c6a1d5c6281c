"""Wishes for tests, short to write and drawn by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from upbit_ws.types import DataType, StreamKey, Want, indicator_variant

SYMBOLS = ["KRW-BTC", "KRW-ETH", "KRW-XRP", "BTC-ETH", "USDT-BTC"]

RSI = indicator_variant("5m", "rsi", {"period": 14})
SMA = indicator_variant("5m", "moving_average", {"type": "SMA", "period": 20})
RSI_HOURLY = indicator_variant("60m", "rsi", {"period": 14})
OVERBOUGHT = indicator_variant("5m", "rsi", {"period": 7}, "overbought", {"threshold": 70})
CROSS = indicator_variant("5m", "moving_average", {"type": "SMA", "period": 5}, "price_cross_above", {})


def key(data_type: DataType, symbol: str = "", variant: Any = None) -> StreamKey:
    return StreamKey(data_type, symbol, variant)


def want(data_type: DataType, symbol: str = "", variant: Any = None, **rest: Any) -> Want:
    return Want(StreamKey(data_type, symbol, variant), **rest)


_parts = st.sampled_from([(True, True), (True, False), (False, True)])

_public = st.builds(
    lambda data_type, symbol, parts: want(data_type, symbol, snapshot=parts[0], realtime=parts[1]),
    st.sampled_from([DataType.TICKER, DataType.TRADE, DataType.CANDLE_1M, DataType.CANDLE_5M]),
    st.sampled_from(SYMBOLS),
    _parts,
)
_books = st.builds(
    lambda symbol, level, units, parts: want(
        DataType.ORDERBOOK, symbol, level, units=units, snapshot=parts[0], realtime=parts[1]
    ),
    st.sampled_from(SYMBOLS),
    st.sampled_from([None, 10_000, 100_000]),
    st.sampled_from([None, 1, 5, 15, 30]),
    _parts,
)
_orders = st.builds(lambda symbol: want(DataType.MY_ORDER, symbol), st.sampled_from(["", *SYMBOLS]))
_assets = st.just(want(DataType.MY_ASSET))
_announcements = st.builds(
    lambda categories, body: want(
        DataType.ANNOUNCEMENT,
        options={**({"categories": sorted(categories)} if categories else {}), "include_body": body},
    ),
    st.sets(st.sampled_from(["notice", "trade", "wallet"])),
    st.booleans(),
)
_indicators = st.builds(
    lambda symbol, variant: want(DataType.INDICATOR, symbol, variant),
    st.sampled_from(SYMBOLS[:3]),
    st.sampled_from([RSI, SMA, RSI_HOURLY]),
)

public_wants = st.lists(_public | _books, max_size=25)
private_wants = st.lists(_orders | _assets | _announcements, max_size=12)
info_wants = st.lists(_indicators, max_size=12)
any_endpoint = st.sampled_from([public_wants, private_wants, info_wants]).flatmap(lambda wants: wants)
all_wants = st.lists(_public | _books | _orders | _assets | _announcements | _indicators, max_size=10)
