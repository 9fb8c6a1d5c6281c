"""Messages a second at full load: plain, over TLS, and compressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.clients import CLIENTS, SDK, STOCK
from benchmarks.load import LoadGenerator
from benchmarks.runner import Bench, Result, interleaved, middle, paired_ratio, run_client
from benchmarks.tables import Table, Target, number, times

TRANSPORTS = {"plain": "plain", "tls": "over TLS", "deflate": "compressed (permessage-deflate)"}


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """Every client on every transport it has."""
    data: dict[str, Any] = {}
    for transport in TRANSPORTS:
        able = [name for name in names if transport in CLIENTS[name].transports]
        with LoadGenerator(bench.settings(transport)) as generator:

            def one(name: str, generator: LoadGenerator = generator) -> Result:
                return run_client(name, bench.task(generator))

            data[transport] = interleaved(bench, able, one, transport)
    return data


def tables(data: dict[str, Any]) -> list[Table]:
    """One table for each transport."""
    made = []
    for transport, title in TRANSPORTS.items():
        results = data.get(transport, {})
        rows = [
            [
                CLIENTS[name].title,
                number(middle(rounds, "per_second")),
                times(paired_ratio(rounds, results.get(stock_of(results), []), "per_second")),
                number(middle(rounds, "cpu_us_per_message")),
            ]
            for name, rounds in results.items()
            if middle(rounds, "per_second") is not None
        ]
        if rows:
            against = CLIENTS[stock_of(results)].title
            made.append(
                Table(
                    f"Messages a second, {title}",
                    ["client", "messages/s", f"against {against}", "CPU us/message"],
                    rows,
                )
            )
    return made


def stock_of(results: dict[str, Any]) -> str:
    """What ratios refer to: stock websocket-client, or `websockets` where that one cannot do it (compression)."""
    return STOCK if STOCK in results else "websockets"


def targets(data: dict[str, Any]) -> list[Target]:
    """How many times the peers."""
    plain, tls = data.get("plain", {}), data.get("tls", {})

    def against(results: dict[str, Any], peer: str) -> float | None:
        return paired_ratio(results.get(SDK, []), results.get(peer, []), "per_second")

    return [
        Target("into the pool, against picows + orjson", against(plain, "picows"), 1.5, at_least=True, unit="x"),
        Target("into the pool, against websocket-client + orjson", against(plain, STOCK), 5, at_least=True, unit="x"),
        Target("into the pool, against the official SDK", against(plain, "upbit-sdk"), 120, at_least=True, unit="x"),
        Target("over TLS, against picows + orjson", against(tls, "picows"), 1.3, at_least=True, unit="x"),
        Target("messages called duplicates, out of order or broken, and reconnects", _mishaps(data), 0),
    ]


def _mishaps(data: dict[str, Any]) -> float | None:
    names = ("duplicates", "out_of_order", "decode_errors", "stale_dropped", "reconnects")
    rounds = [result for results in data.values() for result in results.get(SDK, []) if "duplicates" in result]
    return float(sum(result.get(name, 0) for result in rounds for name in names)) if rounds else None
