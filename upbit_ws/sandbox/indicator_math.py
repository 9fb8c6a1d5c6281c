"""
Indicators over closed candles, oldest first. Pure.

Upbit does not publish its formulas. These are the textbook ones: Wilder's smoothing for the RSI, an EMA that starts
from the simple average, bands of the population's deviation, the volume average including the newest candle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice, pairwise
from math import sqrt
from typing import Any

from upbit_ws.sandbox.records import CandleRecord
from upbit_ws.sandbox.tick_size import from_units

__all__ = ["compute", "has_fired", "holds"]

Series = list[float | None]
Value = dict[str, float]


def sma(values: Sequence[float], period: int) -> Series:
    """The simple average of the last `period` values, None before there are so many."""
    found: Series = [None] * min(period - 1, len(values))
    for end in range(period, len(values) + 1):
        found.append(sum(islice(values, end - period, end)) / period)
    return found


def ema(values: Sequence[float], period: int) -> Series:
    """The exponential average, starting from the simple one of the first `period` values."""
    if len(values) < period:
        return [None] * len(values)
    weight, current = 2 / (period + 1), sum(values[:period]) / period
    found: Series = [*[None] * (period - 1), current]
    for value in islice(values, period, None):
        current += weight * (value - current)
        found.append(current)
    return found


_AVERAGES: dict[str, Callable[[Sequence[float], int], Series]] = {"SMA": sma, "EMA": ema}


def rsi(closes: Sequence[float], period: int) -> Series:
    """Wilder's relative strength index, 0 to 100; 50 where nothing moved."""
    found: Series = [None] * min(period, len(closes))
    changes = [after - before for before, after in pairwise(closes)]
    if len(changes) < period:
        return found
    gain = sum(max(change, 0.0) for change in changes[:period]) / period
    loss = sum(max(-change, 0.0) for change in changes[:period]) / period
    found.append(_strength(gain, loss))
    for change in changes[period:]:
        gain += (max(change, 0.0) - gain) / period
        loss += (max(-change, 0.0) - loss) / period
        found.append(_strength(gain, loss))
    return found


def _strength(gain: float, loss: float) -> float:
    return 100 * gain / (gain + loss) if gain + loss else 50.0


def _together(**series: Series) -> list[Value | None]:
    """Several series as one of values, None where any has none."""
    found: list[Value | None] = []
    for numbers in zip(*series.values(), strict=True):
        value = {name: number for name, number in zip(series, numbers, strict=True) if number is not None}
        found.append(value if len(value) == len(series) else None)
    return found


def _volume(_closes: list[float], volumes: list[float], params: Mapping[str, Any]) -> list[Value | None]:
    averages = sma(volumes, params["period"])
    ratios: Series = [volume / average if average else None for volume, average in zip(volumes, averages, strict=True)]
    return _together(volume=list(volumes), avg_volume=averages, ratio=ratios)


def _rsi(closes: list[float], _volumes: list[float], params: Mapping[str, Any]) -> list[Value | None]:
    return _together(rsi=rsi(closes, params["period"]))


def _moving_average(closes: list[float], _volumes: list[float], params: Mapping[str, Any]) -> list[Value | None]:
    return _together(value=_AVERAGES[params["type"]](closes, params["period"]))


def _ma_crossover(closes: list[float], _volumes: list[float], params: Mapping[str, Any]) -> list[Value | None]:
    average = _AVERAGES[params["type"]]
    return _together(ma_short=average(closes, params["short_period"]), ma_long=average(closes, params["long_period"]))


def _bollinger(closes: list[float], _volumes: list[float], params: Mapping[str, Any]) -> list[Value | None]:
    period, middles = params["period"], sma(closes, params["period"])
    widths: Series = []
    for end, middle in enumerate(middles, start=1):
        if middle is None:
            widths.append(None)
        else:
            variance = sum((close - middle) ** 2 for close in islice(closes, end - period, end)) / period
            widths.append(params["multiplier"] * sqrt(variance))
    found: list[Value | None] = []
    for middle, width in zip(middles, widths, strict=True):
        if middle is None or width is None:
            found.append(None)
        else:
            found.append({"bb_upper": middle + width, "bb_middle": middle, "bb_lower": middle - width})
    return found


def _macd(closes: list[float], _volumes: list[float], params: Mapping[str, Any]) -> list[Value | None]:
    fast, slow = ema(closes, params["fast"]), ema(closes, params["slow"])
    lines: Series = [a - b if a is not None and b is not None else None for a, b in zip(fast, slow, strict=True)]
    known = [line for line in lines if line is not None]
    signals: Series = [*[None] * (len(lines) - len(known)), *ema(known, params["signal_period"])]
    found: list[Value | None] = []
    for line, signal in zip(lines, signals, strict=True):
        if line is None or signal is None:
            found.append(None)
        else:
            found.append({"macd": line, "macd_signal": signal, "histogram": line - signal})
    return found


_FORMULAS: dict[str, Callable[[list[float], list[float], Mapping[str, Any]], list[Value | None]]] = {
    "volume": _volume,
    "rsi": _rsi,
    "moving_average": _moving_average,
    "ma_crossover": _ma_crossover,
    "bollinger_bands": _bollinger,
    "macd": _macd,
}


def compute(indicator: str, params: Mapping[str, Any], candles: Sequence[CandleRecord]) -> list[Value | None]:
    """The value at each candle, None where there are not enough candles before it."""
    closes = [from_units(candle.close) for candle in candles]
    volumes = [from_units(candle.volume) for candle in candles]
    return _FORMULAS[indicator](closes, volumes, params)


# Which of two numbers of (value, close) has to be the larger one.
_COMPARED: dict[tuple[str, str], Callable[[Value, float], tuple[float, float]]] = {
    ("moving_average", "price_cross_above"): lambda value, close: (close, value["value"]),
    ("moving_average", "price_cross_below"): lambda value, close: (value["value"], close),
    ("bollinger_bands", "price_cross_above"): lambda value, close: (close, value["bb_upper"]),
    ("bollinger_bands", "price_cross_below"): lambda value, close: (value["bb_lower"], close),
    ("ma_crossover", "golden_cross"): lambda value, _close: (value["ma_short"], value["ma_long"]),
    ("ma_crossover", "dead_cross"): lambda value, _close: (value["ma_long"], value["ma_short"]),
    ("macd", "golden_cross"): lambda value, _close: (value["macd"], value["macd_signal"]),
    ("macd", "dead_cross"): lambda value, _close: (value["macd_signal"], value["macd"]),
    ("macd", "zero_cross_above"): lambda value, _close: (value["macd"], 0.0),
    ("macd", "zero_cross_below"): lambda value, _close: (0.0, value["macd"]),
}


def holds(indicator: str, trigger: str, event_params: Mapping[str, Any], value: Value, close: float) -> bool | None:
    """Whether the condition of a trigger holds; None where both sides are equal, which changes nothing."""
    if trigger == "volume_spike":
        return value["ratio"] >= float(event_params["multiplier"])
    if trigger == "overbought":
        return value["rsi"] >= float(event_params["threshold"])
    if trigger == "oversold":
        return value["rsi"] <= float(event_params["threshold"])
    larger, smaller = _COMPARED[indicator, trigger](value, close)
    return None if larger == smaller else larger > smaller


def has_fired(states: Sequence[bool | None]) -> bool:
    """Whether the newest state is the first true one after a false one; None keeps the state before it."""
    if not states or not states[-1]:
        return False
    return next((state for state in reversed(states[:-1]) if state is not None), None) is False
