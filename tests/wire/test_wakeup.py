"""A wake-up is seen once set, however often it was set, and is never lost."""

from __future__ import annotations

import select
import socket
import threading

import pytest

from upbit_ws.wire.wakeup import Wakeup


def is_readable(wakeup: Wakeup, timeout: float = 0.0) -> bool:
    return bool(select.select([wakeup], [], [], timeout)[0])


def test_it_is_readable_from_set_to_clear(wakeup: Wakeup) -> None:
    assert not is_readable(wakeup)
    wakeup.set()
    wakeup.set()
    assert is_readable(wakeup)
    wakeup.clear()
    assert not is_readable(wakeup)
    wakeup.set()
    assert is_readable(wakeup)


def test_clearing_what_is_not_set_changes_nothing(wakeup: Wakeup) -> None:
    wakeup.clear()
    wakeup.set()
    assert is_readable(wakeup)


def test_a_set_in_the_middle_of_a_clear_does_not_silence_the_next_one(wakeup: Wakeup) -> None:
    class SetFirst(socket.socket):
        """Lets another thread set just before the read."""

        def recv(self, *arguments: int) -> bytes:
            wakeup.set()
            return super().recv(*arguments)

    reader = wakeup._reader
    wakeup._reader = SetFirst(fileno=reader.detach())
    wakeup._reader.setblocking(False)
    wakeup.set()
    wakeup.clear()
    wakeup.set()
    assert is_readable(wakeup)


def test_any_number_of_threads_wakes_and_no_wake_up_is_lost(wakeup: Wakeup) -> None:
    posted: list[int] = []
    seen: set[int] = set()

    def post(base: int) -> None:
        for number in range(base, base + 500):
            posted.append(number)
            wakeup.set()

    threads = [threading.Thread(target=post, args=(base,)) for base in range(0, 4000, 500)]
    for thread in threads:
        thread.start()
    while len(seen) < 4000:
        # A lost wake-up shows here: something was posted and nothing becomes readable.
        assert is_readable(wakeup, timeout=5.0)
        wakeup.clear()
        seen.update(posted)
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("has_poll", [True, False])
def test_waiting_ends_with_a_set_and_clears_it(wakeup: Wakeup, has_poll: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_poll:
        monkeypatch.delattr(select, "poll")
    assert not wakeup.wait(0.0)
    assert not wakeup.wait(-1.0)
    thread = threading.Thread(target=wakeup.set)
    thread.start()
    assert wakeup.wait(None)
    assert not wakeup.wait(0.01)
    thread.join()


def test_setting_for_an_owner_that_reads_no_more_does_nothing(wakeup: Wakeup) -> None:
    wakeup._reader.close()
    wakeup.set()


def test_setting_after_close_does_nothing_and_closing_twice_neither() -> None:
    wakeup = Wakeup()
    wakeup.close()
    wakeup.close()
    wakeup.set()


def test_a_set_under_way_during_close_never_writes_into_a_strangers_descriptor() -> None:
    wakeup = Wakeup()
    writer = wakeup._writer  # as held by a thread that is inside `set`
    assert writer is not None
    number = writer.fileno()
    wakeup.close()
    left, right = socket.socketpair()
    with left, right:
        assert number not in (left.fileno(), right.fileno())
        assert writer.fileno() == number
    del writer
