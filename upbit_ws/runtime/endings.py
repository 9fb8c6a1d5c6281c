"""Why a connection is served no longer, where that is decided on this side."""

from __future__ import annotations

from upbit_ws.exceptions import ConnectionLostError
from upbit_ws.protocol.liveness import ReconnectReason

__all__ = ["GivenUp", "Retired"]


class GivenUp(ConnectionLostError):
    """The connection is there but is no use: it does not answer, or it is mute."""

    def __init__(self, why: ReconnectReason) -> None:
        super().__init__(f"given up: {why.value}")
        self.why = why


class Retired(Exception):
    """The connection is given up on purpose: nothing of the endpoint is wanted, or its owner stops."""
