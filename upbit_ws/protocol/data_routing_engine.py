"""From the key of an event to those who subscribed to it. A table that is replaced and never edited.

Whoever looks something up holds one table from beginning to end, so no lock is needed and nothing changes half way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Generic, TypeVar

from attrs import field

from upbit_ws.records import frozen
from upbit_ws.types import DataType, StreamKey

__all__ = ["DataRoutingEngine"]

S = TypeVar("S")


def _is_of_all(key: StreamKey) -> bool:
    """Whether a key stands for every symbol of its data type (``myOrder`` without codes)."""
    return not key.symbol and key.data_type.has_codes


@frozen
class DataRoutingEngine(Generic[S]):
    """An immutable routing table. Subscribers are any hashable objects, each at most once per key.

    Those of one key stand in the order in which they came. Keys with the same subscribers share one tuple, so that
    comparing two of them costs next to nothing.
    """

    by_key: Mapping[StreamKey, tuple[S, ...]] = field(factory=dict)
    by_type: Mapping[DataType, tuple[S, ...]] = field(factory=dict)
    """Who wants every symbol of a data type."""

    def subscribers(self, key: StreamKey) -> tuple[S, ...]:
        """Who gets what arrives under `key`."""
        found = self.by_key.get(key, ())
        if self.by_type:
            found += tuple(one for one in self.by_type.get(key.data_type, ()) if one not in found)
        return found

    def rerouted(
        self, subscriber: S, added: Collection[StreamKey], removed: Collection[StreamKey]
    ) -> DataRoutingEngine[S]:
        """The table in which `subscriber` gets `added` as well and `removed` no more."""
        by_key: dict[Any, tuple[S, ...]] = dict(self.by_key)
        by_type: dict[Any, tuple[S, ...]] = dict(self.by_type)
        shared: dict[tuple[S, ...], tuple[S, ...]] = {}
        for key in removed:
            table, name = (by_type, key.data_type) if _is_of_all(key) else (by_key, key)
            left = tuple(one for one in table.get(name, ()) if one != subscriber)
            if left:
                table[name] = shared.setdefault(left, left)
            else:
                table.pop(name, None)
        for key in added:
            table, name = (by_type, key.data_type) if _is_of_all(key) else (by_key, key)
            before = table.get(name, ())
            if subscriber not in before:
                after = (*before, subscriber)
                table[name] = shared.setdefault(after, after)
        return DataRoutingEngine(by_key, by_type)

    @property
    def keys(self) -> frozenset[StreamKey]:
        """Everything that somebody subscribed to."""
        return frozenset(self.by_key) | {StreamKey(data_type, "") for data_type in self.by_type}

    def __len__(self) -> int:
        return len(self.by_key) + len(self.by_type)
