"""Both ways of waiting say the same."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator

import pytest

from upbit_ws.wire.poller import Poller, SelectPoller, make_poller, read_when_ready
from upbit_ws.wire.wakeup import Wakeup

KINDS = [pytest.param(Poller, marks=pytest.mark.skipif(not hasattr(select, "poll"), reason="no poll")), SelectPoller]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


@pytest.mark.parametrize("kind", KINDS)
def test_each_event_is_told_apart(
    kind: type[Poller], pair: tuple[socket.socket, socket.socket], wakeup: Wakeup
) -> None:
    here, there = pair
    poller = kind(here, wakeup)

    assert poller.wait(0.0, False) == (False, False, False)
    assert poller.wait(0.0, True) == (False, True, False)
    assert poller.wait(0.0, False) == (False, False, False)
    wakeup.set()
    assert poller.wait(None, False) == (False, False, True)
    there.sendall(b"x")
    assert poller.wait(None, False) == (True, False, True)
    assert poller.wait(None, True) == (True, True, True)
    wakeup.clear()
    assert poller.wait(5.0, False) == (True, False, False)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_wake_up_only_the_socket_counts(
    kind: type[Poller], pair: tuple[socket.socket, socket.socket]
) -> None:
    here, there = pair
    poller = kind(here, None)

    assert poller.wait(-1.0, False) == (False, False, False)
    there.close()
    assert poller.wait(5.0, False) == (True, False, False)


@pytest.mark.parametrize("kind", KINDS)
def test_time_is_kept(kind: type[Poller], pair: tuple[socket.socket, socket.socket]) -> None:
    started = time.monotonic()
    kind(pair[0], None).wait(0.05, False)
    assert 0.045 < time.monotonic() - started < 0.5


@pytest.mark.skipif(not hasattr(select, "poll"), reason="no poll")
def test_a_descriptor_that_was_closed_elsewhere_counts_as_readable(pair: tuple[socket.socket, socket.socket]) -> None:
    """Reading then says EBADF, instead of a wait without end."""
    copy = socket.socket(fileno=os.dup(pair[0].fileno()))
    poller = Poller(copy, None)
    os.close(copy.detach())
    assert poller.wait(5.0, False)[0]


def test_the_best_way_is_chosen(pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "poll", raising=False)
    assert isinstance(make_poller(pair[0], None), SelectPoller)


# -- waiting and reading in one call -----------------------------------------------------------------------------------

in_one_call = pytest.mark.skipif(read_when_ready is None, reason="needs the extension, and a system with poll")


def read(sock: socket.socket, wakeup: Wakeup, timeout: float | None, *, pause: float = 0.0, flowing: bool = False) -> object:
    assert read_when_ready is not None
    return read_when_ready(sock.fileno(), wakeup.fileno(), timeout, 100, pause, flowing)


@in_one_call
def test_what_is_there_is_read_at_once(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    there.sendall(b"x" * 150)

    assert read(here, wakeup, None) == b"x" * 100
    assert read(here, wakeup, 5.0) == b"x" * 50
    assert read(here, wakeup, 0.0) == 0
    there.close()
    assert read(here, wakeup, None) == b""


@in_one_call
def test_nothing_is_read_when_there_is_a_wake_up(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    wakeup.set()
    assert read(here, wakeup, None) == 2
    there.sendall(b"x")
    assert read(here, wakeup, None) == 3
    assert read(here, wakeup, None, pause=30.0, flowing=True) == 2  # it did not look
    wakeup.clear()
    assert read(here, wakeup, None) == b"x"


@in_one_call
def test_a_pause_is_made_before_the_read(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    here, there = pair
    there.sendall(b"x")
    started = time.monotonic()
    assert read(here, wakeup, 5.0, pause=0.05) == b"x"
    assert read(here, wakeup, 5.0, pause=0.05, flowing=True) == 0
    assert 0.1 <= time.monotonic() - started < 5.0


@in_one_call
def test_a_failure_of_the_socket_is_its_error(pair: tuple[socket.socket, socket.socket], wakeup: Wakeup) -> None:
    closed = pair[0].detach()
    os.close(closed)
    assert read_when_ready is not None
    with pytest.raises(OSError, match="Bad file descriptor"):
        read_when_ready(closed, wakeup.fileno(), 1.0, 100, 0.0, False)


@in_one_call
@pytest.mark.parametrize(
    "arguments", [(), (-1, 0, 0.0, 1, 0.0, False), (0, 0, 0.0, 0, 0.0, False), (0, 0, "x", 1, 0.0, False), (1 << 40, 0, 0.0, 1, 0.0, False)]
)  # fmt: skip
def test_arguments_that_cannot_be_meant_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        read_when_ready(*arguments)  # type: ignore[misc,arg-type]
