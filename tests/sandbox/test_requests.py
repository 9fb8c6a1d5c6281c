"""What a client asks for."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.sandbox.requests import (
    ListSubscriptions,
    RequestError,
    RequestRules,
    Subscribe,
    parse_request,
    split_code,
)
from upbit_ws.sandbox.tick_size import SCALE
from upbit_ws.types import DataType, Endpoint, WireFormat

TICKET = {"ticket": "x"}
TICKER = {"type": "ticker", "codes": ["KRW-BTC"]}
REGIONAL = RequestRules(regional=True)


def parse(*objects: Any, **options: Any) -> Subscribe | ListSubscriptions:
    return parse_request(json.dumps(list(objects)), **options)


def error_of(text: str, **options: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse_request(text, **options)
    return caught.value


def test_types_codes_and_format_are_understood() -> None:
    request = parse(TICKET, TICKER, {"type": "candle.1m", "codes": ["KRW-ETH", "BTC-ETH"]}, {"format": "SIMPLE"})

    assert isinstance(request, Subscribe)
    assert (request.ticket, request.wire_format) == ("x", WireFormat.SIMPLE)
    assert [selection.data_type for selection in request.selections] == [DataType.TICKER, DataType.CANDLE_1M]
    assert request.selections[1].codes == ("KRW-ETH", "BTC-ETH")


@pytest.mark.parametrize("objects", [[{"format": "SIMPLE"}, TICKER, TICKET], [TICKER, TICKET, {"format": "SIMPLE"}]])
def test_the_order_of_the_objects_does_not_matter(objects: list[Any]) -> None:
    assert parse(*objects).wire_format is WireFormat.SIMPLE


def test_the_format_is_default_when_left_out_or_unknown() -> None:
    assert parse(TICKET, TICKER).wire_format is WireFormat.DEFAULT
    assert parse(TICKET, TICKER, {"format": "XML"}).wire_format is WireFormat.DEFAULT


def test_the_method_object_asks_for_the_subscriptions() -> None:
    request = parse(TICKET, {"method": "LIST_SUBSCRIPTIONS"}, {"format": "JSON_LIST"})

    assert request == ListSubscriptions("x", WireFormat.JSON_LIST)


@pytest.mark.parametrize(
    ("flags", "snapshot", "realtime"),
    [
        ({}, True, True),
        ({"is_only_snapshot": True}, True, False),
        ({"is_only_realtime": True}, False, True),
        ({"isOnlyRealtime": True}, False, True),
        ({"is_only_snapshot": "true"}, True, False),
        ({"is_only_snapshot": False, "isOnlySnapshot": True}, True, True),
    ],
)
def test_flags_choose_the_streams(flags: dict[str, Any], snapshot: bool, realtime: bool) -> None:
    request = parse(TICKET, {**TICKER, **flags})

    assert isinstance(request, Subscribe)
    assert (request.selections[0].snapshot, request.selections[0].realtime) == (snapshot, realtime)


def test_camel_case_flags_can_be_unknown() -> None:
    request = parse(TICKET, {**TICKER, "isOnlySnapshot": True}, rules=RequestRules(camel_case_flags=False))

    assert isinstance(request, Subscribe)
    assert request.selections[0].realtime


@pytest.mark.parametrize(("level", "group"), [(10_000, 10_000), ("10000", 10_000), (0, 0), (None, 0), (0.5, 0.5)])
def test_a_level_may_be_a_number_or_its_text(level: Any, group: float) -> None:
    request = parse(TICKET, {"type": "orderbook", "codes": ["KRW-BTC"], "level": level})

    assert isinstance(request, Subscribe)
    assert request.selections[0].group == int(group * SCALE)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("KRW-BTC", ("KRW-BTC", 30)),
        ("KRW-BTC.1", ("KRW-BTC", 1)),
        ("KRW-BTC.15", ("KRW-BTC", 15)),
        ("KRW-BTC.20", ("KRW-BTC", 30)),
        ("KRW-BTC.x", ("KRW-BTC", 30)),
        ("KRW-BTC.²", ("KRW-BTC", 30)),
    ],
)
def test_an_unsupported_suffix_falls_back_to_30(code: str, expected: tuple[str, int]) -> None:
    assert split_code(code) == expected


@pytest.mark.parametrize(
    ("objects", "name"),
    [
        ("{}", "WRONG_FORMAT"),
        ("hello", "WRONG_FORMAT"),
        ("", "WRONG_FORMAT"),
        ("[1]", "WRONG_FORMAT"),
        ("[" * 100_000, "WRONG_FORMAT"),
        ([TICKER], "NO_TICKET"),
        ([{"ticket": 1}, TICKER], "NO_TICKET"),
        ([TICKET], "NO_TYPE"),
        ([TICKET, {"codes": ["KRW-BTC"]}], "NO_TYPE"),
        ([TICKET, {"type": "ticker"}], "NO_CODES"),
        ([TICKET, {"type": "ticker", "codes": []}], "INVALID_PARAM"),
        ([TICKET, {"type": "nope", "codes": ["KRW-BTC"]}], "INVALID_PARAM"),
        ([TICKET, {"type": 7, "codes": ["KRW-BTC"]}], "WRONG_FORMAT"),
        ([TICKET, {"type": "ticker", "codes": "KRW-BTC"}], "WRONG_FORMAT"),
        ([TICKET, {"type": "ticker", "codes": [1]}], "WRONG_FORMAT"),
        ([TICKET, {**TICKER, "is_only_snapshot": 3}], "WRONG_FORMAT"),
        ([TICKET, {"type": "orderbook", "codes": ["KRW-BTC"], "level": "wide"}], "WRONG_FORMAT"),
        ([TICKET, {"type": "orderbook", "codes": ["KRW-BTC"], "level": True}], "WRONG_FORMAT"),
        ([TICKET, {"method": "LIST"}], "WRONG_FORMAT"),
        ([TICKET, TICKER, {"format": 3}], "WRONG_FORMAT"),
        ([TICKET, {"type": "myOrder"}], "INVALID_AUTH"),
        ([TICKET, {"type": "indicator", "codes": ["KRW-BTC"]}], "INVALID_AUTH"),
    ],
)
def test_every_fault_has_its_error(objects: Any, name: str) -> None:
    error = error_of(objects if isinstance(objects, str) else json.dumps(objects))

    assert error.name == name
    assert json.loads(error.payload())["error"] == {"name": name, "message": error.message}


def test_assets_must_not_name_codes_and_orders_need_not() -> None:
    text = json.dumps([TICKET, {"type": "myAsset", "codes": ["KRW-BTC"]}])
    assert error_of(text, endpoint=Endpoint.PRIVATE).name == "WRONG_FORMAT"

    for codes in ({}, {"codes": []}):
        request = parse(TICKET, {"type": "myOrder", **codes}, endpoint=Endpoint.PRIVATE)
        assert isinstance(request, Subscribe)
        assert not request.selections[0].codes


def test_errors_are_in_korean_and_the_order_of_their_keys_varies() -> None:
    assert error_of("{}").payload() == '{"error":{"message":"Format 이 맞지 않습니다.","name":"WRONG_FORMAT"}}'.encode()
    no_ticket = '{"error":{"name":"NO_TICKET","message":"티켓이 존재하지 않거나, 유효하지 않습니다."}}'
    assert error_of("[]").payload() == no_ticket.encode()
    unknown = json.dumps([TICKET, {"type": "nope", "codes": ["KRW-BTC"]}])
    assert error_of(unknown).message == "nope 은 지원하지 않는 타입입니다."


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({}, "Requested using wrong format."),
        ([TICKER], "Ticket field must be contained."),
        ([TICKET, {"type": "nope", "codes": ["USDT-BTC"]}], "type nope is not supported."),
        ([TICKET, {"type": "ticker"}], "codes field not exists."),
        ([TICKET, {"type": "orderbook", "codes": ["USDT-BTC"], "level": 0}], "Requested using wrong format."),
    ],
)
def test_regional_hosts_answer_in_english_and_know_no_level(objects: Any, message: str) -> None:
    assert error_of(json.dumps(objects), rules=REGIONAL).message == message


def test_further_rules_may_refuse() -> None:
    def refuse(data_type: DataType, part: Any, rules: RequestRules) -> None:
        raise RequestError.named("TOO_MANY_REQUEST", rules)

    assert error_of(json.dumps([TICKET, TICKER]), check=refuse).name == "TOO_MANY_REQUEST"


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["ticket", "type", "codes", "level", "format", "method"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_a_request_or_an_error(value: Any) -> None:
    with suppress(RequestError):
        assert parse_request(json.dumps(value)).ticket is not None


@given(st.binary(max_size=40))
def test_any_bytes_are_a_request_or_an_error(text: bytes) -> None:
    with pytest.raises(RequestError):
        parse_request(text)
