"""Which indicators can be asked for."""

from __future__ import annotations

from typing import Any

import pytest

from upbit_ws.sandbox.indicator_rules import check_combinations, read_wishes
from upbit_ws.sandbox.requests import RequestError, RequestRules, Selection
from upbit_ws.types import DataType

RULES = RequestRules()
INDICATOR, SIGNAL = DataType.INDICATOR, DataType.INDICATOR_SIGNAL
RSI = {"type": "rsi", "params": {"period": 14}}


def part(*indicators: Any, codes: list[str] | None = None, **changed: Any) -> dict[str, Any]:
    return {"codes": codes or ["KRW-BTC"], "timeframe": "5m", "indicators": list(indicators), **changed}


def refusal(data_type: DataType, asked: dict[str, Any]) -> str:
    with pytest.raises(RequestError) as caught:
        read_wishes(data_type, asked, RULES)
    return caught.value.name


def test_every_code_is_combined_with_every_indicator() -> None:
    macd = {"type": "macd", "params": {"fast": 12, "slow": 26, "signal_period": 9}}
    wishes = read_wishes(INDICATOR, part(RSI, macd, codes=["KRW-BTC", "KRW-ETH"]), RULES)

    assert [(wish.code, wish.indicator) for wish in wishes] == [
        ("KRW-BTC", "rsi"),
        ("KRW-BTC", "macd"),
        ("KRW-ETH", "rsi"),
        ("KRW-ETH", "macd"),
    ]
    assert wishes[1].params == (("fast", 12), ("slow", 26), ("signal_period", 9))


@pytest.mark.parametrize("multiplier", [2, 2.0])
def test_numbers_count_by_value(multiplier: float) -> None:
    bands = {"type": "bollinger_bands", "params": {"multiplier": multiplier, "period": 20.0}}
    (wish,) = read_wishes(INDICATOR, part(bands), RULES)
    assert repr(wish.params) == "(('period', 20), ('multiplier', 2.0))"


@pytest.mark.parametrize(
    ("indicator", "params"),
    [
        ("rsi", {"period": 15}),
        ("rsi", {"period": "14"}),
        ("rsi", {"period": True}),
        ("rsi", {"period": [14]}),
        ("rsi", {}),
        ("rsi", {"period": 14, "type": "SMA"}),
        ("volume", {"period": 7}),
        ("moving_average", {"type": "WMA", "period": 20}),
        ("moving_average", {"period": 20}),
        ("ma_crossover", {"type": "SMA", "short_period": 5, "long_period": 60}),
        ("bollinger_bands", {"period": 20, "multiplier": 2.04}),
        ("macd", {"fast": 12, "slow": 26, "signal_period": 5}),
        ("obv", {}),
    ],
)
def test_what_the_table_does_not_have_is_an_invalid_parameter(indicator: str, params: dict[str, Any]) -> None:
    assert refusal(INDICATOR, part(RSI, {"type": indicator, "params": params})) == "INVALID_PARAM"


@pytest.mark.parametrize(
    "changed", [{"timeframe": "1m"}, {"timeframe": None}, {"indicators": []}, {"indicators": None}]
)
def test_a_time_frame_and_indicators_are_needed(changed: dict[str, Any]) -> None:
    assert refusal(INDICATOR, part(RSI, **changed)) == "INVALID_PARAM"


@pytest.mark.parametrize(
    "asked",
    [
        part(RSI, timeframe=5),
        part(indicators={"type": "rsi"}),
        part("rsi"),
        part({"type": 5}),
        part({"type": "rsi", "params": [14]}),
    ],
)
def test_what_has_another_type_is_a_wrong_format(asked: dict[str, Any]) -> None:
    assert refusal(INDICATOR, asked) == "WRONG_FORMAT"


def test_signals_have_a_table_of_their_own() -> None:
    assert refusal(SIGNAL, part({**RSI, "trigger": "oversold"})) == "INVALID_PARAM"
    oversold = {**RSI, "trigger": "oversold", "event_params": {"threshold": 30.0}}
    (wish,) = read_wishes(SIGNAL, part(oversold), RULES)
    assert (wish.trigger, wish.event_params) == ("oversold", (("threshold", 30),))
    average = {"type": "moving_average", "params": {"type": "SMA", "period": 5}, "trigger": "price_cross_above"}
    (wish,) = read_wishes(SIGNAL, part({**average, "event_params": {}}), RULES)
    assert (wish.trigger, wish.event_params) == ("price_cross_above", ())
    read_wishes(INDICATOR, part({"type": "rsi", "params": {"period": 2}}), RULES)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"trigger": None}, "INVALID_PARAM"),
        ({"trigger": "golden_cross"}, "INVALID_PARAM"),
        ({"trigger": 5}, "WRONG_FORMAT"),
        ({"event_params": {"threshold": 75}}, "INVALID_PARAM"),
        ({"event_params": {}}, "INVALID_PARAM"),
        ({"event_params": {"threshold": 70, "multiplier": 2.0}}, "INVALID_PARAM"),
        ({"event_params": [70]}, "WRONG_FORMAT"),
        ({"params": {"period": 2}}, "INVALID_PARAM"),
    ],
)
def test_a_trigger_has_to_fit(changed: dict[str, Any], error: str) -> None:
    overbought = {**RSI, "trigger": "overbought", "event_params": {"threshold": 70}}
    assert refusal(SIGNAL, part({**overbought, **changed})) == error


def test_a_hundred_combinations_are_the_most() -> None:
    def selection(data_type: DataType, codes: int, indicators: int) -> Selection:
        return Selection(data_type, ("KRW-BTC",) * codes, options={"indicators": [RSI] * indicators})

    check_combinations([selection(INDICATOR, 20, 3), selection(SIGNAL, 40, 1)], RULES)
    with pytest.raises(RequestError) as caught:
        check_combinations([selection(INDICATOR, 20, 3), selection(SIGNAL, 41, 1)], RULES)
    assert caught.value.name == "TOO_MANY_REQUEST"
