"""The budgets of the process: groups, scopes, blocks, and what the exchange says is left."""

from __future__ import annotations

import threading

import pytest

from upbit_ws.config import RateLimitConfig
from upbit_ws.protocol.rate_limit import GROUPS
from upbit_ws.shared.upbit_rate_limiter import MAX_SCOPES, LocalBackend, UpbitRateLimiter, limits_for

CONNECT, MESSAGE = "websocket-connect", "websocket-message"


@pytest.fixture
def limiter() -> UpbitRateLimiter:
    return UpbitRateLimiter()


def _granted(limiter: UpbitRateLimiter, group: str, now: float, *, scope: str = "", tries: int = 200) -> int:
    return sum(limiter.reserve(group, now, scope=scope) == 0.0 for _ in range(tries))


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_grants_its_smallest_window_at_once(limiter: UpbitRateLimiter, group: str) -> None:
    assert _granted(limiter, group, 0.0) == min(limit for limit, _ in GROUPS[group])


def test_what_is_not_granted_is_told_when_to_ask_again(limiter: UpbitRateLimiter) -> None:
    _granted(limiter, CONNECT, 0.0)
    wait = limiter.reserve(CONNECT, 0.4)
    assert 0.6 <= wait <= 0.7001
    assert limiter.reserve(CONNECT, 0.4 + wait) == 0.0


def test_groups_do_not_share_budgets_and_an_unknown_one_counts_as_default(limiter: UpbitRateLimiter) -> None:
    _granted(limiter, "ticker", 0.0)
    assert limiter.reserve("trade", 0.0) == 0.0
    assert _granted(limiter, "brand-new", 0.0) == 30
    assert limiter.reserve("default", 0.0) > 0.0


def test_messages_are_counted_per_connection(limiter: UpbitRateLimiter) -> None:
    assert _granted(limiter, MESSAGE, 0.0, scope="public-1") == 5
    assert _granted(limiter, MESSAGE, 0.0, scope="private-2") == 5
    limiter.forget(MESSAGE, scope="public-1")
    assert _granted(limiter, MESSAGE, 0.0, scope="public-1") == 5


def test_no_more_than_a_hundred_messages_go_out_in_a_minute(limiter: UpbitRateLimiter) -> None:
    granted, now = 0, 0.0
    while now < 60.0:
        wait = limiter.reserve(MESSAGE, now, scope="public")
        granted += wait == 0.0
        now += wait or 0.05
    assert granted == 100


def test_a_penalty_stops_the_whole_group(limiter: UpbitRateLimiter) -> None:
    assert limiter.penalize(CONNECT, 429, 30.0, 100.0) == 130.0
    assert limiter.reserve(CONNECT, 110.0) == 20.0
    assert limiter.penalize(CONNECT, 418, None, 130.0) == 250.0
    assert limiter.reserve("ticker", 110.0) == 0.0


def test_others_behind_the_same_address_are_taken_into_account(limiter: UpbitRateLimiter) -> None:
    limiter.feedback("ticker", "group=ticker; min=600; sec=2", 0.0)
    assert _granted(limiter, "ticker", 0.0) == 2
    limiter.feedback("trade", "group=made-up; min=600; sec=1", 0.0)
    assert _granted(limiter, "trade", 0.0) == 1
    limiter.feedback("orderbook", "rubbish", 0.0)
    limiter.feedback("orderbook", None, 0.0)
    assert _granted(limiter, "orderbook", 0.0) == 10


def test_the_upgrade_reply_speaks_of_connects(limiter: UpbitRateLimiter) -> None:
    limiter.feedback(CONNECT, "group=websocket; min=300; sec=0", 0.0)
    assert limiter.reserve(CONNECT, 0.0) > 0.0


def test_the_configuration_sets_the_limits() -> None:
    config = RateLimitConfig(connects_per_second=2, messages_per_second=3, messages_per_minute=4, rest_per_second=1)
    limiter = UpbitRateLimiter(config)
    assert [_granted(limiter, group, 0.0) for group in (CONNECT, MESSAGE, "candle", "default")] == [2, 3, 1, 30]
    assert limits_for(RateLimitConfig()) == GROUPS


def test_a_backend_of_ones_own_keeps_the_budgets() -> None:
    shared = LocalBackend()
    first, second = UpbitRateLimiter(backend=shared), UpbitRateLimiter(backend=shared)
    assert _granted(first, CONNECT, 0.0) == 5
    assert _granted(second, CONNECT, 0.0) == 0


def test_forgotten_connections_do_not_fill_the_memory() -> None:
    backend = LocalBackend()
    for number in range(3 * MAX_SCOPES):
        backend.reserve(MESSAGE, f"connection-{number}", float(number))
    assert len(backend._scoped) == MAX_SCOPES


def test_a_block_is_not_pushed_out_by_many_connections() -> None:
    backend = LocalBackend()
    backend.penalize(CONNECT, "", 418, None, 0.0)
    for number in range(3 * MAX_SCOPES):
        backend.reserve(MESSAGE, f"connection-{number}", 1.0)
    assert backend.reserve(CONNECT, "", 1.0) == 59.0


def test_many_threads_together_get_no_more_than_the_budget(limiter: UpbitRateLimiter) -> None:
    granted: list[int] = []
    threads = [
        threading.Thread(target=lambda: granted.append(_granted(limiter, "ticker", 0.0, tries=50))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 10
