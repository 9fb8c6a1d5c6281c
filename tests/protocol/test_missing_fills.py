"""When an order of which a fill is missing is looked up, and when it is given up."""

from __future__ import annotations

from upbit_ws.protocol.missing_fills import MissingFills


def test_an_order_is_looked_up_at_once_and_awaited_until_its_fill_is_there() -> None:
    missing = MissingFills()
    assert missing.due({"o1": 1}, 0.0) == ["o1"]
    assert missing.awaited({"o1": 1}) == {"o1"}

    assert missing.asked("o1", 1, {}, 0.0)
    assert missing.due({}, 0.0) == []
    assert not missing.awaited({})
    assert missing.next_at({}) == float("inf")


def test_where_the_exchange_does_not_list_it_yet_it_is_asked_again_after_growing_pauses_and_then_given_up() -> None:
    missing = MissingFills()
    now, asked_at = 0.0, []
    for _ in range(3):
        assert missing.awaited({"o1": 1}) == {"o1"}
        assert missing.due({"o1": 1}, now) == ["o1"]
        asked_at.append(now)
        is_going_on = missing.asked("o1", 1, {"o1": 1}, now)
        assert missing.due({"o1": 1}, now) == []
        now = missing.next_at({"o1": 1})

    assert asked_at == [0.0, 0.25, 1.25]
    assert not is_going_on
    assert missing.awaited({"o1": 1}) == set()
    assert missing.due({"o1": 1}, 1e9) == []


def test_an_order_that_was_given_up_is_looked_up_again_when_more_is_missing() -> None:
    missing = MissingFills()
    while missing.asked("o1", 1, {"o1": 1}, 0.0):
        pass

    assert missing.due({"o1": 1}, 0.0) == []
    assert missing.due({"o1": 2}, 0.0) == ["o1"]
    assert missing.awaited({"o1": 2}) == {"o1"}
    assert missing.asked("o1", 2, {"o1": 2}, 0.0), "the count of looks begins anew"


def test_orders_do_not_disturb_each_other_and_are_forgotten_when_complete() -> None:
    missing = MissingFills()
    while missing.asked("o1", 1, {"o1": 1, "o2": 1}, 0.0):
        pass
    assert missing.due({"o1": 1, "o2": 1}, 0.0) == ["o2"]

    assert missing.asked("o2", 1, {"o1": 1}, 0.0)
    assert missing.due({"o1": 1}, 0.0) == []
    missing.asked("o2", 1, {}, 0.0)
    assert missing.due({"o1": 1}, 0.0) == ["o1"], "it was complete in between"
