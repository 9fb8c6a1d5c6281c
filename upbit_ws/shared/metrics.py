"""Counters and histograms. Each has one writer, so counting takes no lock; snapshots are frozen records in `types`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

from attrs import evolve

from upbit_ws.records import frozen
from upbit_ws.types import ConnectionMetrics, ConnectionState, Endpoint, PerformanceMetrics

__all__ = ["ConnectionMeter", "Histogram", "PerformanceMeter", "Rate", "Totals", "Traffic"]

_PER_OCTAVE = 4
_SMALLEST = 1e-5
_BOUNDS: tuple[float, ...] = tuple(_SMALLEST * 2.0 ** (step / _PER_OCTAVE) for step in range(24 * _PER_OCTAVE + 1))
"""Upper ends of the buckets, 10 µs to 168 s, four to an octave: a quantile is right to within 19 %."""


class Histogram:
    """How durations (seconds) are distributed, in fixed buckets: constant memory, one bisection per value."""

    __slots__ = ("_counts", "_largest", "count", "last")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._largest = 0.0
        self.count = 0
        self.last: float | None = None

    def record(self, value: float) -> None:
        """Count one duration; negative ones count as zero."""
        self._counts[bisect_left(_BOUNDS, value)] += 1
        self._largest = max(self._largest, value)
        self.last = value
        self.count += 1

    def record_all(self, values: Sequence[float]) -> None:
        """Count several at once, which costs a third."""
        if values:
            counts = self._counts
            for value in values:
                counts[bisect_left(_BOUNDS, value)] += 1
            self._largest = max(self._largest, *values)
            self.last = values[-1]
            self.count += len(values)

    def quantile(self, share: float) -> float | None:
        """The duration that `share` (0 to 1) of all stay under; None while there are none."""
        counts = self._counts.copy()  # the writer goes on meanwhile
        total = sum(counts)
        if total == 0:
            return None
        ranks = list(accumulate(counts))
        bucket = bisect_left(ranks, max(share * total, 1))
        return self._largest if bucket >= len(_BOUNDS) else min(_BOUNDS[bucket], self._largest)

    @classmethod
    def merged(cls, histograms: Iterable[Histogram]) -> Histogram:
        """One distribution of everything that several have counted; `last` is not carried over."""
        result = cls()
        for histogram in histograms:
            result._counts = [one + other for one, other in zip(result._counts, histogram._counts, strict=True)]
            result._largest = max(result._largest, histogram._largest)
            result.count += histogram.count
        return result


class Rate:
    """How fast a running total grows, measured between two looks at it."""

    __slots__ = ("_at", "_total", "per_second")

    def __init__(self, now: float, total: int = 0) -> None:
        self._at = now
        self._total = total
        self.per_second = 0.0
        """Over the interval between the last two looks."""

    def update(self, total: int, now: float) -> float:
        """Look at the total. Two looks at the same moment leave the rate as it was."""
        elapsed = now - self._at
        if elapsed > 0:
            self.per_second = max(total - self._total, 0) / elapsed
            self._at, self._total = now, total
        return self.per_second


class Traffic(Protocol):
    """What a transport counts."""

    @property
    def bytes_received(self) -> int:
        """Bytes read from the socket."""

    @property
    def reads(self) -> int:
        """Read batches."""


class Tally(Protocol):
    """Counts messages that the I/O thread never saw."""

    @property
    def messages(self) -> int:
        """So many."""


class _Counts(NamedTuple):
    bytes: int
    reads: int
    messages: int

    def plus(self, connections: Iterable[tuple[Traffic, Tally]]) -> _Counts:
        total = self
        for transport, tally in connections:
            total = _Counts(
                total.bytes + transport.bytes_received, total.reads + transport.reads, total.messages + tally.messages
            )
        return total


class ConnectionMeter:
    """Counts one endpoint's connections over their whole life. Written by its I/O thread, read by any."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.rtt = Histogram()
        self.attempts = 0
        self.connects = 0
        #: Messages that its I/O thread saw. Counted up there: a call would cost more than the rest of counting.
        self.seen = 0
        self.requests = 0
        self.pings = 0
        self.pongs = 0
        self._seconds = 0.0  # of connections that are over
        #: What such connections counted, and what is open (two while one takes over from the other). Replaced as a
        #: whole: whoever reads it meanwhile counts each connection once.
        self._past_and_open: tuple[_Counts, tuple[tuple[Traffic, Tally], ...]] = (_Counts(0, 0, 0), ())

    def attempt(self) -> None:
        """A dial began."""
        self.attempts += 1

    def connected(self, transport: Traffic, tally: Tally) -> None:
        """The upgrade succeeded; what `transport` and `tally` count is counted here as well."""
        self.connects += 1
        past, opened = self._past_and_open
        self._past_and_open = past, (*opened, (transport, tally))

    def disconnected(self, transport: Traffic, seconds: float) -> None:
        """The connection is over after `seconds`. A second report of the same one counts for nothing."""
        past, opened = self._past_and_open
        ended = [pair for pair in opened if pair[0] is transport]
        if ended:
            self._past_and_open = past.plus(ended), tuple(pair for pair in opened if pair[0] is not transport)
            self._seconds += seconds

    def request(self) -> None:
        """A subscription request was sent."""
        self.requests += 1

    def ping(self) -> None:
        """A ping was sent."""
        self.pings += 1

    def pong(self, rtt: float) -> None:
        """A pong came back after `rtt` seconds."""
        self.pongs += 1
        self.rtt.record(rtt)

    @property
    def messages(self) -> int:
        """Data messages on all connections, the present one included."""
        return self.seen + self._counts().messages

    @property
    def bytes(self) -> int:
        """Bytes received on all connections, the present one included."""
        return self._counts().bytes

    @property
    def reads(self) -> int:
        """Read batches on all connections, the present one included."""
        return self._counts().reads

    def _counts(self) -> _Counts:
        past, opened = self._past_and_open
        return past.plus(opened)

    def snapshot(
        self,
        state: ConnectionState,
        *,
        epoch: int = 0,
        connected_for: float = 0.0,
        last_error: str | None = None,
    ) -> ConnectionMetrics:
        """All counts at this moment. `connected_for`: seconds that the present connection has lasted."""
        return ConnectionMetrics(
            endpoint=self.endpoint,
            state=state,
            epoch=epoch,
            connects=self.connects,
            reconnects=max(self.connects - 1, 0),
            messages=self.messages,
            bytes=self.bytes,
            reads=self.reads,
            requests_sent=self.requests,
            pings_sent=self.pings,
            pongs_received=self.pongs,
            rtt_last=self.rtt.last,
            rtt_p50=self.rtt.quantile(0.5),
            rtt_p99=self.rtt.quantile(0.99),
            connected_seconds=self._seconds + connected_for,
            last_error=last_error,
        )


