"""What happened while nobody listened is found over REST, comes first, and comes once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from tests.account_rig import account_config, wait_until
from upbit_ws import (
    AuthenticationError,
    DataTimeoutError,
    DataType,
    GlobalWebSocketManager,
    MyAssetEvent,
    MyOrderEvent,
    RecoveryConfig,
    SimpleWebSocketClient,
    StaleDataError,
    StreamKey,
)
from upbit_ws.client.websocket_client_proxy import WebSocketClientProxy
from upbit_ws.lifecycle import AuthenticationFailed, GapRecovered, GapReported
from upbit_ws.protocol.gap_filling import GapState
from upbit_ws.sandbox import Sandbox
from upbit_ws.sandbox.auth import SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY, SandboxKey
from upbit_ws.shared.account_book import ASSETS
from upbit_ws.testing import FaultProxy

pytestmark = pytest.mark.usefixtures("no_key_shows")

BTC, ETH = "KRW-BTC", "KRW-ETH"


class Desk:
    """An account at a quiet exchange, behind a network that can be cut, with a pull client and a callback."""

    def __init__(self, stack: ExitStack, sandbox: Sandbox, **sections: Any) -> None:
        self.sandbox = sandbox
        self.exchange = sandbox.exchange
        self.network = stack.enter_context(FaultProxy(("127.0.0.1", sandbox.port)))
        self.config = account_config(f"http://127.0.0.1:{self.network.port}", **sections)
        self.manager = stack.enter_context(GlobalWebSocketManager(self.config))
        self.client = stack.enter_context(SimpleWebSocketClient("desk", manager=self.manager))
        self.push = stack.enter_context(WebSocketClientProxy("callbacks", manager=self.manager))
        self.heard: list[MyOrderEvent] = []
        self.balances: list[MyAssetEvent] = []

    def open(self, *types: DataType) -> None:
        """Follow orders and balances, and wait until everything is known."""
        self.client.register_interest(list(types or (DataType.MY_ORDER, DataType.MY_ASSET)))
        if DataType.MY_ORDER in types or not types:
            self.push.subscribe_my_order(self.heard.append)
            self.client.get_my_orders()
        if DataType.MY_ASSET in types or not types:
            self.push.subscribe_my_asset(self.balances.append)
            self.client.get_my_assets()
        assert self.client.wait_ready(timeout=5)

    def cut(self) -> None:
        """Nothing passes from now on, and what is connected is reset."""
        self.network.blackhole()
        self.network.reset()

    def heal(self) -> None:
        self.network.reset()
        self.network.heal()

    def limit(self, code: str = BTC, side: str = "BID", factor: float = 0.9, volume: str = "0.01") -> str:
        """A limit order that rests."""
        price = int(self.exchange.price(code) * factor) // 1000 * 1000
        return self.exchange.place_order(code, side, price=price, volume=volume).uuid

    def states(self, uuid: str) -> list[tuple[str, str]]:
        return [(event.state, event.stream_type) for event in self.heard if event.uuid == uuid]

    def await_gap(self) -> None:
        wait_until(lambda: any(isinstance(event, GapRecovered) for event in self.manager.recent_events()), "recovery")


@pytest.fixture
def make_desk(make_sandbox: Callable[..., Sandbox]) -> Iterator[Callable[..., Desk]]:
    with ExitStack() as stack:

        def make(settings: dict[str, Any] | None = None, **sections: Any) -> Desk:
            quiet = {"rate": 0.0, "markets": (BTC, ETH), "connect_limit": None, **(settings or {})}
            return Desk(stack, make_sandbox(**quiet), **sections)

        yield make


def test_what_is_open_at_the_first_connect_is_known_and_told_to_nobody(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    resting = desk.limit()
    ended = desk.exchange.cancel_order(desk.limit()).uuid
    desk.sandbox.exchange.trade(BTC)
    time.sleep(1.1)  # REST tells whole seconds: what ended in the second of the registration may be told
    desk.open()

    assert [*desk.client.get_my_orders()] == [resting]
    assert desk.client.get_my_orders()[resting].stream_type == "RECOVERED"
    assert ended not in desk.client.get_my_orders()
    assert desk.heard == []
    assert desk.balances == []
    assert desk.client.gaps() == ()


def test_what_was_missed_is_told_in_order_and_before_what_is_newer(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    desk.open()
    resting, cancelled = desk.limit(), desk.limit()
    wait_until(lambda: len(desk.heard) == 2, "both orders")
    desk.cut()
    desk.exchange.cancel_order(cancelled)
    bought = desk.exchange.place_order(BTC, "BID", price=1_000_000).uuid
    desk.heal()
    desk.await_gap()
    desk.exchange.cancel_order(resting)
    wait_until(lambda: ("cancel", "REALTIME") in desk.states(resting), "the live cancel")

    assert desk.states(cancelled) == [("wait", "REALTIME"), ("cancel", "RECOVERED")]
    fills = len(desk.exchange.orders()[bought].fills)
    assert desk.states(bought) == [
        ("wait", "RECOVERED"),
        *[("trade", "RECOVERED")] * fills,
        (desk.exchange.orders()[bought].state, "RECOVERED"),
    ]
    assert desk.heard[-1].uuid == resting
    assert [asset.stream_type for asset in desk.balances if asset.stream_type == "RECOVERED"] == ["RECOVERED"]
    gaps = desk.client.gaps() or desk.manager.gaps()
    assert [gap.state for gap in gaps] == [GapState.RECOVERED]
    assert gaps[0].start < gaps[0].end
    history = [(event.state, event.uuid) for event in desk.client.get_my_order_history()]
    assert history[-1] == ("cancel", resting)


def test_histories_have_what_was_recovered(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    desk.open()
    desk.cut()
    uuid = desk.limit()
    desk.heal()
    desk.await_gap()

    assert [(event.uuid, event.stream_type) for event in desk.client.get_my_order_history(limit=1)] == [
        (uuid, "RECOVERED")
    ]


def test_a_hundred_and_fifty_open_orders_are_all_found(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk({"default_limit": None})
    placed = {desk.limit(volume="0.00100000") for _ in range(150)}
    desk.open(DataType.MY_ORDER)

    assert desk.client.get_my_orders(open_only=True).keys() == placed


def test_only_the_markets_that_are_wanted_are_followed(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    bitcoin, ether = desk.limit(), desk.limit(ETH, volume="0.1")
    desk.client.register_interest(DataType.MY_ORDER, [BTC])
    assert [*desk.client.get_my_orders()] == [bitcoin]

    desk.client.register_interest(DataType.MY_ORDER, [ETH])
    wait_until(lambda: desk.client.get_my_orders().keys() == {bitcoin, ether}, "the other market")
    assert [*desk.client.get_my_orders([ETH])] == [ether]
    assert [*desk.client.get_my_orders(["krw-btc"])] == [bitcoin]
    desk.client.unregister_interest(DataType.MY_ORDER, [BTC])
    wait_until(lambda: [*desk.manager.pool.account.orders()] == [ether], "forgetting")


@pytest.mark.parametrize("pause", [0.0, 0.3])
def test_orders_that_were_given_up_and_are_wanted_again_on_the_same_connection_are_read_again(
    pause: float, make_desk: Callable[..., Desk]
) -> None:
    """At once: then the exchange is not even told. Or after it was."""
    desk = make_desk()
    desk.client.register_interest(DataType.ANNOUNCEMENT)  # keeps the connection
    desk.client.register_interest([DataType.MY_ORDER, DataType.MY_ASSET])
    first = desk.limit()
    wait_until(lambda: [*desk.client.get_my_orders()] == [first], "the order")
    desk.client.unregister_interest([DataType.MY_ORDER, DataType.MY_ASSET])
    wait_until(lambda: not desk.manager.pool.account.covered, "forgetting")
    second = desk.limit()
    time.sleep(pause)
    desk.client.register_interest([DataType.MY_ORDER, DataType.MY_ASSET])

    assert desk.client.get_my_orders(timeout=5).keys() == {first, second}
    assert desk.client.get_my_assets(timeout=5)["KRW"].locked > 0
    assert desk.manager.connection_statuses()[0].reconnects == 0


def test_what_the_exchange_refuses_holds_nothing_back_of_what_it_does_not_refuse(
    make_desk: Callable[..., Desk],
) -> None:
    key = SandboxKey(SANDBOX_SECRET_KEY, scopes=["view_assets"])
    desk = make_desk({"keys": {SANDBOX_ACCESS_KEY: key}}, recovery=RecoveryConfig(hold=60.0))
    desk.client.register_interest([DataType.MY_ORDER, DataType.MY_ASSET])
    desk.push.subscribe_my_asset(desk.balances.append)
    desk.client.get_my_assets()
    with pytest.raises(AuthenticationError):
        desk.client.get_my_orders()
    slot: Any = desk.manager.pool.slot(StreamKey(DataType.MY_ASSET, ""))
    wait_until(lambda: slot.established_in == desk.manager.connection_statuses()[0].epoch, "the confirmation")
    wait_until(lambda: desk.manager.pool.account.based == {ASSETS}, "the base")
    desk.limit()

    wait_until(lambda: bool(desk.balances), "the balance", 5.0)
    desk.client.register_interest(DataType.ANNOUNCEMENT)
    desk.client.get_announcements()
    told = len(desk.balances)
    desk.limit()
    wait_until(lambda: len(desk.balances) > told, "the next balance", 5.0)


def test_what_happens_while_nobody_is_interested_is_nobodys_news(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    desk.open(DataType.MY_ORDER)
    for id_ in desk.manager._push.subscriptions_of(desk.push._member.token):
        desk.push.unsubscribe(id_)
    desk.client.unregister_interest(DataType.MY_ORDER)
    wait_until(lambda: desk.sandbox.connections == 0, "the goodbye")
    old = desk.limit()
    time.sleep(1.1)
    desk.open(DataType.MY_ORDER)

    assert [*desk.client.get_my_orders()] == [old]
    assert desk.heard == []


def test_without_recovery_a_gap_is_reported_and_live_events_go_on(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(recovery=RecoveryConfig(enabled=False))
    desk.open()
    desk.cut()
    missed = desk.limit()
    desk.heal()
    wait_until(lambda: any(isinstance(event, GapReported) for event in desk.manager.recent_events()), "the report")
    live = desk.limit()
    wait_until(lambda: bool(desk.states(live)), "the live order")

    assert missed not in desk.client.get_my_orders()
    assert [gap.reason for gap in desk.manager.gaps()] == ["recovery is switched off"]


def test_a_fill_that_is_counted_but_was_never_told_is_looked_up(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    desk.open(DataType.MY_ORDER)
    uuid = desk.exchange.place_order(BTC, "BID", price=5_000_000).uuid
    fills = {fill.uuid for fill in desk.exchange.orders()[uuid].fills}
    assert len(fills) >= 2
    wait_until(lambda: len(desk.states(uuid)) == len(fills) + 2, "the order")

    # As if one fill of a second order had been lost on the way.
    take = desk.manager.pool.account.take
    lost: list[str] = []

    def lossy(event: Any) -> Any:
        if isinstance(event, MyOrderEvent) and event.uuid != uuid and event.state == "trade" and not lost:
            lost.append(str(event.trade_uuid))
            return None
        return take(event)

    desk.manager.pool.account.take = lossy  # type: ignore[method-assign]
    other = desk.exchange.place_order(BTC, "BID", price=5_000_000).uuid
    wait_until(lambda: any(event.trade_uuid in lost for event in desk.heard), "the lost fill")

    told = [event.trade_uuid for event in desk.heard if event.uuid == other and event.state == "trade"]
    assert sorted(map(str, told)) == sorted(fill.uuid for fill in desk.exchange.orders()[other].fills)


def test_live_events_do_not_wait_for_ever_behind_a_rest_that_hangs(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(recovery=RecoveryConfig(hold=0.3, request_timeout=20.0))
    hanging = threading.Event()
    desk.open(DataType.MY_ORDER)
    queries = "upbit_ws.runtime.account_queries.AccountQueries.open_orders"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queries, lambda self: list(" " * hanging.wait(10))[1:])
        desk.sandbox.drop_all("rst")
        wait_until(lambda: desk.manager.connection_statuses()[0].reconnects == 1, "a reconnect")
        slot: Any = desk.manager.pool.slot(StreamKey(DataType.MY_ORDER, ""))
        wait_until(lambda: slot.established_in == 2, "the confirmation")
        held = desk.limit()
        wait_until(lambda: held in desk.client.get_my_orders(), "the pull")
        assert desk.states(held) == []
        hanging.wait(0.4)
        live = desk.limit()
        wait_until(lambda: bool(desk.states(live)), "the callback", 3.0)
        assert [event.uuid for event in desk.heard] == [held, live]
        hanging.set()


def test_keys_that_rest_refuses_are_told_to_whoever_waits(make_desk: Callable[..., Desk]) -> None:
    key = SandboxKey(SANDBOX_SECRET_KEY, scopes=["view_orders"])
    desk = make_desk({"keys": {SANDBOX_ACCESS_KEY: key}})
    desk.client.register_interest([DataType.MY_ORDER])
    desk.client.get_my_orders()
    desk.exchange.put_key(SANDBOX_ACCESS_KEY, SandboxKey(SANDBOX_SECRET_KEY, scopes=[]))
    desk.client.register_interest([DataType.ANNOUNCEMENT])
    desk.client.get_announcements()
    desk.manager._account.reconciler._done = (0, frozenset())
    desk.manager._account.reconciler._signal.set()
    wait_until(
        lambda: any(isinstance(event, AuthenticationFailed) for event in desk.manager.recent_events()), "the refusal"
    )

    with pytest.raises(AuthenticationError) as caught:
        desk.client.wait_for_update(DataType.MY_ORDER, timeout=5)
    assert caught.value.name == "out_of_scope"
    assert "permission to view orders" in str(caught.value)


def test_a_pull_says_how_old_its_answer_may_be(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    desk.open()
    assert desk.client.get_my_assets(max_age=5.0)
    desk.cut()
    wait_until(lambda: desk.manager.connection_statuses()[0].state.value != "connected", "the loss")
    time.sleep(0.2)
    with pytest.raises(StaleDataError):
        desk.client.get_my_orders(max_age=0.1)
    assert desk.client.get_my_assets(), "without a limit the last known state is the answer"
    desk.heal()
    wait_until(lambda: desk.manager.connection_statuses()[0].state.value == "connected", "the return")
    wait_until(lambda: desk.manager.pool.account.reconciled_in == desk.manager.connection_statuses()[0].epoch, "base")
    assert desk.client.get_my_orders(max_age=5.0) == {}


def test_before_anything_is_known_a_pull_waits_for_its_timeout_and_no_longer(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    desk.cut()
    desk.client.register_interest(DataType.MY_ASSET)

    with pytest.raises(DataTimeoutError) as caught:
        desk.client.get_my_assets(timeout=0.1)
    assert [key.data_type for key in caught.value.missing] == [DataType.MY_ASSET]
    desk.heal()
    assert desk.client.get_my_assets(timeout=10)["KRW"].balance == 100_000_000


def test_rest_may_be_ahead_of_the_stream_and_an_orders_life_is_told_in_its_order(
    make_desk: Callable[..., Desk],
) -> None:
    """A live `wait` waits behind REST, which knows of the cancel already: the cancel comes second all the same."""
    desk = make_desk()
    desk.open(DataType.MY_ORDER)
    placed: list[str] = []
    queries = "upbit_ws.runtime.account_queries.AccountQueries.open_orders"
    take = desk.manager.pool.account.take
    with pytest.MonkeyPatch.context() as patch:

        def open_orders(self: Any) -> list[Any]:
            placed.append(desk.limit())
            wait_until(lambda: placed[0] in desk.manager.pool.account.orders(), "the live event")
            patch.setattr(desk.manager.pool.account, "take", lambda event: None)  # the live cancel is on its way still
            desk.exchange.cancel_order(placed[0])
            return []

        patch.setattr(queries, open_orders)
        desk.sandbox.drop_all("rst")
        wait_until(lambda: bool(placed) and len(desk.states(placed[0])) == 2, "both")
        patch.setattr(desk.manager.pool.account, "take", take)

    assert desk.states(placed[0]) == [("wait", "REALTIME"), ("cancel", "RECOVERED")]


def test_a_connection_that_is_renewed_leaves_no_gap_and_misses_nothing(make_desk: Callable[..., Desk]) -> None:
    """The new one is confirmed before the old one is let go, and all the same the account is compared."""
    desk = make_desk()
    desk.open()
    placed: list[str] = []

    def is_compared(epoch: int) -> bool:
        placed.append(desk.limit(volume="0.0001"))
        return desk.manager.pool.account.reconciled_in == epoch

    for epoch in (2, 3):
        desk.manager.rotate()
        wait_until(partial(is_compared, epoch), "the comparison")

    wait_until(lambda: len(desk.heard) >= len(placed), "all orders")
    assert sorted(event.uuid for event in desk.heard) == sorted(placed)
    assert desk.manager.gaps() == ()
    assert desk.manager.connection_statuses()[0].reconnects == 2
