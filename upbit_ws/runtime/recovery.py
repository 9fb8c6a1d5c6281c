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
from contextlib import suppress
from functools import partial
from typing import Any

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
from upbit_ws.protocol.slots import Delivery, Reopened, Slot, TradeSlot
from upbit_ws.records import frozen
from upbit_ws.runtime.recovery_hold import RecoveryHold, Segment
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.runtime.threads import spawn
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.gap_ledger import GapLedger
from upbit_ws.shared.waiting import Signal
from upbit_ws.wire.rest import RestClient

__all__ = ["Recovery", "RecoveryParts"]

logger = logging.getLogger("upbit_ws")

#: How long (seconds) to wait before each further try of a call: what ended the connection may not be over yet. Together
#: they stay below the usual `RecoveryConfig.hold`.
_PAUSES = (0.1, 0.3, 1.0, 2.0)
_CANDLES_A_CALL = 200
_CLOSED = "closed before it was fetched"
_UNWANTED = "nobody wants it any more"
_TOO_MANY = "too many gaps wait to be filled"
#: Seconds after an error inside the SDK.
_CRASH_DELAY = 0.5


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


@frozen
class _Job:
    number: int
    slot: Slot
    reopened: Reopened
    gap: Gap
    #: Live events that wait for it; None where nobody subscribed to them.
    segment: Segment | None


