"""Live events and REST answers in every odd order, one step at a time: each order's events come in the order of its life.

The reconciler runs on the test's thread, with a clock that is set by hand and REST answers that a test writes.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import orjson
import pytest

from tests.account_deliveries import named
from tests.account_events import fill_row, order_event, order_row
from upbit_ws.config import RecoveryConfig
from upbit_ws.events import MyOrderEvent
from upbit_ws.exceptions import AuthenticationError, RestError
from upbit_ws.lifecycle import (
    AuthenticationFailed,
    Connected,
    ConnectionEvent,
    Disconnected,
    GapRecovered,
    GapReported,
)
from upbit_ws.models import convert_event_to_dict
from upbit_ws.protocol.account_rows import OrderRow
from upbit_ws.protocol.account_turns import order_of
from upbit_ws.protocol.gap_filling import GapState
from upbit_ws.protocol.slots import Delivery
from upbit_ws.protocol.subscription_plan import Plan
from upbit_ws.runtime.account_queries import AccountQueries
from upbit_ws.runtime.account_reconciler import AccountReconciler
from upbit_ws.runtime.recovery import RecoveryParts
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.gap_ledger import GapLedger
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter
from upbit_ws.types import DataType, Endpoint, StreamKey, Want

KEY = StreamKey(DataType.MY_ORDER, "")
#: A second before the orders of `order_row` were made.
BEGAN = 1_795_391_999.0
HOLD = 5.0
PLAN = Plan((Want(KEY),))


class Exchange:
    """What REST answers."""

    def __init__(self) -> None:
        self.open: list[dict[str, Any]] = []
        self.closed: list[dict[str, Any]] = []
        self.single: dict[str, dict[str, Any]] = {}
        self.accounts: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.on_call: Callable[[str], None] = lambda path: None

    def signed_get(self, path: str, query: Any = (), **_: Any) -> Any:
        facts = dict(query)
        self.asked.append(str(facts.get("uuid", path)))
        lists = {"/v1/orders/open": self.open, "/v1/orders/closed": self.closed, "/v1/accounts": self.accounts}
        answer = lists.get(path)
        if answer is None:
            answer = self.single.get(facts.get("uuid"))
        answer = orjson.loads(orjson.dumps(answer))
        self.on_call(path)
        if answer is None:
            raise RestError(404, "order_not_found", "")
        return answer


class Desk:
    """The account of somebody who follows all orders with a callback."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("upbit_ws.runtime.account_reconciler.spawn", lambda *args, **kinds: None)
        self.now = 0.0
        self.plan = PLAN
        self.exchange = Exchange()
        self.gone: list[Delivery] = []
        self.published: list[ConnectionEvent] = []
        self.pool = DataPoolManager()
        limiter = UpbitRateLimiter()
        self.ledger = GapLedger()
        self.reconciler = AccountReconciler(
            RecoveryParts(
                config=RecoveryConfig(hold=HOLD),
                clock=lambda: self.now,
                wall=lambda: BEGAN + self.now,
                pool=self.pool,
                ledger=self.ledger,
                rest=lambda budget: None,  # type: ignore[arg-type,return-value]
                budget=RestBudget(limiter, lambda: self.now, lambda: BEGAN, 1.0),
                publish=self.published.append,
                deliver=self.gone.extend,
            ),
            lambda: self.plan,
        )
        self.pool.gate = self.reconciler
        self.queries = AccountQueries(self.exchange, self.reconciler._hold.flush, self.reconciler._set_aside)  # type: ignore[arg-type]
        self.pool.admit(Endpoint.PRIVATE, [KEY], 1)
        self.pool.watch(KEY, +1)
        self.reconciler.cover(PLAN, 1)
        self.epoch = 0

    # -- what happens to the connection -------------------------------------------------------------------------------

    def connect(self) -> None:
        if self.epoch:
            self.pool.close_epoch(self.epoch, self.now)
            self.reconciler.on_event(Disconnected(Endpoint.PRIVATE, self.now, self.epoch, "cut", None))
        self.epoch = self.pool.open_epoch(Endpoint.PRIVATE, self.now)
        self.reconciler.on_event(Connected(Endpoint.PRIVATE, self.now, self.epoch))

    def confirm(self) -> None:
        self.reconciler.confirm(Endpoint.PRIVATE, self.epoch, [KEY])

    def work(self) -> None:
        """What the account's thread does now."""
        for _ in range(5):
            if not self.reconciler._round(self.queries):
                return

    def base(self) -> None:
        """Connected, and nothing happened yet."""
        self.connect()
        self.confirm()
        self.work()
        self.exchange.asked.clear()

    # -- events -------------------------------------------------------------------------------------------------------

    def live(self, *events: tuple[str, int]) -> None:
        """Events of order o1 in one batch: state, and how many fills it counts."""
        batch = [self._payload(state, count) for state, count in events]
        filed = self.pool.ingest(Endpoint.PRIVATE, self.epoch, batch, self.now)
        assert filed.deliveries == []
        assert filed.unusable == 0

    def _payload(self, state: str, count: int) -> bytes:
        executed = Decimal(count)
        facts: dict[str, Any] = {"trades_count": count, "executed_volume": executed, "remaining_volume": 10 - executed}
        if state == "trade":
            facts |= {"trade": f"t{count}", "volume": Decimal(1)}
        event = attrs.evolve(order_event(state, **facts), order_timestamp=int(BEGAN * 1000) + 1000)
        message = convert_event_to_dict(event)
        return orjson.dumps({name: float(one) if isinstance(one, Decimal) else one for name, one in message.items()})

    def lists(self, *numbers: int, state: str = "wait") -> None:
        """REST knows these fills of order o1 from now on."""
        row = order_row(state, trades=[fill_row(f"t{number}", "1", second=number) for number in numbers])
        self.exchange.single["o1"] = row
        listed = {name: value for name, value in row.items() if name != "trades"}
        self.exchange.open, self.exchange.closed = ([listed], []) if state == "wait" else ([], [listed])

    @property
    def told(self) -> list[str]:
        """`"trade 2 RECOVERED"`."""
        kinds = [event.stream_type for event in map(order_of, self.gone) if event is not None]
        return [f"{name[3:]} {kind}" for name, kind in zip(named(self.gone), kinds, strict=True)]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def test_a_list_that_is_behind_the_stream_does_not_hide_that_a_fill_was_missed(desk: Desk) -> None:
    """The order counts one fill in the list, and one is known: but that is the second one, which came live since."""
    desk.base()
    desk.live(("wait", 0))
    desk.connect()
    desk.lists(1)
    desk.confirm()
    desk.exchange.on_call = lambda path: desk.live(("trade", 2)) if path == "/v1/orders/closed" else desk.lists(1, 2)
    desk.work()

    assert desk.told == ["wait 0 REALTIME", "trade 1 RECOVERED", "trade 2 REALTIME"]


