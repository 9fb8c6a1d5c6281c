from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.samples import INCOMPLETE, event_messages, field_rows, messages, raw, samples
from tests.strategies import json_values, jsonable, messages_of
from tests.strategies import messages as any_message
from upbit_ws import models
from upbit_ws.events import Event, MyAssetEvent, OrderbookEvent, TickerEvent, TradeEvent
from upbit_ws.exceptions import PayloadError
from upbit_ws.models import (
    FAMILY_FIELDS,
    FieldSpec,
    Kind,
    convert_dict_to_event,
    convert_event_to_dict,
    decode_event,
    decode_events,
    parse_message,
    validate,
)
from upbit_ws.simple_format_converter import to_simple
from upbit_ws.types import DataType

SAMPLES = event_messages()
TRADE = SAMPLES["trade.DEFAULT"][0]
TICKER = SAMPLES["ticker.DEFAULT"][0]
BOOK = SAMPLES["orderbook.DEFAULT"][0]
ORDER = SAMPLES["myOrder.DEFAULT.trade"][0]
ASSET = SAMPLES["myAsset.DEFAULT"][0]
MACD = SAMPLES["indicator.DEFAULT.macd"][0]

slow_data = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


def dumps(message: Any) -> bytes:
    """JSON bytes, with the digits of Decimals as they are."""

    def default(value: Any) -> Any:
        if isinstance(value, Decimal):
            return orjson.Fragment(str(value))
        raise TypeError(type(value))

    return orjson.dumps(message, default=default)


def decoded_twice(payload: bytes) -> Event:
    """The event of the strict way, after a check that the fast way, which is there from now on, agrees."""
    first, second = decode_event(payload), decode_event(payload)
    assert type(first) is type(second)
    assert first == second
    assert first.absent == second.absent
    return second


# -- the tables -----------------------------------------------------------------------------------------------------


def flat(table: tuple[FieldSpec, ...], name: str = "", simple: str = "") -> list[tuple[str, str, FieldSpec]]:
    rows = []
    for spec in table:
        full, short = name + spec.name, simple + spec.simple
        inside = "[]." if spec.kind is Kind.OBJECTS else "."
        rows += [(full, short, spec), *flat(spec.nested, full + inside, short + inside)]
    return rows


TABLES: Mapping[str, tuple[FieldSpec, ...]] = {
    **FAMILY_FIELDS,
    "LIST_SUBSCRIPTIONS": models.LIST_SUBSCRIPTIONS_FIELDS,
    "error": models.ERROR_FIELDS,
    "status": models.STATUS_FIELDS,
}


@pytest.mark.parametrize("family", field_rows())
def test_a_table_is_the_published_one_row_by_row(family: str) -> None:
    published, ours = field_rows()[family], flat(TABLES[family])

    assert [name for name, _, _ in ours] == [row["name"] for row in published]
    for row, (_, simple, spec) in zip(published, ours, strict=True):
        assert simple == row["simple"] or (row["simple"] is None and spec.simple == spec.name), row["name"]
        assert spec.json_type == row["json_type"], row["name"]
        assert spec.nullable == row["nullable"], row["name"]
        assert spec.enum == tuple(row["enum"] or ()), row["name"]
        assert spec.optional == row.get("optional", False), row["name"]
        assert spec.deprecated == row.get("deprecated", False), row["name"]


@pytest.mark.parametrize("family", TABLES)
def test_every_row_says_what_it_means_and_every_number_its_unit(family: str) -> None:
    for name, _, spec in flat(TABLES[family]):
        assert spec.description, name
        assert spec.unit or spec.kind not in (Kind.FLOAT, Kind.DECIMAL, Kind.INT, Kind.COUNT), name


@pytest.mark.parametrize("family", FAMILY_FIELDS)
def test_an_event_has_the_fields_of_its_table_in_the_order_of_the_wire(family: str) -> None:
    fields = [field.name for field in models.EVENT_CLASSES[family].__attrs_attrs__]  # type: ignore[attr-defined]

    assert fields[: len(FAMILY_FIELDS[family])] == [spec.attribute for spec in FAMILY_FIELDS[family]]
    rest = fields[len(FAMILY_FIELDS[family]) :]
    assert rest[:2] == ["extra", "absent"]
    assert rest[2:] == (["order_price", "order_volume"] if family == "myOrder" else [])


@pytest.mark.parametrize("data_type", list(DataType))
def test_what_identifies_an_instance_is_a_field_of_its_event(data_type: DataType) -> None:
    attributes = {spec.attribute for spec in FAMILY_FIELDS[data_type.family]}

    assert set(data_type.identity) <= attributes


