"""THE table of data types, and the enums that its rows are made of.

Each member of `DataType` is one row. The enum, the event lookup, the field tables, SIMPLE conversion, validation and
the sandbox all start from it, so a new candle unit is one line: ``CANDLE_1D = _candle("1d", 86400)``.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from upbit_ws.exceptions import InvalidArgumentError

__all__ = ["DataType", "Endpoint", "Retention", "StreamKey", "StreamType", "WireFormat", "indicator_variant"]


class TextEnum(str, Enum):
    """An enum whose members are their text in every respect, on every Python version."""

    # That of Enum goes by the name, so it would disagree with equality; and it is Python code, which is slow.
    __hash__ = str.__hash__

    def __str__(self) -> str:
        return str.__str__(self)

    def __format__(self, format_spec: str) -> str:
        return str.__format__(self, format_spec)


class Endpoint(TextEnum):
    """One of the three sockets of the exchange. PRIVATE and INFO need a token in the upgrade request."""

    PUBLIC = "public"
    PRIVATE = "private"
    INFO = "info"

    @property
    def path(self) -> str:
        """Path of the WebSocket URL (Upbit: websocket-guide page)."""
        return "/websocket/v1" if self is Endpoint.PUBLIC else f"/websocket/v1/{self.value}"

    @property
    def needs_auth(self) -> bool:
        """Whether the upgrade request carries a token."""
        return self is not Endpoint.PUBLIC


class WireFormat(TextEnum):
    """How the exchange writes its messages (Upbit: websocket-guide page)."""

    DEFAULT = "DEFAULT"
    SIMPLE = "SIMPLE"
    JSON_LIST = "JSON_LIST"
    SIMPLE_LIST = "SIMPLE_LIST"

    @property
    def is_simple(self) -> bool:
        """Whether keys are abbreviated."""
        return self in (WireFormat.SIMPLE, WireFormat.SIMPLE_LIST)

    @property
    def is_list(self) -> bool:
        """Whether messages come inside an array."""
        return self in (WireFormat.JSON_LIST, WireFormat.SIMPLE_LIST)


class StreamType(TextEnum):
    """Where an event came from. Events carry the plain text; members compare equal to it."""

    SNAPSHOT = "SNAPSHOT"
    REALTIME = "REALTIME"
    RECOVERED = "RECOVERED"  # filled from REST by this SDK, never sent by the exchange


class Retention(Enum):
    """What of a stream counts: the newest value, or every one."""

    STATE = "state"
    LOG = "log"


class _Row(NamedTuple):
    """What is known about one data type. See the attributes of `DataType`."""

    wire_name: str
    endpoint: Endpoint
    family: str
    retention: Retention
    identity: tuple[str, ...]
    has_codes: bool = True
    codes_required: bool = True
    has_snapshot: bool = False
    unit: str | None = None
    unit_seconds: int | None = None
    rest_path: str | None = None


def _candle(unit: str, seconds: int) -> _Row:
    number, scale = int(unit[:-1]), unit[-1]
    rest_path = {"s": "/v1/candles/seconds", "m": f"/v1/candles/minutes/{number}", "d": "/v1/candles/days"}[scale]
    return _Row(
        f"candle.{unit}",
        Endpoint.PUBLIC,
        "candle",
        Retention.LOG,
        ("symbol", "candle_date_time_utc"),
        has_snapshot=True,
        unit=unit,
        unit_seconds=seconds,
        rest_path=rest_path,
    )


_INDICATOR_ID = ("symbol", "timeframe", "indicator", "params", "candle_date_time_utc")


class DataType(Enum):
    """A kind of message. `.value` is the name on the wire.

    Attributes:
        wire_name: The same name as a plain attribute: ``"ticker"``, ``"candle.1m"``, ``"myOrder"``.
        endpoint: The socket that serves it.
        family: Which event class and field table it has; all candle units share one.
        retention: Whether the newest counts or each.
        identity: Fields of the event that tell one instance from another (trade: symbol and sequential_id).
        has_codes: Whether a request may name codes (``myAsset`` with codes is refused).
        codes_required: Whether a request must name codes (``myOrder`` without means all).
        has_snapshot: Whether a subscription starts with a snapshot of each code.
        unit, unit_seconds: Of a candle, else None.
        rest_path: Where the history of a candle is, else None.
    """

    TICKER = _Row(
        "ticker", Endpoint.PUBLIC, "ticker", Retention.STATE, ("symbol",), has_snapshot=True, rest_path="/v1/ticker"
    )
    TRADE = _Row(
        "trade",
        Endpoint.PUBLIC,
        "trade",
        Retention.LOG,
        ("symbol", "sequential_id"),
        has_snapshot=True,
        rest_path="/v1/trades/ticks",
    )
    ORDERBOOK = _Row(
        "orderbook",
        Endpoint.PUBLIC,
        "orderbook",
        Retention.STATE,
        ("symbol", "level"),
        has_snapshot=True,
        rest_path="/v1/orderbook",
    )
    CANDLE_1S = _candle("1s", 1)
    CANDLE_1M = _candle("1m", 60)
    CANDLE_3M = _candle("3m", 180)
    CANDLE_5M = _candle("5m", 300)
    CANDLE_10M = _candle("10m", 600)
    CANDLE_15M = _candle("15m", 900)
    CANDLE_30M = _candle("30m", 1800)
    CANDLE_60M = _candle("60m", 3600)
    CANDLE_240M = _candle("240m", 14400)
    MY_ORDER = _Row(
        "myOrder", Endpoint.PRIVATE, "myOrder", Retention.LOG, ("uuid", "state", "trade_uuid"), codes_required=False
    )
    MY_ASSET = _Row(
        "myAsset",
        Endpoint.PRIVATE,
        "myAsset",
        Retention.LOG,
        ("asset_uuid", "asset_timestamp"),
        has_codes=False,
        codes_required=False,
    )
    ANNOUNCEMENT = _Row(
        "announcement",
        Endpoint.PRIVATE,
        "announcement",
        Retention.LOG,
        ("uuid", "listed_at"),
        has_codes=False,
        codes_required=False,
    )
    INDICATOR = _Row("indicator", Endpoint.INFO, "indicator", Retention.LOG, _INDICATOR_ID)
    INDICATOR_SIGNAL = _Row(
        "indicator_signal",
        Endpoint.INFO,
        "indicator_signal",
        Retention.LOG,
        (*_INDICATOR_ID, "trigger", "event_params"),
    )

    _value_: str
    wire_name: str
    endpoint: Endpoint
    family: str
    retention: Retention
    identity: tuple[str, ...]
    has_codes: bool
    codes_required: bool
    has_snapshot: bool
    unit: str | None
    unit_seconds: int | None
    rest_path: str | None
    is_private: bool
    is_candle: bool

    def __new__(cls, *row: Any) -> DataType:
        facts = _Row(*row)
        member = object.__new__(cls)
        member._value_ = facts.wire_name
        # Plain attributes of the member: properties of an enum cost several times as much on the hot path.
        for name, fact in facts._asdict().items():
            setattr(member, name, fact)
        member.is_private = facts.endpoint is Endpoint.PRIVATE
        member.is_candle = facts.unit is not None
        return member

    # Members are singletons, so identity is enough, and it keeps hashing of stream keys inside C.
    __hash__ = object.__hash__

    @classmethod
    def parse(cls, value: DataType | str, argument: str = "data_type") -> DataType:
        """Return the member meant by a member, a wire name or a member name: ``"ticker"``, ``"CANDLE_1M"``.

        Raises:
            InvalidArgumentError: the text means no type, or could mean two (``"candle.1M"`` is a month elsewhere).
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            found = _by_text().get(value) or _by_text().get(_squeezed(value))
            if found is not None and not _looks_like_month(value):
                return found
        names = ", ".join(repr(member.wire_name) for member in cls)
        instead = _advice(value)
        raise InvalidArgumentError(argument, f"must be one of {names}, got {value!r}", instead)

    @classmethod
    def find(cls, wire_name: object) -> DataType | None:
        """Return the member of exactly this wire name, None when there is none (or it is no text at all)."""
        return _by_wire_name().get(wire_name) if isinstance(wire_name, str) else None

    @classmethod
    def candle(cls, unit: DataType | int | str, argument: str = "unit") -> DataType:
        """Return the candle of a unit: ``5`` (minutes), ``"5m"``, ``"1s"``, ``"1h"`` (= 60m), or a candle type itself.

        Raises:
            InvalidArgumentError: the exchange has no such candle.
        """
        if isinstance(unit, cls) and unit.is_candle:
            return unit
        seconds = _seconds_of(unit)
        for member in cls:
            if seconds is not None and member.unit_seconds == seconds:
                return member
        units = ", ".join(repr(member.unit) for member in cls if member.is_candle)
        problem = f"must be one of {units} or whole minutes, got {unit!r}"
        raise InvalidArgumentError(argument, problem, f"{argument}='1m'")

    @property
    def needs_auth(self) -> bool:
        """Whether its endpoint wants a token."""
        return self.endpoint.needs_auth


