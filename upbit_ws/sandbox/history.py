"""What happened before the exchange opened its doors: trades, and through them candles, sums and the previous close."""

from __future__ import annotations

import math
from random import Random

from upbit_ws.sandbox.listing import Listing
from upbit_ws.sandbox.tick_size import round_to_tick

__all__ = ["write_history"]

_LEAST, _MOST = 12, 600
"""Trades of a market's past: the least and the most, by its weight."""
_RECENT = 3.0
"""How strongly the past crowds towards the present: about half of the trades fall into the last eighth of the time."""
_VOLATILITY = 0.02


def write_history(listing: Listing, *, since: int, now: int, typical: int, rng: Random) -> None:
    """
    Let `listing` have traded from `since` to `now` (ms), along a random path that ends near its listed price.

    `typical` is a typical trade size in 1e-8. The past is made of ordinary trades: every sum and candle follows from
    them.
    """
    length = now - since
    if length <= 0:
        return
    count = min(_LEAST + int(listing.spec.weight * 500), _MOST)
    times = sorted(now - 1 - int((length - 1) * rng.random() ** _RECENT) for _ in range(count))
    previous = since
    deviation = rng.gauss(0.0, _VOLATILITY)
    for timestamp in times:
        left = max((now - timestamp) / length, 1e-6)
        passed = max((timestamp - previous) / length, 0.0)
        # A Brownian bridge: free on the way, but it ends where the market is listed.
        deviation += rng.gauss(0.0, _VOLATILITY * math.sqrt(passed)) - deviation * min(passed / (left + passed), 1.0)
        price = round_to_tick(listing.spec.quote, listing.spec.price * math.exp(deviation))
        size = max(int(4 * typical * rng.lognormvariate(0.0, 1.0)), 1)
        side = "BID" if rng.random() < 0.5 else "ASK"
        listing.record(timestamp, side, [(price, size, listing.take_ids(timestamp, 1)[0])])
        previous = timestamp
