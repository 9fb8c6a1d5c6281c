"""Asking REST about the account: pages, windows, refusals, and the budget that all calls share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import responses

from tests.account_events import order_row
from tests.canaries import planted
from upbit_ws.config import AuthConfig
from upbit_ws.exceptions import AuthenticationError, ClientClosedError, PayloadError, RateLimitedError, RestError
from upbit_ws.protocol.upbit_authenticator import UpbitAuthenticator
from upbit_ws.runtime.account_queries import AccountQueries
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter
from upbit_ws.wire.rest import RestClient

pytestmark = pytest.mark.usefixtures("no_key_shows")

BASE = "https://api.upbit.com"
ACCESS, SECRET = "access" * 7, "secret" * 7
DAY = 86_400_000


@pytest.fixture
def upbit() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


class Account:
    """Queries with a limiter, a clock that stands still, and tokens that can be told apart."""

    def __init__(self) -> None:
        self.limiter = UpbitRateLimiter()
        self._numbers = iter(range(1_000))
        planted.update((ACCESS, SECRET))
        auth = AuthConfig(access_key=ACCESS, secret_key=SECRET)
        authenticator = UpbitAuthenticator(auth, clock=lambda: 0.0, nonce=lambda: str(next(self._numbers)))
        self.budget = RestBudget(self.limiter, lambda: 0.0, lambda: 0.0, patience=0.0)
        self.rest = RestClient(BASE, limiter=self.budget, authorization=authenticator.rest_authorization)
        self.queries = AccountQueries(self.rest)


@pytest.fixture
def account() -> Iterator[Account]:
    made = Account()
    with made.rest:
        yield made


def queries_of(upbit: responses.RequestsMock) -> list[list[tuple[str, str]]]:
    return [parse_qsl(urlsplit(str(call.request.url)).query) for call in upbit.calls]


def page(*uuids: str) -> list[dict[str, Any]]:
    return [order_row("wait", uuid) for uuid in uuids]


def test_open_orders_of_both_kinds_are_read_to_the_last_page_twice_if_there_are_several(
    upbit: responses.RequestsMock, account: Account
) -> None:
    first = page(*(f"o{number}" for number in range(100)))
    for body in (first, page("o100"), first, page("o100")):
        upbit.add(responses.GET, f"{BASE}/v1/orders/open", json=body)

    assert len(account.queries.open_orders()) == 101
    assert queries_of(upbit)[0] == [
        ("states[]", "wait"), ("states[]", "watch"), ("page", "1"), ("limit", "100"), ("order_by", "asc"),
    ]  # fmt: skip
    assert [dict(query)["page"] for query in queries_of(upbit)] == ["1", "2", "1", "2"]


def test_an_order_that_slipped_between_two_pages_is_found_in_the_second_pass(
    upbit: responses.RequestsMock, account: Account
) -> None:
    names = [f"o{number}" for number in range(102)]
    # While the pages were read o0 ended, so o100 moved to the first page.
    moved = names[1:]
    for body in (names[:100], moved[100:], moved[:100], moved[100:], moved[:100], moved[100:]):
        upbit.add(responses.GET, f"{BASE}/v1/orders/open", json=page(*body))

    assert {row.uuid for row in account.queries.open_orders()} == set(names)


def test_closed_orders_are_asked_for_in_windows_of_less_than_seven_days(
    upbit: responses.RequestsMock, account: Account
) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/orders/closed", json=[order_row("done", "o1")])

    assert len(account.queries.closed_orders(0, 20 * DAY)) == 1
    windows = [(int(dict(query)["start_time"]), int(dict(query)["end_time"])) for query in queries_of(upbit)]
    assert windows[0][0] == 0
    assert windows[-1][1] == 20 * DAY
    assert all(0 < end - start < 7 * DAY for start, end in windows)
    assert [start for start, _ in windows[1:]] == [end for _, end in windows[:-1]]


class ClosedOrders:
    """The closed orders of an exchange that lists `limit` of them at the most, and compares whole seconds only."""

    def __init__(self, upbit: responses.RequestsMock, *orders: tuple[str, str, int]) -> None:
        self._orders = orders
        self.asked: list[str] = []
        upbit.add_callback(responses.GET, f"{BASE}/v1/orders/closed", self._answer)

    def _answer(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        pairs = parse_qsl(urlsplit(str(request.url)).query)
        states, facts = [value for name, value in pairs if name == "states[]"], dict(pairs)
        since, until = int(facts["start_time"]), int(facts["end_time"])
        self.asked.append(f"{','.join(states)} {since} {facts['order_by']}")
        found = [order for order in self._orders if order[1] in states and since // 1000 * 1000 <= order[2] <= until]
        found.sort(key=lambda order: order[2])
        rows = [order_row(state, uuid, created_at=utc(at)) for uuid, state, at in found]
        if facts["order_by"] == "desc":
            rows.reverse()
        return 200, {}, json.dumps(rows[: int(facts["limit"])])


def utc(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat()


def many(state: str, count: int, at: int) -> list[tuple[str, str, int]]:
    return [(f"{state}-{at}-{number}", state, at) for number in range(count)]


def test_a_full_page_of_closed_orders_is_continued_in_the_second_in_which_it_ends(
    upbit: responses.RequestsMock, account: Account
) -> None:
    closed = ClosedOrders(upbit, *many("done", 700, 30_000), *many("cancel", 700, 31_000), ("last", "done", 40_000))

    assert len(account.queries.closed_orders(500, DAY)) == 1_401
    assert closed.asked == ["done,cancel 500 asc", "done,cancel 31000 asc"]
    assert account.queries.unlisted == []


def test_more_than_a_page_of_orders_of_one_second_is_asked_for_by_state_and_from_both_ends(
    upbit: responses.RequestsMock, account: Account
) -> None:
    crowd = [*many("done", 1_900, 30_000), *many("cancel", 900, 30_000)]
    closed = ClosedOrders(upbit, *crowd, ("behind", "done", 31_000), ("last", "cancel", 32_000))

    found = {row.uuid for row in account.queries.closed_orders(30_500, DAY)}

    assert found == {uuid for uuid, *_ in crowd} | {"behind", "last"}
    assert closed.asked[1:] == ["done 30000 asc", "done 30000 desc", "cancel 30000 asc", "done,cancel 31000 asc"]
    assert account.queries.unlisted == []


def test_a_second_of_which_the_exchange_does_not_list_all_orders_is_told(
    upbit: responses.RequestsMock, account: Account
) -> None:
    ClosedOrders(upbit, *many("done", 2_001, 30_000), ("last", "done", 31_000))

    assert len(account.queries.closed_orders(0, DAY)) == 2_001, "and the one behind it is found"
    assert account.queries.unlisted == [(30_000, 31_000)]

    account.queries.begin()
    assert account.queries.unlisted == []


def test_a_full_page_without_a_single_order_that_can_be_read_ends_the_paging_and_is_told(
    upbit: responses.RequestsMock, account: Account
) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/orders/closed", json=[{"uuid": number} for number in range(1_000)])

    assert account.queries.closed_orders(0, DAY) == []
    assert account.queries.unlisted == [(0, DAY)]
    assert len(upbit.calls) == 1


@pytest.mark.parametrize("broken", [7, None, {}, {"uuid": "o2"}, order_row("wait", "o2", volume="many")])
def test_a_row_that_cannot_be_read_is_kept_aside_and_the_others_are_read(
    upbit: responses.RequestsMock, account: Account, broken: object
) -> None:
    aside: list[tuple[bytes, str]] = []
    queries = AccountQueries(account.rest, set_aside=lambda row, reason: aside.append((row, reason)))
    for path in ("open", "closed"):
        rows = [order_row("wait", "o1"), broken, order_row("wait", "o3")]
        upbit.add(responses.GET, f"{BASE}/v1/orders/{path}", json=rows)

    assert [row.uuid for row in queries.open_orders()] == ["o1", "o3"]
    assert [row.uuid for row in queries.closed_orders(0, DAY)] == ["o1", "o3"]
    assert [json.loads(row) for row, _ in aside] == [broken, broken]
    assert [reason.split(": ")[0] for _, reason in aside] == ["/v1/orders/open", "/v1/orders/closed"]
    assert queries.shortfall == "rows that could not be read: 1 of /v1/orders/closed, 1 of /v1/orders/open"

    queries.begin()
    assert queries.shortfall == ""


def test_a_row_that_cannot_be_read_counts_once_however_often_its_list_is_read(
    upbit: responses.RequestsMock, account: Account
) -> None:
    aside: list[str] = []
    queries = AccountQueries(account.rest, set_aside=lambda _row, reason: aside.append(reason))
    first = [{"uuid": "broken"}, *page(*(f"o{number}" for number in range(99)))]
    for body in (first, page("o99"), first, page("o99")):
        upbit.add(responses.GET, f"{BASE}/v1/orders/open", json=body)

    assert len(queries.open_orders()) == 100, "its page counts as full all the same"
    assert len(aside) == 1
    assert queries.shortfall == "rows that could not be read: 1 of /v1/orders/open"


@pytest.mark.parametrize("reply", [[], "x", {"uuid": "o1"}])
def test_an_order_that_cannot_be_read_is_none_and_is_kept_aside(
    upbit: responses.RequestsMock, account: Account, reply: object
) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/order", json=reply)

    assert account.queries.order("o1") is None
    assert account.queries.shortfall == "rows that could not be read: 1 of /v1/order"


def test_a_balance_that_cannot_be_read_is_kept_aside_and_the_answer_says_that_it_is_not_whole(
    upbit: responses.RequestsMock, account: Account
) -> None:
    krw = {"currency": "KRW", "balance": "5", "locked": "0"}
    upbit.add(responses.GET, f"{BASE}/v1/accounts", json=[{"currency": "BTC"}, krw])
    upbit.add(responses.GET, f"{BASE}/v1/accounts", json=[krw])

    for is_whole in (False, True):
        assets, answered = account.queries.accounts()
        assert [asset.currency for asset in assets] == ["KRW"]
        assert answered is is_whole
    assert account.queries.shortfall == "rows that could not be read: 1 of /v1/accounts"


def test_an_order_that_the_exchange_does_not_know_is_none(upbit: responses.RequestsMock, account: Account) -> None:
    body = {"error": {"name": "order_not_found", "message": "주문을 찾지 못했습니다."}}
    upbit.add(responses.GET, f"{BASE}/v1/order", json=body, status=404)

    assert account.queries.order("o1") is None


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (401, "invalid_query_payload"),
        (401, "jwt_verification"),
        (401, "expired_access_key"),
        (401, "no_authorization_ip"),
        (401, "no_authorization_token"),
        (401, "out_of_scope"),
        (403, "out_of_scope"),
    ],
)
def test_refused_keys_are_tried_once_more_with_a_fresh_token(
    upbit: responses.RequestsMock, account: Account, status: int, name: str
) -> None:
    body = {"error": {"name": name, "message": "한국어 설명"}}
    upbit.add(responses.GET, f"{BASE}/v1/accounts", json=body, status=status)

    with pytest.raises(AuthenticationError) as caught:
        account.queries.accounts()
    assert (caught.value.name, caught.value.status, caught.value.message_ko) == (name, status, "한국어 설명")
    assert len(str(caught.value).split(": ")[-1]) > 20, "it says what to do"
    tokens = [call.request.headers["Authorization"] for call in upbit.calls]
    assert len(tokens) == len(set(tokens)) == 2


def test_a_nonce_that_was_used_is_replaced_by_another(upbit: responses.RequestsMock, account: Account) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/accounts", json={"error": {"name": "nonce_used", "message": ""}}, status=401)
    upbit.add(responses.GET, f"{BASE}/v1/accounts", json=[{"currency": "KRW", "balance": "5", "locked": "0"}])

    assert account.queries.accounts()[0][0].balance == 5


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_passing_trouble_is_tried_three_times(upbit: responses.RequestsMock, account: Account, status: int) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/accounts", body="<html>sorry</html>", status=status)

    with pytest.raises(RestError):
        account.queries.accounts()
    assert len(upbit.calls) == 3


@pytest.mark.parametrize(
    "cut",
    [
        {"body": requests.ConnectionError("connection reset")},
        {"body": requests.exceptions.ChunkedEncodingError("incomplete read")},
        {"body": requests.ReadTimeout("no byte came")},
        {"body": '[{"currency": "KRW", "bal'},
        {"body": ""},
        {"body": "<html>a proxy</html>"},
    ],
)
def test_a_reply_that_is_cut_off_is_asked_for_again_with_a_fresh_token(
    upbit: responses.RequestsMock, account: Account, cut: dict[str, Any]
) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/accounts", **cut)
    upbit.add(responses.GET, f"{BASE}/v1/accounts", **cut)
    upbit.add(responses.GET, f"{BASE}/v1/accounts", json=[{"currency": "KRW", "balance": "5", "locked": "0"}])

    assert account.queries.accounts()[0][0].balance == 5
    tokens = [call.request.headers["Authorization"] for call in upbit.calls]
    assert len(tokens) == len(set(tokens)) == 3


def test_after_three_times_it_is_given_up(upbit: responses.RequestsMock, account: Account) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/accounts", body="[")

    with pytest.raises(PayloadError):
        account.queries.accounts()
    assert len(upbit.calls) == 3


def test_nothing_is_asked_any_more_once_it_is_closed(upbit: responses.RequestsMock, account: Account) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/accounts", json=[])
    account.budget.stop()

    with pytest.raises(ClientClosedError):
        account.queries.accounts()
    assert len(upbit.calls) == 0


@pytest.mark.parametrize(("status", "name"), [(400, "validation_error"), (404, "not_found"), (422, "unprocessable")])
def test_a_wrong_question_is_not_repeated(
    upbit: responses.RequestsMock, account: Account, status: int, name: str
) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/accounts", json={"error": {"name": name, "message": "x"}}, status=status)

    with pytest.raises(RestError) as caught:
        account.queries.accounts()
    assert (caught.value.status, caught.value.name) == (status, name)
    assert len(upbit.calls) == 1


@pytest.mark.parametrize(("status", "least"), [(429, 1.0), (418, 60.0)])
def test_429_and_418_stop_the_group_for_everybody(
    upbit: responses.RequestsMock, account: Account, status: int, least: float
) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/accounts", json={}, status=status)

    with pytest.raises(RateLimitedError):
        account.queries.accounts()
    assert len(upbit.calls) == 1, "the limiter refuses the second try"
    assert account.limiter.reserve("default", 0.0) >= least
    assert account.limiter.reserve("ticker", 0.0) == 0.0


def test_remaining_req_is_believed(upbit: responses.RequestsMock, account: Account) -> None:
    headers = {"Remaining-Req": "group=default; min=1800; sec=1"}
    upbit.add(responses.GET, f"{BASE}/v1/accounts", json=[], headers=headers)

    account.queries.accounts()

    assert account.limiter.reserve("default", 0.0) == 0.0
    assert account.limiter.reserve("default", 0.0) > 0.0


@pytest.mark.parametrize("body", [{}, None, "x"])
def test_a_reply_that_is_not_as_documented_is_told(
    upbit: responses.RequestsMock, account: Account, body: object
) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/accounts", body=json.dumps(body))

    with pytest.raises(PayloadError):
        account.queries.accounts()


def test_somebody_is_asked_before_each_try(upbit: responses.RequestsMock, account: Account) -> None:
    upbit.add(responses.GET, f"{BASE}/v1/accounts", status=503)
    asked: list[int] = []
    queries = AccountQueries(account.rest, lambda: asked.append(len(upbit.calls)))

    with pytest.raises(RestError):
        queries.accounts()
    assert asked == [0, 1, 2]
