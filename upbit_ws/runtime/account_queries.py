"""The REST calls about orders and balances: paging, windows, and trying again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from upbit_ws.events import MyAsset
from upbit_ws.exceptions import AuthenticationError, ClientClosedError, PayloadError, RestError, UpbitWebSocketError
from upbit_ws.protocol.account_rows import OrderRow, asset_of
from upbit_ws.wire.rest import RestClient

__all__ = ["AccountQueries"]

_T = TypeVar("_T")

#: Most rows of one reply (Upbit: list-open-orders and list-closed-orders pages).
_OPEN_PAGE: Final = 100
_CLOSED_PAGE: Final = 1_000
#: Longest window of the closed orders: seven days, less a moment.
_WINDOW: Final = 7 * 86_400_000 - 1_000
#: How often a call is tried; the limiter decides how fast.
_TRIES: Final = 3
#: How often the list of open orders is read again because it moved while it was read.
_PASSES: Final = 3


class AccountQueries:
    """Asks for one reconciliation. Every call raises what `RestClient` raises.

    Args:
        before_call: Called before each call and each repetition, which may be seconds apart where the exchange is slow.
    """

    def __init__(self, rest: RestClient, before_call: Callable[[], None] = lambda: None) -> None:
        self._rest = rest
        self._before_call = before_call

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
            rows = self._rows("/v1/orders/open", [*query, ("order_by", "asc")])
            yield rows
            if len(rows) < _OPEN_PAGE:
                return

    def closed_orders(self, start: int, end: int) -> list[OrderRow]:
        """The orders that were made and ended between two moments (ms since the epoch), oldest first."""
        rows: dict[str, OrderRow] = {}
        while start < end:
            stop = min(start + _WINDOW, end)
            page = self._rows(
                "/v1/orders/closed",
                [
                    ("states[]", "done"),
                    ("states[]", "cancel"),
                    ("start_time", str(start)),
                    ("end_time", str(stop)),
                    ("limit", str(_CLOSED_PAGE)),
                    ("order_by", "asc"),
                ],
            )
            rows |= {row.uuid: row for row in page}
            # A full page ends somewhere in the window; go on from the second in which its last order was made.
            last = max((row.created_at for row in page), default=0)
            start = stop if len(page) < _CLOSED_PAGE else last if last > start else start + 1_000
        return list(rows.values())

    def order(self, uuid: str) -> OrderRow | None:
        """One order with its fills; None where the exchange does not know it."""
        try:
            reply = self._call(lambda: self._rest.signed_get("/v1/order", [("uuid", uuid)]))
        except RestError as error:
            if error.status == 404:
                return None
            raise
        if not isinstance(reply, dict):
            raise PayloadError("is not an object", field="order")
        return OrderRow(reply)

    def accounts(self) -> list[MyAsset]:
        """All balances."""
        reply = self._call(lambda: self._rest.signed_get("/v1/accounts"))
        if not isinstance(reply, list):
            raise PayloadError("is not an array", field="accounts")
        return [asset_of(row) for row in reply]

    def _rows(self, path: str, query: list[tuple[str, str]]) -> list[OrderRow]:
        reply: Any = self._call(lambda: self._rest.signed_get(path, query))
        if not isinstance(reply, list):
            raise PayloadError("is not an array", field=path)
        return [OrderRow(row) for row in reply]

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
