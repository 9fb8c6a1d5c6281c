"""Asking the exchange whether a request has taken effect, where data does not tell.

Private and info streams send no snapshot and acknowledge nothing (Upbit: websocket-guide page); the answer to
`LIST_SUBSCRIPTIONS`, sent behind a request on the same connection, proves that the request was processed. Where no
answer comes within some seconds the request counts as processed all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from upbit_ws.protocol.rate_limit import RateGroup
from upbit_ws.protocol.subscription_list import SubscriptionList
from upbit_ws.protocol.subscription_plan import Plan
from upbit_ws.runtime.connection_parts import ConnectionParts
from upbit_ws.runtime.listing import put_question

__all__ = ["Confirmation"]

logger = logging.getLogger("upbit_ws")

_NEVER: Final = float("inf")
#: Seconds without an answer after which the request is taken to be in effect.
_PATIENCE: Final = 3.0


class Confirmation:
    """The question about the last request of one connection. Belongs to its I/O thread.

    Args:
        budget: The messages of this connection, of which each question is one.
        send: Sends a message.
    """

    def __init__(self, parts: ConnectionParts, epoch: int, budget: RateGroup, send: Callable[[bytes], None]) -> None:
        self._parts = parts
        self._epoch = epoch
        self._budget = budget
        self._send = send
        self._plan: Plan | None = None
        self._ticket = ""
        self._ask_at = _NEVER
        self._give_up_at = _NEVER

    @property
    def due(self) -> float:
        """When to call `tick` at the latest."""
        return min(self._ask_at, self._give_up_at)

    def requested(self, plan: Plan, now: float) -> None:
        """A request was sent."""
        if plan.endpoint.needs_auth:
            self._plan = plan
            self._ask_at, self._give_up_at = now, _NEVER

    def tick(self, now: float) -> None:
        """Ask, or stop waiting, if it is time to."""
        if now >= self._ask_at:
            wait, ticket = put_question(self._parts, self._budget, self._send, now)
            if wait > 0:
                self._ask_at = now + wait
                return
            self._ask_at, self._give_up_at, self._ticket = _NEVER, now + _PATIENCE, ticket
        elif now >= self._give_up_at:
            logger.debug("- %s did not answer LIST_SUBSCRIPTIONS", self._parts.endpoint)
            self._confirm()

    def answered(self, listed: SubscriptionList) -> None:
        """An answer to `LIST_SUBSCRIPTIONS` came; to this question or to another one."""
        if listed.ticket == self._ticket and self._give_up_at != _NEVER:
            self._confirm()

    def _confirm(self) -> None:
        self._give_up_at = _NEVER
        if self._plan is not None:
            self._parts.pool.establish(self._plan.wants, self._epoch)
            self._parts.confirmed(self._parts.endpoint, self._epoch, self._plan.keys)
            self._parts.pool.wake_all()
