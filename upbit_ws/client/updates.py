"""Pulling a stream of changes: an iterator that waits, instead of a callback that is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from upbit_ws.events import CandleEvent, Event
from upbit_ws.protocol.slots import Slot
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.types import Retention

__all__ = ["Updates"]


class Updates(Iterator[Event]):
    """Events as they arrive, from the moment it was made.

    Of a state type (ticker, order book) it gives the newest value when asked, whatever came in between. Of a log type
    (trades) it gives each event once, in order, as long as the history holds them; `missed` counts those that it did
    not. Of candles it gives the newest state of each candle start. It ends when nothing came for `timeout` seconds, or
    when the client is closed. One thread per iterator.
    """

    def __init__(
        self,
        pool: DataPoolManager,
        slots: Callable[[], Sequence[Slot]],
        timeout: float | None,
        clock: Callable[[], float],
        is_open: Callable[[], bool],
        view: Callable[[Event], Event | None],
    ) -> None:
        self._pool = pool
        self._slots = slots
        self._timeout = timeout
        self._clock = clock
        self._is_open = is_open
        #: An event as its reader asked for it; None where it is none of its business.
        self._view = view
        self._seen: dict[Slot, int] = {slot: slot.revision for slot in slots()}
        self._candle_starts: dict[Slot, str] = {}
        self._ready: list[Event] = []
        #: Events of log types that had left the history before they were asked for.
        self.missed = 0

    def __iter__(self) -> Updates:
        return self

    def __next__(self) -> Event:
        deadline = None if self._timeout is None else self._clock() + self._timeout
        while not self._ready:
            if not self._is_open():
                raise StopIteration
            slots = self._slots()
            self._collect(slots)
            if self._ready:
                break
            left = _LOOK_AGAIN if deadline is None else deadline - self._clock()
            if left <= 0:
                raise StopIteration
            self._pool.wait(slots, partial(self._has_news, slots), min(left, _LOOK_AGAIN))
        return self._ready.pop(0)

    def _has_news(self, slots: Sequence[Slot]) -> bool:
        return any(slot.revision != self._seen.get(slot, 0) for slot in slots)

    def _collect(self, slots: Sequence[Slot]) -> None:
        for slot in slots:
            before = self._seen.get(slot, 0)
            revision = slot.revision
            if revision == before:
                continue
            self._seen[slot] = revision
            if slot.key.data_type.is_candle:
                fresh = self._candles(slot)
            elif slot.key.data_type.retention is Retention.LOG:
                fresh = self._logged(slot, before)
            else:
                found = self._pool.event(slot)
                fresh = [found[0]] if found is not None else []
            self._ready += [seen for event in fresh if (seen := self._view(event)) is not None]

    def _logged(self, slot: Slot, before: int) -> list[Event]:
        # With the revision that belongs to them: more may have come since it was looked at.
        events, self._seen[slot] = self._pool.arrivals(slot, before)
        self.missed += self._seen[slot] - before - len(events)
        return events

    def _candles(self, slot: Slot) -> list[Event]:
        last = self._candle_starts.get(slot, "")
        events = [
            event
            for event in self._pool.history(slot, None)
            if isinstance(event, CandleEvent) and event.candle_date_time_utc >= last
        ]
        found = self._pool.event(slot)
        if not events and found is not None:
            events = [found[0]] if isinstance(found[0], CandleEvent) else []
        if last == "":
            events = events[-1:]
        if events:
            self._candle_starts[slot] = events[-1].candle_date_time_utc
        return list(events)


#: An iterator without a timeout looks this often (seconds) whether a pattern means other markets now.
_LOOK_AGAIN = 5.0
