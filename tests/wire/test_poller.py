"""Both ways of waiting say the same."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator

import pytest

from upbit_ws.wire.poller import Poller, SelectPoller, make_poller
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
