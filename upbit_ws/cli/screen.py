"""The live table on a terminal."""

from __future__ import annotations

import threading
import time

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from upbit_ws.cli.feed import Feed, Meter
from upbit_ws.cli.rows import Row
from upbit_ws.cli.table import Palette, columns_of, duration, market_table
from upbit_ws.events import Event
from upbit_ws.symbols import is_pattern
from upbit_ws.types import ConnectionState, ConnectionStatus

__all__ = ["Screen", "show"]

FRAME = 0.125
"""Seconds between two pictures."""
_FLASH = 0.6
"""Seconds for which a price that moved is marked."""
_AROUND = 7
"""Lines around the rows: title, heading, rule, footer, and air."""

_LIGHTS = {
    ConnectionState.CONNECTED: ("●", "green"),
    ConnectionState.CONNECTING: ("○", "yellow"),
    ConnectionState.RECONNECTING: ("○", "yellow"),
    ConnectionState.ERROR: ("●", "red"),
}


class Screen:
    """Keeps what is on the screen: the newest event of each market, and what moved a moment ago."""

    def __init__(self, feed: Feed, title: str, palette: Palette) -> None:
        self._feed = feed
        self._title = title
        self._palette = palette
        self._events: dict[str, Event] = {}
        self._prices: dict[str, float] = {}
        self._moves: dict[str, tuple[int, float]] = {}
        self._meters: dict[str, Meter] = {}

    @property
    def has_data(self) -> bool:
        """Whether anything came yet."""
        return bool(self._events)

    def refresh(self, now: float) -> None:
        """Take in what arrived."""
        for event in self._feed.pending():
            self._events[event.symbol] = event
            price = getattr(event, "trade_price", None)
            if price is None:
                continue
            before = self._prices.get(event.symbol, price)
            if price != before:
                self._moves[event.symbol] = (1 if price > before else -1, now)
            self._prices[event.symbol] = price

    def render(self, console: Console, now: float) -> Group:
        """The whole picture."""
        room = max(console.height - _AROUND, 1)
        markets = self._in_order()
        rows = [self._row(market, now) for market in markets[:room]]
        hidden = len(markets) - len(rows)
        table = market_table(columns_of(self._feed.data_type.family, console.width), rows, self._palette)
        return Group(Text(self._title, "bold"), "", table, "", self._footer(hidden))

    def _in_order(self) -> list[str]:
        """As asked for; what a pattern brought in comes after, the most traded first."""
        named = [symbol for symbol in self._feed.symbols if not is_pattern(symbol)]
        found = [symbol for symbol in self._events if symbol not in named]
        return named + sorted(found, key=lambda symbol: (-self._value(symbol), symbol))

    def _value(self, symbol: str) -> float:
        value = getattr(self._events[symbol], "acc_trade_price_24h", 0.0)
        return float(value)

    def _row(self, market: str, now: float) -> Row:
        event = self._events.get(market)
        if event is None:
            return {"market": market}
        row = self._feed.row(event)
        direction, moved_at = self._moves.get(market, (0, 0.0))
        row["move"] = direction if now - moved_at < _FLASH else 0
        row["rate"] = self._meters.setdefault(market, Meter()).update(now, self._feed.revision(market))
        return row

    def _footer(self, hidden: int) -> Text:
        connection = self._feed.connection()
        parts: list[str | tuple[str, str]] = _connection_words(connection)
        parts.append(f" · {self._feed.messages_per_second():,.0f} messages/s")
        if hidden:
            parts.append(f" · {hidden} more markets do not fit")
        silent = [symbol for symbol in self._feed.silent() if symbol not in self._events]
        if silent and connection is not None and connection.state is ConnectionState.CONNECTED:
            parts.append((f" · nothing yet: {', '.join(silent[:3])}{' ...' if len(silent) > 3 else ''}", "yellow"))
        parts.append((" · Ctrl-C ends", "dim"))
        return Text.assemble(*parts, overflow="ellipsis", no_wrap=True)


def _connection_words(connection: ConnectionStatus | None) -> list[str | tuple[str, str]]:
    if connection is None:
        return [("○ not connected", "yellow")]
    light, style = _LIGHTS.get(connection.state, ("○", "dim"))
    words: list[str | tuple[str, str]] = [(f"{light} {connection.state}", style), f" · epoch {connection.epoch}"]
    if connection.next_attempt_in is not None:
        words.append(f" · next attempt in {duration(max(connection.next_attempt_in, 0.0))}")
    if connection.state is not ConnectionState.CONNECTED and connection.last_error:
        words.append((f" · {connection.last_error}", style))
    if connection.suspected_mute:
        words.append((" · the exchange has gone silent", "yellow"))
    return words


def show(feed: Feed, title: str, palette: Palette, seconds: float | None, console: Console) -> bool:
    """Draw until `seconds` are over or Ctrl-C; whether anything came."""
    screen = Screen(feed, title, palette)
    begun = time.monotonic()
    pause = threading.Event()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        try:
            while seconds is None or time.monotonic() - begun < seconds:
                now = time.monotonic()
                screen.refresh(now)
                live.update(screen.render(console, now), refresh=True)
                pause.wait(FRAME)
        except KeyboardInterrupt:
            return True
    return screen.has_data
