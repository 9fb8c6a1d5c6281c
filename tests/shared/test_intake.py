"""What files batches in C: the pool is the same afterwards as if it had filed them itself, and says what is left to do."""

from __future__ import annotations

import contextlib
import gc
import itertools
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.payloads import candle, orderbook, ticker, trade
from tests.shared.test_data_pool_manager import FIRST, PUBLIC, TICKER, TRADE, Rig
from upbit_ws._extension import speedups
from upbit_ws.shared.ingestion import Ingested
from upbit_ws.wire.poller import Inlet
from upbit_ws.wire.wakeup import Wakeup

pytestmark = pytest.mark.skipif(speedups is None, reason="needs the extension")

needs_inlet = pytest.mark.skipif(Inlet is None, reason="needs a system with poll")


class Intaken(Rig):
    """A pool that gets its batches by an intake, as a session hands them over."""

    def __init__(self, *keys: Any, history: int = 5) -> None:
        super().__init__(*keys, history=history)
        self.now = FIRST
        self.intake: Any = self.pool.intake(self.epoch, lambda: self.now, 0.05)
        self.quiet = 0

    def send(self, *payloads: bytes, at: float = FIRST, epoch: int | None = None) -> Ingested:
        if epoch is not None:
            return super().send(*payloads, at=at, epoch=epoch)
        if self.intake.file(list(payloads), at):
            self.quiet += 1
            return Ingested()
        left = self.intake.take_left()
        return super().send(*payloads, at=at) if left is None else self.pool.finish(PUBLIC, *left)


@pytest.fixture
def rig() -> Intaken:
    made = Intaken()
    made.send(ticker(at=1), trade(at=1), orderbook(at=1), candle(at=1))  # from here on their heads are known
    return made


def state(rig: Rig) -> Any:
    """All that a pool shows."""
    slots = [rig.slot(key) for key in rig.keys]
    return (
        [(slot.current, slot.revision, list(slot.history), slot.older, slot.duplicates, slot.epoch) for slot in slots],
        rig.pool.counters(),
        rig.pool.vouched_at(rig.epoch),
        [reject.payload for reject in rig.pool.rejected()],
    )


# -- filing -----------------------------------------------------------------------------------------------------------


def test_what_leaves_nothing_to_do_is_filed_and_counted(rig: Intaken) -> None:
    assert rig.intake.file([ticker(at=2, price=5.0), trade(at=2)], FIRST + 3.0)

    assert rig.price() == 5.0
    assert rig.pool.counters().messages == 6
    assert rig.intake.messages == 2
    assert rig.intake.heard_at == rig.pool.vouched_at(rig.epoch) == FIRST + 3.0
    assert rig.intake.take_left() is None


def test_an_empty_batch_is_filed(rig: Intaken) -> None:
    assert rig.intake.file([], FIRST)


def test_what_no_lane_reads_is_left_with_all_that_follows(rig: Intaken) -> None:
    batch = [ticker(at=2), b'{"status":"UP"}', ticker(at=3, price=7.0)]
    assert not rig.intake.file(batch, FIRST)

    left = rig.intake.take_left()
    assert left[:3] == (batch, 1, (FIRST, rig.epoch))
    assert rig.intake.take_left() is None
    result = rig.pool.finish(PUBLIC, *left)
    assert result.controls == [{"status": "UP"}]
    assert rig.price() == 7.0
    assert (rig.pool.counters().messages, rig.intake.messages) == (7, 0)


def test_what_somebody_waits_for_is_filed_and_left_to_be_told(rig: Intaken) -> None:
    rig.pool.watch(TICKER, 1)
    newest = ticker(at=2)
    assert not rig.intake.file([trade(at=2), newest], FIRST)

    left = rig.intake.take_left()
    assert left[1] == 2
    assert rig.pool.finish(PUBLIC, *left).deliveries == [(rig.slot(), (newest, (FIRST, rig.epoch)))]


def test_nothing_more_is_filed_before_what_is_left_was_taken(rig: Intaken) -> None:
    rig.intake.file([b"?"], FIRST)
    assert not rig.intake.file([ticker(at=2, price=9.0)], FIRST)
    assert rig.price() != 9.0
    assert rig.intake.take_left()[0] == [b"?"]


def test_each_result_is_used_once(rig: Intaken) -> None:
    results = []
    for _ in range(2):
        rig.intake.file([b"?"], FIRST)
        results.append(rig.intake.take_left()[3])
    assert results[0] is not results[1]


