"""What must hold after every fault, whatever it was: the ten invariants of `docs/reliability.md`.

A manager under observation is an ordinary one whose pool and announcements are listened to. What can only be judged
while it happens is judged then (I2, I3, I8), the rest at the end (`Invariants.check`).
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from upbit_ws import GlobalWebSocketManager
from upbit_ws.config import AuthConfig, WebSocketConfig
from upbit_ws.lifecycle import BackingOff, Connected, Connecting, ConnectionEvent, Disconnected
from upbit_ws.protocol.slots import Slot
from upbit_ws.types import ConnectionState, Endpoint, StreamKey

__all__ = ["CANARIES", "Invariants", "ObservedManager"]

#: Planted as keys; they must never be seen again.
CANARIES: Final = ("CanaryAccess0123456789abcdefghijklmnopqr", "CanarySecret0123456789abcdefghijklmnopqr")
LONGEST_CLOSE: Final = 1.0
#: Everything that the SDK says; of the embedded exchange, which is not under test, only what is wrong.
_LEVELS: Final = {"upbit_ws": logging.DEBUG, "upbit_ws.sandbox": logging.WARNING}
#: What a thread may take to get going again on a busy machine (seconds).
_SCHEDULING: Final = 0.5
#: What a server in the same process may take to read the last request (seconds).
_BUSY_SERVER: Final = 5.0


def canary_auth() -> AuthConfig:
    """Keys that would be noticed anywhere."""
    return AuthConfig(access_key=CANARIES[0], secret_key=CANARIES[1])


class ObservedManager(GlobalWebSocketManager):
    """A manager that is listened to."""

    def __init__(self, config: WebSocketConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        #: Everything announced, with nothing thrown away.
        self.published: list[ConnectionEvent] = []
        #: What broke while it happened.
        self.violations: list[str] = []
        self.controls = self.filled = self.rejected_late = self.forgotten = 0
        self._inside = threading.local()
        self._newest: dict[StreamKey, tuple[int, bytes]] = {}
        self._opened: dict[Endpoint, int] = {}
        #: A server whose clock is set back on purpose.
        self.may_go_back = False
        super().__init__(config, clock=clock)
        pool: Any = self.pool
        pool.ingest = self._ingest
        pool.intake = self._intake
        pool.finish = self._finish
        pool.open_epoch = self._open_epoch
        pool.wait = self._wait
        pool.fill = self._fill
        pool._reject = self._count_reject
        pool._reject_entry = self._count_entry
        pool._forget_locked = self._forget_locked

    def _publish(self, event: ConnectionEvent) -> None:
        self.published.append(event)
        super()._publish(event)

    # -- in place of the pool's methods: the same, listened to ---------------------------------------------------------

    def _ingest(self, endpoint: Endpoint, epoch: int, messages: list[bytes], now: float) -> Any:
        return self._listen(lambda: type(self.pool).ingest(self.pool, endpoint, epoch, messages, now))

    def _finish(self, endpoint: Endpoint, *left: Any) -> Any:
        return self._listen(lambda: type(self.pool).finish(self.pool, endpoint, *left))

    def _intake(self, epoch: int, clock: Callable[[], float], interval: float) -> Any:
        def now() -> float:  # it asks before each batch, and so behind each but the last
            self._check_values()
            return clock()

        return type(self.pool).intake(self.pool, epoch, now, interval)

    def _listen(self, file: Callable[[], Any]) -> Any:
        self._inside.is_filing = True
        try:
            result = file()
        finally:
            self._inside.is_filing = False
        self.controls += len(result.controls)
        self._check_values()
        return result

    def _check_values(self) -> None:
        for key, slot in list(self.pool._slots.items()):
            current = slot.current
            if current is None:
                continue
            newest = current[1][1], slot.timestamp
            before = self._newest.get(key, (0, b""))
            if newest[0] < before[0]:
                self.violations.append(f"I2: {key} went from epoch {before[0]} back to {newest[0]}")
            if newest[1] < before[1] and not self.may_go_back:
                self.violations.append(f"I3: {key} went from {before[1]!r} back to {newest[1]!r}")
            self._newest[key] = newest

    def _open_epoch(self, endpoint: Endpoint, now: float, *, replaces: int | None = None) -> int:
        epoch = type(self.pool).open_epoch(self.pool, endpoint, now, replaces=replaces)
        if epoch <= self._opened.get(endpoint, 0):
            self.violations.append(f"I2: epoch {epoch} follows {self._opened[endpoint]}")
        self._opened[endpoint] = epoch
        return epoch

    def _wait(self, slots: Any, is_due: Callable[[], bool], timeout: float) -> None:
        begun = time.monotonic()
        type(self.pool).wait(self.pool, slots, is_due, timeout)
        took = time.monotonic() - begun
        if took > max(timeout, 0.0) + _SCHEDULING:
            self.violations.append(f"I8: a wait of {timeout:.2f} s took {took:.2f} s")

    def _fill(self, slot: Slot, rows: Any, now: float) -> Any:
        rows = list(rows)
        self.filled += len(rows)
        return type(self.pool).fill(self.pool, slot, rows, now)

    def _count_reject(self, *args: Any, **named: Any) -> None:
        if not getattr(self._inside, "is_filing", False):
            self.rejected_late += 1
        type(self.pool)._reject(self.pool, *args, **named)

    def _count_entry(self, *args: Any) -> None:
        before = self.pool._undecodable
        type(self.pool)._reject_entry(self.pool, *args)
        self.rejected_late += self.pool._undecodable - before

    def _forget_locked(self, key: StreamKey) -> None:
        self.forgotten += self.pool._slots[key].revision
        self._newest.pop(key, None)
        type(self.pool)._forget_locked(self.pool, key)

    # -- the end -------------------------------------------------------------------------------------------------------

    def await_threads(self) -> list[str]:
        """Until the threads that file have ended. `close` waits for them for a second and no longer, and on a busy machine
        one may stand between two counters that belong together.
        """
        filing = [client.thread for client in self._connections.all()]
        filing += [self._recovery.thread, self._account.reconciler.thread]
        for thread in filing:
            if thread is not None:
                thread.join(_BUSY_SERVER)
        return [f"I5: {thread.name} goes on after close" for thread in filing if thread and thread.is_alive()]

    def unaccounted(self) -> int:
        """Messages that are neither in the pool nor counted as anything (I1). 0, or something was lost in silence."""
        counters = self.pool.counters()
        taken = sum(self.pool.taken_by_type().values()) + self.forgotten
        refused = counters.undecodable + counters.unknown - self.rejected_late
        refused += counters.unwanted + counters.stale + counters.older + counters.duplicates
        return counters.messages + self.filled - taken - refused - self.controls


class _Log(logging.Handler):
    """Every line that is logged anywhere, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {self.format(record)}")


