"""What of a stream came while its connection was lost, and cannot be had any more, is reported as a gap.

Announcements, indicators and their signals are sent once; the exchange repeats none, and has no REST call for them
(Upbit: websocket-announcement, -indicator, -indicator_signal pages). Nobody can say whether there was one. So each time
such a stream stands again, the time without it is told. Where another connection carried it on, nothing was missed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from attrs import field

from upbit_ws.lifecycle import ConnectionEvent, Disconnected, GapReported
from upbit_ws.protocol.account_slots import is_account
from upbit_ws.protocol.gap_filling import Gap, GapState
from upbit_ws.protocol.slots import Slot
from upbit_ws.records import define
from upbit_ws.runtime.recovery import RecoveryParts
from upbit_ws.types import DataType, Endpoint, StreamKey

__all__ = ["UnrepeatedStreams"]

logger = logging.getLogger("upbit_ws")

_REASON: Final = "the exchange repeats nothing of this stream and has no REST call for it"


@define(eq=False)
class _Stream:
    """One that the exchange has confirmed."""

    #: A stream that was given up and is wanted again has another one, and has missed nothing.
    slot: Slot
    #: The connections that carry it.
    epochs: set[int] = field(factory=set)
    #: Since when (ms since the epoch) none does; 0 before the first.
    lost_at: int = 0


class UnrepeatedStreams:
    """One per manager. What concerns an endpoint is called by the I/O thread of that endpoint only."""

    def __init__(self, parts: RecoveryParts) -> None:
        self._parts = parts
        self._streams: dict[Endpoint, dict[StreamKey, _Stream]] = {endpoint: {} for endpoint in Endpoint}

    def on_event(self, event: ConnectionEvent) -> None:
        """Something happened to a connection."""
        if not isinstance(event, Disconnected) or event.endpoint is None:
            return
        for stream in self._streams[event.endpoint].values():
            if event.epoch in stream.epochs:
                stream.epochs.remove(event.epoch)
                stream.lost_at = self._vouched_until(event.epoch)

    def confirm(self, endpoint: Endpoint, epoch: int, keys: Collection[StreamKey]) -> None:
        """The exchange has confirmed these streams on the connection of this epoch, and no others."""
        keeps = self._parts.pool.keeps
        streams = {key: stream for key, stream in self._streams[endpoint].items() if keeps(stream.slot)}
        self._streams[endpoint] = streams
        for key, stream in streams.items():
            if key not in keys and epoch in stream.epochs:
                # Still wanted: the next request may ask for it again (a part that is refused is looked for, say).
                stream.epochs.remove(epoch)
                stream.lost_at = int(self._parts.wall() * 1000)
        missed: list[tuple[StreamKey, int]] = []
        for key in filter(_is_unrepeated, keys):
            slot = self._parts.pool.slot(key)
            if slot is None:
                continue  # given up since
            stream = streams.setdefault(key, _Stream(slot))
            if not stream.epochs and stream.lost_at:
                missed.append((key, stream.lost_at))
            stream.epochs.add(epoch)
        self._report(missed)

    def _vouched_until(self, epoch: int) -> int:
        now, vouched_at = self._parts.clock(), self._parts.pool.vouched_at(epoch)
        return int((self._parts.wall() - (0.0 if vouched_at is None else now - vouched_at)) * 1000)

    def _report(self, missed: list[tuple[StreamKey, int]]) -> None:
        parts, end = self._parts, int(self._parts.wall() * 1000)
        if missed:
            names = ", ".join(sorted({key.data_type.value for key, _ in missed}))
            logger.warning("! %d streams (%s) were not heard for a while, and are not repeated", len(missed), names)
        for key, start in missed:
            gap = Gap(key, start, max(start, end))
            parts.ledger.settle(parts.ledger.open(gap), GapState.REPORTED, reason=_REASON)
            facts = (key.data_type.endpoint, parts.clock(), key.symbol, key.data_type, gap.start, gap.end)
            parts.publish(GapReported(*facts, _REASON))


def _is_unrepeated(key: StreamKey) -> bool:
    data_type: DataType = key.data_type
    return data_type.needs_auth and not is_account(data_type)
