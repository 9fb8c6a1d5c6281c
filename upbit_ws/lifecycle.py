"""What happens to connections and subscriptions, as data: small frozen records on the same path as messages.

`endpoint` is None where the event concerns no single connection. `at` is in monotonic seconds, the clock of
`Reading.received_at`.
"""

from __future__ import annotations

from upbit_ws.data_types import DataType, Endpoint, StreamKey
from upbit_ws.records import frozen

__all__ = [
    "AuthenticationFailed",
    "BackingOff",
    "Closed",
    "Connected",
    "Connecting",
    "ConnectionEvent",
    "Disconnected",
    "GapRecovered",
    "GapReported",
    "RequestRejected",
    "SilentCodes",
    "SlowConsumer",
    "Stale",
    "StuckCallback",
    "Subscribed",
]


@frozen
class ConnectionEvent:
    """Base of all of them."""

    endpoint: Endpoint | None
    at: float


@frozen
class Connecting(ConnectionEvent):
    """A connection attempt starts."""


@frozen
class Connected(ConnectionEvent):
    """The upgrade succeeded; a new generation begins. Values are not vouched for until its snapshots arrive."""

    epoch: int


@frozen
class Subscribed(ConnectionEvent):
    """The wanted set was sent, `keys` streams in all. The exchange acknowledges only by sending data."""

    epoch: int
    keys: int


@frozen
class Stale(ConnectionEvent):
    """The feed is suspected mute, or unanswered: its values are no longer vouched for."""

    reason: str


@frozen
class BackingOff(ConnectionEvent):
    """The next attempt starts in `delay` seconds; `attempt` counts from 1 since the last stable connection."""

    delay: float
    attempt: int
    reason: str


@frozen
class Disconnected(ConnectionEvent):
    """The connection ended. `code` is the WebSocket close code (1006: no close frame), None when it never opened."""

    epoch: int
    reason: str
    code: int | None = None


@frozen
class SilentCodes(ConnectionEvent):
    """Streams that were asked for and have delivered nothing for some seconds: a typo, or delisted."""

    keys: tuple[StreamKey, ...]


@frozen
class RequestRejected(ConnectionEvent):
    """The exchange answered a request with an error frame; it closes the connection after that."""

    name: str
    message: str


@frozen
class GapRecovered(ConnectionEvent):
    """What was missed between `start` and `end` (ms since the epoch) was fetched over REST: `count` events."""

    symbol: str
    data_type: DataType
    start: int
    end: int
    count: int


@frozen
class GapReported(ConnectionEvent):
    """What was missed between `start` and `end` (ms since the epoch) could not be recovered."""

    symbol: str
    data_type: DataType
    start: int
    end: int
    reason: str


@frozen
class SlowConsumer(ConnectionEvent):
    """A subscriber's mailbox overflowed; `dropped` events were lost to it so far."""

    component_id: str
    subscription_id: str
    dropped: int


@frozen
class StuckCallback(ConnectionEvent):
    """A callback has not returned for `seconds`; `stack` shows where it is. Others are called by a new worker."""

    component_id: str
    subscription_id: str
    seconds: float
    stack: str


@frozen
class AuthenticationFailed(ConnectionEvent):
    """The exchange refused the keys; the connection stays in the state ERROR."""

    name: str
    message: str


@frozen
class Closed(ConnectionEvent):
    """Closed by its owner. Nothing follows."""

    reason: str
