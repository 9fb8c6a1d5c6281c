"""Composes the parts and owns them: pool, subscriptions, limiter, one connection per endpoint, monitors.

`GlobalWebSocketManager` is an ordinary class; the one that all clients of a process share is in `shared_manager`.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from functools import partial
from typing import Final, NoReturn, Protocol

from upbit_ws.client.account_side import AccountSide
from upbit_ws.client.manager_life_cycle import ManagerLifeCycle
from upbit_ws.client.markets import Markets
from upbit_ws.client.observation import Observation, Observed
from upbit_ws.client.push import PushSide
from upbit_ws.client.push_parts import Member, PushParts
from upbit_ws.client.reentrancy import interrupts_the_sdk
from upbit_ws.client.rest_clients import make_rest_client
from upbit_ws.client.subscription_options import CallbackOptions, keys_of, wants_of
from upbit_ws.config import WebSocketConfig
from upbit_ws.exceptions import (
    ClientClosedError,
    InvalidArgumentError,
    UpbitWebSocketError,
)
from upbit_ws.lifecycle import ConnectionEvent
from upbit_ws.protocol.slots import Delivery
from upbit_ws.runtime.connections import Connections, SharedParts
from upbit_ws.runtime.monitors import Monitor
from upbit_ws.runtime.recovery import Recovery, RecoveryParts
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.shared.component_registry import ComponentRegistry
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.fanout_hub import FanoutHub
from upbit_ws.shared.gap_ledger import GapLedger
from upbit_ws.shared.limiter_registry import limiter_for
from upbit_ws.shared.locks import make_lock
from upbit_ws.shared.subscriber import Callback
from upbit_ws.shared.subscription_state_manager import SubscriptionStateManager
from upbit_ws.symbols import is_pattern
from upbit_ws.types import (
    DataDistributionStats,
    Endpoint,
    GlobalManagerState,
    StreamKey,
    SubscriptionSpec,
    Want,
)

__all__ = ["Component", "GlobalWebSocketManager"]

_EVENTS_KEPT: Final = 256
#: A REST call that would have to wait longer than this (seconds) for its turn is refused instead.
_REST_PATIENCE: Final = 60.0


class Component(Protocol):
    """What registers with a manager: a pull client or a proxy."""

    component_id: str

    def supersede(self) -> None:
        """Another component of the same name takes its place."""

    def refresh_patterns(self) -> None:
        """The list of markets has changed."""


class GlobalWebSocketManager(ManagerLifeCycle):
    """Owns everything that clients share. Costs nothing until the first interest is registered.

    Args:
        config: None for `WebSocketConfig()`.
        clock: Monotonic seconds.
    """

    def __init__(self, config: WebSocketConfig | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        if config is not None and not isinstance(config, WebSocketConfig):
            raise InvalidArgumentError(
                "config", f"must be a WebSocketConfig, got {config!r}", "config=WebSocketConfig()"
            )
        self.config = config if config is not None else WebSocketConfig()
        self.clock = clock
        self.pool = DataPoolManager()
        self.subscriptions = SubscriptionStateManager(clock=clock)
        self.limiter = limiter_for(self.config.rate_limit, self.config.connection.base_url)
        self._markets_budget = RestBudget(self.limiter, clock, time.time, _REST_PATIENCE)
        rest = partial(make_rest_client, self.config, self._markets_budget)
        self._markets = Markets(rest, clock, self._markets_changed)
        self._push = self._make_push()
        self._gaps = GapLedger()
        self._recovery = Recovery(self._recovery_parts(self._push.deliver))
        self._account = AccountSide(self.config, self.subscriptions, self._recovery_parts(self._push.deliver))
        self._connections = Connections(
            SharedParts(
                config=self.config,
                clock=clock,
                pool=self.pool,
                subscriptions=self.subscriptions,
                limiter=self.limiter,
                publish=self._publish,
                deliver=self._recovery.deliver,
                reopen=self._recovery.take,
                confirmed=self._account.confirm,
                authenticator=self._account.authenticator,
            )
        )
        self._components: ComponentRegistry[Component] = ComponentRegistry()
        #: Guards the life cycle: state, owners, monitors.
        self._lock = make_lock("manager", 5)
        self._owners: dict[int, Hashable] = {}
        self._state = GlobalManagerState.IDLE
        self._started_at: float | None = None
        self._events: deque[ConnectionEvent] = deque(maxlen=_EVENTS_KEPT)
        self._observation = self._make_observation()
        self._monitors = self._make_monitors()
        self._is_close_asked_for = False
        self._pid = os.getpid()
        self._is_abandoned = False

    def __repr__(self) -> str:
        return f"<GlobalWebSocketManager {self._state} {len(self._components)} components, {self._connections.all()}>"

    def __enter__(self) -> GlobalWebSocketManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a manager holds live connections and cannot be copied or pickled; make a new one where you need it"
        )

    # -- components ---------------------------------------------------------------------------------------------------

    def register_component(self, component: Component) -> int:
        """Enter a component; the token stands for it. An open one of the same kind and name loses its place to it."""
        self.check_usable()
        self._sweep()
        owner = type(component).__name__, component.component_id
        registration = self._components.register("/".join(owner), component)
        token, previous = registration.token, registration.previous_token
        with self._lock:
            self._owners[token] = owner
            if previous is not None and (inherited := self._owners.pop(previous, None)) is not None:
                self._owners[token] = inherited
        if registration.previous is not None and previous is not None:
            self._components.unregister(previous)
            self._push.bequeath(previous, token)
            registration.previous.supersede()
        return token

    def unregister_component(self, token: int) -> None:
        """A component was closed: what only it wanted is wanted no more, and its pulls that wait notice.

        From a signal handler or a finalizer only its callbacks end at once, and the clean-up thread does the rest.
        """
        if interrupts_the_sdk():
            self._push.hush(token)
            self._components.mark_gone(token)
            self._monitors["cleanup"].kick()
            return
        self._components.unregister(token)
        self._drop(token)
        self.pool.wake_all()

    def set_wants(
        self, token: int, wants: Iterable[Want], patterns: Collection[str], histories: Mapping[StreamKey, int]
    ) -> None:
        """A component wants exactly these streams from now on, with histories of at least these lengths, and follows
        these patterns.
        """
        self.check_usable()
        with self._lock:
            owner = self._owners.get(token)
        if owner is None:
            raise ClientClosedError
        self._become_active()
        self._sweep()
        wishes = tuple(wants)
        # First the threads, which the system may refuse: nothing is registered then.
        self._connections.start({want.key.data_type.endpoint for want in wishes})
        endpoints = list(self.subscriptions.set_wants(owner, wishes))
        self._admit(endpoints)
        # Before the first payload comes: a history that is lengthened later has lost what did not fit.
        self.pool.keep_history(histories)
        self._wake(endpoints)
        if patterns:
            self._follow_markets()

    def check_wants(self, token: int, wants: Iterable[Want]) -> None:
        """Refuse wishes of a component that cannot be served. `set_wants` or `subscribe` may follow.

        Raises:
            AuthenticationError: they need keys, and there are none.
            InvalidArgumentError: keys would travel in clear, or one request would hold too many indicators.
        """
        with self._lock:
            owner = self._owners.get(token)
        self._account.check(self._connections, owner, wants)

    def _admit_and_wake(self, endpoints: Iterable[Endpoint]) -> None:
        changed = list(endpoints)
        self._admit(changed)
        self._wake(changed)

    def _admit(self, endpoints: Iterable[Endpoint]) -> None:
        for endpoint in endpoints:
            version = self.subscriptions.version(endpoint)
            asked = self.subscriptions.asked(endpoint)
            if asked is not None:
                self.pool.admit(endpoint, asked.keys, version)

    def _wake(self, endpoints: Iterable[Endpoint]) -> None:
        changed = tuple(endpoints)
        if Endpoint.PRIVATE in changed:
            self._account.cover()
        self._connections.wake(changed)

    def _drop(self, token: int) -> None:
        with self._lock:
            owner = self._owners.pop(token, None)
        self._push.end(token)
        if owner is not None:
            self._admit_and_wake(self.subscriptions.drop_owner(owner))

    def _sweep(self) -> int:
        """Let go of what components wanted that were collected."""
        gone = self._components.sweep()
        for token in gone:
            self._drop(token)
        if gone:
            self.pool.wake_all()
        self._observation.swept += len(gone)
        return len(gone) + self._push.sweep()

    def refusals(self, token: int) -> Mapping[StreamKey, UpbitWebSocketError]:
        """What of the wants of a component the exchange refuses, for themselves or for the keys, and how it put it."""
        with self._lock:
            owner = self._owners.get(token)
        if owner is None:
            return {}
        wants, rejections = self.subscriptions.wants_of(owner), self.subscriptions.rejections(owner)
        return self._account.refusals(self._connections, wants, rejections)

    # -- callbacks ----------------------------------------------------------------------------------------------------

    def subscribe(self, member: Member, spec: SubscriptionSpec, callback: Callback, options: CallbackOptions) -> str:
        """Begin to call back with events, for a proxy; the id of the subscription."""
        self.check_usable()
        self._become_active()
        self._sweep()
        wishes = wants_of(spec, keys_of(spec, self._markets.expand))
        self._account.check(self._connections, None, wishes, (spec.data_type.endpoint,))
        self._connections.start((spec.data_type.endpoint,))
        if any(is_pattern(symbol) for symbol in spec.symbols):
            self._follow_markets()
        return self._push.subscribe(member, spec, callback, options)

    def unsubscribe(self, subscription_id: str) -> bool:
        """End a subscription or a listener; False where there is none of that id."""
        self._sweep()
        return self._push.unsubscribe(subscription_id)

    def listen(self, member: Member, callback: Callback) -> str:
        """Begin to call back with events in the life of connections; an id for `unsubscribe`."""
        self.check_usable()
        self._become_active()
        return self._push.listen(member, callback)

    def subscriptions_of(self, token: int) -> tuple[str, ...]:
        """The ids of a component's subscriptions with callbacks, oldest first."""
        return self._push.subscriptions_of(token)

    @property
    def hub(self) -> FanoutHub:
        """Where events for callbacks are handed in (`hub.publish`) and counted (`hub.statistics`)."""
        return self._push.hub

    def get_distribution_stats(self) -> DataDistributionStats:
        """What became of all events that went to callbacks, now."""
        return self._push.hub.statistics()

    # -- patterns -----------------------------------------------------------------------------------------------------

    @property
    def markets_version(self) -> int:
        """Changes with the list of markets; 0 while it is not known."""
        return self._markets.version

    def expand_pattern(self, pattern: str) -> tuple[str, ...]:
        """The codes that a pattern (`KRW-*`) means now; empty while the list of markets is not known."""
        return self._markets.matching(pattern)

    def wait_for_markets(self, patterns: Collection[str], deadline: float) -> bool:
        """Block until the list of markets is known, if a pattern needs it, at most until `deadline`."""
        return self._markets.wait_known(patterns, deadline)

    def _follow_markets(self) -> None:
        with self._lock:
            self._markets.follow()

    def _markets_changed(self) -> None:
        for component in self._components.alive():
            component.refresh_patterns()
        self._push.refresh()
        self.pool.wake_all()

    # -- connections --------------------------------------------------------------------------------------------------

    def rotate(self) -> None:
        """Replace every connection by a new one, without a gap: the new one delivers before the old one is closed."""
        self.check_usable()
        self._connections.rotate()

    def _publish(self, event: ConnectionEvent) -> None:
        self._account.on_event(event)
        self._events.append(event)
        self._push.announce(event)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _make_push(self) -> PushSide:
        return PushSide(
            PushParts(
                config=self.config.backpressure,
                clock=self.clock,
                pool=self.pool,
                subscriptions=self.subscriptions,
                wake=self._wake,
                expand=self._markets.expand,
                publish=self._publish,
                refusal=lambda data_type: self._account.refusal(self._connections, data_type),
            )
        )

    def _recovery_parts(self, deliver: Callable[[list[Delivery]], None]) -> RecoveryParts:
        return RecoveryParts(
            config=self.config.recovery,
            clock=self.clock,
            wall=time.time,
            pool=self.pool,
            ledger=self._gaps,
            rest=partial(make_rest_client, self.config),
            budget=RestBudget(self.limiter, self.clock, time.time, _REST_PATIENCE),
            publish=self._publish,
            deliver=deliver,
        )

    def _make_observation(self) -> Observation:
        return Observation(
            Observed(
                clock=self.clock,
                pool=self.pool,
                connections=self._connections,
                push=self._push,
                state=lambda: self.state,
                components=lambda: len(self._components),
                background_tasks=lambda: self.background_tasks,
            )
        )

    # -- monitors -----------------------------------------------------------------------------------------------------

    def _make_monitors(self) -> dict[str, Monitor]:
        intervals = self.config.monitoring
        return {
            "health": Monitor("upbit-ws-health", intervals.health_interval, self._check_health),
            "metrics": Monitor("upbit-ws-metrics", intervals.metrics_interval, self._observation.measure),
            "cleanup": Monitor("upbit-ws-cleanup", intervals.cleanup_interval, self._clean_up),
            "markets": self._markets.monitor,
        }

    def _check_health(self) -> None:
        self._sweep()
        self._observation.check_health()

    def _clean_up(self) -> None:
        if self._is_close_asked_for:
            self.close()
            return
        self._sweep()
        self._connections.wake(self.subscriptions.parole())
