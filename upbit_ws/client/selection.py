"""From what a client registered to the slots it reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from upbit_ws.client.interests import ALL, Interests
from upbit_ws.client.pulling import check_code
from upbit_ws.exceptions import NotSubscribedError
from upbit_ws.protocol.slots import Slot
from upbit_ws.records import frozen
from upbit_ws.symbols import is_pattern, normalize_symbols
from upbit_ws.types import DataType, StreamKey

if TYPE_CHECKING:
    from upbit_ws.client.global_websocket_manager import GlobalWebSocketManager

__all__ = ["Chosen", "Selection"]


@frozen
class Chosen:
    """Codes and their slots, side by side."""

    symbols: tuple[str, ...]
    slots: tuple[Slot, ...]


class Selection:
    """What is registered, and the slots that it means now.

    Everything here is replaced as a whole, so that pulls of other threads need no lock.
    """

    def __init__(self, component_id: str, manager: GlobalWebSocketManager) -> None:
        self._component_id = component_id
        self._manager = manager
        #: What is registered.
        self.interests = Interests()
        #: All slots of a data type, remembered as long as interests, list of markets and slots of the pool stay.
        self._remembered: dict[DataType, tuple[Interests, int, int, Chosen]] = {}

    def all_of(self, data_type: DataType) -> Chosen:
        """Everything registered of a data type."""
        manager, interests = self._manager, self.interests
        pool, version, layout = manager.pool, manager.markets_version, manager.pool.layout
        remembered = self._remembered.get(data_type)
        if (
            remembered is not None
            and remembered[0] is interests
            and remembered[1] == version
            and remembered[2] == layout
        ):
            return remembered[3]
        streams = interests.keys(data_type, manager.expand_pattern)
        chosen = Chosen(tuple(code for code, _ in streams), tuple(pool.slot_for(key) for _, key in streams))
        self._remembered[data_type] = (interests, version, layout, chosen)
        return chosen

    def choose(self, data_type: DataType, symbols: Iterable[str] | None) -> Chosen:
        """The slots of these symbols; None: of all registered.

        Raises:
            NotSubscribedError: the data type, or one of the symbols, is not registered.
            InvalidArgumentError: `symbols` cannot be meant as written.
        """
        wanted = self.interests.require(self._component_id, data_type, symbols)
        registered = self.all_of(data_type)
        if symbols is None:
            return registered
        slots = dict(zip(registered.symbols, registered.slots, strict=True))
        codes = [
            code
            for symbol in wanted
            for code in (self._manager.expand_pattern(symbol) if is_pattern(symbol) else (symbol,))
        ]
        unknown = [StreamKey(data_type, code) for code in codes if code not in slots]
        if unknown:
            raise NotSubscribedError(unknown, component_id=self._component_id)
        return Chosen(tuple(codes), tuple(slots[code] for code in codes))

    def slots_of(self, data_type: DataType, symbols: Iterable[str] | None) -> tuple[Slot, ...]:
        """The slots of these symbols, all of them where a symbol has several (indicators). Errors as in `choose`."""
        wanted = self.interests.require(self._component_id, data_type, symbols)
        registered = self.all_of(data_type)
        if symbols is None or wanted == ALL:
            return registered.slots
        unknown = [StreamKey(data_type, code) for code in wanted if code not in registered.symbols]
        if unknown:
            raise NotSubscribedError(unknown, component_id=self._component_id)
        pairs = zip(registered.symbols, registered.slots, strict=True)
        return tuple(slot for code, slot in pairs if code in wanted)

    def normalized(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """Codes as the exchange writes them, patterns as the codes they mean now.

        Raises:
            InvalidArgumentError: they cannot be meant as written.
        """
        return tuple(
            code
            for symbol in normalize_symbols(symbols)
            for code in (self._manager.expand_pattern(symbol) if is_pattern(symbol) else (symbol,))
        )

    def one(self, data_type: DataType, symbol: str) -> Slot:
        """The slot of one symbol, which is no pattern. Errors as in `choose`."""
        return self.choose(data_type, [check_code(symbol)]).slots[0]

    def everything(self) -> list[Slot]:
        """All slots of all data types."""
        return [slot for data_type in self.interests.by_type for slot in self.all_of(data_type).slots]
