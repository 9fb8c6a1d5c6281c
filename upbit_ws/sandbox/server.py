"""
The server: one thread, `upbit-sandbox-server`, that owns every socket and lets the market's time pass.

Handshake, framing, masking and compression are those of the `websockets` package (its `ServerProtocol`), independent
of the
client's own. Its ready-made threading server is not used, for what an exchange in a test has to be able to do: it
refuses
requests with a body (orders are placed with POST), reads and writes a TLS socket from two threads at once, blocks a
thread on
every slow reader, and can neither freeze, nor reset a connection, nor promise how long stopping takes.
"""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from upbit_ws.sandbox.config import SandboxConfig
from upbit_ws.sandbox.connection import Connection, Stage
from upbit_ws.sandbox.exchange import Exchange
from upbit_ws.sandbox.http_service import HttpService
from upbit_ws.sandbox.log import ServerLog
from upbit_ws.sandbox.timers import Timers
from upbit_ws.sandbox.websocket_service import WebSocketService

__all__ = ["Server"]

_FINEST_TICK = 0.004
"""Seconds that events of the market may wait to go out together."""
_LONGEST_WAIT = 1.0
_ACCEPTED_AT_ONCE = 64


class Server:
    """
    One run of the server, from the bound socket to its end.

    Args:
        config: see `SandboxConfig`.
        exchange: what it serves.
        log: what it writes down.
        listener: bound and listening; owned from here on.
    """

    def __init__(self, config: SandboxConfig, exchange: Exchange, log: ServerLog, listener: socket.socket) -> None:
        self._config = config
        self._exchange = exchange
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._timers = Timers()
        self._connections: set[Connection] = set()
        self._commands: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._stopping = False
        self._frozen = False
        self._is_blind = False  # the selector was told to look at nothing
        self._http = HttpService(config, exchange, log)
        self._web = WebSocketService(config, exchange, self)
        self._thread = threading.Thread(target=self._run, name="upbit-sandbox-server", daemon=True)

    # From any thread

    def start(self) -> None:
        """Begin to serve."""
        for sock in (self._listener, self._woken, self._waker):
            sock.setblocking(False)
        self._thread.start()

    def wake(self) -> None:
        """Have the server look whether something is to be sent."""
        try:
            self._waker.send(b"\0")
        except BlockingIOError:  # it has not yet looked at what woke it before
            return
        except OSError:  # it has ended
            return

    def call(self, command: Callable[[], None], timeout: float = 2.0) -> None:
        """Have `command` run by the server's thread, and wait until it has. After the end nothing runs any more."""
        done = threading.Event()
        self._commands.append((command, done))
        self.wake()
        while not done.wait(min(timeout, 0.05)):
            timeout -= 0.05
            if timeout <= 0 or not self._thread.is_alive():
                return

    def stop(self, timeout: float = 1.0) -> None:
        """End: every connection is dropped, the thread joined."""
        self._stopping = True
        self.wake()
        self._thread.join(timeout)

    def freeze(self, frozen: bool) -> None:
        """Read nothing and write nothing, or go on. For commands only."""
        self._frozen = frozen

    @property
    def open_connections(self) -> list[Connection]:
        """The WebSocket connections that are open. Only a look: they change in the server's thread."""
        return [connection for connection in tuple(self._connections) if connection.stage is Stage.WEBSOCKET]

    @property
    def web(self) -> WebSocketService:
        """What serves upgraded connections. For commands only."""
        return self._web

    # The thread

    def _run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        # The server's clock strikes for everybody at once, not a while after each one's PING.
        self._strike()
        try:
            while not self._stopping:
                self._turn()
        finally:
            for connection in tuple(self._connections):
                self.drop(connection)
            self._selector.close()
            for sock in (self._listener, self._woken, self._waker):
                sock.close()
            while self._commands:
                self._commands.popleft()[1].set()

    def _turn(self) -> None:
        ready = self._selector.select(self._patience())
        now = time.monotonic()
        for key, mask in ready:
            if key.fileobj is self._woken:
                self._rest_waker()
            elif self._frozen:
                continue
            elif key.fileobj is self._listener:
                self._accept(now)
            else:
                self._serve(key.data, mask, now)
        self._run_commands()
        self._thaw_or_freeze()
        for call in self._timers.take_due(time.monotonic()):
            call()
        self._exchange.tick()
        self._send_waiting()

    def _patience(self) -> float:
        waits = [_LONGEST_WAIT]
        due = self._timers.next_due
        if due is not None:
            waits.append(due - time.monotonic())
        market = self._exchange.until_next_event()
        if market is not None:
            waits.append(max(market, _FINEST_TICK))
        return max(min(waits), 0.0)

    def _rest_waker(self) -> None:
        try:
            while self._woken.recv(4_096):
                continue
        except BlockingIOError:
            return

    def _run_commands(self) -> None:
        while self._commands:
            command, done = self._commands.popleft()
            try:
                command()
            finally:
                done.set()

    def _strike(self) -> None:
        self._web.tell_status(self.open_connections)
        self.later(self._config.status_interval, self._strike)

    # Connections

    def _thaw_or_freeze(self) -> None:
        """While frozen only the waker is looked at: readiness that nobody answers would keep the thread busy."""
        if self._frozen is self._is_blind:
            return
        self._is_blind = self._frozen
        if self._frozen:
            self._selector.unregister(self._listener)
        else:
            self._selector.register(self._listener, selectors.EVENT_READ)
        for connection in tuple(self._connections):
            self.flush(connection)
            self._watch(connection)

    def _accept(self, now: float) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    return
                continue  # it hung up before it was served
            try:
                connection = Connection(sock, str(address[0]), now, self._config.ssl_context)
            except OSError:
                sock.close()
                continue
            self._connections.add(connection)
            self._watch(connection)
            self._watch_idle(connection)

    def _watch(self, connection: Connection) -> None:
        """Tell the selector what is waited for, if that changed."""
        wanted = 0 if self._frozen or connection.is_closed else connection.interest
        if wanted == connection.watched:
            return
        if not connection.watched:
            self._selector.register(connection.sock, wanted, connection)
        elif wanted:
            self._selector.modify(connection.sock, wanted, connection)
        else:
            self._selector.unregister(connection.sock)
        connection.watched = wanted

    def _watch_idle(self, connection: Connection) -> None:
        """Drop what nothing was sent to or received from for too long, then look again when that could next be so."""
        if connection.is_closed or self._config.idle_timeout is None:
            return
        left = connection.last_activity + self._config.idle_timeout - time.monotonic()
        if left <= 0 and not self._frozen:
            self.drop(connection)
            return
        self.later(max(left, 0.01), lambda: self._watch_idle(connection))

    def _serve(self, connection: Connection, mask: int, now: float) -> None:
        if mask & selectors.EVENT_READ or connection.stage is Stage.TLS:
            data = connection.read(now)
            if data is None:
                self._hung_up(connection)
                return
            if data:
                self._receive(connection, data, now)
        if not connection.is_closed:
            self.flush(connection)

    def _receive(self, connection: Connection, data: bytes, now: float) -> None:
        if connection.stage is Stage.WEBSOCKET:
            self._web.receive(connection, data, now)
            return
        connection.incoming += data
        early = self._http.receive(connection, now)
        if early is not None:
            self._web.open(connection)
            if early:
                self._web.receive(connection, early, now)

    def _hung_up(self, connection: Connection) -> None:
        if connection.web is not None:
            connection.web.protocol.receive_eof()
        self.drop(connection)

    def _send_waiting(self) -> None:
        with self._exchange.lock:
            awaiting = set(self._exchange.hub.awaiting)
            if not self._frozen:
                self._exchange.hub.awaiting.clear()
        if self._frozen:
            return
        for connection in self.open_connections:
            web = connection.web
            if web is not None and web.reader in awaiting:
                if web.reader.overflowed or len(connection.outgoing) > self._config.backlog:
                    self.drop(connection)  # a reader this slow would be dropped by the real exchange too
                else:
                    self._web.send_waiting(connection)

    # Host

    def later(self, delay: float, call: Callable[[], None]) -> None:
        """Have `call` made in `delay` seconds."""
        self._timers.at(time.monotonic() + delay, call)

    def flush(self, connection: Connection) -> None:
        """Write what the socket takes, and wait for it to take the rest."""
        if connection.is_closed or self._frozen:
            return
        alive = connection.flush(time.monotonic())
        if not alive or (connection.ends_when_flushed and not connection.outgoing):
            self.drop(connection)
        else:
            self._watch(connection)

    def drop(self, connection: Connection, *, reset: bool = False) -> None:
        """Close the socket at once, without a close frame."""
        if connection.is_closed:
            return
        if connection.watched:
            self._selector.unregister(connection.sock)
            connection.watched = 0
        connection.close(reset=reset)
        self._connections.discard(connection)
        if connection.web is not None:
            self._web.ended(connection, time.monotonic())
