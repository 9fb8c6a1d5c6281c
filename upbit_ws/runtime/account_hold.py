"""Events of the account that wait, so that subscribers get what was missed before what is newer.

All of them wait while orders and balances are being compared with REST (`begin`, `release`); those of one order wait
while a fill of it is being looked for. No event waits for longer than the time of the hold in all, whatever it waits
for, and no more of them wait than the hold takes: the oldest go first then, and what was missed comes behind them.

Live events come from the I/O thread and recovered ones from the account's thread. Between the moment when one of them
has booked an event and the moment when it hands it over here, the other one could overtake it, so both say `enter`
before they book and `leave` afterwards, and nothing goes on while one of them is in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection

from upbit_ws.protocol.account_turns import as_lived, order_of, parted
from upbit_ws.protocol.slots import Delivery
from upbit_ws.shared.locks import make_lock

__all__ = ["AccountHold"]


class AccountHold:
    """Holds back, and lets go in order. Any thread may call anything.

    Args:
        clock: Monotonic seconds.
        deliver: Where events go that need not wait (any more).
        patience: For how long (seconds) an event waits at the most.
        most: How many events wait at the most. Of more, the oldest go as if their time were over.
        awaited: The ids of orders of which a fill is being looked for. Called under the lock, takes none.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        deliver: Callable[[list[Delivery]], None],
        patience: float,
        most: int,
        awaited: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._clock = clock
        self._deliver = deliver
        self._patience = patience
        self._most = most
        self._awaited = awaited
        #: Guards everything below.
        self._lock = make_lock("account-hold", 25)
        #: Each with the moment until when it may wait, in the order of these.
        self._recovered: deque[tuple[Delivery, float]] = deque()
        self._live: deque[tuple[Delivery, float]] = deque()
        #: Until when everything is held back; None: it is not.
        self._until: float | None = None
        self._serial = 0
        #: Orders of which an event had to go without the missing fill: the others need not wait for it either.
        self._given_up: set[str] = set()
        #: How many threads are between booking an event and handing it over.
        self._inside = 0
        self._is_flushing = False
        #: How often events had to go before everything that was waited for had come.
        self.overdue = 0

    @property
    def until(self) -> float | None:
        """When to call `flush` at the latest; None while nothing is held back."""
        with self._lock:
            moments = [waiting[0][1] for waiting in (self._recovered, self._live) if waiting]
            if self._until is not None:
                moments.append(self._until)
            return min(moments, default=None)

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
            until = self._clock() + self._patience
            self._live.extend((delivery, until) for delivery in live)
            self._recovered.extend((delivery, until) for delivery in recovered)
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
        now, awaited = self._clock(), frozenset(self._awaited())
        self._given_up &= awaited
        is_held = self._until is not None or bool(awaited)
        due = self._take_overdue_locked(now, awaited) if is_held else []
        if self._until is not None:
            if now < self._until:
                return due
            self._until = None
            self.overdue += bool(self._live or self._recovered)
        for waiting in (self._recovered, self._live):
            gone, kept = parted(waiting, awaited - self._given_up)
            due += gone
            waiting.clear()
            waiting.extend(kept)
        return due

    def _take_overdue_locked(self, now: float, awaited: Collection[str]) -> list[Delivery]:
        """Take out what must not wait any longer: live events behind everything that was missed and is known."""
        assert self._lock.locked()
        count = max(len(self._live) - self._most, 0)
        while count < len(self._live) and self._live[count][1] <= now:
            count += 1
        is_late = bool(self._recovered) and (self._recovered[0][1] <= now or len(self._recovered) > self._most)
        if not count and not is_late:
            return []
        self.overdue += 1
        due = [delivery for delivery, _ in self._recovered]
        self._recovered.clear()
        due += [self._live.popleft()[0] for _ in range(count)]
        uuids = {event.uuid for event in map(order_of, due) if event is not None}
        self._given_up |= uuids.intersection(awaited)
        return due
