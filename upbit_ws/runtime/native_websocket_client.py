"""The I/O thread of one endpoint: dial, serve, come back.

It owns the socket in both directions and runs no user code.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from upbit_ws.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    ConnectionLostError,
    RequestRejectedError,
    UpbitWebSocketError,
    WebSocketProtocolError,
)
from upbit_ws.lifecycle import AuthenticationFailed, BackingOff, Closed, Connected, Disconnected
from upbit_ws.protocol.backoff import Backoff, Failure, FailureKind
from upbit_ws.protocol.cadence import Cadence
from upbit_ws.protocol.connection_state import StateEvent, next_state
from upbit_ws.protocol.key_refusal import key_refusal
from upbit_ws.runtime.connection_parts import ConnectionParts
from upbit_ws.runtime.dialling import CONNECT_GROUP, Dialer, dial_in_turn
from upbit_ws.runtime.endings import Retired
from upbit_ws.runtime.failures import failure_of_dial, failure_of_session
from upbit_ws.runtime.renewal import Renewal
from upbit_ws.runtime.session import Session
from upbit_ws.runtime.threads import spawn
from upbit_ws.types import ConnectionState, ConnectionStatus
from upbit_ws.wire.dial import DialAborted
from upbit_ws.wire.transport import Transport
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["NativeWebSocketClient"]

logger = logging.getLogger("upbit_ws")

#: After the I/O thread itself failed (a bug), how long to wait before it tries again.
_CRASH_DELAY: Final = 5.0

class NativeWebSocketClient:
    """Keeps one endpoint connected for as long as anything of it is wanted.

    `start`, `wake`, `stop` and `status` may be called from any thread. Everything else happens in its own thread.
    """

    def __init__(self, parts: ConnectionParts, dial: Dialer) -> None:
        self._parts = parts
        self._dial = dial
        self._wakeup = Wakeup()
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        self._backoff = Backoff(parts.config.reconnection)
        connection = parts.config.connection
        self._cadence = Cadence(connection.mute_floor, connection.mute_factor)
        #: Published by the I/O thread, one attribute at a time, for `status`.
        self._state = ConnectionState.DISCONNECTED
        self._session: Session | None = None
        self._epoch = 0
        self._reconnects = 0
        self._next_attempt_at: float | None = None
        self.last_error: UpbitWebSocketError | None = None
        #: Why the exchange does not accept the keys, from the second refusal until it accepts them.
        self.refusal: AuthenticationError | None = None
        self._renewal = Renewal(parts, dial, self._wakeup)
        #: Said once for all attempts up to the next upgrade.
        self._is_refusal_said = False

    def __repr__(self) -> str:
        return f"<NativeWebSocketClient {self._parts.endpoint} {self._state} epoch={self._epoch}>"

    @property
    def thread(self) -> threading.Thread | None:
        """Its thread, once started."""
        return self._thread

    @property
    def state(self) -> ConnectionState:
        """Where in its life the connection is."""
        return self._state

    @property
    def epoch(self) -> int:
        """The epoch of the present connection, or of the last one; 0 before the first."""
        return self._epoch

    def start(self) -> None:
        """Start the I/O thread."""
        if self._thread is None:
            self._thread = spawn(f"upbit-ws-io-{self._parts.endpoint}", self._run, on_crash=self._crashed)

    def wake(self) -> None:
        """Have the I/O thread look at what is wanted now."""
        self._wakeup.set()

    def stop(self) -> None:
        """Ask the thread to say goodbye and end. Does not wait. Safe in signal handlers."""
        self._is_stopping = True
        self._wakeup.set()

    def rotate(self) -> None:
        """Have a new connection take over from the present one, without a gap. Does not wait."""
        self._renewal.request()

    def abandon(self) -> None:
        """In a forked child: close what was inherited without a byte to the peer, which belongs to the parent."""
        self._is_stopping = True
        session = self._session
        if session is not None:
            session.abandon()

    def status(self) -> ConnectionStatus:
        """What may be believed of this connection now."""
        parts, session, now = self._parts, self._session, self._parts.clock()
        next_attempt_at = self._next_attempt_at
        wanted, confirmed = parts.subscriptions.progress(parts.endpoint)
        return ConnectionStatus(
            endpoint=parts.endpoint,
            state=self._state,
            epoch=self._epoch,
            url=parts.config.connection.websocket_url(parts.endpoint),
            connected_since=session.opened_at if session else None,
            last_frame_age=max(now - session.last_frame_at, 0.0) if session else None,
            last_data_age=max(now - session.last_data_at, 0.0) if session and session.has_data else None,
            suspected_mute=session.is_suspected if session else False,
            reconnects=self._reconnects,
            last_error=str(self.last_error) if self.last_error else None,
            next_attempt_in=None if next_attempt_at is None else max(next_attempt_at - now, 0.0),
            wanted=wanted,
            confirmed=confirmed,
        )

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                try:
                    self._live_once()
                except Exception as error:  # noqa: PERF203  # a bug of ours must not end the feed in silence: say so, and try again
                    self._survive(error)
        finally:
            self._advance(StateEvent.CLOSE)
            self._parts.publish(Closed(self._parts.endpoint, self._parts.clock(), "closed by its owner"))
            self._wakeup.close()

    def _live_once(self) -> None:
        """Wait until something is wanted, connect, serve, and wait as long as the failure asks for."""
        if self._state is ConnectionState.DISCONNECTED and not self._await_wanted():
            return
        try:
            transport = dial_in_turn(self._parts, self._dial, self._wakeup, self._is_in_vain)
        except DialAborted:
            self._advance_if_unwanted()
            return
        except (ConnectionFailedError, AuthenticationError) as error:
            self._failed(key_refusal(self._parts.endpoint, error) or error, failure_of_dial(error))
            return
        self._serve(transport)

    def _await_wanted(self) -> bool:
        while not self._is_stopping:
            if self._is_wanted():
                self.refusal = None
                self._advance(StateEvent.WANTED)
                return True
            self._pause(None)
        return False

    def _is_wanted(self) -> bool:
        return self._parts.subscriptions.wanted(self._parts.endpoint) is not None

    def _is_in_vain(self) -> bool:
        return self._is_stopping or not self._is_wanted()

    def _pause(self, seconds: float | None) -> None:
        """Wait, interruptible by the wake-up."""
        self._wakeup.wait(seconds)

    def _pause_until(self, at: float) -> None:
        while not self._is_stopping and self._is_wanted():
            left = at - self._parts.clock()
            if left <= 0:
                return
            self._pause(left)
        raise Retired("nothing is wanted")

    def _serve(self, transport: Transport) -> None:
        parts = self._parts
        self._backoff.connected(parts.clock())
        session = self._begin(transport)
        self._advance(StateEvent.UPGRADED)
        try:
            while True:
                session.serve(self._is_renewal_due)
                session = self._session = self._renewal.renew(session, self._begin, self._retire)
                self._epoch = session.epoch
        except Retired:
            rejection = self._session_now().rejection
            if rejection is not None:  # what was refused was all that is wanted
                self.last_error = RequestRejectedError(*rejection)
            self._session_now().close()
            self._end("closed by this side", 1000)
            self._advance_if_unwanted()
        except (ConnectionFailedError, WebSocketProtocolError) as error:
            failure = failure_of_session(error, self._session_now().rejection)
            refusal = key_refusal(parts.endpoint, error, self._session_now().rejection)
            code = error.code if isinstance(error, ConnectionLostError) else getattr(error, "close_code", None)
            self._end(str(error), code)
            self._failed(refusal or error, failure)
        finally:
            if self._session is not None:
                self._end("an error inside the SDK", None)

    def _session_now(self) -> Session:
        assert self._session is not None
        return self._session

    def _begin(self, transport: Transport, replaces: int | None = None) -> Session:
        """A new epoch begins."""
        parts = self._parts
        now = parts.clock()
        epoch = parts.pool.open_epoch(parts.endpoint, now, replaces=replaces)
        if self._epoch:
            self._reconnects += 1
        session = Session(parts, transport, self._wakeup, epoch, self._cadence, lambda: self._is_stopping)
        self._epoch, self._session, self._next_attempt_at = epoch, session, None
        self._is_refusal_said = False
        parts.publish(Connected(parts.endpoint, now, epoch))
        return session

    def _end(self, reason: str, code: int | None) -> None:
        """The present epoch is over."""
        session = self._session_now()
        if session.has_data:
            self._backoff.data(session.last_data_at)
        self._retire(session, reason, code)
        self._parts.subscriptions.on_disconnected(self._parts.endpoint)
        self._session = None

    def _retire(self, session: Session, reason: str, code: int | None) -> None:
        parts = self._parts
        session.tell()
        now = parts.clock()
        unsettled = parts.pool.close_epoch(session.epoch, now)
        if unsettled:
            parts.reopen(unsettled)
        parts.meter.disconnected(session.transport, now - session.opened_at)
        session.transport.abort()
        parts.publish(Disconnected(parts.endpoint, now, session.epoch, reason, code))

    def _is_renewal_due(self) -> bool:
        return self._renewal.is_due(self._session_now())

    def _failed(self, error: UpbitWebSocketError, failure: Failure) -> None:
        """Decide when to try again, and wait until then."""
        parts = self._parts
        was_connected = self._state is ConnectionState.CONNECTED
        self.last_error = error
        now = parts.clock()
        if failure.kind is FailureKind.HTTP and failure.code in (418, 429):
            parts.limiter.penalize(CONNECT_GROUP, failure.code, failure.retry_after, now)
        delay = self._backoff.failed(now, failure, parts.random())
        if self._backoff.is_refused:
            self._advance(StateEvent.REFUSED)
        else:
            self._advance(StateEvent.LOST if was_connected else StateEvent.FAILED)
        # As text: an error that a log handler keeps would keep its traceback, and with it the connection.
        logger.info("- %s lost or refused: %s; next attempt in %.2f s", parts.endpoint, str(error), delay)
        if self._backoff.is_refused and not self._is_refusal_said:
            self._is_refusal_said = True
            logger.critical("! %s: somebody has to act before trying again helps: %s", parts.endpoint, str(error))
        self._next_attempt_at = now + delay
        if self._backoff.is_refused and isinstance(error, AuthenticationError):
            if self.refusal is None or self.refusal.name != error.name:  # one object for as long as it is the same one
                self.refusal = error
            parts.publish(AuthenticationFailed(parts.endpoint, now, error.name, error.message_ko))
            parts.pool.wake_all()
        parts.publish(BackingOff(parts.endpoint, now, delay, self._backoff.attempt, str(error)))
        try:
            self._pause_until(now + delay)
        except Retired:
            self._advance_if_unwanted()
            return
        finally:
            self._next_attempt_at = None
        self._advance(StateEvent.RETRY)

    def _advance_if_unwanted(self) -> None:
        """Back to waiting, unless the owner stops (then the end of the thread says so)."""
        if self._is_stopping:
            return
        parts = self._parts
        plan, version = parts.subscriptions.wanted_with_version(parts.endpoint)
        if plan is None and parts.subscriptions.asked(parts.endpoint) is None:
            # Nobody hears what happens to these values from now on: who wants them again begins with none.
            parts.pool.forget_except(parts.endpoint, (), version)
        self._advance(StateEvent.UNWANTED)

    def _advance(self, event: StateEvent) -> None:
        before, self._state = self._state, next_state(self._state, event)
        logger.debug("= %s %s -> %s (%s)", self._parts.endpoint, before, self._state, event.value)

    def _survive(self, error: Exception) -> None:
        logger.critical("! %s: an error inside the SDK: %r", self._parts.endpoint, error, exc_info=True)
        self.last_error = UpbitWebSocketError(f"an error inside the SDK: {error!r}")
        self._advance(StateEvent.CRASHED)
        at = self._parts.clock() + _CRASH_DELAY
        try:
            self._pause_until(at)
        except Retired:
            self._advance_if_unwanted()
            return
        self._advance(StateEvent.RETRY)

    def _crashed(self, error: BaseException) -> None:
        self.last_error = UpbitWebSocketError(f"the I/O thread ended: {error!r}")
        self._state = ConnectionState.ERROR
