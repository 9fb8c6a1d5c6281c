"""How long a written message takes to become visible, from looks at random moments.

A thread that looks all the time would measure itself: it competes with the reader for the interpreter. One look per
message disturbs nothing, and each look says of one message only whether it was visible at that age. From many looks at
random ages the distribution follows (current status data; the maximum likelihood estimate is an isotonic regression).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import groupby

from attrs import define, frozen


@frozen
class Look:
    """At `at` (microseconds) the newest visible message was number `seen`."""

    at: int
    seen: int


@define
class _Block:
    """Neighbouring ages that share one estimate."""

    age: int
    visible: int
    count: int

    @property
    def share(self) -> float:
        return self.visible / self.count


def statuses(looks: Sequence[Look], written: Mapping[int, int]) -> list[tuple[int, bool]]:
    """For each look, the age of the last message written before it, and whether that one was visible.

    `written` is number -> write time; numbers ascend with time.
    """
    numbers = sorted(written)
    times = [written[number] for number in numbers]
    found = []
    for look in looks:
        place = bisect_right(times, look.at) - 1
        if 0 <= place < len(times) - 1 or (place == len(times) - 1 and look.seen >= numbers[place]):
            found.append((look.at - times[place], look.seen >= numbers[place]))
    return found


def quantiles(found: Sequence[tuple[int, bool]]) -> dict[str, float]:
    """p50, p90 and p99 of the delay in microseconds, as far as looks at greater ages bear them out."""
    blocks: list[_Block] = []
    for age, group in groupby(sorted(found, key=lambda status: status[0]), key=lambda status: status[0]):
        members = [visible for _, visible in group]
        blocks.append(_Block(age, sum(members), len(members)))
        # The share visible cannot fall with age: pool neighbours until it does not.
        while len(blocks) > 1 and blocks[-2].share >= blocks[-1].share:
            last = blocks.pop()
            blocks[-1].visible += last.visible
            blocks[-1].count += last.count
    result: dict[str, float] = {"count": len(found)}
    for name, wanted in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        reached = next((block.age for block in blocks if block.share >= wanted), None)
        if reached is not None:
            result[name] = reached
    return result
