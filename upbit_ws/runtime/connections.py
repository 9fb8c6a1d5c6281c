"""The connections of one manager: one per endpoint, made when something of it is first wanted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable

from upbit_ws.config import WebSocketConfig
from upbit_ws.exceptions import AuthenticationError
from upbit_ws.lifecycle import ConnectionEvent
from upbit_ws.protocol.frames import FrameLimits
from upbit_ws.protocol.slots import Entry, Reopened, Slot
from upbit_ws.protocol.upbit_authenticator import UpbitAuthenticator
from upbit_ws.records import frozen
from upbit_ws.runtime.connection_parts import ConnectionParts
from upbit_ws.runtime.native_websocket_client import NativeWebSocketClient
from upbit_ws.runtime.resolver import make_resolver
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.locks import make_lock
from upbit_ws.shared.metrics import ConnectionMeter
from upbit_ws.shared.subscription_state_manager import SubscriptionStateManager
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter
from upbit_ws.types import ConnectionMetrics, ConnectionStatus, Endpoint, StreamKey
from upbit_ws.wire.dial import AddressBook, dial
from upbit_ws.wire.target import DialTarget
from upbit_ws.wire.transport import Transport, TransportSettings
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["Connections", "SharedParts", "awake_seconds"]


def awake_seconds() -> float:
    """A clock that runs on while the machine sleeps, where the system has one; else the wall clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time()


@frozen(kw_only=True)
class SharedParts:
    """What all connections of a manager share."""

    config: WebSocketConfig
    clock: Callable[[], float]
    pool: DataPoolManager
    subscriptions: SubscriptionStateManager
    limiter: UpbitRateLimiter
    publish: Callable[[ConnectionEvent], None]
    deliver: Callable[[list[tuple[Slot, Entry]]], None]
    reopen: Callable[[list[tuple[Slot, Reopened]]], None]
    confirmed: Callable[[Endpoint, int, Collection[StreamKey]], None]
    authenticator: UpbitAuthenticator


