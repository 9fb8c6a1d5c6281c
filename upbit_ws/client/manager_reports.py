"""What a manager tells about itself: state, health, figures, gaps, subscriptions, and why a pull waited in vain."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection

from attrs import evolve

from upbit_ws.client.account_side import AccountSide
from upbit_ws.client.markets import Markets
from upbit_ws.client.observation import Observation
from upbit_ws.client.pulling import check_seconds
from upbit_ws.client.push import PushSide
from upbit_ws.exceptions import ClientClosedError, DataTimeoutError, ForkedProcessError, InvalidArgumentError
from upbit_ws.lifecycle import ConnectionEvent
from upbit_ws.protocol.gap_filling import Gap
from upbit_ws.protocol.subscription_list import SubscriptionList
from upbit_ws.runtime.connections import Connections
from upbit_ws.runtime.monitors import Monitor
from upbit_ws.runtime.recovery import Recovery
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.gap_ledger import GapLedger
from upbit_ws.shared.pool_reading import RejectedPayload
from upbit_ws.shared.subscription_state_manager import SubscriptionStateManager
from upbit_ws.types import (
    ConnectionMetrics,
    ConnectionState,
    ConnectionStatus,
    Endpoint,
    GlobalManagerState,
    HealthStatus,
    PerformanceMetrics,
    StreamKey,
)

__all__ = ["ManagerReports"]


class ManagerReports:
    """The part of the manager that changes nothing: it reads what the other parts keep, or asks the exchange."""

    clock: Callable[[], float]
    pool: DataPoolManager
    subscriptions: SubscriptionStateManager
    _state: GlobalManagerState
    _started_at: float | None
    _is_abandoned: bool
    _pid: int
    _is_close_asked_for: bool
    _connections: Connections
    _monitors: dict[str, Monitor]
    _push: PushSide
    _observation: Observation
    _events: deque[ConnectionEvent]
    _gaps: GapLedger
    _recovery: Recovery
    _account: AccountSide
    _markets: Markets

    @property
    def state(self) -> GlobalManagerState:
        """What the manager as a whole is doing. ERROR: a connection hardly comes back before somebody acts (keys)."""
        is_stuck = any(client.state is ConnectionState.ERROR for client in self._connections.all())
        return GlobalManagerState.ERROR if is_stuck and self._state is GlobalManagerState.ACTIVE else self._state

    @property
    def is_over(self) -> bool:
        """Whether it was closed, or belongs to another process."""
        is_closing = self._state in (GlobalManagerState.SHUTTING_DOWN, GlobalManagerState.CLOSED)
        return self._is_abandoned or self._is_close_asked_for or is_closing

    @property
    def uptime_seconds(self) -> float:
        """Seconds since the first interest was registered; 0.0 before."""
        return 0.0 if self._started_at is None else self.clock() - self._started_at

    @property
    def background_tasks(self) -> dict[str, bool]:
        """The names of the background threads, and whether each runs."""
        threads = [client.thread for client in self._connections.all()]
        threads += [monitor.thread for monitor in self._monitors.values()]
        threads += [self._recovery.thread, self._account.reconciler.thread]
        tasks = {thread.name: thread.is_alive() for thread in threads if thread is not None}
        return tasks | {thread.name: thread.is_alive() for thread in self._push.workers.threads()}

    def check_process(self) -> None:
        """Raise where this is a copy of a manager, made by a fork: what it shows was true of its parent.

        Raises:
            ForkedProcessError: it belongs to the process that this one was forked from.
        """
        if self._is_abandoned:
            raise ForkedProcessError("manager", owner_pid=self._pid, current_pid=os.getpid())

    def check_usable(self) -> None:
        """Raise where nothing works any more.

        Raises:
            ClientClosedError: the manager was closed.
            ForkedProcessError: it belongs to the process that this one was forked from.
        """
        self.check_process()
        if self.is_over:
            raise ClientClosedError("manager")

    def get_health_status(self) -> HealthStatus:
        """The result of the last health round (every 30 s by default); that a background thread has died shows at once,
        also when it is the one that makes the rounds."""
        self.check_process()
        health, tasks = self._observation.health, self.background_tasks
        if self.is_over or all(tasks.values()):
            return health
        return evolve(health, is_healthy=False, background_tasks=tasks)

    def get_performance_metrics(self) -> PerformanceMetrics:
        """The figures of the last metrics round (every 10 s by default)."""
        self.check_process()
        return self._observation.performance

    def get_connection_metrics(self) -> tuple[ConnectionMetrics, ...]:
        """The counters of each connection, now."""
        self.check_process()
        return self._connections.metrics()

    def connection_statuses(self) -> tuple[ConnectionStatus, ...]:
        """What may be believed of each connection, now."""
        self.check_process()
        return self._connections.statuses()

    def recent_events(self) -> tuple[ConnectionEvent, ...]:
        """The last events in the life of the connections, oldest first."""
        self.check_process()
        return tuple(self._events)

    def list_subscriptions(self, endpoint: Endpoint = Endpoint.PUBLIC, *, timeout: float = 5.0) -> SubscriptionList:
        """Ask the exchange what it has as subscribed on our connection (Upbit: list-subscriptions page).

        It is asked behind all that this thread has changed before, and told what the exchange answers to that question
        or to a later one. Where the connection is lost meanwhile, the next one is asked, once; where the exchange
        refused something meanwhile, nothing is asked again, as it may have been the question. Without a connection
        nothing is subscribed, and the list is empty. While a stream that is refused is looked for
        (`RequestRejectedError`), only the part that is being tried is subscribed, and listed.

        The question counts as one message against the rate limit, and waits for its turn.

        Raises:
            DataTimeoutError: no answer within `timeout` seconds.
            InvalidArgumentError: there is no such endpoint, or `timeout` is no number of seconds.
            ClientClosedError: the manager was closed.
            ForkedProcessError: it is of another process.
        """
        if not isinstance(endpoint, str) or endpoint not in tuple(Endpoint):
            problem = f"must be one of {', '.join(map(str, Endpoint))}, got {endpoint!r}"
            raise InvalidArgumentError("endpoint", problem, "endpoint=Endpoint.PUBLIC")
        check_seconds("timeout", timeout, optional=False)
        subscriptions, deadline = self.subscriptions, self.clock() + timeout
        self.check_usable()
        if subscriptions.wanted(endpoint) is None:  # a question would stay for the next connection
            return SubscriptionList("", frozenset())
        number = subscriptions.ask_listing(endpoint)
        try:
            while (listed := subscriptions.listed(endpoint, number)) is None:
                self.check_usable()
                left = deadline - self.clock()
                if subscriptions.wanted(endpoint) is None:
                    return SubscriptionList("", frozenset())
                if left <= 0:
                    raise DataTimeoutError((), timeout=timeout, reason="the exchange did not say what is subscribed")
                self._connections.wake((endpoint,))
                self.pool.wait((), lambda: subscriptions.listed(endpoint, number) is not None, min(left, 1.0))
            return listed
        finally:
            subscriptions.forget_listing(endpoint, number)

    def gaps(self, keys: Collection[StreamKey] | None = None) -> tuple[Gap, ...]:
        """What reconnects left open in all that has no snapshot: trades, candles, orders, balances, announcements and
        indicators; of these streams, or of all."""
        self.check_process()
        return self._gaps.gaps(keys)

    def rejected_payloads(self) -> tuple[RejectedPayload, ...]:
        """The last payloads that could not be used, kept for diagnosis."""
        return self.pool.rejected()

    def why_no_account(self) -> str | None:
        """The same of orders and balances, where it is that they cannot be fetched."""
        error = self._account.reconciler.last_error
        return None if error is None else f"orders and balances could not be fetched: {error}"

    def why_nothing_came(self) -> str:
        """A clause for the error of a pull that waited in vain."""
        error = self._connections.last_error()
        if error is not None:
            return f"last connection error: {error}"
        if self._markets.trouble is not None:
            return f"the list of markets could not be fetched: {self._markets.trouble}"
        if any(status.state is ConnectionState.CONNECTED for status in self.connection_statuses()):
            return "connected, but the exchange sent nothing for it: is the code spelt right and listed?"
        return "not connected yet"
