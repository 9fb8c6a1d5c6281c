"""The inner loops in C and their Python twins do the same, for whatever comes; and the C side cannot be made to crash."""

from __future__ import annotations

import gc
import itertools
import os
import random
import socket
import subprocess
import sys
import tracemalloc
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.twins import SYMBOLS, python_frames, python_ids, python_lanes, python_slots, state_of
from upbit_ws._extension import speedups
from upbit_ws.protocol import frames, lanes, slots
from upbit_ws.protocol.envelope import START_LENGTH, predicted_head, tells_apart
from upbit_ws.types import DataType, StreamKey

pytestmark = pytest.mark.skipif(
    speedups is None, reason="the extension is not in use: it was not built, is of another version, or is switched off"
)

KINDS = [DataType.TICKER, DataType.ORDERBOOK, DataType.TRADE, DataType.CANDLE_1M]


def test_the_two_sides_are_two() -> None:
    assert frames._split is speedups.split
    assert lanes.file_batch is speedups.file
    assert issubclass(slots.Slot, speedups.SlotCore)
    assert isinstance(lane_in(lanes, slots, DataType.TICKER)[0], speedups.Lane)
    assert python_frames._split is python_frames._split_common
    assert python_lanes.file_batch is python_lanes._file_batch
    assert issubclass(python_slots.Slot, python_slots._SlotCore)
    assert isinstance(lane_in(python_lanes, python_slots, DataType.TICKER)[0], python_lanes._TickerLane)


# -- frames --


def frame(length: int, fill: int) -> bytes:
    return b"\x82\x7e" + length.to_bytes(2, "big") + bytes([fill]) * length


common_frames = st.builds(frame, st.integers(126, 300) | st.just(65_535), st.integers(0, 255))
other_frames = st.sampled_from([
    b"\x82\x05short", b"\x89\x00", b"\x88\x02\x03\xe8", b"\x81\x7e\x00\x7e" + b"t" * 126, b"\x82\x7e\x00\x05", b"\x82\x7e\x00",
    b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"l" * 65_536, b"\x02\x7e\x00\x7e" + b"f" * 126, b"\xc2\x7e\x00\x7e" + b"c" * 126,
])  # fmt: skip
streams = st.lists(common_frames | common_frames | other_frames | st.binary(max_size=5), max_size=8).map(b"".join)


@given(streams, st.integers(0, 600), st.integers(0, 600))
def test_split_agrees_on_any_stream(stream: bytes, cut: int, position: int) -> None:
    stream = stream[: max(len(stream) - cut, 0)]
    in_c, in_python = [b"before"], [b"before"]

    assert speedups.split(stream, position, in_c) == python_frames._split_common(stream, position, in_python)
    assert in_c == in_python


def test_split_agrees_from_every_position() -> None:
    stream = frame(126, 7) + frame(200, 0x82) + b"\x89\x00" + frame(130, 1)
    for position in range(len(stream) + 5):
        in_c: list[bytes] = []
        in_python: list[bytes] = []
        stop = speedups.split(stream, position, in_c)
        assert stop == python_frames._split_common(stream, position, in_python)
        assert in_c == in_python


def test_split_agrees_wherever_the_stream_is_cut() -> None:
    stream = frame(126, 7) + frame(200, 0x82)
    for length in range(len(stream) + 1):
        in_c: list[bytes] = []
        in_python: list[bytes] = []
        stop = speedups.split(stream[:length], 0, in_c)
        assert stop == python_frames._split_common(stream[:length], 0, in_python)
        assert in_c == in_python
        assert stop == (330 + 4 if length == 334 else 130 if length >= 130 else 0)


@pytest.mark.parametrize(("length", "is_common"), [(0, False), (125, False), (126, True), (65_535, True)])
def test_a_length_that_is_not_in_its_shortest_form_is_left_to_the_rules(length: int, is_common: bool) -> None:
    for split in (speedups.split, python_frames._split_common):
        messages: list[bytes] = []
        assert split(frame(length, 1), 0, messages) == (length + 4 if is_common else 0)
        assert len(messages) == is_common


# -- ids --

numbers = st.integers(0, 40).map(lambda number: b"%d" % number)
identities = numbers | numbers | st.sampled_from([
    b"", b"00", b"007", b"7 ", b"-1", b"x", b"zz", b"99999999999999999", b"999999999999999999", b"1000000000000000000",
    b"9223372036854775807", b"9223372036854775808", b"99999999999999999999999",
])  # fmt: skip
actions = st.tuples(st.sampled_from(["admit", "admit", "admit", "admit_beside"]), identities)


