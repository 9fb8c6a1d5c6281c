"""A TCP proxy with a bad network inside, switched while connections run.

The verbs are those of Shopify's toxiproxy: latency and jitter, bandwidth, slicing, blackhole, reset, a limit of bytes,
corruption, half-close. Behind a proxy the kernel still acknowledges, so this cannot stand in for lost packets.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from attrs import evolve

from upbit_ws.records import frozen
from upbit_ws.testing.proxy_link import Faults, Link
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["FaultProxy", "ProxyCounters"]

_JOIN = 5.0


@frozen
class ProxyCounters:
    """What passed so far. Down is from the upstream to the client."""

    connections: int
    open_connections: int
    bytes_up: int
    bytes_down: int
    resets: int


class FaultProxy:
    """Forwards `port` to an upstream through one thread. All verbs may be called from any thread, at any time.

    A verb holds for both directions and for all connections, those still to come included, until it is called again
    or `heal` is; `reset` and `half_close` happen once, to the connections of that moment.
    """

    def __init__(self, upstream: tuple[str, int], *, host: str = "127.0.0.1", port: int = 0, seed: int = 1) -> None:
        self._upstream = upstream
        self._random = random.Random(seed)
        #: Replaced whole, by the proxy's thread only.
        self._faults = Faults()
        #: What the verbs want: other faults, something done to each link at the same moment, and to be told.
        self._commands: deque[tuple[Faults | None, Callable[[Link], None] | None, threading.Event]] = deque()
        self._selector = selectors.DefaultSelector()
        self._wakeup = Wakeup()
        self._links: list[Link] = []
        self._connections = self._resets = self._bytes_up = self._bytes_down = 0
        self._is_stopping = False
        self._listener = socket.create_server((host, port), backlog=128)
        self._listener.setblocking(False)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name=f"upbit-ws-test-proxy-{self.port}", daemon=True)
        self._thread.start()

    # Verbs

    def latency(self, seconds: float, jitter: float = 0.0) -> None:
        """Deliver each piece `seconds` later, give or take `jitter`; order is kept."""
        self._change(latency=seconds, jitter=jitter)

    def bandwidth(self, bytes_per_second: float | None) -> None:
        """Let no more than that pass in each direction of a connection; None lifts the limit, also for what waits."""
        self._change(Link.hasten if bytes_per_second is None else None, bytes_per_second=bytes_per_second)

    def slicer(self, size: int | None, delay: float = 0.0) -> None:
        """Cut what passes into pieces of `size` bytes, `delay` seconds apart; None stops that, also for what waits."""
        self._change(Link.hasten if size is None else None, slice_size=size, slice_delay=delay)

    def blackhole(self, is_on: bool = True) -> None:
        """Let nothing pass. Nothing is lost either: what was held passes after `blackhole(False)` or `heal`."""
        self._change(is_blackhole=is_on)

    def corrupt(self, probability: float) -> None:
        """Flip one bit in a piece with that probability."""
        self._change(corruption=probability)

    def limit_data(self, size: int | None) -> None:
        """Let `size` more bytes pass downwards on each connection, then end it with FIN; None lifts the limit."""
        self._do(Link.restart_limit, evolve(self._faults, limit=size))

    def heal(self) -> None:
        """Be an ordinary proxy again: what waits for a fault passes now."""
        self._do(Link.hasten, Faults())

    def reset(self) -> None:
        """End all connections with RST, on both sides."""
        self._do(self._reset)

    def half_close(self) -> None:
        """Send FIN to the clients; what they send still passes."""
        self._do(Link.half_close)

    def _change(self, command: Callable[[Link], None] | None = None, **changes: Any) -> None:
        self._do(command, evolve(self._faults, **changes))

    def _do(self, command: Callable[[Link], None] | None, faults: Faults | None = None) -> None:
        """Have the proxy's thread do it to each connection and wait: a verb holds from the moment that it returns."""
        done = threading.Event()
        self._commands.append((faults, command, done))
        self._wakeup.set()
        if not self._is_stopping:
            done.wait(_JOIN)

    @property
    def url(self) -> str:
        """Where clients find it, as the base URL of an exchange without TLS."""
        return f"http://{self.host}:{self.port}"

    @property
    def counters(self) -> ProxyCounters:
        """A snapshot, between two movements of the proxy: what a client has read is counted."""
        self._do(None)
        links = list(self._links)
        return ProxyCounters(
            connections=self._connections,
            open_connections=len(links),
            bytes_up=self._bytes_up + sum(link.up.passed for link in links),
            bytes_down=self._bytes_down + sum(link.down.passed for link in links),
            resets=self._resets,
        )

    # The proxy's thread

    def _run(self) -> None:
        while not self._is_stopping:
            now = time.monotonic()
            due = [link.next_event(now, self._faults) for link in self._links]
            soonest = min((moment for moment in due if moment is not None), default=None)
            self._selector.select(None if soonest is None else max(0.0, soonest - now))
            self._wakeup.clear()
            while self._commands:
                faults, command, done = self._commands.popleft()
                self._faults = faults or self._faults
                if command is not None:
                    for link in list(self._links):
                        command(link)
                done.set()
            self._accept()
            now = time.monotonic()
            for link in list(self._links):
                link.pump(now, self._faults, self._random)
                if link.is_over:
                    self._remove(link)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._upstream, timeout=5.0)
            except OSError:
                _abort(client)
                continue
            self._connections += 1
            self._links.append(Link(client, server, self._selector))

    def _reset(self, link: Link) -> None:
        self._resets += 1
        for sock in link.sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._remove(link)

    def _remove(self, link: Link) -> None:
        link.close()
        self._bytes_up += link.up.passed
        self._bytes_down += link.down.passed
        self._links = [other for other in self._links if other is not link]

    def close(self) -> None:
        """End everything and join the thread. Idempotent."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self._wakeup.set()
        self._thread.join(_JOIN)
        for link in self._links:
            link.close()
        self._selector.close()
        self._listener.close()
        self._wakeup.close()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<FaultProxy {self.host}:{self.port} -> {self._upstream[0]}:{self._upstream[1]}, {self._faults}>"


def _abort(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