_UNIT = re.compile(r"(?:candle[._-]?)?(?P<number>[1-9][0-9]{0,3})(?P<scale>[smhd]?)", re.ASCII)
_SCALES = {"s": 1, "m": 60, "": 60, "h": 3600, "d": 86400}
_TEXTS: dict[str, DataType] = {}
_WIRE_NAMES: dict[str, DataType] = {}


def _seconds_of(unit: object) -> int | None:
    if isinstance(unit, bool) or not isinstance(unit, (int, str)):
        return None
    match = _UNIT.fullmatch(str(unit))
    return int(match["number"]) * _SCALES[match["scale"]] if match else None


def _by_text() -> Mapping[str, DataType]:
    if not _TEXTS:
        for member in DataType:
            _TEXTS.update({member.wire_name: member, member.name: member, _squeezed(member.wire_name): member})
    return _TEXTS


def _by_wire_name() -> Mapping[str, DataType]:
    if not _WIRE_NAMES:
        _WIRE_NAMES.update({member.wire_name: member for member in DataType})
    return _WIRE_NAMES


def _squeezed(text: str) -> str:
    return re.sub(r"[._\- ]", "", text).lower()


def _looks_like_month(text: str) -> bool:
    return text.endswith("M") and text != text.upper()


def _advice(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if "candle" in text.lower():
        return "'candle.1m' or DataType.CANDLE_1M (m = minutes)"
    return "'ticker' or DataType.TICKER"


class StreamKey(NamedTuple):
    """What one stream of values is filed under.

    Attributes:
        data_type: The kind of message.
        symbol: The market code, empty where the type has none.
        variant: Order book: the grouping level, None for 0. Indicators: see `indicator_variant`. Else None.
    """

    data_type: DataType
    symbol: str
    variant: Hashable = None


def indicator_variant(
    timeframe: str,
    indicator: str,
    params: Mapping[str, Any],
    trigger: str | None = None,
    event_params: Mapping[str, Any] | None = None,
) -> tuple[Hashable, ...]:
    """Return the variant of an indicator stream: the same for any order of the parameters, and for 2 and 2.0."""
    variant: tuple[Hashable, ...] = (timeframe, indicator, tuple(sorted(params.items())))
    if trigger is None:
        return variant
    return (*variant, trigger, tuple(sorted((event_params or {}).items())))
