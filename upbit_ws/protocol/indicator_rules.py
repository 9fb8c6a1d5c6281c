"""Which indicators the exchange computes: an unsupported parameter refuses a whole request there, so none is sent.

The table is that of Upbit's websocket-indicator and -indicator-signal pages. Numbers compare by value (2, 2.0 and 2.00
are the same, 2.04 is an error), text is no number.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NoReturn

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.records import frozen
from upbit_ws.types import DataType, indicator_variant

__all__ = ["INDICATORS", "TIMEFRAMES", "IndicatorRule", "indicator_variants"]

TIMEFRAMES: Final = ("5m", "15m", "60m", "240m", "1d")

#: One allowed set of parameters: each name with its values, which may be combined freely.
Choices = Mapping[str, tuple[Any, ...]]


@frozen
class IndicatorRule:
    """One row of the table.

    Attributes:
        params: Allowed values for ``indicator``, as alternatives: parameters that come only in fixed combinations have
            one alternative each.
        signal_params: The same for ``indicator_signal``.
        triggers: Each trigger with the values of its event parameters.
    """

    params: tuple[Choices, ...]
    signal_params: tuple[Choices, ...]
    triggers: Mapping[str, Choices]


_KINDS = ("SMA", "EMA")
_NONE: Choices = MappingProxyType({})
_CROSSES: Mapping[str, Choices] = MappingProxyType({"price_cross_above": _NONE, "price_cross_below": _NONE})
_GOLDEN: Mapping[str, Choices] = MappingProxyType({"golden_cross": _NONE, "dead_cross": _NONE})
_PERIODS = (3, 5, 7, 10, 15, 20, 25, 30, 50, 60, 90, 99, 100, 120, 200)
_PAIRS: tuple[Choices, ...] = tuple(
    {"type": _KINDS, "short_period": (short,), "long_period": (long,)}
    for short, long in ((5, 20), (20, 60), (30, 90), (50, 200))
)
_TRIPLES: tuple[Choices, ...] = tuple(
    {"fast": (fast,), "slow": (slow,), "signal_period": (signal,)}
    for fast, slow, signal in ((12, 26, 9), (8, 17, 9), (5, 35, 5))
)

INDICATORS: Mapping[str, IndicatorRule] = MappingProxyType(
    {
        "volume": IndicatorRule(
            ({"period": tuple(range(5, 51, 5))},),
            ({"period": (10, 20, 50)},),
            {"volume_spike": {"multiplier": (2, 3, 5)}},
        ),
        "rsi": IndicatorRule(
            ({"period": (*range(2, 15), 21, 25)},),
            ({"period": (7, 9, 14, 21, 25)},),
            {"overbought": {"threshold": (70, 80)}, "oversold": {"threshold": (20, 30)}},
        ),
        "moving_average": IndicatorRule(
            ({"type": _KINDS, "period": _PERIODS},),
            ({"type": _KINDS, "period": (5, 10, 20, 30, 60, 90, 120, 200)},),
            _CROSSES,
        ),
        "ma_crossover": IndicatorRule(_PAIRS, _PAIRS, _GOLDEN),
        "bollinger_bands": IndicatorRule(
            ({"period": (10, 20, 50), "multiplier": (1, 1.5, 2, 2.5, 3)},),
            ({"period": (20,), "multiplier": (1.5, 2, 2.5)},),
            _CROSSES,
        ),
        "macd": IndicatorRule(_TRIPLES, _TRIPLES, {**_GOLDEN, "zero_cross_above": _NONE, "zero_cross_below": _NONE}),
    }
)

_EXAMPLE: Final = "indicators=[{'type': 'rsi', 'params': {'period': 14}}]"


def indicator_variants(data_type: DataType, timeframe: object, indicators: object) -> tuple[Hashable, ...]:
    """The variants (see `StreamKey`) of what is asked for, each checked against the table, each once.

    Args:
        data_type: `DataType.INDICATOR` or `DataType.INDICATOR_SIGNAL`.
        timeframe: ``"5m"``, ``"15m"``, ``"60m"``, ``"240m"`` or ``"1d"``.
        indicators: As in the request: ``[{"type": "rsi", "params": {"period": 14}}]``; a signal has a ``trigger`` as
            well, and ``event_params`` where the trigger has any. Frozen options (pairs for mappings) are taken, too.

    Raises:
        InvalidArgumentError: the exchange would refuse it; the message says what it takes.
    """
    if not isinstance(timeframe, str) or timeframe not in TIMEFRAMES:
        raise InvalidArgumentError("timeframe", f"must be one of {_listed(TIMEFRAMES)}, got {timeframe!r}", "'5m'")
    entries = _entries(indicators)
    return tuple(dict.fromkeys(_variant(data_type, timeframe, entry) for entry in entries))


def _entries(indicators: object) -> Sequence[Mapping[str, Any]]:
    if isinstance(indicators, Mapping):
        _refuse("indicators", f"must be a list of indicators, got one: {dict(indicators)!r}", "it inside [ ]")
    if not isinstance(indicators, Iterable) or isinstance(indicators, (str, bytes)) or not (some := list(indicators)):
        _refuse("indicators", f"must be a list of at least one indicator, got {indicators!r}", _EXAMPLE)
    return [_mapping("indicators", entry) for entry in some]


def _mapping(argument: str, value: object) -> Mapping[str, Any]:
    """A mapping, also when it was frozen to pairs."""
    try:
        return dict(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        _refuse(argument, f"must hold names and values, got {value!r}", _EXAMPLE)


def _variant(data_type: DataType, timeframe: str, entry: Mapping[str, Any]) -> Hashable:
    is_signal = data_type is DataType.INDICATOR_SIGNAL
    known = {"type", "params", "trigger", "event_params"} if is_signal else {"type", "params"}
    name = entry.get("type")
    rule = INDICATORS.get(name) if isinstance(name, str) else None
    if rule is None or not isinstance(name, str):
        _refuse("indicators", f"must have a type of {_listed(INDICATORS)}, got {name!r}", _EXAMPLE)
    if unknown := entry.keys() - known:
        problem = f"of {name} has {sorted(map(str, unknown))[0]!r}, which {data_type.wire_name} does not take"
        _refuse("indicators", problem, "DataType.INDICATOR_SIGNAL for triggers" if "trigger" in unknown else _EXAMPLE)
    given = _mapping(f"params of {name}", entry.get("params", {}))
    params = _checked(f"params of {name}", given, rule.signal_params if is_signal else rule.params)
    if not is_signal:
        return indicator_variant(timeframe, name, params)
    trigger = entry.get("trigger")
    choices = rule.triggers.get(trigger) if isinstance(trigger, str) else None
    if choices is None or not isinstance(trigger, str):
        first = next(iter(rule.triggers))
        _refuse(f"trigger of {name}", f"must be one of {_listed(rule.triggers)}, got {trigger!r}", f"'{first}'")
    event_params = _mapping(f"event_params of {trigger}", entry.get("event_params", {}))
    checked = _checked(f"event_params of {trigger}", event_params, (choices,))
    return indicator_variant(timeframe, name, params, trigger, checked)


def _checked(argument: str, given: Mapping[str, Any], alternatives: tuple[Choices, ...]) -> dict[str, Any]:
    """What was given, in its one spelling: whole numbers as int."""
    for choices in alternatives:
        if given.keys() == choices.keys() and all(_is_among(given[name], values) for name, values in choices.items()):
            return {name: _plain(given[name]) for name in choices}
    shown = " or ".join(_described(choices) for choices in alternatives)
    example = {name: values[0] for name, values in alternatives[0].items()}
    text = next((f"{name}={value!r} is text" for name, value in given.items() if _is_text_for_number(name, value)), "")
    problem = f"must be {shown}, got {dict(given)!r}" + (f" ({text}, write a number)" if text else "")
    return _refuse(argument, problem, repr(example))


def _is_among(value: object, values: tuple[Any, ...]) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    return any(
        type(value) is str if isinstance(allowed, str) else not isinstance(value, str) for allowed in values
    ) and (value in values)


def _is_text_for_number(name: str, value: object) -> bool:
    return isinstance(value, str) and name != "type"


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _described(choices: Choices) -> str:
    if not choices:
        return "empty"
    return ", ".join(
        f"{name} {values[0]!r}" if len(values) == 1 else f"{name} of {_listed(values)}"
        for name, values in choices.items()
    )


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)


def _refuse(argument: str, problem: str, instead: str) -> NoReturn:
    raise InvalidArgumentError(argument, problem, instead)
