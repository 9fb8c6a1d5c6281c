"""What REST says of orders and balances is taken over, and what of it was missed is told."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from upbit_ws.events import MyOrderEvent
from upbit_ws.exceptions import PayloadError
from upbit_ws.protocol.account_rows import OrderRow
from upbit_ws.protocol.missing_fills import MissingFills
from upbit_ws.protocol.slots import Delivery
from upbit_ws.runtime.account_gaps import AccountGaps
from upbit_ws.runtime.account_hold import AccountHold
from upbit_ws.runtime.account_queries import AccountQueries
from upbit_ws.runtime.recovery import RecoveryParts
from upbit_ws.shared.account_book import ASSETS

__all__ = ["AccountCatchUp"]

logger = logging.getLogger("upbit_ws")

#: How far before the last proof of life the closed orders are asked for (ms): clocks differ, REST tells whole seconds.
_MARGIN: Final = 60_000
#: The same ahead of the present.
_AHEAD: Final = 86_400_000


class AccountCatchUp:
    """Belongs to the account's thread.

    Args:
        hold: Where what was missed goes on its way to subscribers.
        missing: Is told what was looked up.
    """

    def __init__(self, parts: RecoveryParts, hold: AccountHold, gaps: AccountGaps, missing: MissingFills) -> None:
        self._parts = parts
        self._hold = hold
        self._gaps = gaps
        self._missing = missing

    def everything(self, queries: AccountQueries, names: frozenset[str], known_until: int | None) -> None:
        """Take over orders and balances as far as these names cover them.

        Args:
            known_until: Until when (ms since the epoch) everything is known; None for nothing is.
        """
        if names - {ASSETS}:
            self._take_orders(queries, known_until)
        if ASSETS in names:
            self._take_assets(queries)

    def _take_orders(self, queries: AccountQueries, known_until: int | None) -> None:
        account = self._parts.pool.account
        known_open = account.open_orders()
        now = int(self._parts.wall() * 1000)
        rows = queries.open_orders()
        moments = [began for name, began in account.covered.items() if not account.has_base((name,))]
        since = min([*moments, now if known_until is None else known_until])
        rows += queries.closed_orders(since - _MARGIN, now + _AHEAD)
        listed = {row.uuid for row in rows}
        self._take_rows(queries, rows)
        self._look_up(queries, known_open - listed)

    def _look_up(self, queries: AccountQueries, uuids: Iterable[str]) -> None:
        """Take over what the exchange says of single orders."""
        self._take_rows(queries, [row for uuid in uuids if (row := queries.order(uuid)) is not None])

    def look_for_fills(self, queries: AccountQueries, uuids: Iterable[str]) -> None:
        """Look up these orders, of which a fill is missing."""
        account = self._parts.pool.account
        for uuid in uuids:
            missing = account.incomplete.get(uuid)
            if missing is None:
                continue  # it came while another order was looked up
            try:
                self._look_up(queries, [uuid])
            except PayloadError as error:
                logger.warning("! order %s could not be looked up: %s", uuid, error)
            if not self._missing.asked(uuid, missing, account.incomplete, self._parts.clock()):
                self._gaps.report_missing(uuid)
            self._hold.flush()

    def _take_rows(self, queries: AccountQueries, rows: Iterable[OrderRow]) -> None:
        parts = self._parts
        detailed = [self._with_fills(queries, row) for row in rows]
        now = int(parts.wall() * 1000)
        events: list[MyOrderEvent] = []
        filed: list[Delivery] = []
        self._hold.enter()
        try:
            try:
                for row in detailed:
                    events += parts.pool.account.apply(row, now)
            finally:  # what is booked is news only once, whatever became of the rows behind it
                events.sort(key=lambda event: event.timestamp)
                filed = parts.pool.file_recovered(events, parts.clock())
                self._gaps.found(len(events))
        finally:
            self._hold.leave(recovered=filed)

    def _with_fills(self, queries: AccountQueries, row: OrderRow) -> OrderRow:
        if self._parts.pool.account.wants_details(row):
            return queries.order(row.uuid) or row
        return row

    def _take_assets(self, queries: AccountQueries) -> None:
        parts = self._parts
        revision = parts.pool.account.assets_revision
        listed, is_whole = queries.accounts()
        filed: list[Delivery] = []
        self._hold.enter()
        try:
            now = int(parts.wall() * 1000)
            event = parts.pool.account.apply_assets(listed, revision, now, is_whole=is_whole)
            filed = parts.pool.file_recovered([] if event is None else [event], parts.clock())
        finally:
            self._hold.leave(recovered=filed)
        self._gaps.found(event is not None)