# -- samples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_comes_back_from_its_event_unchanged(name: str) -> None:
    for message in SAMPLES[name]:
        event, simple = convert_dict_to_event(message), "ty" in message

        assert convert_event_to_dict(event, simple=simple) == message
        assert convert_dict_to_event(convert_event_to_dict(event, simple=not simple)) == event
        assert validate(message) == []
        assert type(event) is models.EVENT_CLASSES[event.data_type.family]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_decodes_from_bytes_to_the_event_of_its_dict(name: str) -> None:
    for message in SAMPLES[name]:
        assert decoded_twice(dumps(message)) == convert_dict_to_event(message)


@pytest.mark.parametrize("name", ["orderbook.DEFAULT.captured", "orderbook.SIMPLE.captured"])
def test_captured_spellings_of_numbers_are_the_same_numbers(name: str) -> None:
    assert decoded_twice(raw(name)) == convert_dict_to_event(SAMPLES[name][0])


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.partition(".")[2].startswith("DEFAULT")])
def test_an_event_is_written_in_the_order_of_the_wire(name: str) -> None:
    (message,) = SAMPLES[name]
    written = list(convert_event_to_dict(convert_dict_to_event(message)))

    if "2024" not in name:  # those captures were printed in alphabetical order
        assert written == list(message)
    assert sorted(written) == sorted(message)


def test_the_obsolete_key_mk_is_not_supported() -> None:
    """The guide's old example has `mk` for the market and no type; every table and every capture has `cd`."""
    (message,) = messages()[INCOMPLETE[1]]

    with pytest.raises(PayloadError) as caught:
        convert_dict_to_event(message)
    assert caught.value.field == "type"
    with pytest.raises(PayloadError) as caught:
        convert_dict_to_event({"ty": "trade", **message})
    assert caught.value.field == "code"


# -- numbers --------------------------------------------------------------------------------------------------------


def test_public_numbers_are_floats_however_they_are_spelled() -> None:
    payload = raw("trade.DEFAULT").replace(b"109847000.0", b"1.09847E8")
    event = decoded_twice(payload)

    assert isinstance(event, TradeEvent)
    for value in (event.trade_price, event.best_ask_price, event.best_bid_price):
        assert type(value) is float
    assert event.trade_price == 109_847_000.0


def test_ids_keep_every_digit() -> None:
    event = decoded_twice(raw("trade.DEFAULT"))

    assert isinstance(event, TradeEvent)
    assert event.sequential_id == 17_877_285_547_970_000
    largest = decoded_twice(dumps({**TRADE, "sequential_id": 2**63 - 1}))
    assert isinstance(largest, TradeEvent)
    assert largest.sequential_id == 9_223_372_036_854_775_807


@pytest.mark.parametrize("spelling", [b"1.7877285547970000E16", b"17877285547970000.0", b"1" + b"0" * 25])
def test_an_id_that_is_no_integer_is_refused(spelling: bytes) -> None:
    decode_event(raw("trade.DEFAULT"))
    payload = raw("trade.DEFAULT").replace(b"17877285547970000", spelling)

    with pytest.raises(PayloadError, match="sequential_id must be a 64-bit integer, got number"):
        decode_event(payload)


def test_private_numbers_are_exactly_the_digits_of_the_wire() -> None:
    event = decoded_twice(raw("myAsset.DEFAULT"))

    assert isinstance(event, MyAssetEvent)
    (krw,) = event.assets
    assert str(krw.balance) == "1386929.37231066771348207123"
    assert str(krw.locked) == "10329.670127489597585685"


@pytest.mark.parametrize("spelling", samples()["raw_numbers"]["examples"])
def test_each_spelling_seen_on_the_wire_is_read_exactly_and_publicly(spelling: str) -> None:
    order = decoded_twice(dumps(ORDER).replace(b'"price":0.001453', b'"price":' + spelling.encode()))
    trade = decoded_twice(raw("trade.DEFAULT").replace(b'_price":109847000.0', b'_price":' + spelling.encode(), 1))

    price = order.price  # type: ignore[attr-defined]
    assert type(price) is Decimal
    assert price.as_tuple() == Decimal(spelling).as_tuple()
    assert trade.trade_price == float(spelling)  # type: ignore[attr-defined]


def test_floats_of_a_parsed_private_message_stand_for_the_digits_they_print() -> None:
    event = convert_dict_to_event(samples()["myOrder.DEFAULT.trade"]["payload"])

    assert event.price == Decimal("0.001453")  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1E400", "1E9999999", "1E99999999999999999999"])