def test_a_fill_that_comes_live_behind_one_that_was_missed_waits_for_it(desk: Desk) -> None:
    desk.base()
    desk.live(("wait", 0), ("trade", 2))
    desk.live(("done", 2))
    assert desk.told == ["wait 0 REALTIME"]

    desk.lists(1, 2, state="done")
    desk.work()
    assert desk.told == ["wait 0 REALTIME", "trade 1 RECOVERED", "trade 2 REALTIME", "done 2 REALTIME"]
    assert desk.reconciler.overdue == 0


def test_pulls_see_it_at_once_all_the_same(desk: Desk) -> None:
    desk.base()
    desk.live(("wait", 0), ("trade", 2))

    assert desk.pool.account.orders()["o1"].trades_count == 2


def test_a_fill_that_comes_live_while_another_one_is_looked_up_waits_its_turn(desk: Desk) -> None:
    desk.base()
    desk.live(("wait", 0))
    desk.live(("trade", 2))
    desk.lists(1, 2)
    desk.exchange.on_call = lambda path: desk.live(("trade", 3))
    desk.work()

    assert desk.told == ["wait 0 REALTIME", "trade 1 RECOVERED", "trade 2 REALTIME", "trade 3 REALTIME"]


def test_a_fill_that_was_only_late_needs_no_rest(desk: Desk) -> None:
    desk.base()
    desk.live(("wait", 0), ("trade", 2))
    desk.live(("trade", 1))
    desk.work()

    assert desk.told == ["wait 0 REALTIME", "trade 1 REALTIME", "trade 2 REALTIME"]
    assert desk.exchange.asked == []


