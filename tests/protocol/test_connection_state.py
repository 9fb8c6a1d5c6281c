"""The table of states: what leads where, and that everything else is an error."""

from __future__ import annotations

from itertools import product

import pytest

from upbit_ws.protocol.connection_state import (
    TRANSITIONS,
    IllegalTransitionError,
    StateEvent,
    mermaid_diagram,
    next_state,
)
from upbit_ws.types import ConnectionState

STATES = list(ConnectionState)
LEGAL = [(state, event) for state, row in TRANSITIONS.items() for event in row]
ILLEGAL = [pair for pair in product(STATES, StateEvent) if pair not in LEGAL]


def _walk(*events: StateEvent) -> ConnectionState:
    state = ConnectionState.DISCONNECTED
    for event in events:
        state = next_state(state, event)
    return state


def test_a_connection_is_made_lost_and_made_again() -> None:
    up = (StateEvent.WANTED, StateEvent.UPGRADED)
    assert _walk(*up) is ConnectionState.CONNECTED
    assert _walk(*up, StateEvent.LOST) is ConnectionState.RECONNECTING
    assert _walk(*up, StateEvent.LOST, StateEvent.RETRY, StateEvent.UPGRADED) is ConnectionState.CONNECTED


def test_an_attempt_that_fails_is_followed_by_another() -> None:
    assert _walk(StateEvent.WANTED, StateEvent.FAILED) is ConnectionState.RECONNECTING


def test_refused_credentials_are_an_error_state_that_still_tries_again() -> None:
    assert _walk(StateEvent.WANTED, StateEvent.REFUSED) is ConnectionState.ERROR
    assert _walk(StateEvent.WANTED, StateEvent.REFUSED, StateEvent.RETRY) is ConnectionState.CONNECTING


@pytest.mark.parametrize(("state", "event"), ILLEGAL, ids=lambda part: part.name)
def test_a_pair_without_an_entry_is_an_error(state: ConnectionState, event: StateEvent) -> None:
    with pytest.raises(IllegalTransitionError, match=f"from {state.name} on {event.name}") as caught:
        next_state(state, event)
    assert (caught.value.state, caught.value.event) == (state, event)


def test_every_state_has_a_row_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(STATES)
    reached = {target for row in TRANSITIONS.values() for target in row.values()}
    assert reached == set(STATES)


def test_every_state_can_be_closed_and_nothing_leads_out_of_closed() -> None:
    assert all(row[StateEvent.CLOSE] is ConnectionState.CLOSED for row in TRANSITIONS.values())
    assert set(TRANSITIONS[ConnectionState.CLOSED].values()) == {ConnectionState.CLOSED}


def test_a_crash_is_survived_from_every_state_that_is_not_over() -> None:
    for state in set(STATES) - {ConnectionState.CLOSED}:
        assert next_state(state, StateEvent.CRASHED) is ConnectionState.ERROR


def test_the_table_cannot_be_edited() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[ConnectionState.CLOSED] = {}  # type: ignore[index]


def test_the_diagram_has_one_arrow_per_entry() -> None:
    arrows = [line.strip() for line in mermaid_diagram().splitlines() if "-->" in line]
    drawn = {arrow for arrow in arrows if "[*]" not in arrow}
    assert mermaid_diagram().startswith("stateDiagram-v2\n")
    assert drawn == {f"{s.name} --> {TRANSITIONS[s][e].name}: {e.value}" for s, e in LEGAL}
    assert len(arrows) == len(LEGAL) + 2
