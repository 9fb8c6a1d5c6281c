"""Waiting for a socket and a wake-up at once, with one system call.

`select.poll` where there is one (it has no limit on descriptor numbers; `select` fails above 1,023), `select.select`
on Windows, where it has no such limit.
"""

from __future__ import annotations

import select
import socket
from typing import Any, Final

from upbit_ws._extension import speedups
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["Inlet", "Poller", "SelectPoller", "make_poller"]

#: Waits, reads and splits in one call, see `protocol/speedups/inlet.h`; None without the extension, and on Windows.
Inlet: Final[Any] = getattr(speedups, "Inlet", None)

#: Milliseconds that `poll` can count; whoever waits for longer, or for ever, looks again after 24 days.
_LONGEST = 2**31 - 1


_READABLE = (True, False, False)


class Poller:
    """Waits on `poll`, in which both descriptors are registered once."""

    __slots__ = ("_only_readable", "_poll", "_poll_now", "_socket_fd", "_wakeup_fd", "_wants_write")

    def __init__(self, sock: socket.socket, wakeup: Wakeup | None) -> None:
        self._poll = select.poll()
        self._poll_now = self._poll.poll
        self._socket_fd = sock.fileno()
        self._wakeup_fd = -1
        self._wants_write = False
        self._poll.register(self._socket_fd, select.POLLIN)
        #: The usual answer: bytes on the socket and nothing else.
        self._only_readable = [(self._socket_fd, select.POLLIN)]
        if wakeup is not None:
            self._wakeup_fd = wakeup.fileno()
            self._poll.register(self._wakeup_fd, select.POLLIN)

    def wait(self, timeout: float | None, wants_write: bool) -> tuple[bool, bool, bool]:
        """Whether the socket can be read, can be written (asked only with `wants_write`), and whether we were woken.

        Args:
            timeout: seconds, rounded up to milliseconds; None waits without end.
        """
        if wants_write is not self._wants_write:
            self._wants_write = wants_write
            self._poll.modify(self._socket_fd, select.POLLIN | select.POLLOUT if wants_write else select.POLLIN)
        if timeout is not None:
            timeout = timeout * 1000.0 if timeout > 0.0 else 0.0
            if timeout > _LONGEST:
                timeout = _LONGEST
        found = self._poll_now(timeout)
        if found == self._only_readable:
            return _READABLE
        readable = writable = woken = False
        for descriptor, events in found:
            if descriptor == self._wakeup_fd:
                woken = True
                continue
            # An error or a hang-up is found out by reading: POLLERR, POLLHUP and POLLNVAL count as readable.
            readable = bool(events & ~select.POLLOUT)
            writable = wants_write and bool(events & (select.POLLOUT | select.POLLERR | select.POLLHUP))
        return readable, writable, woken


class SelectPoller:
    """The same with `select.select`."""

    __slots__ = ("_socket", "_wakeup")

    def __init__(self, sock: socket.socket, wakeup: Wakeup | None) -> None:
        self._socket = sock
        self._wakeup = wakeup

    def wait(self, timeout: float | None, wants_write: bool) -> tuple[bool, bool, bool]:
        """See `Poller.wait`."""
        reading: list[socket.socket | Wakeup] = [self._socket]
        if self._wakeup is not None:
            reading.append(self._wakeup)
        writing = [self._socket] if wants_write else []
        # A failed connect shows as an exceptional condition on Windows, not as writable.
        can_read, can_write, failed = select.select(
            reading, writing, writing, None if timeout is None else min(max(timeout, 0.0), _LONGEST / 1000.0)
        )
        return (
            self._socket in can_read,
            bool(can_write or failed),
            self._wakeup is not None and self._wakeup in can_read,
        )


def make_poller(sock: socket.socket, wakeup: Wakeup | None) -> Poller | SelectPoller:
    """The best way of waiting that this platform has."""
    return Poller(sock, wakeup) if hasattr(select, "poll") else SelectPoller(sock, wakeup)
