"""Prebuilt WebSocket frames: a ring of ticker, trade and 15-level order book messages that never repeats an id.

A load generator in Python is only fast enough when it formats nothing while it sends. So every frame is built ahead of
time with fixed-width numbers, and frames are laid out in *groups* of equal length (one frame per type). What has to
change from one lap around the ring to the next, five digits of each timestamp and id, therefore sits at a fixed stride
and is patched with a few extended slice assignments per megabyte.

Compressed frames differ in length. There the five digits travel in a stored block of the deflate stream, so that they
can be patched without compressing again.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence

from attrs import define, evolve, frozen

TYPES = ("ticker", "trade", "orderbook")
BOOK_LEVELS = 15
LAP_DIGITS = 5
INDEX_DIGITS = 4
STAMP_DIGITS = 16
STAMP_BASE = 10 ** (STAMP_DIGITS - 1)
"""Added to the send time in microseconds: fixed width without a leading zero, and exact in a float."""
SNAPSHOT, REALTIME = "SNAPSHOT", "REALTIME"

_LAP_MARK = "\x01\x02\x03\x04\x05"
_STAMP_MARK = "\x0e" * STAMP_DIGITS
_STORED_HEADER = struct.pack("<BHH", 0, LAP_DIGITS, LAP_DIGITS ^ 0xFFFF)
_FLUSH_TAIL = b"\x00\x00\xff\xff"
_MAX_GROUPS = 10**INDEX_DIGITS


def market_codes(count: int) -> list[str]:
    """`count` market codes of equal width, `KRW-C0000` upwards."""
    return [f"KRW-C{number:04d}" for number in range(count)]


def stamp(microseconds: int) -> bytes:
    """The digits that carry a send time (`CLOCK_MONOTONIC` in microseconds)."""
    return b"%d" % (STAMP_BASE + microseconds)


def sent_at(payload: dict[str, object]) -> int:
    """The send time in microseconds inside a parsed message of any of the three types."""
    return stamp_of(payload[STAMP_FIELDS[str(payload["type"])]])


def stamp_of(value: object) -> int:
    """The send time in microseconds from the field that carries it."""
    return int(value) - STAMP_BASE  # type: ignore[call-overload,no-any-return]


STAMP_FIELDS = {"ticker": "acc_trade_price", "trade": "trade_volume", "orderbook": "total_ask_size"}
"""Which number of each type carries the send time."""


def _ticker(code: str, moment: str, rng: random.Random) -> str:
    price = rng.randrange(1_100, 9_900)
    return (
        f'{{"type":"ticker","code":"{code}","opening_price":{price - 9}.0,"high_price":{price}.0,'
        f'"low_price":{price - 9}.0,"trade_price":{price}.0,"prev_closing_price":{price - 9}.0,'
        f'"acc_trade_price":{_STAMP_MARK}.0,"change":"RISE","change_price":{price}.0,'
        f'"signed_change_price":{price}.0,"change_rate":0.012671{price},'
        f'"signed_change_rate":0.012671{price},"ask_bid":"BID","trade_volume":0.{price},'
        f'"acc_trade_volume":2429.{price},"trade_date":"20260921","trade_time":"074102","trade_timestamp":{moment},'
        f'"acc_ask_volume":1146.{price},"acc_bid_volume":1283.{price},"highest_52_week_price":163325.0,'
        f'"highest_52_week_date":"2026-01-20","lowest_52_week_price":72100.0,'
        f'"lowest_52_week_date":"2025-12-05","market_state":"ACTIVE","is_trading_suspended":false,'
        f'"delisting_date":null,"market_warning":"NONE","timestamp":{moment},'
        f'"acc_trade_price_24h":228827{price}.70728,"acc_trade_volume_24h":7158.{price},"stream_type":"REALTIME"}}'
    )


def _trade(code: str, moment: str, rng: random.Random) -> str:
    price = rng.randrange(1_100, 9_900)
    return (
        f'{{"type":"trade","code":"{code}","timestamp":{moment},"trade_date":"2026-09-21","trade_time":"07:41:02",'
        f'"trade_timestamp":{moment},"trade_price":{price}.0,"trade_volume":{_STAMP_MARK}.0,"ask_bid":"ASK",'
        f'"prev_closing_price":{price - 9}.0,"change":"RISE","change_price":{price}.0,'
        f'"sequential_id":{moment}0000,"best_ask_price":{price}.0,"best_ask_size":0.{price},'
        f'"best_bid_price":{price - 9}.0,"best_bid_size":0.{price},"stream_type":"REALTIME"}}'
    )


def _orderbook(code: str, moment: str, rng: random.Random) -> str:
    price = rng.randrange(1_100, 9_900)
    units = ",".join(
        f'{{"ask_price":{price + level}.0,"bid_price":{price - 1 - level}.0,'
        f'"ask_size":0.{rng.randrange(10**2, 10**3)},"bid_size":0.{rng.randrange(10**2, 10**3)}}}'
        for level in range(BOOK_LEVELS)
    )
    return (
        f'{{"type":"orderbook","code":"{code}","timestamp":{moment},"total_ask_size":{_STAMP_MARK}.0,'
        f'"total_bid_size":{price}.48721726,"orderbook_units":[{units}],'
        f'"stream_type":"REALTIME","level":0}}'
    )


_BUILDERS = {"ticker": _ticker, "trade": _trade, "orderbook": _orderbook}


def _header(length: int, *, compressed: bool) -> bytes:
    first = 0xC2 if compressed else 0x82
    if length < 126:
        return bytes((first, length))
    return struct.pack("!BBH", first, 126, length)


@define
class Ring:
    """A ring of frames in one mutable buffer, with the places of everything that moves.

    `starts` has one more entry than there are frames, so frame i is `buffer[starts[i]:starts[i + 1]]`.
    """

    buffer: bytearray
    starts: list[int]
    frames_per_group: int
    stride: int
    """Length of a group, or 0 where frames differ in length (compressed)."""
    lap_fields: list[int]
    """Plain: offsets inside a group. Compressed: one absolute offset per frame."""
    stamp_fields: list[int]
    """Offsets inside a group, one per frame; empty when compressed."""

    @property
    def frames(self) -> int:
        return len(self.starts) - 1

    @property
    def groups(self) -> int:
        return self.frames // self.frames_per_group

    @property
    def mean_frame_size(self) -> float:
        return self.starts[-1] / self.frames

    def copy(self) -> Ring:
        """A ring of its own for one connection (the read-only tables are shared)."""
        return evolve(self, buffer=bytearray(self.buffer))

    def enter_lap(self, first_group: int, last_group: int, lap: int, before: int | None = None) -> None:
        """Write the digits of `lap` into groups [first_group, last_group).

        `before` is the lap they are in now, where the caller knows it: digits that stay are then skipped.
        """
        digits = b"%0*d" % (LAP_DIGITS, lap)
        if not self.stride:
            per_group = self.frames_per_group
            for field in self.lap_fields[first_group * per_group : last_group * per_group]:
                self.buffer[field : field + LAP_DIGITS] = digits
            return
        old = b"" if before is None else b"%0*d" % (LAP_DIGITS, before)
        count, base = last_group - first_group, first_group * self.stride
        for place in range(LAP_DIGITS):
            digit = digits[place : place + 1]
            if old[place : place + 1] == digit:
                continue
            for field in self.lap_fields:
                start = base + field + place
                self.buffer[start : start + (count - 1) * self.stride + 1 : self.stride] = digit * count

    def put_stamp(self, frame: int, digits: bytes) -> None:
        """Write a send time into a plain frame (compressed ones carry none)."""
        if not self.stride:
            return
        group, place = divmod(frame, self.frames_per_group)
        start = group * self.stride + self.stamp_fields[place]
        self.buffer[start : start + STAMP_DIGITS] = digits


@frozen
class Stock:
    """All frames that one connection needs: a snapshot of every symbol and type, and the ring of realtime frames."""

    snapshots: Ring
    ring: Ring

    def copy(self) -> Stock:
        """A stock of its own for one connection."""
        return Stock(self.snapshots.copy(), self.ring.copy())


def build_stock(symbols: int, types: Sequence[str] = TYPES, *, compressed: bool = False, groups: int = 4000) -> Stock:
    """Frames in which every symbol gets every type equally often, in an order that is shuffled on each pass."""
    if not 0 < symbols <= _MAX_GROUPS:
        raise ValueError(f"symbols must be 1 to {_MAX_GROUPS}, got {symbols}")
    payloads = _payloads(symbols, types, max(1, groups // symbols))
    first_pass = [text.replace(REALTIME, SNAPSHOT) for text in payloads[: symbols * len(types)]]
    make = _compressed_ring if compressed else _plain_ring
    return Stock(make(first_pass, len(types)), make(payloads, len(types)))


def sample_payloads(symbols: int = 10, types: Sequence[str] = TYPES) -> list[bytes]:
    """Plain payloads as a client sees them, for measuring decoders without a connection."""
    return [
        text.replace(_LAP_MARK, "0" * LAP_DIGITS).replace(_STAMP_MARK, stamp(0).decode()).encode()
        for text in _payloads(symbols, types, 1)
    ]


def _payloads(symbols: int, types: Sequence[str], passes: int) -> list[str]:
    rng = random.Random(symbols)
    codes = market_codes(symbols)
    payloads: list[str] = []
    for number in range(passes):
        order = rng.sample(codes, symbols)
        for index in range(symbols):
            moment = f"1790{_LAP_MARK}{number * symbols + index:0{INDEX_DIGITS}d}"
            for shift, name in enumerate(types):
                # Neighbouring frames belong to different symbols, as on a busy wire.
                payloads.append(_BUILDERS[name](order[(index + shift * 7) % symbols], moment, rng))
    return payloads


def _plain_ring(payloads: Sequence[str], per_group: int) -> Ring:
    buffer, starts = bytearray(), [0]
    for text in payloads:
        buffer += _header(len(text), compressed=False) + text.encode()
        starts.append(len(buffer))
    stride = starts[per_group]
    if any(start != stride * group for group, start in enumerate(starts[::per_group])):
        raise AssertionError("groups of the ring differ in length")
    group = bytes(buffer[:stride])
    laps = _positions(group, _LAP_MARK.encode())
    stamps = _positions(group, _STAMP_MARK.encode())
    ring = Ring(buffer, starts, per_group, stride, laps, stamps)
    for field in laps:
        for place in range(LAP_DIGITS):
            buffer[field + place :: stride] = b"0" * ring.groups
    for frame in range(ring.frames):
        ring.put_stamp(frame, stamp(0))
    return ring


def _compressed_ring(payloads: Sequence[str], per_group: int) -> Ring:
    buffer, starts, laps = bytearray(), [0], []
    for text in payloads:
        body, field = _deflate(text.replace(_STAMP_MARK, stamp(0).decode()).encode())
        header = _header(len(body), compressed=True)
        laps.append(len(buffer) + len(header) + field)
        buffer += header + body
        starts.append(len(buffer))
    return Ring(buffer, starts, per_group, 0, laps, [])


def _deflate(payload: bytes) -> tuple[bytes, int]:
    """One message for permessage-deflate without context takeover, and where in it the lap digits are.

    The compressor is shown a mark that occurs nowhere else, and its output for the first one is replaced by a stored
    block. Later marks are references back to it, so one patch changes them all.
    """
    before, mark, after = payload.partition(_LAP_MARK.encode())
    packer = zlib.compressobj(6, zlib.DEFLATED, -12, 5)
    head = packer.compress(before) + packer.flush(zlib.Z_SYNC_FLUSH)
    packer.compress(mark)
    packer.flush(zlib.Z_SYNC_FLUSH)
    tail = packer.compress(after) + packer.flush(zlib.Z_SYNC_FLUSH)
    if not tail.endswith(_FLUSH_TAIL):
        raise AssertionError("a flushed deflate stream ends in 00 00 ff ff")
    field = len(head) + len(_STORED_HEADER)
    return head + _STORED_HEADER + b"0" * LAP_DIGITS + tail[: -len(_FLUSH_TAIL)], field


def _positions(haystack: bytes, needle: bytes) -> list[int]:
    found, at = [], haystack.find(needle)
    while at >= 0:
        found.append(at)
        at = haystack.find(needle, at + 1)
    return found