def test_rest_that_lists_the_fill_only_later_is_asked_again(desk: Desk) -> None:
    desk.base()
    desk.live(("wait", 0), ("trade", 2))
    desk.lists(2)
    desk.work()
    assert desk.told == ["wait 0 REALTIME"]
    assert desk.reconciler._patience() == pytest.approx(0.25)

    desk.now = 0.25
    desk.lists(1, 2)
    desk.work()
    assert desk.told == ["wait 0 REALTIME", "trade 1 RECOVERED", "trade 2 REALTIME"]
    assert desk.exchange.asked == ["o1", "o1"]
    assert desk.reconciler._patience() is None


@pytest.mark.parametrize("is_known", [True, False])
def test_a_fill_that_the_exchange_does_not_list_is_reported_and_nothing_waits_for_it_any_more(
    desk: Desk, is_known: bool
) -> None:
    desk.base()
    if is_known:
        desk.lists(2)
    desk.live(("wait", 0), ("trade", 2))
    for desk.now in (0.0, 0.25, 1.25):
        assert desk.told == ["wait 0 REALTIME"]
        desk.work()

    assert desk.told == ["wait 0 REALTIME", "trade 2 REALTIME"]
    assert desk.exchange.asked == ["o1"] * 3, "and not again and again"
    desk.live(("trade", 3))
    assert desk.told[-1] == "trade 3 REALTIME"
    [gap] = desk.ledger.gaps()
    assert (gap.state, gap.key) == (GapState.REPORTED, KEY)
    assert gap.start < gap.end
    assert "order o1 counts a fill" in gap.reason
    assert [event.reason for event in desk.published if isinstance(event, GapReported)] == [gap.reason]


def test_an_order_that_cannot_be_read_does_not_stop_the_others(desk: Desk) -> None:
    desk.base()
    desk.live(("wait", 0), ("trade", 2))
    desk.exchange.single["o1"] = {"uuid": "o1"}
    for desk.now in (0.0, 0.25, 1.25):
        desk.work()

    assert desk.told == ["wait 0 REALTIME", "trade 2 REALTIME"]
    assert desk.reconciler.last_error is None
    assert len(desk.ledger.gaps()) == 1


def test_failures_on_one_connection_do_not_slow_down_the_next_one(desk: Desk) -> None:
    answer, desk.exchange.signed_get = desk.exchange.signed_get, _fails  # type: ignore[method-assign]
    for _ in range(3):
        desk.connect()
        desk.confirm()
        desk.work()
        assert desk.reconciler._patience() == pytest.approx(0.5)

    desk.exchange.signed_get = answer  # type: ignore[method-assign]
    desk.now = 0.5
    desk.work()
    assert not desk.reconciler._hold.is_whole


