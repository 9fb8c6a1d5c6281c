"""When data was read, noted for clocks that hear of it later.

While data flows, the clocks of `upbit_ws.protocol.liveness` need to know of it only when they are asked something, and
telling them of every read cost as much as filing what it brought. So the moments are noted here: of several within
`interval` the first and the last. Shorter pauses are nothing to the clocks.

This exists twice, here and in C (`speedups/intake.h`), where it is a part of what files the data.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Hearing"]

_NEVER: Final = float("-inf")
#: Moments that are kept until somebody has to take them.
_KEPT: Final = 64


class Hearing:
    """Moments (monotonic seconds) of one connection. Written by its I/O thread."""

    #: Messages that were filed without the help of the pool; here are none.
    messages: Final = 0

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._noted: list[float] = []
        self._noted_at = self._note_from = _NEVER
        #: When data was last read.
        self.heard_at = _NEVER
        #: Somebody waits for the next data, be it a moment from now.
        self.is_awaited = False

    def hear(self, now: float) -> None:
        """Data was read at `now`."""
        if now >= self._note_from and len(self._noted) < _KEPT - 1:
            if self.heard_at > self._noted_at:
                self._noted.append(self.heard_at)  # the pause since then counts
            self._noted.append(now)
            self._noted_at = now
            self._note_from = now + self._interval
        self.heard_at = now

    @property
    def is_due(self) -> bool:
        """Whether the clocks should hear of it now."""
        return bool(self._noted and self.is_awaited) or len(self._noted) >= _KEPT - 1

    def take(self) -> list[float]:
        """The moments since this was last called, in order; the last one is that of the last data."""
        noted, self._noted = self._noted, []
        if self.heard_at > self._noted_at:
            noted.append(self.heard_at)
        self._noted_at = self.heard_at
        self._note_from = _NEVER
        return noted
