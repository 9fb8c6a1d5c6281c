"""Events of the account wait for what was missed, go in order, and wait no longer than they may."""

from __future__ import annotations

import threading

import pytest

from tests.account_deliveries import delivery, fill, named
from upbit_ws.protocol.slots import Delivery
from upbit_ws.runtime.account_hold import AccountHold

PATIENCE = 5.0
MOST = 1_000


class Gate:
    """A hold with a clock that is set by hand, and what it let go."""

    def __init__(self) -> None:
        self.now = 0.0
        self.awaited: set[str] = set()
        self.gone: list[Delivery] = []
        self.hold = AccountHold(lambda: self.now, self.gone.extend, PATIENCE, MOST, lambda: self.awaited)

    def live(self, *deliveries: Delivery) -> None:
        self.hold.enter()
        self.hold.leave(live=deliveries)

    def recovered(self, *deliveries: Delivery) -> None:
        self.hold.enter()
        self.hold.leave(recovered=deliveries)

    @property
    def told(self) -> list[str]:
        return named(self.gone)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_events_go_at_once_where_nothing_is_waited_for(gate: Gate) -> None:
    gate.live(fill(1))

    assert gate.told == ["o1 trade 1"]
    assert gate.hold.until is None


def test_while_all_is_compared_everything_waits_and_what_was_missed_goes_first(gate: Gate) -> None:
    gate.hold.begin()
    gate.live(fill(2), delivery("wait", "o2"))
    gate.recovered(fill(1), delivery("wait", "o3"))
    assert gate.told == []
    assert gate.hold.until == PATIENCE

    gate.hold.release(gate.hold.serial)

    assert gate.told == ["o1 trade 1", "o3 wait 0", "o1 trade 2", "o2 wait 0"]
    assert gate.hold.until is None
    assert gate.hold.overdue == 0


def test_a_connection_that_comes_while_the_last_comparison_ends_is_waited_for_as_well(gate: Gate) -> None:
    """The comparison has read which hold it may end before the new connection began another one."""
    gate.hold.begin()
    serial = gate.hold.serial
    gate.hold.begin()
    gate.live(fill(2))
    gate.hold.release(serial)
    assert gate.told == []

    gate.hold.release(gate.hold.serial)
    assert gate.told == ["o1 trade 2"]


def test_a_connection_that_comes_while_what_waited_is_delivered_is_waited_for_as_well() -> None:
    gone: list[str] = []

    def deliver(deliveries: list[Delivery]) -> None:
        gone.extend(named(deliveries))
        if len(gone) == 1:
            hold.begin()
            hold.enter()
            hold.leave(live=[fill(3)])

    hold = AccountHold(lambda: 0.0, deliver, PATIENCE, MOST)
    hold.begin()
    hold.enter()
    hold.leave(live=[fill(1)])
    hold.release(hold.serial)

    assert gone == ["o1 trade 1"]
    assert hold.is_whole


def test_an_order_of_which_a_fill_is_missing_waits_and_the_others_go(gate: Gate) -> None:
    gate.awaited = {"o1"}
    gate.live(fill(2), fill(1, "o2"), delivery("done", count=2))
    assert gate.told == ["o2 trade 1"]

    gate.awaited = set()
    gate.recovered(fill(1))

    assert gate.told[1:] == ["o1 trade 1", "o1 trade 2", "o1 done 2"]
    assert gate.hold.overdue == 0


def test_it_waits_until_all_that_is_missing_is_there(gate: Gate) -> None:
    gate.awaited = {"o1"}
    gate.live(fill(3))
    gate.recovered(fill(1))
    assert gate.told == []

    gate.awaited = set()
    gate.recovered(fill(2))
    assert gate.told == ["o1 trade 1", "o1 trade 2", "o1 trade 3"]


