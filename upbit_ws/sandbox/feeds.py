"""
The private side of the hub: who of the authorised readers gets which orders, assets and announcements.

Like the hub it knows no socket and no clock, and everything here happens under the lock of the exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from upbit_ws.fields import family_fields
from upbit_ws.sandbox.announcements import AnnouncementRecord
from upbit_ws.sandbox.hub import Hub, Reader
from upbit_ws.sandbox.indicator_rules import Wish
from upbit_ws.sandbox.matching import AssetNotice, OrderNotice
from upbit_ws.sandbox.outgoing import Outgoing
from upbit_ws.sandbox.private_encoding import asset_values, order_values, written
from upbit_ws.sandbox.requests import Selection, Subscribe
from upbit_ws.types import DataType, WireFormat

__all__ = ["Feeds"]


class Feeds:
    """
    Args:
        hub: whose switches (mute, arrays) and counters count here too.
        exponents: small amounts as `7.9276E-4`.
        asset_delay: seconds of market time for which an account's first subscription of assets ever gets none.
    """

    def __init__(self, hub: Hub, *, exponents: bool = False, asset_delay: float = 0.0) -> None:
        self._hub = hub
        self._exponents = exponents
        self._asset_delay = int(asset_delay * 1_000)
        self._accounts: dict[Reader, str] = {}
        self._assets_since: dict[str, int] = {}
        self._wishes: dict[Reader, list[Wish]] = {}

    # Coming and going

    def join(self, reader: Reader, account: str) -> None:
        """An authorised connection opened."""
        self._accounts[reader] = account

    def leave(self, reader: Reader) -> None:
        """A connection is gone, or gets nothing more after an error."""
        self._accounts.pop(reader, None)
        self._wishes.pop(reader, None)

    def subscribe(self, reader: Reader, request: Subscribe, wishes: list[Wish], now: float) -> None:
        """
        Replace what `reader` gets, from `now` (ms) on. There are no snapshots.

        Args:
            wishes: what the request asks for in indicators.
        """
        self._wishes[reader] = wishes
        if reader.muted_until == "request":
            reader.muted_until = None
        reader.wire_format = request.wire_format
        reader.selections = request.selections
        if any(selection.data_type is DataType.MY_ASSET for selection in request.selections):
            self._assets_since.setdefault(self._accounts[reader], int(now) + self._asset_delay)

    # Telling

    def publish(self, notices: Iterable[OrderNotice | AssetNotice]) -> None:
        """Bring what happened to an account to its readers."""
        for notice in notices:
            if isinstance(notice, OrderNotice):
                readers = self._readers(DataType.MY_ORDER, notice.account, notice.record.code)
                self.send(DataType.MY_ORDER, notice.record.code, readers, order_values(notice))
            elif self._assets_since.get(notice.account, 0) <= notice.timestamp:
                readers = self._readers(DataType.MY_ASSET, notice.account)
                self.send(DataType.MY_ASSET, "", readers, asset_values(notice))

    def announce(self, record: AnnouncementRecord) -> None:
        """Bring a notice to everybody who wants its category, with its body to those who want that."""
        wanting: dict[bool, list[Reader]] = {False: [], True: []}
        for reader in self._accounts:
            for selection in reader.selections:
                categories = selection.options.get("categories") or (record.category,)
                if _wants(selection, DataType.ANNOUNCEMENT) and record.category in categories:
                    wanting[selection.options.get("include_body", False)].append(reader)
                    break
        for with_body, readers in wanting.items():
            self.send(DataType.ANNOUNCEMENT, "", readers, record.values(with_body=with_body))

    @property
    def wishes(self) -> list[Wish]:
        """Every combination of indicators that somebody wants, each once."""
        return list(dict.fromkeys(wish for wishes in self._wishes.values() for wish in wishes))

    def tell_wish(self, wish: Wish, values: Mapping[str, Any]) -> None:
        """Bring an indicator or a signal to those who want exactly it."""
        readers = [reader for reader, wishes in self._wishes.items() if wish in wishes]
        self.send(wish.data_type, wish.code, readers, values)

    def _readers(self, data_type: DataType, account: str, code: str = "") -> Iterator[Reader]:
        for reader, owner in self._accounts.items():
            if owner == account and any(_wants(selection, data_type, code) for selection in reader.selections):
                yield reader

    def send(self, data_type: DataType, code: str, readers: Iterable[Reader], values: Mapping[str, Any]) -> None:
        """Queue one message for each of `readers`, written once per format."""
        cache: dict[WireFormat, Outgoing] = {}
        table = family_fields(data_type.family)
        for reader in readers:
            wire_format = reader.wire_format
            if wire_format not in cache:
                payload = written(table, values, simple=wire_format.is_simple, exponents=self._exponents)
                cache[wire_format] = self._hub.wrapped(payload, wire_format)
            self._hub.push(reader, cache[wire_format], (data_type.wire_name, code))


def _wants(selection: Selection, data_type: DataType, code: str = "") -> bool:
    """Whether the selection is of that type, of that code (or of all), and of the realtime stream, the only one."""
    return selection.data_type is data_type and selection.realtime and (not selection.codes or code in selection.codes)
