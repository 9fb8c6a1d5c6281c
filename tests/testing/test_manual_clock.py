"""The clock that users get for their own tests."""

from __future__ import annotations

import pytest

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.testing import ManualClock


def test_time_passes_on_both_clocks_only_when_told() -> None:
    clock = ManualClock(10.0, wall=1000.0)

    assert (clock(), clock.wall()) == (10.0, 1000.0)
    assert clock.advance(2.5) == 12.5
    assert (clock(), clock.wall()) == (12.5, 1002.5)


def test_turning_the_wall_clock_leaves_monotonic_time_alone() -> None:
    clock = ManualClock(10.0, wall=1000.0)
    clock.set_wall(0.0)

    assert (clock(), clock.wall()) == (10.0, 0.0)


def test_monotonic_time_does_not_go_back() -> None:
    clock = ManualClock(10.0)
    with pytest.raises(InvalidArgumentError, match="negative"):
        clock.advance(-1.0)
    assert repr(clock) == "ManualClock(10)"
