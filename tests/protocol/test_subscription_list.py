"""Asking the exchange what it thinks we subscribed to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.wants import CROSS, OVERBOUGHT, RSI, key
from upbit_ws.exceptions import PayloadError
from upbit_ws.protocol.subscription_list import list_subscriptions_request, parse_subscription_list
from upbit_ws.types import DataType, WireFormat

PUBLIC = {
    "method": "LIST_SUBSCRIPTIONS",
    "result": [
        {"type": "ticker", "codes": ["KRW-BTC", "KRW-ETH"]},
        {"type": "orderbook", "codes": ["KRW-BTC", "KRW-ETH.15"], "level": 0},
        {"type": "orderbook", "codes": ["KRW-BTC"], "level": 10000},
    ],
    "ticket": "unique uuid",
}
PUBLIC_KEYS = {
    key(DataType.TICKER, "KRW-BTC"),
    key(DataType.TICKER, "KRW-ETH"),
    key(DataType.ORDERBOOK, "KRW-BTC"),
    key(DataType.ORDERBOOK, "KRW-ETH"),
    key(DataType.ORDERBOOK, "KRW-BTC", 10000),
}
SIMPLE = {
    "mthd": "LIST_SUBSCRIPTIONS",
    "rslt": [
        {"ty": "ticker", "cds": ["KRW-BTC", "KRW-ETH"]},
        {"ty": "orderbook", "cds": ["KRW-BTC", "KRW-ETH.15"], "lv": 0},
        {"ty": "orderbook", "cds": ["KRW-BTC"], "lv": 10000},
    ],
    "tckt": "unique uuid",
}


@pytest.mark.parametrize("wire_format", WireFormat)
def test_the_request_always_names_the_running_format(wire_format: WireFormat) -> None:
    ticket, method, last = orjson.loads(list_subscriptions_request("x", wire_format))
    assert (ticket, method) == ({"ticket": "x"}, {"method": "LIST_SUBSCRIPTIONS"})
    assert last == {"format": wire_format.value}


@pytest.mark.parametrize("payload", [PUBLIC, SIMPLE, [PUBLIC], [SIMPLE]], ids=["bare", "simple", "list", "simple-list"])
def test_the_answer_is_read_in_every_format(payload: Any) -> None:
    answer = parse_subscription_list(orjson.dumps(payload))
    assert answer.keys == PUBLIC_KEYS
    assert answer.ticket == "unique uuid"
    assert answer.unknown_types == ()


def test_a_message_that_is_parsed_already_is_read_as_well() -> None:
    assert parse_subscription_list(PUBLIC).keys == PUBLIC_KEYS


def test_types_without_codes_stand_for_all() -> None:
    result = [{"type": "myAsset"}, {"type": "myOrder"}, {"type": "myOrder", "codes": ["KRW-BTC"]}]
    answer = parse_subscription_list({"method": "LIST_SUBSCRIPTIONS", "result": result, "ticket": "t"})
    assert answer.keys == {key(DataType.MY_ASSET), key(DataType.MY_ORDER), key(DataType.MY_ORDER, "KRW-BTC")}


def test_indicators_are_told_apart_by_their_parameters() -> None:
    signal = {"type": "rsi", "params": {"period": 7}, "trigger": "overbought", "event_params": {"threshold": 70}}
    cross = {"type": "moving_average", "params": {"period": 5, "type": "SMA"}, "trigger": "price_cross_above"}
    result = [
        {"type": "indicator_signal", "codes": ["KRW-DOGE"], "timeframe": "5m", "indicators": [signal, cross]},
        {"type": "indicator", "codes": ["KRW-BTC"], "timeframe": "5m", "indicators": [{"ty": "rsi", "p": {"p": 14}}]},
    ]
    answer = parse_subscription_list({"method": "LIST_SUBSCRIPTIONS", "result": result, "ticket": "t"})
    assert answer.keys == {
        key(DataType.INDICATOR_SIGNAL, "KRW-DOGE", OVERBOUGHT),
        key(DataType.INDICATOR_SIGNAL, "KRW-DOGE", CROSS),
        key(DataType.INDICATOR, "KRW-BTC", RSI),
    }


def test_types_of_the_future_are_named_and_passed_over() -> None:
    result = [{"type": "newThing", "codes": ["X"]}, {"type": "ticker", "codes": ["KRW-BTC"]}, "rubbish"]
    answer = parse_subscription_list({"method": "LIST_SUBSCRIPTIONS", "result": result})
    assert answer.keys == {key(DataType.TICKER, "KRW-BTC")}
    assert answer.unknown_types == ("newThing", "None")
    assert answer.ticket == ""


def test_an_empty_result_is_an_answer() -> None:
    assert parse_subscription_list({"method": "LIST_SUBSCRIPTIONS", "result": None}).keys == frozenset()


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"3", b'{"method":"OTHER"}', b'{"type":"ticker"}', b"[{},{}]", orjson.dumps([PUBLIC] * 2)],
)
def test_anything_else_is_a_payload_error(payload: bytes) -> None:
    with pytest.raises(PayloadError):
        parse_subscription_list(payload)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "ticker", "codes": 3},
        {"type": "indicator", "codes": ["KRW-BTC"], "indicators": [{"type": "rsi", "params": "x"}]},
        {"type": "orderbook", "codes": ["KRW-BTC"], "level": [1]},
    ],
)
def test_a_malformed_item_is_a_payload_error_that_names_the_type(item: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match=item["type"]):
        parse_subscription_list({"method": "LIST_SUBSCRIPTIONS", "result": [item]})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("ticker") | st.just("indicator"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "codes", "level", "indicators", "params", "ty"]), inner, max_size=4
            )
        ),
        max_leaves=15,
    )
)
def test_whatever_comes_only_payload_errors_are_raised(result: Any) -> None:
    with suppress(PayloadError):
        parse_subscription_list({"method": "LIST_SUBSCRIPTIONS", "result": [result]})
