"""Every gap that a reconnect left, and what became of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from itertools import count

from attrs import evolve

from upbit_ws.protocol.gap_filling import Gap, GapState
from upbit_ws.shared.locks import make_lock
from upbit_ws.types import StreamKey

__all__ = ["GapLedger"]

#: Gaps that are settled are kept up to this number, the newest. Open ones are all kept: who opens them opens no more
#: than may wait at once (`RecoveryConfig.max_gaps`), and settles each.
_SETTLED_KEPT = 10_000


class GapLedger:
    """A bounded list of gaps. Each has a number; settling replaces its record."""

    def __init__(self) -> None:
        #: Guards the tables.
        self._lock = make_lock("gap-ledger", 45)
        self._numbers = count(1)
        self._open: dict[int, Gap] = {}
        self._settled: OrderedDict[int, Gap] = OrderedDict()

    def open(self, gap: Gap) -> int:
        """A gap was found; the number settles it."""
        with self._lock:
            number = next(self._numbers)
            self._open[number] = gap
            return number

    def settle(self, number: int, state: GapState, *, found: int = 0, reason: str = "") -> Gap:
        """A gap was filled, or could not be; its final record."""
        with self._lock:
            gap = evolve(self._open.pop(number), state=state, count=found, reason=reason)
            self._settled[number] = gap
            if len(self._settled) > _SETTLED_KEPT:
                self._settled.popitem(last=False)
            return gap

    def gaps(self, keys: Collection[StreamKey] | None = None) -> tuple[Gap, ...]:
        """All gaps of these streams (None: of all), in the order in which they were found."""
        with self._lock:
            entries = sorted({**self._settled, **self._open}.items())
        return tuple(gap for _, gap in entries if keys is None or gap.key in keys)

    def __len__(self) -> int:
        return len(self._open) + len(self._settled)