@pytest.mark.parametrize("name", ["trade.DEFAULT", "myOrder.DEFAULT.trade"])
def test_numbers_that_are_none_are_refused(name: str, number: str) -> None:
    field = "trade_price" if name == "trade.DEFAULT" else "price"
    message = {**SAMPLES[name][0], field: "here"}

    with pytest.raises(PayloadError):
        decode_event(dumps(message).replace(b'"here"', number.encode()))


@pytest.mark.parametrize("value", [math.nan, math.inf, Decimal("NaN"), Decimal("sNaN"), Decimal("1E500"), 10**500])
@pytest.mark.parametrize("message", [TRADE, ORDER])
def test_parsed_numbers_that_are_none_are_refused(message: dict[str, Any], value: Any) -> None:
    field = "trade_price" if message is TRADE else "price"

    with pytest.raises(PayloadError, match=f"{field} must be a number"):
        convert_dict_to_event({**message, field: value})


def test_a_count_may_be_written_with_a_point() -> None:
    assert decode_event(dumps({**ORDER, "trades_count": 2.0})).trades_count == 2  # type: ignore[attr-defined]
    with pytest.raises(PayloadError, match="trades_count must be a whole number"):
        decode_event(dumps({**ORDER, "trades_count": 2.5}))


# -- deviations -----------------------------------------------------------------------------------------------------


def test_deprecated_fields_may_be_gone() -> None:
    gone = {key: value for key, value in TICKER.items() if key not in ("is_trading_suspended", "market_warning")}
    event = decoded_twice(dumps(gone))

    assert isinstance(event, TickerEvent)
    assert event.is_trading_suspended is None
    assert event.market_warning is None
    assert event.absent == ("is_trading_suspended", "market_warning")
    assert convert_event_to_dict(event) == gone
    assert decoded_twice(dumps(TICKER)) == convert_dict_to_event(TICKER)  # and back again


def test_the_indonesian_book_has_no_level() -> None:
    event = decoded_twice(raw("orderbook.DEFAULT.indonesia"))

    assert isinstance(event, OrderbookEvent)
    assert event.level is None
    assert "level" not in convert_event_to_dict(event)


def test_null_and_absent_are_both_none_and_still_told_apart() -> None:
    notice = SAMPLES["announcement.DEFAULT"][0]
    without = {key: value for key, value in notice.items() if key != "body"}

    for message in (without, {**notice, "body": None}):
        event = decoded_twice(dumps(message))
        assert event.body is None  # type: ignore[attr-defined]
        assert convert_event_to_dict(event) == message


def test_unknown_fields_survive_in_messages_and_in_units() -> None:
    unit = {**BOOK["orderbook_units"][0], "orders": 3}
    message = {**BOOK, "orderbook_units": [unit], "brand_new": {"a": [1, None]}}
    event = decoded_twice(dumps(message))

    assert isinstance(event, OrderbookEvent)
    assert event.extra == {"brand_new": {"a": [1, None]}}
    assert event.orderbook_units[0].extra == {"orders": 3}
    assert convert_event_to_dict(event) == message


def test_an_unknown_field_with_a_known_short_name_is_not_written_in_simple() -> None:
    event = convert_dict_to_event({**TRADE, "cd": "something else"})

    assert convert_event_to_dict(event)["cd"] == "something else"
    with pytest.raises(PayloadError, match="cd was unknown in the format it came in"):
        convert_event_to_dict(event, simple=True)


@pytest.mark.parametrize("sent", [None, "2026-12-24", "20261224", {"year": 2026, "month": 12, "day": 24}])
def test_a_delisting_date_of_any_documented_kind_is_kept_as_sent(sent: Any) -> None:
    event = decoded_twice(dumps({**TICKER, "delisting_date": sent}))

    assert isinstance(event, TickerEvent)
    assert convert_event_to_dict(event)["delisting_date"] == sent
    assert str(event.delisting_day) == ("None" if sent is None else "2026-12-24")


