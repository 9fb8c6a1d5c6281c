"""Live events wait behind the filling of their gap, not for longer than they have to, and leave in order."""

from __future__ import annotations

import threading

import pytest

from upbit_ws.protocol.slots import Entry, Slot, TradeSlot
from upbit_ws.runtime.recovery_hold import RecoveryHold
from upbit_ws.testing import ManualClock
from upbit_ws.types import DataType, StreamKey

MOST = 100


class Held:
    """A hold on a clock of its own, and what it has let go of."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.gone: list[str] = []
        self.hold = RecoveryHold(self.clock, self._take, MOST)

    def _take(self, deliveries: list[tuple[Slot, Entry]]) -> None:
        self.gone += [payload.decode() for _, (payload, _) in deliveries]

    def come(self, slot: Slot, *texts: str) -> None:
        self.hold.pass_live([(slot, (text.encode(), (0.0, 1))) for text in texts])


@pytest.fixture
def held() -> Held:
    return Held()


def slot(symbol: str = "KRW-BTC") -> Slot:
    return TradeSlot(StreamKey(DataType.TRADE, symbol), 10)


def test_what_is_not_held_back_passes(held: Held) -> None:
    lost, other = slot(), slot("KRW-ETH")
    held.come(other, "1")
    held.hold.begin(lost, 5.0)
    held.come(other, "2")

    assert held.gone == ["1", "2"]


def test_what_waits_leaves_when_its_gap_is_filled(held: Held) -> None:
    lost = slot()
    segment = held.hold.begin(lost, 5.0)
    held.come(lost, "1", "2")
    assert held.gone == []

    held.hold.release(lost, segment)
    held.come(lost, "3")

    assert held.gone == ["1", "2", "3"]
    assert held.hold.next_due() is None


def test_what_follows_a_second_gap_waits_for_the_second_one(held: Held) -> None:
    lost = slot()
    first = held.hold.begin(lost, 5.0)
    held.come(lost, "after the first")
    second = held.hold.begin(lost, 5.0)
    held.come(lost, "after the second")

    held.hold.release(lost, first)
    assert held.gone == ["after the first"]
    held.hold.release(lost, second)
    assert held.gone == ["after the first", "after the second"]


def test_what_follows_a_second_gap_does_not_overtake_the_first(held: Held) -> None:
    lost = slot()
    first = held.hold.begin(lost, 5.0)
    held.come(lost, "after the first")
    second = held.hold.begin(lost, 5.0)
    held.come(lost, "after the second")

    held.hold.release(lost, second)
    assert held.gone == []
    held.hold.release(lost, first)
    assert held.gone == ["after the first", "after the second"]


def test_nothing_waits_for_longer_than_its_time(held: Held) -> None:
    lost = slot()
    held.hold.begin(lost, 5.0)
    held.come(lost, "1")
    held.clock.advance(3.0)
    held.hold.begin(lost, 5.0)
    held.come(lost, "2")
    assert held.hold.next_due() == held.clock() + 2.0

    held.clock.advance(2.0)
    held.hold.release_overdue()
    assert held.gone == ["1"]
    held.clock.advance(3.0)
    held.come(lost, "3")

    assert held.gone == ["1", "2", "3"]
    assert held.hold.next_due() is None


def test_a_gap_that_is_filled_too_late_lets_go_of_nothing_twice(held: Held) -> None:
    lost = slot()
    segment = held.hold.begin(lost, 5.0)
    held.come(lost, "1")
    held.clock.advance(5.0)
    held.hold.release_overdue()

    held.hold.release(lost, segment)

    assert held.gone == ["1"]


def test_what_comes_while_others_leave_leaves_behind_them() -> None:
    hold: RecoveryHold
    lost = slot()
    gone: list[str] = []
    is_leaving, may_go_on = threading.Event(), threading.Event()

    def take(deliveries: list[tuple[Slot, Entry]]) -> None:
        if not gone:
            is_leaving.set()
            assert may_go_on.wait(5.0)
        gone.extend(payload.decode() for _, (payload, _) in deliveries)

    hold = RecoveryHold(ManualClock(), take, MOST)
    segment = hold.begin(lost, 5.0)
    hold.pass_live([(lost, (b"1", (0.0, 1)))])
    leaving = threading.Thread(target=hold.release, args=(lost, segment))
    leaving.start()
    assert is_leaving.wait(5.0)

    hold.pass_live([(lost, (b"2", (0.0, 1)))])
    may_go_on.set()
    leaving.join(5.0)

    assert gone == ["1", "2"]


def test_a_delivery_that_fails_does_not_hold_the_stream_back_for_ever(held: Held) -> None:
    lost = slot()

    def fail(deliveries: list[tuple[Slot, Entry]]) -> None:
        raise RuntimeError("a bug")

    failing = RecoveryHold(held.clock, fail, MOST)
    segment = failing.begin(lost, 5.0)
    failing.pass_live([(lost, (b"1", (0.0, 1)))])
    with pytest.raises(RuntimeError):
        failing.release(lost, segment)
    failing._deliver = held._take  # type: ignore[misc]
    failing.pass_live([(lost, (b"2", (0.0, 1)))])

    assert held.gone == ["2"]
    assert failing.next_due() is None


def test_of_too_many_events_those_of_the_fullest_stream_go_first_and_the_others_wait_on(held: Held) -> None:
    busy, quiet = slot(), slot("KRW-ETH")
    first, other = held.hold.begin(busy, 5.0), held.hold.begin(quiet, 5.0)
    held.come(quiet, *(f"q{number}" for number in range(40)))
    held.come(busy, *(f"b{number}" for number in range(60)))
    assert held.gone == []

    held.come(quiet, "q40")
    assert held.gone == [f"b{number}" for number in range(60)]
    held.come(busy, "b60")
    assert held.gone[-1] == "b60", "and what comes of it afterwards does not wait any more"
    held.come(quiet, *(f"q{number}" for number in range(41, 100)))
    assert len(held.gone) == 61, "there is room again"
    assert held.hold.waiting == 100

    held.hold.release(quiet, other)
    held.hold.release(busy, first)
    assert held.gone[61:] == [f"q{number}" for number in range(100)]
    assert held.hold.waiting == 0
    assert held.hold.next_due() is None


def test_all_that_follows_several_gaps_of_the_fullest_stream_goes_in_its_order(held: Held) -> None:
    busy = slot()
    for begin in range(0, 90, 30):
        held.hold.begin(busy, 5.0)
        held.come(busy, *(str(number) for number in range(begin, begin + 30)))
    held.come(busy, *(str(number) for number in range(90, 101)))

    assert held.gone == [str(number) for number in range(101)]
