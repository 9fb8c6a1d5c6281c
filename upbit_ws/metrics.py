"""Frozen snapshots of what the running parts can say about themselves. All are importable from `upbit_ws.types`."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field

from upbit_ws.data_types import Endpoint, StreamKey, TextEnum
from upbit_ws.records import frozen

__all__ = [
    "ClientStatus",
    "ConnectionMetrics",
    "ConnectionState",
    "ConnectionStatus",
    "DataDistributionStats",
    "GlobalManagerState",
    "HealthStatus",
    "PerformanceMetrics",
    "SubscriberStats",
]


class ConnectionState(TextEnum):
    """What may be believed of one connection."""

    DISCONNECTED = "disconnected"  # nothing is wanted of it
    CONNECTING = "connecting"  # the first attempt is under way
    CONNECTED = "connected"  # upgraded; values are live
    RECONNECTING = "reconnecting"  # it was there and is being brought back
    ERROR = "error"  # it will not come back by itself (refused keys)
    CLOSED = "closed"  # closed by its owner


class GlobalManagerState(TextEnum):
    """What the manager as a whole is doing."""

    IDLE = "idle"
    ACTIVE = "active"
    SHUTTING_DOWN = "shutting_down"
    ERROR = "error"
    CLOSED = "closed"


@frozen(kw_only=True)
class ConnectionStatus:
    """One connection at one moment. Ages are seconds; `url` never holds a credential."""

    endpoint: Endpoint
    state: ConnectionState
    epoch: int = 0  # counts successful upgrades
    url: str = ""
    connected_since: float | None = None  # monotonic seconds
    last_frame_age: float | None = None  # any frame, pong included
    last_data_age: float | None = None
    suspected_mute: bool = False  # answers pings, delivers nothing
    reconnects: int = 0
    last_error: str | None = None
    next_attempt_in: float | None = None
    wanted: int = 0  # keys
    confirmed: int = 0  # keys that delivered since the last request


@frozen(kw_only=True)
class ClientStatus:
    """What one client may believe now."""

    component_id: str
    connections: tuple[ConnectionStatus, ...] = ()
    interests: int = 0
    delivered: int = 0
    silent: tuple[StreamKey, ...] = ()
    oldest_vouched_age: float | None = None


@frozen(kw_only=True)
class HealthStatus:
    """Result of the last health round."""

    is_healthy: bool
    state: GlobalManagerState
    connections: tuple[ConnectionStatus, ...] = ()
    components: int = 0
    dead_components_swept: int = 0
    background_tasks: Mapping[str, bool] = field(factory=dict)  # name -> running
    checked_at: float = 0.0  # monotonic seconds


@frozen(kw_only=True)
class PerformanceMetrics:
    """Totals and rates since the manager became active."""

    uptime: float = 0.0
    messages: int = 0
    messages_per_second: float = 0.0
    bytes: int = 0
    bytes_per_second: float = 0.0
    decode_errors: int = 0
    stale_dropped: int = 0  # of an older epoch
    duplicates: int = 0
    out_of_order: int = 0
    dropped: int = 0  # by mailboxes of slow subscribers
    events: Mapping[str, int] = field(factory=dict)  # wire name -> messages
    reconnects: int = 0
    rtt_p50: float | None = None  # seconds
    rtt_p99: float | None = None
    measured_at: float = 0.0  # monotonic seconds


@frozen(kw_only=True)
class ConnectionMetrics:
    """Counters of one connection."""

    endpoint: Endpoint
    state: ConnectionState
    epoch: int = 0
    connects: int = 0
    reconnects: int = 0
    messages: int = 0
    bytes: int = 0
    reads: int = 0
    requests_sent: int = 0
    pings_sent: int = 0
    pongs_received: int = 0
    rtt_last: float | None = None  # seconds
    rtt_p50: float | None = None
    rtt_p99: float | None = None
    connected_seconds: float = 0.0
    last_error: str | None = None


@frozen(kw_only=True)
class SubscriberStats:
    """One subscription's events: `received == delivered + conflated + dropped + queued`, exactly. Times are seconds."""

    subscription_id: str
    component_id: str
    callback: str  # its name
    received: int = 0
    delivered: int = 0  # the callback was called, with whatever result
    conflated: int = 0  # a newer one of the same stream took its place
    dropped: int = 0  # lost for want of room, because the subscription ended, or because it did not decode
    queued: int = 0
    queued_highest: int = 0
    exceptions: int = 0  # raised by the callback
    undecodable: int = 0
    delay_p50: float | None = None  # from receipt to call
    delay_p99: float | None = None
    callback_p50: float | None = None
    callback_p99: float | None = None
    callback_seconds: float = 0.0  # in the callback, altogether


@frozen(kw_only=True)
class DataDistributionStats:
    """All events that went to callbacks, those of ended subscriptions included. The sum of `SubscriberStats` holds
    here too."""

    received: int = 0  # counted once for each subscriber
    delivered: int = 0
    conflated: int = 0
    dropped: int = 0
    queued: int = 0
    queued_highest: int = 0  # of any one subscriber
    exceptions: int = 0
    undecodable: int = 0
    published: int = 0  # counted once, however many subscribers they have
    delay_p50: float | None = None
    delay_p99: float | None = None
    callback_p50: float | None = None
    callback_p99: float | None = None
    callback_seconds: float = 0.0
    subscribers: tuple[SubscriberStats, ...] = ()
