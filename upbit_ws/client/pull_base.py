"""What all pulls of a client share: choose slots, wait for first values, refuse stale ones, decode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar, cast

from upbit_ws.client.global_websocket_manager import GlobalWebSocketManager
from upbit_ws.client.pulling import Puller, check_code, check_limit, check_seconds
from upbit_ws.client.selection import Chosen, Selection
from upbit_ws.events import Event, OrderbookEvent
from upbit_ws.exceptions import ClientClosedError, DataTimeoutError, UpbitWebSocketError
from upbit_ws.types import DataType, StreamKey

__all__ = ["PullBase"]

_E = TypeVar("_E", bound=Event)


class PullBase:
    """The inside of a pull client."""

    _owner: int

    def __init__(self, component_id: str, manager: GlobalWebSocketManager) -> None:
        self.component_id = component_id
        self._manager = manager
        self._selection = Selection(component_id, manager)
        self._is_closed = False
        self._puller = Puller(
            manager.pool,
            manager.config.data_pool,
            manager.clock,
            self._check_open,
            manager.why_nothing_came,
            self._refusals,
        )

    def _check_open(self) -> None:
        self._manager.check_usable()
        if self._is_closed:
            raise ClientClosedError(f"client {self.component_id!r}")

    def _refusals(self) -> Mapping[StreamKey, UpbitWebSocketError]:
        return self._manager.refusals(self._owner)

    def _deadline(self, timeout: float | None) -> float:
        return self._manager.clock() + (self._manager.config.data_pool.timeout if timeout is None else timeout)

    def _require(
        self, data_type: DataType, symbols: Iterable[str] | None, timeout: float | None, max_age: float | None
    ) -> Chosen:
        """The slots asked for, each with a value that may be believed."""
        self._check_open()
        check_seconds("timeout", timeout)
        check_seconds("max_age", max_age)
        self._wait_for_markets(data_type, timeout)
        chosen = self._selection.choose(data_type, symbols)
        self._puller.require(chosen.slots, timeout, max_age)
        return chosen

    def _wait_for_markets(self, data_type: DataType, timeout: float | None) -> None:
        """Wait until it is known what the registered patterns mean, where there are any."""
        interest = self._selection.interests.by_type.get(data_type)
        patterns = () if interest is None else interest.patterns
        if patterns and not self._manager.wait_for_markets(patterns, self._deadline(timeout)):
            self._check_open()
            missing = [StreamKey(data_type, pattern) for pattern in patterns]
            raise DataTimeoutError(missing, timeout=timeout, reason=self._manager.why_nothing_came())

    def _pull(
        self,
        data_type: DataType,
        event_type: type[_E],
        symbols: Iterable[str] | None,
        timeout: float | None,
        max_age: float | None,
    ) -> dict[str, _E]:
        chosen = self._require(data_type, symbols, timeout, max_age)
        events: dict[str, _E] = {}
        for symbol, slot in zip(chosen.symbols, chosen.slots, strict=True):
            found = self._manager.pool.event(slot)
            if found is None or not isinstance(found[0], event_type):
                raise DataTimeoutError([slot.key], events, reason="what came did not decode")
            events[symbol] = found[0]
        self._puller.check_stand_ins(chosen.slots, max_age)
        return events

    def _history(
        self,
        data_type: DataType,
        event_type: type[_E],
        symbol: str,
        limit: int | None,
        timeout: float | None,
        max_age: float | None,
    ) -> list[_E]:
        check_limit(limit)
        slot = self._require(data_type, [check_code(symbol)], timeout, max_age).slots[0]
        return [event for event in self._manager.pool.history(slot, limit) if isinstance(event, event_type)]

    def _sliced(self, event: _E) -> _E:
        """A book as deep as this client asked for; others may have asked for more. Other events as they are."""
        if not isinstance(event, OrderbookEvent):
            return event
        interest = self._selection.interests.by_type.get(DataType.ORDERBOOK)
        units = None if interest is None else interest.units
        return event if units is None or len(event.orderbook_units) <= units else cast("_E", event.sliced(units))
