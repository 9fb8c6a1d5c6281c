"""A byte in a socket pair: how any thread makes the owner of a connection look up from its poll."""

from __future__ import annotations

import contextlib
import select
import socket

__all__ = ["Wakeup"]

_DRAIN = 4096


class _Writer(socket.socket):
    """The sending end, closed when the last thread that holds it lets go.

    Closing it at a fixed moment would race with a `set` under way in another thread: the descriptor's number could be
    given to a new connection in between, and the byte would land inside that connection's stream.
    """

    def __del__(self) -> None:
        self.close()


class Wakeup:
    """Wakes one waiting thread. `set` may be called from any thread and from a signal handler; the rest is the owner's.

    The rule that makes a wake-up impossible to lose: whoever sets puts the work in place first, and the owner calls
    `clear` first and looks for work afterwards.
    """

    __slots__ = ("_is_set", "_poll", "_reader", "_writer")

    def __init__(self) -> None:
        self._reader, writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer: _Writer | None = _Writer(writer.family, writer.type, writer.proto, writer.detach())
        self._writer.setblocking(False)
        #: Saves the system call when the owner has not looked yet. False while a byte is there costs a spare byte;
        #: True while none is there would lose a wake-up, so `clear` reads first and resets afterwards.
        self._is_set = False
        #: Only here may it be missing: Windows has no `poll`.
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(self._reader, select.POLLIN)

    def set(self) -> None:
        """Make `fileno` readable. Cheap when it is already, and nothing after `close`."""
        if self._is_set:
            return
        writer = self._writer
        if writer is None:
            return
        self._is_set = True
        try:
            writer.send(b"\0")
        except OSError:
            # Full: the owner has thousands of bytes to see. Broken: the owner has closed and looks no more.
            return

    def clear(self) -> None:
        """Make `fileno` unreadable until the next `set`."""
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(_DRAIN)
        self._is_set = False

    def wait(self, timeout: float | None) -> bool:
        """Block until it is set, at most `timeout` seconds; clear it. True where it was set."""
        if self._poll is not None:
            milliseconds = None if timeout is None else timeout * 1000.0 if timeout > 0.0 else 0.0
            was_set = bool(self._poll.poll(milliseconds))
        else:
            was_set = bool(select.select([self._reader], [], [], None if timeout is None else max(timeout, 0.0))[0])
        if was_set:
            self.clear()
        return was_set

    def fileno(self) -> int:
        """The descriptor to wait on for reading."""
        return self._reader.fileno()

    def close(self) -> None:
        """Release both descriptors. Idempotent; a later `set` does nothing."""
        self._writer = None
        self._reader.close()
