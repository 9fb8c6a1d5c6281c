"""Which markets there are: a fixed cast with plausible prices, and as many more as asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from random import Random

from attrs import frozen

from upbit_ws.sandbox.tick_size import SCALE, round_to_tick

__all__ = ["DEFAULT_MARKETS", "MarketSpec", "market_specs", "named_specs"]

# Base currency: Korean name, English name, price in KRW. The prices are invented, their order of magnitude is not.
_CAST: dict[str, tuple[str, str, float]] = {
    "BTC": ("비트코인", "Bitcoin", 163_900_000),
    "ETH": ("이더리움", "Ethereum", 5_921_000),
    "XRP": ("리플", "XRP", 4_012),
    "SOL": ("솔라나", "Solana", 301_200),
    "DOGE": ("도지코인", "Dogecoin", 342),
    "USDT": ("테더", "Tether", 1_391),
    "ADA": ("에이다", "Ada", 1_184),
    "TRX": ("트론", "TRON", 478),
    "SUI": ("수이", "Sui", 4_870),
    "LINK": ("체인링크", "Chainlink", 31_450),
    "AVAX": ("아발란체", "Avalanche", 42_180),
    "XLM": ("스텔라루멘", "Lumen", 541),
    "BCH": ("비트코인캐시", "Bitcoin Cash", 802_500),
    "HBAR": ("헤데라", "Hedera", 327),
    "DOT": ("폴카닷", "Polkadot", 5_740),
    "NEAR": ("니어프로토콜", "NEAR Protocol", 3_905),
    "APT": ("앱토스", "Aptos", 6_215),
    "SHIB": ("시바이누", "Shiba Inu", 0.01743),
    "PEPE": ("페페", "Pepe", 0.01392),
    "SAND": ("샌드박스", "The Sandbox", 39.4),
    "BTT": ("비트토렌트", "BitTorrent", 0.000912),
    "ETC": ("이더리움클래식", "Ethereum Classic", 28_360),
    "ATOM": ("코스모스", "Cosmos", 6_455),
    "ARB": ("아비트럼", "Arbitrum", 702),
    "AAVE": ("에이브", "Aave", 427_300),
    "SEI": ("세이", "Sei", 411),
    "UNI": ("유니스왑", "Uniswap", 13_520),
    "STX": ("스택스", "Stacks", 931),
    "MANA": ("디센트럴랜드", "Decentraland", 43.1),
    "IOST": ("아이오에스티", "IOST", 4.72),
}
_KRW_PER = {"KRW": 1.0, "BTC": 163_900_000.0, "USDT": 1_391.0}

DEFAULT_MARKETS: tuple[str, ...] = (
    *(f"KRW-{base}" for base in tuple(_CAST)[:21]),
    *(f"BTC-{base}" for base in ("ETH", "XRP", "SOL", "LINK", "DOT")),
    *(f"USDT-{base}" for base in ("BTC", "ETH", "XRP", "DOGE")),
)
"""Served when the configuration names nothing: 21 KRW, 5 BTC and 4 USDT markets."""

# Pairs listed per quote currency, measured on 2026-09-23: 855 in all.
_SHARES = {"KRW": 289, "BTC": 328, "USDT": 238}
_ACTIVITY = {"KRW": 1.0, "BTC": 0.03, "USDT": 0.08}
_SYLLABLES = ("A", "E", "I", "O", "U", "Y")
_CONSONANTS = "BCDFGHJKLMNPRSTVXZ"


@frozen
class MarketSpec:
    """
    One market as it is listed.

    Attributes:
        code: "KRW-BTC".
        price: opening price in 1e-8 of the quote currency, on the price grid.
        weight: share of the trading, relative to the other markets.
        depth: levels a side of its book is filled up to.
        korean_name, english_name: as `/v1/market/all` gives them.
    """

    code: str
    price: int
    weight: float
    depth: int
    korean_name: str
    english_name: str

    @property
    def quote(self) -> str:
        """ "KRW" of "KRW-BTC"."""
        return self.code.partition("-")[0]

    @property
    def base(self) -> str:
        """ "BTC" of "KRW-BTC"."""
        return self.code.partition("-")[2]


def _invented(base: str) -> tuple[str, str, float]:
    """A price between a tenth of a won and a million, the same for the same name every time."""
    rng = Random(f"price of {base}")
    return f"{base} 코인", f"{base.capitalize()} Coin", 10 ** rng.uniform(-1, 5.5)


def _spec(code: str, rank: int) -> MarketSpec:
    quote, _, base = code.partition("-")
    korean, english, krw = _CAST.get(base) or _invented(base)
    price = round_to_tick(quote, krw / _KRW_PER.get(quote, 1.0) * SCALE)
    # Interest falls off along the list; what is quoted in BTC is thin, as on the real exchange.
    weight = _ACTIVITY.get(quote, 0.05) / math.sqrt(rank + 1)
    depth = 40 if quote == "KRW" else Random(f"depth of {code}").randint(6, 36)
    return MarketSpec(code, price, weight, depth, korean, english)


def named_specs(codes: Iterable[str], *, rank: int = 0) -> list[MarketSpec]:
    """The specs of `codes`, known or invented; `rank` counts the markets that come before them."""
    return [_spec(code, rank + number) for number, code in enumerate(codes)]


def _bases() -> Iterator[str]:
    """The names of the cast, then four-letter ones without end in a fixed order."""
    yield from _CAST
    rng = Random("names of coins")
    seen = set(_CAST)
    while True:
        name = "".join(rng.choice(letters) for letters in (_CONSONANTS, _SYLLABLES, _CONSONANTS, _SYLLABLES))
        if name not in seen:
            seen.add(name)
            yield name


def market_specs(codes: Iterable[str] | None = None, count: int | None = None) -> list[MarketSpec]:
    """
    The markets to serve: `codes` if given, else `count` of them in the real exchange's proportions, else the default
    set.

    855 gives 289 KRW, 328 BTC and 238 USDT markets.
    """
    if codes is not None:
        return named_specs(codes)
    if count is None:
        return named_specs(DEFAULT_MARKETS)
    total = sum(_SHARES.values())
    shares = {quote: count * share // total for quote, share in _SHARES.items()}
    shares["KRW"] += count - sum(shares.values())
    found: list[str] = []
    for quote, share in shares.items():
        names = (base for base in _bases() if base != quote)
        found.extend(f"{quote}-{next(names)}" for _ in range(share))
    return named_specs(found)
