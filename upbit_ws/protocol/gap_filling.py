"""What was missed while a connection was gone: which rows of a REST reply fill the gap, and how they read as payloads.

Trades (Upbit: recent-trades page): pages come newest first and go back by cursor, one UTC day at a time. Ids are
unique but unordered within a millisecond, so a page counts as having reached known ground only when it holds a trade
that is *older* than the last one that was seen.

Candles: every start from the last one seen (whose final state may have been missed) up to the one that is in progress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from enum import Enum
from typing import Any, Final

import orjson

from upbit_ws.records import frozen
from upbit_ws.types import DataType, StreamKey, StreamType

__all__ = ["Gap", "GapState", "RecoveredRow", "TradePages", "candle_rows", "candles_missed", "trade_row"]

_SIGNS: Final = {1: "RISE", 0: "EVEN", -1: "FALL"}
_CANDLE_KEYS: Final = (
    "candle_date_time_utc", "candle_date_time_kst", "opening_price", "high_price", "low_price", "trade_price",
    "candle_acc_trade_volume", "candle_acc_trade_price", "timestamp",
)  # fmt: skip
#: The tick call goes back this many UTC days and no further (Upbit: recent-trades page).
OLDEST_DAY: Final = 7


class GapState(Enum):
    """How far the filling of a gap has come."""

    OPEN = "open"
    RECOVERED = "recovered"
    REPORTED = "reported"


@frozen
class Gap:
    """One stream's gap: nobody can vouch for what happened between `start` and `end` (ms since the epoch, UTC).

    Attributes:
        key: The stream.
        start: When the SDK could last vouch for it.
        end: The first event of the new connection.
        state: OPEN while it is being filled, RECOVERED when everything missed was fetched, REPORTED when it could not
            be.
        count: Events that were fetched.
        reason: Why it could not be filled.
    """

    key: StreamKey
    start: int
    end: int
    state: GapState = GapState.OPEN
    count: int = 0
    reason: str = ""


@frozen
class RecoveredRow:
    """A payload made of a REST row, with what the pool files it by."""

    payload: bytes
    timestamp: bytes
    identity: bytes
    order: tuple[int, int]


def trade_row(symbol: str, row: Mapping[str, Any]) -> RecoveredRow:
    """A row of `/v1/trades/ticks` as a trade payload marked RECOVERED.

    REST says `change_price` with a sign and has neither `change` nor the best quotes (mapping: Upbit's two pages).

    Raises:
        KeyError, TypeError, ValueError: the row is not as documented.
    """
    signed = row["change_price"]
    timestamp, sequential_id = int(row["timestamp"]), int(row["sequential_id"])
    payload = {
        "type": "trade",
        "code": symbol,
        "timestamp": timestamp,
        "trade_date": row["trade_date_utc"],
        "trade_time": row["trade_time_utc"],
        "trade_timestamp": timestamp,
        "trade_price": row["trade_price"],
        "trade_volume": row["trade_volume"],
        "ask_bid": row["ask_bid"],
        "prev_closing_price": row["prev_closing_price"],
        "change": _SIGNS[(signed > 0) - (signed < 0)],
        "change_price": abs(signed),
        "sequential_id": sequential_id,
        "stream_type": StreamType.RECOVERED.value,
    }
    return RecoveredRow(orjson.dumps(payload), b"%013d" % timestamp, b"%d" % sequential_id, (timestamp, sequential_id))


class TradePages:
    """Walks back through the pages of one market until known ground is reached.

    What is newer than the first trade of the new connection is left alone: that connection delivers it, in its turn.

    Args:
        ends: When (ms) the last trade before the gap and the first one after it happened.
        last_known: The id of the one before.
        is_known: Whether a trade with this id was taken before.
        limit: Stop after about so many.

    Ask `next_query()` for the page to fetch, hand it to `take`, until `next_query` answers None. Then `rows` are the
    missed trades in order, and `is_covered` says whether they reach all the way back.
    """

    def __init__(
        self,
        symbol: str,
        ends: tuple[int, int],
        last_known: int,
        is_known: Callable[[bytes], bool],
        limit: int,
    ) -> None:
        self._symbol = symbol
        self._since, self._until = ends
        self._last_known = last_known
        self._is_known = is_known
        self._limit = limit
        self._cursor: int | None = None
        self._days_ago = 0
        self._is_over = False
        self._has_met_last_known = False
        self._rows: dict[bytes, RecoveredRow] = {}
        #: Whether nothing is missing in between: a trade older than the last known one was met, or, where there is
        #: none (a market that was just listed), the last known one itself before the list ended.
        self.is_covered = False

    @property
    def rows(self) -> list[RecoveredRow]:
        """The missed trades found so far, oldest first."""
        return sorted(self._rows.values(), key=lambda row: row.order)

    def next_query(self) -> dict[str, int] | None:
        """Cursor and day of the next page, as parameters of the call; None at the end."""
        if self._is_over or self.is_covered:
            return None
        query: dict[str, int] = {}
        if self._cursor is not None:
            query["cursor"] = self._cursor
        if self._days_ago:
            query["days_ago"] = self._days_ago
        return query

    def take(self, page: Sequence[Mapping[str, Any]]) -> None:
        """Use a page, newest first as the exchange sends it."""
        if not page:
            # The day is exhausted: go on in the one before it.
            self._days_ago += 1
            self._cursor = None
            self._is_over = self._days_ago > OLDEST_DAY
            self.is_covered = self._is_over and self._has_met_last_known
            return
        for item in page:
            self._take_row(item)
        if len(self._rows) >= self._limit:
            self._is_over = True
        oldest = int(page[-1]["sequential_id"])
        if oldest == self._cursor:
            self._is_over = True
        self._cursor = oldest

    def _take_row(self, row: Mapping[str, Any]) -> None:
        timestamp, sequential_id = int(row["timestamp"]), int(row["sequential_id"])
        if timestamp < self._since:
            self.is_covered = True
        elif sequential_id == self._last_known:
            self._has_met_last_known = True
        elif timestamp <= self._until and not self._is_known(b"%d" % sequential_id):
            made = trade_row(self._symbol, row)
            self._rows[made.identity] = made


def candles_missed(data_type: DataType, last_start: str, new_start: str) -> int:
    """How many candle starts lie from the last one seen (included) to the one in progress (excluded).

    The last one seen counts: what happened in it after the loss was missed.
    """
    seconds = data_type.unit_seconds or 60
    return max(int((_moment(new_start) - _moment(last_start)) // seconds), 0)


def candle_rows(
    data_type: DataType, symbol: str, rows: Iterable[Mapping[str, Any]], last_start: str, new_start: str
) -> list[RecoveredRow]:
    """The rows of a candle reply that fill a gap, as payloads marked RECOVERED, oldest first.

    Raises:
        KeyError, TypeError, ValueError: a row is not as documented.
    """
    found: dict[str, RecoveredRow] = {}
    for row in rows:
        start = row["candle_date_time_utc"]
        if not last_start <= start < new_start:
            continue
        payload = {"type": data_type.value, "code": symbol} | {key: row[key] for key in _CANDLE_KEYS if key in row}
        payload["stream_type"] = StreamType.RECOVERED.value
        timestamp = int(row["timestamp"])
        found[start] = RecoveredRow(orjson.dumps(payload), b"%013d" % timestamp, start.encode(), (timestamp, 0))
    return [row for _, row in sorted(found.items())]


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()
