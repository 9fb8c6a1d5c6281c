"""Asking the exchange what it has as subscribed, for whoever wants to know.

An answer counts for everybody who asked before its question was sent. The exchange repeats the ticket of the question
in it (Upbit: list-subscriptions page), and that tells which one it answers.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable
from typing import Final

from upbit_ws.protocol.rate_limit import RateGroup
from upbit_ws.protocol.subscription_list import SubscriptionList, list_subscriptions_request
from upbit_ws.runtime.connection_parts import ConnectionParts

__all__ = ["Listing", "put_question"]

_NEVER: Final = float("inf")
#: Questions whose answers are waited for, as many as may be sent in a minute. An answer tells all who asked before.
_UNANSWERED: Final = 100


def put_question(
    parts: ConnectionParts, budget: RateGroup, send: Callable[[bytes], None], now: float
) -> tuple[float, str]:
    """Send `LIST_SUBSCRIPTIONS` if a message is free: 0.0 and its ticket; or the seconds until one is."""
    wait = budget.reserve(now)
    if wait > 0:
        return wait, ""
    ticket = str(uuid.uuid4())
    # In the format in use: another one would change that of the running streams.
    send(list_subscriptions_request(ticket, parts.config.connection.wire_format))
    parts.meter.request()
    return 0.0, ticket


class Listing:
    """The questions of one connection. Belongs to its I/O thread.

    Args:
        budget: The messages of this connection, of which each question is one.
        send: Sends a message.
    """

    def __init__(self, parts: ConnectionParts, budget: RateGroup, send: Callable[[bytes], None]) -> None:
        self._parts = parts
        self._budget = budget
        self._send = send
        self._asked: deque[tuple[str, int]] = deque(maxlen=_UNANSWERED)
        #: When to call `tick` at the latest.
        self.due = _NEVER

    def tick(self, now: float, version: int, send_at: float) -> None:
        """Ask, if somebody wants to know and it is time to.

        Args:
            version: The version of what is wanted that the last request brought.
            send_at: When the next request is to be sent, if one is.
        """
        self.due = _NEVER
        endpoint = self._parts.endpoint
        question = self._parts.subscriptions.listing_due(endpoint)
        if question is None:
            return
        number, asked_of = question
        if version < asked_of:
            # Whoever asks wants to see the changes made before. Where these were not noticed yet, look again at once.
            self.due = now if send_at == _NEVER else send_at
            return
        wait, ticket = put_question(self._parts, self._budget, self._send, now)
        if wait > 0:
            self.due = now + wait
            return
        self._asked.append((ticket, number))
        self._parts.subscriptions.mark_listing_sent(endpoint, number)

    def answered(self, listed: SubscriptionList) -> None:
        """An answer to `LIST_SUBSCRIPTIONS` came; to one of these questions or to another one."""
        for ticket, number in self._asked:
            if ticket == listed.ticket:
                self._parts.subscriptions.answer_listing(self._parts.endpoint, number, listed)
