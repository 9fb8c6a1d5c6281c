"""Many wishes, one request: what a connection has to ask for so that everybody gets at least what they want.

A request replaces the whole subscription of its connection (Upbit: websocket-best-practice page), so there is one plan
per endpoint and it is always sent whole. How wishes for the same stream merge:

* order book depth: the larger one; whoever wanted less cuts it off;
* snapshot only beside real time: both; real time only beside both: both;
* grouping levels are different streams (`StreamKey.variant`) and go into type objects of their own;
* filters (announcement categories): the union, and everything where somebody does not filter; switches
  (`include_body`): on where anybody has it on.

The result does not depend on the order in which the wishes came.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import Any

import orjson
from attrs import evolve, field

from upbit_ws.protocol.remembered import remembered
from upbit_ws.records import define, frozen
from upbit_ws.types import DataType, Endpoint, StreamKey, Want, WireFormat

__all__ = ["INDICATOR_LIMIT", "Plan", "PlanDiff", "bisect", "covers", "merge_wants", "plan_wants"]

INDICATOR_LIMIT = 100
"""Combinations of code and indicator in one request; more refuse it as a whole (Upbit: websocket-indicator page)."""

_DEPTH = 30  # what the exchange serves when no depth is named
_POSITION = {data_type: position for position, data_type in enumerate(DataType)}
_INDICATORS = (DataType.INDICATOR, DataType.INDICATOR_SIGNAL)


def merge_wants(first: Want, second: Want) -> Want:
    """One wish that satisfies two for the same key."""
    if first == second:
        return first
    depth = max(first.units or _DEPTH, second.units or _DEPTH)
    return Want(
        first.key,
        units=None if depth == _DEPTH else depth,
        snapshot=first.snapshot or second.snapshot,
        realtime=first.realtime or second.realtime,
        options=_merged_options(dict(first.options), dict(second.options)),
    )


def _merged_options(first: dict[str, Hashable], second: dict[str, Hashable]) -> dict[str, Hashable]:
    merged: dict[str, Hashable] = {}
    for name in first.keys() | second.keys():
        one, other = first.get(name), second.get(name)
        if isinstance(one, bool) or isinstance(other, bool):
            merged[name] = bool(one) or bool(other)
        elif one is not None and other is not None:
            # Two filters let through what either lets through; a filter beside none at all is dropped.
            both = isinstance(one, tuple) and isinstance(other, tuple)
            merged[name] = tuple(sorted({*one, *other}, key=repr)) if both else max(one, other, key=repr)  # type: ignore[misc]
    return merged


def _normalized(want: Want) -> Want:
    """The same wish in its one spelling, so that equal wishes compare equal."""
    data_type = want.key.data_type
    depth = want.units if data_type is DataType.ORDERBOOK and want.units != _DEPTH else None
    options = {
        name: tuple(sorted(set(value), key=repr)) if isinstance(value, tuple) else value
        for name, value in want.options
        if value is not None and value is not False and value != ()
    }
    if data_type.has_snapshot:
        return evolve(want, units=depth, options=options)
    return evolve(want, units=depth, options=options, snapshot=False, realtime=True)


def covers(asked: Want, want: Want) -> bool:
    """Whether what a plan asks of a stream is enough for this wish."""
    return _normalized(merge_wants(asked, _normalized(want))) == asked


def plan_wants(wants: Iterable[Want]) -> Plan | None:
    """The plan for all wishes concerning one endpoint; None when nothing is wanted.

    None means that the connection is to be closed: there is no unsubscribe message, and what subscribing to nothing
    does is not documented. A wish for neither snapshot nor real time is no wish.
    """
    merged: dict[StreamKey, Want] = {}
    for want in wants:
        if want.snapshot or want.realtime or not want.key.data_type.has_snapshot:
            clean = _normalized(want)
            known = merged.get(want.key)
            merged[want.key] = clean if known is None else _normalized(merge_wants(known, clean))
    return Plan.of(merged.values()) if merged else None


def _order(want: Want) -> tuple[int, str, str]:
    data_type, symbol, variant = want.key
    return _POSITION[data_type], symbol, "" if variant is None else repr(_plain(variant))


def _plain(value: Hashable) -> Hashable:
    """Equal keys in equal spelling: 10000 and 10000.0 are the same level."""
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


@define(frozen=True, slots=False)
class Plan:
    """What one connection asks for. Two plans are equal when they ask for the same.

    Attributes:
        wants: One per key, in a fixed order, never empty.
    """

    wants: tuple[Want, ...]

    @classmethod
    def of(cls, wants: Iterable[Want]) -> Plan:
        """A plan of wishes that are merged already."""
        return cls(tuple(sorted(wants, key=_order)))

    @remembered
    def keys(self) -> frozenset[StreamKey]:
        """Every stream in it."""
        return frozenset(want.key for want in self.wants)

    @property
    def endpoint(self) -> Endpoint:
        """The socket that it is for."""
        return self.wants[0].key.data_type.endpoint

    @property
    def is_watchable(self) -> bool:
        """Whether sending it again is answered by data and silence is unusual: snapshots and real time are wanted."""
        public = [want for want in self.wants if want.key.data_type.has_snapshot]
        return any(want.snapshot for want in public) and any(want.realtime for want in public)

    @property
    def indicator_combinations(self) -> int:
        """Combinations of code and indicator, of which a request may hold `INDICATOR_LIMIT`."""
        return sum(want.key.data_type in _INDICATORS for want in self.wants)

    def __len__(self) -> int:
        return len(self.wants)

    def __iter__(self) -> Iterator[Want]:
        return iter(self.wants)

    def only(self, keys: Collection[StreamKey]) -> Plan | None:
        """The part of it that concerns `keys`; None when that is nothing."""
        wants = tuple(want for want in self.wants if want.key in keys)
        return Plan(wants) if wants else None

    def without(self, keys: Collection[StreamKey]) -> Plan | None:
        """The part of it that does not concern `keys`; None when that is nothing."""
        return self.only(self.keys.difference(keys))

    def diff(self, other: Plan | None) -> PlanDiff:
        """What has to change to get from `other` to this plan."""
        before = {want.key: want for want in other.wants} if other is not None else {}
        after = {want.key: want for want in self.wants}
        return PlanDiff(
            added=frozenset(after.keys() - before.keys()),
            removed=frozenset(before.keys() - after.keys()),
            changed=frozenset(key for key in after.keys() & before.keys() if after[key] != before[key]),
        )

    @remembered
    def type_objects(self) -> tuple[TypeObject, ...]:
        """As few type objects as possible: the codes that share type, level, flags and options share one."""
        shared: dict[Hashable, TypeObject] = {}
        for want in self.wants:
            name = _group(want)
            group = shared.setdefault(name, TypeObject(want.key.data_type))
            group.wants.append(want)
        return tuple(
            item
            for group in shared.values()
            for item in (_split_indicators(group) if group.data_type in _INDICATORS else [group])
        )

    def request(self, ticket: str, wire_format: WireFormat = WireFormat.DEFAULT) -> bytes:
        """The request as one JSON text: ticket, type objects, format (Upbit: websocket-guide page)."""
        items = [group.as_dict() for group in self.type_objects]
        return orjson.dumps([{"ticket": ticket}, *items, {"format": wire_format.value}])


@frozen
class PlanDiff:
    """What differs between two plans."""

    added: frozenset[StreamKey]
    removed: frozenset[StreamKey]
    changed: frozenset[StreamKey]
    """In both, but with another depth, other parts or other options."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@define