@given(st.lists(actions, max_size=100))
def test_windows_that_have_room_for_all_agree(calls: list[tuple[str, bytes]]) -> None:
    in_c, in_python = speedups.IdWindow(101), python_ids._IdWindow(101)
    for name, identity in calls:
        assert (identity in in_c) == (identity in in_python)
        assert getattr(in_c, name)(identity) == getattr(in_python, name)(identity)
        assert identity in in_c
        assert identity in in_python
        assert len(in_c) == len(in_python)


@pytest.fixture(params=["C", "Python"], name="window_class")
def _window_class(request: pytest.FixtureRequest) -> Any:
    return speedups.IdWindow if request.param == "C" else python_ids._IdWindow


@pytest.mark.parametrize("make", [speedups and speedups.IdWindow, python_ids._IdWindow])
@given(st.integers(1, 6), st.lists(actions | st.tuples(st.just("resize"), st.integers(1, 6)), max_size=80))
def test_a_window_knows_the_last_ids_and_is_bounded(make: Any, size: int, calls: list[tuple[str, Any]]) -> None:
    window = make(size)
    admitted: list[bytes] = []
    guaranteed = largest = size
    beside: set[bytes] = set()
    for name, argument in calls:
        if name == "resize":
            window.resize(argument)
            size, largest = argument, max(argument, largest)
            guaranteed = min(guaranteed, size, len(admitted))  # a larger one first has to fill
        elif getattr(window, name)(argument):
            if name == "admit":
                admitted.append(argument)
                guaranteed = min(guaranteed + 1, size)
            else:
                beside.add(argument)
        assert all(identity in window for identity in admitted[-guaranteed:] if guaranteed)
        assert len(window) <= 4 * largest + len(beside)


def test_ids_that_came_beside_push_out_no_others(window_class: Any) -> None:
    window = window_class(8)
    for number in range(100, 108):
        window.admit(b"%d" % number)
    for number in range(50):
        window.admit_beside(b"%d" % number)
    window.admit(b"108")

    assert all(b"%d" % number in window for number in [*range(50), *range(101, 109)])


def test_ids_that_came_beside_are_forgotten_when_enough_others_came(window_class: Any) -> None:
    window = window_class(4)
    for number in range(50):
        window.admit_beside(b"%d" % number)
    for number in range(100, 104):
        window.admit(b"%d" % number)
    assert b"7" in window
    for number in range(104, 112):
        window.admit(b"%d" % number)

    assert b"7" not in window
    assert len(window) <= 8


def test_ids_that_are_no_numbers_do_not_pile_up(window_class: Any) -> None:
    window = window_class(10)
    for number in range(1_000):
        assert window.admit(b"id-%d" % number)
        assert not window.admit(b"id-%d" % max(number - 9, 0))

    assert len(window) <= 20


def test_a_larger_window_keeps_what_it_knew_and_a_smaller_one_the_newest(window_class: Any) -> None:
    window = window_class(5)
    for number in range(13):
        window.admit(b"%d" % number)
    window.resize(50)
    assert all(b"%d" % number in window for number in range(8, 13))
    for number in range(13, 40):
        window.admit(b"%d" % number)
    window.resize(3)
    assert all(b"%d" % number in window for number in range(37, 40))
    for number in range(40, 60):
        window.admit(b"%d" % number)
    assert all(b"%d" % number in window for number in range(57, 60))


# -- histories --

#: Bytes of memory that entries of histories are written to, at the most at once.
LARGEST_CHUNK = 8_191 * 64

#: Around the edges of the lines in which entries are laid out, and what is too large to be copied.
sizes = st.sampled_from([0, 1, 31, 32, 33, 95, 96, 97, 500, 8_160, 8_192, 8_193, 20_000]) | st.integers(0, 900)
entries_of_a_ring = st.builds(
    lambda size, fill, time, epoch: (bytes([fill]) * size, (time, epoch)),
    sizes, st.integers(0, 255), st.floats(allow_nan=False), st.integers(0, 2**40),
)  # fmt: skip