class Invariants:
    """All that a test made, and whether the ten hold for it."""

    def __init__(self) -> None:
        self.managers: list[ObservedManager] = []
        self._servers: dict[ObservedManager, Callable[[], str | None]] = {}
        self._waived: set[str] = set()
        self._log = _Log()
        self._levels = {name: logging.getLogger(name).level for name in _LEVELS}

    def begin(self) -> None:
        """Listen to all logs."""
        logging.getLogger().addHandler(self._log)
        for name, level in _LEVELS.items():
            logging.getLogger(name).setLevel(level)

    def end(self) -> None:
        """Listen no more."""
        logging.getLogger().removeHandler(self._log)
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    @property
    def log(self) -> list[str]:
        """What was logged so far, one entry a record."""
        return self._log.lines

    def observe(self, manager: ObservedManager, last_request: Callable[[], str | None] | None = None) -> None:
        """Check this one, too. `last_request`: the newest request that its server has read, for I4."""
        self.managers.append(manager)
        if last_request is not None:
            self._servers[manager] = last_request

    def waive(self, *names: str) -> None:
        """The fault of this test is a breach of these by design."""
        self._waived.update(names)

    def check(self) -> list[str]:
        """Everything that does not hold. Closes all managers."""
        broken: list[str] = []
        for manager in self.managers:
            broken += self._check_wanted(manager)
            broken += self._close_from_everywhere(manager)
            broken += manager.await_threads()
            broken += manager.violations
            broken += _check_events(manager.published)
            if unaccounted := manager.unaccounted():
                broken.append(f"I1: {unaccounted} messages unaccounted for: {manager.pool.counters()}")
            broken += _check_hub(manager)
        broken += self._check_log()
        return [line for line in broken if line.partition(":")[0] not in self._waived]

    def _check_wanted(self, manager: ObservedManager) -> list[str]:
        """I4, where the connection stands and its server reads."""
        last_request = self._servers.get(manager)
        is_up = any(status.state is ConnectionState.CONNECTED for status in manager.connection_statuses())
        plan = manager.subscriptions.wanted(Endpoint.PUBLIC)
        if last_request is None or not is_up or plan is None:
            return []
        wanted = json.loads(plan.request("ticket", manager.config.connection.wire_format))[1:]
        deadline = time.monotonic() + _BUSY_SERVER
        while True:
            request = last_request()
            heard = None if request is None else json.loads(request)[1:]
            if heard == wanted or heard is None:
                return []
            if time.monotonic() > deadline:
                return [f"I4: wanted is {wanted}, the server last heard {heard}"]
            time.sleep(0.01)

    @staticmethod
    def _close_from_everywhere(manager: ObservedManager) -> list[str]:
        """I9: from two threads at once, and once more."""
        broken: list[str] = []

        def close() -> None:
            begun = time.monotonic()
            manager.close()
            took = time.monotonic() - begun
            if took > LONGEST_CLOSE + _SCHEDULING:
                broken.append(f"I9: close took {took:.2f} s")

        other = threading.Thread(target=close, name="another-closer")
        other.start()
        close()
        other.join(10.0)
        close()
        return broken

    def _check_log(self) -> list[str]:
        """I7 and I10."""
        text = "\n".join(self._log.lines)
        text += "\n".join(repr(event) for manager in self.managers for event in manager.published)
        text += "\n".join(f"{manager!r} {manager.config!r}" for manager in self.managers)
        broken = [f"I7: {canary!r} was seen" for canary in CANARIES if canary in text]
        bugs = [line for line in self._log.lines if "an error inside the SDK" in line or "ended by an error" in line]
        return broken + [f"I10: {line}" for line in bugs]