def test_nothing_is_filed_for_an_epoch_that_is_over_or_has_a_newer_one_beside_it(rig: Intaken) -> None:
    newer = rig.pool.open_epoch(PUBLIC, FIRST + 1.0, replaces=rig.epoch)
    assert not rig.intake.file([ticker(at=9, price=9.0)], FIRST + 2.0)
    assert rig.intake.take_left() is None
    assert rig.pool.vouched_at(rig.epoch) == FIRST

    rig.pool.close_epoch(newer, FIRST + 3.0)
    assert rig.intake.file([ticker(at=9, price=9.0)], FIRST + 4.0)
    assert rig.price() == 9.0

    rig.pool.close_epoch(rig.epoch, FIRST + 5.0)
    assert not rig.intake.file([ticker(at=10, price=10.0)], FIRST + 6.0)
    assert rig.price() == 9.0
    assert rig.pool.vouched_at(rig.epoch) == FIRST + 4.0
    assert rig.pool.counters().messages == 5


def test_a_suspected_epoch_is_vouched_for_as_of_then_whatever_is_filed(rig: Intaken) -> None:
    rig.intake.file([ticker(at=2)], FIRST + 5.0)
    rig.pool.suspect(rig.epoch, FIRST + 4.0)
    rig.intake.file([ticker(at=3)], FIRST + 6.0)
    assert rig.pool.vouched_at(rig.epoch) == FIRST + 4.0

    rig.pool.trust(rig.epoch)
    assert rig.pool.vouched_at(rig.epoch) == FIRST + 6.0


def test_no_value_is_newer_than_what_its_epoch_is_vouched_for(rig: Intaken) -> None:
    seen: list[Any] = []
    rig.pool.watch(TICKER, 1)
    attend = rig.pool._attend_locked

    def look(slot: Any, entry: Any, result: Any) -> None:
        seen.append((entry[1][0], rig.pool.vouched_at(rig.epoch)))
        attend(slot, entry, result)

    intake = direct(rig, attend=look)
    adopt(rig, intake)
    intake.file([ticker(at=5)], FIRST + 9.0)
    assert seen == [(FIRST + 9.0, FIRST + 9.0)]


numbers = st.integers(0, 6)
payloads = st.one_of(
    st.builds(lambda at: ticker(at=at, price=at), numbers),
    st.builds(lambda at, id_: trade(at=at, number=id_), numbers, numbers),
    st.builds(lambda at: orderbook(at=at), numbers),
    st.builds(lambda at: candle(at=at, price=at), numbers),
    st.builds(lambda at: ticker("KRW-ETH", at=at), numbers),
    st.sampled_from([b"{", b"[]", b'{"status":"UP"}', b'{"error":{"name":"X"}}', b'{"type":"nothing"}']),
)
events = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.lists(payloads, max_size=8)),
        st.tuples(st.sampled_from(["watch", "reconnect", "overlap", "settle"]), st.none()),
    ),
    max_size=25,
)


@given(events)
def test_the_pool_is_as_if_it_had_filed_them_itself(steps: list[tuple[str, Any]]) -> None:
    plain, intaken = Rig(), Intaken()
    told: dict[Any, list[Any]] = {plain: [], intaken: []}
    for number, (name, batch) in enumerate(steps):
        at = FIRST + number
        for rig in (plain, intaken):
            if name == "send":
                result = rig.send(*batch, at=at)
                told[rig].append((
                    result.controls, result.unusable, len(result.reopened),
                    [(slot.key, entry) for slot, entry in result.deliveries],
                ))  # fmt: skip
            elif name == "watch":
                rig.pool.watch(TRADE, 1)
            elif name == "settle":
                rig.pool.watch(TRADE, -rig.slot(TRADE).watchers)
            elif name == "reconnect":
                rig.reconnect(at)
            else:
                rig.epoch = rig.pool.open_epoch(PUBLIC, at, replaces=rig.epoch)
            if name in ("reconnect", "overlap") and isinstance(rig, Intaken):
                rig.intake = rig.pool.intake(rig.epoch, lambda: FIRST, 0.05)
        assert state(plain) == state(intaken)
    assert told[plain] == told[intaken]


# -- when something fails ----------------------------------------------------------------------------------------------


