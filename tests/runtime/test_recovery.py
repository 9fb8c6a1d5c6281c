"""Gaps of trades are filled over REST, in the order in which things happened, whatever the calls do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from tests.account_rig import wait_until
from tests.payloads import SOME_TIME, trade
from upbit_ws.config import RateLimitConfig, RecoveryConfig
from upbit_ws.exceptions import RestError
from upbit_ws.lifecycle import ConnectionEvent, GapRecovered, GapReported
from upbit_ws.protocol.gap_filling import Gap, GapState
from upbit_ws.protocol.slots import Entry, Reopened, Slot
from upbit_ws.runtime.recovery import Recovery, RecoveryParts
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.gap_ledger import GapLedger
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter
from upbit_ws.types import DataType, Endpoint, StreamKey

TRADE = StreamKey(DataType.TRADE, "KRW-BTC")


def row(number: int) -> dict[str, Any]:
    """A trade as REST tells it, `number` ms after the first one."""
    return {
        "timestamp": SOME_TIME + number,
        "sequential_id": number,
        "trade_date_utc": "2026-05-29",
        "trade_time_utc": "00:00:00",
        "trade_price": 100.0,
        "trade_volume": 1.0,
        "ask_bid": "BID",
        "prev_closing_price": 90.0,
        "change_price": 10.0,
    }


class Rest:
    """An exchange whose trades from 0 to number `made` are told, `page` at a time. `on_call` may raise."""

    def __init__(self) -> None:
        self.made = 100
        self.page = 200
        self.called_at: list[float] = []
        self.on_call: Callable[[int], None] = lambda number: None

    def trades_ticks(self, market: str, *, cursor: int | None, days_ago: int | None) -> list[dict[str, Any]]:
        self.called_at.append(time.monotonic())
        self.on_call(len(self.called_at))
        newest = self.made if cursor is None else cursor - 1
        return [row(number) for number in range(newest, max(newest - self.page, -1), -1)]

    def __enter__(self) -> Rest:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Line:
    """A pool with a stream of trades that somebody subscribed to, and the recovery of its gaps."""

    def __init__(self, **config: Any) -> None:
        self.rest = Rest()
        self.pool = DataPoolManager()
        self.pool.admit(Endpoint.PUBLIC, [TRADE], 1)
        self.pool.watch(TRADE, 1)
        self.told: list[ConnectionEvent] = []
        self.got: list[int] = []
        self.ledger = GapLedger()
        self.recovery = Recovery(
            RecoveryParts(
                config=RecoveryConfig(**config),
                clock=time.monotonic,
                wall=time.time,
                pool=self.pool,
                ledger=self.ledger,
                rest=lambda budget: self.rest,  # type: ignore[arg-type,return-value]
                budget=RestBudget(UpbitRateLimiter(RateLimitConfig()), time.monotonic, time.time, 1.0),
                publish=self.told.append,
                deliver=self._deliver,
            )
        )
        self.epoch = 0
        #: One batch at a time, as one I/O thread has it.
        self._batch = threading.RLock()

    def _deliver(self, deliveries: list[tuple[Slot, Entry]]) -> None:
        self.got += [orjson.loads(payload)["sequential_id"] for _, (payload, _) in deliveries]

    def connect(self, *numbers: int) -> None:
        """A new connection delivers these trades."""
        with self._batch:
            now = time.monotonic()
            if self.epoch:
                self.pool.close_epoch(self.epoch, now)
            self.epoch = self.pool.open_epoch(Endpoint.PUBLIC, now)
            self.send(*numbers)

    def send(self, *numbers: int) -> None:
        payloads = [trade(at=number, number=number) for number in numbers]
        with self._batch:
            result = self.pool.ingest(Endpoint.PUBLIC, self.epoch, payloads, time.monotonic())
            if result.reopened:
                self.recovery.take(result.reopened)
            self.recovery.deliver(result.deliveries)

    def gaps(self) -> list[Gap]:
        return list(self.ledger.gaps())

    def settle(self, count: int) -> list[Gap]:
        wait_until(
            lambda: len(self.gaps()) == count and all(gap.state is not GapState.OPEN for gap in self.gaps()),
            f"{count} settled gaps",
        )
        return self.gaps()


@pytest.fixture
def make_line() -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def make(**config: Any) -> Line:
        lines.append(Line(**config))
        return lines[-1]

    yield make
    for line in lines:
        line.recovery.stop()
        if line.recovery.thread is not None:
            line.recovery.thread.join(5.0)
            assert not line.recovery.thread.is_alive()


def test_what_was_missed_comes_before_what_is_newer(make_line: Callable[..., Line]) -> None:
    line = make_line()
    line.connect(1)
    line.connect(5, 6)
    line.settle(1)
    line.send(7)

    wait_until(lambda: len(line.got) == 7, "all trades")
    assert line.got == [1, 2, 3, 4, 5, 6, 7]
    recovered = [event for event in line.told if isinstance(event, GapRecovered)]
    assert [event.count for event in recovered] == [3]  # 5 to 100 are the connection's to deliver


def test_two_gaps_in_a_row_are_told_in_their_order(make_line: Callable[..., Line]) -> None:
    line = make_line()

    def lose_it_again(number: int) -> None:
        if number == 1:
            line.connect(9, 10)

    line.rest.on_call = lose_it_again
    line.connect(1)
    line.connect(4, 5)
    line.settle(2)

    wait_until(lambda: len(line.got) == 10, "all trades")
    assert line.got == list(range(1, 11))


def test_a_call_that_failed_waits_its_pause_whatever_else_is_lost(make_line: Callable[..., Line]) -> None:
    line = make_line()

    def fail(number: int) -> None:
        if number <= 2:
            line.connect(10 * number + 4)  # another gap, which wakes the thread
            raise RestError(0, "", "reset")

    line.rest.on_call = fail
    line.connect(1)
    line.connect(4)
    gaps = line.settle(3)

    first, second, third = line.rest.called_at[:3]
    assert second - first >= 0.1
    assert third - second >= 0.3
    assert {gap.state for gap in gaps} == {GapState.RECOVERED}
    assert line.got == list(range(1, 25))


def test_what_was_fetched_before_a_call_failed_is_kept_and_the_gap_reported(make_line: Callable[..., Line]) -> None:
    line = make_line()
    line.rest.made, line.rest.page = 10, 3

    def refuse(number: int) -> None:
        if number > 1:
            raise RestError(404, 404, "no such market")

    line.rest.on_call = refuse
    line.connect(1)
    line.connect(10)
    (gap,) = line.settle(1)

    assert (gap.state, gap.count) == (GapState.REPORTED, 2)
    assert "no such market" in gap.reason
    wait_until(lambda: len(line.got) == 4, "what is there")
    assert line.got == [1, 8, 9, 10]


def test_live_events_do_not_wait_for_a_recovery_that_takes_too_long(make_line: Callable[..., Line]) -> None:
    line = make_line(hold=0.05)
    line.rest.on_call = lambda number: (_ for _ in ()).throw(RestError(0)) if number < 3 else None
    line.connect(1)
    line.connect(4, 5)
    wait_until(lambda: line.got == [1, 4, 5], "the live ones")
    line.settle(1)

    wait_until(lambda: line.got == [1, 4, 5, 2, 3], "the missed ones")


def test_gaps_that_wait_when_it_is_stopped_are_reported(make_line: Callable[..., Line]) -> None:
    line = make_line()

    def stop(number: int) -> None:
        line.connect(20)
        line.recovery.stop()

    line.rest.on_call = stop
    line.connect(1)
    line.connect(4)
    wait_until(lambda: line.got == [1, 2, 3, 4, 20], "what was held back")

    assert [gap.state for gap in line.settle(2)] == [GapState.RECOVERED, GapState.REPORTED]
    assert [event.reason for event in line.told if isinstance(event, GapReported)] == ["closed before it was fetched"]


def test_recovery_that_is_switched_off_reports_every_gap_and_holds_nothing_back(make_line: Callable[..., Line]) -> None:
    line = make_line(enabled=False)
    line.connect(1)
    line.connect(4)

    assert line.got == [1, 4]
    assert [gap.reason for gap in line.settle(1)] == ["recovery is switched off"]
    assert line.rest.called_at == []


def test_what_nobody_wants_any_more_is_not_asked_for(make_line: Callable[..., Line]) -> None:
    line = make_line()
    line.rest.on_call = lambda number: line.pool.forget_except(Endpoint.PUBLIC, [], 1)
    line.connect(1)
    slot = line.pool.slot_for(TRADE)
    line.connect(4)
    first = line.settle(1)
    line.recovery.take([(slot, Reopened(1, (trade(at=4, number=4), (0.0, 1)), (trade(at=9, number=9), (0.0, 1)), b"9"))])
    second = line.settle(2)[1]

    for gap in (*first, second):
        assert (gap.state, gap.count, gap.reason) == (GapState.REPORTED, 0, "nobody wants it any more")
    assert len(line.rest.called_at) == 1


def test_a_bug_costs_one_gap_and_not_the_thread(
    make_line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    line = make_line()
    fill, calls = line.pool.fill, []

    def broken(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("a bug, injected")
        return fill(*arguments)

    monkeypatch.setattr(line.pool, "fill", broken)
    line.connect(1)
    line.connect(4)
    (first,) = line.settle(1)
    line.connect(7)
    second = line.settle(2)[1]

    assert (first.state, second.state, second.count) == (GapState.REPORTED, GapState.RECOVERED, 2)
    assert "ZeroDivisionError" in first.reason
    wait_until(lambda: line.got == [1, 4, 5, 6, 7], "what was held back, and the second fill")
    assert "an error inside the SDK" in caplog.text


def test_one_gap_more_than_may_wait_is_reported_at_once_and_holds_nothing_back(make_line: Callable[..., Line]) -> None:
    line = make_line(max_gaps=2)
    is_asked, may_answer = threading.Event(), threading.Event()

    def answer_late(number: int) -> None:
        is_asked.set()
        assert may_answer.wait(5.0)

    line.rest.on_call = answer_late
    line.connect(1)
    line.connect(4)
    assert is_asked.wait(5.0)  # the first is being filled, so two more may wait
    for number in (7, 10, 13):
        line.connect(number)
    assert [gap.state for gap in line.gaps()] == [GapState.OPEN] * 3 + [GapState.REPORTED]
    may_answer.set()
    gaps = line.settle(4)

    assert [gap.state for gap in gaps] == [GapState.RECOVERED] * 3 + [GapState.REPORTED]
    assert [event.reason for event in line.told if isinstance(event, GapReported)] == [
        "too many gaps wait to be filled"
    ]
    wait_until(lambda: line.got[-1:] == [13], "what came last")
    assert line.got == [*range(1, 11), 13]


def test_an_error_between_two_gaps_ends_neither_the_thread_nor_the_filling(
    make_line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    line = make_line()
    line.connect(1)
    line.connect(4)
    line.settle(1)
    failed: list[int] = []

    def fail() -> None:
        failed.append(1)
        raise ZeroDivisionError("a bug, injected")

    with monkeypatch.context() as patch:
        patch.setattr(line.recovery._hold, "release_overdue", fail)
        line.recovery._signal.set()
        wait_until(lambda: bool(failed), "the error")
    thread = line.recovery.thread
    line.connect(7)
    line.settle(2)

    wait_until(lambda: line.got == list(range(1, 8)), "the second fill")
    assert line.recovery.thread is thread
    assert "an error inside the SDK" in caplog.text


def test_a_thread_that_ended_all_the_same_is_replaced_with_the_next_gap(
    make_line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = make_line()
    line.connect(1)
    line.connect(4)
    line.settle(1)
    ended = line.recovery.thread
    assert ended is not None

    def end() -> float:
        raise SystemExit("something out of the ordinary")

    with monkeypatch.context() as patch:
        patch.setattr(line.recovery._hold, "next_due", end)
        line.recovery._signal.set()
        ended.join(5.0)
    assert not ended.is_alive()
    line.connect(7)

    assert [gap.state for gap in line.settle(2)] == [GapState.RECOVERED] * 2