@given(st.lists(entries_of_a_ring, max_size=12), st.integers(1, 20), st.lists(entries_of_a_ring, max_size=60))
def test_a_ring_is_a_bounded_deque(first: list[Any], maxlen: int, then: list[Any]) -> None:
    ring, twin = speedups.Ring(first, maxlen), deque(first, maxlen)
    assert list(ring) == list(twin)
    for entry in then:
        ring.append(entry)
        twin.append(entry)
        assert len(ring) == len(twin)
        assert list(ring) == list(twin)
        assert ring.newest(3) == list(twin)[-3:]
    assert [ring.newest(count) for count in (-1, 0, 1, 10**6)] == [[], [], list(twin)[-1:], list(twin)]
    assert list(speedups.Ring(ring, 4)) == list(deque(twin, 4))


@pytest.fixture(params=[True, False], ids=["lines", "quarters of lines"])
def _way_of_copying(request: pytest.FixtureRequest) -> Iterator[None]:
    copy_in_lines = getattr(speedups, "_copy_in_lines", None)
    if copy_in_lines is None or copy_in_lines(True) is False:
        pytest.skip("this processor has one way to copy")
    copy_in_lines(request.param)
    yield
    copy_in_lines(True)


@pytest.mark.usefixtures("_way_of_copying")
def test_entries_of_any_length_are_what_they_were_and_leave_their_neighbours() -> None:
    lengths = [*range(300), *range(8_100, 8_200)]
    entries = [(os.urandom(length), (float(length), 2**40 + length)) for length in lengths]
    ring = speedups.Ring((), len(entries) + 7)
    for entry in entries:
        ring.append(entry)
    assert list(ring) == entries
    for entry in entries:  # in places that others had
        ring.append(entry)
    assert list(ring)[7:] == entries


def test_a_ring_is_the_history_of_one_slot_and_takes_its_entries_along() -> None:
    entries = [(b"%d" % number * 40, (float(number), 1)) for number in range(2_000)]
    ring = speedups.Ring((), 500)
    slot, other = speedups.SlotCore(), speedups.SlotCore()
    for number, entry in enumerate(entries):
        if number == 400:
            slot.history = ring
            slot.history = ring
            with pytest.raises(ValueError, match="one slot"):
                other.history = ring
        if number == 800:
            slot.history = speedups.Ring(entries[:3], 3)
            assert list(slot.history) == entries[:3]
            other.history = ring
        if number == 1_200:
            del other
            gc.collect()
        if number == 1_600:
            slot.history = ring
        ring.append(entry)
        assert ring.newest(2) == entries[max(0, number - 1) : number + 1]
    assert list(ring) == list(slot.history) == entries[-500:]
    del slot
    assert list(ring) == entries[-500:]


def test_a_large_payload_takes_no_more_memory_than_its_own() -> None:
    ring = speedups.Ring((), 1_000)
    stamp = (1.0, 1)
    for _ in range(1_000):
        ring.append((b"x" * 500, stamp))
    gc.collect()
    tracemalloc.start()
    try:
        ring.append((b"y" * 5_000, stamp))
        ring.append((b"z" * 100_000, stamp))
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert [len(payload) for payload, _ in list(ring)[-3:]] == [500, 5_000, 100_000]
    assert grown < 120_000 + LARGEST_CHUNK


def test_the_newest_entry_stays_the_same_object_until_another_one_comes() -> None:
    lane, slot, head = lane_in(lanes, slots, DataType.TICKER)
    lane.file(head + BODIES[DataType.TICKER, False] % {b"time": b"%d" % NOW}, (1.0, 1))
    first = slot.current
    assert slot.current is first
    slot.resize(50)
    assert slot.current is first
    lane.file(head + BODIES[DataType.TICKER, False] % {b"time": b"%d" % NOW}, (2.0, 1))

    assert slot.current == (first[0], (2.0, 1))
    assert slot.current is slot.current


def test_the_newest_entry_outlives_its_place_in_the_history() -> None:
    lane, slot, head = lane_in(lanes, slots, DataType.TRADE, limit=3)
    body = b'%d,"trade_price":1,"sequential_id":%d,"stream_type":"REALTIME"}'
    assert lane.file(head + body % (NOW, 100), (1.0, 1))
    assert lane.file(head + body % (NOW, 101), (1.0, 1))
    for number in range(6):  # each older than the newest one, and history all the same
        assert lane.file(head + body % (NOW - 1, number), (2.0, 1))

    assert slot.current == (head + body % (NOW, 101), (1.0, 1))
    assert [entry[1][0] for entry in slot.history] == [2.0] * 3


