"""The real SDK on an exchange that a test controls to the byte, watched all the while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, Final, TypeVar

from attrs import evolve, frozen

from tests.ports import reserved_port
from tests.reliability.invariants import Invariants, ObservedManager, canary_auth
from tests.reliability.scripts import Script
from upbit_ws import SimpleWebSocketClient, WebSocketConfig
from upbit_ws.config import ConnectionConfig, ReconnectionConfig
from upbit_ws.exceptions import UpbitWebSocketError
from upbit_ws.lifecycle import BackingOff, ConnectionEvent
from upbit_ws.protocol.frames import Opcode
from upbit_ws.sandbox import Sandbox
from upbit_ws.testing import FaultProxy, ScriptedServer
from upbit_ws.types import ConnectionStatus, DataType

__all__ = ["DEFAULTS", "Rig", "Subject", "wait_until"]

EventT = TypeVar("EventT", bound=ConnectionEvent)
Server = ScriptedServer | Sandbox | FaultProxy | str

#: As users have it; `WebSocketConfig.testing` hurries.
DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "connection": {
        name: getattr(ConnectionConfig(), name) for name in ("ping_interval", "pong_timeout", "connect_timeout")
    },
    "reconnection": {name: getattr(ReconnectionConfig(), name) for name in ("first_jitter", "base_delay", "max_delay")},
}


def wait_until(is_true: Callable[[], bool], what: str, *, patience: float = 5.0) -> float:
    """Look until something is so that nobody announces; when that was. The wait is bounded and never for luck."""
    deadline = time.monotonic() + patience
    while not is_true():
        assert time.monotonic() < deadline, f"{what} did not happen within {patience:g} s"
        time.sleep(0.002)
    return time.monotonic()


@frozen(eq=False)
class Subject:
    """A client, the manager of its own, and what can be asked about them."""

    manager: ObservedManager
    client: SimpleWebSocketClient

    def events(self, kind: type[EventT]) -> list[EventT]:
        """What was announced of this kind, oldest first."""
        return [event for event in list(self.manager.published) if isinstance(event, kind)]

    def await_event(self, kind: type[EventT], count: int = 1, *, patience: float = 5.0) -> EventT:
        """The `count`-th event of this kind, as soon as it is announced."""
        wait_until(lambda: len(self.events(kind)) >= count, f"{kind.__name__} number {count}", patience=patience)
        return self.events(kind)[count - 1]

    def refused(self, number: int = 1, *, patience: float = 5.0) -> tuple[BackingOff, UpbitWebSocketError]:
        """How the `number`-th attempt or connection ended: what was announced, and the last error."""
        event = self.await_event(BackingOff, number, patience=patience)
        error = self.manager._connections.all()[0].last_error
        assert error is not None
        return event, error

    def await_price(self, price: float, symbol: str = "KRW-BTC", *, patience: float = 5.0) -> float:
        """When the ticker of a market had this price, at the latest."""
        wait_until(lambda: self.price(symbol) == price, f"a price of {price}", patience=patience)
        return time.monotonic()

    def price(self, symbol: str = "KRW-BTC") -> float | None:
        """The newest price, None where there is none yet."""
        found = self.manager.pool.slot(self.client._selection.one(DataType.TICKER, symbol).key)
        return None if found is None or found.current is None else self.client.get_price(symbol, timeout=0)

    @property
    def status(self) -> ConnectionStatus:
        """Of the public connection."""
        return self.manager.connection_statuses()[0]


class Rig:
    """Makes servers, proxies and clients, and takes all of them down again."""

    def __init__(self, invariants: Invariants, stack: ExitStack) -> None:
        self.invariants = invariants
        self._stack = stack
        self.servers: list[ScriptedServer] = []

    def serve(self, *scripts: Script, **options: Any) -> ScriptedServer:
        """A scripted server; see `ScriptedServer`. What its scripts raise fails the test."""
        server = self._stack.enter_context(ScriptedServer(*scripts, **options))
        self.servers.append(server)
        return server

    def proxy(self, server: ScriptedServer | Sandbox, **options: Any) -> FaultProxy:
        """A bad network in front of a server."""
        return self._stack.enter_context(FaultProxy(("127.0.0.1", server.port), **options))

    def sandbox(self, **settings: Any) -> Sandbox:
        """An embedded exchange without limits, whose snapshots come at once."""
        from upbit_ws.sandbox import SandboxConfig

        free = {"connect_limit": None, "rest_limit": None, "message_limits": False, "snapshot_delays": (0.0,)}
        port = self._stack.enter_context(reserved_port())
        return self._stack.enter_context(Sandbox(SandboxConfig(**{"port": port, "seed": 1, **free, **settings})))

    def manager(self, server: Server, **sections: Any) -> ObservedManager:
        """A manager of its own, configured for tests but for the given fields of its sections."""
        config = WebSocketConfig.testing(auth=canary_auth())
        sections["connection"] = {"base_url": base_url(server), **sections.get("connection", {})}
        changed = {name: evolve(getattr(config, name), **fields) for name, fields in sections.items()}
        manager = ObservedManager(evolve(config, **changed))
        self.invariants.observe(manager, _last_request_of(server))
        return manager

    def connect(
        self,
        server: Server,
        data_types: Any = "ticker",
        symbols: Iterable[str] = ("KRW-BTC",),
        **sections: Any,
    ) -> Subject:
        """A client with an interest, on a manager of its own."""
        manager = self.manager(server, **sections)
        client = SimpleWebSocketClient("subject", manager=manager)
        client.register_interest(data_types, list(symbols))
        return Subject(manager, client)


def base_url(server: Server) -> str:
    """Where to find it."""
    if isinstance(server, str):
        return server
    if isinstance(server, FaultProxy):
        return f"http://127.0.0.1:{server.port}"
    if isinstance(server, Sandbox):
        return server.url
    return "http" + server.url.removeprefix("ws")


def _last_request_of(server: Server) -> Callable[[], str | None] | None:
    """The newest subscription that a server has read on its newest connection; None while it has read none there."""
    if isinstance(server, ScriptedServer):

        def scripted() -> str | None:
            frames = server.conversations[-1].frames if server.conversations else []
            texts = [frame.payload for frame in list(frames) if frame.opcode == Opcode.TEXT and not frame.is_compressed]
            return texts[-1].decode() if texts else None

        return scripted
    if isinstance(server, Sandbox):

        def embedded() -> str | None:
            logs = server.connection_logs
            return logs[-1].requests[-1] if logs and logs[-1].requests else None

        return embedded
    return None
