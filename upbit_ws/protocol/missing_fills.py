"""When to look up an order of which a fill is missing, and when to give up.

The fill may be on its way still, or REST may be behind the stream: an order is looked up a few times, at growing
distances. Where the order itself does not list then what it counts, its events need not wait for that any more, until
more fills are missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from upbit_ws.records import frozen

__all__ = ["MissingFills"]

#: Seconds from one look to the next.
_PAUSES: Final = (0.25, 1.0)
_NEVER: Final = float("inf")


@frozen
class _Looks:
    """What was done about one order."""

    missing: int
    times: int
    again_at: float


class MissingFills:
    """One thread looks (`due`, `asked`); any thread may read (`awaited`).

    `incomplete`, which all methods take, says how many fills are missing of which orders.
    """

    def __init__(self) -> None:
        #: Replaced as a whole, so that it can be read without a lock.
        self._looks: Mapping[str, _Looks] = {}

    def awaited(self, incomplete: Mapping[str, int]) -> Collection[str]:
        """The orders whose missing fills may still be found."""
        if not incomplete:
            return ()
        looks = self._looks
        return {uuid for uuid, missing in incomplete.items() if _again_at(looks.get(uuid), missing) != _NEVER}

    def due(self, incomplete: Mapping[str, int], now: float) -> list[str]:
        """Those to look up now."""
        return [uuid for uuid, missing in incomplete.items() if _again_at(self._looks.get(uuid), missing) <= now]

    def next_at(self, incomplete: Mapping[str, int]) -> float:
        """When `due` has something at the earliest; infinity for never."""
        return min((_again_at(self._looks.get(uuid), missing) for uuid, missing in incomplete.items()), default=_NEVER)

    def asked(self, uuid: str, missing: int, incomplete: Mapping[str, int], now: float) -> bool:
        """An order was looked up when so many of its fills were missing. False where the rest of them is given up."""
        looks = {other: one for other, one in self._looks.items() if other in incomplete}
        before = looks.pop(uuid, None)
        again_at = 0.0
        if uuid in incomplete:
            times = before.times if before is not None and before.missing == missing else 0
            again_at = now + _PAUSES[times] if times < len(_PAUSES) else _NEVER
            looks[uuid] = _Looks(missing, times + 1, again_at)
        self._looks = looks
        return again_at != _NEVER


def _again_at(looks: _Looks | None, missing: int) -> float:
    return looks.again_at if looks is not None and looks.missing >= missing else float("-inf")
