"""What is wanted of one endpoint, asked for on one connection: requests out, and what became of them.

The exchange takes a few messages a second (Upbit: rate-limits page), and a request replaces the whole one before it
(Upbit: websocket-best-practice page). So what is wanted is sent as a whole, once for several changes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

from upbit_ws.lifecycle import SilentCodes, Subscribed
from upbit_ws.protocol.rate_limit import RateGroup
from upbit_ws.protocol.subscription_list import SubscriptionList
from upbit_ws.protocol.subscription_plan import Plan
from upbit_ws.runtime.confirmation import Confirmation
from upbit_ws.runtime.connection_parts import ConnectionParts
from upbit_ws.runtime.endings import Retired
from upbit_ws.runtime.listing import Listing
from upbit_ws.types import StreamKey

__all__ = ["Subscribing"]

#: Several changes of what is wanted usually come together; this many seconds make them one request.
_GATHER: Final = 0.01
#: How often (seconds) to look which streams of a new request have delivered.
_CONFIRM_STEP: Final = 0.25
_NEVER: Final = float("inf")


class Subscribing:
    """The requests of one connection. Belongs to its I/O thread.

    Args:
        send: Sends a message.
        on_sent: Called with each request that was sent, and the time.
    """

    def __init__(
        self,
        parts: ConnectionParts,
        epoch: int,
        send: Callable[[bytes], None],
        on_sent: Callable[[Plan, float], None],
    ) -> None:
        self._parts = parts
        self._epoch = epoch
        self._send_message = send
        self._on_sent = on_sent
        limits = parts.config.rate_limit
        self._budget = RateGroup.of([(limits.messages_per_second, 1.0), (limits.messages_per_minute, 60.0)])
        self.confirmation = Confirmation(parts, epoch, self._budget, send)
        self.listing = Listing(parts, self._budget, send)
        self._sent: Plan | None = None
        #: Of what is wanted, the version that the last request brought.
        self._acted_version = -1
        self._is_resend_due = False
        self._send_at = self._confirm_at = self._report_silent_at = _NEVER

    @property
    def due(self) -> float:
        """When to call `tick` at the latest."""
        return min(self._send_at, self.listing.due, self.confirmation.due, self._confirm_at, self._report_silent_at)

    def resend(self) -> None:
        """Have the next `tick` send the last request again: the exchange answers with a snapshot of every stream."""
        self._is_resend_due = True

    def take_listing(self, listed: SubscriptionList) -> None:
        """The exchange said what is subscribed."""
        self.confirmation.answered(listed)
        self.listing.answered(listed)

    def tick(self, now: float) -> None:
        """Do what is due.

        Raises:
            Retired: nothing is wanted any more.
        """
        if now >= self._confirm_at:
            self._confirm(now)
        # In this order: what comes without end would take the turns of what comes behind it. A request has one question
        # of its own, a list waits for the requests that it is to tell of, and a change asked for nothing before it.
        self.confirmation.tick(now)
        self.listing.tick(now, -1 if self._is_resend_due else self._acted_version, self._send_at)
        self._follow_wanted(now)
        if now >= self._report_silent_at:
            self._report_silent(now)

    def _follow_wanted(self, now: float) -> None:
        """Send the wanted set when it differs from what was sent, as often as the exchange allows."""
        subscriptions, endpoint = self._parts.subscriptions, self._parts.endpoint
        if subscriptions.version(endpoint) != self._acted_version and self._send_at == _NEVER:
            self._send_at = now if self._sent is None else now + _GATHER
        if self._is_resend_due and self._send_at == _NEVER:
            self._send_at = now
        if now < self._send_at:
            return
        # Read before the plan: a change in between is then seen as a change in the next round.
        version = subscriptions.version(endpoint)
        plan = subscriptions.wanted(endpoint)
        if plan is None:
            raise Retired("nothing is wanted")
        self._send_at = _NEVER
        if plan != self._sent or self._is_resend_due:
            wait = self._budget.reserve(now)
            if wait > 0:
                self._send_at = now + wait
                return
            self._send(plan, now)
        self._acted_version = version
        asked = subscriptions.asked(endpoint)
        self._parts.pool.forget_except(endpoint, plan.keys if asked is None else asked.keys, version)

    def _send(self, plan: Plan, now: float) -> None:
        parts = self._parts
        self._send_message(plan.request(str(uuid.uuid4()), parts.config.connection.wire_format))
        parts.meter.request()
        self._sent = plan
        self._is_resend_due = False
        self._confirm_at = now + _CONFIRM_STEP
        self._report_silent_at = now + parts.config.connection.snapshot_timeout
        parts.subscriptions.mark_sent(parts.endpoint, self._epoch, plan)
        self.confirmation.requested(plan, now)
        self.confirmation.tick(now)
        self._on_sent(plan, now)
        parts.publish(Subscribed(parts.endpoint, now, self._epoch, len(plan.keys)))

    def _confirm(self, now: float) -> None:
        """Tell the subscriptions which streams have delivered, and go on with a search for a refused one."""
        parts = self._parts
        silent = self._silent_keys()
        keys = self._sent.keys if self._sent is not None else ()
        delivered = [key for key in keys if parts.pool.has_delivered(key, self._epoch)]
        parts.subscriptions.confirm(parts.endpoint, self._epoch, delivered)
        parts.subscriptions.settle(parts.endpoint)
        is_over = not silent and not parts.subscriptions.is_isolating(parts.endpoint)
        self._confirm_at = _NEVER if is_over else now + _CONFIRM_STEP

    def _report_silent(self, now: float) -> None:
        self._report_silent_at = _NEVER
        silent = self._silent_keys()
        if silent:
            self._parts.publish(SilentCodes(self._parts.endpoint, now, silent))

    def has_caught_up(self) -> bool:
        """Whether every stream of the last request that has a value at all has delivered in this epoch."""
        if self._sent is None:
            return False
        return not any(self._parts.pool.has_delivered(key, 0) for key in self._silent_keys())

    def _silent_keys(self) -> tuple[StreamKey, ...]:
        """Streams of the last request that have a snapshot and have not delivered it in this epoch."""
        if self._sent is None:
            return ()
        pool = self._parts.pool
        return tuple(want.key for want in self._sent if want.snapshot and not pool.has_delivered(want.key, self._epoch))
