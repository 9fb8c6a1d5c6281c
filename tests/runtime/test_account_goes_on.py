"""Whatever an error inside the SDK does to one comparison of the account, the next one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.account_rig import account_config, wait_until
from upbit_ws import DataType, GlobalWebSocketManager, SimpleWebSocketClient
from upbit_ws.lifecycle import GapRecovered
from upbit_ws.runtime.account_reconciler import AccountReconciler
from upbit_ws.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("no_key_shows")


@pytest.fixture
def sandbox(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return make_sandbox(rate=0.0, markets=("KRW-BTC",), connect_limit=None)


@pytest.fixture
def manager(sandbox: Sandbox) -> Iterator[GlobalWebSocketManager]:
    with GlobalWebSocketManager(account_config(sandbox.url)) as made, SimpleWebSocketClient("a", manager=made) as client:
        client.register_interest(DataType.MY_ORDER)
        client.get_my_orders()
        yield made


def miss_an_order(sandbox: Sandbox, manager: GlobalWebSocketManager) -> None:
    """Lose the connection, and an order with it, and wait until that has been found."""
    before = len(recovered(manager))
    sandbox.drop_all("rst")
    sandbox.exchange.place_order("KRW-BTC", "BID", price=1_000_000)
    wait_until(lambda: len(recovered(manager)) == before + 1, "the recovery")


def recovered(manager: GlobalWebSocketManager) -> list[GapRecovered]:
    return [event for event in manager.recent_events() if isinstance(event, GapRecovered)]


def test_an_error_between_two_comparisons_ends_neither_the_thread_nor_the_comparing(
    sandbox: Sandbox, manager: GlobalWebSocketManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = manager._account.reconciler.thread
    failed: list[AccountReconciler] = []
    with monkeypatch.context() as patch:

        def fail(self: AccountReconciler) -> float:
            failed.append(self)
            raise AttributeError("a bug")

        patch.setattr(AccountReconciler, "_patience", fail)
        manager._account.reconciler._signal.set()
        wait_until(lambda: bool(failed), "the error")

    miss_an_order(sandbox, manager)

    assert manager._account.reconciler.thread is thread
    assert manager.background_tasks["upbit-ws-account"]
    assert len(failed) <= 2, "it does not run in circles"


def test_a_thread_that_ended_all_the_same_is_replaced_with_the_next_connection(
    sandbox: Sandbox, manager: GlobalWebSocketManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def fail(self: AccountReconciler) -> float:
            raise SystemExit("something out of the ordinary")

        patch.setattr(AccountReconciler, "_patience", fail)
        manager._account.reconciler._signal.set()
        wait_until(lambda: not manager.background_tasks["upbit-ws-account"], "the end of the thread")
    assert not manager.get_health_status().is_healthy

    miss_an_order(sandbox, manager)

    assert manager.background_tasks["upbit-ws-account"]
