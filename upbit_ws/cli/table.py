"""How a market looks: columns, numbers and colours. Rendering only, nothing is fetched here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from upbit_ws.cli.rows import Row
from upbit_ws.records import frozen

__all__ = ["KOREAN", "WESTERN", "Column", "Palette", "columns_of", "market_table"]


@frozen
class Palette:
    """Colours of a rise and of a fall."""

    up: str
    down: str

    def of(self, change: float | None) -> str:
        if not change:
            return ""
        return self.up if change > 0 else self.down


WESTERN = Palette(up="green", down="red")
# On Korean screens red is a rise and blue a fall.
KOREAN = Palette(up="red", down="dodger_blue2")


@frozen
class Column:
    """One column; `priority` 0 is always shown, higher ones leave first when the terminal is narrow."""

    title: str
    cell: Callable[[Row, Palette], str | Text]
    width: int
    priority: int = 0
    is_text: bool = False


def number(value: float | None) -> str:
    """`163,900,000`, `0.01743`: separators and no trailing zeros, never an exponent."""
    if value is None:
        return "-"
    if value != 0 and abs(value) < 1e-8:
        return f"{value:.12f}".rstrip("0").rstrip(".")
    text = f"{value:,.8f}"
    return text.rstrip("0").rstrip(".")


def size(value: float | None) -> str:
    """An amount: `0.00129484`, `5,810.39`, `84,126,197`. Large ones are cut to what can be compared at a glance."""
    if value is None or abs(value) < 1e3:
        return number(value)
    return f"{value:,.2f}" if abs(value) < 1e6 else f"{value:,.0f}"


def compact(value: float | None) -> str:
    """`1.23M`: three digits and a letter."""
    if value is None:
        return "-"
    for limit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}" if abs(value) < limit * 999.5 else f"{value / limit:.0f}{letter}"
    return f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """`0.2s`, `14s`, `3m`, `2h`."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if seconds < 120:
        return f"{seconds:.0f}s"
    return f"{seconds / 60:.0f}m" if seconds < 7200 else f"{seconds / 3600:.0f}h"


def _price(row: Row, palette: Palette) -> Text:
    """The price; for a moment after it moved, bold and with the direction it moved in."""
    move = row.get("move", 0)
    mark = {1: "▲", -1: "▼"}.get(move, " ")
    style = palette.of(row.get("change", move))
    return Text.assemble((f"{mark} ", palette.of(move)), (number(row.get("price")), f"bold {style}" if move else style))


def _change(row: Row, palette: Palette) -> Text:
    rate = row.get("change_rate")
    return Text("-") if rate is None else Text(f"{rate * 100:+.2f}%", palette.of(rate))


def _side(row: Row, palette: Palette) -> Text:
    side = row.get("side")
    return Text(side or "-", palette.of({"buy": 1.0, "sell": -1.0}.get(side or "")))


def _age(row: Row, _: Palette) -> Text:
    age = row.get("age")
    if age is None:
        return Text("-")
    if not row.get("live"):
        return Text(f"{duration(age)}!", "bold yellow" if age < 60 else "bold red")
    return Text(duration(age), "dim" if age < 20 else "yellow")


def _plain(name: str, form: Callable[[float | None], str] = number) -> Callable[[Row, Palette], str]:
    return lambda row, _: form(row.get(name))


def _time(row: Row, _: Palette) -> str:
    return str(row.get("start", "-"))[11:]


def _spread(row: Row, _: Palette) -> str:
    bid, ask = row.get("bid"), row.get("ask")
    return "-" if not bid or not ask else f"{(ask - bid) / bid * 1e4:.2f}"


def _market(row: Row, _: Palette) -> Text:
    return Text(row["market"], "bold")


_MARKET = Column("Market", _market, 9, is_text=True)
_PRICE = Column("Price", _price, 13)
_TRUST = (
    Column("Age", _age, 5),
    Column("Epoch", _plain("epoch", lambda value: "-" if value is None else str(value)), 5, priority=3),
    Column("Msg/s", _plain("rate", lambda value: "-" if value is None else f"{value:.1f}"), 5, priority=2),
)
_BEST = (Column("Bid", _plain("bid"), 11), Column("Ask", _plain("ask"), 11))

_COLUMNS: dict[str, tuple[Column, ...]] = {
    "ticker": (
        _MARKET,
        _PRICE,
        Column("Change", _change, 7),
        Column("Vol 24h", _plain("volume", compact), 7, priority=1),
        *_BEST,
    ),
    "trade": (
        _MARKET,
        _PRICE,
        Column("Volume", _plain("volume", size), 11),
        Column("Side", _side, 4),
        *(Column(column.title, column.cell, column.width, priority=1) for column in _BEST),
    ),
    "orderbook": (
        _MARKET,
        Column("Bid size", _plain("bid_size", size), 11),
        *_BEST,
        Column("Ask size", _plain("ask_size", size), 11),
        Column("Spread bp", _spread, 9, priority=1),
    ),
    "candle": (
        _MARKET,
        Column("Start UTC", _time, 9),
        Column("Open", _plain("open"), 11, priority=1),
        Column("High", _plain("high"), 11),
        Column("Low", _plain("low"), 11),
        _PRICE,
        Column("Volume", _plain("volume", compact), 7),
    ),
}
_GAP = 2
"""Characters between two columns."""


def columns_of(family: str, width: int) -> tuple[Column, ...]:
    """The columns for a kind of data that fit into `width`, the dispensable ones left out first."""
    columns = (*_COLUMNS[family], *_TRUST)
    for priority in (3, 2, 1):
        if sum(column.width + _GAP for column in columns) - _GAP <= width:
            break
        columns = tuple(column for column in columns if column.priority < priority)
    return columns


def market_table(columns: Sequence[Column], rows: Sequence[Row], palette: Palette) -> Table:
    """The table itself."""
    # The box puts one space between columns, the padding another.
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
        border_style="dim",
    )
    for column in columns:
        table.add_column(
            column.title, justify="left" if column.is_text else "right", min_width=column.width, no_wrap=True
        )
    for row in rows:
        table.add_row(*(column.cell(row, palette) for column in columns))
    return table
