"""The embedded exchange as one object."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

from upbit_ws.exceptions import InvalidArgumentError, UpbitWebSocketError
from upbit_ws.sandbox.config import SandboxConfig
from upbit_ws.sandbox.connection import Connection
from upbit_ws.sandbox.exchange import Exchange
from upbit_ws.sandbox.log import ConnectionLog, Handshake, RestCall, ServerLog
from upbit_ws.sandbox.server import Server

__all__ = ["Sandbox", "SandboxError"]

_WAITING_CONNECTIONS = 1_024
_KINDS = ("fin", "rst", "close")
_CURES = (None, "request", "reconnect")


class SandboxError(UpbitWebSocketError):
    """The embedded exchange could not be started."""


class Sandbox:
    """
    An Upbit-like exchange on this machine: WebSocket and REST on one port of the loopback.

    Used as a context manager, or with `start` and `stop`. The market lives as long as the object: while the server is
    stopped
    trades go on, and REST tells of them after the next start, which is on the same port.

    Args:
        config: every switch, see `SandboxConfig`.

    Example:
        >>> with Sandbox(SandboxConfig(rate=100)) as sandbox:
        ...     print(sandbox.url)  # doctest: +SKIP
    """

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config if config is not None else SandboxConfig()
        self.exchange = Exchange(self.config, wake=self._wake)
        self._log = ServerLog()
        # Guards starting and stopping: which server there is, and the port it keeps.
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._port = self.config.port

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = f"serving {self.url}, {self.connections} connections" if self.is_running else "stopped"
        return f"<Sandbox {state}, {len(self.exchange.market.listings)} markets>"

    # Running

    def start(self) -> Sandbox:
        """
        Serve. Does nothing while it already does.

        Raises:
            SandboxError: the port is taken.
        """
        with self._lock:
            if self._server is None:
                listener = self._bind_locked()
                self._port = listener.getsockname()[1]
                self._server = Server(self.config, self.exchange, self._log, listener)
                self._server.start()
        return self

    def stop(self) -> None:
        """
        Stop serving, within a second whatever the clients do: their connections just end. Does nothing when stopped.
        """
        with self._lock:
            server, self._server = self._server, None
            if server is not None:
                server.stop()

    def _bind_locked(self) -> socket.socket:
        host, port = self.config.host, self._port
        try:
            return socket.create_server((host, port), backlog=_WAITING_CONNECTIONS)
        except OSError as error:
            raise SandboxError(f"cannot listen on {host}:{port}: {error.strerror}; choose another port") from error

    def _wake(self) -> None:
        server = self._server
        if server is not None:
            server.wake()

    @property
    def is_running(self) -> bool:
        """Whether it serves."""
        return self._server is not None

    @property
    def port(self) -> int:
        """The port, 0 until the first start if none was configured."""
        return self._port

    @property
    def url(self) -> str:
        """The base URL, for REST as it is and for the WebSocket with the scheme swapped."""
        scheme = "http" if self.config.ssl_context is None else "https"
        return f"{scheme}://{self.config.host}:{self._port}"

    @property
    def websocket_url(self) -> str:
        """The URL of the public WebSocket endpoint."""
        return "ws" + self.url.removeprefix("http") + "/websocket/v1"

    # Disturbing

    def drop_all(self, kind: str = "fin", code: int = 1000) -> int:
        """
        End every WebSocket connection; how many there were.

        Args:
            kind: "fin" ends the stream without a close frame, "rst" resets it, "close" sends a close frame with `code`.
        """
        if kind not in _KINDS:
            raise InvalidArgumentError("kind", f"must be one of {', '.join(_KINDS)}, got {kind!r}", 'kind="rst"')
        server = self._server
        if server is None:
            return 0
        dropped: list[Connection] = []

        def drop() -> None:
            for connection in server.open_connections:
                dropped.append(connection)
                if kind == "close":
                    server.web.close(connection, code)
                else:
                    server.drop(connection, reset=kind == "rst")

        server.call(drop)
        return len(dropped)

    def mute(self, muted: bool = True, until: str | None = None) -> None:
        """
        Answer pings, but send no data.

        Args:
            until: None: until `mute(False)`. "request": each connection until its next subscription. "reconnect": the
                connections that are open now; new ones are served.
        """
        if until not in _CURES:
            problem = f"must be None, 'request' or 'reconnect', got {until!r}"
            raise InvalidArgumentError("until", problem, 'until="request"')
        with self.exchange.lock:
            self.exchange.hub.mute(muted, until)

    def freeze(self, frozen: bool = True) -> None:
        """
        Read nothing, send nothing, accept nothing, close nothing: a host that hangs, or a cable that is out. False:
        go on.
        """
        server = self._server
        if server is not None:
            server.call(lambda: server.freeze(frozen))

    # Looking

    @property
    def connections(self) -> int:
        """Open WebSocket connections."""
        server = self._server
        return len(server.open_connections) if server is not None else 0

    @property
    def connection_logs(self) -> list[ConnectionLog]:
        """Every WebSocket connection so far, oldest first: its path, its requests, what it was sent."""
        return list(self._log.connections)

    @property
    def requests(self) -> list[str]:
        """The texts that all connections sent, connection by connection."""
        return [text for log in tuple(self._log.connections) for text in tuple(log.requests)]

    @property
    def handshakes(self) -> list[Handshake]:
        """Every upgrade request so far, refused ones included."""
        return list(self._log.handshakes)

    @property
    def rest_calls(self) -> list[RestCall]:
        """Every REST call so far."""
        return list(self._log.rest_calls)
