"""Make before break: a new connection delivers before the old one is closed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from upbit_ws.exceptions import ConnectionFailedError, WebSocketProtocolError
from upbit_ws.runtime.connection_parts import ConnectionParts
from upbit_ws.runtime.dialling import Dialer, dial_in_turn
from upbit_ws.runtime.session import Session
from upbit_ws.runtime.successor import Successor
from upbit_ws.wire.transport import Transport
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["Renewal"]

logger = logging.getLogger("upbit_ws")

#: After a renewal that did not come about, when to try it again (seconds).
_RENEW_AGAIN_AFTER: Final = 30.0
#: While two connections overlap, how long to wait for the new one before looking at the old one (seconds).
_OVERLAP_STEP: Final = 0.01
#: How long (seconds) both go on when the new one delivers everything. The exchange may have given the old one something
#: before it knew of the new one, and that may be on its way more slowly; what both bring is told once.
_OVERLAP_GRACE: Final = 0.2

#: `begin(transport, replaces)`: a new epoch begins, beside the one it is going to replace.
_Begin = Callable[[Transport, int], Session]
#: `retire(session, reason, code)`: an epoch is over.
_Retire = Callable[[Session, str, "int | None"], None]


class Renewal:
    """Renews the connection of one endpoint, when asked to or because of its age.

    `request` may be called from any thread. Everything else happens in the I/O thread, which `wakeup` wakes.
    """

    def __init__(self, parts: ConnectionParts, dial: Dialer, wakeup: Wakeup) -> None:
        self._parts = parts
        self._dial = dial
        self._wakeup = wakeup
        self._is_requested = False
        self._not_before = 0.0

    def request(self) -> None:
        """Have a new connection take over from the present one. Does not wait."""
        self._is_requested = True
        self._wakeup.set()

    def is_due(self, session: Session) -> bool:
        """Whether it is time to renew the connection of `session`."""
        now = self._parts.clock()
        return now >= self._not_before and (self._is_requested or now >= session.renew_at)

    def renew(self, old: Session, begin: _Begin, retire: _Retire) -> Session:
        """Dial beside the present connection, let the new one catch up, and only then let go of the old one.

        Returns:
            What serves from now on: the new session, or the old one where no new connection came about or stayed.
        """
        parts = self._parts
        self._is_requested = False
        successor = Successor(f"upbit-ws-dial-{parts.endpoint}", self._dial_in_turn, self._wakeup.set)
        successor.start()
        try:
            while not successor.is_done:
                old.serve(lambda: successor.is_done)
            transport = successor.take(self._wakeup)
        finally:
            successor.abandon()
        if transport is None:
            logger.warning("! %s could not be renewed: %s", parts.endpoint, str(successor.error))
            self._not_before = parts.clock() + _RENEW_AGAIN_AFTER
            return old
        return self._hand_over(old, begin(transport, old.epoch), retire)

    def _dial_in_turn(self, wakeup: Wakeup, should_stop: Callable[[], bool]) -> Transport:
        return dial_in_turn(self._parts, self._dial, wakeup, should_stop)

    def _hand_over(self, old: Session, new: Session, retire: _Retire) -> Session:
        """Serve both until the new one has delivered every stream; then close the old one."""
        old.is_retiring = True
        clock = self._parts.clock
        deadline, has_taken_over = clock() + self._parts.config.connection.snapshot_timeout, False
        try:
            while clock() < deadline:
                if not has_taken_over and self._has_taken_over(old, new):
                    has_taken_over, deadline = True, clock() + _OVERLAP_GRACE
                new.step(_OVERLAP_STEP)
                try:
                    if old.step(0.0):
                        new.look_again()  # they share the wake-up, which may have been for the new one
                except (ConnectionFailedError, WebSocketProtocolError):
                    break  # it ended by itself; the new one is there
        except (ConnectionFailedError, WebSocketProtocolError) as error:
            logger.warning("! %s: the new connection was lost again: %s", self._parts.endpoint, str(error))
            self._not_before = clock() + _RENEW_AGAIN_AFTER
            retire(new, str(error), None)
            old.resume()
            return old
        except BaseException:
            # Nothing is wanted any more, the owner stops, or a bug: whoever called ends the new one, and only that.
            retire(old, "replaced by a new connection", None)
            raise
        try:
            old.close_behind_successor()
        finally:
            retire(old, "replaced by a new connection", 1000)
        return new

    def _has_taken_over(self, old: Session, new: Session) -> bool:
        """Whether the new connection delivers everything and the old one got as far as the new one began."""
        pool, endpoint = self._parts.pool, self._parts.endpoint
        is_carried = not endpoint.needs_auth or pool.is_carried(endpoint, new.epoch)
        return new.has_caught_up() and pool.is_settled(old.epoch) and is_carried