def test_the_last_of_duplicate_keys_counts() -> None:
    payload = raw("trade.DEFAULT")[:-1] + b',"ask_bid":"BID"}'

    assert decoded_twice(payload).ask_bid == "BID"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("message", "change", "problem"),
    [
        (TRADE, {"trade_price": None}, "trade_price must be a number, got null None"),
        (TRADE, {"trade_price": "1"}, "trade_price must be a number, got string '1'"),
        (TRADE, {"trade_price": True}, "trade_price must be a number, got boolean True"),
        (TRADE, {"sequential_id": True}, "sequential_id must be a 64-bit integer, got boolean True"),
        (TRADE, {"code": 5}, "code must be a string, got integer 5"),
        (TRADE, {"stream_type": None}, "stream_type must be a string, got null"),
        (TICKER, {"is_trading_suspended": 0}, "is_trading_suspended must be true or false, got integer 0"),
        (TICKER, {"delisting_date": 20261224}, "delisting_date must be an object, a string or null"),
        (BOOK, {"orderbook_units": {}}, "orderbook_units must be an array, got object"),
        (BOOK, {"orderbook_units": [5]}, r"orderbook_units\[0\] must be an object, got integer"),
        (
            BOOK,
            {"orderbook_units": [BOOK["orderbook_units"][0], {**BOOK["orderbook_units"][1], "ask_size": True}]},
            r"orderbook_units\[1\]\.ask_size must be a number, got boolean True",
        ),
        (
            BOOK,
            {"orderbook_units": [{"ask_price": 1.0}]},
            r"orderbook_units\[0\]\.bid_price is missing",
        ),
        (ASSET, {"assets": [{"currency": "KRW", "balance": "1", "locked": 0}]}, r"assets\[0\]\.balance must be"),
        (MACD, {"params": []}, "params must be an object, got array"),
        (MACD, {"value": {"macd": "1"}}, r"value\.macd must be a number, got string '1'"),
        (TRADE, {"type": "myTrade"}, "type is not a known data type: 'myTrade'"),
        (TRADE, {"type": None}, "type is missing"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(message: dict[str, Any], change: dict[str, Any], problem: str) -> None:
    decode_event(dumps(message))  # so that the fast way is there
    broken = {**message, **change}

    with pytest.raises(PayloadError, match=problem):
        convert_dict_to_event(broken)
    with pytest.raises(PayloadError, match=problem):
        decode_event(dumps(broken))
    assert validate(broken)


@pytest.mark.parametrize("message", [TRADE, TICKER, BOOK, ORDER, ASSET, MACD], ids=lambda message: message["type"])
def test_every_required_field_is_required(message: dict[str, Any]) -> None:
    for spec in FAMILY_FIELDS[message["type"]]:
        without = {key: value for key, value in message.items() if key != spec.name}
        if spec.may_be_absent:
            assert getattr(decoded_twice(dumps(without)), spec.attribute) is None
        else:
            with pytest.raises(PayloadError) as caught:
                decode_event(dumps(without))
            assert (caught.value.field, caught.value.problem) == (spec.name, "is missing")


def test_validation_reports_each_problem_and_unknown_values() -> None:
    broken = {**TRADE, "trade_price": "1", "change": "SIDEWAYS", "ask_bid": None, "brand_new": 1}

    assert validate(broken) == [
        "trade_price must be a number, got string '1'",
        "ask_bid must be a string, got null None",
        "change is not one of RISE, EVEN, FALL: 'SIDEWAYS'",
    ]
    assert validate(to_simple(TRADE)) == []
    assert validate([]) == ["message is not a JSON object but array"]


def test_unknown_values_of_an_enum_do_not_stop_an_event() -> None:
    assert decoded_twice(dumps({**ORDER, "smp_type": "new_mode"})).smp_type == "new_mode"  # type: ignore[attr-defined]


# -- raw messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [bytes, bytearray, memoryview, lambda payload: payload.decode()])
@pytest.mark.parametrize("name", ["trade.DEFAULT", "myAsset.DEFAULT"])
def test_any_kind_of_buffer_is_decoded(name: str, convert: Any) -> None:
    assert decode_event(convert(raw(name))) == decode_event(raw(name))


def test_an_array_of_one_is_one_event_and_of_many_are_many() -> None:
    one, many = dumps([TRADE]), dumps([TRADE, BOOK, ORDER, TRADE])

    assert decode_event(one) == convert_dict_to_event(TRADE)
    assert decode_events(one) == [decode_event(one)]
    assert decode_events(dumps(TRADE)) == [decode_event(one)]
    assert decode_events(many) == [convert_dict_to_event(item) for item in (TRADE, BOOK, ORDER, TRADE)]
    with pytest.raises(PayloadError, match="holds 4 objects; decode_events takes them all"):
        decode_event(many)
    with pytest.raises(PayloadError, match="holds 0 objects"):
        decode_event(b"[]")


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"{", b"\xff", b"null", b"5", b'"trade"', b"{}", b'{"status":"UP"}', b'{"error":{"name":"NO_CODES"}}'),
        *(b"[" * 5000, b'{"type":"myOrder","code":' + b"[" * 900 + b"]" * 900 + b"}", b'{"type":"myOrder"}'),
        *(b'{"type":' + b"[" * 900 + b"]" * 900 + b"}", b'{"type":{"a":1}}', b'{"ty":null}'),
    ],
    ids=lambda payload: repr(payload[:30]),
)
def test_what_is_no_event_is_a_payload_error_with_a_sample(payload: bytes) -> None:
    for decode in (decode_event, decode_events):
        with pytest.raises(PayloadError) as caught:
            decode(payload)
        assert payload.startswith(caught.value.raw)


