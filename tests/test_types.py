from __future__ import annotations

import copy
import pickle
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.process import ROOT, PythonRunner
from tests.samples import field_rows
from upbit_ws import data_types, types
from upbit_ws.events import TradeEvent
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.metrics import ConnectionStatus
from upbit_ws.types import (
    DataType,
    Endpoint,
    Readiness,
    Reading,
    Retention,
    StreamKey,
    StreamType,
    SubscriptionSpec,
    Want,
    WireFormat,
    freeze_options,
    indicator_variant,
)


def test_each_published_type_is_a_row() -> None:
    types_of = [row["enum"] for rows in field_rows().values() for row in rows if row["name"] == "type"]
    published = {name for names in types_of for name in names}

    assert {member.value for member in DataType} == published


@pytest.mark.parametrize("member", list(DataType))
def test_a_member_knows_its_own_facts(member: DataType) -> None:
    assert member.value == member.wire_name
    assert member.is_private == (member.endpoint is Endpoint.PRIVATE)
    assert member.needs_auth == (member.endpoint is not Endpoint.PUBLIC)
    assert member.is_candle == (member.unit is not None) == (member.unit_seconds is not None)
    assert member.has_codes or not member.codes_required
    assert pickle.loads(pickle.dumps(member)) is member
    assert copy.deepcopy(member) is member


def test_candles_are_one_family_with_their_own_unit_and_rest_path() -> None:
    candles = {member.unit: member for member in DataType if member.is_candle}

    assert list(candles) == ["1s", "1m", "3m", "5m", "10m", "15m", "30m", "60m", "240m"]
    assert {member.family for member in candles.values()} == {"candle"}
    assert candles["1s"].rest_path == "/v1/candles/seconds"
    assert candles["240m"].rest_path == "/v1/candles/minutes/240"
    assert candles["240m"].unit_seconds == 14_400


def test_only_the_newest_ticker_and_book_count() -> None:
    states = {member for member in DataType if member.retention is Retention.STATE}

    assert states == {DataType.TICKER, DataType.ORDERBOOK}


@pytest.mark.parametrize(
    "written", ["candle.1m", "CANDLE_1M", "candle_1m", "Candle.1m", "candle1m", DataType.CANDLE_1M]
)
def test_a_type_may_be_written_in_any_way_that_means_only_one(written: Any) -> None:
    assert DataType.parse(written) is DataType.CANDLE_1M


@pytest.mark.parametrize(
    ("written", "member"),
    [("ticker", DataType.TICKER), ("myorder", DataType.MY_ORDER), ("indicator-signal", DataType.INDICATOR_SIGNAL)],
)
def test_a_type_may_be_named_by_text(written: str, member: DataType) -> None:
    assert DataType.parse(written) is member


@pytest.mark.parametrize("written", ["candle", "candle.2m", "candle.1M", "tickers", "", None, 5])
def test_a_type_that_does_not_exist_is_refused_with_the_ones_that_do(written: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"must be one of 'ticker', 'trade', .*; write .*DataType\."):
        DataType.parse(written)


def test_find_takes_the_wire_name_and_nothing_else() -> None:
    assert DataType.find("candle.5m") is DataType.CANDLE_5M
    assert DataType.find("CANDLE_5M") is None
    assert DataType.find(["candle.5m"]) is None
    assert DataType.find(None) is None


@pytest.mark.parametrize(
    ("unit", "member"),
    [
        (1, DataType.CANDLE_1M),
        (240, DataType.CANDLE_240M),
        ("5", DataType.CANDLE_5M),
        ("1s", DataType.CANDLE_1S),
        ("60m", DataType.CANDLE_60M),
        ("1h", DataType.CANDLE_60M),
        ("4h", DataType.CANDLE_240M),
        ("candle.3m", DataType.CANDLE_3M),
        (DataType.CANDLE_15M, DataType.CANDLE_15M),
    ],
)
def test_a_candle_unit_is_minutes_or_a_text(unit: Any, member: DataType) -> None:
    assert DataType.candle(unit) is member