def test_a_refusal_of_the_keys_is_one_object_until_it_is_another_one_or_over(desk: Desk) -> None:
    answer, refused = desk.exchange.signed_get, "jwt_verification"

    def refuse(path: str, query: Any = (), **_: Any) -> Any:
        raise AuthenticationError(refused)

    desk.exchange.signed_get = refuse  # type: ignore[method-assign]
    desk.base()
    first = desk.reconciler.refusal
    desk.now += 30.0
    desk.work()
    assert desk.reconciler.refusal is first is not None
    assert len([event for event in desk.published if isinstance(event, AuthenticationFailed)]) == 2

    asked = len(desk.published)
    desk.confirm()
    desk.work()
    assert len(desk.published) == asked, "another wish on the same connection is no reason to ask again"

    refused = "expired_access_key"
    desk.now += 30.0
    desk.work()
    assert desk.reconciler.refusal is not None
    assert desk.reconciler.refusal.name == "expired_access_key"
    desk.exchange.signed_get = answer  # type: ignore[method-assign]
    desk.now += 30.0
    desk.work()
    assert desk.reconciler.refusal is None


def test_where_rest_does_not_answer_the_order_waits_for_the_time_of_the_hold_and_the_late_fill_comes_marked(
    desk: Desk,
) -> None:
    desk.base()
    answer, desk.exchange.signed_get = desk.exchange.signed_get, _fails  # type: ignore[method-assign]
    desk.live(("wait", 0), ("trade", 2))
    desk.work()
    assert desk.told == ["wait 0 REALTIME"]
    desk.now = HOLD
    desk.work()
    assert desk.told == ["wait 0 REALTIME", "trade 2 REALTIME"]
    desk.live(("trade", 3))
    assert desk.told[-1] == "trade 3 REALTIME"

    desk.exchange.signed_get = answer  # type: ignore[method-assign]
    desk.lists(1, 2, 3)
    desk.now = 60.0
    desk.work()
    assert desk.told[-1] == "trade 1 RECOVERED"
    assert desk.reconciler.overdue == 1


def _fails(path: str, query: Any = (), **_: Any) -> Any:
    raise RestError(500, "server_error", "")


def test_the_beginning_of_an_order_that_was_missed_comes_before_its_live_fills(desk: Desk) -> None:
    """The stream begins between the order and its first fill; nothing counts as missing but the order's beginning."""
    desk.base()
    desk.connect()
    desk.live(("trade", 1))
    desk.lists(1)
    desk.confirm()
    desk.work()

    assert desk.told == ["wait 0 RECOVERED", "trade 1 REALTIME"]
    order = desk.pool.account.orders()["o1"]
    assert (order.state, order.order_price, order.order_volume) == ("trade", 100, 10)


def test_it_comes_before_the_live_end_as_well(desk: Desk) -> None:
    desk.base()
    desk.connect()
    desk.live(("trade", 2), ("done", 2))
    desk.lists(1, 2, state="done")
    desk.confirm()
    desk.work()

    assert desk.told == ["wait 0 RECOVERED", "trade 1 RECOVERED", "trade 2 REALTIME", "done 2 REALTIME"]
    assert desk.pool.account.orders()["o1"].state == "done"


def test_where_its_fills_were_told_already_the_beginning_is_not_told_and_its_price_is_taken_from_rest(
    desk: Desk,
) -> None:
    """Nothing tells that it is missing: an exchange might not send it for what is filled at once."""
    desk.base()
    desk.live(("trade", 1))
    assert desk.told == ["trade 1 REALTIME"]
    assert desk.pool.account.orders()["o1"].order_price is None

    desk.lists(1)
    desk.connect()
    desk.confirm()
    desk.work()
    assert desk.told == ["trade 1 REALTIME"]
    assert desk.pool.account.orders()["o1"].order_price == 100


def test_events_of_a_new_connection_wait_although_the_last_comparison_ends_only_now(desk: Desk) -> None:
    """The comparison for the first connection ends when the second one is up already and has told of a fill."""
    desk.connect()
    desk.confirm()

    def cut(path: str) -> None:
        if path == "/v1/orders/closed" and desk.epoch == 1:
            desk.connect()
            desk.live(("trade", 1))

    desk.exchange.on_call = cut
    desk.reconciler._attempt(desk.queries)
    assert desk.told == []

    desk.lists(1)
    desk.confirm()
    desk.work()
    assert desk.told == ["wait 0 RECOVERED", "trade 1 REALTIME"]


