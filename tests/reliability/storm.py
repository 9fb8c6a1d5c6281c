"""Reconnects without end under trade traffic, and the two sets that have to be equal: made and delivered."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

from tests.leaks import open_descriptors
from tests.reliability.rig import Rig, wait_until
from upbit_ws import WebSocketClientProxy
from upbit_ws.lifecycle import Connected
from upbit_ws.protocol.gap_filling import GapState

__all__ = ["CODES", "Storm"]

CODES = ("KRW-BTC", "KRW-ETH", "KRW-XRP")
#: Without the exchange's limits, which would make a thousand reconnects take minutes of waiting.
HURRIED = {
    "reconnection": {"first_jitter": 0.01, "base_delay": 0.005, "max_delay": 0.02, "stable_after": 0.01},
    "rate_limit": {"connects_per_second": 10_000, "rest_per_second": 10_000, "shared_across_processes": False},
    "recovery": {"hold": 30.0},
}


class Storm:
    """An exchange whose trades are made one by one, a bad network before it, and callbacks that note every trade."""

    def __init__(self, rig: Rig, *, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self.sandbox = rig.sandbox(rate=0.0, keep_trades=1_000_000)
        self._proxy = rig.proxy(self.sandbox)
        self.subject = rig.connect(self._proxy, ["ticker"], CODES, **HURRIED)
        self.got: Counter[tuple[str, int]] = Counter()
        self.order: dict[str, list[int]] = {code: [] for code in CODES}
        self._callbacks = WebSocketClientProxy("storm", manager=self.subject.manager)
        self._callbacks.subscribe_trade(CODES, self._take, mailbox_size=1_000_000)
        wait_until(lambda: len(self.got) == len(CODES), "the first trade of each market")
        #: What was there before the beginning counts as well: the snapshots tell of it.
        self.made = set(self.got)
        self._is_over = threading.Event()
        self._maker = threading.Thread(target=self._make, name="storm-trades")

    def _take(self, event: object) -> None:
        code, number = event.symbol, event.sequential_id  # type: ignore[attr-defined]
        self.got[code, number] += 1
        self.order[code].append(number)

    def _make(self) -> None:
        rng = random.Random(2)
        while not self._is_over.wait(0.01):
            trade = self.sandbox.exchange.trade(rng.choice(CODES))
            self.made.add((trade.code, trade.sequential_id))

    def _break(self) -> str:
        """One way in which a connection ends."""
        kind = self._random.choice(("fin", "rst", "close", "proxy reset", "half close"))
        if kind in ("fin", "rst"):
            self.sandbox.drop_all(kind)
        elif kind == "close":
            # 1001 and 1012 spread a herd over five seconds, 1013 ("try again later") waits them: seldom, and never.
            self.sandbox.drop_all("close", self._random.choices((1000, 1011, 1001, 1012), (9, 9, 1, 1))[0])
        elif kind == "proxy reset":
            self._proxy.reset()
        else:
            self._proxy.half_close()
        return kind

    def rage(self, reconnects: int) -> Counter[str]:
        """Lose the connection so many times, in all ways, sometimes at once again and sometimes after a while."""
        kinds: Counter[str] = Counter()
        self._maker.start()
        try:
            for _ in range(reconnects):
                known = len(self.subject.events(Connected))
                kinds[self._break()] += 1
                self.subject.await_event(Connected, known + 1, patience=20.0)
                time.sleep(self._random.choice((0.0, 0.01, 0.05)))
        finally:
            self._proxy.heal()
            self._is_over.set()
            self._maker.join(5.0)
        return kinds

    def settle(self, *, patience: float = 20.0) -> None:
        """Wait until callbacks got everything; then, that they did so exactly once and in the order in which it happened,
        and that nothing was given up.
        """
        wait_until(lambda: self.got.keys() >= self.made, "the last trade", patience=patience)
        assert self.got.keys() == self.made
        assert {key: times for key, times in self.got.items() if times != 1} == {}
        assert [code for code, numbers in self.order.items() if numbers != sorted(numbers)] == []
        gaps = self.subject.manager.gaps()
        assert {gap.reason for gap in gaps if gap.state is not GapState.RECOVERED} == set()

    @staticmethod
    def standing() -> tuple[int, int]:
        """Threads and descriptors."""
        return threading.active_count(), sum((open_descriptors() or Counter()).values())
