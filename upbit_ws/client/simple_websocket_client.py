"""The pull client: register what is of interest, then ask for the newest value whenever it suits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from attrs import evolve

from upbit_ws.client.account_options import announcement_options, refuse_stray_options, variants_for
from upbit_ws.client.account_pulls import AccountPulls
from upbit_ws.client.global_websocket_manager import GlobalWebSocketManager
from upbit_ws.client.interests import Interest, Interests
from upbit_ws.client.pulling import check_code, check_seconds
from upbit_ws.client.shared_manager import checked_manager, get_global_websocket_manager
from upbit_ws.client.updates import Updates
from upbit_ws.events import Event
from upbit_ws.exceptions import DataTimeoutError, InvalidArgumentError
from upbit_ws.protocol.account_slots import is_account
from upbit_ws.protocol.gap_filling import Gap
from upbit_ws.protocol.slots import Slot
from upbit_ws.shared.locks import make_lock
from upbit_ws.symbols import normalize_symbols
from upbit_ws.types import ClientStatus, DataType, Readiness, Reading

if TYPE_CHECKING:
    from upbit_ws.config import WebSocketConfig

__all__ = ["SimpleWebSocketClient"]


class SimpleWebSocketClient(AccountPulls):
    """Pulls live values of the Upbit exchange. Every method is synchronous and may be called from any thread.

    Components of one process share one connection per endpoint; each sees only what it registered itself. A client made
    with the `component_id` of one that is still open takes its place.

    Args:
        component_id: A name of your own for this part of your program.
        manager: The manager to share; None for the one of this process.
        config: Configuration of that one, where this is the first client of the process.

    Raises:
        InvalidArgumentError: `component_id` is no text, or both `manager` and `config` are given.
    """

    def __init__(
        self,
        component_id: str,
        *,
        manager: GlobalWebSocketManager | None = None,
        config: WebSocketConfig | None = None,
    ) -> None:
        if not isinstance(component_id, str) or not component_id:
            raise InvalidArgumentError("component_id", f"must be a name, got {component_id!r}", "component_id='my_bot'")
        if manager is not None and config is not None:
            raise InvalidArgumentError("config", "belongs to the manager when one is given", "only manager=...")
        shared = checked_manager(manager) if manager is not None else get_global_websocket_manager(config)
        super().__init__(component_id, shared)
        #: Guards the replacement of the interests.
        self._lock = make_lock("client", 60)
        self._owner = self._manager.register_component(self)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open"
        return f"<SimpleWebSocketClient {self.component_id!r} {state}, {self._selection.interests.summary()}>"

    def __enter__(self) -> SimpleWebSocketClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError(
            "a client holds a live connection and cannot be copied or pickled; make a new one where you need it"
        )

    # -- interests ----------------------------------------------------------------------------------------------------

    def register_interest(
        self,
        data_types: Iterable[DataType | str] | DataType | str,
        symbols: Iterable[str] = (),
        *,
        history: int | None = None,
        orderbook_units: int | None = None,
        orderbook_level: float | None = None,
        categories: Iterable[str] | None = None,
        include_body: bool | None = None,
        timeframe: str | None = None,
        indicators: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """Say what this client is going to pull. Adds to what was registered before; returns at once.

        Args:
            data_types: `DataType.TICKER`, `"trade"`, `"candle.5m"`, ... or a list of them.
            symbols: Codes (`["KRW-BTC", "KRW-ETH"]`) or patterns (`["KRW-*"]`: all markets of that quote currency,
                followed as they list and delist). Your own orders need none: without, they are those of all markets.
            history: How many values of each to keep for the `get_*_history` methods; None for the configured number.
            orderbook_units: Depth of order books: 1, 5, 15 or 30 (the default).
            orderbook_level: Price step to group order books by; KRW markets only (Upbit: websocket-orderbook page).

            categories, include_body: Of announcements: only these (`["maintenance"]`), and with their text.
            timeframe, indicators: What is to be computed: `"5m"` and `[{"type": "rsi", "params": {"period": 14}}]`;
                signals have a `trigger` as well (Upbit: websocket-indicator and -indicator-signal pages).

        Raises:
            InvalidArgumentError: an argument cannot be meant as written; nothing was registered.
            AuthenticationError: orders, balances, announcements and indicators need keys, and there are none.
            ClientClosedError: the client was closed.
        """
        self._check_open()
        types = _parse_types(data_types)
        codes = normalize_symbols(symbols) if any(data_type.codes_required for data_type in types) or symbols else ()
        pool_config = self._manager.config.data_pool
        if history is not None and not _is_count(history, pool_config.max_history):
            raise InvalidArgumentError(
                "history", f"must be a whole number from 0 to {pool_config.max_history}, got {history!r}", "history=100"
            )
        interests = self._selection.interests
        interests.refuse_conflict(types, orderbook_units, orderbook_level)
        stray = {"categories": categories, "include_body": include_body, "timeframe": timeframe}
        refuse_stray_options(types, {**stray, "indicators": indicators})
        added = Interest(symbols=codes, history=history, units=orderbook_units, level=orderbook_level or None)
        options = announcement_options(categories, include_body)
        variants = variants_for(types, codes, timeframe, indicators)

        def edit(now: Interests) -> Interests:
            return now.with_added(types, added, options=options, variants=variants)

        self._manager.check_wants(self._owner, edit(interests).wants(self._manager.expand_pattern))
        self._change(edit)

    def unregister_interest(
        self,
        data_types: Iterable[DataType | str] | DataType | str | None = None,
        symbols: Iterable[str] | None = None,
    ) -> None:
        """Take back what was registered: these symbols (None: all) of these data types (None: all)."""
        self._check_open()
        types = None if data_types is None else _parse_types(data_types)
        codes = None if symbols is None else normalize_symbols(symbols)
        self._change(lambda now: now.without(types, codes))

    def _change(self, edit: Callable[[Interests], Interests]) -> None:
        """Replace the interests, and tell the manager.

        Two threads may do that at once. Whoever finds, after telling, that the interests are other ones by now tells
        again: the last word is the present state.
        """
        expand = self._manager.expand_pattern
        with self._lock:
            before = self._selection.interests
            changed = self._selection.interests = edit(before)
        while True:
            try:
                histories = changed.histories(expand, self._manager.config.data_pool)
                self._manager.set_wants(self._owner, changed.wants(expand), changed.patterns(), histories)
            except RuntimeError:  # the system has no more threads: what nobody serves is not registered
                with self._lock:
                    if self._selection.interests is changed:
                        self._selection.interests = before
                raise
            if self._selection.interests is changed:
                return
            changed = self._selection.interests

    def refresh_patterns(self) -> None:
        """Apply the present list of markets to the registered patterns. Called by the manager when the list changes."""
        if not self._is_closed and self._selection.interests.patterns():
            self._change(lambda now: now)

    # -- waiting ------------------------------------------------------------------------------------------------------

    def wait_ready(self, *, timeout: float | None = None) -> Readiness:
        """Wait until everything registered has delivered, at most `timeout` seconds (None as configured). Streams that
        send nothing until something happens count as delivering when the exchange has confirmed them.

        Never raises for silence: the result says which streams delivered and which are silent. A typo is silent at
        Upbit, and so is a market without a single trade.
        """
        self._check_open()
        check_seconds("timeout", timeout)
        deadline = self._deadline(timeout)
        self._manager.wait_for_markets(self._selection.interests.patterns(), deadline)
        slots = self._selection.everything()
        silent = {slot.key for slot in self._puller.wait_until_ready(slots, deadline, self._is_ready)}
        return Readiness(
            delivered=tuple(slot.key for slot in slots if slot.key not in silent),
            silent=tuple(slot.key for slot in slots if slot.key in silent),
        )

    def wait_for_update(
        self, data_type: DataType | str, symbol: str | None = None, *, timeout: float | None = None
    ) -> Event:
        """Block until the next value of one stream arrives, and return it.

        Orders, balances, announcements and indicators may be waited for without a symbol: the next one of all.

        Raises:
            DataTimeoutError: nothing came within `timeout` seconds (None as configured).
            NotSubscribedError: this client did not register it.
            RequestRejectedError: the exchange refuses it.
        """
        self._check_open()
        check_seconds("timeout", timeout)
        kind = DataType.parse(data_type)
        if kind.needs_auth:
            codes = None if symbol is None else (check_code(symbol),)
            slots = self._selection.slots_of(kind, codes)
            return self._wait_for_any(kind, None if codes is None else codes[0], slots, timeout)
        if symbol is None:
            raise InvalidArgumentError("symbol", f"must be given for {kind.wire_name}", "symbol='KRW-BTC'")
        slot = self._selection.one(kind, symbol)
        start = slot.revision
        deadline = self._deadline(timeout)
        while slot.revision == start:
            left = deadline - self._manager.clock()
            if left <= 0:
                raise DataTimeoutError([slot.key], timeout=timeout, reason=self._manager.why_nothing_came())
            self._puller.check_refused((slot,))
            self._manager.pool.wait((slot,), lambda: slot.revision != start, left)
            self._check_open()
        found = self._manager.pool.event(slot)
        if found is None:
            raise DataTimeoutError([slot.key], timeout=timeout, reason="what came did not decode")
        return self._sliced(found[0])

    def updates(
        self,
        data_types: Iterable[DataType | str] | DataType | str | None = None,
        symbols: Iterable[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> Updates:
        """An iterator over events as they arrive, of these data types and symbols (None: all registered; patterns too).

        It ends after `timeout` seconds without an event (None: never), and when the client is closed. Trades come each
        once; of state types a slow reader gets the newest.
        """
        self._check_open()
        check_seconds("timeout", timeout)
        types = tuple(self._selection.interests.by_type) if data_types is None else _parse_types(data_types)
        codes = None if symbols is None else normalize_symbols(symbols)
        for data_type in types:
            self._selection.choose(data_type, codes)

        def names() -> frozenset[str] | None:
            return None if codes is None else frozenset(self._selection.normalized(codes))

        def slots() -> list[Slot]:
            registered, chosen = self._selection.interests.by_type, names()
            return [
                slot
                for data_type in types
                if data_type in registered
                for slot in self._selection.all_of(data_type).slots
                # What has no code in its key concerns all markets.
                if chosen is None or not slot.key.symbol or slot.key.symbol in chosen
            ]

        def view(event: Event) -> Event | None:
            is_other = event.data_type is DataType.MY_ORDER and event.symbol not in (names() or (event.symbol,))
            return None if is_other else self._sliced(event)

        return Updates(self._manager.pool, slots, timeout, self._manager.clock, self._is_usable, view)

    def _is_usable(self) -> bool:
        return not self._is_closed and not self._manager.is_over

    # -- truth --------------------------------------------------------------------------------------------------------

    def snapshot(
        self, data_type: DataType | str, symbol: str, *, timeout: float | None = None, max_age: float | None = None
    ) -> Reading:
        """The newest value of one stream with everything that is known about how true it is.

        Errors as in other pulls.
        """
        slot = self._require(DataType.parse(data_type), [check_code(symbol)], timeout, max_age).slots[0]
        reading = self._puller.reading(slot)
        if reading is None:
            raise DataTimeoutError([slot.key], reason="what came did not decode")
        return evolve(reading, event=self._sliced(reading.event))

    def status(self) -> ClientStatus:
        """What this client may believe now: its connections, and which of its streams are silent."""
        self._check_open()
        slots = self._selection.everything()
        pool, now = self._manager.pool, self._manager.clock()
        delivered = [slot for slot in slots if slot.current is not None]
        vouched = [pool.vouched_at(slot.current[1][1]) for slot in delivered if slot.current is not None]
        ages = [now - at for at in vouched if at is not None]
        endpoints = {data_type.endpoint for data_type in self._selection.interests.by_type}
        return ClientStatus(
            component_id=self.component_id,
            connections=tuple(status for status in self._manager.connection_statuses() if status.endpoint in endpoints),
            interests=len(slots),
            delivered=len(delivered),
            silent=tuple(slot.key for slot in slots if not self._is_ready(slot)),
            oldest_vouched_age=max(ages, default=None),
        )

    def gaps(self) -> tuple[Gap, ...]:
        """What reconnects left open in this client's logs, orders and balances, and what became of it, oldest first.

        A gap in orders and balances is one for all of them, without a symbol. Announcements, indicators and signals are
        never repeated, so each loss of their connection leaves a gap that is only reported.
        """
        keys = {slot.key for slot in self._selection.everything()}
        return self._manager.gaps(keys | {key._replace(symbol="") for key in keys if is_account(key.data_type)})

    def close(self) -> None:
        """Give up all interests. What other components registered stays. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._manager.unregister_component(self._owner)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, by `close` or by a client that took its name."""
        return self._is_closed

    def supersede(self) -> None:
        """A client of the same name takes this one's place, and with it what it had registered."""
        self._is_closed = True
        self._manager.pool.wake_all()


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _parse_types(data_types: Iterable[DataType | str] | DataType | str) -> tuple[DataType, ...]:
    if isinstance(data_types, (DataType, str)):
        return (DataType.parse(data_types, "data_types"),)
    if not isinstance(data_types, Iterable):
        problem = f"must be a data type or a list of them, got {data_types!r}"
        raise InvalidArgumentError("data_types", problem, "data_types=[DataType.TICKER]")
    types = tuple(dict.fromkeys(DataType.parse(data_type, "data_types") for data_type in data_types))
    if not types:
        raise InvalidArgumentError("data_types", "must name at least one", "data_types=[DataType.TICKER]")
    return types
