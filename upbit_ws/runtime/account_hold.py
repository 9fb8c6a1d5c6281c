"""Events of the account that wait, so that subscribers get what was missed before what is newer.

All of them wait while orders and balances are being compared with REST (`begin`, `release`); those of one order wait
while a fill of it is being looked for. Either takes at most the time of the hold: then what waits goes first, and what
was missed comes behind it.

Live events come from the I/O thread and recovered ones from the account's thread. Between the moment when one of them
has booked an event and the moment when it hands it over here, the other one could overtake it, so both say `enter`
before they book and `leave` afterwards, and nothing goes on while one of them is in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from upbit_ws.protocol.account_turns import as_lived, order_of, parted
from upbit_ws.protocol.slots import Delivery
from upbit_ws.shared.locks import make_lock

__all__ = ["AccountHold"]

#: The time of an order whose events have waited for long enough.
_OVER: Final = float("-inf")


class AccountHold:
    """Holds back, and lets go in order. Any thread may call anything.

    Args:
        clock: Monotonic seconds.
        deliver: Where events go that need not wait (any more).
        patience: For how long (seconds) an event waits at the most.
        awaited: The ids of orders of which a fill is being looked for. Called under the lock, takes none.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        deliver: Callable[[list[Delivery]], None],
        patience: float,
        awaited: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._clock = clock
        self._deliver = deliver
        self._patience = patience
        self._awaited = awaited
        #: Guards everything below.
        self._lock = make_lock("account-hold", 25)
        self._recovered: list[Delivery] = []
        self._live: list[Delivery] = []
        #: Until when everything is held back; None: it is not.
        self._until: float | None = None
        self._serial = 0
        #: Until when the events of single orders are held back.
        self._order_until: dict[str, float] = {}
        #: The earliest of these of which an event waits.
        self._orders_due_at: float | None = None
        #: How many threads are between booking an event and handing it over.
        self._inside = 0
        self._is_flushing = False
        #: How often the time was over before everything that was waited for had come.
        self.overdue = 0

    @property
    def until(self) -> float | None:
        """When to call `flush` at the latest; None while nothing is held back."""
        with self._lock:
            return self._orders_due_at if self._until is None else self._until

    @property
    def is_whole(self) -> bool:
        """Whether everything is held back. Takes no lock."""
        return self._until is not None

    @property
    def serial(self) -> int:
        """Which `begin` is the newest; for `release`. Takes no lock."""
        return self._serial

    # -- everything waits ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Hold everything back from now on. What waits already waits no longer for that."""
        with self._lock:
            self._serial += 1
            if self._until is None or not (self._live or self._recovered):
                self._until = self._clock() + self._patience

    def release(self, serial: int) -> None:
        """Hold nothing back any more, unless `begin` was called again after `serial` was read."""
        with self._lock:
            if serial == self._serial:
                self._until = None
        self.flush()

    # -- events -------------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """The calling thread is about to book an event."""
        with self._lock:
            self._inside += 1

    def leave(self, *, live: Collection[Delivery] = (), recovered: Collection[Delivery] = ()) -> None:
        """It has done so; what goes to subscribers goes now, or waits."""
        with self._lock:
            self._inside -= 1
            self._live += live
            self._recovered += recovered
        self.flush()

    def flush(self) -> None:
        """Deliver what need not wait (any more), in order. One thread at a time does it, for all."""
        with self._lock:
            if self._is_flushing:
                return
            self._is_flushing = True
        try:
            while True:
                with self._lock:
                    due = self._due_locked()
                    if not due:
                        self._is_flushing = False
                        return
                self._deliver(as_lived(due))
        except BaseException:
            with self._lock:
                self._is_flushing = False
            raise

    def _due_locked(self) -> list[Delivery]:
        """Take out what goes now."""
        assert self._lock.locked()
        if self._inside:
            return []
        now = self._clock()
        if self._until is not None:
            if now < self._until:
                return []
            self._until = None
            self.overdue += bool(self._live or self._recovered)
        awaited = self._awaited()
        self._order_until = {uuid: until for uuid, until in self._order_until.items() if uuid in awaited}
        due, self._recovered = parted(self._recovered, lambda uuid: uuid in awaited and self._waits_locked(uuid, now))
        more, self._live = parted(self._live, lambda uuid: uuid in awaited and self._waits_locked(uuid, now))
        kept = (order_of(delivery) for delivery in self._recovered + self._live)
        self._orders_due_at = min((self._order_until[one.uuid] for one in kept if one is not None), default=None)
        return due + more

    def _waits_locked(self, uuid: str, now: float) -> bool:
        assert self._lock.locked()
        until = self._order_until.setdefault(uuid, now + self._patience)
        if now < until:
            return True
        if until != _OVER:
            self._order_until[uuid] = _OVER
            self.overdue += 1
        return False
