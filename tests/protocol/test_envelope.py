"""What a payload is, by its first bytes; and objects of an array, each in its own bytes."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.payloads import candle, orderbook, ticker, trade
from upbit_ws.protocol.envelope import (
    HEAD_SCAN_FROM,
    START_LENGTH,
    parse_elements,
    predicted_head,
    split_list,
    tells_apart,
)
from upbit_ws.types import DataType, WireFormat

_WRITERS = {
    DataType.TICKER: ticker,
    DataType.TRADE: trade,
    DataType.ORDERBOOK: orderbook,
    DataType.CANDLE_1M: candle,
}


@pytest.mark.parametrize("code", ["KRW-BTC", "BTC-A", "USDT-VERYLONGCOIN"])
@pytest.mark.parametrize("is_simple", [False, True])
@pytest.mark.parametrize("data_type", list(_WRITERS))
def test_the_head_of_every_payload_is_the_predicted_one(data_type: DataType, is_simple: bool, code: str) -> None:
    for prefix, wire_format in ((b"", "SIMPLE"), (b"[", "SIMPLE_LIST")):
        name = wire_format if is_simple else {"SIMPLE": "DEFAULT", "SIMPLE_LIST": "JSON_LIST"}[wire_format]
        payload = _WRITERS[data_type](code, wire_format=WireFormat(name))

        head = payload[: payload.find(b'":', HEAD_SCAN_FROM) + 2]

        assert head == prefix + predicted_head(data_type, code, simple=is_simple)


@pytest.mark.parametrize("data_type", [data_type for data_type in DataType if data_type.is_candle])
def test_heads_of_all_candle_units_end_behind_the_third_key(data_type: DataType) -> None:
    for is_simple in (False, True):
        head = predicted_head(data_type, "KRW-A", simple=is_simple)
        payload = head + b'"2026-01-01T00:00:00"}'

        assert payload[: payload.find(b'":', HEAD_SCAN_FROM) + 2] == head


@given(st.lists(st.from_regex(r"(KRW|BTC|USDT)-[A-Z0-9]{1,14}", fullmatch=True), min_size=2, max_size=30, unique=True))
def test_where_the_first_bytes_tell_payloads_apart_no_two_begin_alike(codes: list[str]) -> None:
    heads = [
        (prefix + predicted_head(data_type, code, simple=is_simple), code)
        for data_type in _WRITERS
        for code in codes
        for is_simple in (False, True)
        for prefix in (b"", b"[")
    ]

    starts = [head[:START_LENGTH] for head, code in heads if tells_apart(head, code)]

    assert len(set(starts)) == len(starts)


def test_the_first_bytes_of_usual_payloads_tell_them_apart() -> None:
    for data_type in _WRITERS:
        assert tells_apart(predicted_head(data_type, "KRW-BTC", simple=False), "KRW-BTC")
    assert not tells_apart(predicted_head(DataType.TRADE, "KRW-BTC", simple=True), "KRW-BTC")
    assert not tells_apart(
        predicted_head(DataType.TICKER, "USDT-VERYVERYLONGCOIN", simple=False), "USDT-VERYVERYLONGCOIN"
    )


def test_an_object_is_one_element() -> None:
    assert parse_elements(b'{"a":1}') == [(b'{"a":1}', {"a": 1})]


def test_each_object_of_an_array_keeps_its_own_bytes() -> None:
    payload = b' [ {"a": 1.50, "b":"}],["} ,\n{"c":[{}]},{}\t] '

    elements = parse_elements(payload)

    assert [raw for raw, _ in elements] == [b'{"a": 1.50, "b":"}],["}', b'{"c":[{}]}', b"{}"]
    assert [parsed for _, parsed in elements] == orjson.loads(payload)


def test_an_empty_array_has_no_elements() -> None:
    assert parse_elements(b"[]") == []
    assert split_list(b" [ ] ") == []


@pytest.mark.parametrize("payload", [b"", b"x", b"1", b'"a"', b"null", b"[1]", b'[{"a":1},2]', b"[[]]", b"\xff", b"{"])
def test_what_is_neither_an_object_nor_an_array_of_them_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_elements(payload)


@pytest.mark.parametrize("payload", [b"{}", b"", b"[1]", b"[{}", b"[{},]x", b"[{}] x", b"[{} {}]"])
def test_only_an_array_of_objects_is_split(payload: bytes) -> None:
    with pytest.raises(ValueError, match="array"):
        split_list(payload)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=4), _JSON, max_size=4), max_size=5), st.booleans(), st.booleans())
def test_any_array_is_split_into_its_objects(
    objects: list[dict[str, object]], is_ascii: bool, is_indented: bool
) -> None:
    payload = json.dumps(objects, ensure_ascii=is_ascii, indent=2 if is_indented else None)
    try:
        data = payload.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no UTF-8

    assert [orjson.loads(raw) for raw in split_list(data)] == objects