def test_a_fill_that_is_missing_before_the_stream_is_confirmed_keeps_nobody_busy(desk: Desk) -> None:
    desk.connect()
    desk.live(("trade", 2))

    assert not desk.reconciler._is_due()
    assert desk.reconciler._patience() == HOLD, "until the hold is over; the confirmation wakes"


def test_events_of_markets_that_come_to_be_followed_wait_for_their_base(desk: Desk) -> None:
    """There is a connection already, for announcements, say; so it is not its beginning that makes events wait."""
    desk.reconciler.cover(None, 2)
    desk.connect()
    desk.reconciler.cover(PLAN, 3)
    desk.live(("trade", 1))
    assert desk.told == []
    desk.lists(1)
    desk.confirm()
    desk.work()

    assert desk.told == ["wait 0 RECOVERED", "trade 1 REALTIME"]


def test_what_filled_an_older_order_before_anybody_was_interested_is_told_to_nobody(desk: Desk) -> None:
    desk.reconciler.cover(None, 2)
    desk.now = 30.0
    desk.reconciler.cover(PLAN, 3)
    desk.connect()
    desk.live(("trade", 3))
    desk.lists(1, 2, 3)
    desk.confirm()
    desk.work()

    assert desk.told == ["trade 3 REALTIME"]
    assert desk.pool.account.orders()["o1"].order_price == 100
    assert not desk.pool.account.incomplete


def test_the_end_of_an_older_order_that_was_missed_before_the_base_is_told_where_its_fills_were(desk: Desk) -> None:
    desk.reconciler.cover(None, 2)
    desk.now = 30.0
    desk.reconciler.cover(PLAN, 3)
    desk.connect()
    desk.live(("trade", 3))
    desk.connect()
    desk.lists(1, 2, 3, state="cancel")
    desk.confirm()
    desk.work()

    assert desk.told == ["trade 3 REALTIME", "cancel 3 RECOVERED"]


def test_a_connection_that_goes_on_because_its_successor_was_lost_is_compared_again(desk: Desk) -> None:
    desk.base()
    first = desk.epoch
    desk.epoch = desk.pool.open_epoch(Endpoint.PRIVATE, desk.now, replaces=first)
    desk.reconciler.on_event(Connected(Endpoint.PRIVATE, desk.now, desk.epoch))
    desk.pool.close_epoch(desk.epoch, desk.now)
    desk.reconciler.on_event(Disconnected(Endpoint.PRIVATE, desk.now, desk.epoch, "lost again", None))
    desk.epoch = first
    desk.live(("wait", 0))
    assert desk.told == []
    desk.lists()
    desk.confirm()
    desk.work()

    assert desk.told == ["wait 0 REALTIME"]
    assert desk.exchange.asked == ["/v1/orders/open", "/v1/orders/closed"]
    assert desk.reconciler.overdue == 0


def test_wishes_that_two_threads_report_in_the_wrong_order_do_not_end_what_is_wanted(desk: Desk) -> None:
    desk.reconciler.cover(PLAN, 3)
    desk.reconciler.cover(None, 2)

    assert [*desk.pool.account.covered] == [""]


def test_what_comes_due_between_two_looks_at_the_clock_is_not_slept_over(desk: Desk) -> None:
    """The clock passes the moment of the next attempt after it was found to lie ahead: nobody would wake the thread."""
    desk.connect()
    desk.confirm()
    desk.reconciler._failed(RestError(500, "server_error", ""))
    desk.now = desk.reconciler._retry_at - 0.001
    assert not desk.reconciler._is_due()
    desk.now += HOLD + 1.0
    desk.reconciler._hold.flush()

    assert desk.reconciler._patience() == 0.0
    desk.work()
    assert desk.reconciler._patience() is None


