"""Name resolution that keeps a deadline: the system's own does not, and cannot be cancelled (10 s were measured for a
2 s timeout), so it happens on a thread of its own that is left behind when it takes too long."""

from __future__ import annotations

from collections.abc import Callable

from upbit_ws.exceptions import DnsError
from upbit_ws.runtime.threads import spawn
from upbit_ws.wire.connect import Address, DialAborted, Resolver, resolve_blocking
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["make_resolver"]


class _Lookup:
    """One question, and its answer once it is there."""

    def __init__(self, host: str, port: int, resolve: Resolver, deadline: float, wakeup: Wakeup) -> None:
        self.answer: list[Address] | None = None
        self.error: BaseException | None = None
        self.is_done = False
        self._question = (host, port, deadline)
        self._resolve = resolve
        self._wakeup = wakeup

    def failed(self, error: BaseException) -> None:
        """The thread ended by an error of its own."""
        self.error = error

    def run(self) -> None:
        try:
            self.answer = self._resolve(*self._question)
        except BaseException as error:  # whatever it was, it belongs to the thread that waits
            self.error = error
        finally:
            self.is_done = True
            self._wakeup.set()


def make_resolver(
    wakeup: Wakeup,
    clock: Callable[[], float],
    should_stop: Callable[[], bool],
    resolve: Resolver = resolve_blocking,
) -> Resolver:
    """A resolver for one connection, interruptible by its wake-up.

    It raises `DnsError` where there is no address within the deadline and `DialAborted` where `should_stop` says so.
    """

    def resolve_in_time(host: str, port: int, deadline: float) -> list[Address]:
        lookup = _Lookup(host, port, resolve, deadline, wakeup)
        spawn("upbit-ws-resolver", lookup.run, on_crash=lookup.failed)
        while not lookup.is_done:
            if should_stop():
                raise DialAborted
            left = deadline - clock()
            if left <= 0:
                raise DnsError("the name server did not answer in time", host=host)
            wakeup.wait(left)
        if lookup.error is not None:
            raise lookup.error
        return lookup.answer or []

    return resolve_in_time
