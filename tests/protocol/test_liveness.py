"""Two clocks: is the other side there, and is it still telling us things?"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upbit_ws.config import ConnectionConfig
from upbit_ws.protocol.cadence import Cadence
from upbit_ws.protocol.liveness import (
    MAX_OUTSTANDING,
    MESSAGE_WINDOW,
    Action,
    Liveness,
    Reconnect,
    ReconnectReason,
    Resubscribe,
    SendPing,
)

CONFIG = ConnectionConfig(base_url="http://localhost:1")


def _liveness(cadence: Cadence | None = None, epoch: int = 7, now: float = 0.0) -> Liveness:
    return Liveness(CONFIG, epoch, now, cadence)


def _subscribed(now: float = 0.0, cadence: Cadence | None = None) -> Liveness:
    liveness = _liveness(cadence, now=now)
    liveness.on_request(now, is_watchable=True)
    liveness.on_bytes(now + 0.2)
    liveness.on_data(now + 0.2)
    return liveness


def _run(liveness: Liveness, until: float, *, answer_pings: bool = True) -> list[tuple[float, Action]]:
    """Tick exactly when asked to, up to `until`; what was decided and when."""
    decided: list[tuple[float, Action]] = []
    while (now := liveness.next_deadline()) <= until:
        for action in liveness.tick(now):
            decided.append((now, action))
            if isinstance(action, SendPing) and answer_pings:
                liveness.on_bytes(now)
                liveness.on_pong(action.payload, now)
    return decided


def _only(kind: type[Action], decided: Iterable[tuple[float, Action]]) -> list[tuple[float, Action]]:
    return [(at, action) for at, action in decided if isinstance(action, kind)]


class TestTransport:
    def test_pings_go_out_every_interval_with_epoch_and_counter(self) -> None:
        decided = _run(_liveness(), 30.0)
        assert decided == [(10.0, SendPing(b"7.1")), (20.0, SendPing(b"7.2")), (30.0, SendPing(b"7.3"))]

    def test_pings_go_out_also_while_data_flows(self) -> None:
        liveness = _liveness()
        liveness.on_data(9.9)
        assert liveness.tick(10.0) == [SendPing(b"7.1")]

    def test_a_pong_tells_the_round_trip_time(self) -> None:
        liveness = _liveness()
        liveness.tick(10.0)
        assert liveness.on_pong(b"7.1", 10.165) == pytest.approx(0.165)

    def test_a_silent_peer_is_given_up_within_interval_and_timeout(self) -> None:
        decided = _run(_liveness(), 60.0, answer_pings=False)
        assert decided == [(10.0, SendPing(b"7.1")), (15.0, Reconnect(ReconnectReason.NO_PONG, 0.0))]

    @pytest.mark.parametrize("payload", [b"", b"7.2", b"6.1", b"x" * 125])
    def test_a_pong_to_something_else_does_not_satisfy(self, payload: bytes) -> None:
        liveness = _liveness()
        liveness.tick(10.0)
        liveness.on_bytes(12.0)
        assert liveness.on_pong(payload, 12.0) is None
        assert liveness.tick(15.0) == [Reconnect(ReconnectReason.NO_PONG, 12.0)]

    def test_an_unsolicited_pong_is_ignored(self) -> None:
        assert _liveness().on_pong(b"7.1", 1.0) is None

    def test_the_same_pong_counts_once(self) -> None:
        liveness = _liveness()
        liveness.tick(10.0)
        assert liveness.on_pong(b"7.1", 11.0) is not None
        assert liveness.on_pong(b"7.1", 12.0) is None

    def test_a_pong_that_queues_behind_data_is_waited_for(self) -> None:
        liveness = _liveness()
        liveness.tick(10.0)
        liveness.on_data(14.0)
        assert liveness.tick(15.0) == []
        assert liveness.next_deadline() == 19.0
        assert liveness.tick(19.0) == [Reconnect(ReconnectReason.NO_PONG, 0.0)]

    def test_a_pong_answers_the_earlier_pings_as_well(self) -> None:
        liveness = _liveness()
        for now in (10.0, 14.0, 18.0, 20.0):
            liveness.on_data(now)
            liveness.tick(now)
        assert liveness.on_pong(b"7.2", 21.0) == pytest.approx(1.0)
        assert liveness.on_pong(b"7.1", 21.0) is None
        assert liveness.next_deadline() == 30.0

    def test_outstanding_pings_are_bounded(self) -> None:
        liveness = _liveness()
        for second in range(1000):
            liveness.on_data(float(second))
            liveness.tick(float(second))
        assert len(liveness._transport._outstanding) == MAX_OUTSTANDING
        assert liveness.tick(1_004.0) == [Reconnect(ReconnectReason.NO_PONG, 0.0)]

    def test_after_giving_up_there_is_nothing_more_to_do(self) -> None:
        liveness = _liveness()
        _run(liveness, 20.0, answer_pings=False)
        assert liveness.tick(100.0) == []
        assert liveness.next_deadline() == float("inf")

    def test_any_byte_is_a_proof_of_life(self) -> None:
        liveness = _liveness()
        assert liveness.last_bytes_at == 0.0
        liveness.on_bytes(3.0)
        assert liveness.last_bytes_at == 3.0


class TestData:
    def test_a_busy_feed_that_falls_silent_is_asked_and_then_left(self) -> None:
        liveness = _subscribed()
        for step in range(200):
            liveness.on_data(0.2 + step * 0.1)
        silent_from = 0.2 + 199 * 0.1
        decided = _run(liveness, silent_from + 12.0)
        assert _only(Resubscribe, decided) == [(pytest.approx(silent_from + 10.0), Resubscribe(silent_from))]
        assert liveness.suspected_since == pytest.approx(silent_from + 10.0)
        liveness.on_request(silent_from + 12.0, is_watchable=True)
        decided = _run(liveness, silent_from + 30.0)
        assert decided[-1] == (pytest.approx(silent_from + 17.0), Reconnect(ReconnectReason.MUTE, silent_from))

    def test_pings_of_the_peer_and_answered_pings_of_ours_do_not_stand_in_for_data(self) -> None:
        liveness = _subscribed()
        decided: list[Action] = []
        for second in range(1, 30):
            liveness.on_bytes(float(second))
            for action in liveness.tick(float(second)):
                decided.append(action)
                if isinstance(action, SendPing):
                    liveness.on_pong(action.payload, float(second))
        assert any(isinstance(action, Resubscribe) for action in decided)

    def test_an_answer_ends_the_suspicion(self) -> None:
        liveness = _subscribed()
        _run(liveness, 12.0)
        liveness.on_request(12.0, is_watchable=True)
        assert liveness.on_data(12.2) is True
        assert liveness.suspected_since is None
        assert liveness.on_data(12.3) is False
        assert not _only(Reconnect, _run(liveness, 30.0))

    def test_a_quiet_feed_is_asked_less_and_less_often_and_never_left(self) -> None:
        liveness = _subscribed()
        asked: list[float] = []
        while len(asked) < 12:
            for now, action in _run(liveness, liveness.next_deadline()):
                assert not isinstance(action, Reconnect)
                if isinstance(action, Resubscribe):
                    asked.append(now)
                    liveness.on_request(now + 0.05, is_watchable=True)
                    liveness.on_data(now + 0.25)
        gaps = [later - sooner for sooner, later in pairwise(asked)]
        assert gaps[0] > 60.0
        assert all(250.0 < gap <= 301.0 for gap in gaps[-5:])

    def test_what_was_learned_goes_on_to_the_next_connection(self) -> None:
        first = _subscribed()
        for second in range(1, 200, 4):
            first.on_data(0.2 + second)
        second = _subscribed(now=1_000.0, cadence=first.cadence)
        assert not _only(Resubscribe, _run(second, 1_030.0))
        assert _only(Resubscribe, _run(second, 1_034.0))

    def test_a_set_that_nothing_answers_is_not_watched(self) -> None:
        liveness = _liveness()
        liveness.on_request(0.0, is_watchable=False)
        assert not _only(Resubscribe, _run(liveness, 10_000.0))

    def test_before_the_first_request_silence_means_nothing(self) -> None:
        liveness = _liveness()
        assert not _only(Resubscribe, _run(liveness, 100.0))
        liveness.on_request(100.0, is_watchable=True)
        assert _only(Resubscribe, _run(liveness, 120.0)) == [(110.0, Resubscribe(0.0))]
        assert liveness.last_data_at == 0.0

    def test_a_change_of_the_wanted_set_is_no_sign_of_life(self) -> None:
        liveness = _subscribed()
        assert liveness.on_request(9.0, is_watchable=True) is False
        assert _only(Resubscribe, _run(liveness, 11.0)) == [(10.2, Resubscribe(0.2))]

    def test_the_silence_before_somebody_listened_is_no_pause_to_learn_from(self) -> None:
        liveness = _subscribed()
        liveness.on_request(1.0, is_watchable=False)
        liveness.on_request(500.0, is_watchable=True)
        liveness.on_data(500.2)
        assert liveness.cadence.patience == 10.0

    def test_a_suspicion_ends_when_nothing_is_left_that_could_be_mute(self) -> None:
        liveness = _subscribed()
        _run(liveness, 11.0)
        assert liveness.on_request(11.0, is_watchable=False) is True
        assert liveness.suspected_since is None
        assert liveness.on_request(12.0, is_watchable=False) is False

    def test_a_question_that_cannot_be_sent_counts_as_unanswered_in_the_end(self) -> None:
        liveness = _subscribed()
        decided = _run(liveness, 200.0)
        asked = _only(Resubscribe, decided)[0][0]
        assert decided[-1][0] == pytest.approx(asked + MESSAGE_WINDOW + 5.0)
        assert isinstance(decided[-1][1], Reconnect)

    def test_connections_that_never_deliver_are_left_ever_later(self) -> None:
        cadence, now, lasted = Cadence(10.0, 8.0), 0.0, []
        for epoch in range(5):
            liveness = _liveness(cadence, epoch, now)
            liveness.on_request(now, is_watchable=True)
            start = now
            while not liveness._is_over:
                now = liveness.next_deadline()
                for action in liveness.tick(now):
                    if isinstance(action, SendPing):
                        liveness.on_pong(action.payload, now)
                    if isinstance(action, Resubscribe):
                        liveness.on_request(now, is_watchable=True)
            lasted.append(now - start)
        assert lasted == [15.0, 25.0, 45.0, 85.0, 165.0]


class TestOwnFaults:
    def test_a_late_caller_reads_once_before_it_judges(self) -> None:
        liveness = _liveness()
        liveness.tick(10.0)
        assert liveness.next_deadline() == 15.0
        assert liveness.tick(17.5) == []  # stopped for 2.5 s; the pong may lie in the socket
        assert liveness.next_deadline() == 18.5
        liveness.on_bytes(17.6)
        liveness.on_pong(b"7.1", 17.6)
        assert liveness.tick(18.5) == []

    def test_what_is_silent_after_that_read_is_judged(self) -> None:
        liveness = _liveness()
        liveness.tick(10.0)
        liveness.next_deadline()
        liveness.tick(17.5)
        liveness.next_deadline()
        assert liveness.tick(18.5) == [Reconnect(ReconnectReason.NO_PONG, 0.0)]

    def test_a_caller_that_is_always_late_does_not_postpone_for_ever(self) -> None:
        liveness, now = _liveness(), 0.0
        for _ in range(10):
            now = liveness.next_deadline() + 2.0
            if any(isinstance(action, Reconnect) for action in liveness.tick(now)):
                break
        assert now < 30.0

    def test_a_caller_that_is_always_very_late_does_not_either(self) -> None:
        liveness, now = _liveness(), 0.0
        for _ in range(10):
            now = min(liveness.next_deadline(), now + 30.0) + 20.0
            if any(isinstance(action, Reconnect) for action in liveness.tick(now)):
                break
        assert liveness._is_over

    def test_small_lags_change_nothing(self) -> None:
        liveness = _liveness()
        liveness.tick(10.0)
        liveness.next_deadline()
        assert liveness.tick(15.4) == [Reconnect(ReconnectReason.NO_PONG, 0.0)]

    def test_after_a_long_pause_of_the_process_the_peer_is_asked_first(self) -> None:
        liveness = _subscribed()
        liveness.next_deadline()
        assert liveness.tick(610.0) == [SendPing(b"7.1")]
        assert liveness.next_deadline() == 612.0
        liveness.on_pong(b"7.1", 610.2)
        assert liveness.tick(612.0) == []
        assert liveness.suspected_since is None

    def test_after_a_suspend_a_dead_line_is_noticed_within_seconds(self) -> None:
        liveness = _subscribed()
        liveness.tick(1.0, awake=1_001.0)
        liveness.next_deadline()
        assert liveness.tick(1.05, awake=1_601.05) == [SendPing(b"7.1")]
        assert liveness.tick(liveness.next_deadline(), awake=1_603.05) == [Reconnect(ReconnectReason.NO_PONG, 0.2)]

    def test_pings_from_before_a_suspend_do_not_count_against_the_line(self) -> None:
        liveness = _subscribed()
        liveness.tick(10.0, awake=10.0)
        assert liveness.tick(10.1, awake=500.0) == [SendPing(b"7.2")]
        assert liveness.on_pong(b"7.1", 10.2) is None
        assert liveness.on_pong(b"7.2", 10.3) == pytest.approx(0.2)

    def test_the_silence_of_a_suspend_is_no_pause_to_learn_from(self) -> None:
        liveness = _subscribed()
        liveness.next_deadline()
        liveness.tick(610.0)
        liveness.on_bytes(610.1)
        liveness.on_data(610.1)
        assert liveness.cadence.patience == 10.0

    @pytest.mark.parametrize("jump", [-3600.0, -1e9, 0.5])
    def test_a_wall_clock_set_back_changes_nothing(self, jump: float) -> None:
        liveness = _subscribed()
        liveness.tick(1.0, awake=1e9)
        assert liveness.tick(2.0, awake=1e9 + 1.0 + jump) == []
        assert liveness.tick(3.0, awake=1e9 + 2.0 + jump) == []

    def test_a_wall_clock_set_forward_costs_one_ping(self) -> None:
        liveness = _subscribed()
        liveness.tick(1.0, awake=1e9)
        assert liveness.tick(2.0, awake=1e9 + 3601.0) == [SendPing(b"7.1")]
        liveness.on_pong(b"7.1", 2.2)
        assert liveness.tick(3.0, awake=1e9 + 3602.0) == []


class _Peer:
    """An exchange in good health: every ping and every request is answered within its time."""

    def __init__(self, liveness: Liveness, pong_after: float, snapshot_after: float) -> None:
        self.liveness = liveness
        self.pong_after = pong_after
        self.snapshot_after = snapshot_after
        self.pending: list[tuple[float, bytes | None]] = []  # (when, pong payload or None for data)

    def act(self, now: float) -> None:
        for action in self.liveness.tick(now):
            assert not isinstance(action, Reconnect), f"gave up a healthy connection at {now}: {action}"
            if isinstance(action, SendPing):
                self.pending.append((now + self.pong_after, action.payload))
            else:
                self.liveness.on_request(now, is_watchable=True)
                self.pending.append((now + self.snapshot_after, None))

    def run(self, data_at: list[float], until: float) -> None:
        self.pending += [(at, None) for at in data_at]
        now = 0.0
        while now < until:
            due = min((at for at, _ in self.pending), default=float("inf"))
            now = max(now, min(due, self.liveness.next_deadline()))
            for entry in [entry for entry in self.pending if entry[0] <= now]:
                self.pending.remove(entry)
                self.liveness.on_bytes(now)
                if entry[1] is None:
                    self.liveness.on_data(now)
                else:
                    self.liveness.on_pong(entry[1], now)
            self.act(now)


@settings(max_examples=150, deadline=None)
@given(
    gaps=st.lists(st.floats(0.0, 0.5) | st.floats(0.0, 120.0), max_size=60),
    pong_after=st.floats(0.0, 4.9),
    snapshot_after=st.floats(0.0, 4.9),
)
def test_a_healthy_connection_is_never_given_up_however_its_feed_behaves(
    gaps: list[float], pong_after: float, snapshot_after: float
) -> None:
    liveness, at, data_at = _liveness(), 0.0, []
    liveness.on_request(0.0, is_watchable=True)
    for gap in gaps:
        at += gap
        data_at.append(at)
    _Peer(liveness, pong_after, snapshot_after).run(data_at, until=at + 2_000.0)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0.0, 8.0), max_size=40))
def test_a_dead_line_is_given_up_within_sixteen_seconds(gaps: list[float]) -> None:
    liveness, now = _subscribed(), 0.2
    for gap in gaps:
        arrival = now + gap
        _run(liveness, arrival)
        now = arrival
        liveness.on_bytes(now)
        liveness.on_data(now)
    decided = _run(liveness, now + 60.0, answer_pings=False)
    assert isinstance(decided[-1][1], Reconnect)
    assert decided[-1][0] <= now + 16.0