@pytest.mark.parametrize("unit", [0, 2, -5, True, 1.0, "1M", "1d", "5 m", "", None, DataType.TICKER])
def test_a_candle_that_does_not_exist_is_refused_with_the_ones_that_do(unit: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"unit must be one of '1s', '1m', .* or whole minutes, got"):
        DataType.candle(unit)


def test_a_new_candle_unit_is_one_line(tmp_path: Path) -> None:
    """Adds the row to a copy of the package, then asks every part that must know it."""
    copied = tmp_path / "upbit_ws"
    shutil.copytree(ROOT / "upbit_ws", copied, ignore=shutil.ignore_patterns("__pycache__"))
    table = copied / "data_types.py"
    row = '    CANDLE_240M = _candle("240m", 14400)\n'
    source = table.read_text("utf-8")
    assert row in source
    table.write_text(source.replace(row, row + '    CANDLE_1D = _candle("1d", 86400)\n'), "utf-8")
    program = """
        import json
        from upbit_ws.models import convert_event_to_dict, decode_event, family_fields, validate
        from upbit_ws.simple_format_converter import to_default, to_simple
        from upbit_ws.types import DataType, SubscriptionSpec

        day = DataType.CANDLE_1D
        message = {
            "type": "candle.1d", "code": "KRW-BTC",
            "candle_date_time_utc": "2026-08-26T00:00:00", "candle_date_time_kst": "2026-08-26T09:00:00",
            "opening_price": 1.0, "high_price": 2.0, "low_price": 1.0, "trade_price": 2.0,
            "candle_acc_trade_volume": 3.0, "candle_acc_trade_price": 4.0,
            "timestamp": 1787731717049, "stream_type": "SNAPSHOT",
        }
        for _ in range(2):
            event = decode_event(json.dumps(message).encode())
        assert type(event).__name__ == "CandleEvent" and event.data_type is day
        assert convert_event_to_dict(event) == message == to_default(to_simple(message))
        assert validate(message) == []
        assert DataType.candle("1d") is day is DataType.candle("24h") is DataType.parse("candle.1d")
        assert day.rest_path == "/v1/candles/days"
        assert "candle.1d" in family_fields("candle")[0].enum
        assert SubscriptionSpec("candle.1d", ["KRW-BTC"]).data_type is day
        print("known everywhere")
    """

    with PythonRunner() as python:
        result = python(["-c", textwrap.dedent(program)], cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (result.stdout.strip(), result.stderr) == ("known everywhere", "")


def test_endpoints_have_the_paths_of_the_guide() -> None:
    assert [endpoint.path for endpoint in Endpoint] == [
        "/websocket/v1",
        "/websocket/v1/private",
        "/websocket/v1/info",
    ]


def test_formats_tell_names_and_arrays() -> None:
    assert [(item.is_simple, item.is_list) for item in WireFormat] == [
        (False, False),
        (True, False),
        (False, True),
        (True, True),
    ]


def test_text_enums_are_their_text() -> None:
    assert StreamType.SNAPSHOT == "SNAPSHOT"
    assert f"{StreamType.SNAPSHOT} {StreamType.SNAPSHOT!s}" == "SNAPSHOT SNAPSHOT"
    assert {Endpoint.PUBLIC: 1}["public"] == 1  # type: ignore[index]


def test_indicator_variants_do_not_depend_on_order_or_spelling_of_numbers() -> None:
    first = indicator_variant("5m", "macd", {"fast": 12, "slow": 26})

    assert first == indicator_variant("5m", "macd", {"slow": 26.0, "fast": 12})
    assert hash(first) == hash(indicator_variant("5m", "macd", {"slow": 26.0, "fast": 12}))
    assert first != indicator_variant("5m", "macd", {"fast": 8, "slow": 26})
    assert first != indicator_variant("5m", "macd", {"fast": 12, "slow": 26}, "golden_cross", {})


def test_options_become_hashable_and_sorted() -> None:
    options = freeze_options({"timeframe": "5m", "indicators": [{"type": "rsi", "params": {"period": 14}}]})

    assert options == (
        ("indicators", ((("params", (("period", 14),)), ("type", "rsi")),)),
        ("timeframe", "5m"),
    )
    assert freeze_options(options) == options
    assert Want(StreamKey(DataType.ANNOUNCEMENT, ""), options={"include_body": True}).options == (
        ("include_body", True),
    )


def test_a_specification_accepts_what_users_write() -> None:
    spec = SubscriptionSpec("orderbook", ["krw-btc", "ETH/KRW"], units=15, level=0)

    assert spec == SubscriptionSpec(DataType.ORDERBOOK, ("KRW-BTC", "KRW-ETH"), units=15)
    assert hash(spec) == hash(SubscriptionSpec(DataType.ORDERBOOK, ("KRW-BTC", "KRW-ETH"), units=15))
    assert SubscriptionSpec(DataType.MY_ORDER).symbols == ()
    assert SubscriptionSpec(DataType.MY_ORDER, []).symbols == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_type": "ticker"}, "symbols must name at least one code for ticker"),
        ({"data_type": "ticker", "symbols": "KRW-BTC"}, r"write symbols=\['KRW-BTC'\]"),
        ({"data_type": "myAsset", "symbols": ["KRW-BTC"]}, "symbols cannot be given for myAsset"),
        ({"data_type": "orderbook", "symbols": ["KRW-BTC"], "units": 10}, "units must be one of 1, 5, 15, 30, got 10"),
        ({"data_type": "orderbook", "symbols": ["KRW-BTC"], "units": True}, "units must be one of"),
        ({"data_type": "orderbook", "symbols": ["KRW-BTC"], "level": -1}, "level must be a price step"),
        ({"data_type": "orderbook", "symbols": ["KRW-BTC"], "level": "10000"}, "level must be a price step"),
        ({"data_type": "ticker", "symbols": ["KRW-BTC"], "units": 5}, "units and level are for order books"),
        (
            {"data_type": "ticker", "symbols": ["KRW-BTC"], "is_only_snapshot": True, "is_only_realtime": True},
            "exclude each other",
        ),
        ({"data_type": "nope", "symbols": ["KRW-BTC"]}, "data_type must be one of"),
    ],
)
def test_a_specification_that_cannot_be_served_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        SubscriptionSpec(**arguments)


