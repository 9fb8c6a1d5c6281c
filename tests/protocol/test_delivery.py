"""Payloads on their way to callbacks: decoded late, once, and shared."""

from __future__ import annotations

from typing import Any

import pytest

from tests.push_rig import candle, orderbook, ticker, trade
from upbit_ws.events import OrderbookEvent
from upbit_ws.exceptions import PayloadError
from upbit_ws.models import decode_event
from upbit_ws.protocol import delivery as module
from upbit_ws.protocol.delivery import Snapshot, announced, delivery_of
from upbit_ws.types import DataType, StreamKey

TICKER = StreamKey(DataType.TICKER, "KRW-BTC")
BOOK = StreamKey(DataType.ORDERBOOK, "KRW-BTC")
CANDLE = StreamKey(DataType.CANDLE_1M, "KRW-BTC")


def test_a_payload_is_decoded_when_it_is_first_asked_for_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Any] = []
    monkeypatch.setattr(module, "decode_event", lambda raw: decoded.append(raw) or decode_event(raw))
    delivery = delivery_of(TICKER, ticker("KRW-BTC", 1), 0.0)

    assert decoded == []
    assert delivery.event() is delivery.event()
    assert len(decoded) == 1


def test_a_wrong_payload_says_so_each_time() -> None:
    delivery = delivery_of(TICKER, b'{"type":"ticker"}', 0.0)
    for _ in range(2):
        with pytest.raises(PayloadError):
            delivery.event()


def test_the_parts_are_told_apart_without_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module, "decode_event")

    assert delivery_of(TICKER, ticker("KRW-BTC", 1, "SNAPSHOT"), 0.0).is_snapshot
    assert not delivery_of(TICKER, ticker("KRW-BTC", 1), 0.0).is_snapshot
    assert delivery_of(BOOK, orderbook("KRW-BTC", 1, stream_type="SNAPSHOT"), 0.0).is_snapshot
    assert Snapshot(TICKER, ticker("KRW-BTC", 1), 0.0).is_snapshot


@pytest.mark.parametrize("sent_as", ["REALTIME", "SNAPSHOT"])
def test_a_present_value_is_marked_snapshot_and_otherwise_as_it_came(sent_as: str) -> None:
    event: Any = Snapshot(TICKER, ticker("KRW-BTC", 7, sent_as), 0.0).event()

    assert (event.stream_type, event.timestamp, event.symbol) == ("SNAPSHOT", 7, "KRW-BTC")


def test_books_are_cut_to_what_was_asked_for_and_the_cut_one_is_shared() -> None:
    delivery = delivery_of(BOOK, orderbook("KRW-BTC", 1, units=30), 0.0)
    five = delivery.sliced(5)

    assert isinstance(five, OrderbookEvent)
    assert len(five.orderbook_units) == 5
    assert delivery.sliced(5) is five
    assert delivery.sliced(30) is delivery.event()
    assert delivery_of(TICKER, ticker("KRW-BTC", 1), 0.0).sliced(5).type == "ticker"


def test_two_states_of_one_candle_have_one_identity_and_two_candles_have_two() -> None:
    first = delivery_of(CANDLE, candle("KRW-BTC", "2025-11-23T00:00:00", 1), 0.0)
    again = delivery_of(CANDLE, candle("KRW-BTC", "2025-11-23T00:00:00", 2), 0.0)
    other = delivery_of(CANDLE, candle("KRW-BTC", "2025-11-23T00:01:00", 3), 0.0)

    assert first.identity == again.identity != other.identity


def test_a_trade_has_the_identity_of_its_stream() -> None:
    key = StreamKey(DataType.TRADE, "KRW-BTC")

    assert delivery_of(key, trade("KRW-BTC", 1), 0.0).identity == key


def test_what_is_announced_is_never_taken_for_something_else_announced() -> None:
    one, other = announced("event", 1.0), announced("event", 1.0)

    assert one.event() == "event"
    assert one.identity != other.identity


def test_once_decoded_it_says_of_itself_whether_it_is_a_snapshot_and_shows_its_stream() -> None:
    delivery = delivery_of(TICKER, ticker("KRW-BTC", 1, "SNAPSHOT"), 0.0)
    delivery.event()

    assert delivery.is_snapshot
    assert repr(delivery) == "<Delivery ticker KRW-BTC>"


def test_a_candle_whose_start_cannot_be_found_is_one_of_a_kind() -> None:
    assert delivery_of(CANDLE, b"[]", 0.0).identity == (CANDLE, b"")
    assert delivery_of(CANDLE, b'{"cdttmu":"2025-11-23T00:00:00"}', 0.0).identity == (CANDLE, b"2025-11-23T00:00:00")
