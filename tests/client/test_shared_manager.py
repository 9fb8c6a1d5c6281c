"""All clients of a process share one manager, as long as it lives and is what they ask for."""

from __future__ import annotations

import pytest

from upbit_ws import (
    GlobalWebSocketManager,
    InvalidArgumentError,
    SimpleWebSocketClient,
    WebSocketConfig,
    get_global_websocket_manager,
)
from upbit_ws.client.shared_manager import checked_manager
from upbit_ws.sandbox import Sandbox


def test_all_clients_of_a_process_share_one(exchange: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPBIT_BASE_URL", exchange.url)
    config = WebSocketConfig.testing()
    manager = get_global_websocket_manager(config)
    try:
        with SimpleWebSocketClient("first") as first, SimpleWebSocketClient("second") as second:
            assert first._manager is second._manager is manager is get_global_websocket_manager()
            assert get_global_websocket_manager(config) is manager
            with pytest.raises(InvalidArgumentError, match="config"):
                get_global_websocket_manager(WebSocketConfig.production())
    finally:
        manager.close()

    other = get_global_websocket_manager(config)
    assert other is not manager
    other.close()


@pytest.mark.parametrize("given", ["manager", WebSocketConfig(), GlobalWebSocketManager])
def test_what_is_no_manager_is_refused_with_what_to_write_instead(given: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"manager must be a GlobalWebSocketManager") as caught:
        checked_manager(given)
    assert caught.value.instead == "manager=get_global_websocket_manager()"
