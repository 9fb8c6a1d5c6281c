"""Field tables of the info types. Names overlap between nested tables (`p`, `t`, `m`, `value`), so each has its own.

Source: Upbit's websocket-indicator and -indicator-signal pages; SIMPLE names as in Upbit's own SDK 1.1.0.
"""

from __future__ import annotations

from upbit_ws.field_spec import REALTIME, FieldSpec, Kind, Table, number, text, time, type_field

__all__ = [
    "EVENT_PARAMS_FIELDS",
    "INDICATOR_FIELDS",
    "INDICATOR_PARAMS_FIELDS",
    "INDICATOR_SIGNAL_FIELDS",
    "INDICATOR_VALUE_FIELDS",
]


def _param(name: str, simple: str, used_by: str, unit: str = "candles") -> FieldSpec:
    return FieldSpec(name, simple, Kind.COUNT, used_by, unit, optional=True)


INDICATOR_PARAMS_FIELDS: Table = (
    _param("period", "p", "volume, rsi, moving_average, bollinger_bands."),
    text("type", "t", "moving_average, ma_crossover.", enum=("SMA", "EMA"), optional=True),
    _param("short_period", "shp", "ma_crossover."),
    _param("long_period", "lop", "ma_crossover."),
    number("multiplier", "m", "bollinger_bands.", "standard deviations", optional=True),
    _param("fast", "f", "macd."),
    _param("slow", "s", "macd."),
    _param("signal_period", "sgp", "macd."),
)

INDICATOR_VALUE_FIELDS: Table = (
    number("volume", "vol", "volume.", "base", optional=True),
    number("avg_volume", "av", "volume.", "base", optional=True),
    number("ratio", "rto", "volume.", "ratio", optional=True),
    number("rsi", "rsi", "rsi.", "0 to 100", optional=True),
    number("value", "value", "moving_average; not abbreviated in SIMPLE.", "quote", optional=True),
    number("ma_short", "mas", "ma_crossover.", "quote", optional=True),
    number("ma_long", "mal", "ma_crossover.", "quote", optional=True),
    number("bb_upper", "bbu", "bollinger_bands.", "quote", optional=True),
    number("bb_middle", "bbm", "bollinger_bands.", "quote", optional=True),
    number("bb_lower", "bbl", "bollinger_bands.", "quote", optional=True),
    number("macd", "macd", "macd.", "quote", optional=True),
    number("macd_signal", "macds", "macd.", "quote", optional=True),
    number("histogram", "hist", "macd.", "quote", optional=True),
)

EVENT_PARAMS_FIELDS: Table = (
    _param("threshold", "th", "rsi.", "0 to 100"),
    number("multiplier", "mul", "volume (`m` in params, `mul` here).", "ratio", optional=True),
)

_TIMEFRAMES = ("5m", "15m", "60m", "240m", "1d")
_TRIGGERS = (
    *("volume_spike", "overbought", "oversold", "price_cross_above", "price_cross_below"),
    *("golden_cross", "dead_cross", "zero_cross_above", "zero_cross_below"),
)
_INDICATORS = ("volume", "rsi", "moving_average", "ma_crossover", "bollinger_bands", "macd")
_INDICATOR_HEAD: Table = (
    FieldSpec("code", "cd", Kind.TEXT, "Market code, KRW markets only."),
    text("timeframe", "tf", "Unit of the candle.", enum=_TIMEFRAMES),
    text("indicator", "ind", "Indicator.", enum=_INDICATORS),
    FieldSpec("params", "p", Kind.OBJECT, "What it is computed with.", nested=INDICATOR_PARAMS_FIELDS),
)
_INDICATOR_TAIL: Table = (
    text("candle_date_time_utc", "cdttmu", "Start of the closed candle.", "UTC, yyyy-MM-dd'T'HH:mm:ss"),
    FieldSpec("value", "v", Kind.OBJECT, "What was computed.", nested=INDICATOR_VALUE_FIELDS),
    time("timestamp", "tms", "When the message was built."),
    REALTIME,
)

INDICATOR_FIELDS: Table = (type_field("indicator"), *_INDICATOR_HEAD, *_INDICATOR_TAIL)

INDICATOR_SIGNAL_FIELDS: Table = (
    type_field("indicator_signal"),
    *_INDICATOR_HEAD,
    text("trigger", "tr", "Condition that became true.", enum=_TRIGGERS),
    FieldSpec("event_params", "ep", Kind.OBJECT, "Of the condition; {} without any.", nested=EVENT_PARAMS_FIELDS),
    *_INDICATOR_TAIL,
)
