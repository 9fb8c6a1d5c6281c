"""Every row of the exchange's table of indicators, from inside and from outside."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.models import INDICATOR_FIELDS
from upbit_ws.protocol.indicator_rules import INDICATORS, TIMEFRAMES, indicator_variants
from upbit_ws.types import DataType, freeze_options, indicator_variant

VALUE, SIGNAL = DataType.INDICATOR, DataType.INDICATOR_SIGNAL


def combinations(choices: Any) -> list[dict[str, Any]]:
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def everything() -> list[tuple[DataType, dict[str, Any]]]:
    wishes: list[tuple[DataType, dict[str, Any]]] = []
    for name, rule in INDICATORS.items():
        wishes += [(VALUE, {"type": name, "params": params}) for row in rule.params for params in combinations(row)]
        wishes += [
            (SIGNAL, {"type": name, "params": params, "trigger": trigger, "event_params": event})
            for row in rule.signal_params
            for params in combinations(row)
            for trigger, events in rule.triggers.items()
            for event in combinations(events)
        ]
    return wishes


def test_the_table_has_the_rows_that_upbit_publishes() -> None:
    values = [wish for data_type, wish in everything() if data_type is VALUE]
    assert {name: sum(wish["type"] == name for wish in values) for name in INDICATORS} == {
        "volume": 10, "rsi": 15, "moving_average": 30, "ma_crossover": 8, "bollinger_bands": 15, "macd": 3,
    }  # fmt: skip
    enums = {field.name: field.enum for field in INDICATOR_FIELDS}
    assert tuple(INDICATORS) == enums["indicator"]
    assert enums["timeframe"] == TIMEFRAMES


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_everything_in_the_table_is_accepted_and_no_two_wishes_are_one(timeframe: str) -> None:
    wishes = everything()
    variants = [indicator_variants(data_type, timeframe, [wish]) for data_type, wish in wishes]

    assert len(set(variants)) == len(wishes)


def test_a_variant_is_the_one_that_events_are_filed_under() -> None:
    [variant] = indicator_variants(
        VALUE, "5m", [{"type": "bollinger_bands", "params": {"multiplier": 2.0, "period": 20}}]
    )

    assert variant == indicator_variant("5m", "bollinger_bands", {"period": 20, "multiplier": 2})


@pytest.mark.parametrize("two", [2, 2.0, float("2.00")])
def test_numbers_compare_by_value(two: float) -> None:
    wish = {"type": "bollinger_bands", "params": {"period": 20.0, "multiplier": two}}

    assert indicator_variants(VALUE, "5m", [wish]) == indicator_variants(
        VALUE, "5m", [{"type": "bollinger_bands", "params": {"period": 20, "multiplier": 2}}]
    )


def test_equal_wishes_are_one_and_frozen_options_are_taken() -> None:
    wish = {"type": "rsi", "params": {"period": 14}}
    frozen = dict(freeze_options({"indicators": [wish, wish]}))["indicators"]

    assert indicator_variants(VALUE, "5m", frozen) == indicator_variants(VALUE, "5m", [wish])


RSI = {"type": "rsi", "params": {"period": 14}}
OVERBOUGHT = {**RSI, "trigger": "overbought", "event_params": {"threshold": 70}}
MACD = {"fast": 12, "slow": 26, "signal_period": 9}


@pytest.mark.parametrize(
    ("data_type", "timeframe", "indicators", "said"),
    [
        (VALUE, "1m", [RSI], "timeframe must be one of 5m, 15m, 60m, 240m, 1d"),
        (VALUE, None, [RSI], "timeframe must be one of"),
        (VALUE, "5m", None, "at least one indicator"),
        (VALUE, "5m", [], "at least one indicator"),
        (VALUE, "5m", "rsi", "must be a list"),
        (VALUE, "5m", RSI, r"write it inside \[ \]"),
        (VALUE, "5m", ["rsi"], "must hold names and values"),
        (VALUE, "5m", [{"params": {"period": 14}}], "must have a type of volume, rsi"),
        (VALUE, "5m", [{"type": "RSI"}], "must have a type of"),
        (VALUE, "5m", [{"type": "rsi"}], "params of rsi must be period of"),
        (
            SIGNAL,
            "5m",
            [{"type": "macd", "params": MACD, "trigger": "golden_cross", "event_params": {"level": 1}}],
            "event_params of golden_cross must be empty",
        ),
        (VALUE, "5m", [{"type": "rsi", "params": {"period": 15}}], "period of 2, 3"),
        (VALUE, "5m", [{"type": "rsi", "params": {"period": "14"}}], "period='14' is text, write a number"),
        (VALUE, "5m", [{"type": "rsi", "params": {"period": True}}], "period of"),
        (VALUE, "5m", [{"type": "rsi", "params": {"period": 14, "type": "SMA"}}], "period of"),
        (VALUE, "5m", [{"type": "bollinger_bands", "params": {"period": 20, "multiplier": 2.04}}], "multiplier of"),
        (VALUE, "5m", [{"type": "macd", "params": {"fast": 12, "slow": 17, "signal_period": 9}}], "fast 12, slow 26"),
        (VALUE, "5m", [{"type": "moving_average", "params": {"type": "sma", "period": 20}}], "type of SMA, EMA"),
        (VALUE, "5m", [OVERBOUGHT], "DataType.INDICATOR_SIGNAL for triggers"),
        (SIGNAL, "5m", [RSI], "trigger of rsi must be one of overbought, oversold"),
        (SIGNAL, "5m", [{**OVERBOUGHT, "trigger": "golden_cross"}], "trigger of rsi"),
        (SIGNAL, "5m", [{**OVERBOUGHT, "event_params": {"threshold": 20}}], "event_params of overbought"),
        (SIGNAL, "5m", [{**OVERBOUGHT, "event_params": {}}], "event_params of overbought"),
        (SIGNAL, "5m", [{**OVERBOUGHT, "params": {"period": 13}}], "period of 7, 9, 14, 21, 25"),
        (SIGNAL, "5m", [{**OVERBOUGHT, "level": 3}], "has 'level'"),
    ],
)
def test_what_the_exchange_would_refuse_is_refused_here_and_says_what_to_write(
    data_type: DataType, timeframe: Any, indicators: Any, said: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=said) as caught:
        indicator_variants(data_type, timeframe, indicators)

    assert "; write " in str(caught.value)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    JUNK | st.lists(st.fixed_dictionaries({"type": st.sampled_from([*INDICATORS]), "params": JUNK, "trigger": JUNK}))
)
def test_junk_is_refused_with_the_one_error(indicators: Any) -> None:
    for data_type in (VALUE, SIGNAL):
        with pytest.raises(InvalidArgumentError):
            indicator_variants(data_type, "5m", indicators)
