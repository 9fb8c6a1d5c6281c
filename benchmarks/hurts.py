"""`python -m benchmarks.hurts [--only M1,M8] [--out table.md]`: ten situations that hurt, side by side.

The peers are the loops that people write: `websocket-client` and `websockets` with a `try` around them and a pause of a
second before the next attempt. Each meets the same embedded exchange, or a server that follows a script. What is not
installed is left out, and the table says so. Every figure is of one run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from benchmarks.frames import sample_payloads
from upbit_ws import GlobalWebSocketManager, SimpleWebSocketClient, WebSocketClientProxy, WebSocketConfig
from upbit_ws.models import decode_event
from upbit_ws.protocol.frames import Opcode
from upbit_ws.sandbox import Sandbox, SandboxConfig
from upbit_ws.testing import Conversation, FaultProxy, ScriptedServer

__all__ = ["SITUATIONS", "main", "subjects"]

_REQUEST: Final = json.dumps([{"ticket": "hurts"}, {"type": "ticker", "codes": ["KRW-BTC"]}])
_PAUSE: Final = 1.0
#: How long to wait (seconds) for what may never come.
_PATIENCE: Final = 40.0
Callback = Callable[[float], object]


class Subject(ABC):
    """One way to read tickers: `start` it, and it calls back with the timestamp (ms) of each."""

    name: str

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.on_ticker: Callback = lambda _: None

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

    def messages(self) -> Iterator[bytes | str]:
        import websocket

        self._socket = websocket.create_connection(self._url, timeout=60)
        self._socket.send(_REQUEST)
        while True:
            yield self._socket.recv()


class WebsocketsLoop(Loop):
    """`websockets`, its synchronous client with its own keepalive."""

    name = "websockets loop"

    def messages(self) -> Iterator[bytes | str]:
        from websockets.sync.client import connect

        with connect(self._url) as self._socket:
            self._socket.send(_REQUEST)
            yield from self._socket


def subjects() -> list[type[Subject]]:
    """Those whose library is installed."""
    found: list[type[Subject]] = [Ours]
    found += [WebSocketClientLoop] if find_spec("websocket") else []
    found += [WebsocketsLoop] if find_spec("websockets") else []
    return found


# -- situations ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def exchange(subject: Subject, *, rate: float = 400.0, through_proxy: bool = False) -> Iterator[tuple[Sandbox, Any]]:
    """An exchange without limits, and the subject reading from it."""
    config = SandboxConfig(
        rate=rate, markets=["KRW-BTC"], connect_limit=None, message_limits=False, snapshot_delays=(0.0,)
    )
    with Sandbox(config) as sandbox, FaultProxy((config.host, sandbox.port)) as proxy:
        subject.start(proxy.url if through_proxy else sandbox.url)
        try:
            _await(lambda: len(subject.arrivals) > 2, 10.0)
            yield sandbox, proxy
        finally:
            proxy.heal()
            sandbox.freeze(False)
            subject.stop()


def _await(is_true: Callable[[], bool], patience: float) -> float | None:
    """Seconds until it was so; None where it never was."""
    begun = time.monotonic()
    while not is_true():
        if time.monotonic() - begun > patience:
            return None
        time.sleep(0.005)
    return time.monotonic() - begun


def _returns(sandbox: Sandbox, subject: Subject, break_it: Callable[[], object]) -> str:
    known = _granted(sandbox)
    break_it()
    if _await(lambda: _granted(sandbox) > known, _PATIENCE) is None:
        return f"not in {_PATIENCE:.0f} s"
    seen = len(subject.arrivals)
    if _await(lambda: len(subject.arrivals) > seen + 1, 10.0) is None:
        return "connected, no data"
    # The longest silence since the break is the outage.
    longest = max(b - a for a, b in pairwise(subject.arrivals))
    refused = sum(handshake.status == 429 for handshake in sandbox.handshakes)
    return f"{longest:.2f} s without data" + (f", {refused} attempts refused (429)" if refused else "")


def _granted(sandbox: Sandbox) -> int:
    return sum(handshake.status == 101 for handshake in sandbox.handshakes)


def rolling_restart(subject: Subject) -> str:
    """M1 server closes with 1001"""
    with exchange(subject) as (sandbox, _):
        return _returns(sandbox, subject, lambda: sandbox.drop_all("close", 1001))


def reset(subject: Subject) -> str:
    """M2 TCP reset"""
    with exchange(subject) as (sandbox, _):
        return _returns(sandbox, subject, lambda: sandbox.drop_all("rst"))


def down(subject: Subject) -> str:
    """M3 server down for 6 s"""
    with exchange(subject) as (sandbox, _):

        def restart() -> None:
            sandbox.stop()
            time.sleep(6.0)
            sandbox.start()

        return _returns(sandbox, subject, restart)


def half_open(subject: Subject) -> str:
    """M4 half-open: until a new attempt"""
    with exchange(subject, through_proxy=True) as (_, proxy):
        known = proxy.counters.connections
        proxy.blackhole()
        took = _await(lambda: proxy.counters.connections > known, _PATIENCE)
        return f"not in {_PATIENCE:.0f} s" if took is None else f"{took:.1f} s"


def mute(subject: Subject) -> str:
    """M5 mute, pongs answered: until a new attempt"""
    with exchange(subject) as (sandbox, _):
        known = _granted(sandbox)
        sandbox.mute(until="reconnect")
        took = _await(lambda: _granted(sandbox) > known, _PATIENCE)
        return f"not in {_PATIENCE:.0f} s" if took is None else f"{took:.1f} s"


def slow_consumer(subject: Subject) -> str:
    """M6 500/s made, 95/s read: age of what is read after 8 s"""
    ages = [0.0]

    def consume(timestamp: float) -> None:
        time.sleep(1 / 95)
        ages.append(time.time() - timestamp / 1000)

    subject.on_ticker = consume
    with exchange(subject, rate=1_500.0):
        time.sleep(8.0)
        return f"{ages[-1]:.1f} s"


def error_frame(subject: Subject) -> str:
    """M7 an error frame: attempts in 3 s after it"""

    def script(talk: Conversation) -> None:
        talk.upgrade()
        while talk.read_frame().opcode != Opcode.TEXT:
            pass
        talk.send_frame(b'{"error":{"name":"NO_CODES","message":"no codes"}}', Opcode.TEXT)
        talk.pause(60.0)

    with ScriptedServer(script) as server:
        subject.start("http" + server.url.removeprefix("ws"))
        _await(lambda: bool(server.conversations), 5.0)
        time.sleep(3.0)
        attempts = len(server.conversations)
        said = ""
        if isinstance(subject, Ours):
            said = f"; announced as {type(_rejection(subject)).__name__}"
        subject.stop()
    return f"{attempts}{said}"


def _rejection(subject: Ours) -> object:
    from upbit_ws import RequestRejected

    events = subject._manager.recent_events()
    return next((event for event in events if isinstance(event, RequestRejected)), None)


def storm(subject: Subject) -> str:
    """M8 every connection closed after one message: dials in 8 s (allowed: 5 a second)"""
    with exchange(subject, rate=0.0) as (sandbox, _):
        known, until = len(sandbox.handshakes), time.monotonic() + 8.0
        while time.monotonic() < until:
            sandbox.drop_all("close", 1000)
            time.sleep(0.002)
        return str(len(sandbox.handshakes) - known)


def parse(subject: Subject) -> str:
    """M9 parsing one ticker"""
    (raw,) = sample_payloads(1, ("ticker",))[:1]
    number = 20_000
    decode: Callable[[bytes], object] = decode_event if isinstance(subject, Ours) else json.loads
    begun = time.perf_counter()
    for _ in range(number):
        decode(raw)
    kind = "typed event" if isinstance(subject, Ours) else "dict"
    return f"{(time.perf_counter() - begun) / number * 1e6:.1f} us ({kind})"


def close_behind(subject: Subject) -> str:
    """M10 close while behind"""
    subject.on_ticker = lambda _: time.sleep(0.05)
    stop, took = subject.stop, [0.0]

    def timed() -> None:
        begun = time.monotonic()
        stop()
        took[0] = time.monotonic() - begun

    subject.stop = timed  # type: ignore[method-assign]
    with exchange(subject, rate=1_500.0):
        time.sleep(2.0)
    return f"{took[0]:.2f} s"


SITUATIONS: Final[dict[str, Callable[[Subject], str]]] = {
    str(one.__doc__).split()[0]: one
    for one in (
        rolling_restart, reset, down, half_open, mute, slow_consumer, error_frame, storm, parse, close_behind,
    )
}  # fmt: skip


def table(chosen: Sequence[str]) -> str:
    """Run them, one after the other, and write the table."""
    kinds = subjects()
    lines = ["| situation | " + " | ".join(kind.name for kind in kinds) + " |", "| --- |" + " --- |" * len(kinds)]
    for name in chosen:
        situation = SITUATIONS[name]
        cells = []
        for kind in kinds:
            cells.append(situation(kind()))
            print(f"{situation.__doc__}: {kind.name}: {cells[-1]}", file=sys.stderr, flush=True)
        lines.append(f"| {situation.__doc__} | " + " | ".join(cells) + " |")
    left_out = [name for name in ("websocket", "websockets") if find_spec(name) is None]
    notes = [f"Not installed, left out: {', '.join(left_out)}."] if left_out else []
    notes.append(
        "`websocket-client` sends an `Origin` header by default, and with one the exchange (and its stand-in here) "
        "grants one connection in 10 s."
    )
    return "\n".join([*lines, "", *notes, "One run each, on one machine, over the loopback interface."]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hurts", description=__doc__.split("\n")[0])
    parser.add_argument("--only", default=",".join(SITUATIONS), help="situations, separated by commas")
    parser.add_argument("--out", type=Path, default=None, help="where to write the table; default: print it")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",")
    unknown = [name for name in chosen if name not in SITUATIONS]
    if unknown:
        parser.error(f"no such situation: {', '.join(unknown)}")
    text = table(chosen)
    if options.out is None:
        print(text)
    else:
        options.out.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