@frozen(kw_only=True)
class Totals:
    """Running totals from elsewhere that belong into `PerformanceMetrics`."""

    messages: int = 0
    decode_errors: int = 0
    stale_dropped: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    dropped: int = 0
    events: Mapping[str, int] = {}


class PerformanceMeter:
    """Puts the process's figures together, every few seconds, by one thread. The last snapshot is for everybody."""

    def __init__(self, now: float) -> None:
        self._started_at = now
        self._messages = Rate(now)
        self._bytes = Rate(now)
        self._last = PerformanceMetrics(measured_at=now)

    @property
    def last(self) -> PerformanceMetrics:
        """The latest measurement."""
        return self._last

    def measure(self, totals: Totals, meters: Mapping[Endpoint, ConnectionMeter], now: float) -> PerformanceMetrics:
        """Measure: rates are over the time since the last measurement, round trips over all connections."""
        received = sum(meter.bytes for meter in meters.values())
        rtt = Histogram.merged(meter.rtt for meter in meters.values())
        self._last = PerformanceMetrics(
            uptime=now - self._started_at,
            messages=totals.messages,
            messages_per_second=self._messages.update(totals.messages, now),
            bytes=received,
            bytes_per_second=self._bytes.update(received, now),
            decode_errors=totals.decode_errors,
            stale_dropped=totals.stale_dropped,
            duplicates=totals.duplicates,
            out_of_order=totals.out_of_order,
            dropped=totals.dropped,
            events=dict(totals.events),
            reconnects=sum(max(meter.connects - 1, 0) for meter in meters.values()),
            rtt_p50=rtt.quantile(0.5),
            rtt_p99=rtt.quantile(0.99),
            measured_at=now,
        )
        return self._last

    def refreshed(self, now: float) -> PerformanceMetrics:
        """The latest measurement with the uptime of this moment."""
        return evolve(self._last, uptime=now - self._started_at)
