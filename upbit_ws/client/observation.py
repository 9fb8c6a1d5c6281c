"""The figures of a manager, put together by its monitor threads; the last snapshot is for everybody."""

from __future__ import annotations

from collections.abc import Callable

from upbit_ws.client.push import PushSide
from upbit_ws.records import frozen
from upbit_ws.runtime.connections import Connections
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.metrics import PerformanceMeter, Totals
from upbit_ws.types import ConnectionState, GlobalManagerState, HealthStatus, PerformanceMetrics

__all__ = ["Observation", "Observed"]

_FINE = (ConnectionState.CONNECTED, ConnectionState.DISCONNECTED)


@frozen(kw_only=True)
class Observed:
    """Where the figures come from."""

    clock: Callable[[], float]
    pool: DataPoolManager
    connections: Connections
    push: PushSide
    state: Callable[[], GlobalManagerState]
    components: Callable[[], int]
    background_tasks: Callable[[], dict[str, bool]]


class Observation:
    """Health and performance, as of the last rounds."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._meter = PerformanceMeter(observed.clock())
        self.health = HealthStatus(is_healthy=True, state=observed.state())
        self.performance = PerformanceMetrics()
        #: Components that were collected without having been closed.
        self.swept = 0

    def check_health(self) -> None:
        """One health round."""
        seen = self._observed
        statuses, tasks = seen.connections.statuses(), seen.background_tasks()
        are_fine = all(status.state in _FINE and not status.suspected_mute for status in statuses)
        self.health = HealthStatus(
            is_healthy=are_fine and all(tasks.values()),
            state=seen.state(),
            connections=statuses,
            components=seen.components(),
            dead_components_swept=self.swept,
            background_tasks=tasks,
            checked_at=seen.clock(),
        )

    def measure(self) -> None:
        """One round of measuring."""
        seen = self._observed
        counters = seen.pool.counters()
        totals = Totals(
            messages=counters.messages,
            decode_errors=counters.undecodable,
            stale_dropped=counters.stale,
            duplicates=counters.duplicates,
            out_of_order=counters.older,
            dropped=seen.push.statistics().dropped,
            events={data_type.value: taken for data_type, taken in seen.pool.taken_by_type().items()},
        )
        self.performance = self._meter.measure(totals, seen.connections.meters(), seen.clock())
