"""The C side under wrong arguments, half-made objects and callbacks that pull the floor away: an exception, never a crash,
and nothing leaks.
"""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import sysconfig
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from upbit_ws._extension import speedups
from upbit_ws.protocol.envelope import START_LENGTH, predicted_head
from upbit_ws.protocol.lanes import lane_for
from upbit_ws.protocol.slots import Slot, TradeSlot, new_slot
from upbit_ws.types import DataType, StreamKey

pytestmark = pytest.mark.skipif(
    speedups is None, reason="the extension is not in use: it was not built, is of another version, or is switched off"
)

STAMP = (1.0, 1)
HEAD = predicted_head(DataType.TICKER, "KRW-BTC", simple=False)
TRADE_HEAD = predicted_head(DataType.TRADE, "KRW-BTC", simple=False)


def ticker(time: int = 1_700_000_000_000) -> bytes:
    return HEAD + b'1,"timestamp":%d}' % time


def trade(number: int, time: int = 1_700_000_000_000) -> bytes:
    return TRADE_HEAD + b'%d,"sequential_id":%d,"stream_type":"REALTIME"}' % (time, number)


def ticker_slot(make: Callable[[StreamKey, int], Slot] = new_slot) -> Slot:
    return make(StreamKey(DataType.TICKER, "KRW-BTC"), 3)


def trade_slot() -> Any:
    return new_slot(StreamKey(DataType.TRADE, "KRW-BTC"), 3)


def ticker_lane(slot: Any) -> Any:
    return speedups.Lane("ticker", slot, len(HEAD), b'"timestamp":', ())


def trade_lane(slot: Any) -> Any:
    return speedups.Lane("trade", slot, len(TRADE_HEAD), b'"sequential_id":', ())


def file(messages: Any, lanes: dict[bytes, Any], attend: Any = None, position: int = 0) -> Any:
    return speedups.file(messages, position, NO_STARTS, lanes, STAMP, attend, None)


class Odd:
    """Something whose last reference matters."""

    def __init__(self, goodbye: Callable[[], object]) -> None:
        self._goodbye = goodbye

    def __del__(self) -> None:
        self._goodbye()


class OddBytes(bytes):
    def __hash__(self) -> int:
        raise AssertionError("nobody may ask")


