"""REST calls wait for their turn, no longer than they may, and not at all once everything is closed."""

from __future__ import annotations

import pytest

from upbit_ws.config import RateLimitConfig
from upbit_ws.exceptions import ClientClosedError, RateLimitedError
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter

PATIENCE = 10.0
#: The wall clock: Sat, 21 Nov 2026 00:00:00 GMT.
WALL = 1_795_219_200.0


class Clock:
    """Stands still until somebody waits; then it is as late as that one wanted to wait."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float | None) -> bool:
        assert seconds is not None
        self.waits.append(seconds)
        self.now += seconds
        return False

    def set(self) -> None:
        """Somebody wants the waiting thread to look."""


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, per_second: int = 2) -> None:
        self.clock = Clock()
        monkeypatch.setattr("upbit_ws.runtime.rest_budget.Signal", lambda: self.clock)
        self.limiter = UpbitRateLimiter(RateLimitConfig(rest_per_second=per_second))
        self.budget = RestBudget(self.limiter, self.clock, lambda: WALL, PATIENCE)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_calls_within_the_limit_do_not_wait_and_further_ones_wait_for_their_turn(bench: Bench) -> None:
    for _ in range(2):
        bench.budget.acquire("ticker")
    assert bench.clock.waits == []

    bench.budget.acquire("ticker")
    assert sum(bench.clock.waits) == pytest.approx(1.0, abs=0.2)
    bench.budget.acquire("trade")
    assert sum(bench.clock.waits) == pytest.approx(1.0, abs=0.2), "each group has its own"


def test_a_group_that_is_stopped_for_longer_than_the_patience_refuses_the_call_at_once(bench: Bench) -> None:
    bench.budget.on_response("ticker", 429, {"retry-after": "60"})

    with pytest.raises(RateLimitedError) as caught:
        bench.budget.acquire("ticker")
    assert caught.value.retry_after == pytest.approx(60.0)
    assert bench.clock.waits == []
    bench.budget.acquire("trade")


def test_a_short_stop_is_waited_for(bench: Bench) -> None:
    bench.budget.on_response("ticker", 429, {"retry-after": "3"})
    bench.budget.acquire("ticker")

    assert sum(bench.clock.waits) == pytest.approx(3.0)


def test_a_date_is_understood_as_well(bench: Bench) -> None:
    bench.budget.on_response("ticker", 429, {"retry-after": "Sat, 21 Nov 2026 00:00:05 GMT"})
    bench.budget.acquire("ticker")

    assert sum(bench.clock.waits) == pytest.approx(5.0)


def test_what_the_exchange_says_to_be_left_is_believed(bench: Bench) -> None:
    bench.budget.acquire("ticker")
    bench.budget.on_response("ticker", 200, {"remaining-req": "group=ticker; min=1800; sec=0"})
    bench.budget.acquire("ticker")

    assert sum(bench.clock.waits) > 0.5


@pytest.mark.parametrize("headers", [{}, {"remaining-req": "nonsense"}, {"retry-after": "soon"}])
def test_headers_that_say_nothing_change_nothing(bench: Bench, headers: dict[str, str]) -> None:
    bench.budget.on_response("ticker", 200, headers)
    bench.budget.acquire("ticker")

    assert bench.clock.waits == []


def test_who_waits_while_everything_is_closed_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.budget.on_response("ticker", 429, {"retry-after": "5"})
    monkeypatch.setattr(bench.clock, "wait", lambda seconds: bench.budget.stop())

    with pytest.raises(ClientClosedError):
        bench.budget.acquire("ticker")


def test_nobody_gets_a_turn_after_that(bench: Bench) -> None:
    bench.budget.stop()

    with pytest.raises(ClientClosedError):
        bench.budget.acquire("ticker")
