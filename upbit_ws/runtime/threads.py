"""Where every thread of the package is made, and how the process ends.

All threads are daemons: a user's program ends when its main thread does, also with a callback that never returns. One
`atexit` hook gives whatever is still open a bounded chance to say goodbye. A forked child inherits no thread; what it
inherited of the SDK is dead there and says so.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol

__all__ = ["Closable", "call_after_fork", "close_at_exit", "spawn"]

logger = logging.getLogger("upbit_ws")

_EXIT_BUDGET: Final = 1.0


class Closable(Protocol):
    """What can be closed at exit and abandoned in a forked child."""

    def close(self, timeout: float = ...) -> None: ...

    def abandon_after_fork(self) -> None: ...


#: Everything that is open. Weak: a forgotten manager must not live until the end of the process.
_open: weakref.WeakSet[Any] = weakref.WeakSet()


def spawn(name: str, run: Callable[[], None], *, on_crash: Callable[[BaseException], None]) -> threading.Thread:
    """Start a daemon thread. What escapes `run` is logged and handed to `on_crash`; a thread never dies in silence."""

    def body() -> None:
        try:
            run()
        except BaseException as error:  # the last line of defence of a thread: nobody else would ever hear of it
            logger.critical("! thread %s ended by an error: %r", name, error, exc_info=True)
            on_crash(error)

    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()
    return thread


def close_at_exit(closable: Closable) -> None:
    """Close this when the process ends, and abandon it in forked children."""
    _open.add(closable)


def call_after_fork(renew: Callable[[], None]) -> None:
    """Have forked children call this before anything else, where there is such a thing as a fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


def _close_all() -> None:
    for closable in list(_open):
        closable.close(timeout=_EXIT_BUDGET)


def _abandon_all() -> None:
    for closable in list(_open):
        closable.abandon_after_fork()
    _open.clear()


atexit.register(_close_all)
call_after_fork(_abandon_all)
