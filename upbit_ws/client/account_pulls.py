"""The pulls of private and info streams: own orders and balances, announcements, indicators.

These streams send nothing until something happens, so no pull here waits for a first event. What it waits for is that
the stream stands: the exchange has confirmed it, and orders and balances have been fetched over REST.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from upbit_ws.client.interests import ALL
from upbit_ws.client.market_pulls import MarketPulls
from upbit_ws.client.pulling import check_limit, check_seconds
from upbit_ws.events import (
    AnnouncementEvent,
    Event,
    IndicatorEvent,
    IndicatorSignalEvent,
    MyAsset,
    MyAssetEvent,
    MyOrderEvent,
)
from upbit_ws.exceptions import DataTimeoutError, StaleDataError
from upbit_ws.protocol.account_slots import AccountSlot
from upbit_ws.protocol.my_orders import FINISHED_STATES
from upbit_ws.protocol.slots import Slot
from upbit_ws.shared.account_book import ASSETS
from upbit_ws.types import DataType, StreamKey, Want

__all__ = ["AccountPulls"]

_E = TypeVar("_E", bound=Event)


class AccountPulls(MarketPulls):
    """Every method is synchronous, may be called from any thread, and waits no longer than its `timeout`.

    All of them raise:
        NotSubscribedError: this client did not register the data type, or one of the symbols.
        AuthenticationError: the exchange does not accept the keys; at once, as soon as that is known.
        DataTimeoutError: the stream did not come to stand within `timeout` seconds (None as configured).
        ClientClosedError: the client was closed.
    """

    # -- orders and balances ------------------------------------------------------------------------------------------

    def get_my_orders(
        self,
        symbols: Iterable[str] | None = None,
        *,
        open_only: bool = False,
        timeout: float | None = None,
        max_age: float | None = None,
    ) -> dict[str, MyOrderEvent]:
        """The newest state of each of your orders, by its `uuid`: all that are open, and those that ended lately.

        It is the state after all events, however they came: fills count once, a finished order stays finished, and
        after a reconnect what was missed has been fetched over REST. While `state` is ``trade``, `price` and `volume`
        are those of the last fill, and `order_price` and `order_volume` the order's own.

        Args:
            symbols: Markets; None for all that are registered.
            open_only: Leave out orders that are done or cancelled.
            max_age: Refuse to answer when nobody could vouch for it within so many seconds; None as configured.

        Raises:
            StaleDataError: see `max_age`.
        """
        slots = self._account_slots(DataType.MY_ORDER, symbols, timeout, max_age)
        markets = {slot.key.symbol for slot in slots}
        if markets == set(ALL):
            markets = set() if symbols is None else set(self._selection.normalized(symbols))
        return {
            uuid: order
            for uuid, order in self._manager.pool.account.orders().items()
            if (not markets or order.symbol in markets) and not (open_only and order.state in FINISHED_STATES)
        }

    def get_my_assets(self, *, timeout: float | None = None, max_age: float | None = None) -> dict[str, MyAsset]:
        """Your balance of each currency, available and locked, as exact decimals.

        Arguments and errors as in `get_my_orders`.
        """
        self._account_slots(DataType.MY_ASSET, None, timeout, max_age)
        return self._manager.pool.account.balances()

    def get_my_order_history(
        self, symbols: Iterable[str] | None = None, limit: int | None = None, *, timeout: float | None = None
    ) -> list[MyOrderEvent]:
        """The newest `limit` events of your orders (None: all that are kept), oldest first."""
        slots = self._account_slots(DataType.MY_ORDER, symbols, timeout, float("inf"))
        events = self._merged(slots, MyOrderEvent, None)
        if symbols is not None:
            markets = set(self._selection.normalized(symbols))
            events = [event for event in events if event.symbol in markets]
        return _newest(events, limit)

    def get_my_asset_history(self, limit: int | None = None, *, timeout: float | None = None) -> list[MyAssetEvent]:
        """The newest `limit` changes of your balances (None: all that are kept), oldest first."""
        return self._merged(self._account_slots(DataType.MY_ASSET, None, timeout, float("inf")), MyAssetEvent, limit)

    # -- announcements ------------------------------------------------------------------------------------------------

    def get_announcements(self, limit: int | None = None, *, timeout: float | None = None) -> list[AnnouncementEvent]:
        """The newest `limit` announcements since they were registered (None: all that are kept), oldest first.

        An announcement that was changed is there once for each version. The exchange does not repeat old ones, so the
        list is empty at first (Upbit: websocket-announcement page).
        """
        slots = self._standing(DataType.ANNOUNCEMENT, None, timeout)
        interest = self._selection.interests.by_type[DataType.ANNOUNCEMENT]
        wanted = dict(interest.options).get("categories")
        events = self._merged(slots, AnnouncementEvent, None)
        # Another component may have asked for more on the same connection.
        if isinstance(wanted, tuple):
            events = [event for event in events if event.category in wanted]
        return _newest(events, limit)

    # -- indicators ---------------------------------------------------------------------------------------------------

    def get_indicators(
        self,
        symbols: Iterable[str] | None = None,
        *,
        indicator: str | None = None,
        timeframe: str | None = None,
        timeout: float | None = None,
    ) -> list[IndicatorEvent]:
        """The newest value of each registered indicator that has closed a candle since it was registered.

        The exchange sends a value when a candle closes and no snapshot (Upbit: websocket-indicator page), so the list
        may be empty for as long as the shortest timeframe. `wait_for_update` waits for the next one.

        Args:
            symbols: Registered codes; None for all.
            indicator, timeframe: Only these: ``"rsi"``, ``"5m"``.
        """
        slots = self._standing(DataType.INDICATOR, symbols, timeout)
        found = [self._manager.pool.event(slot) for slot in slots]
        return [
            event
            for event, _ in (pair for pair in found if pair is not None)
            if isinstance(event, IndicatorEvent) and _is_of(event, indicator, timeframe)
        ]

    def get_indicator_history(
        self,
        symbol: str,
        limit: int | None = None,
        *,
        indicator: str | None = None,
        timeframe: str | None = None,
        timeout: float | None = None,
    ) -> list[IndicatorEvent]:
        """The newest `limit` values of a market's registered indicators (None: all that are kept), oldest first."""
        events = self._merged(self._standing(DataType.INDICATOR, [symbol], timeout), IndicatorEvent, None)
        return _newest([event for event in events if _is_of(event, indicator, timeframe)], limit)

    def get_indicator_signals(
        self, symbols: Iterable[str] | None = None, limit: int | None = None, *, timeout: float | None = None
    ) -> list[IndicatorSignalEvent]:
        """The newest `limit` signals since they were registered (None: all that are kept), oldest first."""
        return self._merged(self._standing(DataType.INDICATOR_SIGNAL, symbols, timeout), IndicatorSignalEvent, limit)

    # -- what they share ----------------------------------------------------------------------------------------------

    def _standing(self, data_type: DataType, symbols: Iterable[str] | None, timeout: float | None) -> tuple[Slot, ...]:
        """The slots asked for, once the exchange has confirmed the streams."""
        self._check_open()
        check_seconds("timeout", timeout)
        slots = self._selection.slots_of(data_type, symbols)
        self._puller.wait_until(slots, lambda: all(map(self._is_ready, slots)), timeout)
        return slots

    def _is_ready(self, slot: Slot) -> bool:
        """Whether a stream stands, with all that this client registered of it: another one may have asked for less."""
        if slot.key.data_type is not DataType.ANNOUNCEMENT or not isinstance(slot, AccountSlot):
            return slot.is_ready
        interest = self._selection.interests.by_type.get(DataType.ANNOUNCEMENT)
        return slot.stands_for(Want(slot.key, options=() if interest is None else interest.options))

    def _account_slots(
        self, data_type: DataType, symbols: Iterable[str] | None, timeout: float | None, max_age: float | None
    ) -> tuple[Slot, ...]:
        """The slots asked for, once orders or balances are complete."""
        self._check_open()
        check_seconds("timeout", timeout)
        check_seconds("max_age", max_age)
        slots = self._selection.slots_of(data_type, symbols)
        account = self._manager.pool.account
        names = [slot.key.symbol for slot in slots] if data_type is DataType.MY_ORDER else [ASSETS]
        self._puller.wait_until(slots, lambda: account.has_base(names), timeout, self._manager.why_no_account)
        self._check_account_age(slots, max_age)
        return slots

    def _check_account_age(self, slots: Sequence[Slot], max_age: float | None) -> None:
        limit = self._manager.config.data_pool.max_age if max_age is None else max_age
        if limit is None:
            return
        pool = self._manager.pool
        vouched_at = pool.vouched_at(pool.account.reconciled_in) or pool.account.vouched_at
        age = self._manager.clock() - vouched_at
        if age > limit:
            raise StaleDataError(age, limit, tuple(slot.key for slot in slots))

    def _merged(self, slots: Sequence[Slot], event_type: type[_E], limit: int | None) -> list[_E]:
        """The events of several streams in the order of their times."""
        check_limit(limit)
        events = [
            event for slot in slots for event in self._manager.pool.history(slot, None) if isinstance(event, event_type)
        ]
        if len(slots) > 1:
            events.sort(key=lambda event: event.timestamp)
        return _newest(events, limit)

    def _wait_for_any(
        self, data_type: DataType, symbol: str | None, slots: Sequence[Slot], timeout: float | None
    ) -> Event:
        """The next event of any of these slots that is about `symbol`, where one is given."""
        pool, clock = self._manager.pool, self._manager.clock
        seen = {slot: slot.revision for slot in slots}
        deadline = self._deadline(timeout)
        while True:
            for slot in slots:
                events, seen[slot] = pool.arrivals(slot, seen[slot])
                for event in events:
                    if symbol is None or event.symbol == symbol:
                        return event
            self._check_open()
            self._puller.check_refused(slots)
            left = deadline - clock()
            if left <= 0:
                keys = [StreamKey(data_type, symbol or "")]
                raise DataTimeoutError(keys, timeout=timeout, reason=self._manager.why_nothing_came())
            pool.wait(slots, lambda: any(slot.revision != seen[slot] for slot in slots), left)


def _newest(events: list[_E], limit: int | None) -> list[_E]:
    check_limit(limit)
    return events if limit is None else events[-limit:]


def _is_of(event: IndicatorEvent, indicator: str | None, timeframe: str | None) -> bool:
    return indicator in (None, event.indicator) and timeframe in (None, event.timeframe)
