"""Enums and records that are not events: what is wanted, what was read, how things are."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import Factory, field

from upbit_ws.data_types import (
    DataType,
    Endpoint,
    Retention,
    StreamKey,
    StreamType,
    TextEnum,
    WireFormat,
    indicator_variant,
)
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.metrics import (
    ClientStatus,
    ConnectionMetrics,
    ConnectionState,
    ConnectionStatus,
    DataDistributionStats,
    GlobalManagerState,
    HealthStatus,
    PerformanceMetrics,
    SubscriberStats,
)
from upbit_ws.records import frozen
from upbit_ws.symbols import normalize_symbols

if TYPE_CHECKING:
    from upbit_ws.events import Event

__all__ = [
    "ORDERBOOK_UNITS",
    "BackpressureStrategy",
    "ClientStatus",
    "ConnectionMetrics",
    "ConnectionState",
    "ConnectionStatus",
    "DataDistributionStats",
    "DataType",
    "Endpoint",
    "GlobalManagerState",
    "HealthStatus",
    "PerformanceMetrics",
    "Readiness",
    "Reading",
    "Retention",
    "StreamKey",
    "StreamType",
    "SubscriberStats",
    "SubscriptionSpec",
    "Want",
    "WireFormat",
    "freeze_options",
    "indicator_variant",
]

#: Numbers of order book units that the exchange serves; any other falls back to 30 there (Upbit: websocket-orderbook).
ORDERBOOK_UNITS = (1, 5, 15, 30)


class BackpressureStrategy(TextEnum):
    """What a full mailbox does."""

    CONFLATE = "conflate"  # keep the newest of each key
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    BLOCK = "block"  # make the sender wait, up to a deadline
    DISCONNECT = "disconnect"  # end the slow subscription
    RAISE = "raise"  # tell the subscriber with BackpressureError


def freeze_options(options: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> tuple[tuple[str, Hashable], ...]:
    """Return options as sorted, hashable pairs; lists become tuples, mappings become sorted pairs."""
    pairs = options.items() if isinstance(options, Mapping) else options
    return tuple(sorted((name, _frozen_value(value)) for name, value in pairs))


def _frozen_value(value: Any) -> Hashable:
    if isinstance(value, Mapping):
        return freeze_options(value)
    if isinstance(value, (list, tuple)):
        return tuple(_frozen_value(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return tuple(sorted(_frozen_value(item) for item in value))  # type: ignore[type-var]
    return value  # type: ignore[no-any-return]


def _units(value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or value not in ORDERBOOK_UNITS):
        raise InvalidArgumentError("units", f"must be one of 1, 5, 15, 30, got {value!r}", "units=15")
    return value


def _level(value: float | None) -> float | None:
    if value is None or value == 0:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise InvalidArgumentError("level", f"must be a price step of the market, got {value!r}", "level=10000")
    return value


@frozen
class Want:
    """What somebody wants of one stream.

    Attributes:
        key: The stream.
        units: Order book depth 1, 5, 15 or 30; None means 30.
        snapshot, realtime: Which parts of it; both by default.
        options: Further fields of the request (``categories``, ``include_body``), sorted by name.
    """

    key: StreamKey
    units: int | None = field(default=None, converter=_units)
    snapshot: bool = True
    realtime: bool = True
    options: tuple[tuple[str, Hashable], ...] = field(default=(), converter=freeze_options)


def _data_type(value: DataType | str) -> DataType:
    return DataType.parse(value)


def _flag(_record: object, attribute: Any, value: object) -> None:
    if not isinstance(value, bool):
        name = attribute.name
        raise InvalidArgumentError(name, f"must be True or False, got {value!r}", f"{name}=True")


def _options(value: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> tuple[tuple[str, Hashable], ...]:
    try:
        return freeze_options(value)
    except (TypeError, ValueError):
        problem = f"must be names and their values, got {value!r}"
        raise InvalidArgumentError("options", problem, "options={'timeframe': '5m'}") from None


def _codes(value: Iterable[str] | None) -> tuple[str, ...]:
    if value is None or (not isinstance(value, str) and value in ((), [])):
        return ()
    return normalize_symbols(value)


@frozen
class SubscriptionSpec:
    """One subscription as a user asks for it; arguments are accepted in any form that can only mean one thing.

    Attributes:
        data_type: `DataType` or its name.
        symbols: Codes or patterns (``KRW-*``); empty only where the type takes none or means all by it.
        units, level: Order book depth (1, 5, 15, 30) and grouping step (KRW markets only).
        is_only_snapshot, is_only_realtime: One of the two parts only.
        options: Further request fields, as a mapping or pairs: ``{"timeframe": "5m", "indicators": [...]}``.

    Raises:
        InvalidArgumentError: the combination cannot be served.
    """

    data_type: DataType = field(converter=_data_type)
    symbols: tuple[str, ...] = field(default=(), converter=_codes)
    units: int | None = field(default=None, converter=_units, kw_only=True)
    level: float | None = field(default=None, converter=_level, kw_only=True)
    is_only_snapshot: bool = field(default=False, validator=_flag, kw_only=True)
    is_only_realtime: bool = field(default=False, validator=_flag, kw_only=True)
    options: tuple[tuple[str, Hashable], ...] = field(default=(), converter=_options, kw_only=True)

    def __attrs_post_init__(self) -> None:
        name = self.data_type.wire_name
        if self.symbols and not self.data_type.has_codes:
            raise InvalidArgumentError("symbols", f"cannot be given for {name}, it has no codes", "symbols=()")
        if not self.symbols and self.data_type.codes_required:
            raise InvalidArgumentError("symbols", f"must name at least one code for {name}", "symbols=['KRW-BTC']")
        if self.is_only_snapshot and self.is_only_realtime:
            raise InvalidArgumentError(
                "is_only_snapshot", "and is_only_realtime exclude each other", "one of them, or neither for both parts"
            )
        if (self.units is not None or self.level is not None) and self.data_type is not DataType.ORDERBOOK:
            raise InvalidArgumentError("units", f"and level are for order books, not for {name}", "neither")


@frozen
class Reading:
    """One value with everything the SDK knows about how true it is.

    Attributes:
        event: The value.
        received_at: Monotonic seconds at which its bytes were read.
        epoch: Generation of the connection that delivered it.
        revision: Counts the values of this key.
        vouched_at: Monotonic seconds of the last proof that it is still the newest; None when it never was.
        is_live: Whether its connection is up and has delivered this key since it came up.
        age: Seconds since `vouched_at` when it was read; None when it never was vouched for.
    """

    event: Event
    received_at: float
    epoch: int
    revision: int
    vouched_at: float | None
    is_live: bool
    age: float | None

    @property
    def data_type(self) -> DataType:
        """The kind of the value."""
        return self.event.data_type

    @property
    def symbol(self) -> str:
        """Its market code, empty where the type has none."""
        return self.event.symbol


@frozen
class Readiness:
    """Which streams have delivered, which are silent (a typo is silent at the exchange). True when none is silent."""

    delivered: tuple[StreamKey, ...] = Factory(tuple)
    silent: tuple[StreamKey, ...] = Factory(tuple)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is silent."""
        return not self.silent

    def __bool__(self) -> bool:
        return self.is_complete
