"""How a call that fills a gap is tried again: which failures are worth it, and after which pauses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from upbit_ws.config import RecoveryConfig
from upbit_ws.exceptions import ClientClosedError, PayloadError, RateLimitedError, RestError
from upbit_ws.protocol.slots import TradeSlot
from upbit_ws.runtime.recovery import Recovery, RecoveryParts
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.gap_ledger import GapLedger
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter
from upbit_ws.types import DataType, StreamKey

ROWS = [{"market": "KRW-BTC"}]


class Pauses:
    """In the place of a signal: notes how long somebody wanted to wait."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.now = 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    def wait(self, seconds: float | None) -> bool:
        assert seconds is not None
        self.taken.append(round(seconds, 6))
        self.now += seconds
        self.meanwhile()
        return False

    def set(self) -> None:
        """Nobody waits."""


class Bench:
    """A recovery without a thread, and a call that fails as often as a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pauses = Pauses()
        self.delivered: list[bytes] = []
        monkeypatch.setattr("upbit_ws.runtime.recovery.Signal", lambda: self.pauses)
        budget = RestBudget(UpbitRateLimiter(), lambda: 0.0, lambda: 0.0, 1.0)
        self.recovery = Recovery(
            RecoveryParts(
                config=RecoveryConfig(),
                clock=lambda: self.pauses.now,
                wall=lambda: 0.0,
                pool=DataPoolManager(),
                ledger=GapLedger(),
                rest=lambda budget: None,  # type: ignore[arg-type,return-value]
                budget=budget,
                publish=lambda event: None,
                deliver=lambda deliveries: self.delivered.extend(payload for _, (payload, _) in deliveries),
            )
        )
        self.calls = 0

    def call(self, *failures: Exception) -> list[dict[str, Any]]:
        """What comes of a call that fails with these, one after the other, and then answers."""
        left = list(failures)

        def call() -> list[dict[str, Any]]:
            self.calls += 1
            if left:
                raise left.pop(0)
            return ROWS

        return self.recovery._call(call)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_a_call_that_answers_is_made_once(bench: Bench) -> None:
    assert bench.call() == ROWS
    assert (bench.calls, bench.pauses.taken) == (1, [])


@pytest.mark.parametrize(
    "failure",
    [RestError(0, "", "no reply"), RestError(503, "", ""), PayloadError("cut off"), RateLimitedError(1.0, status=429)],
)
def test_what_may_be_over_soon_is_tried_again_after_growing_pauses(bench: Bench, failure: Exception) -> None:
    assert bench.call(*[failure] * 4) == ROWS
    assert (bench.calls, bench.pauses.taken) == (5, [0.1, 0.3, 1.0, 2.0])
    assert sum(bench.pauses.taken) < RecoveryConfig().hold


def test_the_fifth_failure_is_the_last(bench: Bench) -> None:
    with pytest.raises(RestError):
        bench.call(*[RestError(0, "", "no reply")] * 5)
    assert bench.calls == 5


@pytest.mark.parametrize("failure", [RestError(404, "not_found", ""), ClientClosedError("manager")])
def test_what_will_not_change_is_not_tried_again(bench: Bench, failure: Exception) -> None:
    with pytest.raises(type(failure)):
        bench.call(failure)
    assert (bench.calls, bench.pauses.taken) == (1, [])


def test_a_recovery_that_is_stopped_tries_nothing_again(bench: Bench) -> None:
    bench.pauses.meanwhile = bench.recovery.stop

    with pytest.raises(RestError):
        bench.call(*[RestError(0, "", "no reply")] * 5)
    assert bench.calls == 2


def test_events_that_wait_for_too_long_are_let_go_before_each_try_and_in_the_pauses(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(bench.recovery._hold, "release_overdue", lambda: looks.append(bench.calls))
    bench.call(RestError(0, "", "no reply"), RestError(0, "", "no reply"))

    assert looks == [0, 1, 1, 2, 2]


def test_what_has_waited_long_enough_goes_between_the_calls_for_another_gap(bench: Bench) -> None:
    """Nobody else may be there to let it go: the market is quiet, and many pages have to be fetched."""
    slot = TradeSlot(StreamKey(DataType.TRADE, "KRW-BTC"), 10)
    bench.recovery._hold.begin(slot, 5.0)
    bench.recovery.deliver([(slot, (b"1", (0.0, 1)))])
    bench.pauses.now = 5.0
    assert bench.delivered == []

    bench.call()

    assert bench.delivered == [b"1"]