NO_STARTS = speedups and speedups.StartTable()
NEW_LANE = speedups and speedups.Lane.__new__(speedups.Lane)
WRONG: list[tuple[Callable[..., object], tuple[Any, ...]]] = [] if speedups is None else [
    *[(speedups.split, arguments) for arguments in (
        (), (b"",), (b"", 0), (b"", 0, [], 1), ("", 0, []), (bytearray(), 0, []), (b"", "0", []), (b"", 0.5, []), (b"", 0, ()),
        (b"", None, []), (b"", -1, []),
    )],
    *[(speedups.file, arguments) for arguments in (
        (), ([],), ([], 0, NO_STARTS, {}, STAMP, None), ([], 0, NO_STARTS, {}, STAMP, None, None, None), ((), 0, NO_STARTS, {}, STAMP, None, None),
        ([], "0", NO_STARTS, {}, STAMP, None, None), ([], -1, NO_STARTS, {}, STAMP, None, None), ([], 0, [], {}, STAMP, None, None),
        ([], 0, NO_STARTS, None, STAMP, None, None), ([], 0, NO_STARTS, {}, None, None, None), ([], 0, NO_STARTS, {}, (), None, None),
        ([], 0, NO_STARTS, {}, (1.0,), None, None), ([], 0, NO_STARTS, {}, (1.0, 1, 1), None, None), ([], 0, NO_STARTS, {}, (1.0, "1"), None, None),
        ([], 0, NO_STARTS, {}, (1.0, 1.0), None, None), ([], 0, NO_STARTS, {}, ([], 1), None, None), ([], 0, NO_STARTS, {}, [1.0, 1], None, None),
        ([None], 0, NO_STARTS, {}, STAMP, None, None), (["text"], 0, NO_STARTS, {}, STAMP, None, None), ([bytearray(50)], 0, NO_STARTS, {}, STAMP, None, None),
        ([b"x" * 50], 0, NO_STARTS, {b"x": NEW_LANE}, STAMP, None, None),
    )],
    *[(speedups.Ring((), 3).newest, arguments) for arguments in ((), ("1",), (None,), (1.5,), (1, 1))],
    *[(speedups.Ring((), 3).append, arguments) for arguments in (
        (), (None,), (b"x",), ((b"x",),), ((b"x", None),), ((b"x", (1.0,)),), ((b"x", (1.0, "1")),), (("x", STAMP),), ([b"x", STAMP],),
        ((b"x", STAMP), 1), ((bytearray(), STAMP),), ((OddBytes(b"x"), STAMP),), ((b"x", ("1", 1)),),
    )],
    *[(getattr(speedups.StartTable(), name), arguments) for name, arguments in (
        ("get", ()), ("get", ("x" * 43,)), ("get", (None,)), ("pop", ()), ("pop", (b"x" * 43,)), ("pop", (None, None)),
        ("pop", ("x" * 43, None)), ("clear", (1,)), ("__setitem__", (b"x" * 42, 1)), ("__setitem__", (b"x" * 44, 1)),
        ("__setitem__", ("x" * 43, 1)), ("__setitem__", (None, 1)), ("__delitem__", (None,)), ("__delitem__", (b"x",)),
    )],
    *[(speedups.Ring, arguments) for arguments in ((), ((),), ((), 0), ((), -1), ((), "1"), ((), None), (None, 3), (5, 3), ((), 3, 3))],
    *[(speedups.IdWindow, arguments) for arguments in ((), (0,), (-1,), ("1",), (1.5,), (1, 1))],
    *[(getattr(speedups.IdWindow(3), name), arguments) for name in ("admit", "admit_beside") for arguments in (
        (), (1,), ("1",), (None,), (bytearray(b"1"),), (OddBytes(b"x"),), (b"1", b"2"))],
    *[(speedups.IdWindow(3).resize, arguments) for arguments in ((), (0,), (-1,), ("1",), (None,))],
    *[(speedups.Lane, arguments) for arguments in (
        (), ("ticker",), ("ticker", ticker_slot(), 0, b"m"), ("ticker", None, 0, b"m", ()), ("ticker", object(), 0, b"m", ()),
        ("ticker", ticker_slot(), -1, b"m", ()), ("ticker", ticker_slot(), 0, b"", ()), ("trade", ticker_slot(), 0, b"", ()),
        ("ticker", ticker_slot(), 0, "m", ()), ("orderbook", ticker_slot(), 0, b"", [b"t"]), ("orderbook", ticker_slot(), 0, b"", ("t",)),
        ("candle", ticker_slot(), 0, b"m", ()), ("", ticker_slot(), 0, b"m", ()), (None, ticker_slot(), 0, b"m", ()),
    )],
    *[(ticker_lane(ticker_slot()).file, arguments) for arguments in (
        (), (b"",), (b"", STAMP, 1), ("", STAMP), (None, STAMP), (bytearray(), STAMP), (b"", None), (b"", (1.0,)), (b"", (1.0, "1")))],
    # Made by `__new__` alone.
    (NEW_LANE.file, (ticker(), STAMP)),
    *[(call, (argument,)) for call, argument in (
        (speedups.Ring.__new__(speedups.Ring).append, 1), (speedups.IdWindow.__new__(speedups.IdWindow).admit, b"1"),
        (speedups.IdWindow.__new__(speedups.IdWindow).admit_beside, b"1"), (speedups.IdWindow.__new__(speedups.IdWindow).admit, b"x"),
        (speedups.IdWindow.__new__(speedups.IdWindow).resize, 5),
    )],
    # Made twice.
    (speedups.Ring((), 3).__init__, ((), 4)), (speedups.IdWindow(3).__init__, (4,)),
    (ticker_lane(ticker_slot()).__init__, ("ticker", ticker_slot(), 0, b"m", ())),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong_arguments_are_refused(number: int) -> None:
    call, arguments = WRONG[number]
    with pytest.raises((TypeError, ValueError)):
        call(*arguments)


def test_numbers_too_large_for_the_machine_are_refused() -> None:
    for call in (
        lambda: speedups.split(b"", 2**70, []),
        lambda: speedups.IdWindow(2**70),
        lambda: speedups.IdWindow(3).resize(2**70),
        lambda: speedups.Ring((), 2**70),
        lambda: speedups.file([], 0, NO_STARTS, {}, (1.0, 2**70), None, None),
    ):
        with pytest.raises(OverflowError):
            call()


def test_what_holds_nothing_yet_is_empty() -> None:
    assert list(speedups.Ring.__new__(speedups.Ring)) == []
    assert b"1" not in speedups.IdWindow.__new__(speedups.IdWindow)
    assert 5 not in speedups.IdWindow(3)


def test_a_position_behind_the_end_is_the_end() -> None:
    assert file([ticker()], {}, position=1) == 1
    assert file([ticker()], {}, position=7) == 1


@pytest.mark.parametrize("name", ["current", "history", "ids"])
def test_a_slot_with_a_field_deleted_is_refused(name: str) -> None:
    for lane, payload in ((ticker_lane(ticker_slot()), ticker()), (trade_lane(trade_slot()), trade(1))):
        delattr(lane.slot, name)
        with pytest.raises(TypeError, match="fields"):
            lane.file(payload, STAMP)
        with pytest.raises(TypeError, match="fields"):
            file([payload], {HEAD: lane, TRADE_HEAD: lane})
        with pytest.raises(AttributeError):
            getattr(lane.slot, name)


def test_lanes_without_a_slot_are_refused_in_a_batch_as_well() -> None:
    lane = speedups.Lane.__new__(speedups.Lane)
    for count in (1, 2, 30):  # from two on, what they will touch is fetched ahead
        with pytest.raises(TypeError, match="fields"):
            file([ticker()] * count, {HEAD: lane})


def test_a_slot_with_a_field_of_another_type_is_refused() -> None:
    for name, value in (
        ("history", []), ("history", b"x" * 200), ("history", speedups.Ring.__new__(speedups.Ring)), ("ids", set()), ("ids", 5),
        ("ids", speedups.IdWindow.__new__(speedups.IdWindow)),
    ):  # fmt: skip
        lane = trade_lane(trade_slot())
        setattr(lane.slot, name, value)
        with pytest.raises(TypeError, match="fields"):
            lane.file(trade(1), STAMP)


def test_fields_of_a_slot_that_are_no_objects_cannot_be_anything_else() -> None:
    slot = ticker_slot()
    for name in ("revision", "epoch", "is_attended", "timestamp"):
        with pytest.raises(TypeError):
            setattr(slot, name, "text")
        with pytest.raises(TypeError):
            delattr(slot, name)
    with pytest.raises(TypeError):
        slot.timestamp = b"1" * 24
    slot.timestamp = b"1" * 23
    assert slot.timestamp == b"1" * 23


def test_a_lane_shows_its_slot_and_keeps_it() -> None:
    slot = ticker_slot()
    lane = ticker_lane(slot)
    assert lane.slot is slot
    with pytest.raises(AttributeError):
        lane.slot = ticker_slot()
    with pytest.raises(AttributeError):
        _ = NEW_LANE.slot


def test_nothing_of_it_is_copied_or_pickled() -> None:
    slot = trade_slot()
    for value in (slot, ticker_lane(slot), slot.ids, slot.history, speedups.SlotCore()):
        for call in (copy.copy, copy.deepcopy, pickle.dumps, lambda value: pickle.dumps(value, 0)):
            with pytest.raises(TypeError):
                call(value)


def test_a_subclass_with_slots_or_a_dict_is_collected_with_its_cycle() -> None:
    gone: list[int] = []

    class WithSlots(speedups.SlotCore):  # type: ignore[misc]
        __slots__ = ("extra", "me")

    class WithDict(speedups.SlotCore):  # type: ignore[misc]
        pass

    for make in (WithSlots, WithDict):
        slot = make()
        slot.me = slot.current = slot.history = slot
        slot.extra = Odd(lambda: gone.append(1))
        slot.ids = ticker_lane(slot)
        del slot
        gc.collect()
    assert gone == [1, 1]


# -- callbacks --


def batch(count: int = 60) -> list[bytes]:
    return [ticker(1_700_000_000_000 + number) for number in range(count)]


def attended() -> Any:
    slot = ticker_slot()
    slot.is_attended = True
    return slot


def test_what_attend_raises_comes_out_and_what_was_filed_stays_filed() -> None:
    slot = attended()

    def attend(*arguments: object) -> None:
        if slot.revision == 30:
            raise KeyError("stop")

    with pytest.raises(KeyError):
        file(batch(), {HEAD: ticker_lane(slot)}, attend)
    assert slot.revision == 30
    assert slot.current == (batch()[29], STAMP)


def test_an_attend_that_cannot_be_called_is_an_error() -> None:
    with pytest.raises(TypeError):
        file(batch(), {HEAD: ticker_lane(attended())}, None)


def test_attend_may_resize_the_history() -> None:
    slot = attended()
    resize = lambda slot, entry, result: slot.resize(3 + slot.revision % 7)  # noqa: E731
    assert file(batch(), {HEAD: ticker_lane(slot)}, resize) == 60
    assert slot.revision == 60
    assert slot.entries()[-1] == slot.current


def test_attend_may_empty_the_tables_and_drop_the_slot() -> None:
    tables = {HEAD: ticker_lane(attended())}

    def attend(*arguments: object) -> None:
        tables.clear()
        gc.collect()

    assert 1 <= file(batch(), tables, attend) <= 24  # lanes are looked up at most 24 messages ahead


def in_starts(lane: Any, payload: bytes = ticker()) -> Any:
    starts = speedups.StartTable()
    starts[payload[:START_LENGTH]] = lane
    return starts


def test_a_lane_that_attend_takes_out_of_the_table_of_starts_files_nothing_more() -> None:
    starts = in_starts(ticker_lane(attended()))

    def attend(*arguments: object) -> None:
        starts.clear()
        gc.collect()

    assert speedups.file(batch(), 0, starts, {}, STAMP, attend, None) == 1


def test_a_lane_that_attend_puts_into_the_table_of_starts_files_what_follows() -> None:
    first, then = attended(), ticker_slot()
    starts = in_starts(ticker_lane(first))

    def attend(*arguments: object) -> None:
        if first.revision == 7:
            starts[ticker()[:START_LENGTH]] = ticker_lane(then)
            gc.collect()

    assert speedups.file(batch(), 0, starts, {}, STAMP, attend, None) == 60
    assert (first.revision, then.revision) == (7, 53)


@pytest.mark.parametrize("is_attended", [False, True])
def test_what_runs_when_the_entry_before_goes_may_empty_the_table_of_starts(is_attended: bool) -> None:
    class Last:
        def __del__(self) -> None:
            starts.clear()
            gc.collect()

    slot = attended() if is_attended else ticker_slot()
    starts = in_starts(ticker_lane(slot))
    slot.current = Last()  # type: ignore[assignment]
    del slot
    told: list[Any] = []
    assert speedups.file(batch(), 0, starts, {}, STAMP, lambda *arguments: told.append(arguments), None) == 1
    assert [entry for _, entry, _ in told] == [(ticker(), STAMP)] * is_attended


def test_the_table_of_starts_may_grow_while_lanes_of_it_are_used() -> None:
    slot = attended()
    starts = in_starts(ticker_lane(slot))

    def attend(*arguments: object) -> None:
        for number in range(50):
            starts[b"%043d" % (slot.revision * 50 + number)] = None

    assert speedups.file(batch(), 0, starts, {}, STAMP, attend, None) == 60
    assert (slot.revision, len(starts)) == (60, 3_001)


def test_take_may_drop_the_lane_and_the_slot_that_it_is_of() -> None:
    class Leaving(Slot):
        __slots__ = ()

        def take(self, entry: Any, timestamp: bytes) -> bool:
            starts.clear()
            gc.collect()
            return True

    starts = in_starts(ticker_lane(ticker_slot(Leaving)))
    messages = [*batch(3), *[ticker(1_600_000_000_000)] * 3, *batch(3)]
    told: list[object] = []
    assert speedups.file(messages, 0, starts, {}, STAMP, lambda *arguments: told.append(arguments), None) == 4
    assert told == []


def test_keys_that_change_the_table_of_starts_whenever_they_are_compared_do_not_stop_a_batch() -> None:
    slot, other = ticker_slot(), trade_slot()
    starts = in_starts(ticker_lane(slot))

    class Key:
        def __hash__(self) -> int:
            return hash(TRADE_HEAD)

        def __eq__(self, another: object) -> bool:
            for number in range(100):
                starts[b"%043d" % (len(starts) + number)] = None
            gc.collect()
            return True

    messages = [ticker(), trade(1), ticker(), ticker(), trade(2), trade(3), ticker()]
    assert speedups.file(messages, 0, starts, {Key(): trade_lane(other)}, STAMP, None, None) == 7
    assert (slot.revision, other.revision) == (4, 3)


@pytest.mark.parametrize("keep", [0, 1, 5, 30])
def test_attend_may_shorten_the_list(keep: int) -> None:
    messages = batch()
    slot = attended()

    def attend(*arguments: object) -> None:
        del messages[keep:]

    assert file(messages, {HEAD: ticker_lane(slot)}, attend) == max(keep, 1)
    assert slot.revision == max(keep, 1)


def test_what_attend_puts_into_the_list_is_filed_by_its_own_lane() -> None:
    first, other = attended(), ticker_slot()
    other_head = predicted_head(DataType.TICKER, "KRW-ETH", simple=False)
    messages = batch(30)
    tables = {HEAD: ticker_lane(first), other_head: speedups.Lane("ticker", other, len(other_head), b'"timestamp":', ())}

    def attend(*arguments: object) -> None:
        if first.revision == 3:
            messages[3:] = [other_head + b'1,"timestamp":5}', b"unknown", ticker()]

    assert file(messages, tables, attend) == 4
    assert (first.revision, other.revision) == (3, 1)


def test_take_may_do_as_attend() -> None:
    messages = batch(3) + [ticker(1_600_000_000_000)] * 3 + batch(3)
    tables: dict[bytes, Any] = {}

    class Rebuilding(Slot):
        __slots__ = ()

        def take(self, entry: Any, timestamp: bytes) -> bool:
            self.resize(9)
            tables.clear()
            messages[4:] = [b"unknown"]
            self.history = self.current = self.ids = None  # type: ignore[assignment]
            gc.collect()
            return False

    slot = ticker_slot(Rebuilding)
    tables[HEAD] = ticker_lane(slot)
    assert file(messages, tables) == 4

    with pytest.raises(TypeError, match="fields"):
        ticker_lane(slot).file(ticker(), STAMP)


def test_what_take_raises_comes_out() -> None:
    class Raising(TradeSlot):
        __slots__ = ()

        def take_identified(self, entry: Any, timestamp: bytes, identity: bytes) -> bool:
            raise KeyError(identity)

    class Unclear(TradeSlot):
        __slots__ = ()

        def take_identified(self, entry: Any, timestamp: bytes, identity: bytes) -> Any:
            class Neither:
                def __bool__(self) -> bool:
                    raise ZeroDivisionError

            return Neither()

    key = StreamKey(DataType.TRADE, "KRW-BTC")
    for make, error in ((Raising, KeyError), (Unclear, ZeroDivisionError)):
        lane = trade_lane(make(key, 3))
        with pytest.raises(error):
            lane.file(trade(1), STAMP)
        with pytest.raises(error):
            file([trade(1)], {TRADE_HEAD: lane})


def test_what_runs_when_an_old_entry_goes_may_take_the_history_away() -> None:
    slot = ticker_slot()

    def away() -> None:
        slot.history = slot.current = None  # type: ignore[assignment]

    slot.current = Odd(away)  # type: ignore[assignment]
    ticker_lane(slot).file(ticker(), STAMP)
    assert slot.history is slot.current is None
    with pytest.raises(TypeError, match="fields"):
        ticker_lane(slot).file(ticker(), STAMP)


def test_a_ring_may_be_changed_while_it_is_filled_or_read() -> None:
    ring = speedups.Ring.__new__(speedups.Ring)

    def entries() -> Any:
        for number in range(20):
            ring.append((b"", (0.0, -number)))
            yield b"x" * number * 50, (0.0, number)
        raise KeyError("enough")

    with pytest.raises(KeyError):
        ring.__init__(entries(), 5)
    assert [stamp[1] for _, stamp in ring] == [17, -18, 18, -19, 19]
    seen = 0
    for _ in ring:
        seen += 1
        ring.append((b"", STAMP))
    assert seen == 5


@pytest.mark.parametrize("answer", [None, False, True, (b"x", STAMP)])
def test_lanes_of_python_may_answer_anything_that_lanes_answer(answer: Any) -> None:
    class PythonLane:
        slot = attended()

        def file(self, payload: bytes, stamp: Any) -> Any:
            return answer

    seen: list[Any] = []
    attend = lambda *arguments: seen.append(arguments)  # noqa: E731
    assert file([b"x" * 50], {b"x": PythonLane()}, attend) == (0 if answer is None else 1)
    assert seen == ([(PythonLane.slot, answer, None)] if answer else [])


def test_lanes_of_python_that_are_none_are_refused() -> None:
    class Lost:
        def file(self, payload: bytes, stamp: Any) -> bool:
            return True

    class Elsewhere(Lost):
        slot = object()

    class Raising:
        def file(self, payload: bytes, stamp: Any) -> bool:
            raise KeyError

    for lane, error in ((Lost(), AttributeError), (Elsewhere(), TypeError), (Raising(), KeyError), (object(), AttributeError)):
        with pytest.raises(error):
            file([b"x" * 50], {b"x": lane})


def test_keys_of_the_tables_may_compare_as_they_like() -> None:
    messages = batch(5)

    class Key:
        def __hash__(self) -> int:
            return hash(HEAD)

        def __eq__(self, other: object) -> bool:
            messages.clear()
            gc.collect()
            raise KeyError("no")

    with pytest.raises(KeyError):
        speedups.file(messages, 0, NO_STARTS, {Key(): ticker_lane(ticker_slot())}, STAMP, None, None)


# -- leaks --


def rounds_of_everything() -> list[Callable[[], object]]:
    slot, log, watched = ticker_slot(), trade_slot(), attended()
    lane, log_lane = ticker_lane(slot), trade_lane(log)
    window, ring, starts = speedups.IdWindow(8), speedups.Ring((), 4), speedups.StartTable()
    stream = b"\x82\x7e\x00\x7e" + b"x" * 126
    key = StreamKey(DataType.CANDLE_1M, "KRW-BTC")
    candle_head = b"[" + predicted_head(DataType.CANDLE_1M, "KRW-BTC", simple=False)
    tables = {HEAD: lane, TRADE_HEAD: log_lane, candle_head: lane_for(new_slot(key, 3), candle_head)}
    counter = iter(range(10**9))

    def refused(call: Callable[[], object]) -> None:
        try:  # `pytest.raises` keeps more than the call
            call()
        except (TypeError, ValueError, KeyError, AttributeError):
            return
        raise AssertionError("accepted")

    def raising(*arguments: object) -> None:
        raise KeyError

    calls: list[Callable[[], object]] = [
        lambda: speedups.split(stream * 3, 0, []),
        lambda: [window.admit(b"%d" % next(counter)), window.admit(b"x%d" % next(counter)), window.admit(b"5")],
        lambda: [window.admit_beside(b"%d" % next(counter)), window.admit(b"%d" % next(counter)), window.resize(next(counter) % 9 + 1), b"7" in window],
        lambda: [ring.append((b"x" * (next(counter) % 9_999), STAMP)), list(ring), ring.newest(2)],
        lambda: speedups.Ring([(b"x" * number * 1_700, (1.0, number)) for number in range(9)], 5),
        lambda: [starts.pop(b"%043d" % (next(counter) % 90), None), starts.get(b"%043d" % 5)],
        lambda: starts.__setitem__(b"%043d" % (next(counter) % 90), lane),
        lambda: lane.file(ticker(1_700_000_000_000 + next(counter)), STAMP),
        lambda: lane.file(ticker(1_600_000_000_000), STAMP),
        lambda: lane.file(b"no marker", STAMP),
        lambda: log_lane.file(trade(next(counter)), (1.0, 2)),
        lambda: log_lane.file(trade(3), STAMP),
        lambda: [slot.resize(next(counter) % 7 + 1), log.resize(next(counter) % 7 + 1), slot.entries(), slot.timestamp],
        lambda: file([*batch(30), trade(1), candle_head + b'"2026","timestamp":1}]', b"unknown"], tables, None),
        lambda: file(batch(30), {HEAD: ticker_lane(watched)}, lambda *arguments: arguments),
        lambda: [trade_lane(trade_slot()), speedups.SlotCore(), speedups.IdWindow(5)],
        lambda: refused(lambda: file(batch(30), {HEAD: ticker_lane(watched)}, raising)),
        lambda: refused(lambda: file([*batch(5), None], {HEAD: lane})),
        lambda: refused(lambda: file(batch(5), {HEAD: object()})),
        lambda: refused(lambda: ticker_lane(speedups.SlotCore()).file(ticker(), STAMP)),
    ]
    return [*calls, *[lambda call=call, arguments=arguments: refused(lambda: call(*arguments)) for call, arguments in WRONG]]


@pytest.mark.skipif(sys.gettrace() is not None, reason="a tracer keeps objects of its own")
@pytest.mark.usefixtures("frozen_heap")
def test_nothing_leaks() -> None:
    calls = rounds_of_everything()
    leaking: list[tuple[int, int, int]] = []
    for number, call in enumerate(calls):
        for _ in range(40):
            call()
        gc.collect()
        tracemalloc.start(1)
        try:
            for _ in range(10):
                call()
            gc.collect()
            size, blocks = tracemalloc.get_traced_memory()[0], sys.getallocatedblocks()
            for _ in range(200):
                call()
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - size
            # One small block in each round would be 200 of them, one large block more than 512 bytes each time; what the
            # interpreter and other threads keep meanwhile is less.
            if sys.getallocatedblocks() - blocks >= 150 or grown >= 200 * 512:
                leaking.append((number, grown, sys.getallocatedblocks() - blocks))
        finally:
            tracemalloc.stop()
    assert leaking == []


def test_arguments_are_not_held_longer_than_needed() -> None:
    slot, stamp, payload = ticker_slot(), (2.0, 3), ticker()
    lane, messages, tables = ticker_lane(slot), [payload] * 30, {}
    tables[HEAD] = lane
    watched = [slot, stamp, payload, lane, messages, tables]
    before = [sys.getrefcount(item) for item in watched]
    for _ in range(100):
        lane.file(payload, stamp)
        speedups.file(messages, 0, NO_STARTS, tables, stamp, None, None)
    slot.current = None
    slot.history = speedups.Ring((), 3)

    assert [sys.getrefcount(item) for item in watched] == before


@pytest.mark.linux
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on_with_its_copy() -> None:
    code = (
        "import os, sys\n"
        "from tests.protocol.test_speedups_misuse import ticker_lane, ticker_slot, ticker, STAMP\n"
        "lane = ticker_lane(ticker_slot()); lane.file(ticker(), STAMP)\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(0 if [lane.file(ticker(), STAMP) for _ in range(50)] and lane.slot.revision == 51 else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_is_built_for_this_interpreter() -> None:
    assert speedups.__file__.endswith(sysconfig.get_config_var("EXT_SUFFIX"))
