"""Section D, names: what the resolver says, and when, and what it does not say."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.reliability.payloads import ticker
from tests.reliability.rig import Rig
from tests.reliability.scripts import good, greet, then, until
from upbit_ws import GlobalWebSocketManager, SimpleWebSocketClient, WebSocketConfig
from upbit_ws.config import ConnectionConfig
from upbit_ws.exceptions import DnsError
from upbit_ws.lifecycle import Connecting
from upbit_ws.testing import ScriptedServer

Record = Callable[..., None]


class Names:
    """In place of the system's resolver: what `exchange.test` means, an address, an error, or a wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: Any = "127.0.0.1"
        self.asked = 0
        self.released = threading.Event()
        self._ask = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)

    def _resolve(self, host: str, port: int, *args: Any, **named: Any) -> Any:
        if host != "exchange.test" or named.get("flags"):
            return self._ask(host, port, *args, **named)
        self.asked += 1
        if self.answer is None:
            self.released.wait(10.0)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self._ask(self.answer, port, type=socket.SOCK_STREAM)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_D15_a_name_that_does_not_resolve(rig: Rig, record: Record, names: Names, code: int) -> None:
    names.answer = socket.gaierror(code, "no such name")
    server = rig.serve(good(ticker(1)))
    subject = rig.connect(f"http://exchange.test:{server.port}")
    event, error = subject.refused()
    assert isinstance(error, DnsError)
    assert error.retryable
    assert event.delay <= 0.05
    names.answer = "127.0.0.1"
    subject.await_price(1.0)


def test_D15_a_name_server_that_hangs_costs_its_share_and_the_last_address_is_used(
    rig: Rig, record: Record, names: Names
) -> None:
    lost = threading.Event()
    server = rig.serve(then(lambda talk: greet(talk, ticker(1)), lambda talk: until(talk, lost)), good(ticker(2)))
    fresh = rig.connect(f"http://exchange.test:{server.port}", connection={"connect_timeout": 1.0})
    fresh.await_price(1.0)
    names.answer = None
    begun = time.monotonic()
    lost.set()
    fresh.await_price(2.0)
    back = time.monotonic() - begun
    stranger = rig.connect(f"http://exchange.test:{server.port}", connection={"connect_timeout": 1.0})
    event, error = stranger.refused()
    took = event.at - stranger.events(Connecting)[0].at
    begun = time.monotonic()
    stranger.manager.close()
    closed = time.monotonic() - begun
    names.released.set()
    assert isinstance(error, DnsError)
    assert took < 0.95
    assert back < 1.0
    assert closed < 1.0
    figure = f"DnsError after {took:.2f} s, back by the last good address after {back:.2f} s, close {closed:.2f} s"
    record("D15", figure=figure, bound="half of connect_timeout (1 s)")


def test_D16_a_name_that_means_another_address_from_now_on(rig: Rig, record: Record, names: Names) -> None:
    lost = threading.Event()
    first = rig.serve(then(lambda talk: greet(talk, ticker(1)), lambda talk: until(talk, lost)))
    second = rig.serve(good(ticker(2)), host="127.0.0.2", port=first.port)
    subject = rig.connect(f"http://exchange.test:{first.port}")
    subject.await_price(1.0)
    names.answer = "127.0.0.2"
    lost.set()
    subject.await_price(2.0)
    assert (first.connections, second.connections) == (1, 1)
    assert names.asked == 2
    record("D16", figure="the second connection went to the new address")


def test_the_rows_of_dns_reach_the_resolver(names: Names) -> None:
    """The place where the answer is swapped is the one that the SDK asks."""
    with (
        ScriptedServer(good(ticker(1))) as server,
        GlobalWebSocketManager(
            WebSocketConfig.testing(connection=ConnectionConfig(base_url=f"http://exchange.test:{server.port}"))
        ) as manager,
        SimpleWebSocketClient("subject", manager=manager) as client,
    ):
        client.register_interest(["ticker"], ["KRW-BTC"])
        assert client.get_price("KRW-BTC", timeout=5.0) == 1.0
    assert names.asked == 1
