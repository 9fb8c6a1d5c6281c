"""How long is this feed silent as a rule? The learned half of the data clock in `upbit_ws.protocol.liveness`.

The measure is the pause that a random moment falls into: each pause counts by its own length, recent ones more. A mean
over the pauses themselves would call a market quick that trades twenty times in a second and then rests for a minute;
here that feed has a pause of nearly a minute, and a busy one with a single slow second stays busy.
"""

from __future__ import annotations

from math import exp

__all__ = ["Cadence"]

MEMORY = 6.0
"""Pauses are forgotten with a time constant of so many floors (60 s by default) of the feed's own time."""
CAP_FLOORS = 30.0
"""No silence longer than so many floors (5 min by default) goes without a question, however quiet the feed is."""
MAX_DOUBLINGS = 16
BRIEF = 0.01
"""Pauses shorter than this many floors (0.1 s by default) are added up before they are weighed against the past."""


class Cadence:
    """The usual pause of one endpoint's feed. It outlives connections: a new one is as quick as the last one was."""

    __slots__ = (
        "_barren",
        "_brief",
        "_cap",
        "_factor",
        "_floor",
        "_gathered",
        "_gathered_squares",
        "_memory",
        "_squares",
        "_sum",
    )

    def __init__(self, floor: float, factor: float) -> None:
        """`floor`: seconds below which silence is never suspicious. `factor`: how many usual pauses are too long."""
        self._floor = floor
        self._factor = factor
        self._memory = MEMORY * floor
        self._brief = BRIEF * floor
        self._gathered = 0.0
        self._gathered_squares = 0.0
        self._cap = CAP_FLOORS * floor
        self._sum = 0.0
        self._squares = 0.0
        self._barren = 0

    def learn(self, pause: float) -> None:
        """The feed spoke after `pause` seconds."""
        square = pause * pause
        if pause < self._brief:
            # Of a busy feed there are thousands a second: they are added up and counted together.
            self._gathered += pause
            self._gathered_squares += square
            if self._gathered < self._brief:
                return
            pause, square = self._gathered, self._gathered_squares
            self._gathered = self._gathered_squares = 0.0
        decay = exp(-pause / self._memory)
        self._sum = self._sum * decay + pause
        self._squares = self._squares * decay + square

    @property
    def usual_pause(self) -> float:
        """Seconds; 0.0 while nothing is known."""
        return self._squares / self._sum if self._sum > 0.0 else 0.0

    @property
    def patience(self) -> float:
        """Seconds of silence after which a feed that has spoken is asked whether it is still there."""
        return min(max(self._floor, self._factor * self.usual_pause), self._cap)

    @property
    def first_patience(self) -> float:
        """The same for a connection that has not spoken yet.

        Doubles with every connection that never spoke: nothing but misspelt codes is silent as well, and must not cost
        a reconnect every few seconds for ever.
        """
        return min(self._floor * 2.0**self._barren, self._cap)

    def connection_was_barren(self) -> None:
        """A connection was given up that had delivered nothing at all."""
        self._barren = min(self._barren + 1, MAX_DOUBLINGS)

    def spoke(self) -> None:
        """The first data of a connection: whatever was silent before, it is not misspelt."""
        self._barren = 0
