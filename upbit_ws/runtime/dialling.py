"""Dialling when it is one's turn: the exchange allows a few connects a second (Upbit: rate-limits page)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from upbit_ws.lifecycle import Connecting
from upbit_ws.runtime.connection_parts import ConnectionParts
from upbit_ws.wire.dial import DialAborted
from upbit_ws.wire.transport import Transport
from upbit_ws.wire.wakeup import Wakeup

__all__ = ["CONNECT_GROUP", "Dialer", "dial_in_turn"]

#: `dial(deadline, wakeup, should_stop)`: open one connection.
Dialer = Callable[[float, Wakeup, Callable[[], bool]], Transport]

CONNECT_GROUP: Final = "websocket-connect"
"""Of the rate limiter."""


def dial_in_turn(
    parts: ConnectionParts, dial: Dialer, wakeup: Wakeup, should_stop: Callable[[], bool]
) -> Transport:
    """Wait for a turn, and open one connection.

    Raises:
        DialAborted: `should_stop`, which is asked first and after each wake-up, said so.
        ConnectionFailedError: there is no connection.
        AuthenticationError: the keys were refused.
    """
    clock = parts.clock
    turn_at = clock()
    while not should_stop():
        if (left := turn_at - clock()) > 0:
            wakeup.wait(left)
        elif (left := parts.limiter.reserve(CONNECT_GROUP, clock())) > 0:
            turn_at = clock() + left
        else:
            break
    else:
        raise DialAborted
    parts.publish(Connecting(parts.endpoint, parts.clock()))
    parts.meter.attempt()
    return dial(parts.clock() + parts.config.connection.connect_timeout, wakeup, should_stop)
