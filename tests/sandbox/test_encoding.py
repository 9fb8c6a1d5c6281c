"""From records to JSON, in the exchange's key order and spelling."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.fields import CANDLE_FIELDS, ORDERBOOK_FIELDS, ORDERBOOK_UNIT_FIELDS, TICKER_FIELDS, TRADE_FIELDS
from upbit_ws.sandbox.catalogue import named_specs
from upbit_ws.sandbox.encoding import Encoder, book_window, change, change_rate, kst_text, utc_text
from upbit_ws.sandbox.market import Market, MarketOptions
from upbit_ws.sandbox.records import BookRecord, CandleRecord, MarketEvent, TickerRecord, TradeRecord
from upbit_ws.sandbox.tick_size import SCALE
from upbit_ws.types import WireFormat

TABLES = {"ticker": TICKER_FIELDS, "trade": TRADE_FIELDS, "orderbook": ORDERBOOK_FIELDS, "candle": CANDLE_FIELDS}


def write(encoder: Encoder, event: MarketEvent) -> bytes:
    if isinstance(event, TradeRecord):
        return encoder.trade(event, "REALTIME")
    if isinstance(event, TickerRecord):
        return encoder.ticker(event, "REALTIME")
    if isinstance(event, CandleRecord):
        return encoder.candle(event, "REALTIME")
    return encoder.book(event, "REALTIME")


@pytest.fixture(scope="module")
def events() -> list[MarketEvent]:
    codes = ["KRW-BTC", "KRW-SHIB", "BTC-ETH", "USDT-BTC"]
    options = MarketOptions(rate=200.0, history_hours=1.0)
    return Market(named_specs(codes), now=1_790_134_742_000.0, options=options).advance(5)


@pytest.mark.parametrize("simple", [False, True])
def test_keys_are_those_of_the_tables_in_their_order(events: list[MarketEvent], simple: bool) -> None:
    encoder = Encoder(WireFormat.SIMPLE if simple else WireFormat.DEFAULT)
    seen = set()
    for event in events:
        payload = json.loads(write(encoder, event))
        family = payload["ty" if simple else "type"].partition(".")[0]
        seen.add(family)
        assert list(payload) == [field.key(simple) for field in TABLES[family]]
        if family == "orderbook":
            units = payload["obu" if simple else "orderbook_units"]
            assert len(units) == 30
            assert all(list(unit) == [field.key(simple) for field in ORDERBOOK_UNIT_FIELDS] for unit in units)
    assert seen == set(TABLES)


def test_all_formats_tell_the_same_numbers(events: list[MarketEvent]) -> None:
    default, simple = Encoder(WireFormat.DEFAULT), Encoder(WireFormat.SIMPLE)
    plain = Encoder(WireFormat.DEFAULT, plain=True)
    for event in events:
        told = json.loads(write(default, event))
        assert list(told.values())[2:5] == list(json.loads(write(simple, event)).values())[2:5]
        assert told == json.loads(write(plain, event))


def test_numbers_are_spelled_as_on_the_wire() -> None:
    book = BookRecord(
        "KRW-BTC",
        1,
        asks=((116_539_000 * SCALE, 2_054_761), (116_542_000 * SCALE, 77_720)),
        bids=((5 * SCALE, 79_276),),
    )
    default = Encoder(WireFormat.DEFAULT).book(book, "SNAPSHOT", units=2).decode()
    simple = Encoder(WireFormat.SIMPLE).book(book, "SNAPSHOT", units=2).decode()

    assert default == (
        '{"type":"orderbook","code":"KRW-BTC","timestamp":1,"total_ask_size":0.02132481,"total_bid_size":0.00079276,'
        '"orderbook_units":[{"ask_price":1.16539E8,"bid_price":5.0,"ask_size":0.02054761,"bid_size":0.00079276},'
        '{"ask_price":1.16542E8,"bid_price":0.0,"ask_size":0.00077720,"bid_size":0}],"stream_type":"SNAPSHOT","level":0}'
    )
    assert '{"ap":116542000,"bp":0,"as":7.772E-4,"bs":0.0}' in simple


def test_no_spaces_are_written(events: list[MarketEvent]) -> None:
    assert all(b" " not in write(Encoder(WireFormat.DEFAULT), event) for event in events)


def test_the_regional_hosts_send_less(events: list[MarketEvent]) -> None:
    encoder = Encoder(WireFormat.DEFAULT, regional=True)
    keys = {key for event in events for key in json.loads(write(encoder, event))}

    assert not {"level", "candle_date_time_kst"} & keys


def test_deprecated_fields_can_be_left_out(events: list[MarketEvent]) -> None:
    encoder = Encoder(WireFormat.SIMPLE, deprecated_fields=False)
    ticker = next(event for event in events if isinstance(event, TickerRecord))

    assert not {"its", "mw"} & set(json.loads(encoder.ticker(ticker, "SNAPSHOT")))


def test_changes_and_rates_follow_from_the_previous_close(events: list[MarketEvent]) -> None:
    for event in events:
        if isinstance(event, TickerRecord):
            told = json.loads(Encoder(WireFormat.DEFAULT).ticker(event, "REALTIME"))
            difference = told["trade_price"] - told["prev_closing_price"]
            assert told["signed_change_price"] == pytest.approx(difference, abs=1e-9)
            assert told["change_price"] == abs(told["signed_change_price"])
            assert told["signed_change_rate"] == pytest.approx(difference / told["prev_closing_price"], abs=1e-9)
            assert told["change"] == ("EVEN" if not difference else "RISE" if difference > 0 else "FALL")


@given(st.integers(1, 10**17), st.integers(1, 10**17))
def test_a_rate_is_symmetric_and_has_ten_decimals(price: int, prev_close: int) -> None:
    rate = change_rate(price, prev_close)

    assert abs(rate - (price - prev_close) * 10**10 / prev_close) <= max(1, abs(rate) * 1e-9)
    assert (rate > 0) <= (change(price, prev_close) == "RISE")


def test_korean_time_is_nine_hours_ahead() -> None:
    assert utc_text(1_787_731_680_000) == "2026-08-26T08:08:00"
    assert kst_text(1_787_731_680_000) == "2026-08-26T17:08:00"


def test_a_grouped_window_shows_merged_levels() -> None:
    record = BookRecord("KRW-X", 1, asks=((101, 1), (109, 2), (111, 4)), bids=((99, 8), (85, 16)))

    asks, bids = book_window(record, 3, 10)

    assert asks == ((110, 3), (120, 4), (0, 0))
    assert bids == ((90, 8), (80, 16), (0, 0))


def test_the_messages_of_a_stream_are_in_the_order_of_their_times() -> None:
    """Snapshots among them: a client takes a message for the newest by its time."""
    market = Market(named_specs(["KRW-BTC"]), now=1_790_134_742_000.0, options=MarketOptions(rate=0.0, history_hours=0.0))
    listing, encoder = market.listings["KRW-BTC"], Encoder(WireFormat.DEFAULT)
    tickers: list[int] = []
    trades: list[int] = []
    for _ in range(50):
        market.advance(0.0007)
        tickers.append(json.loads(encoder.ticker(listing.ticker(int(market.now)), "SNAPSHOT"))["timestamp"])
        for event in market.trade("KRW-BTC"):
            if isinstance(event, TickerRecord):
                tickers.append(json.loads(encoder.ticker(event, "REALTIME"))["timestamp"])
            elif isinstance(event, TradeRecord):
                told = json.loads(encoder.trade(event, "REALTIME"))
                assert told["timestamp"] != told["trade_timestamp"]
                trades.append(told["timestamp"])

    assert tickers == sorted(tickers)
    assert trades == sorted(trades)
