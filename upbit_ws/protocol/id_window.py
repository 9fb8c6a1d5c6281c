"""Which ids came lately: how a log type keeps every payload once without keeping every id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upbit_ws._extension import speedups

__all__ = ["IdWindow"]


class _IdWindow:
    """The last `size` ids that came, and up to as many before them.

    Two generations instead of an ordered set: forgetting costs nothing per id. What is admitted beside them is kept
    apart, so that however many these are, they end no generation.
    """

    __slots__ = ("_beside", "_beside_older", "_largest", "_older", "_recent", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._recent: set[bytes] = set()
        self._older: set[bytes] = set()
        self._beside: set[bytes] = set()
        self._beside_older: set[bytes] = set()
        self._largest = b""

    def admit(self, identity: bytes) -> bool:
        """Whether an id is new; it is remembered."""
        if identity > self._largest and len(identity) == len(self._largest):
            # Nearly always: ids grow with time, so a larger one than any before was not seen before.
            self._largest = identity
        else:
            if identity in self:
                return False
            if len(identity) > len(self._largest):
                self._largest = identity
        self._recent.add(identity)
        if len(self._recent) >= self._size:
            self._older, self._recent = self._recent, set()
            self._beside_older, self._beside = self._beside, set()
        return True

    def admit_beside(self, identity: bytes) -> bool:
        """The same, and no other id is forgotten for it."""
        if identity in self:
            return False
        if (len(identity), identity) > (len(self._largest), self._largest):
            self._largest = identity
        self._beside.add(identity)
        return True

    def __contains__(self, identity: bytes) -> bool:
        if identity in self._recent or identity in self._older:
            return True
        return identity in self._beside or identity in self._beside_older

    def __len__(self) -> int:
        return len(self._recent) + len(self._older) + len(self._beside) + len(self._beside_older)

    def resize(self, size: int) -> None:
        """Remember this many ids from now on."""
        self._size = size


if TYPE_CHECKING:
    IdWindow = _IdWindow
else:
    IdWindow = _IdWindow if speedups is None else speedups.IdWindow
