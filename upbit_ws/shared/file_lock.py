"""A file that processes take turns with. The system releases it when a process ends, however it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["LockedFile", "locked_file"]

_LARGEST: Final = 65_536
_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class LockedFile:
    """The open file while it is ours."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self) -> bytes:
        """What it holds."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return os.read(self._descriptor, _LARGEST)

    def write(self, content: bytes) -> None:
        """Replace what it holds. One call of the system, so that a process killed in between leaves no half of it."""
        size = os.fstat(self._descriptor).st_size
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, content.ljust(size))


@contextmanager
def locked_file(path: Path) -> Iterator[LockedFile | None]:
    """Open a file and lock it, without waiting: None where another process has it at this moment.

    Raises:
        OSError: it cannot be opened, or the file system has no locks.
    """
    descriptor = os.open(path, _FLAGS, 0o600)
    is_ours = False
    try:
        is_ours = _try_lock(descriptor)
        yield LockedFile(descriptor) if is_ours else None
    finally:
        # Closing alone would not do: where another thread forks just now, the child has the file open as well.
        if is_ours:
            _unlock(descriptor)
        os.close(descriptor)


if sys.platform == "win32":  # pragma: no cover  (the other branch is what this project is tested on)
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _LARGEST, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _LARGEST, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