def direct(rig: Intaken, **changes: Any) -> Any:
    """An intake of the same pool, made by hand."""
    pool = rig.pool
    arguments: dict[str, Any] = {
        "acquire": pool._lock.acquire, "release": pool._lock.release, "by_start": pool._lanes_by_start,
        "by_head": pool._lanes, "attend": pool._attend_locked, "make_result": Ingested, "clock": lambda: FIRST,
        "epoch": rig.epoch, "interval": 0.05,
    }  # fmt: skip
    made = speedups.Intake(**{**arguments, **changes})
    made.is_newest = True
    return made


def adopt(rig: Intaken, intake: Any) -> None:
    """In the place of the pool's own intake."""
    rig.pool._epochs._epochs[rig.epoch].pulse = None
    rig.pool._epochs.follow(rig.epoch, intake)


def fail(*arguments: Any) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize("part", ["attend", "make_result"])
def test_a_failure_is_raised_and_the_lock_let_go_of(rig: Intaken, part: str) -> None:
    rig.pool.watch(TICKER, 1)
    intake = direct(rig, **{part: fail})
    with pytest.raises(ZeroDivisionError):
        intake.file([ticker(at=2)], FIRST)

    assert not rig.pool._lock.locked()
    assert intake.take_left() is None
    with pytest.raises(ZeroDivisionError):  # and it can be used again
        intake.file([ticker(at=3), ticker(at=4)], FIRST)
    assert intake.messages == 3  # they came, whatever became of them


def test_a_lock_that_cannot_be_taken_or_released_is_an_error(rig: Intaken) -> None:
    for part in ("acquire", "release"):
        with pytest.raises(ZeroDivisionError):
            direct(rig, **{part: fail}).file([ticker(at=2)], FIRST)
    rig.pool._lock.release()


def test_what_a_batch_that_failed_has_left_is_not_told_with_the_next_one(rig: Intaken) -> None:
    rig.pool.watch(TICKER, 1)
    calls: list[Any] = []

    def attend(slot: Any, entry: Any, result: Any) -> None:
        calls.append(result)
        rig.pool._attend_locked(slot, entry, result)
        if len(calls) == 2:
            raise ZeroDivisionError

    intake = direct(rig, attend=attend)
    with pytest.raises(ZeroDivisionError):
        intake.file([ticker(at=2), ticker(at=3)], FIRST)
    intake.file([ticker(at=4)], FIRST)
    assert len(intake.take_left()[3].deliveries) == 1


