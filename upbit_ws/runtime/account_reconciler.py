"""Orders and balances made complete over REST: at the first connect, after every reconnect, and when a fill is missing.

The private endpoint sends no snapshot (Upbit: websocket-myorder page), so what happened while nobody listened is asked
for. That starts when the exchange has confirmed the subscription: asked earlier, REST could answer before the stream
begins, and what happened in between would be lost. From the connect on, live events wait behind the answer, at most for
`RecoveryConfig.hold` seconds, so that subscribers get what was missed before what is newer. So do the events of an
order of which one tells that a fill is missing, while that is looked up. Pulls do not wait: they see each event as it
comes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Final

from upbit_ws.exceptions import AuthenticationError, ClientClosedError, UpbitWebSocketError
from upbit_ws.lifecycle import AuthenticationFailed, Connected, ConnectionEvent, Disconnected
from upbit_ws.protocol.missing_fills import MissingFills
from upbit_ws.protocol.slots import Delivery
from upbit_ws.protocol.subscription_plan import Plan
from upbit_ws.runtime.account_catch_up import AccountCatchUp
from upbit_ws.runtime.account_gaps import AccountGaps
from upbit_ws.runtime.account_hold import AccountHold
from upbit_ws.runtime.account_queries import AccountQueries
from upbit_ws.runtime.recovery import RecoveryParts
from upbit_ws.runtime.threads import spawn
from upbit_ws.shared.account_book import ASSETS
from upbit_ws.shared.waiting import Signal
from upbit_ws.types import DataType, Endpoint, StreamKey

__all__ = ["AccountReconciler"]

logger = logging.getLogger("upbit_ws")

#: After a failure (seconds): the first delay, the longest one, and the one after a refusal of the keys.
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 30.0
_REFUSED_DELAY: Final = 30.0
#: Seconds after an error inside the SDK.
_CRASH_DELAY: Final = 0.5
_NEVER: Final = float("inf")


class AccountReconciler:
    """One per manager. The thread starts with the first confirmation of the private endpoint.

    Args:
        wanted: What is wanted of the private endpoint and not refused.
    """

    def __init__(self, parts: RecoveryParts, wanted: Callable[[], Plan | None]) -> None:
        self._parts = parts
        self._wanted = wanted
        self._missing = MissingFills()
        self._hold = AccountHold(parts.clock, parts.deliver, parts.config.hold, parts.config.max_waiting, self._awaited)
        parts.pool.account.is_held = lambda: self._hold.is_whole
        self._signal = Signal()
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        #: The newest connection of the private endpoint, the newest one confirmed, and the one reconciled last.
        self._epoch = 0
        self._confirmed: tuple[int, frozenset[str]] = (0, frozenset())
        self._done: tuple[int, frozenset[str], int] = (0, frozenset(), 0)
        #: The newest connection that was confirmed while the one before it was open.
        self._unbroken = 0
        #: Until when (ms since the epoch) everything is known; None before the first reconciliation.
        self._known_until: int | None = None
        self._gaps = AccountGaps(parts)
        self._catch_up = AccountCatchUp(parts, self._hold, self._gaps, self._missing)
        self._failures = 0
        self._retry_at = 0.0
        #: How often an older connection went on because the newer one was lost again.
        self._resumed = 0
        #: Why REST refuses the keys, while it does.
        self.refusal: AuthenticationError | None = None
        self.last_error: UpbitWebSocketError | None = None

    @property
    def thread(self) -> threading.Thread | None:
        """Its thread, once started."""
        return self._thread

    # -- told by others -----------------------------------------------------------------------------------------------

    @property
    def overdue(self) -> int:
        """How often live events went first because what was missed had not come within the time of the hold."""
        return self._hold.overdue

    def cover(self, plan: Plan | None, version: int) -> None:
        """What is wanted of the private endpoint has changed, by this version of the wishes."""
        account = self._parts.pool.account
        account.cover(_names(plan.keys if plan is not None else ()), int(self._parts.wall() * 1000), version)
        if self._parts.config.enabled and not self._is_based():
            self._hold.begin()
        # The thread looks whether there is something to wait for: a comparison may have ended just before the hold
        # began, and what was given up and is wanted again before the next request meets no confirmation.
        self._signal.set()

    def on_event(self, event: ConnectionEvent) -> None:
        """Something happened to a connection. Called by its I/O thread, before anything is read from a new one."""
        if event.endpoint is not Endpoint.PRIVATE:
            return
        if isinstance(event, Connected):
            self._epoch = event.epoch
            if self._parts.pool.account.covered and self._parts.config.enabled:
                self._hold.begin()
                self._start()
        elif isinstance(event, Disconnected) and event.epoch == self._done[0]:
            self._note_known(event.epoch)

    def _note_known(self, epoch: int) -> None:
        """Everything is known until the last sign of life of this connection."""
        vouched_at = self._parts.pool.vouched_at(epoch)
        if vouched_at is not None:
            self._parts.pool.account.vouched_at = vouched_at
            self._known_until = int((self._parts.wall() - (self._parts.clock() - vouched_at)) * 1000)

    def confirm(self, endpoint: Endpoint, epoch: int, keys: Collection[StreamKey]) -> None:
        """The exchange has confirmed these streams on the connection of this epoch."""
        if endpoint is Endpoint.PRIVATE and (names := _names(keys)):
            if epoch < self._epoch:
                # In this order: with the older epoch alone, what was done for it before would pass for what is to do.
                self._resumed += 1
                self._epoch = epoch
            if self.refusal is None or epoch != self._confirmed[0]:
                # What failed on the connection before says nothing about this one. Refused keys are not hammered.
                self._retry_at, self._failures = 0.0, 0
            done = self._done[0]
            if done != epoch and self._parts.pool.is_open(endpoint, done):
                # It took over from a living one: all the same it is compared, but nothing was lost in between.
                self._unbroken = epoch
                self._note_known(done)
            self._confirmed = (epoch, names)
            self._start()

    def _start(self) -> None:
        """Have the thread look; a new one where it has ended. Called by the I/O thread of the private endpoint only."""
        is_running = self._thread is not None and self._thread.is_alive()
        if not is_running and not self._is_stopping:
            self._thread = spawn("upbit-ws-account", self._run, on_crash=self._crashed)
        self._signal.set()

    def enter(self) -> None:
        """A live event of the account is about to be booked."""
        self._hold.enter()

    def leave(self, filed: list[Delivery]) -> None:
        """It was; pass it on to subscribers, unless it has to wait. Look for a fill that it tells to be missing."""
        self._hold.leave(live=filed)
        if self._parts.config.enabled and self._parts.pool.account.incomplete:
            self._signal.set()

    def stop(self) -> None:
        """Ask the thread to end. Does not wait."""
        self._is_stopping = True
        self._parts.budget.stop()
        self._signal.set()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with self._parts.rest(self._parts.budget) as rest:
            # A slow exchange must not make live events wait for longer than the hold and one call.
            queries = AccountQueries(rest, self._hold.flush, self._set_aside)
            while not self._is_stopping:
                self._survive(queries)

    def _set_aside(self, row: bytes, reason: str) -> None:
        self._parts.pool.set_aside(row, reason, self._parts.clock())

    def _survive(self, queries: AccountQueries) -> None:
        """One round and the wait for the next; a bug of ours that ends it must not end the thread."""
        try:
            if not self._round(queries):
                self._signal.wait(self._patience())
        except Exception as error:
            logger.critical("! orders and balances: an error inside the SDK: %r", error, exc_info=True)
            until = self._parts.clock() + _CRASH_DELAY
            while not self._is_stopping and (left := until - self._parts.clock()) > 0:
                self._signal.wait(left)

    def _round(self, queries: AccountQueries) -> bool:
        """Do what is to be done now; False where that is nothing."""
        is_due = self._is_due()
        if is_due:
            self._attempt(queries)
        else:
            self._let_go()
        return is_due

    def _let_go(self) -> None:
        """Hold nothing back any more where everything is known, nor anything longer than it may be."""
        # Read before it is judged whether all is known: a connection or a wish that comes in between begins anew.
        serial, (epoch, names) = self._hold.serial, self._confirmed
        if self._hold.is_whole and epoch == self._epoch and self._is_done(epoch, names) and self._is_based():
            self._hold.release(serial)
        else:
            self._hold.flush()

    def _is_due(self) -> bool:
        if not self._confirmed[0] or self._parts.clock() < self._retry_at:
            return False
        return not self._is_done(*self._confirmed) or bool(self._suspects())

    def _is_done(self, epoch: int, names: frozenset[str]) -> bool:
        if self._done[0] != epoch or not names <= self._done[1] or self._done[2] != self._resumed:
            return False
        # What was given up in between and is wanted again has no base any more.
        account = self._parts.pool.account
        return account.has_base(names & account.covered.keys())

    def _is_based(self) -> bool:
        """Whether everything is known of what is wanted. What the exchange refuses does not come to be known."""
        plan, account = self._wanted(), self._parts.pool.account
        return plan is None or account.has_base(_names(plan.keys) & account.covered.keys())

    def _awaited(self) -> Collection[str]:
        """Orders of which a fill is missing that may still be found. Takes no lock."""
        return self._missing.awaited(self._parts.pool.account.incomplete) if self._parts.config.enabled else ()

    def _suspects(self) -> list[str]:
        """Those that are to be looked up now."""
        incomplete = self._parts.pool.account.incomplete if self._parts.config.enabled else {}
        return self._missing.due(incomplete, self._parts.clock())

    def _patience(self) -> float | None:
        now = self._parts.clock()
        moments = [_NEVER]
        if self._retry_at > now:
            moments = [self._retry_at]
        elif self._confirmed[0]:
            if not self._is_done(*self._confirmed):
                return 0.0  # its time came after `_is_due` had looked
            moments = [self._missing.next_at(self._parts.pool.account.incomplete)]
        if (until := self._hold.until) is not None:
            moments.append(until)
        return None if min(moments) == _NEVER else max(min(moments) - now, 0.0)

    def _attempt(self, queries: AccountQueries) -> None:
        epoch, names = self._confirmed
        queries.begin()
        try:
            if not self._is_done(epoch, names):
                self._reconcile(queries, epoch, names)
            self._catch_up.look_for_fills(queries, self._suspects())
        except ClientClosedError:
            return
        except UpbitWebSocketError as error:
            self._failed(error)
            return
        except Exception as error:  # a reply of another shape, or a bug: it must not end the comparing for good
            logger.error("! orders and balances not reconciled: %r", error, exc_info=True)
            self._failed(UpbitWebSocketError(repr(error)))
            return
        self._failures = 0
        self.last_error = self.refusal = None

    def _reconcile(self, queries: AccountQueries, epoch: int, names: frozenset[str]) -> None:
        parts = self._parts
        if self._known_until is not None and self._done[0] not in (0, epoch) and self._unbroken != epoch:
            self._gaps.open(self._known_until, names)
        began, resumed = int(parts.wall() * 1000), self._resumed
        reason = "recovery is switched off"
        if parts.config.enabled:
            self._catch_up.everything(queries, names, self._known_until)
            for start, end in queries.unlisted:
                self._gaps.report(start, end, "more orders have ended than the exchange lists")
            reason = queries.shortfall
            if reason:  # that is a gap also where no connection was lost
                self._gaps.open(began if self._known_until is None else self._known_until, names)
        parts.pool.account.settle(names, epoch)
        self._done, self._known_until = (epoch, names, resumed), began
        self._gaps.settle(reason)
        self._let_go()
        parts.pool.wake_all()

    # -- what became of it --------------------------------------------------------------------------------------------

    def _failed(self, error: UpbitWebSocketError) -> None:
        self.last_error = error
        self._failures += 1
        delay = min(_FIRST_DELAY * 2.0 ** min(self._failures - 1, 16), _LONGEST_DELAY)
        if isinstance(error, AuthenticationError):
            if self.refusal is None or self.refusal.name != error.name:  # one object for as long as it is the same one
                self.refusal = error
            delay = _REFUSED_DELAY
            self._parts.publish(
                AuthenticationFailed(Endpoint.PRIVATE, self._parts.clock(), error.name, error.message_ko)
            )
        logger.warning("! orders and balances not reconciled: %s; next attempt in %.1f s", error, delay)
        self._retry_at = self._parts.clock() + delay
        self._parts.pool.wake_all()

    def _crashed(self, error: BaseException) -> None:
        logger.critical("! the account thread ended: %r", error)
        self.last_error = UpbitWebSocketError(f"the account thread ended: {error!r}")


def _names(keys: Iterable[StreamKey]) -> frozenset[str]:
    """The names under which the account's book covers these streams."""
    names = set()
    for key in keys:
        if key.data_type is DataType.MY_ORDER:
            names.add(key.symbol)
        elif key.data_type is DataType.MY_ASSET:
            names.add(ASSETS)
    return frozenset(names)
