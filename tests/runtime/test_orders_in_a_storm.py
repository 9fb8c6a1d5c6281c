"""Two hundred random orders while the private stream is cut again and again: at the end nothing is wrong or missing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress

import pytest
import requests

from tests.account_rig import MARKETS, Storm, Trader, account_config, wait_until
from upbit_ws import DataType, GlobalWebSocketManager, MyOrderEvent, RecoveryConfig, SimpleWebSocketClient
from upbit_ws.client.websocket_client_proxy import WebSocketClientProxy
from upbit_ws.sandbox import Sandbox
from upbit_ws.sandbox.orders import OrderRecord
from upbit_ws.testing import FaultProxy

pytestmark = pytest.mark.usefixtures("no_key_shows")

ORDERS = 200
FINISHED = ("done", "cancel")


class Heard:
    """What a callback was called with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[MyOrderEvent] = []

    def __call__(self, event: MyOrderEvent) -> None:
        with self._lock:
            self._events.append(event)

    def events(self) -> list[MyOrderEvent]:
        with self._lock:
            return list(self._events)

    def fills(self) -> Counter[str]:
        return Counter(str(event.trade_uuid) for event in self.events() if event.state == "trade")


def facts_of_record(record: OrderRecord) -> tuple[object, ...]:
    return (
        record.code,
        record.ask_bid,
        record.order_type,
        record.state if record.state in FINISHED else "open",
        record.price,
        record.volume,
        record.remaining_volume or 0,
        record.executed_volume or 0,
        record.executed_funds or 0,
        record.trades_count,
        record.paid_fee,
        record.locked,
    )


def facts_of_event(event: MyOrderEvent) -> tuple[object, ...]:
    return (
        event.symbol,
        event.ask_bid,
        event.order_type,
        event.state if event.state in FINISHED else "open",
        event.order_price,
        event.order_volume,
        event.remaining_volume or 0,
        event.executed_volume or 0,
        event.executed_funds or 0,
        event.trades_count,
        event.paid_fee,
        event.locked,
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 21))])
def test_books_equal_the_exchange_and_every_fill_is_told_once_whatever_the_network_does(
    seed: int, make_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = make_sandbox(
        seed=seed, rate=100.0, markets=MARKETS, order_limit=None, default_limit=None, connect_limit=None,
        balances={"KRW": 100_000_000, "BTC": 1, "ETH": 20},
    )  # fmt: skip
    heard = Heard()
    with ExitStack() as stack:
        network = stack.enter_context(FaultProxy(("127.0.0.1", sandbox.port), seed=seed))
        # Longer than the storm: no event may go first because the time is over.
        recovery = RecoveryConfig(hold=60.0, request_timeout=1.0)
        config = account_config(f"http://127.0.0.1:{network.port}", recovery=recovery)
        manager = stack.enter_context(GlobalWebSocketManager(config))
        client = stack.enter_context(SimpleWebSocketClient("books", manager=manager))
        push = stack.enter_context(WebSocketClientProxy("fills", manager=manager))
        trader = stack.enter_context(closing(Trader(sandbox, seed)))
        client.register_interest([DataType.MY_ORDER, DataType.MY_ASSET])
        push.subscribe_my_order(heard)
        with Storm(sandbox, network, seed) as storm:
            while len(trader.placed) < ORDERS:
                with suppress(requests.RequestException):  # the exchange is being restarted
                    trader.act()
                storm.pause(0.06)
        for uuid, order in sandbox.exchange.orders().items():
            if order.state not in FINISHED and seed % 2:
                sandbox.exchange.cancel_order(uuid)

        def differences() -> list[str]:
            mine, theirs = client.get_my_orders(timeout=20), sandbox.exchange.orders()
            wrong = [uuid for uuid, record in theirs.items() if uuid not in mine]
            wrong += [
                f"{facts_of_event(mine[uuid])} != {facts_of_record(record)}"
                for uuid, record in theirs.items()
                if uuid in mine and facts_of_event(mine[uuid]) != facts_of_record(record)
            ]
            balances = {
                name: (one.balance, one.locked)
                for name, one in client.get_my_assets().items()
                if one.balance or one.locked
            }
            exact = {
                name: (one.balance, one.locked)
                for name, one in sandbox.exchange.balances().items()
                if one.balance or one.locked
            }
            return wrong + ([f"{balances} != {exact}"] if balances != exact else [])

        wait_until(lambda: not differences(), "equal books", 20.0)
        fills = {fill.uuid for record in sandbox.exchange.orders().values() for fill in record.fills}
        wait_until(lambda: fills == heard.fills().keys(), "every fill", 5.0)
        assert max(heard.fills().values()) == 1
        recovered = [event for event in heard.events() if event.stream_type == "RECOVERED"]
        print(
            f"seed {seed}: {len(fills)} fills, {len(storm.blows)} cuts, {len(recovered)} of {len(heard.events())} events recovered"
        )
        assert len(fills) >= 50
        assert len(storm.blows) >= 5
        assert recovered
        assert manager._account.reconciler.overdue == 0
        _check_order_of_events(heard.events())


def _check_order_of_events(events: list[MyOrderEvent]) -> None:
    """Each order's events come in the order of its life: the beginning, its fills one by one, nothing behind the end."""
    counts: dict[str, int] = {}
    finished: set[str] = set()
    for event in events:
        if event.uuid not in counts:
            assert event.state == "wait", f"{event} before the beginning of its order"
        assert event.uuid not in finished, f"{event} behind the end of its order"
        expected = counts.get(event.uuid, 0) + (event.state == "trade")
        assert event.trades_count == expected, f"{event} where {expected} fills were told"
        counts[event.uuid] = event.trades_count
        if event.state in FINISHED:
            finished.add(event.uuid)
