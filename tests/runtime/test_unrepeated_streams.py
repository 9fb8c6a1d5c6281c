"""What the exchange does not repeat is told to be missing: each time without a connection, and no other time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.account_rig import account_config, wait_until
from upbit_ws import DataType, GlobalWebSocketManager, SimpleWebSocketClient
from upbit_ws.client.websocket_client_proxy import WebSocketClientProxy
from upbit_ws.config import RecoveryConfig
from upbit_ws.lifecycle import ConnectionEvent, Disconnected, GapReported
from upbit_ws.protocol.gap_filling import GapState
from upbit_ws.runtime.recovery import RecoveryParts
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.runtime.unrepeated_streams import UnrepeatedStreams
from upbit_ws.sandbox import Sandbox
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.gap_ledger import GapLedger
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter
from upbit_ws.types import Endpoint, StreamKey, indicator_variant

NEWS = StreamKey(DataType.ANNOUNCEMENT, "")
ORDERS = StreamKey(DataType.MY_ORDER, "")
SIGNAL = StreamKey(DataType.INDICATOR_SIGNAL, "KRW-BTC", indicator_variant("5m", "rsi", {"period": 14}))
WALL = 1_000_000.0


class Bench:
    """Streams at an endpoint whose connections come and go as a test wants."""

    def __init__(self, endpoint: Endpoint = Endpoint.PRIVATE, *keys: StreamKey) -> None:
        self.endpoint = endpoint
        self.now = 0.0
        self.pool = DataPoolManager()
        self.pool.admit(endpoint, keys or (NEWS, ORDERS), 1)
        self.ledger = GapLedger()
        self.told: list[ConnectionEvent] = []
        self.streams = UnrepeatedStreams(
            RecoveryParts(
                config=RecoveryConfig(),
                clock=lambda: self.now,
                wall=lambda: WALL + self.now,
                pool=self.pool,
                ledger=self.ledger,
                rest=lambda budget: None,  # type: ignore[arg-type,return-value]
                budget=RestBudget(UpbitRateLimiter(), lambda: 0.0, lambda: 0.0, 1.0),
                publish=self.told.append,
                deliver=lambda deliveries: None,
            )
        )

    def connect(self, at: float, *keys: StreamKey, replaces: int | None = None) -> int:
        """A new connection, which the exchange confirms at once: its epoch."""
        self.now = at
        epoch = self.pool.open_epoch(self.endpoint, at, replaces=replaces)
        self.streams.confirm(self.endpoint, epoch, keys or (NEWS, ORDERS))
        return epoch

    def lose(self, at: float, epoch: int) -> None:
        self.now = at
        self.pool.close_epoch(epoch, at)
        self.streams.on_event(Disconnected(self.endpoint, at, epoch, "cut", None))

    @property
    def gaps(self) -> list[tuple[str, float, float]]:
        """Type, and seconds since the beginning of the test."""
        assert {gap.state for gap in self.ledger.gaps()} <= {GapState.REPORTED}
        return [
            (gap.key.data_type.value, gap.start / 1000 - WALL, gap.end / 1000 - WALL) for gap in self.ledger.gaps()
        ]


def test_the_time_without_a_connection_is_a_gap_in_what_is_not_repeated() -> None:
    bench = Bench()
    first = bench.connect(1.0)
    bench.now = 9.0
    bench.pool.prove_alive(first, 8.0)
    bench.lose(9.0, first)
    assert bench.gaps == [], "it is told when it is over"
    bench.connect(12.0)

    assert bench.gaps == [("announcement", 8.0, 12.0)], "since the last sign of life, and orders have REST"
    [event] = bench.told
    assert isinstance(event, GapReported)
    assert (event.endpoint, event.data_type, event.symbol) == (Endpoint.PRIVATE, DataType.ANNOUNCEMENT, "")
    assert "repeats nothing" in event.reason
    bench.connect(13.0, replaces=2)
    assert len(bench.gaps) == 1


def test_indicators_and_their_signals_are_not_repeated_either() -> None:
    bench = Bench(Endpoint.INFO, SIGNAL)
    bench.lose(2.0, bench.connect(1.0, SIGNAL))
    bench.connect(3.0, SIGNAL)

    assert [gap.key for gap in bench.ledger.gaps()] == [SIGNAL]
    assert [event.symbol for event in bench.told if isinstance(event, GapReported)] == ["KRW-BTC"]


def test_connections_that_are_lost_before_they_are_confirmed_make_one_gap_of_it() -> None:
    bench = Bench()
    bench.lose(2.0, bench.connect(1.0))
    bench.lose(4.0, bench.pool.open_epoch(Endpoint.PRIVATE, 3.0))
    bench.connect(5.0)

    assert bench.gaps == [("announcement", 1.0, 5.0)]


def test_a_connection_that_takes_over_from_a_living_one_leaves_no_gap() -> None:
    bench = Bench()
    first = bench.connect(1.0)
    bench.connect(2.0, replaces=first)
    bench.lose(3.0, first)
    bench.streams.confirm(Endpoint.PRIVATE, 2, (NEWS, ORDERS))

    assert bench.gaps == []


def test_a_successor_that_is_lost_while_the_old_connection_goes_on_leaves_no_gap() -> None:
    bench = Bench()
    first = bench.connect(1.0)
    bench.lose(3.0, bench.connect(2.0, replaces=first))
    bench.streams.confirm(Endpoint.PRIVATE, first, (NEWS, ORDERS))
    bench.lose(5.0, bench.pool.open_epoch(Endpoint.PRIVATE, 4.0, replaces=first))
    bench.streams.confirm(Endpoint.PRIVATE, first, (NEWS, ORDERS))

    assert bench.gaps == []


def test_what_was_given_up_in_between_has_missed_nothing() -> None:
    bench = Bench()
    bench.lose(2.0, bench.connect(1.0))
    bench.pool.forget_except(Endpoint.PRIVATE, [ORDERS], 1)
    bench.connect(3.0, ORDERS)
    bench.pool.admit(Endpoint.PRIVATE, [NEWS], 2)
    bench.connect(4.0)

    assert bench.gaps == []


def test_what_a_request_leaves_out_although_it_is_wanted_is_missed_until_the_next_one() -> None:
    """While the guilty part of a refused request is looked for, the others are asked for in parts."""
    bench = Bench()
    first = bench.connect(1.0)
    bench.now = 2.0
    bench.streams.confirm(Endpoint.PRIVATE, first, (ORDERS,))
    bench.now = 5.0
    bench.streams.confirm(Endpoint.PRIVATE, first, (NEWS, ORDERS))

    assert bench.gaps == [("announcement", 2.0, 5.0)]


@pytest.mark.usefixtures("no_key_shows")
def test_an_announcement_that_is_made_while_the_connection_is_down_is_told_to_be_missed(
    make_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = make_sandbox(rate=0.0, markets=("KRW-BTC",), connect_limit=None)
    told: list[ConnectionEvent] = []
    with (
        GlobalWebSocketManager(account_config(sandbox.url)) as manager,
        SimpleWebSocketClient("news", manager=manager) as client,
        SimpleWebSocketClient("orders", manager=manager) as other,
        WebSocketClientProxy("events", manager=manager) as proxy,
    ):
        proxy.on_connection_event(told.append)
        client.register_interest(DataType.ANNOUNCEMENT)
        other.register_interest(DataType.MY_ORDER)
        other.get_my_orders()
        assert client.get_announcements() == []
        assert client.gaps() == ()

        sandbox.stop()
        sandbox.exchange.announce("down for a while", category="maintenance")
        sandbox.start()
        wait_until(lambda: len(client.gaps()) == 1, "the report")
        sandbox.exchange.announce("up again", category="maintenance")
        wait_until(lambda: [one.title for one in client.get_announcements()] == ["up again"], "the next one")

        [gap] = client.gaps()
        assert (gap.key, gap.state) == (NEWS, GapState.REPORTED)
        assert gap.start < gap.end
        assert DataType.ANNOUNCEMENT not in {gap.key.data_type for gap in other.gaps()}
        wait_until(lambda: any(isinstance(event, GapReported) for event in told), "the event")

        manager.rotate()
        wait_until(lambda: manager.connection_statuses()[0].epoch == 3, "another connection")
        sandbox.exchange.announce("still here", category="notice")
        wait_until(lambda: client.get_announcements()[-1].title == "still here", "the last one")
        assert len(client.gaps()) == 1, "one that is renewed is never down"


@pytest.mark.usefixtures("no_key_shows")
def test_no_announcement_is_lost_nor_told_twice_while_connections_are_renewed(
    make_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = make_sandbox(rate=0.0, markets=("KRW-BTC",), connect_limit=None)
    told: list[str] = []
    with (
        GlobalWebSocketManager(account_config(sandbox.url)) as manager,
        WebSocketClientProxy("news", manager=manager) as proxy,
    ):
        proxy.subscribe_announcement(lambda event: told.append(event.title))
        wait_until(lambda: NEWS in manager.subscriptions.confirmed(Endpoint.PRIVATE), "the subscription")
        is_over = threading.Event()
        titles: list[str] = []

        def announce() -> None:
            while not is_over.wait(0.0005):
                titles.append(f"number {len(titles)}")
                sandbox.exchange.announce(titles[-1])

        thread = threading.Thread(target=announce)
        thread.start()
        for epoch in range(2, 8):
            manager.rotate()
            wait_until(lambda: manager.connection_statuses()[0].epoch == epoch, "another connection")  # noqa: B023
        is_over.set()
        thread.join()
        wait_until(lambda: set(told) >= set(titles), "all of them")

    # While two connections overlap, one of the old one may come behind a newer one.
    assert sorted(told) == sorted(titles)
