"""The live data behind both outputs: what arrived since last asked, and what is known about it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType

from upbit_ws import GlobalWebSocketManager, SimpleWebSocketClient
from upbit_ws.cli.rows import Row, describe
from upbit_ws.config import WebSocketConfig
from upbit_ws.events import Event, OrderbookEvent
from upbit_ws.exceptions import DataTimeoutError
from upbit_ws.types import ConnectionStatus, DataType, Retention

__all__ = ["Feed", "Meter"]


class Meter:
    """A rate from a counter that only grows, over the last few seconds. Time is an argument."""

    def __init__(self, window: float = 3.0) -> None:
        self._window = window
        self._samples: deque[tuple[float, int]] = deque()

    def update(self, now: float, count: int) -> float:
        """Note the counter's value and return its growth a second over the window."""
        self._samples.append((now, count))
        while now - self._samples[0][0] > self._window and len(self._samples) > 2:
            self._samples.popleft()
        began, first = self._samples[0]
        return (count - first) / (now - began) if now > began else 0.0


class Feed:
    """Watches one data type of some markets through a client of its own.

    Tickers do not carry the best bid and ask, so with them one level of the order book is watched too.
    """

    def __init__(self, data_type: DataType, symbols: Sequence[str], config: WebSocketConfig) -> None:
        self.data_type = data_type
        self.symbols = tuple(symbols)
        self.url = config.connection.base_url
        self._with_book = data_type is DataType.TICKER
        self._manager = GlobalWebSocketManager(config)
        self._client = SimpleWebSocketClient("upbit-ws", manager=self._manager)
        # Trades count each, so they need room to wait in until they are printed; of the rest the newest is enough.
        history = None if data_type.retention is Retention.LOG else 0
        self._client.register_interest([data_type], symbols, history=history)
        if self._with_book:
            self._client.register_interest([DataType.ORDERBOOK], symbols, history=0, orderbook_units=1)
        self._waiting = self._client.updates([data_type], timeout=0.25)
        self._at_once = self._client.updates([data_type], timeout=0)
        self._meter = Meter()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the interests and the connection."""
        self._client.close()
        self._manager.close()

    def wait_for_event(self) -> Event | None:
        """The next event, each trade once; None when none came for a moment: time to look at the clock."""
        return next(self._waiting, None)

    def pending(self) -> Iterator[Event]:
        """What arrived since last asked, without waiting."""
        while (event := next(self._at_once, None)) is not None:
            yield event

    def row(self, event: Event) -> Row:
        """The event with its age and, beside a ticker, the best bid and ask."""
        reading = self._client.snapshot(self.data_type, event.symbol, timeout=0)
        return describe(event, reading, self._book(event.symbol) if self._with_book else None)

    def _book(self, symbol: str) -> OrderbookEvent | None:
        try:
            return self._client.get_orderbook_data([symbol], timeout=0)[symbol]
        except DataTimeoutError:  # the ticker came first
            return None

    def revision(self, symbol: str) -> int:
        """How many values of a market have come."""
        return self._client.snapshot(self.data_type, symbol, timeout=0).revision

    def connection(self) -> ConnectionStatus | None:
        """The state of the connection; None before there is one."""
        return next(iter(self._client.status().connections), None)

    def messages_per_second(self) -> float:
        """Messages of all kinds that came in lately."""
        count = sum(metrics.messages for metrics in self._manager.get_connection_metrics())
        return self._meter.update(time.monotonic(), count)

    def silent(self) -> tuple[str, ...]:
        """Markets that have sent nothing: quiet, or not there."""
        return tuple(dict.fromkeys(key.symbol for key in self._client.status().silent))

    def why_nothing_came(self) -> str:
        """One sentence for a user who sees no data."""
        connection = self.connection()
        if connection is not None and connection.last_error:
            return f"no data from {self.url}: {connection.last_error}"
        silent = ", ".join(self.silent()[:5]) or ", ".join(self.symbols)
        return f"{self.url} sends nothing for {silent}; is the market code right? `upbit-ws markets` lists them"
