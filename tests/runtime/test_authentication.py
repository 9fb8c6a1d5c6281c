"""Keys that are accepted, refused, missing or in danger: what the caller sees, and what the exchange gets to see."""

from __future__ import annotations

import base64
import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from tests.account_rig import account_config, wait_until
from upbit_ws import (
    AuthConfig,
    AuthenticationError,
    ConnectionConfig,
    ConnectionState,
    DataTimeoutError,
    DataType,
    GlobalWebSocketManager,
    InvalidArgumentError,
    SimpleWebSocketClient,
    WebSocketConfig,
)
from upbit_ws.client.websocket_client_proxy import WebSocketClientProxy
from upbit_ws.lifecycle import AuthenticationFailed
from upbit_ws.protocol.backoff import Backoff
from upbit_ws.sandbox import Sandbox
from upbit_ws.sandbox.auth import SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY, SandboxKey

pytestmark = pytest.mark.usefixtures("no_key_shows")

MakeSandbox = Callable[..., Sandbox]
QUIET: dict[str, Any] = {"rate": 0.0, "markets": ("KRW-BTC",), "history_hours": 0.0}


def claims_of(authorization: str) -> dict[str, Any]:
    part = authorization.removeprefix("Bearer ").split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


@pytest.mark.parametrize(
    ("mode", "name", "status"),
    [("on_request", "INVALID_AUTH", None), ("on_connect", "INVALID_AUTH", None), ("http", "jwt_verification", 401)],
)
def test_refused_keys_are_told_to_whoever_waits_after_one_retry_and_then_hardly_tried(
    mode: str, name: str, status: int | None, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(auth_failure=mode, **QUIET)
    config = account_config(sandbox.url, secret_key="wrong" * 8)
    with GlobalWebSocketManager(config) as manager, SimpleWebSocketClient("a", manager=manager) as client:
        client.register_interest(DataType.MY_ASSET)
        began = time.monotonic()
        with pytest.raises(AuthenticationError) as caught:
            client.get_my_assets(timeout=20)
        assert time.monotonic() - began < 3.0

        error = caught.value
        assert (error.name, error.status) == (name, status)
        assert any("가" <= letter <= "힣" for letter in error.message_ko), "Upbit's own words are kept"
        assert "upbit.com/mypage/open_api_management" in str(error)
        status_now = manager.connection_statuses()[0]
        assert status_now.state is ConnectionState.ERROR
        assert status_now.next_attempt_in is not None
        assert status_now.next_attempt_in > 25
        assert [event for event in manager.recent_events() if isinstance(event, AuthenticationFailed)]

        with pytest.raises(AuthenticationError):
            client.get_my_assets(timeout=20)
        with pytest.raises(AuthenticationError):
            client.wait_for_update(DataType.MY_ASSET, timeout=20)
        nonces = [claims_of(shake.headers["authorization"])["nonce"] for shake in sandbox.handshakes]
        assert len(nonces) == len(set(nonces)) == 2, "one retry, with a token of its own"


def test_a_proxy_hears_of_refused_keys_as_an_event(make_sandbox: MakeSandbox) -> None:
    sandbox = make_sandbox(**QUIET)
    config = account_config(sandbox.url, secret_key="wrong" * 8)
    heard: list[object] = []
    with GlobalWebSocketManager(config) as manager, WebSocketClientProxy("a", manager=manager) as proxy:
        proxy.on_connection_event(heard.append)
        proxy.subscribe_my_order(print)
        wait_until(lambda: any(isinstance(event, AuthenticationFailed) for event in heard), "the event")


@pytest.mark.parametrize("mode", ["on_request", "on_connect", "http"])
def test_each_subscription_with_callback_hears_of_refused_keys_by_its_own_error_handler(
    mode: str, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(auth_failure=mode, **QUIET)
    config = account_config(sandbox.url, secret_key="wrong" * 8)
    orders: list[BaseException] = []
    notices: list[BaseException] = []
    late: list[BaseException] = []
    prices: list[BaseException] = []
    with GlobalWebSocketManager(config) as manager, WebSocketClientProxy("a", manager=manager) as proxy:
        proxy.subscribe_my_order(print, on_error=orders.append)
        proxy.subscribe_announcement(print, on_error=notices.append)
        proxy.subscribe_ticker(["KRW-BTC"], str, on_error=prices.append)
        wait_until(lambda: bool(orders and notices), "both errors")
        proxy.subscribe_my_asset(print, on_error=late.append)
        wait_until(lambda: bool(late), "the error of who came late")

        for errors in (orders, notices, late):
            assert [type(error) for error in errors] == [AuthenticationError]
        assert "upbit.com/mypage/open_api_management" in str(orders[0])
        assert prices == []


def test_it_hears_of_them_once_however_often_they_are_tried(
    make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Backoff.failed
    monkeypatch.setattr(Backoff, "failed", lambda self, *facts: min(failed(self, *facts), 0.05))
    sandbox = make_sandbox(auth_failure="http", connect_limit=None, **QUIET)
    errors: list[BaseException] = []
    with (
        GlobalWebSocketManager(account_config(sandbox.url, secret_key="wrong" * 8)) as manager,
        WebSocketClientProxy("a", manager=manager) as proxy,
    ):
        proxy.subscribe_my_order(print, on_error=errors.append)
        wait_until(lambda: sum(isinstance(event, AuthenticationFailed) for event in manager.recent_events()) >= 4, "4")
        proxy.subscribe_my_asset(print, on_error=errors.append)
        wait_until(lambda: len(errors) == 2, "the error of the second one")

        assert errors[0] is errors[1]


def test_keys_that_rest_alone_refuses_are_told_to_orders_and_balances_and_not_to_announcements(
    make_sandbox: MakeSandbox,
) -> None:
    key = SandboxKey(SANDBOX_SECRET_KEY, scopes=["view_orders", "view_assets"])
    sandbox = make_sandbox(keys={SANDBOX_ACCESS_KEY: key}, **QUIET)
    orders: list[BaseException] = []
    notices: list[BaseException] = []
    with (
        GlobalWebSocketManager(account_config(sandbox.url)) as manager,
        SimpleWebSocketClient("b", manager=manager) as client,
        WebSocketClientProxy("a", manager=manager) as proxy,
    ):
        proxy.subscribe_announcement(print, on_error=notices.append)
        client.register_interest(DataType.ANNOUNCEMENT)
        client.get_announcements()
        with pytest.MonkeyPatch.context() as patch:

            def refuse(*args: object) -> object:
                raise AuthenticationError("out_of_scope", "권한이 없습니다", status=403)

            patch.setattr("upbit_ws.runtime.account_queries.AccountQueries.open_orders", refuse)
            proxy.subscribe_my_order(print, on_error=orders.append)
            wait_until(lambda: bool(orders), "the error")
        assert [getattr(error, "name", error) for error in orders] == ["out_of_scope"]
        assert notices == []


def test_without_keys_registering_says_where_to_put_them_and_registers_nothing(make_sandbox: MakeSandbox) -> None:
    sandbox = make_sandbox(**QUIET)
    config = account_config(sandbox.url, auth=AuthConfig())
    with GlobalWebSocketManager(config) as manager, SimpleWebSocketClient("a", manager=manager) as client:
        for data_type in (DataType.MY_ORDER, DataType.MY_ASSET, DataType.ANNOUNCEMENT):
            with pytest.raises(AuthenticationError) as caught:
                client.register_interest(data_type)
            assert "AuthConfig(access_key=..., secret_key=...)" in str(caught.value)
            assert "UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY" in str(caught.value)
        with WebSocketClientProxy("b", manager=manager) as proxy, pytest.raises(AuthenticationError):
            proxy.subscribe_my_order(print)

        assert client.status().interests == 0
        assert manager.connection_statuses() == ()


def test_keys_are_found_in_the_environment(make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = make_sandbox(**QUIET)
    monkeypatch.setenv("UPBIT_ACCESS_KEY", SANDBOX_ACCESS_KEY)
    monkeypatch.setenv("UPBIT_SECRET_KEY", SANDBOX_SECRET_KEY)
    config = account_config(sandbox.url, auth=AuthConfig())
    with GlobalWebSocketManager(config) as manager, SimpleWebSocketClient("a", manager=manager) as client:
        client.register_interest(DataType.MY_ASSET)

        assert client.get_my_assets()["BTC"].balance == 1


def test_keys_may_change_between_two_connects(make_sandbox: MakeSandbox) -> None:
    sandbox = make_sandbox(keys={"first": SandboxKey("one" * 10), "second": SandboxKey("two" * 10)}, **QUIET)
    keys = [("first", "one" * 10)]
    config = account_config(sandbox.url, auth=AuthConfig(key_provider=lambda: keys[-1]))
    with GlobalWebSocketManager(config) as manager, SimpleWebSocketClient("a", manager=manager) as client:
        client.register_interest(DataType.MY_ASSET)
        client.get_my_assets()
        keys.append(("second", "two" * 10))
        sandbox.drop_all("rst")
        wait_until(lambda: len(sandbox.handshakes) == 2, "a reconnect")

        used = [claims_of(shake.headers["authorization"])["access_key"] for shake in sandbox.handshakes]
        assert used == ["first", "second"]


def test_a_provider_that_fails_later_is_a_refusal_and_not_a_crash(make_sandbox: MakeSandbox) -> None:
    sandbox = make_sandbox(**QUIET)
    answers: list[Any] = [(SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY)]

    def provide() -> tuple[str, str]:
        if not answers:
            raise RuntimeError(f"vault of {SANDBOX_SECRET_KEY} is locked")
        return answers[0]  # type: ignore[no-any-return]

    config = account_config(sandbox.url, auth=AuthConfig(key_provider=provide))
    with GlobalWebSocketManager(config) as manager, SimpleWebSocketClient("a", manager=manager) as client:
        client.register_interest(DataType.ANNOUNCEMENT)
        client.get_announcements()
        answers.clear()
        sandbox.drop_all("rst")
        wait_until(lambda: manager.connection_statuses()[0].state is ConnectionState.ERROR, "the refusal")

        error = manager.connection_statuses()[0].last_error
        assert error is not None
        assert "key_provider raised RuntimeError" in error
        assert SANDBOX_SECRET_KEY not in error


def test_hs512_is_accepted_and_no_warning_reaches_the_user(make_sandbox: MakeSandbox) -> None:
    sandbox = make_sandbox(**QUIET)
    auth = AuthConfig(access_key=SANDBOX_ACCESS_KEY, secret_key=SANDBOX_SECRET_KEY, algorithm="HS512")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters = list(warnings.filters)
        with (
            GlobalWebSocketManager(account_config(sandbox.url, auth=auth)) as manager,
            SimpleWebSocketClient("a", manager=manager) as client,
        ):
            client.register_interest([DataType.MY_ASSET, DataType.MY_ORDER])
            assert client.get_my_assets()
        assert warnings.filters == filters


def test_each_connect_carries_a_token_of_its_own_and_nothing_that_costs_the_user_dear(
    make_sandbox: MakeSandbox,
) -> None:
    """The bytes as the exchange gets them: no Origin (it means one request per 10 s), one Authorization."""
    sandbox = make_sandbox(**QUIET)
    with (
        GlobalWebSocketManager(account_config(sandbox.url)) as manager,
        SimpleWebSocketClient("a", manager=manager) as client,
    ):
        client.register_interest(DataType.ANNOUNCEMENT)
        client.get_announcements()
        for count in (2, 3):
            sandbox.drop_all("rst")
            wait_until(lambda count=count: len(sandbox.handshakes) == count, "a reconnect")  # type: ignore[misc]

    tokens = [shake.headers["authorization"] for shake in sandbox.handshakes]
    claims = [claims_of(token) for token in tokens]
    assert len({one["nonce"] for one in claims}) == 3
    assert all(one.keys() == {"access_key", "nonce"} for one in claims)
    shake = sandbox.handshakes[0]
    lines = shake.raw.decode().split("\r\n")
    assert [line.partition(":")[0] for line in lines if line] == [
        "GET /websocket/v1/private HTTP/1.1",
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "User-Agent",
        "Authorization",
    ]
    assert f"Host: 127.0.0.1:{sandbox.port}" in lines


def test_keys_never_travel_in_clear(make_sandbox: MakeSandbox) -> None:
    connection = ConnectionConfig(base_url="http://exchange.example")
    with (
        GlobalWebSocketManager(account_config("", connection=connection)) as manager,
        SimpleWebSocketClient("a", manager=manager) as client,
    ):
        with pytest.raises(InvalidArgumentError, match=r"would send keys to exchange\.example in clear.*https://"):
            client.register_interest(DataType.MY_ASSET)

        assert manager.connection_statuses() == ()


def test_a_key_without_the_permission_is_told_by_its_name(make_sandbox: MakeSandbox) -> None:
    key = SandboxKey(SANDBOX_SECRET_KEY, scopes=["view_assets"])
    sandbox = make_sandbox(keys={SANDBOX_ACCESS_KEY: key}, **QUIET)
    config = account_config(sandbox.url)
    with GlobalWebSocketManager(config) as manager, SimpleWebSocketClient("a", manager=manager) as client:
        client.register_interest(DataType.MY_ORDER)
        with pytest.raises(AuthenticationError) as caught:
            client.get_my_orders(timeout=10)

        assert caught.value.name in ("out_of_scope", "INVALID_AUTH")
        assert "permission" in str(caught.value)


def test_private_streams_need_nothing_of_the_public_one_and_end_with_the_last_interest(
    make_sandbox: MakeSandbox,
) -> None:
    sandbox = make_sandbox(**QUIET)
    config = account_config(sandbox.url)
    with GlobalWebSocketManager(config) as manager, SimpleWebSocketClient("a", manager=manager) as client:
        client.register_interest(DataType.MY_ASSET)
        client.get_my_assets()
        assert [shake.path for shake in sandbox.handshakes] == ["/websocket/v1/private"]

        client.unregister_interest(DataType.MY_ASSET)
        wait_until(lambda: sandbox.connections == 0, "the goodbye")


def test_a_silent_exchange_is_a_timeout_and_not_a_refusal() -> None:
    config: WebSocketConfig = account_config("http://127.0.0.1:9")
    with GlobalWebSocketManager(config) as manager, SimpleWebSocketClient("a", manager=manager) as client:
        client.register_interest(DataType.MY_ASSET)
        with pytest.raises(DataTimeoutError):
            client.get_my_assets(timeout=0.2)
