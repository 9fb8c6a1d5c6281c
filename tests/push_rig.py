"""The push side without a network: payloads as the exchange writes them, and workers that are stepped by hand."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from queue import Empty
from typing import Any

import orjson

from upbit_ws.client.push import PushSide
from upbit_ws.client.push_parts import Member, PushParts
from upbit_ws.client.subscription_options import read_options
from upbit_ws.config import BackpressureConfig
from upbit_ws.exceptions import AuthenticationError
from upbit_ws.lifecycle import ConnectionEvent
from upbit_ws.runtime.callback_workers import CallbackWorkers, Worker
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.subscriber import DATA_LANE, EVENTS_LANE
from upbit_ws.shared.subscription_state_manager import SubscriptionStateManager
from upbit_ws.testing import ManualClock
from upbit_ws.types import DataType, Endpoint

_FACTS: dict[str, Any] = {
    "opening_price": 10.0, "high_price": 12.0, "low_price": 9.0, "trade_price": 11.0, "prev_closing_price": 10.0,
    "acc_trade_price": 5.0, "change": "RISE", "change_price": 1.0, "signed_change_price": 1.0, "change_rate": 0.1,
    "signed_change_rate": 0.1, "ask_bid": "BID", "trade_volume": 1.0, "acc_trade_volume": 2.0, "trade_date": "20251123",
    "trade_time": "000000", "acc_ask_volume": 1.0, "acc_bid_volume": 1.0, "highest_52_week_price": 20.0,
    "highest_52_week_date": "2025-01-01", "lowest_52_week_price": 5.0, "lowest_52_week_date": "2025-01-02",
    "market_state": "ACTIVE", "is_trading_suspended": False, "delisting_date": None, "market_warning": "NONE",
}  # fmt: skip


def ticker(code: str, number: int, stream_type: str = "REALTIME") -> bytes:
    """A ticker whose timestamp is `number`."""
    facts = {
        **_FACTS,
        "trade_timestamp": number,
        "timestamp": number,
        "acc_trade_price_24h": 5.0,
        "acc_trade_volume_24h": 2.0,
    }
    return orjson.dumps({"type": "ticker", "code": code, **facts, "stream_type": stream_type})


def trade(code: str, number: int, stream_type: str = "REALTIME") -> bytes:
    """A trade whose id and timestamp are `number`."""
    return orjson.dumps({
        "type": "trade", "code": code, "timestamp": number, "trade_date": "2025-11-23", "trade_time": "00:00:00",
        "trade_timestamp": number, "trade_price": 11.0, "trade_volume": 1.0, "ask_bid": "BID",
        "prev_closing_price": 10.0, "change": "RISE", "change_price": 1.0, "sequential_id": number,
        "best_ask_price": 11.0, "best_ask_size": 1.0, "best_bid_price": 10.0, "best_bid_size": 1.0,
        "stream_type": stream_type,
    })  # fmt: skip


def candle(code: str, start: str, number: int, unit: str = "1m", stream_type: str = "REALTIME") -> bytes:
    """A state of the candle that begins at `start` (``2025-11-23T00:00:00``)."""
    return orjson.dumps({
        "type": f"candle.{unit}", "code": code, "candle_date_time_utc": start, "candle_date_time_kst": start,
        "opening_price": 10.0, "high_price": 12.0, "low_price": 9.0, "trade_price": 11.0,
        "candle_acc_trade_volume": 1.0, "candle_acc_trade_price": 11.0, "timestamp": number,
        "stream_type": stream_type,
    })  # fmt: skip


def orderbook(code: str, number: int, units: int = 30, stream_type: str = "REALTIME") -> bytes:
    """A book of so many units."""
    unit = {"ask_price": 11.0, "bid_price": 10.0, "ask_size": 1.0, "bid_size": 1.0}
    return orjson.dumps({
        "type": "orderbook", "code": code, "timestamp": number, "total_ask_size": 1.0, "total_bid_size": 1.0,
        "orderbook_units": [unit] * units, "stream_type": stream_type, "level": 0,
    })  # fmt: skip


class HandWorkers(CallbackWorkers):
    """Workers without threads: the test calls `turn`."""

    def start(self, lane: str) -> None:
        """No thread; what is queued waits for `turn`."""

    def turn(self, lane: str = DATA_LANE) -> bool:
        """What one worker does with one job; False when there is none."""
        where = self._lanes[lane]
        try:
            job = where.queue.get_nowait()
        except Empty:
            return False
        assert job is not None
        self._do(job, Worker(where))
        return True

    def run_out(self) -> None:
        """Turns until nothing waits, the lane of events first."""
        while self.turn(EVENTS_LANE) or self.turn():
            pass


class Component:
    """Stands for a proxy."""


class Rig:
    """A push side over a real pool and real subscriptions."""

    def __init__(self, make_workers: Callable[..., CallbackWorkers] = HandWorkers, **backpressure: Any) -> None:
        self.clock = ManualClock()
        self.pool = DataPoolManager()
        self.subscriptions = SubscriptionStateManager(clock=self.clock)
        self.announced: list[ConnectionEvent] = []
        self.refusal: AuthenticationError | None = None
        self.push = PushSide(
            PushParts(
                config=BackpressureConfig(**backpressure),
                clock=self.clock,
                pool=self.pool,
                subscriptions=self.subscriptions,
                wake=lambda endpoints: None,
                expand=lambda symbol: (symbol,),
                publish=self._publish,
                refusal=lambda data_type: self.refusal if data_type.needs_auth else None,
                make_workers=make_workers,
            )
        )
        self.component = Component()
        self.member = Member("rig", 1, weakref.ref(self.component))
        self.epoch = self.pool.open_epoch(Endpoint.PUBLIC, self.clock())

    def _publish(self, event: ConnectionEvent) -> None:
        self.announced.append(event)
        self.push.announce(event)

    @property
    def workers(self) -> HandWorkers:
        assert isinstance(self.push.workers, HandWorkers)
        return self.push.workers

    def subscribe(
        self, data_type: DataType, symbols: Iterable[str], callback: Callable[[Any], object], **options: Any
    ) -> str:
        """As a proxy would."""
        member = options.pop("member", self.member)
        spec, callback_options = read_options(data_type, symbols, options)
        return self.push.subscribe(member, spec, callback, callback_options)

    def bring(self, *messages: bytes) -> None:
        """What an I/O thread does with a read batch."""
        self.clock.advance(0.001)
        result = self.pool.ingest(Endpoint.PUBLIC, self.epoch, list(messages), self.clock())
        if result.deliveries:
            self.push.deliver(result.deliveries)

    def reconnect(self) -> None:
        """The connection is lost and another one opened."""
        self.pool.close_epoch(self.epoch, self.clock())
        self.epoch = self.pool.open_epoch(Endpoint.PUBLIC, self.clock())
