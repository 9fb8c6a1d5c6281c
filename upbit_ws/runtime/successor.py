"""Make before break: the connection that is going to take over is dialled beside the one that still serves."""

from __future__ import annotations

from collections.abc import Callable

from upbit_ws.exceptions import UpbitWebSocketError
from upbit_ws.runtime.threads import spawn
from upbit_ws.wire.transport import Transport
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["Successor"]


class Successor:
    """One dial on a thread of its own, so that the present connection is read all the while.

    `on_done` is called by that thread at its end, and must only wake somebody. The transport has to be taken, or the
    successor abandoned: either closes what the other would have used.
    """

    def __init__(
        self, name: str, dial: Callable[[Wakeup, Callable[[], bool]], Transport], on_done: Callable[[], None]
    ) -> None:
        self._name = name
        self._dial = dial
        self._on_done = on_done
        self._wakeup = Wakeup()
        self._is_abandoned = False
        self._transport: Transport | None = None
        #: Why there is no transport, once `is_done`.
        self.error: UpbitWebSocketError | None = None
        self.is_done = False

    def start(self) -> None:
        """Begin to dial."""
        spawn(self._name, self._run, on_crash=self._crashed)

    def take(self, wakeup: Wakeup) -> Transport | None:
        """The open connection, from now on woken by `wakeup`; None where there is none."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.rewire(wakeup)
        return transport

    def abandon(self) -> None:
        """It is not needed any more: stop dialling, close what is open. Idempotent."""
        self._is_abandoned = True
        self._wakeup.set()
        if self.is_done:
            transport, self._transport = self._transport, None
            if transport is not None:
                transport.abort()

    def _run(self) -> None:
        try:
            self._transport = self._dial(self._wakeup, lambda: self._is_abandoned)
        except UpbitWebSocketError as error:
            self.error = error
        finally:
            self._wakeup.close()
            self.is_done = True
            if self._is_abandoned:
                self.abandon()
            self._on_done()

    def _crashed(self, error: BaseException) -> None:
        self.error = UpbitWebSocketError(f"an error inside the SDK: {error!r}")
