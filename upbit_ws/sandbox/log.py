"""What the server saw: connections, requests, refusals. Bounded, and readable by tests from any thread."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from attrs import define, field, frozen

__all__ = ["ConnectionLog", "Handshake", "RestCall", "ServerLog"]

_KEPT = 10_000


@frozen
class Handshake:
    """An upgrade request. `at` is of the monotonic clock; `status` is 101 where it was granted."""

    at: float
    path: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    raw: bytes = field(repr=False)


@frozen
class RestCall:
    """A REST request and what became of it."""

    at: float
    method: str
    target: str
    status: int


@define
class ConnectionLog:
    """
    One WebSocket connection.

    Attributes:
        path: of its endpoint.
        opened_at, closed_at: monotonic; `closed_at` is None while it is open.
        close_code: what the client closed with, None where it did not.
        requests: texts it sent, PINGs included, oldest first.
        sent: messages of each (type, code) handed to it.
    """

    path: str
    opened_at: float
    closed_at: float | None = None
    close_code: int | None = None
    requests: deque[str] = field(factory=lambda: deque(maxlen=_KEPT))
    sent: Counter[tuple[str, str]] = field(factory=Counter, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether it is still there."""
        return self.closed_at is None


class ServerLog:
    """Everything since the sandbox was made, restarts included; of each kind the last 10,000."""

    def __init__(self) -> None:
        self.connections: deque[ConnectionLog] = deque(maxlen=_KEPT)
        self.handshakes: deque[Handshake] = deque(maxlen=_KEPT)
        self.rest_calls: deque[RestCall] = deque(maxlen=_KEPT)
