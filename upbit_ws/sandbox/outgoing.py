"""One message on its way out, shared by everybody who gets it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from websockets.frames import Frame, Opcode

__all__ = ["Outgoing", "grouped_into_arrays"]


class Outgoing:
    """
    A payload, and the frame around it once somebody needs it.

    Args:
        payload: UTF-8 JSON.
        is_element: it is an element of an array that is still to be put together.
    """

    __slots__ = ("_frames", "is_element", "payload")

    def __init__(self, payload: bytes, *, is_element: bool = False) -> None:
        self.payload = payload
        self.is_element = is_element
        self._frames: dict[int, bytes] = {}

    def frame(self, opcode: int) -> bytes:
        """The uncompressed frame, which is the same for every reader."""
        frame = self._frames.get(opcode)
        if frame is None:
            frame = self._frames[opcode] = Frame(Opcode(opcode), self.payload).serialize(mask=False)
        return frame


def grouped_into_arrays(waiting: Iterable[Outgoing], size: int) -> Iterator[Outgoing]:
    """Elements that follow each other as arrays of up to `size`, everything else as it is."""
    elements: list[bytes] = []
    for outgoing in waiting:
        if outgoing.is_element:
            elements.append(outgoing.payload)
            continue
        yield from _arrays(elements, size)
        elements.clear()
        yield outgoing
    yield from _arrays(elements, size)


def _arrays(elements: list[bytes], size: int) -> Iterator[Outgoing]:
    remaining = iter(elements)
    while chunk := list(islice(remaining, size)):
        yield Outgoing(b"[" + b",".join(chunk) + b"]")