def test_what_an_attempt_found_before_it_failed_counts_as_recovered(desk: Desk) -> None:
    desk.base()
    desk.live(("wait", 0))
    desk.connect()
    desk.exchange.open = [order_row("wait", "o2")]
    desk.exchange.single["o1"] = order_row("cancel")

    def fail(path: str) -> None:
        if path == "/v1/order":
            raise RestError(500, "server_error", "")

    desk.exchange.on_call = fail
    desk.confirm()
    desk.work()
    desk.exchange.on_call = lambda path: None
    desk.now = desk.reconciler._retry_at
    desk.work()

    recovered = [event for event in map(order_of, desk.gone) if event is not None and event.stream_type == "RECOVERED"]
    assert sorted((event.uuid, event.state) for event in recovered) == [("o1", "cancel"), ("o2", "wait")]
    assert [event.count for event in desk.published if isinstance(event, GapRecovered)] == [2]
    assert [gap.count for gap in desk.ledger.gaps()] == [2]


def test_what_was_booked_before_a_bug_ended_the_attempt_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The book has it now, so no later attempt finds it to be news."""
    desk.base()
    desk.connect()
    desk.exchange.open = [order_row("wait", "o1"), order_row("wait", "o2")]
    account, bugs = desk.pool.account, ["a bug"]
    apply = account.apply

    def fail_once(row: OrderRow, now: int) -> list[MyOrderEvent]:
        if row.uuid == "o2" and bugs:
            raise RuntimeError(bugs.pop())
        return apply(row, now)

    monkeypatch.setattr(account, "apply", fail_once)
    desk.confirm()
    desk.work()
    desk.now = desk.reconciler._retry_at
    desk.work()

    assert [event.uuid for event in map(order_of, desk.gone) if event is not None] == ["o1", "o2"]


def test_a_wish_that_comes_as_the_last_comparison_ends_holds_nothing_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look whether all is known and the hold, the account's thread gets to know all."""
    desk.base()
    desk.reconciler.cover(None, 2)
    begin = desk.reconciler._hold.begin

    def begin_late() -> None:
        desk.work()
        assert desk.pool.account.has_base(("",))
        begin()

    monkeypatch.setattr(desk.reconciler._hold, "begin", begin_late)
    desk.reconciler.cover(PLAN, 3)
    desk.work()
    desk.live(("wait", 0))

    assert desk.told == ["wait 0 REALTIME"]
    assert desk.reconciler._patience() is None


def test_a_wish_that_is_given_up_before_it_is_confirmed_holds_nothing_back_any_more(desk: Desk) -> None:
    desk.base()
    desk.plan = Plan((Want(KEY), Want(StreamKey(DataType.MY_ASSET, ""))))
    desk.reconciler.cover(desk.plan, 2)
    desk.work()
    desk.live(("wait", 0))
    assert desk.told == [], "the balances are not known"

    desk.plan = PLAN
    desk.reconciler.cover(desk.plan, 3)
    desk.work()

    assert desk.told == ["wait 0 REALTIME"]
    assert desk.reconciler.overdue == 0


