"""What does the exchange say is subscribed? Who waits for the answer, and what is to be asked. Plain state, no lock.

Questions have numbers, and the newest stands for all before it. One that is lost with its connection is put to the next
one, once: it may be what ended both.
"""

from __future__ import annotations

from upbit_ws.protocol.subscription_list import SubscriptionList

__all__ = ["ListingQuestions"]


class ListingQuestions:
    """The questions of one endpoint, whatever connection they are put to."""

    def __init__(self) -> None:
        self._waiting: dict[int, int] = {}  # of each question, the version of what was wanted when it was asked
        self._last = 0
        self._sent = 0  # on the present connection
        self._lost = 0  # with a connection
        self._spent = 0  # not to be put again
        self._answer: tuple[int, SubscriptionList] | None = None

    def ask(self, version: int) -> int:
        """Somebody wants to know, with this version of what is wanted. Returns the number; see `forget`."""
        self._last += 1
        self._waiting[self._last] = version
        return self._last

    def forget(self, number: int) -> None:
        """Nobody waits for the answer to this question."""
        self._waiting.pop(number, None)

    @property
    def due(self) -> tuple[int, int] | None:
        """Number and version of the question that is to be put; None without one."""
        number = max(self._waiting, default=0)
        return (number, self._waiting[number]) if number > max(self._sent, self._spent) else None

    def mark_sent(self, number: int) -> None:
        """The question was handed to the socket."""
        self._sent = number

    def answered(self, number: int, listed: SubscriptionList) -> None:
        """This is the answer to the question of that number."""
        self._spent = max(self._spent, number)
        if self._answer is None or number >= self._answer[0]:
            self._answer = (number, listed)

    def answer(self, number: int) -> SubscriptionList | None:
        """The answer to the question of that number, or to a later one; None before it came."""
        answer = self._answer  # once: others may read without a lock
        return answer[1] if answer is not None and answer[0] >= number else None

    def refused(self) -> bool:
        """The exchange refused something: whether it may be the question. Then that is not put again."""
        is_under_way = self._sent > self._spent
        self._spent = max(self._spent, self._sent)
        return is_under_way

    def disconnected(self) -> None:
        """The connection is gone."""
        number, self._sent = self._sent, 0
        self._spent = max(self._spent, min(number, self._lost))
        self._lost = max(self._lost, number)