def test_an_older_trade_that_had_to_be_parsed_is_not_the_newest_one() -> None:
    lane, slot, head = lane_in(lanes, slots, DataType.TRADE)
    payload = head + b'%d,"trade_price":1,"sequential_id":7,"stream_type":"REALTIME"}' % NOW
    assert lane.file(payload, (1.0, 1))
    older = {"trade_price": 1, "timestamp": NOW - 1, "sequential_id": 6}
    assert slots.file_parsed(slot, b"older", older, (2.0, 1))

    assert slot.current == (payload, (1.0, 1))
    assert [entry[0] for entry in slot.history] == [payload, b"older"]


def test_an_older_trade_is_not_the_newest_one_where_nobody_has_looked_yet() -> None:
    lane, slot, head = lane_in(lanes, slots, DataType.TRADE)
    arguments = speedups.StartTable(), {head: lane}, (1.0, 1), None, None
    body = b'%d,"trade_price":1,"sequential_id":%d,"stream_type":"REALTIME"}'
    batch = [head + body % (NOW, number) for number in (1, 2, 9)]
    assert speedups.file(batch, 0, *arguments) == 3
    older = {"trade_price": 1, "timestamp": NOW - 1, "sequential_id": 6}
    assert slots.file_parsed(slot, b"older", older, (2.0, 1))

    assert slot.current == (batch[-1], (1.0, 1))
    assert [entry[0] for entry in slot.history] == [*batch, b"older"]


def test_of_two_markers_the_last_one_counts() -> None:
    lane, slot, head = lane_in(lanes, slots, DataType.TICKER)
    for number, (gap, behind) in enumerate(itertools.product((0, 1, 3, 4, 20), range(17))):
        payload = head + b'1,"timestamp":%s"timestamp":%d,"a":"%s"}' % (b" " * gap, NOW + number, b"b" * behind)
        assert lane.file(payload, (1.0, 1))
        assert slot.timestamp == b"%d" % (NOW + number)


def test_replacing_the_history_leaves_the_newest_entry() -> None:
    lane, slot, head = lane_in(lanes, slots, DataType.TICKER)
    payload = head + BODIES[DataType.TICKER, False] % {b"time": b"%d" % NOW}
    lane.file(payload, (1.0, 1))
    slot.history = speedups.Ring((), 3)

    assert slot.current == (payload, (1.0, 1))


@contextmanager
def after_allocations(count: int, action: Any) -> Iterator[None]:
    """After so many allocations the collector runs, and with it code of others, once."""

    def act(phase: str, info: dict[str, int]) -> None:
        gc.callbacks.remove(act)
        gc.set_threshold(*thresholds)
        action()

    gc.collect()
    thresholds = gc.get_threshold()
    gc.callbacks.append(act)
    gc.set_threshold(count)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        if act in gc.callbacks:
            gc.callbacks.remove(act)


def test_what_comes_while_the_newest_entry_is_made_is_the_newest_afterwards() -> None:
    for count in range(1, 12):
        lane, slot, head = lane_in(lanes, slots, DataType.TICKER)
        arguments = speedups.StartTable(), {head: lane}, (1.0, 1), None, None
        first, second = ([head + BODIES[DataType.TICKER, False] % {b"time": b"%d" % time}] for time in (NOW, NOW + 1))
        assert speedups.file(first, 0, *arguments) == 1
        with after_allocations(count, lambda: speedups.file(second, 0, *arguments)):  # noqa: B023
            assert slot.current[0] in (first[0], second[0])

        assert slot.current == list(slot.history)[-1]


def test_ids_that_came_beside_while_the_set_of_them_is_made_stay() -> None:
    for count in range(1, 12):
        window = speedups.IdWindow(10)
        others: list[bool] = []
        with after_allocations(count, lambda: others.append(window.admit_beside(b"1"))):  # noqa: B023
            window.admit_beside(b"2")

        assert (b"1" in window) == bool(others)
        assert b"2" in window
        assert len(window) == 1 + len(others)


# -- memory of many histories --


@pytest.fixture(name="much_in_use")
def _much_in_use() -> Iterator[Any]:
    """So much memory in histories that blocks for others come from fields."""
    ring = speedups.Ring((), 2_200)
    for _ in range(2_200):
        ring.append((b"x" * 8_000, (0.0, 0)))
    yield ring
    assert all(entry == (b"x" * 8_000, (0.0, 0)) for entry in ring)


