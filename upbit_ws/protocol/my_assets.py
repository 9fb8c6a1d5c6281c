"""The balances: the newest of each currency, by the exchange's own time of the change."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from upbit_ws.events import MyAsset, MyAssetEvent
from upbit_ws.records import define
from upbit_ws.types import StreamType

__all__ = ["MyAssets"]

_IDS_KEPT: Final = 4_096
_ZERO: Final = Decimal(0)


@define
class _Balance:
    asset: MyAsset
    changed_at: int
    """The exchange's time of the change (ms)."""
    revision: int
    """Which live event brought it; REST brings none."""


class MyAssets:
    """Balances by currency. Not safe for threads: its holder locks."""

    def __init__(self) -> None:
        self._balances: dict[str, _Balance] = {}
        self._known: set[tuple[str | None, int | None]] = set()
        self._order: deque[tuple[str | None, int | None]] = deque()
        #: Counts live events; see `reconcile`.
        self.revision = 0
        self.duplicates = 0

    def __len__(self) -> int:
        return len(self._balances)

    def take(self, event: MyAssetEvent) -> MyAssetEvent | None:
        """Apply an event; it comes back where it was not seen before. A balance never goes back in time."""
        identity = (event.asset_uuid, event.asset_timestamp)
        if event.asset_uuid is not None and identity in self._known:
            self.duplicates += 1
            return None
        self._known.add(identity)
        self._order.append(identity)
        if len(self._order) > _IDS_KEPT:
            self._known.discard(self._order.popleft())
        self.revision += 1
        changed_at = event.timestamp if event.asset_timestamp is None else event.asset_timestamp
        for asset in event.assets:
            known = self._balances.get(asset.currency)
            if known is None or changed_at >= known.changed_at:
                self._balances[asset.currency] = _Balance(asset, changed_at, self.revision)
        return event

    def reconcile(
        self, listed: Iterable[MyAsset], since: int, now: int, *, is_whole: bool = True
    ) -> MyAssetEvent | None:
        """Take over all balances as REST lists them; what that changed, as one event.

        A balance that a live event brought after `since` (the `revision` before the call) stays: the reply may have
        been made before that event, and if it was made after it, the next event says so.

        Args:
            now: ms since the epoch, for the event.
            is_whole: Whether these are all: then there is nothing of any other currency.
        """
        by_currency = {asset.currency: asset for asset in listed}
        for currency in self._balances.keys() - by_currency.keys() if is_whole else ():
            by_currency[currency] = MyAsset(currency, _ZERO, _ZERO)
        changed = []
        for currency, asset in by_currency.items():
            known = self._balances.get(currency)
            if known is not None and known.revision > since:
                continue
            if known is None or (known.asset.balance, known.asset.locked) != (asset.balance, asset.locked):
                changed.append(asset)
                self._balances[currency] = _Balance(asset, 0 if known is None else known.changed_at, since)
        if not changed:
            return None
        return MyAssetEvent(assets=tuple(changed), timestamp=now, stream_type=StreamType.RECOVERED.value)

    def balances(self) -> dict[str, MyAsset]:
        """The newest balance of each currency."""
        return {currency: balance.asset for currency, balance in self._balances.items()}
