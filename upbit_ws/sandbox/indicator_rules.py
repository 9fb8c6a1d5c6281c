"""
Which indicators can be asked for: the table of Upbit's indicator pages, and the checks of a request against it. Pure.

Numbers count by value (2, 2.0 and 2.00 are one), texts are no numbers, and anything else refuses the whole request.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from upbit_ws.sandbox.private_requests import unsupported
from upbit_ws.sandbox.requests import RequestError, RequestRules, Selection
from upbit_ws.types import DataType

__all__ = ["TIMEFRAMES", "Wish", "check_combinations", "read_wishes"]

TIMEFRAMES: dict[str, str] = {"5m": "5m", "15m": "15m", "60m": "60m", "240m": "240m", "1d": "day"}
"""The time frames, and the unit of the candles that each is computed from."""

_MOST_COMBINATIONS = 100
_AVERAGES = ("SMA", "EMA")
_CROSSOVERS = tuple((kind, *periods) for kind in _AVERAGES for periods in ((5, 20), (20, 60), (30, 90), (50, 200)))
_MACDS = ((12, 26, 9), (8, 17, 9), (5, 35, 5))
_LONG_PERIODS = (3, 5, 7, 10, 15, 20, 25, 30, 50, 60, 90, 99, 100, 120, 200)

Values = tuple[Hashable, ...]


def _alone(values: Iterable[Hashable]) -> tuple[Values, ...]:
    return tuple((value,) for value in values)


_NAMES: dict[str, tuple[str, ...]] = {
    "volume": ("period",),
    "rsi": ("period",),
    "moving_average": ("type", "period"),
    "ma_crossover": ("type", "short_period", "long_period"),
    "bollinger_bands": ("period", "multiplier"),
    "macd": ("fast", "slow", "signal_period"),
}
_ALLOWED: dict[DataType, dict[str, tuple[Values, ...]]] = {
    DataType.INDICATOR: {
        "volume": _alone(range(5, 51, 5)),
        "rsi": _alone((*range(2, 15), 21, 25)),
        "moving_average": tuple(product(_AVERAGES, _LONG_PERIODS)),
        "ma_crossover": _CROSSOVERS,
        "bollinger_bands": tuple(product((10, 20, 50), (1.0, 1.5, 2.0, 2.5, 3.0))),
        "macd": _MACDS,
    },
    DataType.INDICATOR_SIGNAL: {
        "volume": _alone((10, 20, 50)),
        "rsi": _alone((7, 9, 14, 21, 25)),
        "moving_average": tuple(product(_AVERAGES, (5, 10, 20, 30, 60, 90, 120, 200))),
        "ma_crossover": _CROSSOVERS,
        "bollinger_bands": tuple(product((20,), (1.5, 2.0, 2.5))),
        "macd": _MACDS,
    },
}
# Trigger: the name of its condition parameter, and the values that may have.
_NO_PARAM: tuple[str, tuple[float, ...]] = ("", ())
_TRIGGERS: dict[str, dict[str, tuple[str, tuple[float, ...]]]] = {
    "volume": {"volume_spike": ("multiplier", (2.0, 3.0, 5.0))},
    "rsi": {"overbought": ("threshold", (70, 80)), "oversold": ("threshold", (20, 30))},
    "moving_average": dict.fromkeys(("price_cross_above", "price_cross_below"), _NO_PARAM),
    "ma_crossover": dict.fromkeys(("golden_cross", "dead_cross"), _NO_PARAM),
    "bollinger_bands": dict.fromkeys(("price_cross_above", "price_cross_below"), _NO_PARAM),
    "macd": dict.fromkeys(("golden_cross", "dead_cross", "zero_cross_above", "zero_cross_below"), _NO_PARAM),
}


class Wish(NamedTuple):
    """One combination: of one code, one indicator with its parameters, and for a signal its trigger."""

    data_type: DataType
    code: str
    timeframe: str
    indicator: str
    params: tuple[tuple[str, Any], ...]
    trigger: str | None = None
    event_params: tuple[tuple[str, Any], ...] = ()


def read_wishes(data_type: DataType, part: Mapping[str, Any], rules: RequestRules) -> list[Wish]:
    """
    What a type object asks for, code by code.

    Raises:
        RequestError: WRONG_FORMAT for what has the wrong type, INVALID_PARAM for what the table does not have.
    """
    timeframe, asked = part.get("timeframe"), part.get("indicators")
    if not isinstance(timeframe, (str, type(None))) or not isinstance(asked, (list, type(None))):
        raise RequestError.named("WRONG_FORMAT", rules)
    if timeframe not in TIMEFRAMES:
        raise unsupported("timeframe", timeframe, rules)
    if not asked:
        raise unsupported("indicators", asked, rules)
    read = [_indicator(data_type, one, rules) for one in asked]
    return [Wish(data_type, code, timeframe, *one) for code in part.get("codes") or () for one in read]


def _indicator(data_type: DataType, asked: Any, rules: RequestRules) -> tuple[Any, ...]:
    """Name, parameters, trigger and its parameters of one element of `indicators`."""
    if not isinstance(asked, dict):
        raise RequestError.named("WRONG_FORMAT", rules)
    name, params = asked.get("type"), asked.get("params", {})
    if not isinstance(name, str) or not isinstance(params, dict):
        raise RequestError.named("WRONG_FORMAT", rules)
    if name not in _NAMES:
        raise unsupported("indicator", name, rules)
    found = _matching(params, _NAMES[name], _ALLOWED[data_type][name])
    if found is None:
        raise unsupported("params", params, rules)
    if data_type is DataType.INDICATOR:
        return name, found
    return name, found, *_trigger(name, asked, rules)


def _trigger(name: str, asked: Mapping[str, Any], rules: RequestRules) -> tuple[str, tuple[tuple[str, Any], ...]]:
    trigger, params = asked.get("trigger"), asked.get("event_params") or {}
    if not isinstance(trigger, (str, type(None))) or not isinstance(params, dict):
        raise RequestError.named("WRONG_FORMAT", rules)
    if trigger is None or trigger not in _TRIGGERS[name]:
        raise unsupported("trigger", trigger, rules)
    param, values = _TRIGGERS[name][trigger]
    found = _matching(params, (param,) if param else (), _alone(values) if param else ((),))
    if found is None:
        raise unsupported("event_params", params, rules)
    return trigger, found


def _matching(
    given: Mapping[str, Any], names: tuple[str, ...], allowed: tuple[Values, ...]
) -> tuple[tuple[str, Any], ...] | None:
    """The allowed values that equal the given ones, by name; None where there are none or a name is wrong."""
    if set(given) != set(names) or any(isinstance(value, (bool, list, dict)) for value in given.values()):
        return None
    values = tuple(given[name] for name in names)
    found = next((candidate for candidate in allowed if candidate == values), None)
    return None if found is None else tuple(zip(names, found, strict=True))


def check_combinations(selections: Iterable[Selection], rules: RequestRules) -> None:
    """Raise TOO_MANY_REQUEST if a request asks for more than 100 combinations of code and indicator."""

    def counts() -> Iterator[int]:
        for selection in selections:
            if selection.data_type in _ALLOWED:
                yield len(selection.codes or ()) * len(selection.options["indicators"])

    if sum(counts()) > _MOST_COMBINATIONS:
        raise RequestError.named("TOO_MANY_REQUEST", rules)