class Model:
    """Histories and windows of ids of many sizes, each beside a plain one that must have the same in it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rings: list[tuple[Any, deque[Any]]] = []
        self.windows: list[tuple[Any, deque[int]]] = []
        self.number = 0

    def add(self) -> None:
        maxlen = self.random.choice([8, 17, 64, 200, 400])
        self.rings.append((speedups.Ring((), maxlen), deque(maxlen=maxlen)))
        size = self.random.choice([512, 700, 2_048])
        self.windows.append((speedups.IdWindow(size), deque(maxlen=size)))

    def fill(self) -> None:
        """Write into one of each, until the largest blocks of many are in use."""
        ring, twin = self.random.choice(self.rings)
        width = self.random.choice([60, 480, 1_000])
        for _ in range(self.random.choice([1, 9, 100])):
            self.number += 1
            entry = (b"%d " % self.number * (width // 8), (float(self.number), self.number))
            ring.append(entry)
            twin.append(entry)
        window, ids = self.random.choice(self.windows)
        for _ in range(600):
            self.number += 1
            window.admit(b"%d" % self.number)
            ids.append(self.number)

    def resize(self) -> None:
        index = self.random.randrange(len(self.rings))
        ring, twin = self.rings[index]
        maxlen = self.random.choice([3, 64, 300])
        self.rings[index] = speedups.Ring(ring, maxlen), deque(twin, maxlen)

    def forget(self) -> None:
        self.rings.pop(self.random.randrange(len(self.rings)))
        self.windows.pop(self.random.randrange(len(self.windows)))

    def check(self) -> None:
        for ring, twin in self.rings:
            assert list(ring) == list(twin)
        for window, ids in self.windows:
            assert all(b"%d" % number in window for number in ids)


@pytest.mark.skipif(sys.platform != "linux", reason="only there memory comes from fields")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_two_histories_share_memory(much_in_use: Any, seed: int) -> None:
    model = Model(seed)
    for _ in range(12):
        model.add()
    for turn in range(1_500):
        model.random.choice([model.add, model.fill, model.fill, model.fill, model.fill, model.resize, model.forget])()
        if len(model.rings) < 6:
            model.add()
        if turn % 100 == 0:
            model.check()
    model.check()


MEMORY_OF_HISTORIES = """
import mmap
from pathlib import Path
from upbit_ws._extension import speedups

def fill(count):
    made = [speedups.Ring((), 8) for _ in range(count)]
    for ring in made:
        for _ in range(8):
            ring.append((b"y" * 500, (1.0, 1)))
    return made

def mapped():
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE

much = speedups.Ring([(b"x" * 8_000, (0.0, 0))] * 2_200, 2_200)  # from here on memory comes from fields
fill(10)
before = mapped()
rings = fill(30_000)
print(mapped() - before)
rings = rings[::10]  # what stays stands between all that goes, in every chunk
print(mapped() - before)
assert all(list(ring) == [(b"y" * 500, (1.0, 1))] * 8 for ring in rings)
rings.clear()
print(mapped() - before)
assert list(much) == [(b"x" * 8_000, (0.0, 0))] * 2_200
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there memory comes from fields")
def test_memory_of_histories_that_are_gone_goes_back_to_the_system() -> None:
    # In a process of its own: histories of other tests would stand between these.
    done = subprocess.run([sys.executable, "-c", MEMORY_OF_HISTORIES], check=True, capture_output=True, text=True)
    held, tidied, cleared = map(int, done.stdout.split())

    assert held > 30_000 * 8 * 500
    assert tidied < held * 3 // 4
    assert cleared < held // 8


