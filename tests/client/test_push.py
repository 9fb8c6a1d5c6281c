"""What subscriptions are told besides their events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.push_rig import Rig
from upbit_ws.exceptions import AuthenticationError, RequestRejectedError
from upbit_ws.lifecycle import AuthenticationFailed, RequestRejected
from upbit_ws.protocol.subscription_plan import plan_wants
from upbit_ws.types import DataType, Endpoint


def nothing(event: object) -> None:
    """A callback that is not called."""


class Listener:
    """Subscriptions of one rig, and what their error handlers got."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.told: list[tuple[str, Any]] = []
        self.handlers: list[Callable[[BaseException], None]] = []

    def subscribe(self, data_type: DataType, symbols: tuple[str, ...] = ()) -> str:
        def on_error(error: BaseException) -> None:
            self.told.append((data_type.value, error))

        self.handlers.append(on_error)
        return self.rig.subscribe(data_type, symbols, nothing, on_error=on_error)

    def refuse(self, error: AuthenticationError | None) -> None:
        """What a connection that tries again does."""
        self.rig.refusal = error
        if error is not None:
            self.rig.push.announce(AuthenticationFailed(Endpoint.PRIVATE, 0.0, error.name, ""))

    def names(self) -> list[tuple[str, str]]:
        self.rig.workers.run_out()
        return [(where, error.name) for where, error in self.told]


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_refused_keys_are_told_to_each_subscription_that_needs_them_once_while_it_lasts(listener: Listener) -> None:
    listener.subscribe(DataType.MY_ORDER)
    listener.subscribe(DataType.ANNOUNCEMENT)
    listener.subscribe(DataType.TICKER, ("KRW-BTC",))
    error = AuthenticationError("no_authorization_ip", "허용되지 않은 IP")
    for _ in range(3):
        listener.refuse(error)

    assert listener.names() == [("myOrder", "no_authorization_ip"), ("announcement", "no_authorization_ip")]
    assert all(told is error for _, told in listener.told)


def test_another_refusal_is_told_again(listener: Listener) -> None:
    listener.subscribe(DataType.MY_ORDER)
    listener.refuse(AuthenticationError("no_authorization_ip"))
    listener.refuse(AuthenticationError("expired_access_key"))

    assert listener.names() == [("myOrder", "no_authorization_ip"), ("myOrder", "expired_access_key")]


def test_who_subscribes_while_the_keys_are_refused_is_told_at_once(listener: Listener) -> None:
    listener.refuse(AuthenticationError("jwt_verification"))
    listener.subscribe(DataType.MY_ASSET)

    assert listener.names() == [("myAsset", "jwt_verification")]


def test_a_subscription_that_is_over_is_told_nothing(listener: Listener) -> None:
    listener.rig.push.unsubscribe(listener.subscribe(DataType.MY_ORDER))
    listener.subscribe(DataType.MY_ASSET)
    listener.rig.push.hush(listener.rig.member.token)
    listener.refuse(AuthenticationError("jwt_verification"))

    assert listener.names() == []


@pytest.mark.parametrize(
    ("name", "kind"), [("out_of_scope", AuthenticationError), ("WRONG_FORMAT", RequestRejectedError)]
)
def test_a_stream_that_is_refused_for_the_keys_alone_is_told_as_that(
    listener: Listener, name: str, kind: type[Exception]
) -> None:
    """A key may be good for one stream of a connection and not for another."""
    listener.subscribe(DataType.MY_ORDER)
    subscriptions = listener.rig.subscriptions
    plan = subscriptions.wanted(Endpoint.PRIVATE)
    assert plan is not None
    assert plan == plan_wants(plan.wants)
    subscriptions.mark_sent(Endpoint.PRIVATE, 1, plan)
    subscriptions.reject(Endpoint.PRIVATE, name, "no")
    listener.rig.push.announce(RequestRejected(Endpoint.PRIVATE, 0.0, name, "no"))

    assert listener.names() == [("myOrder", name)]
    assert type(listener.told[0][1]) is kind
