"""How a load generator paces its frames: at full speed, evenly, or in bursts each 100 ms."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

from attrs import define, frozen

from benchmarks.frames import Stock, stamp

BURST_INTERVAL = 0.1
CHUNK_BYTES = 1 << 20
_SPIN_BELOW = 150e-6
"""Seconds. Below this the sender spins: a sleep would overshoot."""
_FRAMES_PER_POLL = 64
_GROUPS_AHEAD = 64
_PR_SET_TIMERSLACK = 29


@frozen
class Plan:
    """What one connection gets after its subscription request."""

    mode: str = "full"
    """`full`, `even` or `bursts`."""
    rate: float = 0.0
    """Messages a second for `even` and `bursts`."""
    total: int | None = None
    """Stop after so many realtime frames (rounded up to a chunk or burst); None goes on until the client leaves."""
    burst: int | None = None
    """Frames in one burst instead of `rate` times the interval."""


@define
class Sender:
    """Sends a stock of frames as its plan says, and calls `attend` often enough to answer pings and requests.

    `attend(wait)` returns after `wait` seconds at the latest, or earlier when the client said something; it raises
    when the client is gone, which ends `run`. It may call `answer_request`, as nothing is half sent then.
    """

    stock: Stock
    plan: Plan
    send: Callable[[memoryview], object]
    attend: Callable[[float], None]
    frames: int = 0
    bytes: int = 0
    _lap: int = 0
    _position: int = 0
    """The next frame of the ring to send."""
    _entered: int = 0
    """Groups of the ring that carry the digits of this lap already; the others carry those of the lap before."""

    def answer_request(self) -> None:
        """Send one snapshot of each symbol and type, then go on from the start of the ring, with later ids."""
        snapshots = self.stock.snapshots
        self._lap += 1
        snapshots.enter_lap(0, snapshots.groups, self._lap)
        self.stock.ring.enter_lap(0, self.stock.ring.groups, self._lap)
        digits = _stamp_now()
        for frame in range(snapshots.frames):
            snapshots.put_stamp(frame, digits)
        self._write(memoryview(snapshots.buffer), snapshots.frames)
        self._next_lap()

    def run(self) -> None:
        """Send until the plan is done, then keep answering."""
        {"full": self._full, "even": self._even, "bursts": self._bursts}[self.plan.mode]()
        while True:
            self.attend(0.5)

    def _write(self, data: memoryview, frames: int) -> None:
        self.send(data)
        self.frames += frames
        self.bytes += len(data)

    def _next_lap(self) -> None:
        self._lap += 1
        self._position = self._entered = 0

    def _enter(self, groups: int) -> None:
        if groups > self._entered:
            self.stock.ring.enter_lap(self._entered, groups, self._lap, before=self._lap - 1)
            self._entered = groups

    def _full(self) -> None:
        ring, left = self.stock.ring, self.plan.total
        per_group, view = ring.frames_per_group, memoryview(ring.buffer)
        step = max(1, int(CHUNK_BYTES / (ring.mean_frame_size * per_group))) * per_group
        while left is None or left > 0:
            if self._position == ring.frames:
                self._next_lap()
            first = self._position
            last = min(ring.frames, first + (step if left is None else min(step, left)))
            self._enter(-(-last // per_group))
            self._write(view[ring.starts[first] : ring.starts[last]], last - first)
            left = None if left is None else left - (last - first)
            self._position = last
            self.attend(0)

    def _take(self) -> int:
        """The place in the ring of the next frame, its lap entered."""
        ring = self.stock.ring
        if self._position == ring.frames:
            self._next_lap()
        frame = self._position
        group = frame // ring.frames_per_group
        if group >= self._entered:
            self._enter(min(ring.groups, group + _GROUPS_AHEAD))
        self._position += 1
        return frame

    def _even(self) -> None:
        ring = self.stock.ring
        starts, view, write = ring.starts, memoryview(ring.buffer), self._write
        gap, start, number = 1.0 / self.plan.rate, time.perf_counter(), 0
        while self.plan.total is None or number < self.plan.total:
            self._wait_until(start + number * gap)
            frame = self._take()
            ring.put_stamp(frame, _stamp_now())
            write(view[starts[frame] : starts[frame + 1]], 1)
            number += 1
            if number % _FRAMES_PER_POLL == 0:
                self.attend(0)

    def _bursts(self) -> None:
        count = self.plan.burst or max(1, round(self.plan.rate * BURST_INTERVAL))
        ring = self.stock.ring
        starts, view, start, number = ring.starts, memoryview(ring.buffer), time.perf_counter(), 0
        while self.plan.total is None or number < self.plan.total:
            self._wait_until(start + number / count * BURST_INTERVAL)
            places = [self._take() for _ in range(count)]
            digits = _stamp_now()
            for place in places:
                ring.put_stamp(place, digits)
            # One write for each stretch of the buffer: a burst that wraps around the ring needs two.
            turn = next((at for at in range(1, count) if places[at] < places[at - 1]), count)
            for stretch in (places[:turn], places[turn:]):
                if stretch:
                    self._write(view[starts[stretch[0]] : starts[stretch[-1] + 1]], len(stretch))
            number += count

    def _wait_until(self, due: float) -> None:
        while (left := due - time.perf_counter()) > 0:
            if left > _SPIN_BELOW:
                self.attend(left - _SPIN_BELOW / 2)


def sharpen_timers() -> None:
    """Ask Linux for sleeps that end on time in the calling thread (its default slack is 50 us)."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    except (OSError, AttributeError):
        return


def _stamp_now() -> bytes:
    return stamp(time.monotonic_ns() // 1000)
