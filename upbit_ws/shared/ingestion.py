"""A batch on its way into the pool: what it left to do, and what files it without the pool's help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from upbit_ws.protocol.slots import Entry, Reopened, Slot, Stamp
from upbit_ws.shared.waiting import Waiter

__all__ = ["NO_DELIVERIES", "NO_WAITERS", "Ingested", "Intake"]

#: Shared and never written to: a batch that leaves nothing to do makes no lists.
_NO_CONTROLS: Final[list[dict[str, Any]]] = []
NO_DELIVERIES: Final[list[tuple[Slot, Entry]]] = []
_NO_REOPENED: Final[list[tuple[Slot, Reopened]]] = []
NO_WAITERS: Final[list[Waiter]] = []


class Ingested:
    """What one batch left to do outside the lock. Nearly always nothing: then making it has cost nothing either."""

    #: How many of its messages were nothing that the exchange documents.
    unusable = 0
    #: Error, status and control replies, parsed.
    controls: list[dict[str, Any]] = _NO_CONTROLS
    #: Payloads of slots that somebody watches, in order.
    deliveries: list[tuple[Slot, Entry]] = NO_DELIVERIES
    #: Log streams that go on after a loss, with what came before and after it.
    reopened: list[tuple[Slot, Reopened]] = _NO_REOPENED
    #: Threads to wake.
    fired: list[Waiter] = NO_WAITERS

    def wake(self) -> None:
        """Wake the threads that are to be woken, once."""
        fired, self.fired = self.fired, NO_WAITERS
        for waiter in fired:
            waiter.fire()


class Intake(Protocol):
    """Files batches of one epoch, and notes when data was read as `Hearing` does. In C, see `speedups/intake.h`."""

    messages: int
    """Of batches that left nothing to do."""
    heard_at: float
    alive_at: float
    is_newest: bool
    is_awaited: bool
    is_due: bool

    def file(self, messages: Sequence[bytes], now: float) -> bool:
        """File a batch. False where `take_left` says what is left to do, or the epoch is not the newest one."""

    def serve(self, inlet: Any, timeout: float | None, is_flowing: bool) -> Any:
        """Read and file, see `upbit_ws.wire.transport`."""

    def take_left(self) -> tuple[Sequence[bytes], int, Stamp, Ingested] | None:
        """What the last batch left to do, once, for `finish`."""

    def hear(self, now: float) -> None:
        """See `Hearing`."""

    def take(self) -> list[float]:
        """See `Hearing`."""
