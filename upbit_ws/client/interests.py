"""What one pull client has registered: for each data type, which symbols and patterns, and with which options."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final

from attrs import evolve, field

from upbit_ws.client.account_options import INDICATOR_TYPES
from upbit_ws.config import DataPoolConfig
from upbit_ws.exceptions import InvalidArgumentError, NotSubscribedError
from upbit_ws.records import frozen
from upbit_ws.symbols import is_pattern, normalize_symbols
from upbit_ws.types import ORDERBOOK_UNITS, DataType, Retention, StreamKey, Want, freeze_options

__all__ = ["ALL", "Interest", "Interests"]

Options = tuple[tuple[str, Hashable], ...]

#: Everything of a type that needs no codes.
ALL: Final = ("",)


@frozen
class Interest:
    """What is registered of one data type. `symbols` in the order they were given, patterns as they are."""

    symbols: tuple[str, ...] = ()
    #: Values to keep; None for the configured number.
    history: int | None = None
    units: int | None = None
    level: float | None = None
    #: Further fields of the request, of announcements.
    options: Options = ()
    #: Codes with what is to be computed for each, of indicators.
    indicators: tuple[tuple[str, Hashable], ...] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns among the symbols."""
        return tuple(symbol for symbol in self.symbols if is_pattern(symbol))


@frozen
class Interests:
    """An immutable table, replaced and never edited. `expand` turns a pattern into the codes it means now."""

    by_type: Mapping[DataType, Interest] = field(factory=dict)

    def with_added(
        self,
        data_types: Sequence[DataType],
        added: Interest,
        *,
        options: Options = (),
        variants: Mapping[DataType, tuple[Hashable, ...]] | None = None,
    ) -> Interests:
        """With the symbols of `added` in each data type; options given later replace those given earlier.

        Args:
            options: Of announcements.
            variants: Of indicators: what is computed for each of the symbols.
        """
        table = dict(self.by_type)
        for data_type in data_types:
            old = table.get(data_type, Interest())
            fresh = [(code, variant) for variant in (variants or {}).get(data_type, ()) for code in added.symbols]
            table[data_type] = evolve(
                added,
                symbols=_symbols(data_type, old.symbols, added.symbols),
                history=_longer(old.history, added.history),
                units=added.units if added.units is not None else old.units,
                level=added.level if added.level is not None else old.level,
                options=freeze_options({**dict(old.options), **dict(options)})
                if data_type is DataType.ANNOUNCEMENT
                else (),
                indicators=tuple(dict.fromkeys((*old.indicators, *fresh))),
            )
        return Interests(table)

    def without(self, data_types: Sequence[DataType] | None, symbols: Sequence[str] | None) -> Interests:
        """Without these symbols (None: all) of these data types (None: all)."""
        table: dict[DataType, Interest] = {}
        for data_type, interest in self.by_type.items():
            if data_types is not None and data_type not in data_types:
                table[data_type] = interest
            elif symbols is not None:
                left = tuple(symbol for symbol in interest.symbols if symbol not in symbols)
                pairs = tuple(pair for pair in interest.indicators if pair[0] not in symbols)
                if left:
                    table[data_type] = evolve(interest, symbols=left, indicators=pairs)
        return Interests(table)

    def patterns(self) -> set[str]:
        """All patterns registered."""
        return {pattern for interest in self.by_type.values() for pattern in interest.patterns}

    def codes(self, data_type: DataType, expand: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
        """The codes registered of a data type, patterns expanded, each once."""
        interest = self.by_type.get(data_type)
        if interest is None:
            return ()
        if not interest.patterns:
            return interest.symbols
        return tuple(
            dict.fromkeys(
                code for symbol in interest.symbols for code in (expand(symbol) if is_pattern(symbol) else (symbol,))
            )
        )

    def key(self, data_type: DataType, code: str) -> StreamKey:
        """The stream that a registered code of a data type is filed under."""
        variant = self.by_type[data_type].level if data_type is DataType.ORDERBOOK else None
        return StreamKey(data_type, code if data_type.has_codes else "", variant)

    def keys(self, data_type: DataType, expand: Callable[[str], Iterable[str]]) -> list[tuple[str, StreamKey]]:
        """The registered streams of a data type beside their codes; of indicators a code may have several."""
        if data_type in INDICATOR_TYPES:
            interest = self.by_type.get(data_type, Interest())
            return [(code, StreamKey(data_type, code, variant)) for code, variant in interest.indicators]
        return [(code, self.key(data_type, code)) for code in self.codes(data_type, expand)]

    def wants(self, expand: Callable[[str], Iterable[str]]) -> list[Want]:
        """What the exchange is to be asked for."""
        return [
            Want(key, units=interest.units, options=interest.options)
            for data_type, interest in self.by_type.items()
            for _, key in self.keys(data_type, expand)
        ]

    def histories(self, expand: Callable[[str], Iterable[str]], config: DataPoolConfig) -> dict[StreamKey, int]:
        """How many values are to be kept of each stream."""
        lengths: dict[StreamKey, int] = {}
        for data_type, interest in self.by_type.items():
            usual = config.state_history if data_type.retention is Retention.STATE else config.history
            length = usual if interest.history is None else interest.history
            lengths.update((key, length) for _, key in self.keys(data_type, expand))
        return lengths

    def summary(self) -> str:
        """In a few words, for a repr."""
        parts = [f"{data_type.value} x {len(interest.symbols)}" for data_type, interest in self.by_type.items()]
        return ", ".join(parts) or "nothing registered"

    def require(self, component_id: str, data_type: DataType, symbols: Iterable[str] | None) -> tuple[str, ...]:
        """The symbols, as registered; all of them for None.

        Raises:
            NotSubscribedError: the data type, or one of the symbols, is not registered.
        """
        interest = self.by_type.get(data_type)
        wanted = None if symbols is None else normalize_symbols(symbols)
        if interest is None:
            missing = [StreamKey(data_type, symbol) for symbol in wanted or ("",)]
            hint = f"client.register_interest(data_types=[DataType.{data_type.name}], symbols=[...]) first"
            raise NotSubscribedError(missing, component_id=component_id, instead=hint)
        if wanted is None or interest.symbols == ALL:
            return interest.symbols
        return wanted

    def refuse_conflict(self, data_types: Sequence[DataType], units: int | None, level: float | None) -> None:
        """Refuse order book options where there is no order book, and such that no book has.

        Raises:
            InvalidArgumentError: options without `DataType.ORDERBOOK` among the data types, or out of range.
        """
        if units is not None and (isinstance(units, bool) or units not in ORDERBOOK_UNITS):
            problem = f"must be one of 1, 5, 15, 30, got {units!r}"
            raise InvalidArgumentError("orderbook_units", problem, "orderbook_units=15")
        if level is not None and not _is_level(level):
            problem = f"must be a price step of the market, got {level!r}"
            raise InvalidArgumentError("orderbook_level", problem, "orderbook_level=10000")
        if (units is not None or level is not None) and DataType.ORDERBOOK not in data_types:
            names = ", ".join(data_type.name for data_type in data_types)
            raise InvalidArgumentError(
                "orderbook_units", f"and orderbook_level are for order books, not for {names}",
                "them in a call with data_types=[DataType.ORDERBOOK]",
            )  # fmt: skip


def _is_level(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _symbols(data_type: DataType, old: tuple[str, ...], added: tuple[str, ...]) -> tuple[str, ...]:
    """What is registered in all. Of orders, no code means all markets, which includes every other one."""
    if not data_type.has_codes or not added or old == ALL:
        return ALL
    return tuple(dict.fromkeys((*old, *added)))


def _longer(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else max(first, second)