class Busy:
    """One history that gets nearly everything, among many that rarely get anything."""

    def __init__(self, seed: int, size: int = 480) -> None:
        self.random = random.Random(seed)
        self.payload = b"b" * size
        self.busy = speedups.Ring((), 50)
        self.quiet = [(speedups.Ring((), length), deque[Any](maxlen=length)) for length in [5, 20, 100] * 100]
        self.slots: list[Any] = []

    def settle(self) -> None:
        """Two of three are histories of slots now, of others than before."""
        self.slots = []
        for ring, _ in self.random.sample(self.quiet, len(self.quiet) * 2 // 3):
            self.slots.append(speedups.SlotCore())
            self.slots[-1].history = ring

    def run(self, count: int) -> None:
        for number in range(count):
            if number % 1_000 == 0:
                self.settle()
            self.busy.append((self.payload, (0.0, number)))
            if number % 8:
                continue
            ring, twin = self.random.choice(self.quiet)
            size = 10_000 if number % 1_600 == 0 else self.random.choice([60, 480, 900])
            entry = (b"%d " % number * (size // len(b"%d " % number)), (float(number), number))
            ring.append(entry)
            twin.append(entry)

    def live(self) -> int:
        return sum(len(payload) for _, twin in self.quiet for payload, _ in twin)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_outlives_its_neighbours_is_moved_and_stays_what_it_is(seed: int) -> None:
    market = Busy(seed)
    for _ in range(8):
        market.run(10_000)
        assert all(list(ring) == list(twin) for ring, twin in market.quiet)
        assert len(market.busy) == 50
    assert [list(market.busy)[index][1][1] for index in (0, -1)] == [9_950, 9_999]


@pytest.mark.parametrize("size", [60, 480, 4_000])
def test_memory_of_histories_is_bounded_by_what_is_in_use_however_uneven_the_markets_are(size: int) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        market = Busy(3, size)
        market.run(80_000)
        live = market.live()
        for _, twin in market.quiet:
            twin.clear()
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert live > 3_000_000
    assert used < 3 * live  # 80,000 entries of 4,000 bytes are 320 MB


# -- lanes by their starts --

starts = st.integers(0, 40).map(lambda number: b"%043d" % number)


@given(st.lists(st.tuples(st.sampled_from(["set", "set", "set", "pop", "get", "delete", "clear"]), starts, st.integers()), max_size=200))
def test_a_table_of_starts_is_a_dict(calls: list[tuple[str, bytes, int]]) -> None:
    table, twin = speedups.StartTable(), {}
    for name, start, value in calls:
        if name == "set":
            table[start] = twin[start] = value
        elif name == "delete" and start in twin:
            del table[start], twin[start]
        elif name == "clear" and value % 7 == 0:
            table.clear()
            twin.clear()
        elif name == "pop":
            assert table.pop(start, "gone") == twin.pop(start, "gone")
        assert table.get(start) == twin.get(start)
        assert len(table) == len(twin)
    assert all(table.get(start) == value for start, value in twin.items())


def test_a_table_of_starts_that_changes_for_ever_does_not_grow_for_ever() -> None:
    table = speedups.StartTable()
    tracemalloc.start()
    try:
        for number in range(20_000):
            table[b"%043d" % number] = number
            if number >= 10:
                del table[b"%043d" % (number - 10)]
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert len(table) == 10
    assert grown < 50_000


# -- lanes --


def lane_in(lanes: Any, slots: Any, data_type: DataType, *, simple: bool = False, listed: bool = False, symbol: str = "KRW-BTC",
            limit: int = 5) -> tuple[Any, Any, bytes]:  # fmt: skip
    """A lane, its slot and its head."""
    slot = slots.new_slot(StreamKey(data_type, symbol), limit)
    head = b"[" * listed + predicted_head(data_type, symbol, simple=simple)
    lane = lanes.lane_for(slot, head)
    assert lane is not None
    return lane, slot, head


NOW = 1_700_000_000_000
times = st.integers(-3, 12).map(lambda offset: b"%d" % (NOW + offset)) | st.sampled_from([b"", b"17", b"99999999999999", b"-5"])
#: From the values to what is sent behind a head; by data type, DEFAULT and SIMPLE.
BODIES = {
    (DataType.TICKER, False): b'1.5,"timestamp":%(time)s,"stream_type":"REALTIME"}',
    (DataType.TICKER, True): b'1.5,"tms":%(time)s,"st":"REALTIME"}',
    (DataType.ORDERBOOK, False): b'%(time)s,"orderbook_units":[],"stream_type":"REALTIME","level":%(level)s}',
    (DataType.ORDERBOOK, True): b'%(time)s,"obu":[],"st":"REALTIME","lv":%(level)s}',
    (DataType.TRADE, False): b'%(time)s,"trade_price":1,"sequential_id":%(id)s,"stream_type":"REALTIME"}',
    (DataType.TRADE, True): b'%(time)s,"tp":1,"sid":%(id)s,"st":"REALTIME"}',
    (DataType.CANDLE_1M, False): b'"2026-01-0%(day)s","opening_price":1,"timestamp":%(time)s,"stream_type":"REALTIME"}',
    (DataType.CANDLE_1M, True): b'"2026-01-0%(day)s","op":1,"tms":%(time)s,"st":"REALTIME"}',
}
values = st.fixed_dictionaries({
    b"time": times, b"id": identities, b"level": st.sampled_from([b"0", b"0", b"10", b"null"]), b"day": st.sampled_from([b"1", b"2", b"3"]),
})  # fmt: skip


def damaged(payload: bytes, damage: str, place: int) -> bytes:
    cut = place % (len(payload) + 1)
    match damage:
        case "cut":
            return payload[:cut]
        case "end lost":
            return payload[cut:]
        case "byte":
            return payload[:cut] + b"#" + payload[cut + 1 :]
        case "twice":
            return payload[:-1] + payload
        case "no marker":
            for name in (b'"timestamp":', b'"tms":', b'"sequential_id":', b'"sid":'):
                payload = payload.replace(name, name.replace(b"s", b"z"))
            return payload
        case "no level":
            return payload.replace(b',"level":0', b"").replace(b',"lv":0', b"")
        case "empty":
            return b""
        case _:
            return payload


damages = st.sampled_from([*["none"] * 8, "cut", "end lost", "byte", "twice", "no marker", "no level", "empty"])
messages_of_one = st.lists(
    st.tuples(values, damages, st.integers(0, 400), st.integers(0, 3), st.booleans()), min_size=1, max_size=40
)


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("simple", [False, True])
@pytest.mark.parametrize("data_type", KINDS)
@given(messages_of_one)
def test_lanes_answer_the_same_and_leave_the_same_slot(data_type: DataType, simple: bool, listed: bool, messages: Any) -> None:
    in_c, slot_in_c, head = lane_in(lanes, slots, data_type, simple=simple, listed=listed)
    in_python, slot_in_python, _ = lane_in(python_lanes, python_slots, data_type, simple=simple, listed=listed)
    for number, (fields, damage, place, epoch, other_spelling) in enumerate(messages):
        body = BODIES[data_type, simple is not other_spelling if damage == "byte" else simple] % fields
        payload = damaged(head + body + b"]" * listed, damage, place)
        stamp = (float(number), epoch)

        assert in_c.file(payload, stamp) == in_python.file(payload, stamp), payload
        assert state_of(slot_in_c) == state_of(slot_in_python), payload


@given(messages_of_one, st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_trades_are_the_same_while_histories_are_resized_and_filled(messages: Any, sizes: list[int]) -> None:
    in_c, slot_in_c, head = lane_in(lanes, slots, DataType.TRADE)
    in_python, slot_in_python, _ = lane_in(python_lanes, python_slots, DataType.TRADE)
    for number, (fields, _, place, epoch, is_recovered) in enumerate(messages):
        payload = head + BODIES[DataType.TRADE, False] % fields
        entry = (payload, (float(number), epoch))
        answers = []
        for lane, slot in ((in_c, slot_in_c), (in_python, slot_in_python)):
            slot.resize(sizes[place % len(sizes)])
            answers.append(
                slot.take_recovered(entry, fields[b"time"], fields[b"id"]) if is_recovered else lane.file(*entry)
            )
        assert answers[0] == answers[1]
        assert state_of(slot_in_c) == state_of(slot_in_python)
        assert slot_in_c.knows(fields[b"id"]) == slot_in_python.knows(fields[b"id"])


def test_both_sides_have_no_lane_for_streams_of_the_account() -> None:
    key = StreamKey(DataType.MY_ORDER, "KRW-BTC")
    head = predicted_head(DataType.MY_ORDER, "KRW-BTC", simple=False)

    assert lanes.lane_for(slots.Slot(key, 3), head) is None
    assert python_lanes.lane_for(python_slots.Slot(key, 3), head) is None


# -- batches --


class Market:
    """Slots and the tables of their lanes, as the pool keeps them."""

    def __init__(self, lanes: Any, slots: Any, file: Any) -> None:
        self.file = file
        self.by_start = lanes.StartTable()
        self.by_head: dict[bytes, Any] = {}
        self.slots: list[Any] = []
        self.attended: list[Any] = []
        for symbol in SYMBOLS:
            for data_type in KINDS:
                slot = slots.new_slot(StreamKey(data_type, symbol), 4)
                self.slots.append(slot)
                for simple in (False, True):
                    head = predicted_head(data_type, symbol, simple=simple)
                    for whole in (head, b"[" + head):
                        lane = self.by_head[whole] = lanes.lane_for(slot, whole)
                        assert lane is not None
                        if tells_apart(whole, symbol):
                            self.by_start[whole[:START_LENGTH]] = lane

    def attend(self, slot: Any, entry: Any, result: Any) -> None:
        self.attended.append((slot.key, entry, result))

    def file_all(self, messages: Any, stamp: Any) -> list[int]:
        """Where filing stopped, each time."""
        stops = []
        position = 0
        while position < len(messages):
            position = self.file(messages, position, self.by_start, self.by_head, stamp, self.attend, "result")
            stops.append(position)
            position += 1
        return stops


def payload_of(symbol: str, data_type: DataType, simple: bool, listed: bool, fields: Any) -> bytes:
    return b"[" * listed + predicted_head(data_type, symbol, simple=simple) + BODIES[data_type, simple] % fields + b"]" * listed


whole_payloads = st.builds(
    payload_of, st.sampled_from(SYMBOLS), st.sampled_from(KINDS), st.booleans(), st.sampled_from([False, False, True]), values
)
unknown = st.sampled_from([
    b"", b"{", b'{"error":{"name":"x"}}', b'{"type":"ticker","code":"KRW-NEW","opening_price":1,"timestamp":1}', b"x" * 28, b"x" * 29,
    b"x" * 28 + b'":', b"x" * 29 + b'":', b"x" * 60 + b'"', b"\x00" * 50,
])  # fmt: skip
batches = st.lists(
    st.lists(whole_payloads | whole_payloads | whole_payloads | unknown, max_size=40).map(lambda few: few * 2) | st.lists(whole_payloads, max_size=80),
    min_size=1, max_size=3,
)  # fmt: skip


@given(batches, st.sets(st.integers(0, len(SYMBOLS) * len(KINDS) - 1)), st.integers(0, 2))
def test_whole_batches_are_filed_the_same(batches: list[list[bytes]], attended: set[int], step: int) -> None:
    in_c = Market(lanes, slots, speedups.file)
    in_python = Market(python_lanes, python_slots, python_lanes._file_batch)
    for market in (in_c, in_python):
        for number in attended:
            market.slots[number].is_attended = True
    for number, batch in enumerate(batches):
        stamp = (float(number), 1 + number * step)
        assert in_c.file_all(batch, stamp) == in_python.file_all(batch, stamp)
        assert in_c.attended == in_python.attended
        assert [state_of(slot) for slot in in_c.slots] == [state_of(slot) for slot in in_python.slots]


def long_enough(payload: bytes) -> bytes:
    """The same payload with room in the middle, so that its frame is a common one."""
    for short, room in ((b"1.5,", b"1.5%s," % (b"0" * 120)), (b"[],", b"[%s]," % (b" " * 120)), (b":1,", b":1%s," % (b"0" * 120))):
        if short in payload:
            return payload.replace(short, room, 1)
    return payload + b" " * 126


@pytest.mark.skipif(not hasattr(speedups, "Inlet"), reason="needs a system with poll")
@given(batches, st.sets(st.integers(0, len(SYMBOLS) * len(KINDS) - 1)), st.integers(0, 2), st.integers(100, 9_000))
def test_batches_are_filed_the_same_from_where_they_were_read(
    batches: list[list[bytes]], attended: set[int], step: int, size: int
) -> None:
    from_list, from_inlet = Market(lanes, slots, speedups.file), Market(lanes, slots, speedups.file)
    for market in (from_list, from_inlet):
        for number in attended:
            market.slots[number].is_attended = True
    here, there = socket.socketpair()
    with here, there:
        inlet = speedups.Inlet(here.fileno(), -1, size, 0.0)
        inlet.is_splitting = True
        for number, batch in enumerate(batches):
            stamp = (float(number), 1 + number * step)
            messages = [long_enough(message) for message in batch]
            there.sendall(b"".join(b"\x82\x7e" + len(message).to_bytes(2, "big") + message for message in messages))
            read: list[bytes] = []
            while len(read) < len(messages):
                found = inlet.read(1.0, False)
                assert found is inlet
                come = list(inlet)
                assert from_list.file_all(come, stamp) == from_inlet.file_all(inlet, stamp)
                read += come
            assert read == messages
            assert from_list.attended == from_inlet.attended
            assert [state_of(slot) for slot in from_list.slots] == [state_of(slot) for slot in from_inlet.slots]
