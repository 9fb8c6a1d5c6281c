"""Generations of connections: which one is current, and until when each could be believed.

Every successful upgrade is a new epoch. Epochs are numbered 1, 2, 3, ... over all endpoints of a process, so a number
alone says which connection a value came from. Whatever outlives its connection carries its epoch and is dropped when
that epoch is over.

The class is plain and has no lock of its own: it lives inside the lock of the data pool, because the check "is this
batch from a current epoch?" is only worth something when nothing can happen between the check and the write.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum, unique
from typing import Final, Protocol

from upbit_ws.records import define

__all__ = ["EpochManager", "Pulse", "Standing"]

MAX_CLOSED = 4096
"""Closed epochs remembered at the most. At one reconnect per minute that is almost three days of final values."""


@unique
class Standing(Enum):
    """Where an epoch stands among those of its endpoint."""

    NEWEST = "newest"
    OLDER = "older"
    """Open beside a newer one: make before break."""
    OVER = "over"


#: `admit` is called for every read; the look-up of a member costs as much as the rest of it.
_NEWEST: Final = Standing.NEWEST


class Pulse(Protocol):
    """Admits batches of one epoch without a call of `EpochManager.admit`, while it is the newest one."""

    is_newest: bool
    """Written by the manager."""

    @property
    def alive_at(self) -> float:
        """When the last batch arrived."""


@define(slots=True)
class _Epoch:
    endpoint: Hashable
    alive_at: float
    is_open: bool = True
    is_newest: bool = True
    """Of the open ones of its endpoint."""
    doubted_at: float | None = None
    pulse: Pulse | None = None

    @property
    def vouched_at(self) -> float:
        if self.doubted_at is not None:
            return self.doubted_at
        pulse = self.pulse
        return self.alive_at if pulse is None else max(self.alive_at, pulse.alive_at)

    def stand(self, *, is_newest: bool) -> None:
        self.is_newest = is_newest
        if self.pulse is not None:
            self.pulse.is_newest = is_newest


class EpochManager:
    """Epochs of all endpoints of one process.

    An endpoint is any hashable value (in the SDK `Endpoint`). All times are monotonic seconds given by the caller.
    """

    def __init__(self) -> None:
        self._last = 0
        self._epochs: dict[int, _Epoch] = {}  # by number, hence in the order of opening
        self._open: dict[Hashable, tuple[int, ...]] = {}  # oldest first; two only during make-before-break
        self._closed = 0

    def open(self, endpoint: Hashable, now: float, *, replaces: int | None = None) -> int:
        """A connection of `endpoint` was upgraded: begin its epoch and return the number.

        Whatever else of the endpoint was open is closed by this. With `replaces` that one epoch stays open beside the
        new one (both are current) until it is closed: make before break.
        """
        for epoch in self._open.get(endpoint, ()):
            if epoch != replaces:
                self.close(epoch, now)
        for epoch in self._open.get(endpoint, ()):  # at most the one that is replaced
            self._epochs[epoch].stand(is_newest=False)
        self._last += 1
        self._epochs[self._last] = _Epoch(endpoint, now)
        self._open[endpoint] = (*self._open.get(endpoint, ()), self._last)
        return self._last

    def close(self, epoch: int, now: float) -> None:
        """The connection of `epoch` is over. Its vouched time stands still from here on; closing again does nothing.

        The end of a connection is no proof of life, so `now` does not raise the vouched time; it only bounds it.
        """
        entry = self._epochs.get(epoch)
        if entry is None or not entry.is_open:
            return
        entry.is_open = False
        entry.stand(is_newest=False)
        entry.alive_at, entry.pulse = min(entry.vouched_at, now), None
        entry.doubted_at = None
        left = tuple(number for number in self._open[entry.endpoint] if number != epoch)
        if left:
            self._open[entry.endpoint] = left
            self._epochs[left[-1]].stand(is_newest=True)
        else:
            del self._open[entry.endpoint]
        self._closed += 1
        if self._closed > MAX_CLOSED:
            self._forget_oldest_closed()

    def is_current(self, endpoint: Hashable, epoch: int) -> bool:
        """Whether what `epoch` delivers may still be filed. During an overlap this holds for both epochs."""
        return epoch in self._open.get(endpoint, ())

    def admit(self, endpoint: Hashable, epoch: int, now: float) -> Standing:
        """A batch of `epoch` arrived: whether it counts; where it does, it is a proof of life. One call per batch."""
        numbers = self._open.get(endpoint)
        if numbers is None or epoch not in numbers:
            return Standing.OVER
        entry = self._epochs[epoch]
        if now > entry.alive_at:
            entry.alive_at = now
        return _NEWEST if entry.is_newest else Standing.OLDER

    def follow(self, epoch: int, pulse: Pulse) -> None:
        """From now on `pulse` admits batches of an open epoch as well; it hears when they no longer count."""
        entry = self._epochs[epoch]
        if entry.pulse is not None:
            raise ValueError(f"epoch {epoch} is followed already")
        entry.pulse = pulse
        pulse.is_newest = entry.is_newest

    def current(self, endpoint: Hashable) -> int | None:
        """The newest open epoch of `endpoint`, None while it has no connection."""
        numbers = self._open.get(endpoint)
        return numbers[-1] if numbers else None

    def alive(self, epoch: int, now: float) -> None:
        """Any frame of `epoch` arrived, a pong included. Ignored once the epoch is over; never moves back."""
        entry = self._epochs.get(epoch)
        if entry is not None and entry.is_open and now > entry.alive_at:
            entry.alive_at = now

    def suspect(self, epoch: int, since: float) -> None:
        """The feed of `epoch` is suspected mute: its vouched time stands still, at `since` or before, until `trust`.

        A second suspicion may only move it back, so that what was doubted once is not believed again by doubt.
        """
        entry = self._epochs.get(epoch)
        if entry is not None and entry.is_open:
            entry.doubted_at = min(entry.vouched_at, since)

    def trust(self, epoch: int) -> None:
        """The suspicion is lifted: the proofs of life since then count again."""
        entry = self._epochs.get(epoch)
        if entry is not None:
            entry.doubted_at = None

    def is_suspected(self, epoch: int) -> bool:
        """Whether the feed of this open epoch is suspected mute."""
        entry = self._epochs.get(epoch)
        return entry is not None and entry.doubted_at is not None

    def vouched_at(self, epoch: int) -> float | None:
        """Until when a value delivered by `epoch` is vouched for; None for an epoch never opened or forgotten.

        For an open epoch that is its last proof of life, standing still while suspected mute; for a closed one its
        final value.
        """
        entry = self._epochs.get(epoch)
        return None if entry is None else entry.vouched_at

    def forget_before(self, epoch: int) -> int:
        """Forget the closed epochs with a smaller number, which nothing refers to any more. How many went."""
        gone = [number for number, entry in self._epochs.items() if number < epoch and not entry.is_open]
        for number in gone:
            del self._epochs[number]
        self._closed -= len(gone)
        return len(gone)

    def _forget_oldest_closed(self) -> None:
        oldest = next(number for number, entry in self._epochs.items() if not entry.is_open)
        del self._epochs[oldest]
        self._closed -= 1

    def __len__(self) -> int:
        return len(self._epochs)

    def __repr__(self) -> str:
        opened = {str(endpoint): numbers for endpoint, numbers in self._open.items()}
        return f"<EpochManager last={self._last} open={opened} closed={self._closed}>"