def _check_events(published: list[ConnectionEvent]) -> list[str]:
    """I6: every end of a connection and every wait is announced once and says why."""
    broken: list[str] = []
    ended = [(event.endpoint, event.epoch) for event in published if isinstance(event, Disconnected)]
    begun = [(event.endpoint, event.epoch) for event in published if isinstance(event, Connected)]
    broken += [f"I6: the end of {epoch} was announced twice" for epoch in set(ended) if ended.count(epoch) > 1]
    broken += [f"I6: {epoch} ended and never began" for epoch in ended if epoch not in begun]
    for event in published:
        if isinstance(event, (Disconnected, BackingOff)) and not event.reason:
            broken.append(f"I6: without a cause: {event}")
    for endpoint in {event.endpoint for event in published}:
        own = [event for event in published if event.endpoint is endpoint]
        waits = [event for event in own if isinstance(event, (BackingOff, Connecting))]
        for one, other in itertools.pairwise(waits):
            if isinstance(one, BackingOff) and isinstance(other, BackingOff):
                broken.append(f"I6: two waits in a row: {one}, {other}")
    return broken


def _check_hub(manager: GlobalWebSocketManager) -> list[str]:
    """I1 for callbacks: what came is delivered, conflated, dropped or still queued."""
    stats = manager.get_distribution_stats()
    total = stats.delivered + stats.conflated + stats.dropped + stats.queued
    return [] if stats.received == total else [f"I1: mailboxes received {stats.received} and know of {total}"]
