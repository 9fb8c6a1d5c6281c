"""
Who gets what: subscriptions of all readers, and the way of an event to those who asked for it.

Knows no socket and no clock. Everything here happens under the lock of the exchange. A payload is encoded once per
format and
variant, however many read it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from random import Random

from attrs import frozen

from upbit_ws.sandbox.encoding import Encoder, book_window
from upbit_ws.sandbox.listing import Listing
from upbit_ws.sandbox.market import Market
from upbit_ws.sandbox.orderbook import Level
from upbit_ws.sandbox.outgoing import Outgoing
from upbit_ws.sandbox.records import BookRecord, CandleRecord, MarketEvent, TickerRecord, TradeRecord
from upbit_ws.sandbox.requests import DEFAULT_UNITS, Selection, Subscribe, split_code
from upbit_ws.types import WireFormat

__all__ = ["Hub", "HubOptions", "Reader", "Ticket"]

SNAPSHOT = "SNAPSHOT"
REALTIME = "REALTIME"

_Variant = tuple[WireFormat, int, int]


@frozen
class HubOptions:
    """
    How events reach readers.

    Attributes:
        bursts: number of bursts that the snapshots of one request come in.
        reorder_snapshots: codes in any order, and what was held back comes before the snapshot.
        stale_frames: up to so many messages of a replaced subscription still arrive.
        list_group: at most so many objects in one array.
        backlog: bytes that may wait for one reader.
        plain_numbers, regional, deprecated_ticker_fields: see `Encoder`.
    """

    bursts: int = 1
    reorder_snapshots: bool = False
    stale_frames: int = 0
    list_group: int = 1
    backlog: int = 32 << 20
    plain_numbers: bool = False
    regional: bool = False
    deprecated_ticker_fields: bool = True


class Reader:
    """One connection, seen from the market: what it subscribed to, and what waits to be sent to it."""

    def __init__(self, opcode: int, backlog: int, sent: Counter[tuple[str, str]] | None = None) -> None:
        self.opcode = opcode
        self.wire_format = WireFormat.DEFAULT
        self.selections: tuple[Selection, ...] = ()
        self.sent: Counter[tuple[str, str]] = Counter() if sent is None else sent
        self.muted_until: str | None = None  # "request" or "reconnect"
        self.overflowed = False
        self.interests: list[_Interest] = []
        self.stale: list[_Interest] = []
        self.stale_left = 0
        self.generation = 0
        self._backlog = backlog
        self._waiting: deque[Outgoing] = deque()
        self._waiting_bytes = 0

    def push(self, outgoing: Outgoing) -> None:
        """Queue something. Beyond the backlog the reader counts as lost."""
        self._waiting.append(outgoing)
        self._waiting_bytes += len(outgoing.payload)
        if self._waiting_bytes > self._backlog:
            self.overflowed = True
            self._waiting.clear()

    def drain(self) -> list[Outgoing]:
        """Take everything that waits."""
        waiting = list(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        return waiting


class _Interest:
    """One reader's wish for one code of one type."""

    __slots__ = ("code", "group", "held", "reader", "realtime", "snapshot", "type_name", "units")

    def __init__(self, reader: Reader, type_name: str, code: str, selection: Selection, units: int) -> None:
        self.reader = reader
        self.type_name = type_name
        self.code = code
        self.units = units
        self.group = selection.group
        self.realtime = selection.realtime
        self.snapshot: MarketEvent | None = None
        # What happens between the request and the snapshot waits for the snapshot; None: it is through.
        self.held: list[MarketEvent] | None = None


@frozen
class Ticket:
    """The snapshots that one subscription still has to bring, burst by burst. Void once the reader has asked anew."""

    generation: int
    bursts: tuple[tuple[_Interest, ...], ...]


def _type_of(event: MarketEvent) -> str:
    if isinstance(event, TradeRecord):
        return "trade"
    if isinstance(event, TickerRecord):
        return "ticker"
    return "orderbook" if isinstance(event, BookRecord) else f"candle.{event.unit}"


