"""Numbers, colours and columns."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from upbit_ws.cli.table import KOREAN, WESTERN, Palette, columns_of, compact, duration, market_table, number, size

ROW = {
    "market": "KRW-BTC",
    "price": 163_900_000.0,
    "change_rate": -0.0123,
    "change": -2_041_000.0,
    "volume": 1234.5,
    "bid": 163_899_000.0,
    "ask": 163_900_000.0,
    "age": 0.24,
    "live": True,
    "epoch": 1,
    "rate": 12.34,
}


def rendered(family: str, width: int, *rows: dict[str, object], palette: Palette = WESTERN) -> str:
    console = Console(width=width, file=StringIO(), record=True)
    console.print(market_table(columns_of(family, width), rows, palette))
    return console.export_text()


def cell(title: str, row: dict[str, object], palette: Palette = WESTERN) -> Text:
    (column,) = (column for column in columns_of("ticker", 200) if column.title == title)
    found = column.cell(row, palette)
    assert isinstance(found, Text)
    return found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (163_900_000.0, "163,900,000"),
        (0.01743, "0.01743"),
        (3_905.5, "3,905.5"),
        (0.00000001, "0.00000001"),
        (1e-12, "0.000000000001"),
        (0.0, "0"),
        (None, "-"),
    ],
)
def test_prices_are_written_out_with_separators_and_without_an_exponent(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.2345, "1.23"),
        (999.0, "999"),
        (1234.0, "1.23K"),
        (999_990.0, "1000K"),
        (5.4e12, "5.4T"),
        (None, "-"),
    ],
)
def test_volumes_are_short(value: float | None, text: str) -> None:
    assert compact(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00129484, "0.00129484"), (5810.38907927, "5,810.39"), (84_126_196.9, "84,126,197"), (None, "-")],
)
def test_amounts_keep_what_can_be_compared(value: float | None, text: str) -> None:
    assert size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (119.0, "119s"), (121.0, "2m"), (7_300.0, "2h"), (None, "-")],
)
def test_ages_are_short(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_wide_terminal_shows_all_that_is_known() -> None:
    text = rendered("ticker", 120, ROW)

    assert " ".join(text.splitlines()[0].split()) == "Market Price Change Vol 24h Bid Ask Age Epoch Msg/s"
    for part in ("KRW-BTC", "163,900,000", "-1.23%", "1.23K", "163,899,000", "0.2s", "12.3"):
        assert part in text


@pytest.mark.parametrize("family", ["ticker", "trade", "orderbook", "candle"])
@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_number_is_cut_at_the_usual_widths(family: str, width: int) -> None:
    candle = {"start": "2026-11-22T12:34:00", "open": 1.639e8, "high": 1.64e8, "low": 1.62e8}
    sizes = {"bid_size": 38_814_945.42679456, "ask_size": 0.12345678, "side": "sell"}
    text = rendered(family, width, {**ROW, **candle, **sizes})

    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width


def test_a_narrow_terminal_keeps_the_market_the_price_and_the_age() -> None:
    titles = [column.title for column in columns_of("ticker", 40)]

    assert titles[:2] == ["Market", "Price"]
    assert "Age" in titles
    assert "Epoch" not in titles


def test_a_market_without_data_has_dashes() -> None:
    assert rendered("ticker", 120, {"market": "KRW-XXX"}).splitlines()[2].split() == ["KRW-XXX", *"--------"]


def test_a_fall_is_red_in_the_west_and_blue_in_korea() -> None:
    assert cell("Change", ROW, WESTERN).style == "red"
    assert cell("Change", ROW, KOREAN).style == "dodger_blue2"


def test_a_price_that_just_rose_carries_a_mark() -> None:
    assert cell("Price", {**ROW, "move": 1}).plain == "▲ 163,900,000"
    assert cell("Price", {**ROW, "move": 0}).plain == "  163,900,000"


def test_a_value_that_is_not_live_is_marked_beside_its_age() -> None:
    assert cell("Age", {**ROW, "live": False, "age": 14.0}).plain == "14s!"
    assert cell("Age", {**ROW, "live": False, "age": 14.0}).style == "bold yellow"
    assert cell("Age", {**ROW, "live": False, "age": 90.0}).style == "bold red"
