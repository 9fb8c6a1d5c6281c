"""Budgets that all processes of a user on this machine share, in a small file.

Upbit counts connects and quotation calls by address (rate-limits page), so five processes that each keep within five
connects a second are refused together. Each reservation locks the file, reads it, decides, and writes it: some tens of
microseconds. Nobody waits for the lock: who finds it taken is told to ask again in a moment. The clock is the
monotonic one, which processes of one machine share; what a file from before a restart says lies in the future, or so
far in the past that it does not matter.

Where the file cannot be used (no home directory, a file system without locks, somebody holding the lock for seconds),
the process keeps its own budget, and says so once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from upbit_ws.protocol.rate_limit import GROUPS, GroupState, RateGroup
from upbit_ws.shared.file_lock import locked_file
from upbit_ws.shared.upbit_rate_limiter import Limits, LocalBackend

__all__ = ["FileBackend"]

logger = logging.getLogger("upbit_ws")

_T = TypeVar("_T")

#: How often the lock is tried at once; the one who has it is done sooner than that.
_TRIES: Final = 20
#: How soon to ask again where the file is busy (seconds), and for how long that goes on before it is given up.
_BUSY_DELAY: Final = 0.005
_BUSY_PATIENCE: Final = 2.0


class FileBackend:
    """A `RateBackend` in a file. Scoped budgets (messages, counted per connection) stay in this process.

    Args:
        path: The file; it and its folder are made when first needed.
        limits: The windows of each group.
    """

    def __init__(self, path: Path, limits: Limits = GROUPS) -> None:
        self._path = path
        self._local = LocalBackend(limits)
        self._busy_since: float | None = None
        #: What the exchange said while the file was busy, to be written when it is not.
        self._pending: list[tuple[str, Callable[[RateGroup], object]]] = []
        self._has_complained = False

    def __repr__(self) -> str:
        return f"<FileBackend {self._path.name}>"

    def reserve(self, group: str, scope: str, now: float) -> float:
        """See `RateBackend`. Also positive where the file is busy."""
        if scope:
            return self._local.reserve(group, scope, now)
        wait = self._shared(group, now, lambda budget: budget.reserve(now))
        if wait is not None:
            self._busy_since = None
            return wait
        if self._busy_since is None:
            self._busy_since = now
        if now - self._busy_since < _BUSY_PATIENCE:
            return _BUSY_DELAY
        self._complain("somebody does not let go of it")
        return self._local.reserve(group, scope, now)

    def penalize(self, group: str, scope: str, status: int, retry_after: float | None, now: float) -> float:
        """See `RateBackend`."""

        def penalized(budget: RateGroup) -> float:
            return budget.penalize(status, retry_after, now)

        if scope:
            return self._local.penalize(group, scope, status, retry_after, now)
        until = self._shared(group, now, penalized)
        if until is None:
            self._pending.append((group, penalized))
            return self._local.penalize(group, scope, status, retry_after, now)
        return until

    def narrow(self, group: str, scope: str, left: int, now: float) -> None:
        """See `RateBackend`."""
        if scope:
            self._local.narrow(group, scope, left, now)
        else:
            # Not worth keeping where the file is busy: it holds for less than a second.
            self._shared(group, now, lambda budget: budget.narrow(left, now))

    def forget(self, group: str, scope: str) -> None:
        """See `RateBackend`."""
        self._local.forget(group, scope)

    def _shared(self, group: str, now: float, decide: Callable[[RateGroup], _T]) -> _T | None:
        """Decide on the budget that all share; None where the file is busy or out of order."""
        try:
            return self._try(group, now, decide)
        except FileNotFoundError:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                return self._try(group, now, decide)
            except OSError as error:
                self._complain(str(error))
        except OSError as error:
            self._complain(str(error))
        return decide(self._local.group(group))

    def _try(self, group: str, now: float, decide: Callable[[RateGroup], _T]) -> _T | None:
        for _ in range(_TRIES):
            with locked_file(self._path) as file:
                if file is None:
                    continue
                states = _parsed(file.read(), now)
                for name, late in self._pending:
                    self._decided(states, name, now, late)
                self._pending.clear()
                result = self._decided(states, group, now, decide)
                file.write(_written(states))
                return result
        return None

    def _decided(self, states: dict[str, GroupState], name: str, now: float, decide: Callable[[RateGroup], _T]) -> _T:
        budget = self._local.group(name)
        if name in states:
            budget.restore(states[name], now)
        result = decide(budget)
        states[name] = budget.state()
        return result

    def _complain(self, problem: str) -> None:
        if not self._has_complained:
            self._has_complained = True
            logger.warning("! rate limits are not shared with other processes: %s", problem)


def _parsed(content: bytes, now: float) -> dict[str, GroupState]:
    """What the file says. A file that says nothing readable may have been anything: all budgets count as used up."""
    if not content.strip():
        return {}
    try:
        return {str(name): _state(facts) for name, facts in orjson.loads(content).items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {
            name: GroupState({period: (now,) * limit for limit, period in windows}) for name, windows in GROUPS.items()
        }


def _state(facts: dict[str, Any]) -> GroupState:
    grants = {float(period): tuple(map(float, moments)) for period, moments in facts["grants"].items()}
    blocked_until = facts["blocked_until"]
    return GroupState(grants, float("-inf") if blocked_until is None else float(blocked_until), int(facts["strikes"]))


def _written(states: dict[str, GroupState]) -> bytes:
    facts = {
        name: {
            "grants": {str(period): moments for period, moments in state.grants.items()},
            "blocked_until": None if state.blocked_until == float("-inf") else state.blocked_until,
            "strikes": state.strikes,
        }
        for name, state in states.items()
    }
    return orjson.dumps(facts)
