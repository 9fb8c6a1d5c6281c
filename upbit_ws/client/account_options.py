"""What may be asked of announcements and indicators, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.models import ANNOUNCEMENT_FIELDS
from upbit_ws.protocol.indicator_rules import indicator_variants
from upbit_ws.symbols import is_pattern, quote_currency
from upbit_ws.types import DataType, freeze_options

__all__ = ["INDICATOR_TYPES", "announcement_options", "check_indicator_symbols", "refuse_stray_options", "variants_for"]

INDICATOR_TYPES: Final = (DataType.INDICATOR, DataType.INDICATOR_SIGNAL)
_CATEGORIES: Final = next(field.enum for field in ANNOUNCEMENT_FIELDS if field.name == "category") or ()

Options = tuple[tuple[str, Hashable], ...]


def announcement_options(categories: Iterable[str] | None, include_body: bool | None) -> Options:
    """The fields of an announcement request (Upbit: websocket-announcement page).

    Raises:
        InvalidArgumentError: a category that Upbit does not have, or a flag that is none.
    """
    options: dict[str, Any] = {}
    if categories is not None:
        options["categories"] = _categories(categories)
    if include_body is not None:
        if not isinstance(include_body, bool):
            raise InvalidArgumentError("include_body", f"must be True or False, got {include_body!r}", "True")
        options["include_body"] = include_body
    return freeze_options(options)


def _categories(categories: Iterable[str]) -> tuple[str, ...]:
    if isinstance(categories, (str, bytes)) or not isinstance(categories, Iterable):
        raise InvalidArgumentError("categories", f"must be a list, got {categories!r}", "categories=['maintenance']")
    given = list(categories)
    unknown = [category for category in given if category not in _CATEGORIES]
    if unknown or not given:
        names = ", ".join(_CATEGORIES)
        raise InvalidArgumentError(
            "categories", f"must be some of {names}, got {given!r}", "categories=['maintenance']"
        )
    return tuple(dict.fromkeys(given))


def check_indicator_symbols(symbols: Sequence[str]) -> None:
    """Refuse what the exchange computes no indicators for: it is silent about other codes.

    Raises:
        InvalidArgumentError: a market that is not quoted in KRW, or a pattern.
    """
    for symbol in symbols:
        if quote_currency(symbol) != "KRW":
            raise InvalidArgumentError("symbols", f"must be KRW markets for indicators, got {symbol!r}", "['KRW-BTC']")
        if is_pattern(symbol):
            problem = f"cannot be a pattern for indicators, got {symbol!r}: a connection takes 100 combinations"
            raise InvalidArgumentError("symbols", problem, "the codes one by one")


def variants_for(
    types: Sequence[DataType], symbols: Sequence[str], timeframe: object, indicators: object
) -> Mapping[DataType, tuple[Hashable, ...]]:
    """What of each of the indicator types is asked for; empty where none of them is.

    Raises:
        InvalidArgumentError: the exchange would refuse it.
    """
    chosen = [data_type for data_type in types if data_type in INDICATOR_TYPES]
    if chosen:
        check_indicator_symbols(symbols)
    return {data_type: indicator_variants(data_type, timeframe, indicators) for data_type in chosen}


def refuse_stray_options(types: Sequence[DataType], options: Mapping[str, object]) -> None:
    """Refuse options that belong to none of the data types, before they are ignored in silence.

    Raises:
        InvalidArgumentError: there is one.
    """
    for name, value in options.items():
        owners = INDICATOR_TYPES if name in ("timeframe", "indicators") else (DataType.ANNOUNCEMENT,)
        if value is not None and not any(owner in types for owner in owners):
            names = " or ".join(f"DataType.{owner.name}" for owner in owners)
            raise InvalidArgumentError(name, f"is for {names}", f"data_types=[{names.split(' or ')[0]}]")
