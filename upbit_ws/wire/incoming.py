"""The reading half of a connection: waits for its socket and the wake-up, reads, and hands out what is split already.

One way of doing it is in C (`Inlet`, see `upbit_ws.wire.poller`): it waits, reads and splits in one call. The other one
polls and reads. What was read while waiting is kept here until it is taken.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from upbit_ws.wire.poller import Inlet, make_poller
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["Incoming", "Intake", "Read"]

#: Messages, and the bytes behind them: None where nothing follows, empty at the end of the stream.
Read = tuple["Sequence[bytes]", "bytes | None"]

_READABLE = (True, False)
_NOTHING = (False, False)
#: Of the numbers that `Inlet.read` answers.
_WOKEN = 2


class Intake(Protocol):
    """Takes what an inlet reads, see `protocol/speedups/intake.h`."""

    def serve(self, inlet: Any, timeout: float | None, is_flowing: bool) -> Any:
        """As `Inlet.read`, again and again while it can do with the messages; None where that ended by itself."""


class Incoming:
    """What comes in on one socket. Owned by the thread that owns the connection.

    Args:
        size: bytes of a read into a buffer that is there already.
        object_size: bytes of a read that makes an object.
        coalesce: seconds to let bytes gather before a read.
    """

    def __init__(
        self, sock: socket.socket, wakeup: Wakeup, *, size: int, object_size: int, coalesce: float
    ) -> None:
        self._sock = sock
        self._recv = sock.recv
        self._object_size = object_size
        self._coalesce = coalesce
        self._wakeup = wakeup
        self._poller = make_poller(sock, wakeup)
        self._inlet = Inlet and Inlet(sock.fileno(), wakeup.fileno(), size, coalesce)
        #: What `wait` has read already: messages and nothing else, or bytes behind them too.
        self._whole: Sequence[bytes] | None = None
        self._early: Read | None = None
        #: With `coalesce`: the last wait ended with bytes, so the next ones are probably on their way.
        self._is_flowing = False
        self._bytes_received = self._reads = 0

    @property
    def bytes_received(self) -> int:
        """Bytes that were read."""
        return self._bytes_received + (self._inlet.bytes_received if self._inlet is not None else 0)

    @property
    def reads(self) -> int:
        """System calls that read something."""
        return self._reads + (self._inlet.reads if self._inlet is not None else 0)

    @property
    def holds_some(self) -> bool:
        """Whether something was read that nobody has taken."""
        return self._whole is not None or self._early is not None

    def rewire(self, wakeup: Wakeup) -> None:
        """Another thread owns the connection from now on, and this wakes it."""
        self._wakeup = wakeup
        self._poller = make_poller(self._sock, wakeup)
        if self._inlet is not None:
            self._inlet.wake_fd = wakeup.fileno()

    def split(self, is_splitting: bool) -> None:
        """Whether the next byte begins a frame and common frames need no look by others: then they are split off."""
        if self._inlet is not None:
            self._inlet.is_splitting = is_splitting

    # -- waiting: (whether to read, whether somebody set the wake-up, which is clear again) ----------------------------

    def wait(
        self, timeout: float | None, intake: Intake | None, wants_write: bool, flush: Callable[[], object]
    ) -> tuple[bool, bool]:
        """Wait at most `timeout` seconds, and call `flush` where something is to be sent and can be.

        Args:
            intake: Gets messages that are read at once, as long as it can do with them.

        Raises:
            OSError: the socket failed.
        """
        if self._inlet is not None and not wants_write:
            # Wait and read in one call, as nearly always nothing is to be sent.
            return self._wait_and_read(timeout, intake)
        if self._coalesce:
            return self._wait_and_gather(timeout, wants_write, flush)
        return self.poll(timeout, wants_write, flush)

    def poll(self, timeout: float | None, wants_write: bool, flush: Callable[[], object]) -> tuple[bool, bool]:
        """The same, and nothing is read nor gathered meanwhile."""
        readable, writable, woken = self._poller.wait(timeout, wants_write)
        if readable and not woken and not writable:
            return _READABLE
        if woken:
            self._wakeup.clear()
        if writable:
            flush()
        return readable, woken

    def _wait_and_read(self, timeout: float | None, intake: Intake | None) -> tuple[bool, bool]:
        if intake is None:
            found = self._inlet.read(timeout, self._is_flowing)
        else:
            try:
                found = intake.serve(self._inlet, timeout, self._is_flowing)
            except OSError as error:
                if self._inlet.problem:
                    raise
                raise RuntimeError("filing failed") from error  # not of the socket: a bug
        if type(found) is int:
            self._is_flowing = False
            if found >= _WOKEN:
                self._wakeup.clear()
            return bool(found & 1), found >= _WOKEN
        self._is_flowing = self._coalesce > 0.0
        if found is None:
            return _NOTHING
        if found is self._inlet:
            self._whole = found
        else:
            self._early = _read_of(found)
        return _READABLE

    def _wait_and_gather(
        self, timeout: float | None, wants_write: bool, flush: Callable[[], object]
    ) -> tuple[bool, bool]:
        """Let bytes gather before they are read."""
        if self._is_flowing:
            # They come all the time: no need to wake for the first one.
            flush()
            woken = self._wakeup.wait(self._coalesce)
            readable = self._poller.wait(0.0, False)[0]
        else:
            readable, writable, woken = self._poller.wait(timeout, wants_write)
            if writable:
                flush()
            if woken:
                self._wakeup.clear()
            elif readable:
                woken = self._wakeup.wait(self._coalesce)
        self._is_flowing = readable
        return readable, woken

    # -- reading -------------------------------------------------------------------------------------------------------

    def take_whole(self) -> Sequence[bytes] | None:
        """Messages that were read while waiting, with nothing behind them."""
        whole, self._whole = self._whole, None
        return whole

    def read(self) -> Read:
        """What was read while waiting, or else one read.

        Raises:
            BlockingIOError: nothing is there.
            OSError: the socket failed.
        """
        early, self._early = self._early, None
        if early is not None:
            return early
        if self._inlet is not None:
            return _read_of(self._inlet.read_now())
        data = self._recv(self._object_size)
        self._reads += 1
        self._bytes_received += len(data)
        return [], data


def _read_of(found: Sequence[bytes] | bytes | Read) -> Read:
    """An answer of an inlet."""
    if isinstance(found, tuple):
        return found
    return ([], found) if isinstance(found, bytes) else (found, None)
