"""Filling gaps over REST, on a thread of its own, while live events of the stream wait their turn.

The I/O thread hands over what a reconnect left open and goes on reading. Until a gap is filled, or
`RecoveryConfig.hold` is over, live events of that stream are held back from subscribers, so that they get what was
missed first. The pool is not held back: a pull sees the newest value at once.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import field

from upbit_ws.config import RecoveryConfig
from upbit_ws.events import CandleEvent, TradeEvent
from upbit_ws.exceptions import ClientClosedError, PayloadError, UpbitWebSocketError
from upbit_ws.lifecycle import ConnectionEvent, GapRecovered, GapReported
from upbit_ws.models import decode_event
from upbit_ws.protocol.gap_filling import (
    Gap,
    GapState,
    RecoveredRow,
    TradePages,
    candle_rows,
    candles_missed,
)
from upbit_ws.protocol.slots import Entry, Reopened, Slot, TradeSlot
from upbit_ws.records import define, frozen
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.runtime.threads import spawn
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.gap_ledger import GapLedger
from upbit_ws.shared.locks import make_lock
from upbit_ws.shared.waiting import Signal
from upbit_ws.wire.rest import RestClient

__all__ = ["Delivery", "Recovery", "RecoveryParts"]

logger = logging.getLogger("upbit_ws")

#: A slot and one of its payloads, on its way to subscribers.
Delivery = tuple[Slot, Entry]
#: How long (seconds) to wait before each further try of a call: what ended the connection may not be over yet. Together
#: they stay below the usual `RecoveryConfig.hold`.
_PAUSES = (0.1, 0.3, 1.0, 2.0)
_CANDLES_A_CALL = 200


@frozen(kw_only=True)
class RecoveryParts:
    """What recovery works with."""

    config: RecoveryConfig
    clock: Callable[[], float]
    wall: Callable[[], float]
    pool: DataPoolManager
    ledger: GapLedger
    rest: Callable[[RestBudget], RestClient]
    budget: RestBudget
    publish: Callable[[ConnectionEvent], None]
    deliver: Callable[[list[Delivery]], None]


@define(eq=False)
class _Hold:
    """Live events of one slot that wait for a recovery."""

    until: float
    waiting: list[Delivery] = field(factory=list)
    is_releasing: bool = False


@frozen
class _Job:
    number: int
    slot: Slot
    reopened: Reopened
    gap: Gap


class Recovery:
    """One per manager. The thread starts with the first gap."""

    def __init__(self, parts: RecoveryParts) -> None:
        self._parts = parts
        #: Guards the holds.
        self._lock = make_lock("recovery", 25)
        self._holds: dict[Slot, _Hold] = {}
        self._jobs: deque[_Job] = deque()
        self._signal = Signal()
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    @property
    def thread(self) -> threading.Thread | None:
        """Its thread, once started."""
        return self._thread

    # -- called by I/O threads ----------------------------------------------------------------------------------------

    def take(self, reopened: Sequence[tuple[Slot, Reopened]]) -> None:
        """Open a gap for each of these streams and begin to fill them."""
        now = self._parts.clock()
        for slot, opening in reopened:
            gap = self._describe(slot, opening, now)
            job = _Job(self._parts.ledger.open(gap), slot, opening, gap)
            if self._parts.config.enabled and slot.watchers:
                with self._lock:
                    self._holds.setdefault(slot, _Hold(until=now + self._parts.config.hold))
            self._jobs.append(job)
        if self._thread is None and not self._is_stopping:
            self._thread = spawn("upbit-ws-recovery", self._run, on_crash=self._crashed)
        self._signal.set()

    def deliver(self, deliveries: list[Delivery]) -> None:
        """Pass live events on to subscribers, except those that wait behind a recovery."""
        if not self._holds:
            self._parts.deliver(deliveries)
            return
        passing: list[Delivery] = []
        with self._lock:
            for delivery in deliveries:
                hold = self._holds.get(delivery[0])
                (passing if hold is None else hold.waiting).append(delivery)
        if passing:
            self._parts.deliver(passing)
        self._release_overdue()

    def stop(self) -> None:
        """Ask the thread to end. Does not wait."""
        self._is_stopping = True
        self._parts.budget.stop()
        self._signal.set()

    # -- holding back -------------------------------------------------------------------------------------------------

    def _release_overdue(self) -> None:
        now = self._parts.clock()
        with self._lock:
            overdue = [slot for slot, hold in self._holds.items() if now >= hold.until]
        for slot in overdue:
            self._release(slot)

    def _release(self, slot: Slot) -> None:
        """Deliver what waits, in order, and hold nothing back any more. One thread at a time does it."""
        with self._lock:
            hold = self._holds.get(slot)
            if hold is None or hold.is_releasing:
                return
            hold.is_releasing = True
        while True:
            with self._lock:
                waiting, hold.waiting = hold.waiting, []
                if not waiting:
                    del self._holds[slot]
                    return
            self._parts.deliver(waiting)

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with self._parts.rest(self._parts.budget) as rest:
            while not self._is_stopping:
                if self._jobs:
                    self._work(self._jobs.popleft(), rest)
                    self._release_overdue()
                else:
                    self._signal.wait(self._patience())

    def _patience(self) -> float | None:
        with self._lock:
            earliest = min((hold.until for hold in self._holds.values()), default=None)
        return None if earliest is None else max(earliest - self._parts.clock(), 0.0)

    def _work(self, job: _Job, rest: RestClient) -> None:
        parts = self._parts
        rows: list[RecoveredRow] = []
        reason = "recovery is switched off"
        if parts.config.enabled:
            try:
                rows, reason = self._fetch(job, rest)
            except ClientClosedError:
                reason = "closed before it was fetched"
            except UpbitWebSocketError as error:
                reason = str(error) or repr(error)
            except Exception as error:  # a reply of another shape, or a bug: this gap is reported, the next one filled
                logger.error("! gap in %s not filled: %r", job.slot.key.symbol, error, exc_info=True)
                reason = repr(error)
        taken = parts.pool.fill(job.slot, rows, parts.clock())
        if taken and job.slot.watchers:
            parts.deliver(taken)
        self._settle(job, len(taken), reason)
        self._release(job.slot)

    def _settle(self, job: _Job, count: int, reason: str) -> None:
        parts, key = self._parts, job.slot.key
        state = GapState.REPORTED if reason else GapState.RECOVERED
        gap = parts.ledger.settle(job.number, state, found=count, reason=reason)
        endpoint, now = key.data_type.endpoint, parts.clock()
        if reason:
            logger.warning("! gap in %s %s not filled: %s", key.data_type.value, key.symbol, reason)
            parts.publish(GapReported(endpoint, now, key.symbol, key.data_type, gap.start, gap.end, reason))
        else:
            parts.publish(GapRecovered(endpoint, now, key.symbol, key.data_type, gap.start, gap.end, count))

    def _fetch(self, job: _Job, rest: RestClient) -> tuple[list[RecoveredRow], str]:
        """The rows that fill a gap, and why they do not fill all of it (empty: they do)."""
        before = decode_event(job.reopened.before[0])
        after = decode_event(job.reopened.after[0])
        if isinstance(before, TradeEvent) and isinstance(job.slot, TradeSlot):
            return self._fetch_trades(job.slot, before, rest)
        if isinstance(before, CandleEvent) and isinstance(after, CandleEvent):
            return self._fetch_candles(before, after, rest)
        raise PayloadError("only trades and candles are recovered")

    def _fetch_trades(self, slot: TradeSlot, before: TradeEvent, rest: RestClient) -> tuple[list[RecoveredRow], str]:
        limit = self._parts.config.max_trades
        pages = TradePages(before.symbol, before.trade_timestamp, slot.knows, limit)
        while (query := pages.next_query()) is not None:
            call = partial(rest.trades_ticks, before.symbol, cursor=query.get("cursor"), days_ago=query.get("days_ago"))
            pages.take(self._call(call))
        rows = pages.rows
        if pages.is_covered:
            return rows, ""
        if len(rows) >= limit:
            return rows, f"more than {limit} trades were missed"
        return rows, "the exchange's list of trades does not reach back far enough"

    def _fetch_candles(
        self, before: CandleEvent, after: CandleEvent, rest: RestClient
    ) -> tuple[list[RecoveredRow], str]:
        data_type, first, last = before.data_type, before.candle_date_time_utc, after.candle_date_time_utc
        missed = min(candles_missed(data_type, first, last), self._parts.config.max_candles)
        rows: list[dict[str, Any]] = []
        to = last
        while missed > 0:
            end = f"{to}Z"
            call = partial(rest.candles, data_type.rest_path or "", before.symbol, count=_CANDLES_A_CALL, to=end)
            page = self._call(call)
            rows += page
            if not page or page[-1]["candle_date_time_utc"] <= first:
                return candle_rows(data_type, before.symbol, rows, first, last), ""
            to = str(page[-1]["candle_date_time_utc"])
            missed -= len(page)
        reason = "" if missed == 0 and not rows else f"more than {self._parts.config.max_candles} candles were missed"
        return candle_rows(data_type, before.symbol, rows, first, last), reason

    def _call(self, call: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        for pause in _PAUSES:
            try:
                return call()
            except UpbitWebSocketError as error:  # noqa: PERF203  trying again is the point
                # A reply that does not parse was cut off, or came from something in between.
                is_worth_it = error.retryable or isinstance(error, PayloadError)
                if isinstance(error, ClientClosedError) or not is_worth_it or self._is_stopping:
                    raise
                self._signal.wait(pause)
                self._release_overdue()
        return call()

    def _describe(self, slot: Slot, opening: Reopened, now: float) -> Gap:
        """When the gap began and ended, in the exchange's milliseconds."""
        vouched_at = self._parts.pool.vouched_at(opening.epoch)
        wall = self._parts.wall()
        start = wall - (now - (vouched_at if vouched_at is not None else opening.before[1][0]))
        end = wall - (now - opening.after[1][0])
        return Gap(slot.key, int(start * 1000), int(end * 1000))

    def _crashed(self, error: BaseException) -> None:
        logger.critical("! recovery ended: %r", error)
