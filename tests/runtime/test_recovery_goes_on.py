"""Whatever a reply over REST does to the recovery of one gap: the gap is reported, and the thread is there for the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.conftest import STILL, wait_until
from upbit_ws import ConnectionConfig, GapState, GlobalWebSocketManager, SimpleWebSocketClient, WebSocketConfig
from upbit_ws.sandbox import Sandbox
from upbit_ws.wire.rest import RestClient


def test_a_gap_that_cannot_be_read_is_reported_and_the_next_one_is_filled(
    make_sandbox: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox(**STILL)
    market = sandbox.exchange

    def lose_three_trades() -> None:
        sandbox.drop_all()
        for _ in range(3):
            market.trade("KRW-BTC", market.price("KRW-BTC") + 1_000)

    def fail(*_: Any, **__: Any) -> None:
        raise AttributeError("a reply of another shape")

    config = WebSocketConfig.testing(connection=ConnectionConfig(base_url=sandbox.url))
    with GlobalWebSocketManager(config) as manager, SimpleWebSocketClient("gaps", manager=manager) as client:
        client.register_interest(["trade"], ["KRW-BTC"])
        client.get_trade_data()  # the first one, whenever it came
        with monkeypatch.context() as patch:
            patch.setattr(RestClient, "trades_ticks", fail)
            lose_three_trades()
            wait_until(lambda: [gap.state for gap in client.gaps()] == [GapState.REPORTED], "the report of a gap")

        lose_three_trades()
        wait_until(lambda: len(client.gaps()) == 2 and client.gaps()[1].state is GapState.RECOVERED, "a filled gap")

        assert "another shape" in client.gaps()[0].reason
        assert manager.background_tasks["upbit-ws-recovery"]