def test_readiness_is_true_when_nothing_is_silent() -> None:
    key = StreamKey(DataType.TICKER, "KRW-BTC")

    assert Readiness(delivered=(key,))
    assert not Readiness(silent=(key,))
    assert Readiness().is_complete


def test_a_reading_names_its_stream() -> None:
    event = TradeEvent(
        symbol="KRW-BTC",
        timestamp=2,
        trade_date="2026-08-26",
        trade_time="07:15:54",
        trade_timestamp=1,
        trade_price=1.0,
        trade_volume=1.0,
        ask_bid="ASK",
        prev_closing_price=1.0,
        change_price=0.0,
        sequential_id=10_000,
        stream_type=StreamType.RECOVERED,
    )
    reading = Reading(event, received_at=5.0, epoch=1, revision=1, vouched_at=5.0, is_live=True, age=0.0)

    assert reading.data_type is DataType.TRADE
    assert reading.symbol == "KRW-BTC"


def test_statuses_cannot_be_changed() -> None:
    status = ConnectionStatus(endpoint=Endpoint.PUBLIC, state=types.ConnectionState.CONNECTED)

    with pytest.raises(AttributeError):
        status.epoch = 2  # type: ignore[misc]


def test_everything_is_importable_from_types() -> None:
    for name in (*data_types.__all__, *types.__all__):
        assert hasattr(types, name)
