"""Waiting, reading and splitting in one call, in C: what the poller, the socket and the frame reader would have said."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.protocol.frames import FrameReader
from upbit_ws.testing import server_frame
from upbit_ws.wire.poller import Inlet
from upbit_ws.wire.wakeup import Wakeup

pytestmark = pytest.mark.skipif(Inlet is None, reason="needs the extension, and a system with poll")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def inlet(sock: socket.socket, wakeup: Wakeup, *, size: int = 100, pause: float = 0.0, splits: bool = False) -> Any:
    made = Inlet(sock.fileno(), wakeup.fileno(), size, pause)
    made.is_splitting = splits
    return made


def messages_of(found: Any) -> Any:
    """An answer, with the messages as a list that stays."""
    if isinstance(found, tuple):
        return list(found[0]), found[1]
    return list(found) if isinstance(found, Inlet) else found


def test_what_is_there_is_read_at_once(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    there.sendall(b"x" * 150)
    read = inlet(here, wakeup).read

    assert read(None, False) == b"x" * 100
    assert read(5.0, False) == b"x" * 50
    assert read(0.0, False) == 0
    there.close()
    assert read(None, False) == b""


def test_nothing_is_read_when_there_is_a_wake_up(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    read = inlet(here, wakeup).read
    wakeup.set()
    assert read(None, False) == 2
    there.sendall(b"x")
    assert read(None, False) == 3
    assert inlet(here, wakeup, pause=30.0).read(None, True) == 2  # it did not look
    wakeup.clear()
    assert read(None, False) == b"x"


def test_reading_without_waiting_looks_at_no_wake_up(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    here.setblocking(False)
    wakeup.set()
    reader = inlet(here, wakeup)
    with pytest.raises(BlockingIOError):
        reader.read_now()
    there.sendall(b"x")
    assert reader.read_now() == b"x"
    there.close()
    assert reader.read_now() == b""


def test_a_pause_is_made_before_the_read(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    there.sendall(b"x")
    read = inlet(here, wakeup, pause=0.05).read
    started = time.monotonic()
    assert read(5.0, False) == b"x"
    assert read(5.0, True) == 0
    assert 0.1 <= time.monotonic() - started < 5.0


def test_a_failure_of_the_socket_is_its_error(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    reader = inlet(pair[0], wakeup)
    os.close(pair[0].detach())
    with pytest.raises(OSError, match="Bad file descriptor"):
        reader.read(1.0, False)


def common_frame(size: int, fill: int = 7) -> bytes:
    return b"\x82\x7e" + size.to_bytes(2, "big") + bytes([fill]) * size


def test_a_cut_frame_is_kept_until_its_rest_is_there(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    reader = inlet(here, wakeup, size=1_000, splits=True)
    stream = common_frame(200, 1) + common_frame(300, 2) + common_frame(126, 3)
    there.sendall(stream[:250])
    assert messages_of(reader.read(5.0, False)) == [b"\1" * 200]
    assert reader.held == 46
    there.sendall(stream[250:300])
    assert messages_of(reader.read(5.0, False)) == []
    there.sendall(stream[300:])
    assert messages_of(reader.read(5.0, False)) == [b"\2" * 300, b"\3" * 126]
    assert (reader.held, reader.reads, reader.bytes_received) == (0, 3, len(stream))


def test_what_is_not_common_comes_as_bytes_behind_the_messages(
    pair: tuple[socket.socket, socket.socket], wakeup: Wakeup
) -> None:
    here, there = pair
    reader = inlet(here, wakeup, size=1_000, splits=True)
    there.sendall(common_frame(200) + b"\x89\x00" + common_frame(126))
    assert messages_of(reader.read(5.0, False)) == ([b"\7" * 200], b"\x89\x00" + common_frame(126))
    there.sendall(b"\x88\x00")
    assert messages_of(reader.read_now()) == ([], b"\x88\x00")
    assert reader.held == 0


def test_at_the_end_a_cut_frame_comes_before_it(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    reader = inlet(here, wakeup, splits=True)
    there.sendall(common_frame(200)[:50])
    assert messages_of(reader.read(5.0, False)) == []
    there.close()
    assert messages_of(reader.read(5.0, False)) == common_frame(200)[:50]
    assert messages_of(reader.read(5.0, False)) == b""


def test_messages_are_there_until_the_next_read(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    reader = inlet(here, wakeup, size=1_000, splits=True)
    there.sendall(common_frame(200, 1) + common_frame(300, 2)[:50])
    assert reader.read(5.0, False) is reader
    assert (len(reader), reader[0], reader[-1]) == (1, b"\1" * 200, b"\1" * 200)
    for index in (1, -2):
        with pytest.raises(IndexError):
            reader[index]
    assert reader.read(0.0, False) == 0
    assert len(reader) == 0
    with pytest.raises(IndexError):
        reader[0]
    there.sendall(common_frame(300, 2)[50:])
    assert messages_of(reader.read(5.0, False)) == [b"\2" * 300]


def test_more_messages_than_there_was_room_for_are_all_there(
    pair: tuple[socket.socket, socket.socket], wakeup: Wakeup
) -> None:
    here, there = pair
    reader = inlet(here, wakeup, size=100_000, splits=True)
    there.sendall(b"".join(common_frame(126, number % 256) for number in range(700)))
    received: list[bytes] = []
    while len(received) < 700:
        received += reader.read(5.0, False)
    assert received == [bytes([number % 256]) * 126 for number in range(700)]


other_frames = st.sampled_from([
    b"\x82\x05short", b"\x89\x00", b"\x8a\x03abc", b"\x81\x7e\x00\x7e" + b"t" * 126, b"\x02\x7e\x00\x7e" + b"f" * 126 + b"\x80\x01f",
    b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"l" * 65_536,
])  # fmt: skip


@given(
    st.lists(st.builds(common_frame, st.integers(126, 400), st.integers(0, 255)) | other_frames, max_size=8).map(b"".join),
    st.lists(st.integers(1, 500), max_size=20), st.integers(1, 700),
)  # fmt: skip
def test_however_a_stream_is_cut_the_messages_are_those_of_the_frame_reader(stream: bytes, cuts: list[int], size: int) -> None:
    expected = FrameReader().feed(stream)
    here, there = socket.socketpair()
    with here, there:
        reader = Inlet(here.fileno(), -1, size, 0.0)
        slow, messages = FrameReader(), []
        position = 0
        while position < len(stream):
            piece = stream[position : position + (cuts.pop() if cuts else 30_000)]
            position += len(piece)
            there.sendall(piece)
            wanted = reader.bytes_received + len(piece)
            while reader.bytes_received < wanted:
                reader.is_splitting = slow.is_between_frames
                found = messages_of(reader.read(5.0, False))
                whole, rest = found if isinstance(found, tuple) else ([], found) if isinstance(found, bytes) else (found, b"")
                messages += whole + slow.feed(rest)

    assert messages == expected


@pytest.mark.parametrize(
    "arguments", [(), (-1, 0, 1, 0.0), (0, 0, 0, 0.0), (0, 0, "x", 0.0), (1 << 40, 0, 1, 0.0), (0, 0, 2**63 - 1, 0.0), (0, 0, 1, "x")]
)  # fmt: skip
def test_arguments_that_cannot_be_meant_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        Inlet(*arguments)


def test_an_inlet_that_is_half_made_or_made_twice_is_refused(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    half = Inlet.__new__(Inlet)
    for call in (half.read_now, lambda: half.read(0.0, False), lambda: inlet(pair[0], wakeup).__init__(0, 0, 1, 0.0)):
        with pytest.raises(ValueError, match=r"Inlet|once"):
            call()
    with pytest.raises(TypeError):
        inlet(pair[0], wakeup).read("soon", False)


def test_two_threads_cannot_read_at_once(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    reader = inlet(here, wakeup)
    answers: list[object] = []

    def wait() -> None:
        while not answers:
            with contextlib.suppress(ValueError):
                answers.append(reader.read(10.0, False))

    thread = threading.Thread(target=wait)
    thread.start()

    def collide() -> None:
        for _ in range(100_000):
            reader.read(0.0, False)

    with pytest.raises(ValueError, match="in use"):
        collide()
    there.sendall(b"x")
    thread.join()
    assert answers == [b"x"]


_SENDER = """
import mmap, os, socket, struct, sys, time
with open(sys.argv[1], "r+b") as shared, socket.socket(fileno=int(sys.argv[2])) as sock:
    steps = mmap.mmap(shared.fileno(), 2)
    while not steps[0]:
        time.sleep(0.001)
    sock.sendall(bytes.fromhex(sys.argv[3]))
    time.sleep(0.05)  # it is read by now, and the interpreter waited for
    if sys.argv[4]:
        sock.sendall(bytes.fromhex(sys.argv[4]))
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    time.sleep(0.05)
    steps[1] = 1
