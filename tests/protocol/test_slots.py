"""The rules of a slot: what is taken, what is refused, what is kept, and who vouches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.protocol.slots import CandleSlot, Entry, Slot, TradeSlot, file_parsed, new_slot
from upbit_ws.types import DataType, StreamKey

TICKER = StreamKey(DataType.TICKER, "KRW-BTC")
TRADE = StreamKey(DataType.TRADE, "KRW-BTC")
CANDLE = StreamKey(DataType.CANDLE_1M, "KRW-BTC")


def entry(text: str, at: float = 1.0, epoch: int = 1) -> Entry:
    return text.encode(), (at, epoch)


def clock(number: int) -> bytes:
    """A server timestamp."""
    return b"%013d" % number


def start(minute: int) -> bytes:
    """The start of a candle."""
    return b"2026-05-29T00:%02d:00" % minute


def payloads(slot: Slot) -> list[str]:
    return [payload.decode() for payload, _ in slot.entries()]


def newest(slot: Slot) -> str:
    assert slot.current is not None
    return slot.current[0].decode()


# -- which slot -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data_type", list(DataType))
def test_each_type_has_the_slot_that_its_retention_asks_for(data_type: DataType) -> None:
    slot = new_slot(StreamKey(data_type, "KRW-BTC"), 5)

    expected = CandleSlot if data_type.is_candle else TradeSlot if data_type.retention.value == "log" else Slot
    assert type(slot) is expected
    assert (slot.revision, slot.current, slot.entries(), slot.history_limit) == (0, None, [], 5)
    assert data_type.value in repr(slot)


def test_a_state_has_no_identity() -> None:
    with pytest.raises(NotImplementedError, match="ticker"):
        new_slot(TICKER, 0).take_identified(entry("x"), clock(1), b"1")


def test_a_slot_is_ready_when_it_has_delivered() -> None:
    slot = new_slot(TICKER, 2)
    assert not slot.is_ready

    slot.take(entry("x"), clock(1))

    assert slot.is_ready


# -- state ------------------------------------------------------------------------------------------------------------


def test_the_newest_state_stands() -> None:
    slot = new_slot(TICKER, 2)

    assert [slot.take(entry(f"{at}"), clock(at)) for at in (1, 2, 2, 1, 3)] == [True, True, True, False, True]

    assert (newest(slot), slot.revision, slot.older) == ("3", 4, 1)


def test_a_refused_payload_of_a_new_epoch_renews_the_vouching() -> None:
    slot = new_slot(TICKER, 2)
    slot.take(entry("five", at=1.0, epoch=1), clock(5))

    slot.take(entry("four", at=9.0, epoch=2), clock(4))

    assert slot.current == (b"five", (1.0, 2))
    assert payloads(slot) == ["five"]


def test_a_refused_payload_of_the_same_epoch_renews_nothing() -> None:
    slot = new_slot(TICKER, 2)
    first = entry("five", at=1.0)
    slot.take(first, clock(5))

    slot.take(entry("four", at=9.0), clock(4))

    assert slot.current is first


def test_eight_older_ones_in_a_row_are_believed() -> None:
    slot = new_slot(TICKER, 20)
    slot.take(entry("future"), clock(1000))

    taken = [slot.take(entry(f"{at}"), clock(at)) for at in range(10)]

    assert taken == [False] * 7 + [True] * 3
    assert newest(slot) == "9"
    assert slot.older == 7


def test_a_newer_one_in_between_begins_the_count_anew() -> None:
    slot = new_slot(TICKER, 20)
    slot.take(entry("first"), clock(1000))

    for at in range(1, 6):
        assert not any(slot.take(entry("old"), clock(at)) for _ in range(7))
        assert slot.take(entry("new"), clock(1000 + at))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), max_size=60))
def test_the_newest_value_goes_back_only_after_eight_older_ones(arrivals: list[tuple[int, int]]) -> None:
    slot, run, highest = new_slot(TICKER, 3), 0, -1
    for number, (at, epoch) in enumerate(arrivals):
        is_taken = slot.take(entry(f"{number}", epoch=epoch), clock(at))
        if at >= highest:
            assert is_taken
            run, highest = 0, at
        else:
            run += 1
            assert is_taken == (run == 8)
            if is_taken:
                run, highest = 0, at
        assert slot.timestamp == clock(highest)
    assert len(slot.entries()) <= 3


# -- trades -----------------------------------------------------------------------------------------------------------


def test_every_trade_is_taken_once() -> None:
    slot = new_slot(TRADE, 10)

    taken = [slot.take_identified(entry(identity), clock(1), identity.encode()) for identity in "aabacb"]

    assert taken == [True, False, True, False, True, False]
    assert (payloads(slot), slot.duplicates) == (["a", "b", "c"], 3)


@pytest.mark.parametrize("limit", [0, 10, 512, 2000])
def test_ids_are_remembered_as_far_back_as_the_history_and_never_fewer_than_512(limit: int) -> None:
    slot = TradeSlot(TRADE, limit)
    count = max(limit, 512)
    for number in range(5 * count):
        assert slot.take_identified(entry("x"), clock(number), b"%d" % number)
        assert all(slot.knows(b"%d" % back) for back in (number, max(number - count + 1, 0)))

    assert len(slot.ids) <= 2 * count


def test_ids_that_do_not_grow_are_recognized_too() -> None:
    slot = new_slot(TRADE, 10)
    ids = [b"5", b"3", b"17", b"3", b"4", b"17", b"100", b"17", b"9", b"9", b"5"]

    taken = [slot.take_identified(entry("x"), clock(1), identity) for identity in ids]

    assert taken == [True, True, True, False, True, False, True, False, True, False, False]


def test_an_older_trade_is_history_and_not_the_newest() -> None:
    slot = new_slot(TRADE, 10)
    slot.take_identified(entry("new"), clock(5), b"5")

    assert slot.take_identified(entry("old"), clock(4), b"4")

    assert newest(slot) == "new"
    assert payloads(slot) == ["new", "old"]


@pytest.mark.parametrize(("behind", "is_believed"), [(1, False), (1_000, False), (1_001, True)])
def test_many_fills_told_out_of_order_are_no_clock_set_back(behind: int, is_believed: bool) -> None:
    slot = new_slot(TRADE, 30)
    slot.take_identified(entry("newest"), clock(5_000), b"0")

    for number in range(1, 21):
        assert slot.take_identified(entry("fill"), clock(5_000 - behind), b"%d" % number)

    assert newest(slot) == ("fill" if is_believed else "newest")
    assert len(payloads(slot)) == 21


def test_a_known_trade_on_a_new_connection_means_that_none_was_missed() -> None:
    slot = new_slot(TRADE, 10)
    slot.take_identified(entry("one", epoch=1), clock(1), b"1")

    slot.take_identified(entry("one", at=5.0, epoch=2), clock(1), b"1")

    assert slot.reopened is None
    assert slot.current == (b"one", (1.0, 2))
    assert slot.epoch == 2


def test_an_unknown_trade_on_a_new_connection_leaves_a_question() -> None:
    slot = new_slot(TRADE, 10)
    slot.take_identified(entry("one", epoch=1), clock(1), b"1")

    slot.take_identified(entry("three", epoch=2), clock(3), b"3")

    assert slot.reopened is not None
    assert (slot.reopened.epoch, slot.reopened.before, slot.reopened.after) == (
        1,
        entry("one", epoch=1),
        entry("three", epoch=2),
    )
    assert slot.is_attended


def test_what_the_older_connection_still_delivers_counts_as_of_the_newer_one() -> None:
    slot = new_slot(TRADE, 10)
    slot.take_identified(entry("one", epoch=1), clock(1), b"1")
    slot.take_identified(entry("three", epoch=2), clock(3), b"3")
    slot.pending, slot.reopened = slot.reopened, None

    slot.take_identified(entry("two", epoch=1), clock(2), b"2")
    assert slot.pending is not None
    slot.take_identified(entry("three", epoch=1), clock(3), b"3")

    assert slot.pending is None
    assert {stamp[1] for _, stamp in slot.entries()[1:]} == {2}


# -- candles ----------------------------------------------------------------------------------------------------------


def test_of_each_candle_the_newest_state_is_kept() -> None:
    slot = new_slot(CANDLE, 10)
    arrivals = [("a1", 0, 1), ("a2", 0, 2), ("b1", 1, 3), ("a3", 0, 4), ("b0", 1, 2), ("b1", 1, 3), ("b2", 1, 3)]

    taken = [slot.take_identified(entry(text), clock(at), start(minute)) for text, minute, at in arrivals]

    assert taken == [True, True, True, True, False, False, True]
    assert payloads(slot) == ["a3", "b2"]
    assert (newest(slot), slot.older, slot.duplicates) == ("b2", 1, 1)
    assert isinstance(slot, CandleSlot)
    assert slot.start == start(1)


def test_candles_are_bounded_and_in_order() -> None:
    slot = new_slot(CANDLE, 4)
    for minute in (5, 3, 9, 1, 7, 2, 8):
        slot.take_identified(entry(f"{minute}"), clock(minute), start(minute))

    assert payloads(slot) == ["5", "7", "8", "9"]
    slot.resize(3)
    assert payloads(slot) == ["7", "8", "9"]
    assert newest(slot) == "9"


def test_the_same_candle_on_a_new_connection_leaves_no_question() -> None:
    slot = new_slot(CANDLE, 4)
    slot.take_identified(entry("a1", epoch=1), clock(1), start(0))

    slot.take_identified(entry("a2", epoch=2), clock(2), start(0))
    assert slot.reopened is None
    slot.take_identified(entry("c1", epoch=3), clock(3), start(2))

    assert slot.reopened is not None
    assert slot.reopened.identity == start(2)


def test_the_older_connection_gets_as_far_as_the_newer_one_began() -> None:
    slot = new_slot(CANDLE, 4)
    slot.take_identified(entry("a1", epoch=1), clock(1), start(0))
    slot.take_identified(entry("c1", epoch=2), clock(3), start(2))
    slot.pending, slot.reopened = slot.reopened, None

    slot.take_identified(entry("b1", epoch=1), clock(2), start(1))
    assert slot.pending is not None
    slot.take_identified(entry("c1", epoch=1), clock(3), start(2))

    assert slot.pending is None


def test_a_payload_of_the_same_moment_from_another_connection_is_a_duplicate() -> None:
    slot = new_slot(CANDLE, 4)
    slot.take_identified(entry("a1 REALTIME", epoch=1), clock(1), start(0))

    assert not slot.take_identified(entry("a1 SNAPSHOT", epoch=2), clock(1), start(0))

    assert slot.current == (b"a1 REALTIME", (1.0, 2))


# -- what is kept -----------------------------------------------------------------------------------------------------


def test_a_few_are_kept_even_without_a_history() -> None:
    for key in (TICKER, TRADE, CANDLE):
        slot = new_slot(key, 0)
        for minute in range(6):
            if key == TICKER:
                slot.take(entry(f"{minute}"), clock(minute))
            else:
                slot.take_identified(entry(f"{minute}"), clock(minute), start(minute))

        assert payloads(slot) == ["3", "4", "5"]
        assert [payload.decode() for payload, _ in slot.stand_ins()] == ["5", "4", "3"]


def test_a_candle_has_its_own_earlier_states_to_stand_in() -> None:
    slot = new_slot(CANDLE, 0)
    for number, minute in enumerate([0, 0, 1]):
        slot.take_identified(entry(f"{minute}.{number}"), clock(number), start(minute))
    assert [payload.decode() for payload, _ in slot.stand_ins()] == ["1.2", "0.1"]

    for number, minute in enumerate([1, 1], start=3):
        slot.take_identified(entry(f"{minute}.{number}"), clock(number), start(minute))

    assert [payload.decode() for payload, _ in slot.stand_ins()] == ["1.3", "1.2", "1.4", "0.1"]


def test_a_history_is_lengthened_and_shortened_in_place() -> None:
    slot = new_slot(TICKER, 5)
    for at in range(10):
        slot.take(entry(f"{at}"), clock(at))

    slot.resize(8)
    assert payloads(slot) == ["5", "6", "7", "8", "9"]
    slot.resize(8)
    slot.resize(4)
    assert payloads(slot) == ["6", "7", "8", "9"]


# -- parsed payloads --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_simple", [False, True])
def test_parsed_payloads_are_filed_by_the_same_rules(is_simple: bool) -> None:
    at, number, begin = (
        ("tms", "sid", "cdttmu") if is_simple else ("timestamp", "sequential_id", "candle_date_time_utc")
    )
    ticker, trade, candle = (new_slot(key, 5) for key in (TICKER, TRADE, CANDLE))
    stamp = (1.0, 1)

    assert file_parsed(ticker, b"1", {at: 1_780_000_000_005}, stamp)
    assert not file_parsed(ticker, b"2", {at: 1_780_000_000_004}, stamp)
    assert file_parsed(trade, b"1", {at: 1, number: 17}, stamp)
    assert not file_parsed(trade, b"2", {at: 2, number: 17}, stamp)
    assert file_parsed(candle, b"1", {at: 1, begin: "2026-05-29T00:00:00"}, stamp)
    assert not file_parsed(candle, b"2", {at: 0, begin: "2026-05-29T00:00:00"}, stamp)

    assert ticker.timestamp == b"1780000000005"
    assert isinstance(trade, TradeSlot)
    assert trade.knows(b"17")
    assert isinstance(candle, CandleSlot)
    assert candle.start == b"2026-05-29T00:00:00"


@pytest.mark.parametrize("value", [None, "soon", -1, 1.5])
def test_a_time_that_is_none_is_older_than_any(value: object) -> None:
    slot = new_slot(TICKER, 5)

    assert file_parsed(slot, b"first", {"timestamp": value}, (1.0, 1))
    assert file_parsed(slot, b"second", {"timestamp": 1}, (1.0, 1))
    assert not file_parsed(slot, b"third", {"timestamp": value}, (1.0, 1))


# -- filling in afterwards --------------------------------------------------------------------------------------------


def filled(count: int, *, history: int = 5) -> TradeSlot:
    """A trade before a gap, one after it, and then as many as that in between."""
    slot = TradeSlot(TRADE, history)
    slot.take_identified(entry("before"), clock(1), b"1000")
    slot.take_identified(entry("after", epoch=2), clock(9_000), b"9000")
    for number in range(count):
        assert slot.take_recovered(entry(f"filled {number}"), clock(2 + number), b"%d" % (1001 + number))
    return slot


def test_filling_in_pushes_nothing_newer_out_of_the_history() -> None:
    slot = filled(300)

    assert payloads(slot) == [*(f"filled {number}" for number in range(295, 300)), "before", "after"]
    assert slot.stand_ins()[0][0] == b"after"
    assert newest(slot) == "after"


def test_filling_in_makes_no_trade_that_may_come_again_unknown() -> None:
    slot = filled(3_000)

    assert slot.knows(b"9000")
    assert not slot.take_identified(entry("after", epoch=3), clock(9_000), b"9000")
    assert slot.reopened is not None
    assert slot.reopened.epoch == 1  # the first gap; the known trade opened no second one


def test_what_was_filled_in_is_taken_once_whichever_way_it_comes_again() -> None:
    slot = filled(3)

    assert not slot.take_recovered(entry("again"), clock(3), b"1002")
    assert not slot.take_identified(entry("again", epoch=2), clock(3), b"1002")
    assert slot.duplicates == 2


def test_a_filled_id_larger_than_any_live_one_is_known_when_it_comes_live() -> None:
    slot = filled(1)
    slot.take_recovered(entry("same millisecond"), clock(9_000), b"9001")

    assert not slot.take_identified(entry("same millisecond", epoch=2), clock(9_000), b"9001")


def test_what_arrived_is_told_in_its_order_across_a_fill() -> None:
    slot = filled(2)
    slot.take_identified(entry("live", epoch=2), clock(9_001), b"9001")

    assert [payload.decode() for payload, _ in slot.arrived_since(1)] == ["after", "filled 0", "filled 1", "live"]
    assert [payload.decode() for payload, _ in slot.arrived_since(3)] == ["filled 1", "live"]
    assert slot.arrived_since(5) == []


def test_a_history_that_is_all_newer_than_the_fill_is_in_order_again() -> None:
    slot = filled(2)
    assert slot.is_disordered
    for number in range(600):
        slot.take_identified(entry("live", epoch=2), clock(9_001 + number), b"%d" % (9001 + number))

    assert payloads(slot) == ["live"] * 5
    assert not slot.is_disordered


def test_candles_that_were_fetched_for_a_gap_do_not_count_as_a_clock_set_back() -> None:
    slot = new_slot(StreamKey(DataType.CANDLE_1M, "KRW-BTC"), 10)
    slot.take_identified(entry("live"), clock(60), b"2026-01-01T00:05:00")
    slot.run_of_older = 5

    assert slot.take_recovered(entry("filled"), clock(1), b"2026-01-01T00:04:00")
    assert not slot.take_recovered(entry("filled"), clock(1), b"2026-01-01T00:04:00")
    assert slot.run_of_older == 0
    assert slot.current == entry("live")
    assert slot.entries() == [entry("filled"), entry("live")]
