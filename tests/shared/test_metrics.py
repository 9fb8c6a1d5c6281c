"""Counting without locks, and the frozen records that come of it."""

from __future__ import annotations

import pytest
from attrs import define, evolve
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.shared.metrics import ConnectionMeter, Histogram, PerformanceMeter, Rate, Totals
from upbit_ws.types import ConnectionMetrics, ConnectionState, Endpoint, PerformanceMetrics


@define(eq=False)
class Line:
    """A transport's counters."""

    bytes_received: int = 0
    reads: int = 0


@define(eq=False)
class Filed:
    """What an intake counts."""

    messages: int = 0


class TestHistogram:
    def test_without_values_there_are_no_quantiles(self) -> None:
        assert Histogram().quantile(0.5) is None

    def test_quantiles_are_right_to_a_fifth(self) -> None:
        histogram = Histogram()
        for value in range(1, 1001):
            histogram.record(value / 1000)
        assert histogram.quantile(0.5) == pytest.approx(0.5, rel=0.19)
        assert histogram.quantile(0.99) == pytest.approx(0.99, rel=0.19)
        assert histogram.quantile(1.0) == 1.0
        assert (histogram.count, histogram.last) == (1000, 1.0)

    @pytest.mark.parametrize("value", [0.0, -1.0, 1e-9])
    def test_tiny_values_fall_into_the_first_bucket(self, value: float) -> None:
        histogram = Histogram()
        histogram.record(value)
        assert histogram.quantile(0.5) == max(value, 0.0)

    def test_huge_values_are_told_by_the_largest(self) -> None:
        histogram = Histogram()
        histogram.record(10_000.0)
        assert histogram.quantile(0.5) == 10_000.0

    def test_several_are_merged_into_one(self) -> None:
        one, other = Histogram(), Histogram()
        one.record(0.1)
        other.record(0.9)
        merged = Histogram.merged([one, other])
        assert merged.count == 2
        assert merged.quantile(1.0) == 0.9
        assert Histogram.merged([]).quantile(0.5) is None


@given(st.lists(st.floats(1e-4, 100.0), min_size=1, max_size=200), st.floats(0.0, 1.0))
def test_a_quantile_is_never_below_the_true_one_and_at_most_a_fifth_above(
    values: list[float], share: float
) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    position = max(int(-(-share * len(values) // 1)) - 1, 0)
    exact = sorted(values)[position]
    estimate = histogram.quantile(share)
    assert estimate is not None
    assert exact <= estimate <= exact * 1.19 + 1e-12


class TestRate:
    def test_it_is_measured_between_two_looks(self) -> None:
        rate = Rate(0.0)
        assert rate.update(100, 10.0) == 10.0
        assert rate.update(100, 20.0) == 0.0
        assert rate.per_second == 0.0

    def test_two_looks_at_the_same_moment_leave_it_as_it_was(self) -> None:
        rate = Rate(0.0)
        rate.update(100, 10.0)
        assert rate.update(200, 10.0) == 10.0

    def test_a_total_that_shrinks_is_no_negative_rate(self) -> None:
        rate = Rate(0.0, 50)
        assert rate.update(10, 1.0) == 0.0


class TestConnectionMeter:
    def test_what_the_transports_count_adds_up_over_connections(self) -> None:
        meter = ConnectionMeter(Endpoint.PUBLIC)
        first, second = Line(100, 3), Line(7, 1)
        meter.attempt()
        meter.connected(first, Filed())
        assert (meter.bytes, meter.reads) == (100, 3)
        first.bytes_received = 150
        meter.disconnected(first, 12.0)
        meter.disconnected(first, 12.0)
        meter.attempt()
        meter.connected(second, Filed())
        assert (meter.bytes, meter.reads) == (157, 4)
        metrics = meter.snapshot(ConnectionState.CONNECTED, epoch=2, connected_for=3.0)
        assert (metrics.connects, metrics.reconnects, metrics.connected_seconds) == (2, 1, 15.0)
        assert (metrics.bytes, metrics.reads, metrics.epoch) == (157, 4, 2)

    def test_while_one_connection_takes_over_from_another_both_count(self) -> None:
        meter = ConnectionMeter(Endpoint.PUBLIC)
        old, new, filed, others = Line(100, 3), Line(7, 1), Filed(20), Filed(2)
        meter.connected(old, filed)
        meter.seen += 5
        meter.connected(new, others)
        assert (meter.bytes, meter.reads, meter.messages) == (107, 4, 27)

        meter.disconnected(old, 12.0)
        assert (meter.bytes, meter.reads, meter.messages) == (107, 4, 27)
        new.bytes_received, others.messages = 8, 3
        assert (meter.bytes, meter.messages) == (108, 28)
        meter.disconnected(new, 1.0)
        assert (meter.bytes, meter.reads, meter.messages) == (108, 4, 28)

    def test_everything_counted_is_in_the_snapshot(self) -> None:
        meter = ConnectionMeter(Endpoint.PRIVATE)
        meter.seen += 5
        meter.request()
        meter.ping()
        meter.pong(0.2)
        assert meter.snapshot(ConnectionState.ERROR, last_error="no") == ConnectionMetrics(
            endpoint=Endpoint.PRIVATE,
            state=ConnectionState.ERROR,
            messages=5,
            requests_sent=1,
            pings_sent=1,
            pongs_received=1,
            rtt_last=0.2,
            rtt_p50=0.2,
            rtt_p99=0.2,
            last_error="no",
        )


class TestPerformanceMeter:
    def test_totals_rates_and_round_trips_come_together(self) -> None:
        performance = PerformanceMeter(100.0)
        assert performance.last == PerformanceMetrics(measured_at=100.0)
        meters = {endpoint: ConnectionMeter(endpoint) for endpoint in (Endpoint.PUBLIC, Endpoint.PRIVATE)}
        for meter in meters.values():
            meter.connected(Line(500, 5), Filed())
            meter.connected(Line(500, 5), Filed())
            meter.pong(0.1)
        totals = Totals(messages=200, decode_errors=1, stale_dropped=2, duplicates=3, out_of_order=4, dropped=5)
        measured = performance.measure(evolve(totals, events={"ticker": 200}), meters, 110.0)
        assert measured == performance.last
        assert measured == PerformanceMetrics(
            uptime=10.0,
            messages=200,
            messages_per_second=20.0,
            bytes=2000,
            bytes_per_second=200.0,
            decode_errors=1,
            stale_dropped=2,
            duplicates=3,
            out_of_order=4,
            dropped=5,
            events={"ticker": 200},
            reconnects=2,
            rtt_p50=0.1,
            rtt_p99=0.1,
            measured_at=110.0,
        )

    def test_the_uptime_is_of_the_moment_and_the_rest_of_the_last_measurement(self) -> None:
        performance = PerformanceMeter(0.0)
        performance.measure(Totals(messages=10), {}, 5.0)
        fresh = performance.refreshed(7.0)
        assert (fresh.uptime, fresh.messages, fresh.measured_at) == (7.0, 10, 5.0)
