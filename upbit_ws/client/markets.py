"""Following the list of markets for those who registered a pattern such as `KRW-*`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from upbit_ws.exceptions import UpbitWebSocketError
from upbit_ws.runtime.monitors import Monitor
from upbit_ws.shared.market_directory import MarketDirectory
from upbit_ws.symbols import is_pattern
from upbit_ws.wire.rest import RestClient

__all__ = ["Markets"]

#: How often the list is fetched while a pattern is registered, and how soon again after a failure (seconds).
_INTERVAL: Final = 60.0
_RETRY: Final = 2.0


class Markets:
    """The list of markets and the thread that fetches it, which starts with the first pattern.

    `on_change` is called by that thread when the list is another one.
    """

    def __init__(
        self, rest: Callable[[], RestClient], clock: Callable[[], float], on_change: Callable[[], None]
    ) -> None:
        self._rest = rest
        self._clock = clock
        self._on_change = on_change
        self._directory = MarketDirectory()
        self.monitor = Monitor("upbit-ws-markets", _INTERVAL, self._fetch)

    @property
    def version(self) -> int:
        """Changes with the list of markets; 0 while it is not known."""
        return self._directory.version

    def matching(self, pattern: str) -> tuple[str, ...]:
        """The codes that a pattern means now; empty while the list is not known."""
        return self._directory.matching(pattern)

    def expand(self, symbol: str) -> tuple[str, ...]:
        """The codes that a pattern means now; of a code, the code itself."""
        return self.matching(symbol) if is_pattern(symbol) else (symbol,)

    def follow(self) -> None:
        """Somebody registered a pattern."""
        self.monitor.start(at_once=True)

    def wait_known(self, patterns: Collection[str], deadline: float) -> bool:
        """Block until the list is known, if a pattern needs it, at most until `deadline`."""
        return not patterns or self._directory.wait_known(deadline, self._clock)

    @property
    def last_error(self) -> str | None:
        """Why the list could not be fetched the last time, if it could not."""
        return self._directory.last_error

    @property
    def trouble(self) -> str | None:
        """Why the list is not known, where that is so for a reason."""
        return self._directory.last_error if self._directory.version == 0 else None

    def wake_all(self) -> None:
        """Wake every waiting thread, because the owner closes."""
        self._directory.wake_all()

    def _fetch(self) -> float | None:
        try:
            with self._rest() as rest:
                codes = [str(market["market"]) for market in rest.markets()]
        except UpbitWebSocketError as error:
            self._directory.failed(str(error))
            return _RETRY
        if self._directory.replace(codes):
            self._on_change()
        return None
