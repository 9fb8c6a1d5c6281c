"""Orders and balances behind one lock: what is covered, the base, and what counts as news after it."""

from __future__ import annotations

import threading
from decimal import Decimal

from tests.account_events import asset_event, balance, fill_row, order_event, order_row
from upbit_ws.protocol.account_rows import OrderRow
from upbit_ws.shared.account_book import ASSETS, AccountBook

#: A moment after the orders of `order_row` were made, and one before.
AFTER, BEFORE = 1_795_392_100_000, 1_795_391_900_000
ALL = frozenset({""})


def states(book: AccountBook, row: dict[str, object]) -> list[str]:
    return [event.state for event in book.apply(OrderRow(row), AFTER)]


def test_the_base_is_taken_over_in_silence() -> None:
    book = AccountBook()
    book.cover(ALL, AFTER)

    assert states(book, order_row("wait", trades=[fill_row("t1", "4")])) == []
    assert book.orders()["o1"].executed_volume == 4
    assert not book.has_base(ALL)
    book.settle(ALL, 1)
    assert book.has_base(ALL)
    assert book.has_base({"KRW-BTC"})
    assert book.reconciled_in == 1


def test_what_happened_since_somebody_was_interested_is_news_also_before_the_base() -> None:
    book = AccountBook()
    book.cover(ALL, BEFORE)

    assert states(book, order_row("done", trades=[fill_row("t1", "10")])) == ["wait", "trade", "done"]


def test_of_an_older_order_only_the_fills_since_then_are_news() -> None:
    book = AccountBook()
    book.cover(ALL, 1_795_392_015_500)

    row = order_row("wait", trades=[fill_row("t1", "4", second=10), fill_row("t2", "2", second=20)])
    assert states(book, row) == ["trade"]
    assert book.orders()["o1"].executed_volume == 6
    assert states(book, row) == []


def test_an_order_that_was_over_before_is_passed_over_for_ever() -> None:
    book = AccountBook()
    book.cover(ALL, AFTER)
    row = OrderRow(order_row("cancel"))

    assert not book.wants_details(row)
    assert book.apply(row, AFTER) == []
    book.settle(ALL, 1)
    assert book.apply(row, AFTER) == []
    assert book.orders() == {}


def test_after_the_base_whatever_rest_knows_and_no_event_told_was_missed() -> None:
    book = AccountBook()
    book.cover(ALL, BEFORE)
    book.settle(ALL, 1)
    book.take(order_event("wait"))

    assert states(book, order_row("done", trades=[fill_row("t1", "10")])) == ["trade", "done"]
    assert states(book, order_row("cancel", "o2")) == ["wait", "cancel"]


def test_a_fill_that_came_live_while_rest_was_asked_is_not_told_twice() -> None:
    book = AccountBook()
    book.cover(ALL, BEFORE)
    book.settle(ALL, 1)
    book.take(order_event("wait"))
    row = OrderRow(order_row("wait", trades=[fill_row("t1", "4")]))
    book.take(order_event("trade", trade="t1", volume=Decimal(4), executed_volume=Decimal(4), trades_count=1))

    assert book.apply(row, AFTER) == []


def test_details_are_asked_for_only_where_fills_are_unknown() -> None:
    book = AccountBook()
    book.cover(ALL, BEFORE)
    listed = {**order_row("wait"), "trades_count": 1, "executed_volume": "4"}

    assert book.wants_details(OrderRow(listed))
    assert not book.wants_details(OrderRow(order_row("wait")))
    assert not book.wants_details(OrderRow(order_row("wait", trades=[fill_row("t1", "4")])))
    book.take(order_event("trade", trade="t1", volume=Decimal(4), executed_volume=Decimal(4), trades_count=1))
    assert not book.wants_details(OrderRow(listed))


def test_markets_that_are_not_covered_are_none_of_its_business() -> None:
    book = AccountBook()
    book.cover({"KRW-ETH"}, BEFORE)

    assert states(book, order_row("wait")) == []
    assert states(book, order_row("wait", "o2", market="KRW-ETH")) == ["wait"]


def test_covering_less_forgets_and_covering_it_again_starts_over() -> None:
    book = AccountBook()
    book.cover(ALL, BEFORE)
    book.settle(ALL, 1)
    states(book, order_row("wait"))
    book.cover({"KRW-ETH"}, AFTER)
    assert book.orders() == {}
    assert book.has_base({"KRW-ETH"}), "all markets had theirs"

    book.cover({"KRW-ETH", "KRW-BTC"}, AFTER)
    assert not book.has_base({"KRW-BTC"})
    assert states(book, order_row("wait")) == []
    assert [*book.orders()] == ["o1"]


def test_balances_are_news_only_after_their_base() -> None:
    book = AccountBook()
    book.cover({ASSETS}, BEFORE)

    assert book.apply_assets([balance("KRW", 5)], book.assets_revision, AFTER) is None
    book.settle({ASSETS}, 1)
    changed = book.apply_assets([balance("KRW", 6)], book.assets_revision, AFTER)
    assert changed is not None
    assert [asset.balance for asset in changed.assets] == [6]
    book.take(asset_event(balance("KRW", 7)))
    assert book.balances()["KRW"].balance == 7
    book.cover(ALL, AFTER)
    assert book.balances() == {}


def test_an_event_that_counts_more_fills_than_are_known_points_at_its_order() -> None:
    book = AccountBook()
    book.cover(ALL, BEFORE)
    book.take(order_event("trade", trade="t2", volume=Decimal(4), executed_volume=Decimal(8), trades_count=2))
    assert book.incomplete == {"o1": 1}

    book.apply(OrderRow(order_row("wait", trades=[fill_row("t1", "4"), fill_row("t2", "4")])), AFTER)
    assert book.incomplete == {}


def test_live_fills_and_rest_from_two_threads_tell_each_fill_once() -> None:
    book = AccountBook()
    book.cover(ALL, BEFORE)
    book.settle(ALL, 1)
    told: list[str | None] = []
    fills = [fill_row(f"t{number}", "0.1", second=number % 60) for number in range(100)]

    def live() -> None:
        for number in range(100):
            facts = {"volume": Decimal("0.1"), "executed_volume": Decimal(number + 1) / 10, "trades_count": number + 1}
            if (news := book.take(order_event("trade", trade=f"t{number}", **facts))) is not None:
                told.append(news.trade_uuid)  # type: ignore[attr-defined]

    def rest() -> None:
        for count in range(0, 101, 5):
            row = OrderRow(order_row("wait", trades=fills[:count]))
            told.extend(event.trade_uuid for event in book.apply(row, AFTER) if event.state == "trade")

    threads = [threading.Thread(target=live), threading.Thread(target=rest)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(str, told)) == sorted(f"t{number}" for number in range(100))
