"""The list of markets, for patterns such as `KRW-*`. Filled over REST by a monitor; read by everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from upbit_ws.shared.locks import make_lock
from upbit_ws.shared.waiting import Waiter
from upbit_ws.symbols import quote_currency

__all__ = ["MarketDirectory"]


class MarketDirectory:
    """All market codes by quote currency.

    `version` changes whenever the list does; 0 means that it is not known yet.
    """

    def __init__(self) -> None:
        #: Guards the writes below and the waiters. Readers take the published values without it.
        self._lock = make_lock("market-directory", 40)
        self._by_quote: dict[str, tuple[str, ...]] = {}
        self._waiters: list[Waiter] = []
        self.version = 0
        #: Why the list could not be fetched, while it could not.
        self.last_error: str | None = None

    def replace(self, codes: Iterable[str]) -> bool:
        """The list was fetched. True where it differs from before."""
        by_quote: dict[str, list[str]] = {}
        for code in codes:
            by_quote.setdefault(quote_currency(code), []).append(code)
        table = {quote: tuple(sorted(members)) for quote, members in by_quote.items()}
        with self._lock:
            self.last_error = None
            has_changed = table != self._by_quote or self.version == 0
            if has_changed:
                self._by_quote = table
                self.version += 1
            due, self._waiters = self._waiters, []
        for waiter in due:
            waiter.fire()
        return has_changed

    def failed(self, reason: str) -> None:
        """The list could not be fetched; what was known stays."""
        self.last_error = reason

    def matching(self, pattern: str) -> tuple[str, ...]:
        """The codes of a pattern (`KRW-*`), sorted; empty while the list is not known."""
        return self._by_quote.get(quote_currency(pattern), ())

    def wait_known(self, deadline: float, clock: Callable[[], float]) -> bool:
        """Block until a list is known, at most until `deadline`."""
        waiter = Waiter()
        with self._lock:
            if self.version:
                return True
            self._waiters.append(waiter)
        waiter.wait(deadline - clock())
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            return self.version > 0

    def wake_all(self) -> None:
        """Wake every waiting thread, because the owner closes."""
        with self._lock:
            due, self._waiters = self._waiters, []
        for waiter in due:
            waiter.fire()
