"""`python -m benchmarks.soak --minutes N --seed S`: faults at random, and a ledger of what became of every trade.

An exchange (embedded), a bad network (a proxy), and one manager with callbacks and pulls. All faults are drawn from the
seed. Exit status 1 when an invariant is broken: a trade that is missing and no gap that says so, a trade delivered
twice, a callback out of step with its counters, a connection that does not come back, a leak.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from attrs import define, evolve, field, frozen

from upbit_ws import GlobalWebSocketManager, SimpleWebSocketClient, TradeEvent, WebSocketClientProxy, WebSocketConfig
from upbit_ws.lifecycle import Connected, ConnectionEvent, Disconnected
from upbit_ws.protocol.gap_filling import GapState
from upbit_ws.sandbox import Sandbox, SandboxConfig
from upbit_ws.testing import FaultProxy
from upbit_ws.types import ConnectionState

__all__ = ["Ledger", "Soak", "main"]

CODES: Final = ("KRW-BTC", "KRW-ETH", "KRW-XRP")
#: Seconds between two trades; how long a fault lasts; how long to wait for the next one.
_TRADE_EVERY: Final = 0.002
_LASTS: Final = (0.1, 2.0)
_BETWEEN: Final = (0.3, 3.0)
#: Seconds in which everything has to be there again after the last fault.
_PATIENCE: Final = 30.0
_MIB: Final = 1 << 20
#: A trade may have been made so long (ms) before the last sign of life: it was on its way.
_WAY: Final = 500
#: Trades that the exchange keeps for REST: enough for the longest outage here, so that its memory comes to a halt.
_KEPT_BY_EXCHANGE: Final = 30_000
#: What a library imported on the way, full histories and the exchange may take; what this run's own books hold a trade.
_MOST_GROWTH: Final = 160 * _MIB
_GROWTH_PER_TRADE: Final = 40


@frozen
class Standing:
    """What the process holds."""

    memory: int
    threads: int
    descriptors: int

    @classmethod
    def take(cls) -> Standing:
        """Now. Where the system does not tell, 0."""
        memory = Path("/proc/self/statm")
        pages = int(memory.read_text().split()[1]) if memory.exists() else 0
        opened = Path("/proc/self/fd")
        return cls(pages * 4096, threading.active_count(), len(list(opened.iterdir())) if opened.exists() else 0)

    def __str__(self) -> str:
        return f"{self.memory / _MIB:.0f} MiB, {self.threads} threads, {self.descriptors} descriptors"


@define
class Book:
    """The trades of one market, in a few bytes each: an hour has more than a million."""

    made: array[int] = field(factory=lambda: array("q"))
    made_at: array[int] = field(factory=lambda: array("q"))
    """Ids, and when each was made (ms)."""
    got: array[int] = field(factory=lambda: array("q"))

    def note(self, number: int, at: int) -> None:
        """The exchange made a trade."""
        self.made.append(number)
        self.made_at.append(at)

    def missing(self) -> set[int]:
        """Ids that were made and have not arrived."""
        return set(self.made) - set(self.got)


def _books() -> dict[str, Book]:
    return {code: Book() for code in CODES}


@define
class Ledger:
    """What happened, filled by the threads that see it."""

    books: dict[str, Book] = field(factory=_books)
    newest: dict[str, int] = field(factory=dict)
    disorder: Counter[str] = field(factory=Counter)
    recovered: int = 0
    faults: Counter[str] = field(factory=Counter)
    lost_at: float | None = None
    recoveries: list[float] = field(factory=list)

    def take(self, event: TradeEvent) -> None:
        """A callback was called."""
        self.books[event.symbol].got.append(event.sequential_id)
        if event.sequential_id < self.newest.get(event.symbol, 0):
            self.disorder[event.symbol] += 1
        self.newest[event.symbol] = event.sequential_id
        self.recovered += event.stream_type == "RECOVERED"

    @property
    def made(self) -> int:
        """How many trades were made."""
        return sum(len(book.made) for book in self.books.values())

    @property
    def got(self) -> int:
        """How often a trade arrived."""
        return sum(len(book.got) for book in self.books.values())

    def note(self, event: ConnectionEvent) -> None:
        """Something happened to a connection."""
        if isinstance(event, Disconnected) and self.lost_at is None:
            self.lost_at = event.at
        elif isinstance(event, Connected) and self.lost_at is not None:
            self.recoveries.append(event.at - self.lost_at)
            self.lost_at = None


class Soak:
    """One run."""

    def __init__(self, sandbox: Sandbox, proxy: FaultProxy, rng: random.Random) -> None:
        self._sandbox, self._proxy, self._random = sandbox, proxy, rng
        self.ledger = Ledger()
        self.manager = GlobalWebSocketManager(_config(proxy))
        self._pull = SimpleWebSocketClient("pull", manager=self.manager)
        self._push = WebSocketClientProxy("push", manager=self.manager)
        self._is_over = threading.Event()
        self.halfway: Standing | None = None

    def begin(self) -> None:
        """Subscribe, and wait for the first trade of each market: those count as made."""
        self._push.on_connection_event(self.ledger.note)
        self._pull.register_interest(["ticker", "orderbook"], CODES)
        self._push.subscribe_trade(CODES, self.ledger.take, mailbox_size=1_000_000)
        if not _wait(lambda: all(book.got for book in self.ledger.books.values())):
            raise SystemExit("the exchange sent nothing")
        for book in self.ledger.books.values():
            for number in book.got:
                book.note(number, 0)

    def rage(self, seconds: float) -> None:
        """Trades all the time, faults at random."""
        maker = threading.Thread(target=self._make_trades, name="soak-trades")
        maker.start()
        try:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                if self.halfway is None and left < seconds / 2:
                    self.halfway = Standing.take()
                time.sleep(self._random.uniform(*_BETWEEN))
                self._break()
        finally:
            self._proxy.heal()
            self._is_over.set()
            maker.join()

    def _make_trades(self) -> None:
        while not self._is_over.wait(_TRADE_EVERY):
            self._make(CODES[self.ledger.made % len(CODES)])

    def _make(self, code: str) -> None:
        trade = self._sandbox.exchange.trade(code)
        self.ledger.books[code].note(trade.sequential_id, trade.timestamp)

    def _break(self) -> None:
        """One fault, for a while. No flipped bits: a price that TLS would have refused is no fault of the SDK."""
        sandbox, proxy, rng = self._sandbox, self._proxy, self._random
        lasting: dict[str, Callable[[], object]] = {
            "latency": lambda: proxy.latency(0.1, 0.05),
            "bandwidth": lambda: proxy.bandwidth(20_000),
            "slicer": lambda: proxy.slicer(7),
            "blackhole": proxy.blackhole,
            "limit": lambda: proxy.limit_data(rng.randrange(1, 50_000)),
            "down": sandbox.stop,
            "frozen": sandbox.freeze,
            "mute": lambda: sandbox.mute(until="reconnect"),
        }
        sudden: dict[str, Callable[[], object]] = {
            "reset": proxy.reset,
            "half close": proxy.half_close,
            "fin": sandbox.drop_all,
            "close": lambda: sandbox.drop_all("close", rng.choice((1000, 1001, 1011, 1012))),
            "rotation": self.manager.rotate,
        }
        name = rng.choice(sorted(lasting | sudden))
        self.ledger.faults[name] += 1
        (lasting | sudden)[name]()
        if name in lasting:
            time.sleep(rng.uniform(*_LASTS))
            proxy.heal()
            sandbox.start()
            sandbox.freeze(False)

    def settle(self) -> list[str]:
        """Wait until everything is there; what is broken."""
        manager, ledger = self.manager, self.ledger
        _wait(lambda: all(gap.state is not GapState.OPEN for gap in manager.gaps()) and self._is_up())
        # One more of each market, so that a gap that nothing has ended yet ends.
        for code in CODES:
            self._make(code)
        _wait(lambda: ledger.got >= ledger.made or self._missing_is_reported())
        broken: list[str] = []
        for code, book in ledger.books.items():
            delivered, made = Counter(book.got), set(book.made)
            broken += [f"delivered {times} times: {code} {number}" for number, times in delivered.items() if times > 1]
            broken += [f"delivered, but never made: {code} {number}" for number in delivered.keys() - made]
        if "rotation" not in ledger.faults:  # while two connections overlap, each delivers in its own time
            broken += [f"out of order: {code} ({times} times)" for code, times in ledger.disorder.items()]
        if not self._missing_is_reported():
            missing = {code: sorted(book.missing())[:3] for code, book in ledger.books.items()}
            broken.append(f"trades are missing and no gap says so: {missing}")
        stats = manager.get_distribution_stats()
        if stats.received != stats.delivered + stats.conflated + stats.dropped + stats.queued:
            broken.append(f"callbacks: {stats}")
        if not self._is_up():
            broken.append(f"not connected again: {manager.connection_statuses()}")
        return broken

    def _is_up(self) -> bool:
        return all(one.state is ConnectionState.CONNECTED for one in self.manager.connection_statuses())

    def _missing_is_reported(self) -> bool:
        """Whether each trade that is missing lies in a gap of its market that is told as not filled."""
        told = [gap for gap in self.manager.gaps() if gap.state is GapState.REPORTED]
        for code, book in self.ledger.books.items():
            missing = book.missing()
            times = [at for number, at in zip(book.made, book.made_at, strict=False) if number in missing]
            gaps = [gap for gap in told if gap.key.symbol == code]
            if not all(any(gap.start - _WAY <= at <= gap.end + _WAY for gap in gaps) for at in times):
                return False
        return True

    def lines(self) -> list[str]:
        """The ledger."""
        ledger, manager = self.ledger, self.manager
        stats, gaps = manager.get_distribution_stats(), Counter(gap.state.value for gap in manager.gaps())
        missing = sum(len(book.missing()) for book in ledger.books.values())
        times = sorted(ledger.recoveries) or [0.0]
        p50, p99 = times[len(times) // 2], times[min(len(times) * 99 // 100, len(times) - 1)]
        faults = ", ".join(f"{name} {count}" for name, count in sorted(ledger.faults.items()))
        return [
            f"faults: {sum(ledger.faults.values())} ({faults})",
            f"trades: {ledger.made} made, {ledger.got} delivered ({ledger.recovered} of them recovered), "
            f"{missing} missing and reported",
            f"order: {ledger.disorder.total()} came after a newer one",
            f"callbacks: {stats.conflated} conflated, {stats.dropped} dropped, {stats.queued} queued",
            f"gaps: {gaps['recovered']} recovered, {gaps['reported']} reported, {gaps['open']} open",
            f"reconnects: {len(ledger.recoveries)}; back after {p50:.2f} s (p50), {p99:.2f} s (p99), "
            f"{times[-1]:.2f} s (highest)",
        ]


def _config(proxy: FaultProxy) -> WebSocketConfig:
    """As users have it, but for clocks short enough that a run of minutes sees many reconnects."""
    config = WebSocketConfig()
    quick = {"ping_interval": 1.0, "pong_timeout": 1.0, "mute_floor": 2.0, "snapshot_timeout": 1.0}
    return evolve(
        config,
        connection=evolve(config.connection, base_url=proxy.url, **quick),
        rate_limit=evolve(config.rate_limit, shared_across_processes=False),
        recovery=evolve(config.recovery, hold=30.0),
    )


def _wait(is_true: Callable[[], bool]) -> bool:
    until = time.monotonic() + _PATIENCE
    while not is_true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def run(minutes: float, seed: int) -> list[str]:
    """One run, printed; what was broken."""
    print(f"seed: {seed}", flush=True)
    with ExitStack() as stack:
        config = SandboxConfig(
            rate=0.0,
            seed=seed,
            keep_trades=_KEPT_BY_EXCHANGE,
            connect_limit=None,
            rest_limit=None,
            message_limits=False,
        )
        sandbox = stack.enter_context(Sandbox(config))
        proxy = stack.enter_context(FaultProxy((sandbox.config.host, sandbox.port), seed=seed))
        soak = Soak(sandbox, proxy, random.Random(seed))
        stack.callback(soak.manager.close)
        soak.begin()
        before = Standing.take()
        soak.rage(minutes * 60.0)
        broken = soak.settle()
        after = Standing.take()
        standings = {"at the start": before, "halfway": soak.halfway, "at the end": after}
        for line in (*soak.lines(), *(f"{when}: {standing}" for when, standing in standings.items())):
            print(line)
    if after.threads > before.threads + 2 or after.descriptors > before.descriptors + 8:
        broken.append("threads or descriptors leaked")
    if after.memory - before.memory > _MOST_GROWTH + _GROWTH_PER_TRADE * soak.ledger.made:
        broken.append("memory grew")
    return broken


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=None, help="default: a fresh one, which is printed")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    broken = run(options.minutes, seed)
    for line in broken:
        print(f"BROKEN: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