def test_a_fill_that_was_only_late_ends_the_wait_by_itself(gate: Gate) -> None:
    gate.awaited = {"o1"}
    gate.live(fill(2))
    gate.awaited = set()
    gate.live(fill(1))

    assert gate.told == ["o1 trade 1", "o1 trade 2"]


def test_what_is_given_up_goes_without_it(gate: Gate) -> None:
    gate.awaited = {"o1"}
    gate.live(fill(2))
    gate.awaited = set()
    gate.hold.flush()

    assert gate.told == ["o1 trade 2"]


def test_an_order_waits_no_longer_than_it_may_and_once(gate: Gate) -> None:
    gate.awaited = {"o1"}
    gate.live(fill(2))
    gate.now = 1.0
    gate.live(fill(3))
    assert gate.hold.until == PATIENCE

    gate.now = PATIENCE
    gate.hold.flush()
    assert gate.told == ["o1 trade 2", "o1 trade 3"]
    gate.live(fill(4))
    gate.recovered(fill(1))
    assert gate.told[2:] == ["o1 trade 4", "o1 trade 1"]
    assert gate.hold.overdue == 1
    assert gate.hold.until is None, "nothing waits, so nobody has to look"


def test_everything_waits_no_longer_than_it_may(gate: Gate) -> None:
    gate.hold.begin()
    gate.live(fill(2))
    gate.now = PATIENCE - 0.1
    gate.hold.begin()  # another connection: what waits already waits no longer for that
    gate.hold.flush()
    assert gate.told == []

    gate.live(fill(1, "o2"))
    assert gate.hold.until == PATIENCE

    gate.now = PATIENCE
    gate.hold.flush()
    assert gate.told == ["o1 trade 2"]
    assert (gate.hold.overdue, gate.hold.is_whole) == (1, True)
    gate.now = 2 * PATIENCE - 0.1
    gate.hold.flush()
    assert gate.told == ["o1 trade 2", "o2 trade 1"]
    assert (gate.hold.overdue, gate.hold.is_whole) == (2, False)


def test_an_event_that_waited_for_its_order_does_not_wait_as_long_again_for_a_connection(gate: Gate) -> None:
    gate.awaited = {"o1"}
    gate.live(fill(2))
    gate.now = PATIENCE - 0.1
    gate.hold.begin()
    gate.live(fill(3))

    gate.now = PATIENCE
    gate.hold.flush()
    assert gate.told == ["o1 trade 2"]
    gate.awaited = set()
    gate.hold.release(gate.hold.serial)
    assert gate.told == ["o1 trade 2", "o1 trade 3"]


def test_an_event_that_waited_for_a_connection_does_not_wait_as_long_again_for_its_order(gate: Gate) -> None:
    gate.awaited = {"o1"}
    gate.hold.begin()
    gate.live(fill(2))
    gate.now = PATIENCE - 0.1
    gate.hold.release(gate.hold.serial)
    assert gate.told == []
    assert gate.hold.until == PATIENCE

    gate.now = PATIENCE
    gate.hold.flush()
    assert gate.told == ["o1 trade 2"]


def test_where_nothing_may_wait_events_go_at_once_and_only_those_that_something_was_missed_before_are_counted() -> None:
    gone: list[Delivery] = []
    awaited: set[str] = set()
    hold = AccountHold(lambda: 0.0, gone.extend, 0.0, MOST, lambda: awaited)

    def live(event: Delivery) -> None:
        hold.enter()
        hold.leave(live=[event])

    live(fill(1))
    assert (named(gone), hold.overdue) == (["o1 trade 1"], 0)
    awaited.add("o1")
    live(fill(3))
    assert (named(gone), hold.overdue) == (["o1 trade 1", "o1 trade 3"], 1)


def test_what_was_missed_and_is_known_goes_before_a_live_event_whose_time_is_over(gate: Gate) -> None:
    gate.hold.begin()
    gate.live(fill(2))
    gate.now = PATIENCE - 0.1
    gate.hold.begin()
    gate.recovered(fill(1), delivery("wait", "o2"))

    gate.now = PATIENCE
    gate.hold.flush()
    assert gate.told == ["o1 trade 1", "o2 wait 0", "o1 trade 2"]
    assert gate.hold.is_whole


