"""`ccxt.pro`: its Upbit class with the URL set and the markets given, so that it asks nothing over REST."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt.pro  # type: ignore[import-untyped]

from benchmarks.clients.base import Meter, Task


def run(task: Task) -> None:
    """Watch tickers, trades and order books for ever."""
    meter = Meter(task)
    counter = meter.counter

    class Counting(ccxt.pro.upbit):  # type: ignore[misc]
        def handle_message(self, client: Any, message: dict[str, Any]) -> None:
            super().handle_message(client, message)
            counter[0] += 1

    async def watch(method: Any, *arguments: Any) -> None:
        while True:
            await method(*arguments)

    async def main() -> None:
        exchange = Counting()
        exchange.urls["api"]["ws"] = task.websocket_url
        exchange.set_markets([_market(code) for code in task.codes])
        symbols = list(exchange.markets)
        meter.start()
        await asyncio.gather(
            watch(exchange.watch_tickers, symbols),
            watch(exchange.watch_trades_for_symbols, symbols),
            # It has no way to watch several books in one call.
            *(watch(exchange.watch_order_book, symbol) for symbol in symbols),
        )

    asyncio.run(main())


def _market(code: str) -> dict[str, Any]:
    quote, base = code.split("-")
    return {
        "id": code,
        "symbol": f"{base}/{quote}",
        "base": base,
        "quote": quote,
        "type": "spot",
        "spot": True,
        "precision": {"amount": 1e-8, "price": 1e-8},
        "limits": {},
        "active": True,
    }
