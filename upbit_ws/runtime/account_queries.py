"""The REST calls about orders and balances: paging, windows, trying again, and rows that cannot be read.

A row that is not as documented fails nothing but itself: it is kept aside, like an undecodable message, and counts as
something that could not be had (`shortfall`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, TypeVar

import orjson

from upbit_ws.events import MyAsset
from upbit_ws.exceptions import AuthenticationError, ClientClosedError, PayloadError, RestError, UpbitWebSocketError
from upbit_ws.protocol.account_rows import OrderRow, asset_of
from upbit_ws.records import frozen
from upbit_ws.wire.rest import RestClient

__all__ = ["AccountQueries"]

logger = logging.getLogger("upbit_ws")

_T = TypeVar("_T")

#: Most rows of one reply (Upbit: list-open-orders and list-closed-orders pages).
_OPEN_PAGE: Final = 100
_CLOSED_PAGE: Final = 1_000
_CLOSED_STATES: Final = ("done", "cancel")
#: Longest window of the closed orders: seven days, less a moment.
_WINDOW: Final = 7 * 86_400_000 - 1_000
#: REST tells whole seconds (ms).
_SECOND: Final = 1_000
#: How often a call is tried; the limiter decides how fast.
_TRIES: Final = 3
#: How often the list of open orders is read again because it moved while it was read.
_PASSES: Final = 3


@frozen
class _Page:
    """A part of the closed orders, by their ids."""

    rows: dict[str, OrderRow]
    is_full: bool


class AccountQueries:
    """Asks for one reconciliation after the other. Every call raises what `RestClient` raises.

    Args:
        before_call: Called before each call and each repetition, which may be seconds apart where the exchange is slow.
        set_aside: Takes a row that could not be read, and why.
    """

    def __init__(
        self,
        rest: RestClient,
        before_call: Callable[[], None] = lambda: None,
        set_aside: Callable[[bytes, str], None] = lambda _row, _reason: None,
    ) -> None:
        self._rest = rest
        self._before_call = before_call
        self._set_aside = set_aside
        #: The rows that could not be read, by the path of the call.
        self._unreadable: dict[str, set[bytes]] = {}
        #: Between which creation times (ms since the epoch) the exchange did not list all closed orders.
        self.unlisted: list[tuple[int, int]] = []

    def begin(self) -> None:
        """Forget what could not be had so far."""
        self._unreadable.clear()
        self.unlisted.clear()

    @property
    def shortfall(self) -> str:
        """What could not be read since `begin`, as a reason; empty where all could."""
        counts = [f"{len(rows)} of {path}" for path, rows in sorted(self._unreadable.items())]
        return f"rows that could not be read: {', '.join(counts)}" if counts else ""

    # -- orders -------------------------------------------------------------------------------------------------------

    def open_orders(self) -> list[OrderRow]:
        """All orders that rest or wait for their price."""
        rows: dict[str, OrderRow] = {}
        for _ in range(_PASSES):
            before = set(rows)
            pages = list(self._open_pages())
            rows |= {row.uuid: row for page in pages for row in page}
            # An order that ends while the pages are read moves the others forward, and one may slip between two pages.
            if len(pages) == 1 or set(rows) == before:
                break
        return list(rows.values())

    def _open_pages(self) -> Iterator[list[OrderRow]]:
        for page in range(1, 10_000):
            query = [("states[]", "wait"), ("states[]", "watch"), ("page", str(page)), ("limit", str(_OPEN_PAGE))]
            reply = self._list("/v1/orders/open", [*query, ("order_by", "asc")])
            yield self._read("/v1/orders/open", reply, OrderRow)
            if len(reply) < _OPEN_PAGE:
                return

    def closed_orders(self, start: int, end: int) -> list[OrderRow]:
        """The orders that were made between two moments (ms since the epoch) and have ended, oldest first.

        `unlisted` has the parts of this time of which the exchange does not list all of them.
        """
        rows: dict[str, OrderRow] = {}
        while start < end:
            stop = min(start + _WINDOW, end)
            page = self._closed_page(start, stop)
            rows |= page.rows
            last = max((row.created_at for row in page.rows.values()), default=0)
            if not page.is_full:
                start = stop
            elif not page.rows:  # nothing tells where the next page would begin
                self.unlisted.append((start, stop))
                start = stop
            elif last > start:
                start = last  # the second in which its last order was made: there may be more of it
            else:
                second = max(last, start - start % _SECOND)
                rows |= self._closed_within(second)
                start = second + _SECOND
        return list(rows.values())

    def _closed_within(self, second: int) -> dict[str, OrderRow]:
        """As many of one second as the exchange lists: it has no pages, but two ends, and can be asked by state."""
        rows: dict[str, OrderRow] = {}
        is_whole = True
        for state in _CLOSED_STATES:
            first = self._closed_page(second, second + _SECOND - 1, (state,))
            rows |= first.rows
            if first.is_full:
                last = self._closed_page(second, second + _SECOND - 1, (state,), order_by="desc")
                rows |= last.rows
                # Two pages that meet have all between them.
                is_whole = is_whole and not (last.is_full and first.rows.keys().isdisjoint(last.rows))
        if not is_whole:
            self.unlisted.append((second, second + _SECOND))
        return rows

    def _closed_page(
        self, start: int, end: int, states: Collection[str] = _CLOSED_STATES, order_by: str = "asc"
    ) -> _Page:
        times = [("start_time", str(start)), ("end_time", str(end)), ("limit", str(_CLOSED_PAGE))]
        query = [*(("states[]", state) for state in states), *times, ("order_by", order_by)]
        reply = self._list("/v1/orders/closed", query)
        rows = self._read("/v1/orders/closed", reply, OrderRow)
        return _Page({row.uuid: row for row in rows}, len(reply) >= _CLOSED_PAGE)

    def order(self, uuid: str) -> OrderRow | None:
        """One order with its fills; None where the exchange does not know it, or what it says cannot be read."""
        try:
            reply = self._call(lambda: self._rest.signed_get("/v1/order", [("uuid", uuid)]))
        except RestError as error:
            if error.status == 404:
                return None
            raise
        rows = self._read("/v1/order", [reply], OrderRow)
        return rows[0] if rows else None

    # -- balances -----------------------------------------------------------------------------------------------------

    def accounts(self) -> tuple[list[MyAsset], bool]:
        """All balances that can be read; and whether these are all."""
        reply = self._list("/v1/accounts", [])
        assets = self._read("/v1/accounts", reply, asset_of)
        return assets, len(assets) == len(reply)

    # -- how all of them are made -------------------------------------------------------------------------------------

    def _list(self, path: str, query: list[tuple[str, str]]) -> list[Any]:
        reply = self._call(lambda: self._rest.signed_get(path, query))
        if not isinstance(reply, list):
            raise PayloadError("is not an array", field=path)
        return reply

    def _read(self, path: str, rows: Iterable[Any], read: Callable[[Any], _T]) -> list[_T]:
        """The rows that are as documented."""
        readable = []
        for row in rows:
            try:
                readable.append(read(row))
            except PayloadError as error:  # noqa: PERF203  one bad row must not hide the others
                self._refuse(path, orjson.dumps(row), error)
        return readable

    def _refuse(self, path: str, row: bytes, error: PayloadError) -> None:
        known = self._unreadable.setdefault(path, set())
        if row not in known:  # lists are read more than once
            known.add(row)
            logger.warning("! a row of %s could not be read: %s", path, error)
            self._set_aside(row, f"{path}: {error}")

    def _call(self, call: Callable[[], _T]) -> _T:
        for _ in range(_TRIES - 1):
            self._before_call()
            try:
                return call()
            except UpbitWebSocketError as error:
                is_refusal = isinstance(error, AuthenticationError)
                # A reply that does not parse was cut off, or came from something in between.
                is_worth_it = error.retryable or is_refusal or isinstance(error, PayloadError)
                if isinstance(error, ClientClosedError) or not is_worth_it:
                    raise
                if is_refusal:
                    # One fresh token; a second refusal is about the keys.
                    break
        self._before_call()
        return call()