class Recovery:
    """One per manager. The thread starts with the first gap."""

    def __init__(self, parts: RecoveryParts) -> None:
        self._parts = parts
        self._hold = RecoveryHold(parts.clock, parts.deliver, parts.config.max_waiting)
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
        """Open a gap for each of these streams and begin to fill them; only report those that are too many."""
        config, now = self._parts.config, self._parts.clock()
        for slot, opening in reopened:
            gap = self._describe(slot, opening, now)
            number = self._parts.ledger.open(gap)
            if len(self._jobs) >= config.max_gaps:
                self._settle(_Job(number, slot, opening, gap, None), 0, _TOO_MANY)
                continue
            is_held = config.enabled and slot.watchers > 0
            segment = self._hold.begin(slot, config.hold) if is_held else None
            self._jobs.append(_Job(number, slot, opening, gap, segment))
        is_running = self._thread is not None and self._thread.is_alive()
        if not is_running and not self._is_stopping:
            self._thread = spawn("upbit-ws-recovery", self._run, on_crash=self._crashed)
        self._signal.set()

    def deliver(self, deliveries: list[Delivery]) -> None:
        """Pass live events on to subscribers, except those that wait behind a recovery."""
        self._hold.pass_live(deliveries)

    def stop(self) -> None:
        """Ask the thread to end. Does not wait."""
        self._is_stopping = True
        self._parts.budget.stop()
        self._signal.set()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with self._parts.rest(self._parts.budget) as rest:
            while not self._is_stopping:
                self._round(rest)
        while self._jobs:
            self._finish(self._jobs.popleft(), [], _CLOSED)

    def _round(self, rest: RestClient) -> None:
        """One gap, or the wait for one; a bug of ours that ends it must not end the thread."""
        try:
            if self._jobs:
                self._survive(self._jobs.popleft(), rest)
                self._hold.release_overdue()
            else:
                self._wait(None)
        except Exception as error:
            logger.critical("! recovery: an error inside the SDK: %r", error, exc_info=True)
            until = self._parts.clock() + _CRASH_DELAY
            while not self._is_stopping and (left := until - self._parts.clock()) > 0:
                self._signal.wait(left)

    def _wait(self, seconds: float | None) -> None:
        """Until the signal, the next event that has waited long enough, or so many seconds are over."""
        due = self._hold.next_due()
        if due is not None:
            left = max(due - self._parts.clock(), 0.0)
            seconds = left if seconds is None else min(seconds, left)
        self._signal.wait(seconds)
        self._hold.release_overdue()

    def _pause(self, seconds: float) -> None:
        """Wait all of it, however many gaps are opened meanwhile: a call that has failed is not made again sooner."""
        until = self._parts.clock() + seconds
        while not self._is_stopping and (left := until - self._parts.clock()) > 0:
            self._wait(left)

    def _survive(self, job: _Job, rest: RestClient) -> None:
        """Work at one gap; a bug of ours that ends it must not end the thread, nor hold events back."""
        try:
            self._work(job, rest)
        except Exception as error:
            logger.critical("! recovery: an error inside the SDK: %r", error, exc_info=True)
            with suppress(KeyError):  # it is settled already
                self._settle(job, 0, f"an error inside the SDK: {error!r}")
            if job.segment is not None:
                self._hold.release(job.slot, job.segment)

    def _work(self, job: _Job, rest: RestClient) -> None:
        rows: list[RecoveredRow] = []
        reason = "recovery is switched off"
        if not self._parts.pool.keeps(job.slot):
            reason = _UNWANTED
        elif self._parts.config.enabled:
            try:
                rows, reason = self._fetch(job, rest)
            except UpbitWebSocketError as error:
                reason = _reason_of(error)
            except Exception as error:  # a reply of another shape, or a bug: this gap is reported, the next one filled
                logger.error("! gap in %s not filled: %r", job.slot.key.symbol, error, exc_info=True)
                reason = repr(error)
        self._finish(job, rows, reason)

    def _finish(self, job: _Job, rows: list[RecoveredRow], reason: str) -> None:
        """Deliver what was fetched, then what waited for it, and say what became of the gap."""
        parts = self._parts
        taken = parts.pool.fill(job.slot, rows, parts.clock())
        if taken and job.slot.watchers:
            parts.deliver(taken)
        if not parts.pool.keeps(job.slot):
            reason = reason or _UNWANTED
        self._settle(job, len(taken), reason)
        if job.segment is not None:
            self._hold.release(job.slot, job.segment)

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
        if isinstance(before, TradeEvent) and isinstance(after, TradeEvent) and isinstance(job.slot, TradeSlot):
            return self._fetch_trades(job.slot, before, after, rest)
        if isinstance(before, CandleEvent) and isinstance(after, CandleEvent):
            return self._fetch_candles(before, after, rest)
        raise PayloadError("only trades and candles are recovered")

    def _fetch_trades(
        self, slot: TradeSlot, before: TradeEvent, after: TradeEvent, rest: RestClient
    ) -> tuple[list[RecoveredRow], str]:
        limit = self._parts.config.max_trades
        ends = before.trade_timestamp, after.trade_timestamp
        pages = TradePages(before.symbol, ends, before.sequential_id, slot.knows, limit)
        while (query := pages.next_query()) is not None:
            call = partial(rest.trades_ticks, before.symbol, cursor=query.get("cursor"), days_ago=query.get("days_ago"))
            try:
                pages.take(self._call(call))
            except UpbitWebSocketError as error:
                return pages.rows, _reason_of(error)
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
            try:
                page = self._call(call)
            except UpbitWebSocketError as error:
                return candle_rows(data_type, before.symbol, rows, first, last), _reason_of(error)
            rows += page
            if not page or page[-1]["candle_date_time_utc"] <= first:
                return candle_rows(data_type, before.symbol, rows, first, last), ""
            to = str(page[-1]["candle_date_time_utc"])
            missed -= len(page)
        reason = "" if missed == 0 and not rows else f"more than {self._parts.config.max_candles} candles were missed"
        return candle_rows(data_type, before.symbol, rows, first, last), reason

    def _call(self, call: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        for pause in _PAUSES:
            # A slow exchange must not make live events wait for longer than the hold and one call.
            self._hold.release_overdue()
            try:
                return call()
            except UpbitWebSocketError as error:
                # A reply that does not parse was cut off, or came from something in between.
                is_worth_it = error.retryable or isinstance(error, PayloadError)
                if isinstance(error, ClientClosedError) or not is_worth_it or self._is_stopping:
                    raise
                self._pause(pause)
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


def _reason_of(error: UpbitWebSocketError) -> str:
    return _CLOSED if isinstance(error, ClientClosedError) else str(error) or repr(error)
