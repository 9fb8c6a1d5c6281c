"""How a manager begins, ends, and is abandoned in a forked child."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Final

from upbit_ws.client.manager_reports import ManagerReports
from upbit_ws.client.reentrancy import interrupts_the_sdk
from upbit_ws.runtime.monitors import Monitor
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.runtime.threads import close_at_exit
from upbit_ws.types import GlobalManagerState

__all__ = ["ManagerLifeCycle"]

_CLOSE_BUDGET: Final = 1.0
#: Of the budget of `close`, what is kept for callbacks that are running (seconds).
_CALLBACK_GRACE: Final = 0.2
#: Those that run from the first interest on; that of the markets starts with the first pattern.
_OWN_MONITORS: Final = ("health", "metrics", "cleanup")


class ManagerLifeCycle(ManagerReports, ABC):
    """The part of the manager that starts the threads and ends them. Idle until something is wanted."""

    #: Guards the state and the monitors.
    _lock: threading.Lock
    _monitors: dict[str, Monitor]
    _markets_budget: RestBudget

    @abstractmethod
    def _make_monitors(self) -> dict[str, Monitor]:
        """The background tasks that run every so often, by name, not started yet."""

    def _become_active(self) -> None:
        # All under the lock: two threads that register at once must not start two of each.
        with self._lock:
            if self._state is not GlobalManagerState.IDLE:
                return
            try:
                for name in _OWN_MONITORS:
                    self._monitors[name].start()
            except RuntimeError:  # the system has no more threads: none is better than some
                self._replace_monitors_locked()
                raise
            self._state = GlobalManagerState.ACTIVE
            self._started_at = self.clock()
        close_at_exit(self)

    def _replace_monitors_locked(self) -> None:
        assert self._lock.locked()
        for name in _OWN_MONITORS:
            self._monitors[name].stop()
        self._monitors = self._make_monitors()

    def close(self, timeout: float = _CLOSE_BUDGET) -> None:
        """Say goodbye to the exchange and end all threads, within `timeout` seconds. Idempotent, from any thread."""
        if interrupts_the_sdk():
            self._is_close_asked_for = True
            self._monitors["cleanup"].kick()
            return
        with self._lock:
            if self._state in (GlobalManagerState.SHUTTING_DOWN, GlobalManagerState.CLOSED) or self._is_abandoned:
                return
            self._state = GlobalManagerState.SHUTTING_DOWN
        for monitor in self._monitors.values():
            monitor.stop()
        self._connections.stop()
        self._recovery.stop()
        self._account.reconciler.stop()
        self._markets_budget.stop()
        self.pool.wake_all()
        self._markets.wake_all()
        deadline = self.clock() + timeout - _CALLBACK_GRACE
        threads = [client.thread for client in self._connections.all()]
        threads += [self._recovery.thread, self._account.reconciler.thread]
        threads += [monitor.thread for monitor in self._monitors.values()]
        self._join(threads, deadline)
        # Now that the last announcements are made, the callback threads. One that is in user code may stay there.
        self._push.workers.stop()
        self._join(self._push.workers.threads(), self.clock() + _CALLBACK_GRACE)
        self._state = GlobalManagerState.CLOSED

    def _join(self, threads: Iterable[threading.Thread | None], deadline: float) -> None:
        for thread in threads:
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(deadline - self.clock(), 0.0))

    def abandon_after_fork(self) -> None:
        """In a forked child: this manager is dead here. Takes no lock: another thread may have held it at the fork."""
        self._is_abandoned = True
        self._connections.abandon()
