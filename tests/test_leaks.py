"""The guard over the tests is itself seen to bite."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.leaks import Census


def test_nothing_left_behind_is_no_leak() -> None:
    before = Census.take()
    thread = threading.Thread(target=lambda: None, name="short")
    thread.start()
    with socket.socket():
        pass

    assert before.leaks() == []
    thread.join()


def test_a_thread_that_ends_within_the_patience_is_waited_for() -> None:
    before = Census.take()
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="slow-to-end")
    thread.start()
    timer = threading.Timer(0.05, release.set)
    timer.start()

    assert before.leaks(patience=5.0) == []


def test_a_thread_that_goes_on_is_named() -> None:
    before = Census.take()
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="upbit-ws-io-public", daemon=True)
    thread.start()
    try:
        assert before.leaks(patience=0.01) == ["thread 'upbit-ws-io-public' (daemon: True)"]
    finally:
        release.set()
        thread.join()


@pytest.mark.linux
def test_an_open_socket_is_named() -> None:
    before = Census.take()
    with socket.socket():
        (leak,) = before.leaks(patience=0.0)

    assert leak.startswith("file descriptor socket:[")


@pytest.mark.linux
def test_a_socket_replaced_by_another_is_still_a_leak() -> None:
    """Equal numbers of descriptors are not enough."""
    first = socket.socket()
    before = Census.take()
    first.close()
    with socket.socket():
        assert len(before.leaks(patience=0.0)) == 1