"""


@pytest.mark.parametrize("then", ["more", "a reset"])
def test_what_comes_while_the_interpreter_is_waited_for_is_read_as_well(
    wakeup: Wakeup, tmp_path: Path, then: str
) -> None:
    """Beside a thread that never waits it would be waited for once more, a switch interval each time."""
    first, second = server_frame(b"a" * 200), server_frame(b"b" * 200)
    shared = tmp_path / "steps"
    shared.write_bytes(bytes(2))
    interval = sys.getswitchinterval()
    answers: list[Any] = []
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        there = stack.enter_context(socket.create_connection(listener.getsockname()))
        here = stack.enter_context(listener.accept()[0])
        arguments = [str(shared), str(there.fileno()), first.hex(), second.hex() if then == "more" else ""]
        sender = subprocess.Popen([sys.executable, "-c", _SENDER, *arguments], pass_fds=[there.fileno()])
        stack.callback(sender.wait)
        there.close()
        steps = stack.enter_context(mmap.mmap(stack.enter_context(shared.open("r+b")).fileno(), 2))
        reading = inlet(here, wakeup, size=4096, splits=True)
        reader = threading.Thread(target=lambda: answers.append(messages_of(reading.read(10.0, False))))
        reader.start()
        stack.callback(reader.join)
        time.sleep(0.1)  # it waits for the socket
        sys.setswitchinterval(100.0)
        try:
            steps[0] = 1
            until = time.monotonic() + 20.0
            while not steps[1] and time.monotonic() < until:  # never lets go of the interpreter
                pass
        finally:
            sys.setswitchinterval(interval)
        reader.join(10.0)

        if then == "more":
            assert answers == [[b"a" * 200, b"b" * 200]]
            assert reading.reads == 2
        else:
            assert answers == [[b"a" * 200]]
            with pytest.raises(ConnectionResetError):
                reading.read(5.0, False)
            assert reading.problem == errno.ECONNRESET
