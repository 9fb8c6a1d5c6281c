"""Who wants what, and how much of it the exchange has been told and has confirmed.

Three sets per endpoint, each inspectable: *wanted* (the merged wishes of all owners, less what the exchange refuses),
*sent* (the plan of the last request on the present connection) and *confirmed* (streams that delivered since). An I/O
thread compares `version` with the one it last acted on, which costs nothing, and sends `wanted` when it differs.

One lock guards everything here. Nothing is called back under it: each change returns the endpoints whose wanted plan is
another one now, and the caller wakes their I/O threads.

When the exchange refuses a request (`reject`), `wanted` becomes a part of what is asked for, and changes with every
answer (`reject`, `confirm`, `settle`) until the guilty part is found. Whoever serves the connection reports all three.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any

from upbit_ws.exceptions import RequestRejectedError
from upbit_ws.protocol.endpoint_subscriptions import EndpointSubscriptions
from upbit_ws.protocol.subscription_list import SubscriptionList, parse_subscription_list
from upbit_ws.protocol.subscription_plan import Plan, merge_wants, plan_wants
from upbit_ws.shared.locks import make_lock
from upbit_ws.types import Endpoint, StreamKey, Want

__all__ = ["SubscriptionStateManager"]


class SubscriptionStateManager:
    """Wishes of all owners for all endpoints.

    An owner is any hashable token: a component's name, a subscription's number. Methods that change wishes return the
    endpoints whose wanted plan changed (empty, hence false, when none did).
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: Guards everything below.
        self._lock = make_lock("subscriptions", 20)
        self._wants: dict[Hashable, dict[StreamKey, Want]] = {}
        self._owners: dict[StreamKey, set[Hashable]] = {}
        self._states = {endpoint: EndpointSubscriptions() for endpoint in Endpoint}

    # -- wishes -------------------------------------------------------------------------------------------------------

    def set_wants(self, owner: Hashable, wants: Iterable[Want]) -> frozenset[Endpoint]:
        """`owner` wants exactly these from now on."""
        asked = _by_key(wants)
        with self._lock:
            return self._replace_locked(owner, asked)

    def add(self, owner: Hashable, wants: Iterable[Want]) -> frozenset[Endpoint]:
        """`owner` wants these as well; a wish for a key that it has already takes the place of the former one."""
        asked = _by_key(wants)
        with self._lock:
            return self._replace_locked(owner, {**self._wants.get(owner, {}), **asked})

    def remove(self, owner: Hashable, keys: Collection[StreamKey] | None = None) -> frozenset[Endpoint]:
        """`owner` does not want these keys any more; None means all."""
        with self._lock:
            before = self._wants.get(owner, {})
            kept = {} if keys is None else {key: want for key, want in before.items() if key not in keys}
            return self._replace_locked(owner, kept)

    def drop_owner(self, owner: Hashable) -> frozenset[Endpoint]:
        """`owner` is gone, with all its wishes."""
        return self.remove(owner)

    def _replace_locked(self, owner: Hashable, after: dict[StreamKey, Want]) -> frozenset[Endpoint]:
        assert self._lock.locked()
        before = self._wants.get(owner, {})
        touched = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        if after:
            self._wants[owner] = after
        else:
            self._wants.pop(owner, None)
        endpoints = {key.data_type.endpoint for key in touched if self._merge_locked(owner, key, key in after)}
        return frozenset(endpoint for endpoint in endpoints if self._states[endpoint].replan())

    def _merge_locked(self, owner: Hashable, key: StreamKey, is_wanted: bool) -> bool:
        """Merge anew what all owners want of one key; True when the result is another."""
        assert self._lock.locked()
        owners = self._owners.setdefault(key, set())
        (owners.add if is_wanted else owners.discard)(owner)
        merged: Want | None = None
        for other in owners:
            want = self._wants[other][key]
            merged = want if merged is None else merge_wants(merged, want)
        if not owners:
            del self._owners[key]
        return self._states[key.data_type.endpoint].merged(key, merged)

    # -- what is wanted -----------------------------------------------------------------------------------------------

    def version(self, endpoint: Endpoint) -> int:
        """Counts the changes of what is wanted of `endpoint`. Takes no lock."""
        return self._states[endpoint].version

    def wanted(self, endpoint: Endpoint) -> Plan | None:
        """What is to be on the wire now; None when nothing is wanted and the connection can go."""
        with self._lock:
            return self._states[endpoint].wanted

    def wanted_with_version(self, endpoint: Endpoint) -> tuple[Plan | None, int]:
        """`wanted`, and the version that it is."""
        with self._lock:
            state = self._states[endpoint]
            return state.wanted, state.version

    def asked(self, endpoint: Endpoint) -> Plan | None:
        """What all owners together want, also what the exchange refuses."""
        with self._lock:
            return self._states[endpoint].plan

    def wants_of(self, owner: Hashable) -> tuple[Want, ...]:
        """The wishes of one owner."""
        with self._lock:
            return tuple(self._wants.get(owner, {}).values())

    def owners_of(self, key: StreamKey) -> frozenset[Hashable]:
        """Everybody who wants this key."""
        with self._lock:
            return frozenset(self._owners.get(key, ()))

    # -- what was sent ------------------------------------------------------------------------------------------------

    def mark_sent(self, endpoint: Endpoint, epoch: int, plan: Plan) -> None:
        """The request for `plan` was handed to the socket of connection `epoch`."""
        now = self._clock()
        with self._lock:
            self._states[endpoint].mark_sent(epoch, plan, now)

    def confirm(self, endpoint: Endpoint, epoch: int, keys: Iterable[StreamKey]) -> frozenset[Endpoint]:
        """These keys delivered their first data on connection `epoch`; late news of an older one is ignored."""
        with self._lock:
            return _if(self._states[endpoint].confirm(epoch, keys), endpoint)

    def on_disconnected(self, endpoint: Endpoint) -> None:
        """The connection is gone, and with it everything sent and confirmed."""
        with self._lock:
            self._states[endpoint].disconnected()

    def ask_listing(self, endpoint: Endpoint) -> int:
        """Have the connection ask the exchange what is subscribed. Returns the number of the question; follow with
        `forget_listing` when nobody waits for it any more."""
        with self._lock:
            state = self._states[endpoint]
            return state.questions.ask(state.version)

    def forget_listing(self, endpoint: Endpoint, number: int) -> None:
        """Nobody waits for the answer to this question."""
        with self._lock:
            self._states[endpoint].questions.forget(number)

    def listing_due(self, endpoint: Endpoint) -> tuple[int, int] | None:
        """The number of the question that the connection is to put, once it has acted on this version of what is
        wanted, or on a later one; None where there is no question."""
        with self._lock:
            return self._states[endpoint].questions.due

    def mark_listing_sent(self, endpoint: Endpoint, number: int) -> None:
        """The question was handed to the socket."""
        with self._lock:
            self._states[endpoint].questions.mark_sent(number)

    def take_listing(self, endpoint: Endpoint, epoch: int, message: Mapping[str, Any]) -> SubscriptionList:
        """The exchange answered `LIST_SUBSCRIPTIONS` on connection `epoch` (`PayloadError` when it did not)."""
        listed = parse_subscription_list(message)
        with self._lock:
            self._states[endpoint].confirm_listed(epoch, listed.keys)
        return listed

    def answer_listing(self, endpoint: Endpoint, number: int, listed: SubscriptionList) -> None:
        """This is the answer to the question of that number, and to all before it."""
        with self._lock:
            self._states[endpoint].questions.answered(number, listed)

    def listed(self, endpoint: Endpoint, number: int) -> SubscriptionList | None:
        """The answer to the question of that number, or to a later one; None before it came. Takes no lock."""
        return self._states[endpoint].questions.answer(number)

    def sent(self, endpoint: Endpoint) -> Plan | None:
        """The plan of the last request on the present connection."""
        with self._lock:
            return self._states[endpoint].sent

    def confirmed(self, endpoint: Endpoint) -> frozenset[StreamKey]:
        """Streams that delivered on the present connection."""
        with self._lock:
            return frozenset(self._states[endpoint].confirmed)

    def progress(self, endpoint: Endpoint) -> tuple[int, int]:
        """How many streams are wanted, and how many of them delivered on the present connection."""
        with self._lock:
            state = self._states[endpoint]
            return (0, 0) if state.wanted is None else (len(state.wanted), len(state.confirmed & state.wanted.keys))

    def silent(self, now: float, after: float) -> tuple[StreamKey, ...]:
        """Streams that should have sent a snapshot and did not within `after` seconds: misspelt or delisted codes."""
        with self._lock:
            return tuple(key for state in self._states.values() for key in state.silent(now, after))

    # -- what is refused ----------------------------------------------------------------------------------------------

    def reject(self, endpoint: Endpoint, name: str, message: str) -> tuple[StreamKey, ...]:
        """The exchange answered the last request with an error frame (and is about to close the connection).

        Decides what to ask for next, which `wanted` then returns. Errors about the account or the rate change nothing.

        Returns:
            The streams found guilty by this answer; their owners see them in `rejections`.
        """
        now = self._clock()
        with self._lock:
            return tuple(self._states[endpoint].reject(name, message, now))

    def settles_at(self, endpoint: Endpoint) -> float | None:
        """When to call `settle` (monotonic seconds); None while no guilty part is being looked for."""
        with self._lock:
            return self._states[endpoint].settles_at

    def settle(self, endpoint: Endpoint) -> frozenset[Endpoint]:
        """Take a request as accepted that has met no error frame for a while. Early calls do nothing."""
        now = self._clock()
        with self._lock:
            return _if(self._states[endpoint].settle(now), endpoint)

    def parole(self) -> frozenset[Endpoint]:
        """Let refused streams be tried again whose time has come; to be called about once a minute."""
        now = self._clock()
        with self._lock:
            return frozenset(endpoint for endpoint, state in self._states.items() if state.parole(now))

    def rejections(self, owner: Hashable) -> dict[StreamKey, RequestRejectedError]:
        """What of the wishes of `owner` the exchange refuses, and how it put it."""
        with self._lock:
            return {
                key: rejection.error
                for key in self._wants.get(owner, ())
                if (rejection := self._states[key.data_type.endpoint].rejected.get(key)) is not None
            }

    def is_isolating(self, endpoint: Endpoint) -> bool:
        """Whether a guilty part is being looked for at the moment."""
        with self._lock:
            return self._states[endpoint].isolation is not None


def _by_key(wants: Iterable[Want]) -> dict[StreamKey, Want]:
    """One wish per key, each in its one spelling. The wishes may concern several endpoints."""
    plan = plan_wants(wants)
    return {} if plan is None else {want.key: want for want in plan}


def _if(has_changed: bool, endpoint: Endpoint) -> frozenset[Endpoint]:
    return frozenset({endpoint}) if has_changed else frozenset()
