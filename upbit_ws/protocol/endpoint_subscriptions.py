"""What is wanted of one endpoint, what was sent, what was confirmed and what was refused. Plain state, no lock.

`SubscriptionStateManager` holds one per endpoint under its lock; methods that may change what is wanted return whether
they did.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from upbit_ws.exceptions import RequestRejectedError
from upbit_ws.protocol.isolation import Isolation, is_blameable
from upbit_ws.protocol.listing_questions import ListingQuestions
from upbit_ws.protocol.subscription_plan import Plan, plan_wants
from upbit_ws.records import frozen
from upbit_ws.types import StreamKey, Want

__all__ = ["ACCEPTED_AFTER", "EndpointSubscriptions", "Rejection"]

ACCEPTED_AFTER = 1.5
"""Seconds without an error frame after which a request counts as accepted; measured were 0.15 to 0.81 s until one."""
PAROLE = 300.0
"""Seconds after which a refused stream is tried again; doubles with each refusal up to `MAX_PAROLE`."""
MAX_PAROLE = 86_400.0


@frozen
class Rejection:
    """A stream that the exchange refuses."""

    error: RequestRejectedError
    until: float
    """Monotonic seconds at which it is tried again."""
    times: int = 1


class EndpointSubscriptions:
    """The state of one endpoint's subscriptions. Attributes are read by the holder; methods change them."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        """What all owners together want, also what the exchange refuses."""
        self.wanted: Plan | None = None
        """What is to be on the wire now."""
        self.version = 0
        """Counts the changes of `wanted`."""
        self.sent: Plan | None = None
        """The last request on the present connection."""
        self.confirmed: set[StreamKey] = set()
        """Streams that delivered on the present connection."""
        self.questions = ListingQuestions()
        """What does the exchange say is subscribed?"""
        self.rejected: dict[StreamKey, Rejection] = {}
        self.isolation: Isolation | None = None
        self._excused: Plan | None = None  # refused, but it may have been a question
        self._entries: dict[StreamKey, Want] = {}
        self._is_planned = True
        self._epoch: int | None = None
        self._sent_at = 0.0
        self._asked_at: dict[StreamKey, float] = {}  # since when a stream is part of what was sent
        self._refusals: dict[StreamKey, int] = {}  # of streams on parole

    # -- wishes -------------------------------------------------------------------------------------------------------

    def merged(self, key: StreamKey, want: Want | None) -> bool:
        """All wishes for one key come to `want` now (None: nobody has any). True when that is another than before.

        `replan` has to follow, once for as many keys as change together.
        """
        if want == self._entries.get(key):
            return False
        if want is None:
            del self._entries[key]
        else:
            self._entries[key] = want
        # Asked for in another way it may be accepted, or refused.
        self.rejected.pop(key, None)
        if self.isolation is not None:
            self.isolation = self.isolation.doubted(key)
        self._is_planned = False
        return True

    def replan(self) -> bool:
        """Work out what is wanted now; True when that is something else than before."""
        if not self._is_planned:
            self.plan = plan_wants(self._entries.values())
            self._refusals = {key: times for key, times in self._refusals.items() if key in self._entries}
            self._is_planned = True
        allowed = self._allowed()
        if self.isolation is not None:
            self.isolation = self.isolation.adjusted(allowed.keys if allowed is not None else frozenset())
            if self.isolation.is_over:
                self.isolation = None
        wanted = allowed if allowed is None or self.isolation is None else self.isolation.attempt(allowed)
        if wanted == self.wanted:
            return False
        self.wanted = wanted
        self.version += 1
        return True

    def _allowed(self) -> Plan | None:
        return self.plan.without(self.rejected.keys()) if self.plan is not None and self.rejected else self.plan

    # -- the wire -----------------------------------------------------------------------------------------------------

    def mark_sent(self, epoch: int, plan: Plan, now: float) -> None:
        """The request for `plan` was handed to the socket of connection `epoch`."""
        if self._epoch != epoch:
            self.disconnected()
            self._epoch = epoch
        self.sent = plan
        self._sent_at = now
        self._asked_at = {key: self._asked_at.get(key, now) for key in plan.keys}
        self.confirmed &= plan.keys

    def confirm(self, epoch: int, keys: Iterable[StreamKey]) -> bool:
        """These keys delivered on connection `epoch`. True when that changes what is wanted."""
        if self._epoch != epoch:
            return False
        delivered = {key if key in self._asked_at else _of_all(key) for key in keys} & self._asked_at.keys()
        self.confirmed |= delivered
        if delivered:
            self._excused = None
        attempt, sent = self._attempt, self.sent
        if attempt is None or sent is None:
            return False
        # A request is accepted or refused as a whole: one suspect that delivers acquits all that were asked for. Only
        # snapshots come soon enough to tell; for the others `settle` waits until an error frame would have come.
        witnesses = attempt.suspects[-1] & delivered
        return any(want.snapshot for want in sent if want.key in witnesses) and self._accept(attempt)

    def confirm_listed(self, epoch: int, keys: Collection[StreamKey]) -> None:
        """The exchange said that these are subscribed on connection `epoch`.

        That confirms streams that have no snapshot, which may be silent for long. The others are confirmed by data
        alone: a list names misspelt codes as well.
        """
        if self._epoch != epoch:
            return
        self.confirmed |= {want.key for want in self.sent or () if not want.snapshot and want.key in keys}

    def disconnected(self) -> None:
        """The connection is gone, and with it everything sent and confirmed."""
        self.sent = None
        self.questions.disconnected()
        self.confirmed = set()
        self._epoch = None
        self._asked_at = {}

    def silent(self, now: float, after: float) -> Iterator[StreamKey]:
        """Streams that should have sent a snapshot and did not within `after` seconds."""
        for want in self.sent or ():
            if want.snapshot and want.key not in self.confirmed and now - self._asked_at[want.key] >= after:
                yield want.key

    # -- refusals -----------------------------------------------------------------------------------------------------

    def reject(self, name: str, message: str, now: float) -> frozenset[StreamKey]:
        """An error frame answered the last request: the streams found guilty by that. Follow with what is wanted.

        Where a question was under way, that may be what was refused. So the request is sent once more, without it.
        """
        allowed = self._allowed()
        if not is_blameable(name) or self.sent is None or allowed is None or self.sent != self.wanted:
            return frozenset()  # also when what was refused is not wanted any more
        if self.questions.refused() and self.sent != self._excused:
            self._excused = self.sent
            return frozenset()
        search = Isolation.of_rejected(allowed) if self.isolation is None else self.isolation.rejected(allowed)
        guilty = search.blamed - self.rejected.keys()
        self.isolation = search
        for key in guilty:
            times = self._refusals.pop(key, 0) + 1
            until = now + min(PAROLE * 2.0 ** min(times - 1, 16), MAX_PAROLE)
            self.rejected[key] = Rejection(RequestRejectedError(name, message), until, times)
        self.replan()
        return guilty

    @property
    def settles_at(self) -> float | None:
        """When the attempt under way counts as accepted unless an error frame comes; None while there is none."""
        return None if self._attempt is None else self._sent_at + ACCEPTED_AFTER

    def settle(self, now: float) -> bool:
        """Accept the attempt under way when its time has come. True when that changes what is wanted."""
        attempt = self._attempt
        return attempt is not None and now >= self._sent_at + ACCEPTED_AFTER and self._accept(attempt)

    def parole(self, now: float) -> bool:
        """Let refused streams be tried again whose time has come, apart from the good ones. True when any are."""
        due = [key for key, rejection in self.rejected.items() if rejection.until <= now]
        for key in due:
            self._refusals[key] = self.rejected.pop(key).times
        if not due:
            return False
        if self.isolation is None:
            good = self.wanted.keys if self.wanted is not None else frozenset()
            self.isolation = Isolation(good=good, suspects=(frozenset(due),))
        return self.replan()

    @property
    def _attempt(self) -> Isolation | None:
        """The search for a guilty part, while its present question is on the wire."""
        return self.isolation if self.sent is not None and self.sent == self.wanted else None

    def _accept(self, attempt: Isolation) -> bool:
        self.isolation = attempt.accepted()
        return self.replan()


def _of_all(key: StreamKey) -> StreamKey:
    """What a stream of one market is part of, where somebody asked for all markets by naming none (myOrder)."""
    return key._replace(symbol="")
