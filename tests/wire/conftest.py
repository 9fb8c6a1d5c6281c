"""Dials at loopback servers, real sockets throughout."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.wire.wires import Opener, Wire
from upbit_ws.testing import CertificateAuthority
from upbit_ws.wire.dial import DialTarget, dial
from upbit_ws.wire.poller import Inlet
from upbit_ws.wire.transport import Transport
from upbit_ws.wire.wakeup import Wakeup


@pytest.fixture(scope="session")
def authority() -> CertificateAuthority:
    return CertificateAuthority()


@pytest.fixture
def open_transport(wakeup: Wakeup) -> Iterator[Opener]:
    """`open_transport(url, timeout=..., path=..., **settings of the target)`: dial and clean up afterwards."""
    with ExitStack() as stack:

        def opener(
            url: str,
            *,
            timeout: float = 5.0,
            path: str = "/websocket/v1",
            should_stop: Callable[[], bool] = lambda: False,
            resolve: Any = None,
            book: Any = None,
            target: DialTarget | None = None,
            **settings: Any,
        ) -> Transport:
            transport = dial(
                target or DialTarget.from_url(url + path, **settings),
                deadline=time.monotonic() + timeout,
                clock=time.monotonic,
                wakeup=wakeup,
                should_stop=should_stop,
                resolve=resolve,
                book=book,
            )
            stack.callback(transport.abort)
            return transport

        yield opener


@pytest.fixture
def collect() -> Callable[[Transport, int], list[bytes]]:
    """Read until `count` messages are there, with a bound on the time."""

    def collector(transport: Transport, count: int, *, patience: float = 5.0) -> list[bytes]:
        deadline = time.monotonic() + patience
        messages: list[bytes] = []
        while len(messages) < count:
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"{len(messages)} of {count} messages came"
            readable, _ = transport.wait(remaining)
            if readable:
                messages += transport.receive()
        return messages

    return collector


@pytest.fixture(params=["plain", "tls", "plain, two calls", "tls, two calls"])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Plain or TLS; waiting and reading in one call, where the extension is there, and in two."""
    transport, _, calls = request.param.partition(", ")
    if calls:
        monkeypatch.setattr("upbit_ws.wire.incoming.Inlet", None)
    elif Inlet is None:
        pytest.skip("needs the extension, and a system with poll")
    return Wire(request.getfixturevalue("authority") if transport == "tls" else None)