class Hub:
    """All readers of one market."""

    def __init__(self, market: Market, options: HubOptions, rng: Random) -> None:
        self.sent: Counter[tuple[str, str]] = Counter()
        self.muted = False
        self.readers: set[Reader] = set()
        self.awaiting: set[Reader] = set()  # readers that something was queued for
        self._market = market
        self._options = options
        self._rng = rng
        self._index: dict[tuple[str, str], list[_Interest]] = {}
        self._shown: dict[tuple[str, int, int], tuple[tuple[Level, ...], tuple[Level, ...]]] = {}
        self._encoders = {
            wire_format: Encoder(
                wire_format,
                plain=options.plain_numbers,
                regional=options.regional,
                deprecated_fields=options.deprecated_ticker_fields,
            )
            for wire_format in WireFormat
        }

    # Coming and going

    def join(self, reader: Reader) -> None:
        """A connection opened."""
        self.readers.add(reader)

    def leave(self, reader: Reader) -> None:
        """A connection is gone."""
        self._unfile(reader.interests)
        self._unfile(reader.stale)
        reader.interests, reader.stale, reader.selections = [], [], ()
        self.readers.discard(reader)
        self.awaiting.discard(reader)

    def mute(self, muted: bool, until: str | None = None) -> None:
        """Send no data: to anybody, or to those who are here now until each one's next "request" or "reconnect"."""
        self.muted = muted and until is None
        for reader in self.readers:
            reader.muted_until = until if muted else None

    # Subscribing

    def subscribe(self, reader: Reader, request: Subscribe) -> Ticket:
        """Replace what `reader` gets. Its snapshots are taken now and come with `deliver`."""
        if reader.muted_until == "request":
            reader.muted_until = None
        self._retire(reader, request)
        reader.generation += 1
        reader.wire_format = request.wire_format
        reader.selections = request.selections
        wishes = [interest for selection in request.selections for interest in self._interests(reader, selection)]
        reader.interests = wishes
        for interest in wishes:
            self._index.setdefault((interest.type_name, interest.code), []).append(interest)
        due = [interest for interest in wishes if interest.held is not None]
        if self._options.reorder_snapshots:
            self._rng.shuffle(due)
        size = max(-(-len(due) // self._options.bursts), 1)
        bursts = tuple(tuple(due[start : start + size]) for start in range(0, len(due), size))
        return Ticket(reader.generation, bursts)

    def _retire(self, reader: Reader, request: Subscribe) -> None:
        """End the old subscription, but for a few messages that are on their way already."""
        self._unfile(reader.stale)
        self._unfile(reader.interests)
        wanted = {
            (selection.data_type.wire_name, split_code(code)[0])
            for selection in request.selections
            for code in selection.codes or ()
        }
        reader.stale_left = self._rng.randint(0, self._options.stale_frames)
        reader.stale = [
            interest
            for interest in reader.interests
            if reader.stale_left and interest.realtime and (interest.type_name, interest.code) not in wanted
        ]
        for interest in reader.stale:
            interest.held = None
            self._index.setdefault((interest.type_name, interest.code), []).append(interest)

    def end_stale(self, reader: Reader, generation: int) -> None:
        """Nothing of the replaced subscription is on its way any more."""
        if reader.generation == generation:
            self._unfile(reader.stale)
            reader.stale = []

    def unsubscribe(self, reader: Reader) -> None:
        """Send `reader` nothing more, as after an error."""
        self._unfile(reader.interests)
        self._unfile(reader.stale)
        reader.interests, reader.stale = [], []
        reader.generation += 1

    def _unfile(self, interests: Iterable[_Interest]) -> None:
        for interest in interests:
            key = (interest.type_name, interest.code)
            filed = self._index.get(key)
            if filed and interest in filed:
                filed.remove(interest)
                if not filed:
                    del self._index[key]

    def _interests(self, reader: Reader, selection: Selection) -> Iterable[_Interest]:
        name = selection.data_type.wire_name
        for asked in dict.fromkeys(selection.codes or ()):
            is_book = name == "orderbook"
            code, units = split_code(asked) if is_book else (asked, DEFAULT_UNITS)
            interest = _Interest(reader, name, code, selection, units)
            listing = self._market.listings.get(code)
            if is_book and listing is not None:
                if interest.group not in listing.levels:
                    continue  # an unsupported level is not served, and nothing says so
                self._shown[code, units, interest.group] = book_window(listing.published, units, interest.group)
            if selection.snapshot and listing is not None:
                interest.snapshot = self._snapshot(listing, name)
                interest.held = [] if interest.snapshot is not None else None
            yield interest

    def _snapshot(self, listing: Listing, type_name: str) -> MarketEvent | None:
        if type_name == "ticker":
            return listing.ticker(int(self._market.now))
        if type_name == "trade":
            return listing.last_trade
        if type_name == "orderbook":
            return listing.published
        return listing.candles.last(type_name.removeprefix("candle."))

    def deliver(self, reader: Reader, ticket: Ticket, burst: int) -> None:
        """Send the snapshots of a burst, and what happened since they were taken."""
        if reader.generation != ticket.generation:
            return
        for interest in ticket.bursts[burst]:
            held, interest.held = interest.held or [], None
            if not interest.realtime:
                held = []
            before, after = (held[:1], held[1:]) if self._options.reorder_snapshots else ([], held)
            cache: dict[_Variant, Outgoing] = {}
            for event in before:
                self._send(interest, event, REALTIME, {})
            if interest.snapshot is not None:
                self._send(interest, interest.snapshot, SNAPSHOT, cache)
            for event in after:
                self._send(interest, event, REALTIME, {})
            interest.snapshot = None

    # Telling

    def publish(self, events: Iterable[MarketEvent]) -> None:
        """Bring events to those who asked for them."""
        for event in events:
            interests = self._index.get((_type_of(event), event.code))
            if interests:
                self._publish(event, interests)

    def _publish(self, event: MarketEvent, interests: list[_Interest]) -> None:
        cache: dict[_Variant, Outgoing] = {}
        unchanged = self._unchanged_windows(event, interests) if isinstance(event, BookRecord) else frozenset()
        for interest in list(interests):
            if unchanged and (interest.units, interest.group) in unchanged:
                continue
            if interest.held is not None:
                if interest.realtime:
                    interest.held.append(event)
            elif interest.realtime and self._is_current(interest):
                self._send(interest, event, REALTIME, cache)

    def _is_current(self, interest: _Interest) -> bool:
        """Whether it may still send: of a replaced subscription only so many messages are on their way."""
        reader = interest.reader
        if not reader.stale or interest not in reader.stale:
            return True
        reader.stale_left -= 1
        if reader.stale_left < 0:
            self.end_stale(reader, reader.generation)
            return False
        return True

    def _unchanged_windows(self, record: BookRecord, interests: list[_Interest]) -> frozenset[tuple[int, int]]:
        """Of the windows that somebody looks through, those in which nothing changed."""
        unchanged: list[tuple[int, int]] = []
        for units, group in {(interest.units, interest.group) for interest in interests}:
            if units == DEFAULT_UNITS and not group:
                continue  # the book was published because this one changed
            seen = book_window(record, units, group)
            if self._shown.get((record.code, units, group)) == seen:
                unchanged.append((units, group))
            self._shown[record.code, units, group] = seen
        return frozenset(unchanged)

    def _send(self, interest: _Interest, event: MarketEvent, stream: str, cache: dict[_Variant, Outgoing]) -> None:
        reader = interest.reader
        variant = (reader.wire_format, interest.units, interest.group)
        outgoing = cache.get(variant)
        if outgoing is None:
            outgoing = cache[variant] = self._encode(event, stream, variant)
        self.push(reader, outgoing, (interest.type_name, interest.code))

    def push(self, reader: Reader, outgoing: Outgoing, key: tuple[str, str]) -> None:
        """Queue a message of that type and code, unless the reader is to get no data."""
        if self.muted or reader.muted_until is not None:
            return
        reader.push(outgoing)
        self.awaiting.add(reader)
        self.sent[key] += 1
        reader.sent[key] += 1

    def _encode(self, event: MarketEvent, stream: str, variant: _Variant) -> Outgoing:
        wire_format, units, group = variant
        encoder = self._encoders[wire_format]
        if isinstance(event, TradeRecord):
            payload = encoder.trade(event, stream)
        elif isinstance(event, TickerRecord):
            payload = encoder.ticker(event, stream)
        elif isinstance(event, CandleRecord):
            payload = encoder.candle(event, stream)
        else:
            payload = encoder.book(event, stream, units=units, group=group)
        return self.wrapped(payload, wire_format)

    def wrapped(self, payload: bytes, wire_format: WireFormat) -> Outgoing:
        """An object as a message of its own, or as an element of the array that the format makes of it."""
        if not wire_format.is_list:
            return Outgoing(payload)
        if self._options.list_group > 1:
            return Outgoing(payload, is_element=True)
        return Outgoing(b"[" + payload + b"]")