class TypeObject:
    """One `{"type": ..., "codes": [...]}` of a request, built once and not changed afterwards."""

    data_type: DataType
    wants: list[Want] = field(factory=list)

    def as_dict(self) -> dict[str, Any]:
        """What goes into the request."""
        first = self.wants[0]
        item: dict[str, Any] = {"type": self.data_type.wire_name}
        codes = self._codes()
        if codes:
            item["codes"] = codes
        if self.data_type in _INDICATORS:
            return {**item, **self._indicators()}
        if first.key.variant is not None:
            item["level"] = _plain(first.key.variant)
        if self.data_type.has_snapshot and not first.realtime:
            item["is_only_snapshot"] = True
        if self.data_type.has_snapshot and not first.snapshot:
            item["is_only_realtime"] = True
        return {**item, **dict(first.options)}

    def _codes(self) -> list[str]:
        symbols = [want.key.symbol for want in self.wants]
        if not self.data_type.has_codes or "" in symbols:  # myOrder: one who wants all markets names none
            return []
        if self.data_type is DataType.ORDERBOOK:
            return [f"{want.key.symbol}.{want.units}" if want.units else want.key.symbol for want in self.wants]
        return list(dict.fromkeys(symbols))

    def _indicators(self) -> dict[str, Any]:
        variants: dict[Any, None] = dict.fromkeys(want.key.variant for want in self.wants)
        items = []
        for _, indicator, params, *signal in variants:
            item: dict[str, Any] = {"type": indicator, "params": dict(params)}
            if signal:
                item["trigger"] = signal[0]
                if signal[1]:
                    item["event_params"] = dict(signal[1])
            items.append(item)
        return {"timeframe": next(iter(variants))[0], "indicators": items}


def _group(want: Want) -> Hashable:
    data_type, _, variant = want.key
    if data_type in _INDICATORS:
        return data_type, variant[0]  # type: ignore[index]  # by timeframe; see `_split_indicators`
    return data_type, variant, want.snapshot, want.realtime, want.options


def _split_indicators(group: TypeObject) -> list[TypeObject]:
    """Codes and indicators of one object multiply, so only codes that want the same indicators may share it."""
    by_code: dict[str, list[Want]] = {}
    for want in group.wants:
        by_code.setdefault(want.key.symbol, []).append(want)
    shared: dict[Hashable, TypeObject] = {}
    for wants in by_code.values():
        indicators = tuple(want.key.variant for want in wants)
        shared.setdefault(indicators, TypeObject(group.data_type)).wants.extend(wants)
    return list(shared.values())


def bisect(plan: Plan) -> tuple[Plan, Plan]:
    """Two halves of a plan that was rejected, to find the guilty part: by type objects first, then by codes.

    Raises:
        ValueError: it has a single key and cannot be halved.
    """
    if len(plan) < 2:
        raise ValueError("a plan of one key has no halves")
    groups = [group.wants for group in plan.type_objects]
    parts = groups if len(groups) > 1 else [[want] for want in groups[0]]
    middle = len(parts) // 2
    first, second = parts[:middle], parts[middle:]
    return Plan.of(want for part in first for want in part), Plan.of(want for part in second for want in part)
