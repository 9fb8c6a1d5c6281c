from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.samples import INCOMPLETE, messages, samples
from tests.strategies import json_values
from tests.strategies import messages as any_message
from upbit_ws.exceptions import PayloadError
from upbit_ws.models import FAMILY_FIELDS, LIST_SUBSCRIPTIONS_FIELDS, FieldSpec
from upbit_ws.simple_format_converter import is_simple, to_default, to_simple

CONVERTIBLE = {name: found for name, found in messages().items() if name != "trade.SIMPLE.old_guide_example"}


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_a_sample_comes_back_from_the_other_format_unchanged(name: str) -> None:
    for message in CONVERTIBLE[name]:
        there, back = (to_default, to_simple) if is_simple(message) else (to_simple, to_default)

        assert back(there(message)) == message
        assert list(back(there(message))) == list(message)
        assert list(there(message).values()) == list(message.values()) or any(
            isinstance(value, (dict, list)) for value in message.values()
        )


@pytest.mark.parametrize("name", [name for name in CONVERTIBLE if ".SIMPLE" in name and name not in INCOMPLETE])
def test_a_simple_sample_has_the_default_names_of_its_counterpart(name: str) -> None:
    counterpart = name.replace(".SIMPLE_LIST", ".DEFAULT").replace(".SIMPLE", ".DEFAULT")

    for message, expected in zip(CONVERTIBLE[name], CONVERTIBLE[counterpart], strict=True):
        assert list(to_default(message)) == list(expected)


def test_derived_simple_samples_are_what_conversion_gives() -> None:
    for name, sample in samples().items():
        if ".SIMPLE" in name and sample["provenance"].startswith("derived"):
            (expected,) = CONVERTIBLE[name]
            assert to_simple(CONVERTIBLE[name.replace("SIMPLE", "DEFAULT")][0]) == expected


def test_nested_names_that_overlap_are_kept_apart() -> None:
    signal = {
        "type": "indicator_signal",
        "code": "KRW-BTC",
        "params": {"type": "SMA", "period": 5, "multiplier": 2.0},
        "event_params": {"multiplier": 3.0, "threshold": 70},
        "value": {"value": 1.0, "volume": 2.0, "macd": 3.0},
        "timestamp": 1,
    }

    assert to_simple(signal) == {
        "ty": "indicator_signal",
        "cd": "KRW-BTC",
        "p": {"t": "SMA", "p": 5, "m": 2.0},
        "ep": {"mul": 3.0, "th": 70},
        "v": {"value": 1.0, "vol": 2.0, "macd": 3.0},
        "tms": 1,
    }
    assert to_default(to_simple(signal)) == signal


@pytest.mark.parametrize("message", [{"status": "UP"}, {"error": {"message": "m", "name": "NO_CODES"}}])
def test_errors_and_status_look_the_same_in_both_formats(message: dict[str, Any]) -> None:
    assert to_simple(message) == message == to_default(message)
    assert not is_simple(message)


def test_arrays_of_the_list_formats_are_converted_item_by_item() -> None:
    array = messages()["orderbook.JSON_LIST"]

    assert to_default(to_simple(array)) == array
    assert to_simple(array)[0]["obu"][0]["ap"] == 109_950_000.0


def test_conversion_to_the_format_at_hand_is_a_copy() -> None:
    (message,) = messages()["trade.DEFAULT"]
    copied = to_default(message)

    assert copied == message
    assert copied is not message


def test_unknown_fields_stay() -> None:
    message = {"type": "trade", "code": "KRW-BTC", "brand_new": {"type": 1}}

    assert to_simple(message) == {"ty": "trade", "cd": "KRW-BTC", "brand_new": {"type": 1}}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"type": "trade", "cd": "KRW-BTC"}, "cd is unknown in this format and known in the other one"),
        ({"ty": "trade", "cd": "KRW-BTC", "code": "KRW-BTC"}, "code is unknown in this format"),
        ({"type": "orderbook", "orderbook_units": [{"ap": 1}]}, r"orderbook_units\.ap is unknown in this format"),
        ({"type": "myTrade"}, "type is not a known data type: 'myTrade'"),
        ({"type": ["trade"]}, "type is not a known data type"),
        ({"mk": "KRW-BTC"}, "message has none of the keys type, ty, method"),
        (5, "message is not a JSON object but int"),
        ([{"type": "trade"}, None], "message is not a JSON object but NoneType"),
    ],
)
def test_what_cannot_be_converted_without_loss_is_refused(message: Any, problem: str) -> None:
    with pytest.raises(PayloadError, match=problem):
        to_simple(to_default(message))


def tables(found: tuple[FieldSpec, ...]) -> list[tuple[FieldSpec, ...]]:
    return [found, *(inner for spec in found if spec.nested for inner in tables(spec.nested))]


@pytest.mark.parametrize("family", [*FAMILY_FIELDS, "LIST_SUBSCRIPTIONS"])
def test_no_name_means_one_field_in_default_and_another_in_simple(family: str) -> None:
    for table in tables(FAMILY_FIELDS.get(family, LIST_SUBSCRIPTIONS_FIELDS)):
        simple = {spec.simple: spec.name for spec in table}
        assert len(simple) == len(table) == len({spec.name for spec in table})
        assert all(simple.get(spec.name, spec.name) == spec.name for spec in table)


@given(any_message())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_message_survives_the_way_there_and_back(message: dict[str, Any]) -> None:
    back = to_default(to_simple(message))

    assert back == message
    assert list(back) == list(message)


@given(json_values)
def test_garbage_is_refused_with_a_payload_error_only(garbage: Any) -> None:
    for convert in (to_default, to_simple):
        if garbage != []:
            with pytest.raises(PayloadError):
                convert(garbage)
