"""Logging errors of user code without flooding: each kind in full once, then a count from time to time."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Hashable
from typing import Final

from upbit_ws.shared.locks import make_lock

__all__ = ["ErrorLog", "signature_of"]

logger = logging.getLogger("upbit_ws")

_REPEAT_AFTER: Final = 60.0
_KINDS_KEPT: Final = 256


def signature_of(where: str, error: BaseException) -> Hashable:
    """Two errors of one signature come from the same line of the same callback and are of one type."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    return where, type(error), None if last is None else (last.filename, last.lineno)


class ErrorLog:
    """Logs errors by signature: the first with its traceback, later ones as a number once a minute."""

    def __init__(self) -> None:
        #: Guards the table.
        self._lock = make_lock("error-log", 70)
        #: Signature -> how often since it was last logged, and when that was. Oldest first, bounded.
        self._kinds: dict[Hashable, tuple[int, float]] = {}

    def report(self, where: str, error: BaseException, now: float) -> None:
        """Log `error`, which `where` raised, unless its like was logged within the last minute."""
        unsaid = self._count(signature_of(where, error), now)
        if unsaid is None:
            return
        if unsaid == 0:
            logger.error("! %s raised %r", where, error, exc_info=error)
        else:
            logger.error("! %s raised %s, %d times since this was last logged", where, type(error).__name__, unsaid)

    def _count(self, signature: Hashable, now: float) -> int | None:
        """None: say nothing now. 0: say it in full. Else how often it happened and was not said."""
        with self._lock:
            known = self._kinds.pop(signature, None)
            if known is None:
                if len(self._kinds) >= _KINDS_KEPT:
                    del self._kinds[next(iter(self._kinds))]
                self._kinds[signature] = (0, now)
                return 0
            unsaid, said_at = known[0] + 1, known[1]
            is_due = now - said_at >= _REPEAT_AFTER
            self._kinds[signature] = (0, now) if is_due else (unsaid, said_at)
            return unsaid if is_due else None
