"""A connection is opened when it is one's turn, and not where nobody wants it any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.runtime.parts import connection_parts
from upbit_ws.config import RateLimitConfig
from upbit_ws.lifecycle import Connecting
from upbit_ws.runtime.dialling import CONNECT_GROUP, dial_in_turn
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter
from upbit_ws.testing import ManualClock
from upbit_ws.types import Endpoint
from upbit_ws.wire.dial import DialAborted

OPENED: Any = object()


class Waits:
    """In the place of a wake-up: time passes at once."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.seconds: list[float] = []
        #: How much of each wait passes before somebody wakes it.
        self.share = 1.0

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        self._clock.advance(max(seconds * self.share, 0.001))
        return False


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.waits = Waits(self.clock)
        self.published: list[Any] = []
        self.dialled: list[float] = []
        self.limiter = UpbitRateLimiter(RateLimitConfig(shared_across_processes=False))
        self.parts = connection_parts(
            Endpoint.PUBLIC, self.clock, limiter=self.limiter, publish=self.published.append
        )

    def dial(self, should_stop: Callable[[], bool] = lambda: False) -> Any:
        def dial(deadline: float, wakeup: Any, stop: Callable[[], bool]) -> Any:
            assert (wakeup, stop) == (self.waits, should_stop)
            self.dialled.append(deadline - self.clock())
            return OPENED

        return dial_in_turn(self.parts, dial, self.waits, should_stop)  # type: ignore[arg-type]

    def take_all_turns(self) -> None:
        while self.limiter.reserve(CONNECT_GROUP, self.clock()) <= 0:
            pass


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_attempt_is_told_counted_and_bounded(bench: Bench) -> None:
    assert bench.dial() is OPENED
    assert [type(event) for event in bench.published] == [Connecting]
    assert bench.parts.meter.attempts == 1
    assert bench.dialled == [bench.parts.config.connection.connect_timeout]
    assert bench.waits.seconds == []


def test_where_all_turns_are_taken_it_waits_for_one(bench: Bench) -> None:
    bench.take_all_turns()
    begun = bench.clock()

    assert bench.dial() is OPENED
    assert 0.0 < bench.clock() - begun <= 1.5
    assert [event.at for event in bench.published] == [bench.clock()]


def test_a_wake_up_meanwhile_asks_for_no_other_turn(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking may mean a look at a file that all processes share."""
    bench.take_all_turns()
    asked: list[str] = []
    reserve = bench.limiter.reserve

    def counted(group: str, now: float) -> float:
        asked.append(group)
        return reserve(group, now)

    monkeypatch.setattr(bench.limiter, "reserve", counted)
    bench.waits.share = 0.1
    assert bench.dial() is OPENED
    assert len(bench.waits.seconds) > 10
    assert len(asked) <= 3


def test_whoever_need_not_connect_any_more_takes_no_turn(bench: Bench) -> None:
    with pytest.raises(DialAborted):
        bench.dial(lambda: True)

    assert (bench.published, bench.dialled, bench.waits.seconds) == ([], [], [])
    fresh = Bench()
    turns = [0, 0]
    for index, limiter in enumerate((bench.limiter, fresh.limiter)):
        while limiter.reserve(CONNECT_GROUP, bench.clock()) <= 0:
            turns[index] += 1
    assert turns[0] == turns[1] > 0


def test_the_wait_for_a_turn_is_given_up(bench: Bench) -> None:
    bench.take_all_turns()
    with pytest.raises(DialAborted):
        bench.dial(lambda: bool(bench.waits.seconds))

    assert bench.dialled == []