def test_a_wish_does_not_end_the_hold_of_a_connection_that_is_not_confirmed_yet(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.base()
    desk.reconciler.cover(None, 2)
    begin = desk.reconciler._hold.begin

    def begin_late() -> None:
        monkeypatch.setattr(desk.reconciler._hold, "begin", begin)
        desk.work()  # for the first connection
        desk.connect()
        begin()

    monkeypatch.setattr(desk.reconciler._hold, "begin", begin_late)
    desk.reconciler.cover(PLAN, 3)
    desk.work()
    desk.live(("trade", 1))
    assert desk.told == []

    desk.lists(1)
    desk.confirm()
    desk.work()
    assert desk.told == ["wait 0 RECOVERED", "trade 1 REALTIME"]


def test_a_row_that_cannot_be_read_is_a_gap_and_all_other_orders_are_told(desk: Desk) -> None:
    desk.base()
    desk.connect()
    desk.lists(1)
    desk.exchange.open.insert(0, {"uuid": "broken"})
    desk.confirm()
    desk.work()

    assert desk.told == ["wait 0 RECOVERED", "trade 1 RECOVERED"]
    assert desk.reconciler.last_error is None
    [gap] = desk.ledger.gaps()
    assert (gap.state, gap.reason) == (GapState.REPORTED, "rows that could not be read: 1 of /v1/orders/open")
    assert [event.reason for event in desk.published if isinstance(event, GapReported)] == [gap.reason]
    [rejected] = desk.pool.rejected()
    assert rejected.sample == b'{"uuid":"broken"}'
    assert desk.pool.counters().undecodable == 1

    desk.exchange.open.pop(0)
    desk.connect()
    desk.confirm()
    desk.work()
    assert desk.ledger.gaps()[-1].state is GapState.RECOVERED, "what could not be read once is not held against it"


def test_a_row_that_cannot_be_read_at_the_first_connect_is_a_gap_as_well(desk: Desk) -> None:
    desk.exchange.open = [{"uuid": "broken"}]
    desk.base()

    assert [gap.reason for gap in desk.ledger.gaps()] == ["rows that could not be read: 1 of /v1/orders/open"]
    assert not desk.reconciler._hold.is_whole


def test_an_order_whose_end_cannot_be_read_stays_open_and_is_a_gap(desk: Desk) -> None:
    desk.base()
    desk.live(("wait", 0))
    desk.connect()
    desk.exchange.single["o1"] = {"uuid": "o1"}
    desk.confirm()
    desk.work()

    assert desk.pool.account.open_orders() == {"o1"}
    assert [gap.reason for gap in desk.ledger.gaps()] == ["rows that could not be read: 1 of /v1/order"]


def test_orders_that_the_exchange_does_not_list_are_a_gap_of_their_second(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upbit_ws.runtime.account_queries._CLOSED_PAGE", 1)
    desk.base()
    desk.connect()
    desk.lists(1, state="done")
    listed = desk.exchange.closed
    other = [order_row("done", "o2")]
    answer = desk.exchange.signed_get

    def signed_get(path: str, query: Any = (), **kinds: Any) -> Any:
        is_after = int(dict(query).get("start_time", 0)) > int(BEGAN * 1000) + 1000
        desk.exchange.closed = [] if is_after else other if ("order_by", "desc") in query else listed
        return answer(path, query, **kinds)

    monkeypatch.setattr(desk.exchange, "signed_get", signed_get)
    desk.confirm()
    desk.work()

    assert {"o1", "o2"} <= desk.pool.account.orders().keys()
    [report] = [event for event in desk.published if isinstance(event, GapReported)]
    began = int(BEGAN * 1000) + 1000
    assert (report.start, report.end) == (began, began + 1000)
    assert report.reason == "more orders have ended than the exchange lists"
    assert [gap.state for gap in desk.ledger.gaps()] == [GapState.RECOVERED, GapState.REPORTED]


def test_a_balance_that_cannot_be_read_takes_no_other_one_away(desk: Desk) -> None:
    desk.plan = Plan((Want(KEY), Want(StreamKey(DataType.MY_ASSET, ""))))
    desk.reconciler.cover(desk.plan, 2)
    krw, btc = ({"currency": name, "balance": "5", "locked": "0"} for name in ("KRW", "BTC"))
    desk.exchange.accounts = [krw, btc]
    desk.connect()
    desk.reconciler.confirm(Endpoint.PRIVATE, desk.epoch, desk.plan.keys)
    desk.work()
    desk.exchange.accounts = [{**krw, "balance": "7"}, {"currency": "BTC"}]
    desk.connect()
    desk.reconciler.confirm(Endpoint.PRIVATE, desk.epoch, desk.plan.keys)
    desk.work()

    assert {name: asset.balance for name, asset in desk.pool.account.balances().items()} == {"KRW": 7, "BTC": 5}
    assert [gap.reason for gap in desk.ledger.gaps()] == ["rows that could not be read: 1 of /v1/accounts"]