def test_what_is_no_text_is_a_payload_error() -> None:
    for garbage in (None, 5, {"type": "trade"}):
        with pytest.raises(PayloadError, match="is not valid JSON"):
            decode_event(garbage)  # type: ignore[arg-type]


def test_a_message_that_is_no_mapping_of_text_is_a_payload_error() -> None:
    garbage: list[Any] = [None, 5, [], "trade", {5: 1}, {**TRADE, 5: 1}, {"type": TRADE}]
    for item in garbage:
        with pytest.raises(PayloadError):
            convert_dict_to_event(item)


def test_the_fast_way_is_taken_from_the_second_message_on() -> None:
    """Otherwise all the comparisons above compare the strict way with itself."""
    for name, found in SAMPLES.items():
        fast = models._FAST_SIMPLE if ".SIMPLE" in name else models._FAST
        for message in found:
            event = decode_event(dumps(message))
            exact = event.data_type.family in ("myOrder", "myAsset", "indicator", "indicator_signal")
            assert (event.type in fast) != exact
            if not exact:
                built = fast[event.type](message)
                assert type(built) is type(event)
                assert built == event
                with pytest.raises(AttributeError):
                    built.timestamp = 0  # type: ignore[misc]


def test_events_of_the_fast_way_have_everything_that_the_class_promises() -> None:
    event = decoded_twice(dumps(BOOK))

    assert hash(event) == hash(convert_dict_to_event(BOOK))
    assert repr(event) == repr(convert_dict_to_event(BOOK))
    assert isinstance(event, OrderbookEvent)
    with pytest.raises(AttributeError):
        event.orderbook_units[0].ask_price = 0.0  # type: ignore[misc]


def outcome(call: Any, argument: Any) -> Any:
    """The event, or which field was refused for what."""
    try:
        return call(argument)
    except PayloadError as error:
        return error.field, error.problem


# -- properties -----------------------------------------------------------------------------------------------------


@given(any_message())
@slow_data
def test_any_valid_message_comes_back_from_its_event_in_both_formats(message: dict[str, Any]) -> None:
    event = convert_dict_to_event(message)

    assert convert_event_to_dict(event) == message
    assert convert_dict_to_event(to_simple(message)) == event
    assert convert_event_to_dict(event, simple=True) == to_simple(message)


@given(any_message(), st.booleans())
@slow_data
def test_the_fast_way_gives_what_the_strict_way_gives(message: dict[str, Any], simple: bool) -> None:
    payload = dumps(to_simple(message) if simple else message)

    assert decoded_twice(payload) == convert_dict_to_event(parse_message(payload))


@given(
    st.sampled_from([DataType.TICKER, DataType.TRADE, DataType.ORDERBOOK, DataType.CANDLE_1M]).flatmap(messages_of),
    st.data(),
)
@slow_data
def test_a_broken_message_is_refused_by_the_fast_way_exactly_when_by_the_strict_way(
    message: dict[str, Any], data: st.DataObject
) -> None:
    decode_event(dumps(message))
    key = data.draw(st.sampled_from(sorted(message)))
    broken = {**message, key: data.draw(json_values)}
    payload = dumps(broken)

    assert outcome(decode_event, payload) == outcome(convert_dict_to_event, json.loads(payload))


@given(json_values, st.binary(max_size=60), st.sampled_from([spec.wire_name for spec in DataType]))
def test_garbage_raises_nothing_but_a_payload_error(value: Any, noise: bytes, name: str) -> None:
    wrapped = {"type": name, "code": value, "orderbook_units": value, "assets": [value], "params": value}
    calls: list[tuple[Any, Any]] = [
        (convert_dict_to_event, value),
        (convert_dict_to_event, wrapped),
        (decode_event, noise),
        (decode_event, dumps(jsonable(value))),
        (decode_events, dumps(jsonable(wrapped))),
    ]
    for call, argument in calls:
        with pytest.raises(PayloadError):
            call(argument)
    assert validate(value)
    assert validate(wrapped)
