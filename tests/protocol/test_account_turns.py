"""Which events of the account go now, which wait, and in what order they go."""

from __future__ import annotations

from tests.account_deliveries import delivery, fill, named
from upbit_ws.protocol.account_turns import as_lived, order_of, parted
from upbit_ws.protocol.slots import TradeSlot
from upbit_ws.types import DataType, StreamKey


def test_the_events_of_an_order_are_told_as_it_lived_whatever_order_they_are_in() -> None:
    mixed = [delivery("done", count=2), fill(2), delivery("wait"), fill(1)]

    assert named(as_lived(mixed)) == ["o1 wait 0", "o1 trade 1", "o1 trade 2", "o1 done 2"]


def test_each_order_keeps_its_places_among_the_others() -> None:
    mixed = [fill(2), fill(1, "o2"), fill(1), delivery("done", "o2", 1)]

    assert named(as_lived(mixed)) == ["o1 trade 1", "o2 trade 1", "o1 trade 2", "o2 done 1"]


def test_a_cancel_without_fills_comes_behind_the_beginning() -> None:
    assert named(as_lived([delivery("cancel"), delivery("watch"), delivery("wait")])) == [
        "o1 watch 0", "o1 wait 0", "o1 cancel 0",
    ]  # fmt: skip


def test_a_prevented_part_comes_behind_the_fills_that_it_counts() -> None:
    mixed = [delivery("prevented", count=1), fill(1), delivery("prevented", count=0), fill(2)]

    assert named(as_lived(mixed)) == ["o1 prevented 0", "o1 trade 1", "o1 prevented 1", "o1 trade 2"]


def test_what_must_wait_stays_and_all_others_go() -> None:
    due, kept = parted([(fill(2), 5.0), (fill(1, "o2"), 6.0), (delivery("done", count=2), 7.0)], {"o1"})

    assert named(due) == ["o2 trade 1"]
    assert named([one for one, _ in kept]) == ["o1 trade 2", "o1 done 2"]
    assert [until for _, until in kept] == [5.0, 7.0]


def test_what_is_of_no_order_never_waits_and_keeps_its_place() -> None:
    other = (TradeSlot(StreamKey(DataType.TRADE, "KRW-BTC"), 10), (b"{}", (0.0, 1)))

    assert order_of(other) is None
    assert parted([(other, 5.0)], {"o1", ""}) == ([other], [])
    assert as_lived([fill(2), other, fill(1)])[1] is other
