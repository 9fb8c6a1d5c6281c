"""Mailboxes: who is woken, what passes the gate of a present value, when a loss is said."""

from __future__ import annotations

from tests.push_rig import trade
from upbit_ws.backpressure import backlog_for
from upbit_ws.protocol.delivery import Delivery, Snapshot, delivery_of
from upbit_ws.shared.mailbox import Mailbox
from upbit_ws.types import DataType, StreamKey

KEY = StreamKey(DataType.TRADE, "KRW-BTC")


def delivery(number: int, received_at: float = 0.0) -> Delivery:
    return delivery_of(KEY, trade("KRW-BTC", number), received_at)


def opened(strategy: str = "drop_oldest", size: int = 4) -> Mailbox:
    mailbox = Mailbox(backlog_for(strategy, size))
    mailbox.open((), 0.0)
    return mailbox


def taken(mailbox: Mailbox) -> list[Delivery]:
    everything = []
    while (one := mailbox.take()) is not None:
        everything.append(one)
    return everything


def test_only_the_first_event_wakes_a_worker() -> None:
    mailbox = opened()

    assert [mailbox.put([delivery(number)], 0.0).wakes for number in range(3)] == [True, False, False]


def test_a_worker_that_pauses_with_something_left_keeps_its_place() -> None:
    mailbox = opened()
    mailbox.put([delivery(0), delivery(1)], 0.0)
    mailbox.take()

    assert mailbox.pause() is True
    assert mailbox.put([delivery(2)], 0.0).wakes is False


def test_what_comes_between_the_last_take_and_the_pause_is_not_forgotten() -> None:
    mailbox = opened()
    mailbox.put([delivery(0)], 0.0)
    taken(mailbox)
    mailbox.put([delivery(1)], 0.0)

    assert mailbox.pause() is True
    taken(mailbox)
    assert mailbox.pause() is False
    assert mailbox.put([delivery(2)], 0.0).wakes is True


def test_nothing_comes_out_before_it_is_opened() -> None:
    mailbox = Mailbox(backlog_for("drop_oldest", 4))
    first = delivery(1)

    assert mailbox.put([first], 0.0).wakes is False
    assert mailbox.counts().received == 0
    assert mailbox.open((), 0.0).wakes is True
    assert taken(mailbox) == [first]


def test_present_values_come_first_and_what_they_contain_does_not_come_again() -> None:
    mailbox = Mailbox(backlog_for("drop_oldest", 10))
    older, same, newer = delivery(1, 1.0), delivery(2, 2.0), delivery(3, 3.0)
    present = Snapshot(KEY, same.payload, 2.0)
    mailbox.put([older, same, newer], 3.0)
    mailbox.open([present], 3.0)

    assert taken(mailbox) == [present, newer]
    assert mailbox.counts().received == 2


def test_what_is_brought_late_is_no_news_either() -> None:
    mailbox = Mailbox(backlog_for("drop_oldest", 10))
    before, same, after = delivery(1, 2.0), delivery(2, 2.0), delivery(3, 2.0)
    mailbox.open([Snapshot(KEY, same.payload, 2.0)], 2.0)
    mailbox.take()
    mailbox.put(
        [before, same, after], 2.0
    )  # one batch: what stands before the present value is older, what follows newer

    assert taken(mailbox) == [after]


def test_a_loss_is_said_once_per_episode() -> None:
    mailbox = opened(size=4)
    said = [mailbox.put([delivery(number)], 0.0).begins_to_lose for number in range(8)]
    assert said == [False] * 4 + [True] + [False] * 3

    mailbox.take()
    assert mailbox.put([delivery(8), delivery(9)], 0.0).begins_to_lose is False  # still the same episode
    taken(mailbox)
    assert mailbox.put([delivery(number) for number in range(10, 15)], 0.0).begins_to_lose is True


def test_what_waits_when_it_is_closed_counts_as_dropped_and_nothing_goes_in_any_more() -> None:
    mailbox = opened()
    mailbox.put([delivery(0), delivery(1)], 0.0)
    mailbox.close()

    assert mailbox.put([delivery(2)], 0.0).wakes is False
    counts = mailbox.counts()
    assert (counts.received, counts.dropped, counts.queued) == (2, 2, 0)
    assert mailbox.take() is None


def test_an_event_in_the_hand_of_a_worker_counts_as_queued() -> None:
    mailbox = opened()
    mailbox.put([delivery(0)], 0.0)
    mailbox.take()
    assert mailbox.counts().queued == 1

    mailbox.delivered += 1
    assert (mailbox.counts().queued, mailbox.counts().delivered) == (0, 1)
