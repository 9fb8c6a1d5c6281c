"""Who reads in `benchmarks.hurts`: this SDK, the official one, and the loops that people write."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, Final

from attrs import evolve

from upbit_ws import GlobalWebSocketManager, SimpleWebSocketClient, WebSocketClientProxy, WebSocketConfig

__all__ = ["OfficialSdk", "Ours", "Subject", "everybody", "subjects"]

_REQUEST: Final = json.dumps([{"ticket": "hurts"}, {"type": "ticker", "codes": ["KRW-BTC"]}])
_PAUSE: Final = 1.0
Callback = Callable[[float], object]


class Subject(ABC):
    """One way to read tickers: `start` it, and it calls back with the timestamp (ms) of each."""

    name: str
    library: str
    """The module that it needs."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.on_ticker: Callback = lambda _: None
        #: How it ended although nobody ended it; empty while it goes on.
        self.ended = ""

    def arrived(self, timestamp: float) -> None:
        """A ticker is there."""
        self.arrivals.append(time.monotonic())
        self.on_ticker(timestamp)

    @abstractmethod
    def start(self, url: str) -> None:
        """Begin."""

    @abstractmethod
    def stop(self) -> None:
        """End."""


class Ours(Subject):
    """This SDK, as configured by default."""

    name = "upbit_ws"
    library = "upbit_ws"

    def start(self, url: str) -> None:
        config = WebSocketConfig()
        limits = evolve(config.rate_limit, shared_across_processes=False)
        self._manager = GlobalWebSocketManager(
            evolve(config, connection=evolve(config.connection, base_url=url), rate_limit=limits)
        )
        self._client = SimpleWebSocketClient("hurts", manager=self._manager)
        self._proxy = WebSocketClientProxy("hurts", manager=self._manager)
        self._proxy.subscribe_ticker(["KRW-BTC"], lambda event: self.arrived(event.timestamp))

    def stop(self) -> None:
        self._manager.close()


class Loop(Subject):
    """A thread that connects, reads, and after any error tries again."""

    def start(self, url: str) -> None:
        self._url = "ws" + url.removeprefix("http") + "/websocket/v1"
        self._is_over = threading.Event()
        self._socket: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over.is_set():
            self._read()

    def _read(self) -> None:
        """One connection."""
        try:
            for message in self.messages():
                self.arrived(json.loads(message)["timestamp"])
        except Exception:  # as the loops that people write have it
            self._is_over.wait(_PAUSE)

    @abstractmethod
    def messages(self) -> Iterator[bytes | str]:
        """Those of one connection."""

    def stop(self) -> None:
        self._is_over.set()
        with contextlib.suppress(Exception):
            self._socket.close()
        self._thread.join(15.0)


class WebSocketClientLoop(Loop):
    """`websocket-client`."""

    name = "websocket-client loop"
    library = "websocket"

    def messages(self) -> Iterator[bytes | str]:
        import websocket

        self._socket = websocket.create_connection(self._url, timeout=60)
        self._socket.send(_REQUEST)
        while True:
            yield self._socket.recv()


class WebsocketsLoop(Loop):
    """`websockets`, its synchronous client with its own keepalive."""

    name = "websockets loop"
    library = "websockets"

    def messages(self) -> Iterator[bytes | str]:
        from websockets.sync.client import connect

        with connect(self._url) as self._socket:
            self._socket.send(_REQUEST)
            yield from self._socket


class OfficialSdk(Loop):
    """`upbit-sdk`, whose stream reconnects by itself: nothing is built around it."""

    name = "upbit-sdk"
    library = "upbit"

    def _run(self) -> None:
        try:
            for _ in self.messages():
                pass
            self.ended = "its `for` loop ended, no error"
        except Exception as error:
            self.ended = f"raised {type(error).__name__}"

    def messages(self) -> Iterator[bytes | str]:
        from upbit import Upbit

        client = Upbit(base_url=self._http)
        with client, client.ws_stream.ticker(["KRW-BTC"]) as stream:
            self._socket = stream
            for event in stream:
                self.arrived(event.timestamp)
                yield ""

    def start(self, url: str) -> None:
        self._http = url
        super().start(url)


def everybody() -> tuple[type[Subject], ...]:
    """All of them, installed or not."""
    return Ours, OfficialSdk, WebSocketClientLoop, WebsocketsLoop


def subjects() -> list[type[Subject]]:
    """Those whose library is installed."""
    return [kind for kind in everybody() if find_spec(kind.library) is not None]
