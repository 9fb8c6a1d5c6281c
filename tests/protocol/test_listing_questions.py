"""Who waits for the list of subscriptions, and what is to be asked."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from upbit_ws.protocol.listing_questions import ListingQuestions
from upbit_ws.protocol.subscription_list import SubscriptionList

LISTED = SubscriptionList("t", frozenset())


def test_the_newest_question_stands_for_all_before_it() -> None:
    questions = ListingQuestions()
    first, second = questions.ask(1), questions.ask(2)
    assert questions.due == (second, 2)
    questions.mark_sent(second)
    assert questions.due is None
    questions.answered(second, LISTED)

    assert questions.answer(first) is questions.answer(second) is LISTED
    assert questions.answer(questions.ask(2)) is None


def test_a_question_that_is_lost_is_put_once_more() -> None:
    questions = ListingQuestions()
    number = questions.ask(1)
    for _ in range(2):
        assert questions.due == (number, 1)
        questions.mark_sent(number)
        questions.disconnected()
        questions.disconnected()  # an attempt that came to nothing
    assert questions.due is None

    another = questions.ask(1)
    assert questions.due == (another, 1)


def test_a_question_is_lost_with_the_newer_one_that_stood_for_it() -> None:
    questions = ListingQuestions()
    questions.ask(1)
    for _ in range(2):
        newer = questions.ask(1)
        questions.mark_sent(newer)
        questions.disconnected()
        questions.forget(newer)

    assert questions.due is None


def test_a_question_that_was_answered_is_not_put_again() -> None:
    """Also where the connection is lost before whoever asked has looked."""
    questions = ListingQuestions()
    number = questions.ask(1)
    questions.mark_sent(number)
    questions.answered(number, LISTED)
    questions.disconnected()

    assert questions.due is None


def test_a_question_that_may_be_what_was_refused_is_not_put_again() -> None:
    questions = ListingQuestions()
    assert not questions.refused()
    questions.mark_sent(questions.ask(1))
    assert questions.refused()
    questions.disconnected()

    assert questions.due is None
    questions.ask(1)
    assert questions.due is not None
    assert not questions.refused()


def test_an_older_answer_does_not_take_the_place_of_a_newer_one() -> None:
    questions = ListingQuestions()
    earlier, later = questions.ask(1), questions.ask(1)
    newer = SubscriptionList("newer", frozenset())
    questions.answered(later, newer)
    questions.answered(earlier, LISTED)

    assert questions.answer(earlier) is newer


class Questions(RuleBasedStateMachine):
    """Whatever happens in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = ListingQuestions()
        self.waiting: set[int] = set()
        self.losses: dict[int, int] = {}
        self.answered = self.refused = 0
        self.sent: int | None = None

    @rule()
    def ask(self) -> None:
        self.waiting.add(self.questions.ask(1))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        self.waiting.discard(number)
        self.questions.forget(number)

    @rule()
    def put(self) -> None:
        due = self.questions.due
        for number in self.waiting:
            is_over = number <= max(self.answered, self.refused, self.sent or 0) or self.losses.get(number, 0) > 1
            assert is_over or (due is not None and due[0] >= number), "a question that is due is put"
        if due is None:
            return
        number, _ = due
        assert number in self.waiting
        assert number > max(self.answered, self.refused, self.sent or 0)
        assert self.losses.get(number, 0) < 2
        self.questions.mark_sent(number)
        self.sent = number

    @precondition(lambda self: self.sent)
    @rule()
    def answer(self) -> None:
        assert self.sent is not None
        self.questions.answered(self.sent, SubscriptionList(str(self.sent), frozenset()))
        self.answered = max(self.answered, self.sent)
        listed = self.questions.answer(self.sent)
        assert listed is not None
        assert int(listed.ticket) >= self.sent

    @precondition(lambda self: self.sent)
    @rule()
    def refuse(self) -> None:
        assert self.sent is not None
        assert self.questions.refused() == (self.sent > max(self.answered, self.refused))
        self.refused = max(self.refused, self.sent)

    @rule()
    def disconnect(self) -> None:
        for number in range(1, (self.sent or 0) + 1):
            self.losses[number] = self.losses.get(number, 0) + 1
        self.sent = None
        self.questions.disconnected()


TestQuestions = Questions.TestCase
TestQuestions.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