class Connections:
    """Makes, wakes, stops and describes the connections of one manager."""

    def __init__(self, parts: SharedParts) -> None:
        self._parts = parts
        #: Guards the making of connections.
        self._lock = make_lock("connections", 10)
        self._clients: dict[Endpoint, NativeWebSocketClient] = {}
        self._meters: dict[Endpoint, ConnectionMeter] = {}
        self._is_stopping = False

    def prepare(self, endpoints: Iterable[Endpoint]) -> None:
        """Make sure that these endpoints can be dialled, before anything of them is registered.

        Raises:
            AuthenticationError: one needs keys, and there are none.
            InvalidArgumentError: the keys would travel in clear.
        """
        for endpoint in endpoints:
            if endpoint.needs_auth and endpoint not in self._clients:
                _make_target(self._parts, endpoint)
                self._parts.authenticator.check()

    def refusal(self, endpoint: Endpoint) -> AuthenticationError | None:
        """Why the exchange does not accept the keys at this endpoint, while it does not."""
        client = self._clients.get(endpoint)
        return client.refusal if client is not None else None

    def wake(self, endpoints: Iterable[Endpoint]) -> None:
        """Have these endpoints look at what is wanted; the first time, connect."""
        for client in self.start(endpoints):
            client.wake()

    def start(self, endpoints: Iterable[Endpoint]) -> list[NativeWebSocketClient]:
        """Have the threads of these endpoints, so that nothing is registered that no thread will serve.

        Raises:
            RuntimeError: the system has no more threads.
        """
        wanted: list[NativeWebSocketClient] = []
        with self._lock:
            if self._is_stopping:
                return []
            for endpoint in endpoints:
                if endpoint not in self._clients:
                    self._clients[endpoint] = self._make_locked(endpoint)
                client = self._clients[endpoint]
                # Under the lock: two threads that register at once must not start two.
                client.start()
                wanted.append(client)
        return wanted

    def _make_locked(self, endpoint: Endpoint) -> NativeWebSocketClient:
        assert self._lock.locked()
        parts = self._parts
        meter = self._meters[endpoint] = ConnectionMeter(endpoint)
        return NativeWebSocketClient(
            ConnectionParts(
                endpoint=endpoint,
                config=parts.config,
                clock=parts.clock,
                awake_clock=awake_seconds,
                random=random.random,
                pool=parts.pool,
                subscriptions=parts.subscriptions,
                limiter=parts.limiter,
                meter=meter,
                publish=parts.publish,
                deliver=parts.deliver,
                reopen=parts.reopen,
                confirmed=self._confirmed,
            ),
            _make_dialer(parts, endpoint),
        )

    def _confirmed(self, endpoint: Endpoint, epoch: int, keys: Collection[StreamKey]) -> None:
        self._clients[endpoint].refusal = None
        self._parts.confirmed(endpoint, epoch, keys)

    def all(self) -> tuple[NativeWebSocketClient, ...]:
        """All connections made so far."""
        with self._lock:
            return tuple(self._clients.values())

    def statuses(self) -> tuple[ConnectionStatus, ...]:
        """What may be believed of each."""
        return tuple(client.status() for client in self.all())

    def metrics(self) -> tuple[ConnectionMetrics, ...]:
        """What each has counted."""
        with self._lock:
            pairs = [(self._clients[endpoint], meter) for endpoint, meter in self._meters.items()]
        return tuple(_metrics(client.status(), meter, self._parts.clock()) for client, meter in pairs)

    def meters(self) -> dict[Endpoint, ConnectionMeter]:
        """The meter of each."""
        with self._lock:
            return dict(self._meters)

    def last_error(self) -> str | None:
        """The last error of a connection that is not connected now."""
        errors = [
            status.last_error for status in self.statuses() if status.state.value != "connected" and status.last_error
        ]
        return errors[-1] if errors else None

    def rotate(self) -> None:
        """Have every connection replaced by a new one, without a gap."""
        for client in self.all():
            client.rotate()

    def stop(self) -> None:
        """Ask every connection to say goodbye and end. Does not wait."""
        with self._lock:
            self._is_stopping = True
            clients = tuple(self._clients.values())
        for client in clients:
            client.stop()

    def abandon(self) -> None:
        """In a forked child: let go of everything without a byte to any peer.

        Takes no lock, it may be held for ever.
        """
        for client in tuple(self._clients.values()):
            client.abandon()


def _metrics(status: ConnectionStatus, meter: ConnectionMeter, now: float) -> ConnectionMetrics:
    return meter.snapshot(
        status.state,
        epoch=status.epoch,
        connected_for=0.0 if status.connected_since is None else now - status.connected_since,
        last_error=status.last_error,
    )


def _make_target(parts: SharedParts, endpoint: Endpoint) -> DialTarget:
    connection = parts.config.connection
    return DialTarget.from_url(
        connection.websocket_url(endpoint),
        authorization=parts.authenticator.websocket_authorization if endpoint.needs_auth else None,
        ssl_context=connection.ssl_context,
        proxy_url=connection.proxy_url,
        trust_env=connection.trust_env,
        offers_deflate=connection.compression,
        settings=TransportSettings(
            read_size=connection.read_size,
            coalesce=connection.read_coalesce,
            limits=FrameLimits(connection.max_frame_size, connection.max_message_size, connection.max_fragments),
        ),
    )


def _make_dialer(parts: SharedParts, endpoint: Endpoint) -> Callable[[float, Wakeup, Callable[[], bool]], Transport]:
    target = _make_target(parts, endpoint)
    book = AddressBook()

    def dial_endpoint(deadline: float, wakeup: Wakeup, should_stop: Callable[[], bool]) -> Transport:
        return dial(
            target,
            deadline=deadline,
            clock=parts.clock,
            wakeup=wakeup,
            should_stop=should_stop,
            resolve=make_resolver(wakeup, parts.clock, should_stop),
            book=book,
        )

    return dial_endpoint
