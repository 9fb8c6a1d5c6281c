"""From the arguments of `subscribe_*` to a checked specification, and from that to streams and wishes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, cast

from attrs import field

from upbit_ws.backpressure import known_strategy
from upbit_ws.client.account_options import announcement_options, check_indicator_symbols
from upbit_ws.config import BackpressureConfig
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.protocol.indicator_rules import indicator_variants
from upbit_ws.records import frozen
from upbit_ws.shared.subscriber import ErrorHandler, Parts
from upbit_ws.types import (
    BackpressureStrategy,
    DataType,
    Retention,
    StreamKey,
    SubscriptionSpec,
    Want,
)

__all__ = ["CallbackOptions", "check_callback", "check_spec", "keys_of", "parts_of", "read_options", "wants_of"]

#: Both spellings of the flags, Upbit's and Python's, and the names that the pull client gives to the same things.
_SPELLINGS = {
    "isOnlySnapshot": "is_only_snapshot",
    "isOnlyRealtime": "is_only_realtime",
    "orderbook_units": "units",
    "orderbook_level": "level",
    "backpressure": "strategy",
}
_SPEC_FIELDS = ("units", "level", "is_only_snapshot", "is_only_realtime")
_CALLBACK_FIELDS = ("on_error", "strategy", "mailbox_size")
_OWN_FIELDS: Mapping[DataType, tuple[str, ...]] = {
    DataType.ANNOUNCEMENT: ("categories", "include_body"),
    DataType.INDICATOR: ("timeframe", "indicators"),
    DataType.INDICATOR_SIGNAL: ("timeframe", "indicators"),
}
_INDICATORS = (DataType.INDICATOR, DataType.INDICATOR_SIGNAL)


def check_callback(callback: object, argument: str = "callback") -> None:
    """Refuse what cannot be called with an event, and coroutine functions, which would only make an object."""
    if not callable(callback):
        raise InvalidArgumentError(argument, f"must be a function of one event, got {callback!r}", f"{argument}=print")
    # Also an object whose class has an `async def __call__`.
    if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__):
        name = getattr(callback, "__name__", argument)
        raise InvalidArgumentError(
            argument, f"{name} is a coroutine function, nobody awaits it here", f"def {name}(event)"
        )


def _strategy(value: object) -> BackpressureStrategy | str | None:
    return None if value is None else known_strategy(value)


def _size(_record: object, _attribute: object, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InvalidArgumentError(
            "mailbox_size", f"must be a whole number, 1 or more, got {value!r}", "mailbox_size=1000"
        )


def _handler(_record: object, _attribute: object, value: Any) -> None:
    if value is not None:
        check_callback(value, "on_error")


@frozen(kw_only=True)
class CallbackOptions:
    """How a callback is called.

    Attributes:
        on_error: Called with what the callback raised, and with what concerns the subscription: `BackpressureError`,
            `RequestRejectedError`, `AuthenticationError`. Without it, errors are logged.
        strategy: What happens to events that come faster than the callback takes them; None as configured for the type.
        mailbox_size: How many may wait; None as configured.
    """

    on_error: ErrorHandler | None = field(default=None, validator=_handler)
    strategy: BackpressureStrategy | str | None = field(default=None, converter=_strategy)
    mailbox_size: int | None = field(default=None, validator=_size)

    def strategy_for(self, data_type: DataType, config: BackpressureConfig) -> BackpressureStrategy | str:
        """The strategy asked for, else the configured one. Of a candle, too, only the newest state counts."""
        if self.strategy is not None:
            return self.strategy
        is_state = data_type.retention is Retention.STATE or data_type.is_candle
        return config.state_strategy if is_state else config.log_strategy


def read_options(
    data_type: DataType, symbols: Iterable[str] | None, options: Mapping[str, Any]
) -> tuple[SubscriptionSpec, CallbackOptions]:
    """Check everything that `subscribe_*` was given.

    Raises:
        InvalidArgumentError: an option is unknown, given twice in two spellings, or cannot be meant as written.
    """
    own = _OWN_FIELDS.get(data_type, ())
    known: dict[str, Any] = {}
    for spelling, value in options.items():
        name = _SPELLINGS.get(spelling, spelling)
        if name not in (*_SPEC_FIELDS, *_CALLBACK_FIELDS, *own):
            names = ", ".join((*_SPEC_FIELDS, *_CALLBACK_FIELDS, *own))
            raise InvalidArgumentError(spelling, f"is no option of {data_type.wire_name}", f"one of {names}")
        if name in known:
            raise InvalidArgumentError(spelling, f"is {name}, which is given as well", f"only {name}=...")
        known[name] = value
    spec = SubscriptionSpec(
        data_type,
        () if symbols is None else cast("tuple[str, ...]", symbols),
        **{name: known[name] for name in _SPEC_FIELDS if name in known},
        options={name: known[name] for name in own if known.get(name) is not None},
    )
    return spec, CallbackOptions(**{name: known[name] for name in _CALLBACK_FIELDS if name in known})


def check_spec(spec: SubscriptionSpec) -> None:
    """Refuse what the exchange could not serve, before it is asked.

    Raises:
        InvalidArgumentError: it says what to write.
    """
    if not isinstance(spec, SubscriptionSpec):
        raise InvalidArgumentError(
            "spec", f"must be a SubscriptionSpec, got {spec!r}", "SubscriptionSpec('ticker', ['KRW-BTC'])"
        )
    if spec.is_only_snapshot and not spec.data_type.has_snapshot:
        name = spec.data_type.wire_name
        raise InvalidArgumentError("is_only_snapshot", f"cannot be given for {name}, it has no snapshot", "nothing")
    if spec.data_type is DataType.ANNOUNCEMENT:
        options: dict[str, Any] = dict(spec.options)
        announcement_options(options.get("categories"), options.get("include_body"))
    _variants(spec)


def parts_of(spec: SubscriptionSpec) -> Parts:
    """Which parts of its streams a subscription wants."""
    categories: Any = dict(spec.options).get("categories")
    return Parts(
        snapshot=not spec.is_only_realtime,
        realtime=not spec.is_only_snapshot,
        categories=None if categories is None else frozenset(categories),
    )


def keys_of(spec: SubscriptionSpec, expand: Callable[[str], Iterable[str]]) -> frozenset[StreamKey]:
    """The streams of a subscription; `expand` tells which codes a pattern means now, and gives a code as it is."""
    codes = [code for symbol in spec.symbols for code in expand(symbol)] if spec.symbols else [""]
    return frozenset(StreamKey(spec.data_type, code, variant) for code in codes for variant in _variants(spec))


def wants_of(spec: SubscriptionSpec, keys: Iterable[StreamKey]) -> list[Want]:
    """What the exchange is to be asked for."""
    options = () if spec.data_type in _INDICATORS else spec.options
    return [
        Want(
            key,
            units=spec.units,
            snapshot=not spec.is_only_realtime,
            realtime=not spec.is_only_snapshot,
            options=options,
        )
        for key in keys
    ]


def _variants(spec: SubscriptionSpec) -> list[Hashable]:
    if spec.data_type is DataType.ORDERBOOK:
        return [spec.level]
    if spec.data_type not in _INDICATORS:
        return [None]
    options = dict(spec.options)
    check_indicator_symbols(spec.symbols)
    return list(indicator_variants(spec.data_type, options.get("timeframe"), options.get("indicators", ())))
