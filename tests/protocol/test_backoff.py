"""When to try again, failure by failure."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upbit_ws.config import ReconnectionConfig
from upbit_ws.protocol.backoff import (
    CLOSE_POLICIES,
    IDENTICAL,
    MAX_SORTS,
    STUBBORN_FLOOR,
    Backoff,
    Failure,
    FailureKind,
    failure_of_error_frame,
    policy_for,
)

NETWORK = Failure(FailureKind.NETWORK)
ALMOST_ONE = 0.999_999


def _close(code: int) -> Failure:
    return Failure(FailureKind.CLOSE, code)


def _http(status: int, retry_after: float | None = None) -> Failure:
    return Failure(FailureKind.HTTP, status, retry_after)


@pytest.fixture
def backoff() -> Backoff:
    return Backoff(ReconnectionConfig())


def _delays(
    backoff: Backoff, failure: Failure, count: int, u: float = ALMOST_ONE, *, every: float = 1.0
) -> list[float]:
    return [round(backoff.failed(i * every, failure, u), 3) for i in range(count)]


def test_the_first_attempt_comes_at_once_and_then_the_ceiling_doubles_to_the_cap(backoff: Backoff) -> None:
    assert _delays(backoff, NETWORK, 9, every=30.0) == [0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_no_pause_is_longer_than_the_trouble_before_it(backoff: Backoff) -> None:
    """The ceiling doubles with each failure, and these may come quickly: six of them in three seconds."""
    assert _delays(backoff, NETWORK, 9, every=0.6) == [0.2, 0.5, 1.0, 1.8, 2.4, 3.0, 3.6, 4.2, 4.8]
    backoff.connected(100.0)
    backoff.data(102.0)
    assert _delays(backoff, NETWORK, 3, every=0.6) == [0.2, 0.5, 1.0]


def test_jitter_is_full(backoff: Backoff) -> None:
    assert _delays(backoff, NETWORK, 4, u=0.0) == [0.0, 0.0, 0.0, 0.0]
    assert backoff.attempt == 4


def test_an_upgrade_alone_resets_nothing(backoff: Backoff) -> None:
    for second in range(6):
        backoff.connected(10.0 * second)
        backoff.failed(10.0 * second + 0.1, _close(1000), 0.0)
    assert backoff.failed(60.0, _close(1000), ALMOST_ONE) == pytest.approx(16.0, abs=0.01)


def test_a_storm_of_accept_and_close_costs_few_connects_in_a_minute(backoff: Backoff) -> None:
    now, connects = 0.0, 0
    while now < 60.0:
        connects += 1
        backoff.connected(now)
        now += backoff.failed(now, _close(1001), 0.5)
    assert connects <= 12


def test_first_data_resets(backoff: Backoff) -> None:
    _delays(backoff, NETWORK, 5)
    backoff.connected(10.0)
    backoff.data(12.0)
    assert backoff.attempt == 0
    assert backoff.failed(13.0, NETWORK, ALMOST_ONE) <= 0.25


def test_data_that_came_at_once_counts_when_the_connection_lived_on(backoff: Backoff) -> None:
    _delays(backoff, NETWORK, 5)
    backoff.connected(10.0)
    backoff.data(10.1)
    assert backoff.attempt == 5
    assert backoff.failed(11.0, NETWORK, ALMOST_ONE) <= 0.25


def test_a_greeting_and_a_hang_up_do_not_reset(backoff: Backoff) -> None:
    _delays(backoff, NETWORK, 5)
    backoff.connected(10.0)
    backoff.data(10.1)
    assert backoff.failed(10.2, NETWORK, ALMOST_ONE) > 5.0


def test_thirty_stable_seconds_reset_without_data(backoff: Backoff) -> None:
    _delays(backoff, NETWORK, 5)
    backoff.connected(10.0)
    assert backoff.failed(40.0, NETWORK, ALMOST_ONE) <= 0.25


def test_data_of_a_connection_does_not_count_for_the_next_one(backoff: Backoff) -> None:
    backoff.connected(0.0)
    backoff.data(5.0)
    backoff.failed(6.0, NETWORK, 0.5)
    backoff.connected(7.0)
    backoff.failed(8.0, NETWORK, 0.5)
    assert backoff.attempt == 2


def test_data_before_any_connection_is_ignored(backoff: Backoff) -> None:
    backoff.failed(0.0, NETWORK, 0.5)
    backoff.data(1.0)
    assert backoff.attempt == 1


@pytest.mark.parametrize("code", [1000, 1006])
def test_an_ordinary_close_is_a_failure_with_an_immediate_retry(backoff: Backoff, code: int) -> None:
    assert backoff.failed(0.0, _close(code), ALMOST_ONE) <= 0.25


@pytest.mark.parametrize("code", [1001, 1012])
def test_a_restarting_server_is_not_met_by_a_herd(backoff: Backoff, code: int) -> None:
    assert backoff.failed(0.0, _close(code), 0.0) == 0.0
    assert Backoff(ReconnectionConfig()).failed(0.0, _close(code), ALMOST_ONE) == pytest.approx(5.2, abs=0.01)


@pytest.mark.parametrize("code", [1013, 1014])
def test_a_busy_server_is_left_alone_for_five_seconds(backoff: Backoff, code: int) -> None:
    assert all(delay >= 5.0 for delay in _delays(backoff, _close(code), 5, u=0.0))


@pytest.mark.parametrize("code", [1011, 3000, 4000, 4999, 2999, 1015])
def test_errors_of_the_server_and_codes_of_its_own_are_backed_off_from(backoff: Backoff, code: int) -> None:
    assert _delays(backoff, _close(code), 3) == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009, 1010])
def test_the_same_breach_over_and_over_is_taken_for_permanent(backoff: Backoff, code: int) -> None:
    delays = _delays(backoff, _close(code), IDENTICAL, u=0.0)
    assert delays == [0.0] * (IDENTICAL - 1) + [STUBBORN_FLOOR]
    assert backoff.is_refused


@pytest.mark.parametrize(
    "failure",
    [_http(401), _http(403), _close(1008), Failure(FailureKind.CREDENTIALS)],
    ids=["401", "403", "1008", "INVALID_AUTH"],
)
def test_refused_credentials_get_one_fresh_token_and_then_no_hurry(backoff: Backoff, failure: Failure) -> None:
    assert backoff.failed(0.0, failure, ALMOST_ONE) <= 0.25
    assert not backoff.is_refused
    assert backoff.failed(1.0, failure, 0.0) >= 30.0
    assert backoff.is_refused
    assert backoff.failed(40.0, failure, ALMOST_ONE) >= 30.0


def test_different_refusals_of_credentials_count_together_also_with_other_failures_between(backoff: Backoff) -> None:
    backoff.failed(0.0, _http(401), 0.0)
    backoff.failed(1.0, NETWORK, 0.0)
    assert not backoff.is_refused
    assert backoff.failed(2.0, Failure(FailureKind.CREDENTIALS), 0.0) >= 30.0


def test_the_fresh_token_is_tried_at_once_even_after_other_failures(backoff: Backoff) -> None:
    _delays(backoff, NETWORK, 8)
    assert backoff.failed(9.0, _http(401), ALMOST_ONE) <= 0.25


@pytest.mark.parametrize(
    ("status", "retry_after", "least"),
    [(429, 7.0, 7.0), (429, None, 1.0), (429, -1.0, 1.0), (418, None, 60.0), (418, 5.0, 60.0), (418, 90.0, 90.0)],
)
def test_blocks_are_waited_out_as_told(backoff: Backoff, status: int, retry_after: float | None, least: float) -> None:
    for u in (0.0, ALMOST_ONE):
        assert least <= Backoff(ReconnectionConfig()).failed(0.0, _http(status, retry_after), u) <= least * 1.1
    assert Backoff(ReconnectionConfig()).failed(0.0, _http(status, 1e9), ALMOST_ONE) == 600.0


def test_blocks_without_a_time_grow(backoff: Backoff) -> None:
    assert _delays(backoff, _http(429), 4, u=0.0) == [1.0, 2.0, 4.0, 8.0]
    assert _delays(backoff, _http(418), 3, u=0.0) == [60.0, 120.0, 240.0]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_passing_trouble_of_the_server_is_backed_off_from(backoff: Backoff, status: int) -> None:
    assert _delays(backoff, _http(status), 7, every=30.0) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert not backoff.is_refused


@pytest.mark.parametrize("status", [200, 204, 301, 404, 426, 0])
def test_a_wrong_door_is_soon_taken_for_permanent(backoff: Backoff, status: int) -> None:
    assert _delays(backoff, _http(status), IDENTICAL, u=0.0)[-1] == STUBBORN_FLOOR
    assert backoff.is_refused


def test_a_certificate_that_does_not_verify_is_tried_every_half_minute(backoff: Backoff) -> None:
    delays = _delays(backoff, Failure(FailureKind.TLS_VERIFICATION), 4, u=0.0)
    assert min(delays) >= 30.0
    assert backoff.is_refused


def test_a_rejected_request_is_soon_followed_by_another_one(backoff: Backoff) -> None:
    assert max(_delays(backoff, Failure(FailureKind.REQUEST_REJECTED), 12)) == 2.0


@pytest.mark.parametrize("kind", [FailureKind.MUTE, FailureKind.PROTOCOL])
def test_a_mute_or_broken_peer_is_left_at_once(backoff: Backoff, kind: FailureKind) -> None:
    assert backoff.failed(0.0, Failure(kind, 1002), ALMOST_ONE) <= 0.25


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("INVALID_AUTH", Failure(FailureKind.CREDENTIALS)),
        ("TOO_MANY_REQUEST", _http(429)),
        ("Too Many Requests", _http(429)),
        ("I'm a teapot", _http(418)),
        ("WRONG_FORMAT", Failure(FailureKind.REQUEST_REJECTED)),
        ("SOMETHING_NEW", Failure(FailureKind.REQUEST_REJECTED)),
    ],
)
def test_what_an_error_frame_means(name: str, failure: Failure) -> None:
    assert failure_of_error_frame(name) == failure


def test_every_kind_of_failure_has_a_policy() -> None:
    for kind in FailureKind:
        assert policy_for(Failure(kind)) is not None
    assert all(policy_for(_close(code)) is policy for code, policy in CLOSE_POLICIES.items())


def test_a_server_that_invents_codes_does_not_fill_the_memory(backoff: Backoff) -> None:
    for code in range(3000, 3000 + 10 * MAX_SORTS):
        backoff.failed(0.0, _close(code), 0.5)
    assert len(backoff._seen) == MAX_SORTS


def test_it_remembers_the_last_failure_until_it_resets(backoff: Backoff) -> None:
    assert backoff.last_failure is None
    assert not backoff.is_refused
    backoff.failed(0.0, NETWORK, 0.5)
    assert backoff.last_failure == NETWORK
    assert "attempt=1" in repr(backoff)
    backoff.connected(1.0)
    backoff.data(3.0)
    assert backoff.last_failure is None


failures = st.builds(
    Failure,
    st.sampled_from(FailureKind),
    st.none() | st.integers(-5, 70_000),
    st.none() | st.floats(allow_nan=True, allow_infinity=True),
)
configs = st.builds(
    ReconnectionConfig,
    first_jitter=st.floats(0.0, 5.0),
    base_delay=st.floats(0.01, 5.0),
    max_delay=st.floats(5.0, 120.0),
    stable_after=st.floats(0.0, 60.0),
)


@settings(max_examples=200, deadline=None)
@given(configs, st.lists(st.tuples(failures, st.floats(0.0, 1.0, exclude_max=True), st.booleans()), max_size=60))
def test_every_delay_is_finite_not_negative_and_bounded(
    config: ReconnectionConfig, story: list[tuple[Failure, float, bool]]
) -> None:
    backoff, now = Backoff(config), 0.0
    for failure, u, has_connected in story:
        if has_connected:
            backoff.connected(now)
        delay = backoff.failed(now, failure, u)
        is_block = policy_for(failure).is_block
        assert 0.0 <= delay <= (600.0 if is_block else 35.0 + config.max_delay + config.first_jitter)
        now += delay


@settings(max_examples=200, deadline=None)
@given(configs, st.floats(0.0, 600.0), st.floats(0.0, 10.0), st.data())
def test_whoever_was_away_is_back_in_twice_the_time(
    config: ReconnectionConfig, outage: float, longest_attempt: float, data: st.DataObject
) -> None:
    backoff, now, dice = Backoff(config), 0.0, st.floats(0.0, 1.0, exclude_max=True)
    now += backoff.failed(now, NETWORK, data.draw(dice))
    while now < outage and backoff.attempt < 50:
        now += longest_attempt * data.draw(dice)
        now += backoff.failed(now, NETWORK, data.draw(dice))

    assert now <= 2.0 * (outage + longest_attempt) + max(config.base_delay, config.first_jitter)
