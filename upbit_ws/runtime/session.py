"""One open connection being served: requests out, data in, liveness in between. Runs inside the I/O thread.

The order of a round is fixed: read first, then judge. What lies unread in the socket must never count as silence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from upbit_ws.exceptions import PayloadError
from upbit_ws.lifecycle import RequestRejected, Stale
from upbit_ws.protocol.cadence import Cadence
from upbit_ws.protocol.hearing import Hearing
from upbit_ws.protocol.liveness import Liveness, Reconnect, Resubscribe, SendPing
from upbit_ws.protocol.redaction import escape_text, mask_secrets
from upbit_ws.protocol.subscription_plan import Plan
from upbit_ws.runtime.connection_parts import ConnectionParts
from upbit_ws.runtime.endings import GivenUp, Retired
from upbit_ws.runtime.subscribing import Subscribing
from upbit_ws.shared.ingestion import Intake
from upbit_ws.wire.transport import Transport
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["Session"]

logger = logging.getLogger("upbit_ws")

#: The longest time (seconds) between two looks at the clocks. What counts while the machine sleeps is the time that it
#: is awake: without this, a suspend would show no earlier than the next ping.
_LOOK: Final = 2.0
_NEVER: Final = float("inf")
#: Of the data that comes within so many seconds, the clocks hear when the first came and when the last.
_TELL_EVERY: Final = 0.05


class Session:
    """Serves one transport until it is lost (raises `ConnectionLostError` and kin) or retired (raises `Retired`)."""

    def __init__(
        self,
        parts: ConnectionParts,
        transport: Transport,
        wakeup: Wakeup,
        epoch: int,
        cadence: Cadence,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._parts = parts
        self.transport = transport
        self._wakeup = wakeup
        self._is_stopping = is_stopping
        self.epoch = epoch
        now = parts.clock()
        self._liveness = Liveness(parts.config.connection, epoch, now, cadence)
        self._subscribing = Subscribing(parts, epoch, self._send_message, self._requested)
        self._now = now
        #: When something is to be done at the latest; the first round begins with it.
        self._due = now
        #: A successor has taken over: nothing is asked for here any more.
        self.is_retiring = False
        self.opened_at = now
        self._intake = parts.pool.intake(epoch, parts.clock, _TELL_EVERY)
        #: When data was read; the clocks hear of it when they are asked.
        self._heard: Hearing | Intake = self._intake or Hearing(_TELL_EVERY)
        parts.meter.connected(transport, self._heard)
        #: The error frame that the exchange sent before it closed, if it did.
        self.rejection: tuple[str, str] | None = None

    # -- what status() shows; read by other threads --------------------------------------------------------------------

    @property
    def last_frame_at(self) -> float:
        """When anything was last read."""
        return max(self._liveness.last_bytes_at, self._heard.heard_at)

    @property
    def has_data(self) -> bool:
        """Whether any data was read."""
        return self._heard.heard_at > -_NEVER

    @property
    def last_data_at(self) -> float:
        """When data was last read."""
        return max(self._liveness.last_data_at, self._heard.heard_at)

    @property
    def renew_at(self) -> float:
        """When this connection is to be renewed because of its age."""
        max_age = self._parts.config.connection.max_connection_age
        return _NEVER if max_age is None else self.opened_at + max_age

    @property
    def is_suspected(self) -> bool:
        """Whether the feed is suspected mute."""
        return self._liveness.suspected_since is not None

    # -- the loop ------------------------------------------------------------------------------------------------------

    def serve(self, is_interrupted: Callable[[], bool]) -> None:
        """Read and judge until the connection is over, or `is_interrupted`, which is asked when something is due."""
        step = self.step
        while True:
            if step(_NEVER) and is_interrupted():
                return

    def step(self, patience: float) -> bool:
        """One round: wait at most `patience` seconds, read, and do what is due. True where something was."""
        transport, clock = self.transport, self._parts.clock
        # Written out here and in what is called below: `min` and `max` cost as much as a system call.
        limit = self._due - self._now
        if limit > patience:
            limit = patience
        if limit < 0.0:
            limit = 0.0
        readable, woken = transport.wait(limit, self._intake)
        if readable:
            messages = transport.take()
            now = self._now = clock()
            if messages:
                self._take(messages, now)
            else:
                self._note_bytes(now)
            if transport.pongs:
                self._take_pongs(now)
        else:
            now = self._now = clock()
        if self._heard.is_due:
            self.tell()
        if not woken and now < self._due:
            return False
        self._due = self._housekeep(now)
        return True

    def _take(self, messages: Sequence[bytes], now: float) -> None:
        parts, intake = self._parts, self._intake
        if intake is None:
            result = parts.pool.ingest(parts.endpoint, self.epoch, messages, now)
        elif intake.file(messages, now):
            return
        else:
            left = intake.take_left()
            result = (
                parts.pool.ingest(parts.endpoint, self.epoch, messages, now)
                if left is None
                else parts.pool.finish(parts.endpoint, *left)
            )
        parts.meter.seen += len(messages)
        if len(result.controls) + result.unusable < len(messages):
            # Replies to requests say nothing about the feed: an error frame must not pass for data, nor must garbage.
            self._heard.hear(now)
            if self._heard.is_due:
                self.tell()  # before the deliveries: whoever gets one must find the feed trusted
        else:
            self._note_bytes(now)
        if result.reopened:
            # Before the deliveries: what was missed goes to subscribers ahead of what is newer.
            parts.reopen(result.reopened)
        if result.deliveries:
            parts.deliver(result.deliveries)
        for control in result.controls:
            self._take_control(control, now)

    def tell(self) -> None:
        """The clocks hear when data was read; the next connection gains by the last of it, too (`Cadence`)."""
        for heard_at in self._heard.take():
            self._liveness.on_bytes(heard_at)
            if self._liveness.on_data(heard_at):
                self._parts.pool.trust(self.epoch)

    def _note_bytes(self, now: float) -> None:
        """Something was read that was no data. The clocks hear of earlier data first: they must not go back."""
        self.tell()
        self._liveness.on_bytes(now)

    def _take_pongs(self, now: float) -> None:
        self.tell()  # first: the clocks must not go back
        for payload in self.transport.pongs:
            rtt = self._liveness.on_pong(payload, now)
            if rtt is not None:
                self._parts.meter.pong(rtt)
        self.transport.pongs.clear()
        self._parts.pool.prove_alive(self.epoch, now)

    def _take_control(self, control: dict[str, Any], now: float) -> None:
        error = control.get("error")
        if error is not None:
            name, message = _error_of(error)
            self.rejection = (name, message)
            logger.warning("! %s request refused: %s %s", self._parts.endpoint, name, message)
            self._parts.subscriptions.reject(self._parts.endpoint, name, message)
            self._parts.publish(RequestRejected(self._parts.endpoint, now, name, message))
            self._parts.pool.wake_all()
        elif "method" in control or "mthd" in control:
            try:
                listed = self._parts.subscriptions.take_listing(self._parts.endpoint, self.epoch, control)
                self._subscribing.take_listing(listed)
            except PayloadError as problem:
                logger.warning("! %s list of subscriptions not understood: %s", self._parts.endpoint, problem)
            self._parts.pool.wake_all()

    # -- what is due by the clock --------------------------------------------------------------------------------------

    def _housekeep(self, now: float) -> float:
        """Do what is due; return when to look again."""
        if self._is_stopping():
            raise Retired("closed by its owner")
        self.tell()
        self._tick_liveness(now)
        self._heard.is_awaited = self._liveness.suspected_since is not None
        if self.is_retiring:
            return min(self._liveness.next_deadline(), now + _LOOK)
        self._subscribing.tick(now)
        return min(self._liveness.next_deadline(), self._subscribing.due, self.renew_at, now + _LOOK)

    def _tick_liveness(self, now: float) -> None:
        parts = self._parts
        for action in self._liveness.tick(now, parts.awake_clock()):
            if isinstance(action, SendPing):
                parts.meter.ping()
                self.transport.ping(action.payload)
                self.transport.flush()
            elif isinstance(action, Resubscribe):
                parts.pool.suspect(self.epoch, now)
                parts.publish(Stale(parts.endpoint, now, f"nothing came for {now - action.silent_since:.1f} s"))
                self._subscribing.resend()
            elif isinstance(action, Reconnect):
                parts.pool.suspect(self.epoch, action.silent_since)
                parts.publish(Stale(parts.endpoint, now, action.reason.value))
                raise GivenUp(action.reason)

    def _send_message(self, message: bytes) -> None:
        self.transport.send_text(message)
        self.transport.flush()

    def _requested(self, plan: Plan, now: float) -> None:
        if self._liveness.on_request(now, is_watchable=plan.is_watchable):
            self._parts.pool.trust(self.epoch)

    def abandon(self) -> None:
        """In a forked child: let go of the socket without a byte on it."""
        self.transport.abort()

    def close(self) -> None:
        """Say goodbye to the exchange, within the configured time."""
        self.transport.close(deadline=self._parts.clock() + self._parts.config.connection.close_timeout)

    def close_behind_successor(self) -> None:
        """The same, and file what the exchange sent before it heard of it: the successor may not have got that."""
        clock = self._parts.clock
        self.transport.close(
            deadline=clock() + self._parts.config.connection.close_timeout,
            take=lambda messages: self._take(messages, clock()),
        )

    def look_again(self) -> None:
        """Do what is due in the next round, whatever was to be waited for."""
        self._due = self._now

    def resume(self) -> None:
        """Go on after all: the successor was lost."""
        self.is_retiring = False
        self._subscribing.resend()
        self.look_again()

    def has_caught_up(self) -> bool:
        """Whether every stream of the last request that has a value at all has delivered in this epoch."""
        return self._subscribing.has_caught_up()

def _error_of(error: object) -> tuple[str, str]:
    """Name and message of an error frame, fit to be shown."""
    if not isinstance(error, dict):
        return "UNKNOWN", escape_text(mask_secrets(str(error)))
    name, message = str(error.get("name", "UNKNOWN")), str(error.get("message", ""))
    return escape_text(mask_secrets(name), 80), escape_text(mask_secrets(message))
