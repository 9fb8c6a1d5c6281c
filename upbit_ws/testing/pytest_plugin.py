"""Fixtures for pytest, there as soon as this package is installed: a whole exchange, a bad network, and a clock.

Nothing is imported before a fixture is used. A fixture of the same name in your own `conftest.py` takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from upbit_ws.sandbox import Sandbox
    from upbit_ws.testing import FaultProxy, ManualClock

__all__ = ["fault_proxy", "manual_clock", "upbit_sandbox"]


@pytest.fixture
def upbit_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """An embedded exchange with a lively market on a free port of the loopback; `upbit_sandbox.url` is its base URL.

    Its settings are those of `SandboxConfig`: `@pytest.mark.upbit_sandbox(rate=0, markets=["KRW-BTC"])`. Without the
    mark there is none of the exchange's limits, since tests reconnect more often than programs do.
    """
    from upbit_ws.sandbox import Sandbox, SandboxConfig

    marker = request.node.get_closest_marker("upbit_sandbox")
    free = {"connect_limit": None, "rest_limit": None, "message_limits": False, "snapshot_delays": (0.0,)}
    settings = {"seed": 1, **free, **(marker.kwargs if marker is not None else {})}
    with Sandbox(SandboxConfig(**settings)) as sandbox:
        yield sandbox


@pytest.fixture
def fault_proxy(upbit_sandbox: Sandbox) -> Iterator[FaultProxy]:
    """A bad network in front of `upbit_sandbox`; use `fault_proxy.url` as base URL in place of the exchange's."""
    from upbit_ws.testing import FaultProxy

    with FaultProxy((upbit_sandbox.config.host, upbit_sandbox.port)) as proxy:
        yield proxy


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that moves only when the test says so."""
    from upbit_ws.testing import ManualClock

    return ManualClock()


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, for those who run with `--strict-markers`."""
    config.addinivalue_line("markers", "upbit_sandbox(**settings): what the exchange of this test is like")
