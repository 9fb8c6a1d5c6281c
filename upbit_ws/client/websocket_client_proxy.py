"""The callback client: subscribe with a function, and it is called with each event, on a thread of the SDK."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from upbit_ws.client.global_websocket_manager import GlobalWebSocketManager
from upbit_ws.client.push_parts import Member
from upbit_ws.client.shared_manager import checked_manager, get_global_websocket_manager
from upbit_ws.client.subscription_options import CallbackOptions, check_callback, check_spec, read_options
from upbit_ws.exceptions import ClientClosedError, InvalidArgumentError
from upbit_ws.shared.subscriber import Callback
from upbit_ws.types import ConnectionStatus, DataType, SubscriberStats, SubscriptionSpec

if TYPE_CHECKING:
    from upbit_ws.config import WebSocketConfig

__all__ = ["WebSocketClientProxy"]

_C = TypeVar("_C", bound=Callable[..., object])


class WebSocketClientProxy:
    """Calls functions with live events of the Upbit exchange.

    Each subscription is called with one event at a time, in order, on a worker thread; different subscriptions may be
    called at the same time. A callback that is slow, raises or never returns harms nobody else: its own events wait in
    a bounded mailbox, and what happens when that is full is its backpressure strategy. Callbacks may use everything
    here, `close` included.

    Bound methods are held weakly: a subscription ends when the method's object is collected. Functions, lambdas and
    closures are held until `unsubscribe`. The proxy itself belongs to you: when it is collected its subscriptions end.

    Options that every `subscribe_*` method takes:

    * ``is_only_snapshot``, ``is_only_realtime`` (or ``isOnlySnapshot``, ``isOnlyRealtime``): one part only;
    * ``units`` (1, 5, 15, 30) and ``level`` (price step): for order books;
    * ``on_error``: a function, called with what the callback raised and with `BackpressureError`,
      `RequestRejectedError` and, of data that needs keys, `AuthenticationError`; without it errors are logged;
    * ``strategy``: a `BackpressureStrategy` or the name of a registered one, ``mailbox_size``: how many events may
    wait.

    Args:
        component_id: A name of your own for this part of your program. A proxy of the same name takes the place of one
            that is still open.
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
        self._manager = checked_manager(manager) if manager is not None else get_global_websocket_manager(config)
        self.component_id = component_id
        self._is_closed = False
        self._token = self._manager.register_component(self)
        self._member = Member(component_id, self._token, weakref.ref(self))

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open"
        return f"<WebSocketClientProxy {self.component_id!r} {state}, {len(self.subscriptions)} subscriptions>"

    def __enter__(self) -> WebSocketClientProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a proxy holds live subscriptions and cannot be copied or pickled; make a new one where you need it"
        )

    # -- public data --------------------------------------------------------------------------------------------------

    def subscribe_ticker(self, symbols: Iterable[str], callback: Callback, **options: Any) -> str:
        """Call `callback` with each `TickerEvent` of these markets (codes, or patterns such as ``KRW-*``).

        The present values come first, marked ``SNAPSHOT``. Of tickers that come faster than the callback takes them it
        gets the newest of each market.

        Returns:
            The id of the subscription, for `unsubscribe`. Subscribing twice makes two.

        Raises:
            InvalidArgumentError: an argument cannot be meant as written; nothing was subscribed.
            ClientClosedError: the proxy was closed.
        """
        return self._subscribe(DataType.TICKER, symbols, callback, options)

    def subscribe_trade(self, symbols: Iterable[str], callback: Callback, **options: Any) -> str:
        """Call `callback` with each `TradeEvent` of these markets, each trade once. See `subscribe_ticker`.

        10,000 trades may wait; after that the oldest are dropped, counted, and told by one `SlowConsumer` event.
        """
        return self._subscribe(DataType.TRADE, symbols, callback, options)

    def subscribe_orderbook(self, symbols: Iterable[str], callback: Callback, **options: Any) -> str:
        """Call `callback` with each `OrderbookEvent` of these markets, of `units` units and grouped by `level`.

        See `subscribe_ticker`. Who asks for fewer units than others gets the books cut to what it asked for.
        """
        return self._subscribe(DataType.ORDERBOOK, symbols, callback, options)

    def subscribe_candle(
        self, symbols: Iterable[str], callback: Callback, unit: DataType | int | str = 5, **options: Any
    ) -> str:
        """Call `callback` with each `CandleEvent` of these markets. `unit`: ``5`` (minutes), ``"1s"``, ``"240m"``, ...

        The same candle comes many times while it grows, the last one counts; the last state of a candle is not skipped.
        """
        return self._subscribe(DataType.candle(unit), symbols, callback, options)

    # -- your own data ------------------------------------------------------------------------------------------------

    def subscribe_my_order(self, callback: Callback, symbols: Iterable[str] | None = None, **options: Any) -> str:
        """Call `callback` with each `MyOrderEvent` of your orders in these markets; None: in all. Needs keys."""
        return self._subscribe(DataType.MY_ORDER, symbols, callback, options)

    def subscribe_my_asset(self, callback: Callback, **options: Any) -> str:
        """Call `callback` with each `MyAssetEvent`: what changed of your balances. Needs keys."""
        return self._subscribe(DataType.MY_ASSET, None, callback, options)

    def subscribe_announcement(self, callback: Callback, **options: Any) -> str:
        """Call `callback` with each `AnnouncementEvent`. Needs keys.

        Further options: ``categories``, a list of those wanted (none: all), and ``include_body``.
        """
        return self._subscribe(DataType.ANNOUNCEMENT, None, callback, options)

    def subscribe_indicator(
        self,
        symbols: Iterable[str],
        callback: Callback,
        *,
        timeframe: str,
        indicators: Iterable[Mapping[str, Any]],
        **options: Any,
    ) -> str:
        """Call `callback` with each `IndicatorEvent` of these markets. Needs keys.

        Args:
            symbols: Codes of KRW markets.
            callback: Called with each event.
            timeframe: Unit of the candles: ``"5m"``, ``"60m"``, ``"1d"``, ...
            indicators: What to compute: ``[{"type": "rsi", "params": {"period": 14}}]`` (Upbit: websocket-indicator
                page).
            options: See the class.
        """
        own = {"timeframe": timeframe, "indicators": _listed(indicators)}
        return self._subscribe(DataType.INDICATOR, symbols, callback, {**options, **own})

    def subscribe_indicator_signal(
        self,
        symbols: Iterable[str],
        callback: Callback,
        *,
        timeframe: str,
        indicators: Iterable[Mapping[str, Any]],
        **options: Any,
    ) -> str:
        """Call `callback` with each `IndicatorSignalEvent`. Needs keys.

        As `subscribe_indicator`, and each indicator has a ``trigger`` and, where that takes any, ``event_params``.
        """
        own = {"timeframe": timeframe, "indicators": _listed(indicators)}
        return self._subscribe(DataType.INDICATOR_SIGNAL, symbols, callback, {**options, **own})

    # -- any ----------------------------------------------------------------------------------------------------------

    def subscribe(self, spec: SubscriptionSpec, callback: Callback, *, options: CallbackOptions | None = None) -> str:
        """Call `callback` with the events that `spec` describes. The other `subscribe_*` methods come to this one."""
        self._check_open()
        check_callback(callback)
        check_spec(spec)
        if options is not None and not isinstance(options, CallbackOptions):
            problem = f"must be CallbackOptions, got {options!r}"
            raise InvalidArgumentError("options", problem, "options=CallbackOptions(mailbox_size=1000)")
        return self._manager.subscribe(self._member, spec, callback, options or CallbackOptions())

    def unsubscribe(self, subscription_id: str) -> bool:
        """End a subscription. No call begins after this; one under way goes on.

        False where it had ended before.
        """
        if not isinstance(subscription_id, str):
            problem = f"must be what `subscribe_*` returned, got {subscription_id!r}"
            raise InvalidArgumentError("subscription_id", problem, "subscription_id=proxy.subscriptions[0]")
        return self._manager.unsubscribe(subscription_id)

    def unsubscribe_all(self) -> None:
        """End all subscriptions; listeners of connection events stay."""
        for subscription_id in self.subscriptions:
            self._manager.unsubscribe(subscription_id)

    # -- decorators ---------------------------------------------------------------------------------------------------

    def on_ticker(self, *symbols: str, **options: Any) -> Callable[[_C], _C]:
        """``@proxy.on_ticker("KRW-BTC")``: as `subscribe_ticker`, the function stays what it is."""
        return self._decorator(DataType.TICKER, symbols, options)

    def on_trade(self, *symbols: str, **options: Any) -> Callable[[_C], _C]:
        """``@proxy.on_trade("KRW-BTC", "KRW-ETH")``: as `subscribe_trade`."""
        return self._decorator(DataType.TRADE, symbols, options)

    def on_orderbook(self, *symbols: str, **options: Any) -> Callable[[_C], _C]:
        """``@proxy.on_orderbook("KRW-BTC", units=5)``: as `subscribe_orderbook`."""
        return self._decorator(DataType.ORDERBOOK, symbols, options)

    def on_candle(self, *symbols: str, unit: DataType | int | str = 5, **options: Any) -> Callable[[_C], _C]:
        """``@proxy.on_candle("KRW-BTC", unit="1m")``: as `subscribe_candle`."""
        return self._decorator(DataType.candle(unit), symbols, options)

    def on_my_order(self, *symbols: str, **options: Any) -> Callable[[_C], _C]:
        """``@proxy.on_my_order()``: as `subscribe_my_order`."""
        return self._decorator(DataType.MY_ORDER, symbols or None, options)

    def on_my_asset(self, **options: Any) -> Callable[[_C], _C]:
        """``@proxy.on_my_asset()``: as `subscribe_my_asset`."""
        return self._decorator(DataType.MY_ASSET, None, options)

    def on_connection_event(self, callback: _C) -> _C:
        """Call `callback` with each event in the life of the connections: `Connected`, `BackingOff`, `SlowConsumer`,
        ...

        They have a thread of their own and never wait behind data. A plain call or a decorator. It ends with the proxy,
        and with the object of a bound method.
        """
        self._check_open()
        check_callback(callback)
        self._manager.listen(self._member, callback)
        return callback

    # -- what is going on ---------------------------------------------------------------------------------------------

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The ids of all subscriptions, oldest first."""
        return self._manager.subscriptions_of(self._token)

    def statistics(self) -> tuple[SubscriberStats, ...]:
        """What became of the events of each subscription."""
        stats = self._manager.get_distribution_stats().subscribers
        mine = frozenset(self.subscriptions)
        return tuple(one for one in stats if one.subscription_id in mine)

    def connections(self) -> tuple[ConnectionStatus, ...]:
        """What may be believed of each connection, now."""
        return self._manager.connection_statuses()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, by `close` or by a proxy that took its name."""
        return self._is_closed

    def close(self) -> None:
        """End all subscriptions. No call begins after this; one under way goes on. Idempotent, from any thread."""
        if not self._is_closed:
            self._is_closed = True
            self._manager.unregister_component(self._token)

    def supersede(self) -> None:
        """A proxy of the same name takes this one's place."""
        self._is_closed = True

    def refresh_patterns(self) -> None:
        """The list of markets has changed; the manager takes care of that for all proxies together."""

    # -- inside -------------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        self._manager.check_usable()
        if self._is_closed:
            raise ClientClosedError(f"proxy {self.component_id!r}")

    def _subscribe(
        self, data_type: DataType, symbols: Iterable[str] | None, callback: Callback, options: Mapping[str, Any]
    ) -> str:
        spec, callback_options = read_options(data_type, symbols, options)
        return self.subscribe(spec, callback, options=callback_options)

    def _decorator(
        self, data_type: DataType, symbols: Iterable[str] | None, options: Mapping[str, Any]
    ) -> Callable[[_C], _C]:
        # Checked now, so that the error points at the line of the decorator.
        spec, callback_options = read_options(data_type, symbols, options)
        check_spec(spec)

        def register(callback: _C) -> _C:
            self.subscribe(spec, callback, options=callback_options)
            return callback

        return register


def _listed(indicators: object) -> object:
    """All of them at once, where it is an iterator; what is no iterable stays as it is, to be refused."""
    return list(indicators) if isinstance(indicators, Iterable) and not isinstance(indicators, Mapping) else indicators
