"""Lanes file a payload without parsing it, and say so where it is not as the tables predict."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from upbit_ws.protocol.lanes import Lane, lane_for
from upbit_ws.protocol.slots import Slot, new_slot
from upbit_ws.types import DataType, StreamKey

START = "2026-05-29T00:00:00"
#: By data type: the head, what follows it, and the same SIMPLE.
SPELLINGS: dict[DataType, tuple[dict[str, Any], dict[str, Any]]] = {
    DataType.TICKER: (
        {"type": "ticker", "code": "KRW-BTC", "opening_price": 1, "timestamp": 1_700_000_000_001, "stream_type": "REALTIME"},
        {"ty": "ticker", "cd": "KRW-BTC", "op": 1, "tms": 1_700_000_000_001, "st": "REALTIME"},
    ),
    DataType.ORDERBOOK: (
        {"type": "orderbook", "code": "KRW-BTC", "timestamp": 1_700_000_000_001, "stream_type": "REALTIME", "level": 0},
        {"ty": "orderbook", "cd": "KRW-BTC", "tms": 1_700_000_000_001, "st": "REALTIME", "lv": 0},
    ),
    DataType.TRADE: (
        {"type": "trade", "code": "KRW-BTC", "timestamp": 1_700_000_000_001, "sequential_id": 77, "stream_type": "REALTIME"},
        {"ty": "trade", "cd": "KRW-BTC", "tms": 1_700_000_000_001, "sid": 77, "st": "REALTIME"},
    ),
    DataType.CANDLE_1M: (
        {"type": "candle.1m", "code": "KRW-BTC", "candle_date_time_utc": START, "timestamp": 1_700_000_000_001, "st": "x"},
        {"ty": "candle.1m", "cd": "KRW-BTC", "cdttmu": START, "tms": 1_700_000_000_001, "st": "x"},
    ),
}  # fmt: skip
BROKEN = {
    DataType.TICKER: [(b"timestamp", b"timestump"), (b"tms", b"tmz")],
    DataType.ORDERBOOK: [(b'"level":0', b'"level":5'), (b'"lv":0', b'"lv":5')],
    DataType.TRADE: [(b'77,"stream_type":"REALTIME"', b"77"), (b'77,"st":"REALTIME"', b"77")],
    DataType.CANDLE_1M: [(b"timestamp", b"timestump"), (b"tms", b"tmz")],
}
CASES = [(kind, simple, listed) for kind in SPELLINGS for simple in (False, True) for listed in (False, True)]


def lane_of(data_type: DataType, simple: bool, listed: bool) -> tuple[Lane, Slot, bytes]:
    """A lane, its slot, and a payload that begins as the lane expects."""
    slot = new_slot(StreamKey(data_type, "KRW-BTC"), 10)
    payload = orjson.dumps(SPELLINGS[data_type][simple])
    if listed:
        payload = b"[" + payload + b"]"
    heads = [payload[:stop] for stop in range(1, len(payload))]
    lanes = [lane for head in heads if (lane := lane_for(slot, head)) is not None]
    assert len(lanes) == 1
    return lanes[0], slot, payload


@pytest.mark.parametrize(("data_type", "simple", "listed"), CASES)
def test_a_payload_as_predicted_is_filed(data_type: DataType, simple: bool, listed: bool) -> None:
    lane, slot, payload = lane_of(data_type, simple, listed)

    assert lane.slot is slot
    assert lane.file(payload, (1.0, 1))
    assert slot.current is not None
    assert slot.current[0] == payload.strip(b"[]")
    assert slot.revision == 1


@pytest.mark.parametrize(("data_type", "simple", "listed"), CASES)
def test_an_older_or_known_one_is_refused(data_type: DataType, simple: bool, listed: bool) -> None:
    lane, slot, payload = lane_of(data_type, simple, listed)
    lane.file(payload, (1.0, 1))
    older = payload.replace(b"1700000000001", b"1700000000000")

    assert lane.file(older, (2.0, 1)) is False
    assert slot.revision == 1


@pytest.mark.parametrize(("data_type", "simple", "listed"), CASES)
def test_one_that_is_not_as_predicted_is_left_to_the_parser(data_type: DataType, simple: bool, listed: bool) -> None:
    lane, slot, payload = lane_of(data_type, simple, listed)
    other = payload.replace(*BROKEN[data_type][simple])

    assert other != payload
    assert lane.file(other, (1.0, 1)) is None
    assert slot.revision == 0


@pytest.mark.parametrize(("data_type", "simple"), [(kind, simple) for kind in SPELLINGS for simple in (False, True)])
def test_a_list_of_two_is_left_to_the_parser(data_type: DataType, simple: bool) -> None:
    lane, slot, payload = lane_of(data_type, simple, True)

    assert lane.file(payload[:-1] + b"," + payload[1:], (1.0, 1)) is None
    assert lane.file(payload[:-1], (1.0, 1)) is None
    assert slot.revision == 0


def test_a_trade_without_an_id_and_a_candle_whose_start_does_not_end_are_left_to_the_parser() -> None:
    lane, _, payload = lane_of(DataType.TRADE, False, False)
    assert lane.file(payload.replace(b"sequential_id", b"sequence"), (1.0, 1)) is None
    lane, _, payload = lane_of(DataType.CANDLE_1M, False, False)
    assert lane.file(payload.partition(b"T00")[0], (1.0, 1)) is None


def test_there_are_no_lanes_for_private_streams_and_for_other_heads() -> None:
    assert lane_for(new_slot(StreamKey(DataType.TICKER, "KRW-BTC"), 10), b'{"type":"trade"') is None
    assert lane_for(new_slot(StreamKey(DataType.MY_ORDER, ""), 10), b'{"type":"myOrder"') is None


@pytest.mark.parametrize("levels", [(10_000, 10_000.0), (10_000.0, 10_000)])
def test_levels_that_are_equal_and_written_in_two_ways_are_read_as_each_is_written(levels: tuple[Any, Any]) -> None:
    for level in levels:
        slot = new_slot(StreamKey(DataType.ORDERBOOK, "KRW-BTC", level), 10)
        payload = b'{"type":"orderbook","code":"KRW-BTC","timestamp":1700000000001,"level":%s}' % str(level).encode()
        lanes = [lane for stop in range(1, len(payload)) if (lane := lane_for(slot, payload[:stop])) is not None]

        assert lanes[0].file(payload, (1.0, 1))
