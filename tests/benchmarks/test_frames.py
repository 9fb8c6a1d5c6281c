"""The prebuilt frames: what a client would see of them."""

from __future__ import annotations

import itertools
import json
import zlib
from typing import Any

import pytest

from benchmarks.frames import TYPES, Ring, build_stock, market_codes, sample_payloads, sent_at, stamp


def messages_of(ring: Ring) -> list[dict[str, Any]]:
    messages = []
    for start, end in itertools.pairwise(ring.starts):
        frame = bytes(ring.buffer[start:end])
        length = int.from_bytes(frame[2:4], "big") if frame[1] == 126 else frame[1]
        payload = frame[-length:]
        assert len(frame) - length == (4 if frame[1] == 126 else 2)
        if frame[0] & 0x40:
            payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
        messages.append(json.loads(payload))
    return messages


@pytest.mark.parametrize("compressed", [False, True])
def test_every_symbol_gets_every_type_equally_often(compressed: bool) -> None:
    stock = build_stock(7, groups=21, compressed=compressed)
    seen: dict[tuple[str, str], int] = {}
    for message in messages_of(stock.ring):
        key = (message["type"], message["code"])
        seen[key] = seen.get(key, 0) + 1
    assert seen == {(name, code): 3 for name in TYPES for code in market_codes(7)}


def test_the_first_messages_are_one_snapshot_of_each_key_and_the_rest_is_realtime() -> None:
    stock = build_stock(7, groups=21)
    snapshots = messages_of(stock.snapshots)
    assert {message["stream_type"] for message in snapshots} == {"SNAPSHOT"}
    assert len({(message["type"], message["code"]) for message in snapshots}) == len(snapshots) == 21
    assert {message["stream_type"] for message in messages_of(stock.ring)} == {"REALTIME"}


@pytest.mark.parametrize("compressed", [False, True])
def test_no_id_repeats_from_lap_to_lap_and_times_advance_for_each_key(compressed: bool) -> None:
    ring = build_stock(5, groups=20, compressed=compressed).ring
    ids: list[int] = []
    newest: dict[tuple[str, str], int] = {}
    for lap in range(9, 13):  # 9 to 10 changes two digits
        ring.enter_lap(0, 8, lap, before=lap - 1 if lap > 9 else None)
        ring.enter_lap(8, ring.groups, lap, before=lap - 1 if lap > 9 else None)
        for message in messages_of(ring):
            key = (message["type"], message["code"])
            assert message["timestamp"] > newest.get(key, 0)
            newest[key] = message["timestamp"]
            if message["type"] == "trade":
                ids.append(message["sequential_id"])
                assert message["sequential_id"] == message["trade_timestamp"] * 10_000
    assert len(ids) == len(set(ids)) == 80


@pytest.mark.parametrize("name", TYPES)
def test_a_stamp_comes_back_exactly_from_the_field_that_carries_it(name: str) -> None:
    ring = build_stock(2, (name,), groups=4).ring
    ring.put_stamp(3, stamp(987_654_321_012))
    assert sent_at(messages_of(ring)[3]) == 987_654_321_012


def test_messages_have_the_size_that_the_documentation_names() -> None:
    assert 800 < build_stock(100, groups=100).ring.mean_frame_size < 900


def test_a_copy_is_patched_without_touching_the_original() -> None:
    stock = build_stock(2, groups=4)
    before = bytes(stock.ring.buffer)
    stock.copy().ring.enter_lap(0, 4, 7)
    assert bytes(stock.ring.buffer) == before


def test_samples_are_plain_json() -> None:
    assert [json.loads(payload)["type"] for payload in sample_payloads(2)] == [*TYPES, *TYPES]


@pytest.mark.parametrize("symbols", [0, 10_001])
def test_a_number_of_symbols_that_the_index_digits_cannot_hold_is_refused(symbols: int) -> None:
    with pytest.raises(ValueError, match="symbols"):
        build_stock(symbols)
