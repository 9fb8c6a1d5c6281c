"""Messages of every type that comes in numbers, each one different, for what is measured without a connection."""

from __future__ import annotations

import random
from collections.abc import Callable

import orjson

from benchmarks.frames import TYPES, market_codes, sample_payloads
from upbit_ws.simple_format_converter import to_simple

__all__ = ["PRIVATE", "PUBLIC", "SIMPLE", "messages_of"]

#: What is added to the name of a type in the SIMPLE format.
SIMPLE = " (SIMPLE)"
_DEFAULTS = (*TYPES, "candle.1m")
#: Names of the public kinds.
PUBLIC = (*_DEFAULTS, *(name + SIMPLE for name in _DEFAULTS))
#: Names of the private kinds; their numbers have more digits than a float.
PRIVATE = ("myOrder", "myAsset")


def messages_of(name: str, count: int) -> list[bytes]:
    """`count` messages of a kind, for as many markets where the type has markets."""
    kind = name.removesuffix(SIMPLE)
    if kind in TYPES:
        made = sample_payloads(count, (kind,))
    else:
        rng = random.Random(count)
        made = [_WRITERS[kind](code, rng).encode() for code in market_codes(count)]
    if kind == name:
        return made
    return [orjson.dumps(to_simple(orjson.loads(message))) for message in made]


def _moment(rng: random.Random) -> int:
    return rng.randrange(1_790_000_000_000, 1_791_000_000_000)


def _candle(code: str, rng: random.Random) -> str:
    price, minute = rng.randrange(1_100, 9_900), rng.randrange(10, 60)
    return (
        f'{{"type":"candle.1m","code":"{code}","candle_date_time_utc":"2026-09-21T07:{minute}:00",'
        f'"candle_date_time_kst":"2026-09-21T16:{minute}:00","opening_price":{price - 3}.0,"high_price":{price + 5}.0,'
        f'"low_price":{price - 9}.0,"trade_price":{price}.0,"candle_acc_trade_volume":14.{price}2207,'
        f'"candle_acc_trade_price":21598{price}.81713,"timestamp":{_moment(rng)},"stream_type":"REALTIME"}}'
    )


def _my_order(code: str, rng: random.Random) -> str:
    price, moment, digits = rng.randrange(1_100, 9_900), _moment(rng), rng.randrange(10**15, 10**16)
    return (
        f'{{"type":"myOrder","code":"{code}","uuid":"ac2dc2a3-fce9-40a2-a4f6-{digits % 10**12:012d}",'
        f'"ask_bid":"BID","order_type":"limit","state":"trade",'
        f'"trade_uuid":"68315169-fba4-4175-ade3-{digits % 10**11:012d}","price":{price}.0,"avg_price":{price}.0,'
        f'"volume":0.{digits}1771,"remaining_volume":5.{digits},"executed_volume":0.{digits}1771,"trades_count":1,'
        f'"reserved_fee":0,"remaining_fee":0,"paid_fee":0,"locked":{price}.{digits}2207,'
        f'"executed_funds":{price}.{digits}48207123,"time_in_force":null,"trade_fee":0.{digits}48207123,'
        f'"is_maker":true,"identifier":"mine-{digits}","smp_type":null,"prevented_volume":0,"prevented_locked":0,'
        f'"trade_timestamp":{moment},"order_timestamp":{moment - 5_000},"timestamp":{moment + 9},'
        f'"stream_type":"REALTIME"}}'
    )


def _my_asset(_code: str, rng: random.Random) -> str:
    moment, digits = _moment(rng), rng.randrange(10**15, 10**16)
    return (
        f'{{"type":"myAsset","asset_uuid":"e635f223-1609-4969-8fb6-{digits % 10**12:012d}",'
        f'"assets":[{{"currency":"KRW","balance":1386929.{digits}1207123,"locked":10329.{digits}85685}}],'
        f'"asset_timestamp":{moment},"timestamp":{moment + 8},"stream_type":"REALTIME"}}'
    )


_WRITERS: dict[str, Callable[[str, random.Random], str]] = {
    "candle.1m": _candle,
    "myOrder": _my_order,
    "myAsset": _my_asset,
}
