"""Periodic work: health, metrics, clean-up, and following the list of markets.

One named thread each, stoppable at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from upbit_ws.runtime.threads import spawn
from upbit_ws.shared.waiting import Signal

__all__ = ["Monitor"]

logger = logging.getLogger("upbit_ws")


class Monitor:
    """Runs a function every `interval` seconds on its own thread, until stopped.

    The function may return a number of seconds to be called again after, in place of the interval.
    """

    def __init__(self, name: str, interval: float, work: Callable[[], float | None]) -> None:
        self.name = name
        self._interval = interval
        self._work = work
        self._signal = Signal()
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        #: Whoever takes it out starts the thread; without a lock, because some start it under one of their own.
        self._unstarted = [True]
        #: How often the work ran, and the last error that escaped it.
        self.runs = 0
        self.last_error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Monitor {self.name} every {self._interval} s, runs={self.runs}, alive={self.is_alive}>"

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def thread(self) -> threading.Thread | None:
        """Its thread, once started."""
        return self._thread

    def start(self, *, at_once: bool = False) -> None:
        """Begin; the first run comes after one interval, or now."""
        if self._is_stopping:
            return
        try:
            self._unstarted.pop()
        except IndexError:  # started before, or just now by another thread
            return
        if at_once:
            self._signal.set()
        try:
            self._thread = spawn(self.name, self._run, on_crash=self._crashed)
        except RuntimeError:  # the system has no more threads: the next one to ask may have better luck
            self._unstarted.append(True)
            raise

    def kick(self) -> None:
        """Run the work now instead of at the end of the interval."""
        self._signal.set()

    def stop(self) -> None:
        """Ask the thread to end. Does not wait for it."""
        self._is_stopping = True
        self._signal.set()

    def _run(self) -> None:
        delay = self._interval
        while True:
            self._signal.wait(delay)
            if self._is_stopping:
                return
            delay = self._run_once()

    def _run_once(self) -> float:
        self.runs += 1
        try:
            delay = self._work()
        except Exception as error:  # one bad round must not end the watch over all later ones
            self.last_error = error
            logger.error("! monitor %s failed: %r", self.name, error, exc_info=True)
            return self._interval
        return self._interval if delay is None else delay

    def _crashed(self, error: BaseException) -> None:
        self.last_error = error
