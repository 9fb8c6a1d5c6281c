"""Which rows of a REST reply fill a gap, how far back the pages are read, and how a row reads as a payload."""

from __future__ import annotations

from typing import Any

import pytest

from upbit_ws.models import decode_event
from upbit_ws.protocol.gap_filling import OLDEST_DAY, TradePages, candle_rows, candles_missed, trade_row
from upbit_ws.types import DataType

SINCE = 1_700_000_000_000


def row(number: int, *, at: int | None = None, signed: float = 1.0) -> dict[str, Any]:
    """A trade as REST lists it; its id is `number`, and it happened so many ms behind the last one known."""
    return {
        "market": "KRW-BTC", "trade_date_utc": "2023-11-14", "trade_time_utc": "22:13:20",
        "timestamp": SINCE + (number if at is None else at), "trade_price": 10.0, "trade_volume": 1.0,
        "prev_closing_price": 9.0, "change_price": signed, "ask_bid": "BID", "sequential_id": number,
    }  # fmt: skip


def pages_of(*known: int, limit: int = 1_000) -> TradePages:
    """The walk back to `SINCE`, where these trades were taken before."""
    return TradePages("KRW-BTC", SINCE, {b"%d" % number for number in known}.__contains__, limit)


def found(pages: TradePages) -> list[int]:
    return [int(recovered.identity) for recovered in pages.rows]


@pytest.mark.parametrize(("signed", "change"), [(2.5, "RISE"), (0.0, "EVEN"), (-2.5, "FALL")])
def test_a_row_reads_as_a_trade_that_was_recovered(signed: float, change: str) -> None:
    recovered = trade_row("KRW-BTC", row(7, signed=signed))
    event: Any = decode_event(recovered.payload)

    assert (event.symbol, event.sequential_id, event.stream_type) == ("KRW-BTC", 7, "RECOVERED")
    assert (event.change, event.change_price) == (change, abs(signed))
    assert (recovered.timestamp, recovered.identity) == (b"%d" % (SINCE + 7), b"7")


def test_a_row_that_is_not_as_documented_is_an_error() -> None:
    with pytest.raises(KeyError):
        trade_row("KRW-BTC", {"timestamp": 1})


def test_pages_are_read_back_until_a_trade_before_the_last_known_one() -> None:
    pages = pages_of(1)
    assert pages.next_query() == {}
    pages.take([row(4), row(3)])
    assert pages.next_query() == {"cursor": 3}
    pages.take([row(2), row(1), row(0, at=-1)])

    assert pages.next_query() is None
    assert pages.is_covered
    assert found(pages) == [2, 3, 4]


def test_within_a_millisecond_ids_are_in_no_order_so_a_known_one_is_no_end() -> None:
    pages = pages_of(9)
    pages.take([row(9, at=0), row(8, at=0)])

    assert not pages.is_covered
    assert found(pages) == [8]


def test_an_empty_page_is_the_end_of_its_day() -> None:
    pages = pages_of()
    pages.take([row(4)])
    pages.take([])
    assert pages.next_query() == {"days_ago": 1}
    pages.take([row(3)])
    assert pages.next_query() == {"days_ago": 1, "cursor": 3}


def test_older_days_than_the_exchange_keeps_are_not_asked_for() -> None:
    pages, asked = pages_of(), 0
    while pages.next_query() is not None:
        pages.take([])
        asked += 1

    assert asked == OLDEST_DAY + 1
    assert not pages.is_covered


def test_it_stops_at_its_limit() -> None:
    pages = pages_of(limit=2)
    pages.take([row(4), row(3)])

    assert pages.next_query() is None
    assert not pages.is_covered


def test_a_cursor_that_does_not_move_is_the_end() -> None:
    pages = pages_of()
    pages.take([row(4), row(3)])
    pages.take([row(3)])

    assert pages.next_query() is None
    assert found(pages) == [3, 4]


@pytest.mark.parametrize(
    ("data_type", "last", "new", "count"),
    [
        (DataType.CANDLE_1M, "2026-05-29T00:00:00", "2026-05-29T00:03:00", 3),
        (DataType.CANDLE_1S, "2026-05-29T00:00:00", "2026-05-29T00:00:01", 1),
        (DataType.CANDLE_240M, "2026-05-28T20:00:00", "2026-05-29T00:00:00", 1),
        (DataType.CANDLE_1M, "2026-05-29T00:00:00", "2026-05-29T00:00:00", 0),
        (DataType.CANDLE_1M, "2026-05-29T00:01:00", "2026-05-29T00:00:00", 0),
    ],
)
def test_the_candle_in_progress_at_the_loss_counts_as_missed(
    data_type: DataType, last: str, new: str, count: int
) -> None:
    assert candles_missed(data_type, last, new) == count


def test_candles_from_the_last_one_seen_to_the_one_in_progress_fill_the_gap_oldest_first() -> None:
    rows = [
        {
            "candle_date_time_utc": f"2026-05-29T00:0{minute}:00", "candle_date_time_kst": f"2026-05-29T09:0{minute}:00",
            "opening_price": 1.0, "high_price": 2.0, "low_price": 1.0, "trade_price": 2.0, "timestamp": SINCE + minute,
            "candle_acc_trade_volume": 3.0, "candle_acc_trade_price": 4.0, "unit": 1,
        }
        for minute in (4, 3, 2, 1)
    ]  # fmt: skip
    filled = candle_rows(DataType.CANDLE_1M, "KRW-BTC", rows, "2026-05-29T00:02:00", "2026-05-29T00:04:00")

    assert [one.identity for one in filled] == [b"2026-05-29T00:02:00", b"2026-05-29T00:03:00"]
    assert [one.order for one in filled] == [(SINCE + 2, 0), (SINCE + 3, 0)]
    event: Any = decode_event(filled[0].payload)
    assert (event.type, event.stream_type, event.trade_price) == ("candle.1m", "RECOVERED", 2.0)
