"""The life of one connection as a table.

Rules
-----
1. Every change of a connection's state goes through `next_state`; nobody assigns a state of their own making.
2. The table is the whole truth. A pair of state and event that has no entry is a bug in the caller, and says so at once
   (`IllegalTransitionError`); there is no "ignore" and no default.
3. A state says what may be believed, not what a thread happens to be doing:

   ============  ======================================================================================
   DISCONNECTED  nobody wants anything from this endpoint; there is no socket and none is being made
   CONNECTING    an attempt is under way; values keep the age they had
   CONNECTED     the upgrade is done; values that this epoch has delivered are vouched for
   RECONNECTING  waiting for the next attempt, which is expected to succeed
   ERROR         waiting for the next attempt, which hardly succeeds until somebody acts (keys, certificate, a bug)
   CLOSED        over for good; the only state with no way out
   ============  ======================================================================================

4. Closing twice is allowed and is written down as an entry like any other.
5. The diagram in the documentation is drawn from the table (`mermaid_diagram`), so it cannot rot.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from types import MappingProxyType

from upbit_ws.types import ConnectionState

__all__ = ["TRANSITIONS", "IllegalTransitionError", "StateEvent", "mermaid_diagram", "next_state"]


@unique
class StateEvent(Enum):
    """What can happen to a connection."""

    WANTED = "wanted"
    """Somebody wants something of this endpoint."""
    UPGRADED = "upgraded"
    """The server answered the upgrade with 101."""
    FAILED = "failed"
    """The attempt came to nothing: name, address, TLS, handshake, deadline."""
    LOST = "lost"
    """An established connection is over, whoever ended it and with whatever close code."""
    REFUSED = "refused"
    """The server (or its certificate) gave an answer that trying again does not change."""
    RETRY = "retry"
    """The waiting time is over."""
    UNWANTED = "unwanted"
    """The last subscriber is gone."""
    CRASHED = "crashed"
    """The SDK's own I/O thread raised; its supervisor starts it anew."""
    CLOSE = "close"
    """The owner closes for good."""


class IllegalTransitionError(RuntimeError):
    """An event that the table does not know in this state. Always a bug of the SDK, never of its user."""

    def __init__(self, state: ConnectionState, event: StateEvent) -> None:
        super().__init__(state, event)
        self.state = state
        self.event = event

    def __str__(self) -> str:
        return f"no transition from {self.state.name} on {self.event.name}"


_DISCONNECTED = ConnectionState.DISCONNECTED
_CONNECTING = ConnectionState.CONNECTING
_CONNECTED = ConnectionState.CONNECTED
_RECONNECTING = ConnectionState.RECONNECTING
_ERROR = ConnectionState.ERROR
_CLOSED = ConnectionState.CLOSED

TRANSITIONS: Mapping[ConnectionState, Mapping[StateEvent, ConnectionState]] = MappingProxyType(
    {
        _DISCONNECTED: {
            StateEvent.WANTED: _CONNECTING,
            StateEvent.CRASHED: _ERROR,
            StateEvent.CLOSE: _CLOSED,
        },
        _CONNECTING: {
            StateEvent.UPGRADED: _CONNECTED,
            StateEvent.FAILED: _RECONNECTING,
            StateEvent.REFUSED: _ERROR,
            StateEvent.UNWANTED: _DISCONNECTED,
            StateEvent.CRASHED: _ERROR,
            StateEvent.CLOSE: _CLOSED,
        },
        _CONNECTED: {
            StateEvent.LOST: _RECONNECTING,
            # Upbit reports bad credentials in an error frame after the upgrade.
            StateEvent.REFUSED: _ERROR,
            StateEvent.UNWANTED: _DISCONNECTED,
            StateEvent.CRASHED: _ERROR,
            StateEvent.CLOSE: _CLOSED,
        },
        _RECONNECTING: {
            StateEvent.RETRY: _CONNECTING,
            StateEvent.UNWANTED: _DISCONNECTED,
            StateEvent.CRASHED: _ERROR,
            StateEvent.CLOSE: _CLOSED,
        },
        _ERROR: {
            StateEvent.RETRY: _CONNECTING,
            StateEvent.UNWANTED: _DISCONNECTED,
            StateEvent.CRASHED: _ERROR,
            StateEvent.CLOSE: _CLOSED,
        },
        _CLOSED: {
            StateEvent.CLOSE: _CLOSED,
        },
    }
)


def next_state(state: ConnectionState, event: StateEvent) -> ConnectionState:
    """The state that follows `state` on `event`; `IllegalTransitionError` where the table has no entry."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransitionError(state, event) from None


def mermaid_diagram() -> str:
    """The table as the text of a mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {_DISCONNECTED.name}"]
    for state, row in TRANSITIONS.items():
        lines += [f"    {state.name} --> {target.name}: {event.value}" for event, target in row.items()]
    lines.append(f"    {_CLOSED.name} --> [*]")
    return "\n".join(lines) + "\n"