def test_of_two_failures_the_first_is_raised(rig: Intaken) -> None:
    rig.pool.watch(TICKER, 1)

    def cannot(*arguments: Any) -> Any:
        raise OSError

    with pytest.raises(ZeroDivisionError):
        direct(rig, attend=fail, release=cannot).file([ticker(at=2)], FIRST)
    rig.pool._lock.release()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ((), TypeError), (([],), TypeError), (((), FIRST), TypeError), ((b"x", FIRST), TypeError),
        (([], "now"), TypeError), (([1], FIRST), TypeError), (([], FIRST, 1), TypeError),
    ],
)  # fmt: skip
def test_arguments_of_another_kind_are_refused(rig: Intaken, arguments: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        rig.intake.file(*arguments)
    assert rig.intake.file([ticker(at=2)], FIRST)


def test_it_is_made_once_and_whole(rig: Intaken) -> None:
    empty = speedups.Intake.__new__(speedups.Intake)
    with pytest.raises(ValueError, match="not ready"):
        empty.file([], FIRST)
    assert (empty.take_left(), empty.take(), empty.is_due) == (None, [], False)
    with pytest.raises(ValueError, match="once"):
        rig.intake.__init__(
            acquire=1, release=1, by_start=rig.pool._lanes_by_start, by_head={}, attend=1, make_result=1, clock=1,
            epoch=1, interval=1.0,
        )  # fmt: skip


def test_whoever_is_told_of_a_payload_cannot_file_by_the_same_intake(rig: Intaken) -> None:
    rig.pool.watch(TICKER, 1)
    made: list[Any] = []
    intake = direct(rig, attend=lambda *arguments: made[0].file([], FIRST))
    made.append(intake)
    with pytest.raises(ValueError, match="in use"):
        intake.file([ticker(at=2)], FIRST)


def test_a_pool_with_an_intake_goes_when_nobody_has_it_any_more() -> None:
    rig = Intaken()
    rig.intake.file([b"?"], FIRST)
    watched = weakref.ref(rig.pool)
    del rig
    gc.collect()
    assert watched() is None


# -- from the socket ---------------------------------------------------------------------------------------------------


def framed(*payloads: bytes) -> bytes:
    return b"".join(b"\x82\x7e" + len(payload).to_bytes(2, "big") + payload for payload in payloads)


class Line:
    """An intake at one end of a socket, and what it hears at the other."""

    def __init__(self, rig: Intaken, wakeup: Wakeup, *, pause: float = 0.0) -> None:
        self.rig = rig
        self.here, self.there = socket.socketpair()
        self.here.setblocking(False)
        self.inlet = Inlet(self.here.fileno(), wakeup.fileno(), 100_000, pause)
        self.inlet.is_splitting = True
        self.intake = direct(rig, clock=time.monotonic)
        adopt(rig, self.intake)

    def serve(self, timeout: float | None = 0.05, *, is_flowing: bool = False) -> Any:
        return self.intake.serve(self.inlet, timeout, is_flowing)

    @contextlib.contextmanager
    def feeding(self, payloads: Iterator[bytes], pause: float = 0.001) -> Iterator[None]:
        is_over = threading.Event()

        def feed() -> None:
            while not is_over.wait(pause):
                self.there.sendall(framed(next(payloads)))

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


@pytest.fixture
def make_line(rig: Intaken, wakeup: Wakeup) -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def make(**options: Any) -> Line:
        lines.append(Line(rig, wakeup, **options))
        return lines[-1]

    yield make
    for line in lines:
        line.here.close()
        line.there.close()


@needs_inlet
class TestServing:
    @pytest.mark.parametrize("pause", [0.0, 0.003])
    def test_it_files_until_its_time_is_over(self, make_line: Any, rig: Intaken, pause: float) -> None:
        line, begun = make_line(pause=pause), time.monotonic()
        with line.feeding(ticker(at=number, price=number) for number in itertools.count(2)):
            while (left := begun + 0.2 - time.monotonic()) > 0.0:
                # Where bytes gather, a pause in which nothing came ends it as well.
                assert line.serve(left, is_flowing=pause > 0) in (None, 0)

        assert time.monotonic() - begun < 1.0
        assert line.intake.messages > 20
        assert line.inlet.reads > 5
        assert rig.slot().revision == 1 + line.intake.messages
        assert rig.pool.vouched_at(rig.epoch) == line.intake.heard_at

    def test_while_bytes_gather_it_does_not_wait_for_the_first_one(self, make_line: Any, rig: Intaken) -> None:
        line, begun = make_line(pause=0.003), time.monotonic()
        line.there.sendall(framed(ticker(at=2)))
        assert line.serve(30.0) == 0  # after the first read nothing came within the pause
        assert line.intake.messages == 1
        assert time.monotonic() - begun < 5.0

    def test_without_time_it_reads_what_is_there_once(self, make_line: Any, rig: Intaken) -> None:
        line = make_line()
        assert line.serve(0.0) == 0
        line.there.sendall(framed(ticker(at=2, price=4.0)))
        assert line.serve(0.0) is None
        assert rig.price() == 4.0

    def test_what_is_left_to_do_ends_it(self, make_line: Any, rig: Intaken) -> None:
        line = make_line()
        line.there.sendall(framed(ticker(at=2), b'{"status":"%s"}' % (b"x" * 200)))
        assert line.serve(None) is line.inlet
        messages, position, _, _ = line.intake.take_left()
        assert messages is line.inlet
        assert (position, len(messages)) == (1, 2)

    def test_what_is_no_common_frame_ends_it_and_is_not_filed(self, make_line: Any, rig: Intaken) -> None:
        line, before = make_line(), rig.slot().revision
        line.there.sendall(framed(ticker(at=2)) + b"\x89\x00")
        found = line.serve(None)
        assert (found[0], found[1]) == (line.inlet, b"\x89\x00")
        assert (len(line.inlet), rig.slot().revision, line.intake.take_left()) == (1, before, None)

    def test_half_a_frame_ends_it_with_no_message(self, make_line: Any) -> None:
        line = make_line()
        line.there.sendall(framed(ticker(at=2))[:50])
        assert line.serve(None) is line.inlet
        assert (len(line.inlet), line.intake.take_left()) == (0, None)

    def test_somebody_who_waits_for_data_ends_it(self, make_line: Any, rig: Intaken) -> None:
        line = make_line()
        line.intake.is_awaited = True
        line.there.sendall(framed(ticker(at=2, price=4.0)))
        assert line.serve(None) is None
        assert rig.price() == 4.0
        assert line.intake.is_due

    def test_the_wake_up_and_the_end_of_the_stream_end_it(self, make_line: Any, wakeup: Wakeup) -> None:
        line = make_line()
        wakeup.set()
        assert line.serve(None) == 2
        wakeup.clear()
        line.there.close()
        assert line.serve(None) == b""

    def test_an_epoch_that_is_over_leaves_all_of_it(self, make_line: Any, rig: Intaken) -> None:
        line, before = make_line(), rig.slot().revision
        rig.pool.close_epoch(rig.epoch, FIRST)
        line.there.sendall(framed(ticker(at=2)))
        assert line.serve(None) is line.inlet
        assert (line.intake.take_left(), rig.slot().revision) == (None, before)

    def test_bytes_that_are_not_to_be_split_are_bytes(self, make_line: Any) -> None:
        line = make_line()
        line.inlet.is_splitting = False
        line.there.sendall(b"abc")
        assert line.serve(None) == b"abc"

    def test_the_inlet_cannot_be_read_while_it_is_filed(self, make_line: Any, rig: Intaken) -> None:
        line = make_line()
        rig.pool.watch(TICKER, 1)
        line.intake = direct(rig, attend=lambda *arguments: line.inlet.read_now())
        line.there.sendall(framed(ticker(at=2)))
        with pytest.raises(ValueError, match="in use"):
            line.serve(None)

    def test_one_that_is_not_ready_serves_nobody(self, make_line: Any) -> None:
        line = make_line()
        line.intake = speedups.Intake.__new__(speedups.Intake)
        with pytest.raises(ValueError, match="not ready"):
            line.serve(0.0)

    def test_a_clock_that_fails_is_raised(self, make_line: Any, rig: Intaken) -> None:
        line = make_line()
        line.intake = direct(rig, clock=fail)
        with pytest.raises(ZeroDivisionError):
            line.serve(0.0)
        line.intake = direct(rig, clock=lambda: "noon")
        with pytest.raises(TypeError):
            line.serve(0.0)
        line.intake = direct(rig, clock=lambda: float("nan"))
        with pytest.raises(ValueError, match="number"):
            line.serve(0.0)

    def test_with_a_clock_that_stands_still_it_comes_back_after_each_read(self, make_line: Any, rig: Intaken) -> None:
        line = make_line()
        line.intake = direct(rig, clock=lambda: FIRST)
        line.there.sendall(framed(ticker(at=2)))
        assert line.serve(30.0) is None
        assert line.intake.messages == 1

    def test_waiting_for_the_lock_is_a_part_of_its_time(self, make_line: Any, rig: Intaken) -> None:
        line, lock, begun = make_line(), threading.Lock(), time.monotonic()
        line.intake = direct(rig, acquire=lock.acquire, release=lock.release, clock=time.monotonic)
        line.there.sendall(framed(ticker(at=2)))
        lock.acquire()
        timer = threading.Timer(0.3, lock.release)
        timer.start()
        line.serve(0.3)
        assert 0.3 <= time.monotonic() - begun < 0.55
        timer.join()

    def test_an_error_of_what_files_is_none_of_the_socket(self, make_line: Any, rig: Intaken) -> None:
        line = make_line()
        rig.pool.watch(TICKER, 1)

        def attend(*arguments: Any) -> None:
            raise FileNotFoundError

        line.intake = direct(rig, attend=attend)
        line.there.sendall(framed(ticker(at=2)))
        with pytest.raises(FileNotFoundError):
            line.serve(None)
        assert line.inlet.problem == 0
        line.here.close()
        with pytest.raises(OSError, match="Bad file descriptor") as caught:
            line.intake.serve(line.inlet, None, True)
        assert line.inlet.problem == caught.value.errno

    @pytest.mark.parametrize("arguments", [(), (None, 0.0, False), ("inlet", "soon", False), ("inlet", 0.0)])
    def test_arguments_of_another_kind_are_refused(self, make_line: Any, arguments: Any) -> None:
        line = make_line()
        with pytest.raises(TypeError):
            line.intake.serve(*[line.inlet if argument == "inlet" else argument for argument in arguments])

