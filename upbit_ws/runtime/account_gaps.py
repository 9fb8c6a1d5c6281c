"""What is told of gaps in orders and balances: one for each lost connection, and what the exchange does not tell."""

from __future__ import annotations

import logging

from upbit_ws.lifecycle import GapRecovered, GapReported
from upbit_ws.protocol.gap_filling import Gap, GapState
from upbit_ws.runtime.recovery import RecoveryParts
from upbit_ws.shared.account_book import ASSETS
from upbit_ws.types import DataType, Endpoint, StreamKey

__all__ = ["AccountGaps"]

logger = logging.getLogger("upbit_ws")


class AccountGaps:
    """Belongs to the account's thread."""

    def __init__(self, parts: RecoveryParts) -> None:
        self._parts = parts
        #: The number of the gap that a lost connection left, until it is settled.
        self._number: int | None = None
        #: Events found since it was opened: an attempt that fails half-way has delivered what it found.
        self._found = 0

    def open(self, start: int, names: frozenset[str]) -> None:
        """A lost connection left a gap that begins at `start` (ms since the epoch), unless one is open already."""
        if self._number is None:
            data_type = DataType.MY_ORDER if names - {ASSETS} else DataType.MY_ASSET
            self._number, self._found = self._parts.ledger.open(self._gap(data_type, start)), 0

    def found(self, count: int) -> None:
        """So many events were found that were missed."""
        self._found += count

    def settle(self, reason: str) -> None:
        """It was filled with what was found, or was not, for a reason."""
        parts = self._parts
        if self._number is None:
            return
        state = GapState.REPORTED if reason else GapState.RECOVERED
        gap = parts.ledger.settle(self._number, state, found=self._found, reason=reason)
        self._number = None
        facts = (Endpoint.PRIVATE, parts.clock(), "", gap.key.data_type, gap.start, gap.end)
        parts.publish(GapReported(*facts, reason) if reason else GapRecovered(*facts, self._found))

    def report_missing(self, uuid: str) -> None:
        """A fill was counted, and even the order itself does not list it."""
        parts, order = self._parts, self._parts.pool.account.order(uuid)
        if order is None:
            return
        start = order.timestamp if order.order_timestamp is None else order.order_timestamp
        reason = f"order {uuid} counts a fill that the exchange does not list"
        self.report(start, int(parts.wall() * 1000), reason)

    def report(self, start: int, end: int, reason: str) -> None:
        """Something of the orders between two moments (ms since the epoch) cannot be had, for a reason."""
        parts, gap = self._parts, Gap(StreamKey(DataType.MY_ORDER, ""), start, end)
        parts.ledger.settle(parts.ledger.open(gap), GapState.REPORTED, found=0, reason=reason)
        logger.warning("! orders: %s", reason)
        parts.publish(GapReported(Endpoint.PRIVATE, parts.clock(), "", DataType.MY_ORDER, start, end, reason))

    def _gap(self, data_type: DataType, start: int) -> Gap:
        return Gap(StreamKey(data_type, ""), start, int(self._parts.wall() * 1000))