def test_of_too_many_events_the_oldest_wait_no_longer_and_none_is_lost(gate: Gate) -> None:
    gate.hold.begin()
    gate.live(*(fill(number) for number in range(1, MOST + 1)))
    assert gate.told == []
    gate.live(fill(MOST + 1), fill(MOST + 2))
    assert gate.told == ["o1 trade 1", "o1 trade 2"]
    assert (gate.hold.overdue, gate.hold.is_whole) == (1, True)

    gate.hold.release(gate.hold.serial)
    assert gate.told == [f"o1 trade {number}" for number in range(1, MOST + 3)]


def test_too_many_events_of_an_order_do_not_wait_for_its_fill(gate: Gate) -> None:
    gate.awaited = {"o1"}
    gate.live(*(fill(number) for number in range(2, MOST + 2)))
    assert gate.told == []
    gate.live(fill(MOST + 2))

    assert gate.told == [f"o1 trade {number}" for number in range(2, MOST + 3)]
    assert gate.hold.overdue == 1


def test_a_time_that_passes_while_nothing_waits_is_not_counted(gate: Gate) -> None:
    gate.hold.begin()
    gate.now = PATIENCE
    gate.hold.flush()

    assert (gate.hold.overdue, gate.hold.is_whole) == (0, False)


def test_where_nothing_waits_another_connection_has_the_whole_time_before_it(gate: Gate) -> None:
    gate.hold.begin()
    gate.now = PATIENCE - 0.1
    gate.hold.begin()

    assert gate.hold.until == 2 * PATIENCE - 0.1


def test_what_was_missed_does_not_overtake_a_live_event_that_is_booked_and_not_handed_over_yet(gate: Gate) -> None:
    gate.hold.enter()  # the I/O thread: its fill 1 is in the book
    gate.recovered(fill(2))  # so REST has only fill 2 to tell
    assert gate.told == []
    gate.hold.leave(live=[fill(1)])

    assert gate.told == ["o1 trade 1", "o1 trade 2"]


def test_a_live_event_does_not_overtake_what_was_missed_and_is_booked_already(gate: Gate) -> None:
    gate.hold.enter()  # the account thread: fill 1 is in the book, so nothing tells that it is missing
    gate.live(fill(2))
    assert gate.told == []
    gate.hold.leave(recovered=[fill(1)])

    assert gate.told == ["o1 trade 1", "o1 trade 2"]


def test_an_error_on_the_way_to_subscribers_does_not_stop_the_events_behind_it() -> None:
    gone: list[str] = []

    def deliver(deliveries: list[Delivery]) -> None:
        if not gone:
            gone.append("failed")
            raise RuntimeError("a bug")
        gone.extend(named(deliveries))

    hold = AccountHold(lambda: 0.0, deliver, PATIENCE, MOST)
    hold.enter()
    with pytest.raises(RuntimeError):
        hold.leave(live=[fill(1)])
    hold.enter()
    hold.leave(live=[fill(2)])

    assert gone == ["failed", "o1 trade 2"]


def test_events_of_many_threads_all_go_and_those_of_each_thread_in_its_order(gate: Gate) -> None:
    def run(uuid: str) -> None:
        for number in range(1, 201):
            gate.live(fill(number, uuid))
            if number % 50 == 0:
                gate.hold.begin()
                gate.hold.release(gate.hold.serial)

    threads = [threading.Thread(target=run, args=(f"o{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gate.hold.release(gate.hold.serial)

    for uuid in ("o0", "o1", "o2", "o3"):
        assert [name for name in gate.told if name.startswith(uuid)] == [f"{uuid} trade {n}" for n in range(1, 201)]
