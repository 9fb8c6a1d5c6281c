"""Which rows of a REST reply fill a gap."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from upbit_ws.protocol.gap_filling import OLDEST_DAY, TradePages, candle_rows, candles_missed, trade_row
from upbit_ws.types import DataType

#: When the trades of these tests happened: id -> ms. Two of them in the same one.
TIMES = {1: 10, 2: 20, 3: 30, 4: 30, 5: 40, 6: 50, 7: 60}


def row(number: int) -> dict[str, Any]:
    return {
        "timestamp": TIMES[number],
        "sequential_id": number,
        "trade_date_utc": "2026-05-29",
        "trade_time_utc": "00:00:00",
        "trade_price": 100.0,
        "trade_volume": 1.0,
        "ask_bid": "BID",
        "prev_closing_price": 90.0,
        "change_price": 10.0,
    }


def page(*numbers: int) -> list[dict[str, Any]]:
    return [row(number) for number in numbers]


def pages(last_known: int, first_new: int, *, limit: int = 100) -> TradePages:
    """The gap between these two trades, which were both taken."""
    taken = {b"%d" % number for number in (last_known, first_new)}
    return TradePages("KRW-BTC", (TIMES[last_known], TIMES[first_new]), last_known, taken.__contains__, limit)


def found(walk: TradePages) -> list[int]:
    return [int(one.identity) for one in walk.rows]


def test_a_gap_is_covered_when_a_trade_older_than_the_last_known_one_is_met() -> None:
    walk = pages(2, 6)
    assert walk.next_query() == {}
    walk.take(page(6, 5, 4))
    assert walk.next_query() == {"cursor": 4}
    walk.take(page(3, 2, 1))

    assert (walk.next_query(), walk.is_covered, found(walk)) == (None, True, [3, 4, 5])


def test_a_trade_of_the_same_millisecond_as_the_last_known_one_may_have_been_missed() -> None:
    walk = pages(4, 6)
    walk.take(page(6, 5, 4, 3, 2))

    assert (walk.is_covered, found(walk)) == (True, [3, 5])


def test_what_is_newer_than_the_gap_is_left_to_the_connection() -> None:
    walk = pages(2, 5)
    walk.take(page(7, 6, 5, 4, 3, 2, 1))

    assert found(walk) == [3, 4]


def test_an_exhausted_day_leads_to_the_one_before_it() -> None:
    walk = pages(2, 6)
    walk.take(page(6, 5))
    walk.take([])
    assert walk.next_query() == {"days_ago": 1}
    walk.take(page(4, 3, 2, 1))

    assert (walk.is_covered, found(walk)) == (True, [3, 4, 5])


def test_a_list_that_ends_with_the_last_known_trade_covers_the_gap_of_a_new_market() -> None:
    walk = pages(1, 4)
    walk.take(page(4, 3, 2, 1))
    for _ in range(OLDEST_DAY + 1):
        assert not walk.is_covered
        assert walk.next_query() is not None
        walk.take([])

    assert (walk.next_query(), walk.is_covered, found(walk)) == (None, True, [2, 3])


def test_a_list_that_ends_before_the_last_known_trade_does_not() -> None:
    walk = pages(1, 4)
    walk.take(page(4, 3, 2))
    for _ in range(OLDEST_DAY + 1):
        walk.take([])

    assert (walk.next_query(), walk.is_covered, found(walk)) == (None, False, [2, 3])


def test_no_more_pages_are_asked_for_beyond_the_limit() -> None:
    walk = pages(1, 7, limit=2)
    walk.take(page(7, 6, 5))

    assert (walk.next_query(), walk.is_covered, found(walk)) == (None, False, [5, 6])


def test_an_exchange_that_does_not_heed_the_cursor_is_not_asked_for_ever() -> None:
    walk = pages(1, 6)
    walk.take(page(6, 5))
    walk.take(page(6, 5))

    assert (walk.next_query(), walk.is_covered) == (None, False)


@pytest.mark.parametrize(("signed", "change"), [(10.0, "RISE"), (-10.0, "FALL"), (0.0, "EVEN")])
def test_a_row_reads_like_a_trade_of_the_stream(signed: float, change: str) -> None:
    payload = orjson.loads(trade_row("KRW-BTC", {**row(3), "change_price": signed}).payload)

    assert (payload["type"], payload["code"], payload["stream_type"]) == ("trade", "KRW-BTC", "RECOVERED")
    assert (payload["change"], payload["change_price"]) == (change, abs(signed))
    assert payload["trade_timestamp"] == 30


def test_candles_are_missed_from_the_last_one_seen_on() -> None:
    assert candles_missed(DataType.CANDLE_1M, "2026-05-29T00:01:00", "2026-05-29T00:04:00") == 3
    assert candles_missed(DataType.CANDLE_1M, "2026-05-29T00:04:00", "2026-05-29T00:04:00") == 0


def test_the_candle_in_progress_is_left_to_the_connection() -> None:
    starts = [f"2026-05-29T00:0{minute}:00" for minute in (4, 3, 2, 1)]
    rows = [{"candle_date_time_utc": start, "timestamp": 1, "market": "KRW-BTC"} for start in starts]

    filled = candle_rows(DataType.CANDLE_1M, "KRW-BTC", rows, starts[2], starts[0])

    assert [one.identity.decode() for one in filled] == [starts[2], starts[1]]
    assert b"market" not in filled[0].payload
