"""Generations of connections: current or not, and until when to be believed."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from upbit_ws.protocol import epoch_manager
from upbit_ws.protocol.epoch_manager import EpochManager

A, B = "public", "private"


@pytest.fixture
def epochs() -> EpochManager:
    return EpochManager()


def test_epochs_are_numbered_over_all_endpoints(epochs: EpochManager) -> None:
    assert [epochs.open(A, 0.0), epochs.open(B, 1.0), epochs.open(A, 2.0)] == [1, 2, 3]


def test_a_new_epoch_ends_the_one_before(epochs: EpochManager) -> None:
    old = epochs.open(A, 0.0)
    new = epochs.open(A, 5.0)
    assert not epochs.is_current(A, old)
    assert epochs.is_current(A, new)
    assert epochs.current(A) == new


def test_an_epoch_is_current_for_its_own_endpoint_only(epochs: EpochManager) -> None:
    epoch = epochs.open(A, 0.0)
    assert not epochs.is_current(B, epoch)
    assert epochs.current(B) is None


def standings(epochs: EpochManager, *numbers: int) -> list[str]:
    return [epochs.admit(A, number, 9.0).value for number in numbers]


def test_of_three_that_follow_each_other_only_the_last_is_the_newest(epochs: EpochManager) -> None:
    first = epochs.open(A, 0.0)
    second = epochs.open(A, 1.0, replaces=first)
    assert standings(epochs, first, second) == ["older", "newest"]

    third = epochs.open(A, 2.0, replaces=first)
    assert standings(epochs, first, second, third) == ["older", "over", "newest"]
    epochs.close(third, 3.0)
    assert standings(epochs, first, third) == ["newest", "over"]


def test_one_that_is_forgotten_as_it_is_closed_stands_in_nobodys_way(
    epochs: EpochManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_manager, "MAX_CLOSED", 2)
    old = epochs.open(A, 0.0)
    for _ in range(3):
        epochs.open(B, 1.0)
    new = epochs.open(A, 2.0)
    assert (epochs.vouched_at(old), epochs.current(A)) == (None, new)


class Beat:
    """A pulse by hand."""

    def __init__(self) -> None:
        self.is_newest = False
        self.alive_at = float("-inf")


def test_a_pulse_hears_whether_its_batches_count_and_is_a_proof_of_life(epochs: EpochManager) -> None:
    first, beat, other = epochs.open(A, 1.0), Beat(), Beat()
    epochs.follow(first, beat)
    assert (beat.is_newest, epochs.vouched_at(first)) == (True, 1.0)
    beat.alive_at = 4.0
    assert epochs.vouched_at(first) == 4.0
    with pytest.raises(ValueError, match="followed already"):
        epochs.follow(first, other)

    second = epochs.open(A, 5.0, replaces=first)
    epochs.follow(second, other)
    assert (beat.is_newest, other.is_newest) == (False, True)
    epochs.close(second, 6.0)
    assert (beat.is_newest, other.is_newest) == (True, False)

    beat.alive_at = 7.0
    epochs.close(first, 8.0)
    beat.alive_at = 9.0
    assert (beat.is_newest, epochs.vouched_at(first)) == (False, 7.0)


def test_before_any_connection_nothing_is_current(epochs: EpochManager) -> None:
    assert not epochs.is_current(A, 0)
    assert epochs.vouched_at(0) is None


def test_proof_of_life_moves_the_vouched_time_forward_and_never_back(epochs: EpochManager) -> None:
    epoch = epochs.open(A, 1.0)
    assert epochs.vouched_at(epoch) == 1.0
    epochs.alive(epoch, 4.0)
    epochs.alive(epoch, 3.0)
    assert epochs.vouched_at(epoch) == 4.0


def test_after_the_end_the_vouched_time_stands_still(epochs: EpochManager) -> None:
    epoch = epochs.open(A, 1.0)
    epochs.alive(epoch, 4.0)
    epochs.close(epoch, 9.0)
    epochs.alive(epoch, 10.0)
    epochs.close(epoch, 11.0)
    assert epochs.vouched_at(epoch) == 4.0
    assert epochs.current(A) is None


def test_while_suspected_mute_the_vouched_time_stands_still_and_then_catches_up(epochs: EpochManager) -> None:
    epoch = epochs.open(A, 0.0)
    epochs.alive(epoch, 10.0)
    epochs.suspect(epoch, 10.0)
    epochs.alive(epoch, 12.0)
    assert epochs.vouched_at(epoch) == 10.0
    assert epochs.is_suspected(epoch)
    epochs.trust(epoch)
    assert epochs.vouched_at(epoch) == 12.0
    assert not epochs.is_suspected(epoch)


def test_a_suspicion_may_be_moved_back_but_not_forward(epochs: EpochManager) -> None:
    epoch = epochs.open(A, 0.0)
    epochs.alive(epoch, 20.0)
    epochs.suspect(epoch, 15.0)
    epochs.suspect(epoch, 18.0)
    assert epochs.vouched_at(epoch) == 15.0
    epochs.suspect(epoch, 5.0)
    assert epochs.vouched_at(epoch) == 5.0


def test_what_ended_under_suspicion_keeps_the_suspected_time(epochs: EpochManager) -> None:
    epoch = epochs.open(A, 0.0)
    epochs.alive(epoch, 20.0)
    epochs.suspect(epoch, 5.0)
    epochs.close(epoch, 21.0)
    epochs.trust(epoch)
    epochs.suspect(epoch, 1.0)
    assert epochs.vouched_at(epoch) == 5.0
    assert not epochs.is_suspected(epoch)


def test_make_before_break_leaves_both_current_until_the_old_one_is_closed(epochs: EpochManager) -> None:
    old = epochs.open(A, 0.0)
    new = epochs.open(A, 5.0, replaces=old)
    assert epochs.is_current(A, old)
    assert epochs.is_current(A, new)
    assert epochs.current(A) == new
    epochs.close(old, 6.0)
    assert not epochs.is_current(A, old)
    assert epochs.is_current(A, new)


def test_an_overlap_never_grows_beyond_two(epochs: EpochManager) -> None:
    first = epochs.open(A, 0.0)
    second = epochs.open(A, 1.0, replaces=first)
    third = epochs.open(A, 2.0, replaces=second)
    assert [epochs.is_current(A, epoch) for epoch in (first, second, third)] == [False, True, True]


def test_unknown_epochs_are_ignored(epochs: EpochManager) -> None:
    for call in (epochs.alive, epochs.close, epochs.suspect):
        call(99, 1.0)
    epochs.trust(99)
    assert not epochs.is_suspected(99)
    assert len(epochs) == 0


def test_closed_epochs_that_nothing_refers_to_are_forgotten(epochs: EpochManager) -> None:
    numbers = [epochs.open(A, float(at)) for at in range(5)]
    kept = epochs.open(B, 9.0)
    assert epochs.forget_before(numbers[3]) == 3
    assert [epochs.vouched_at(number) is None for number in numbers] == [True, True, True, False, False]
    assert epochs.forget_before(100) == 1
    assert epochs.is_current(A, numbers[-1])
    assert epochs.is_current(B, kept)


def test_memory_is_bounded_even_when_nobody_forgets(epochs: EpochManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch_manager, "MAX_CLOSED", 3)
    for at in range(50):
        epochs.open(A, float(at))
    assert len(epochs) == 4
    assert epochs.vouched_at(46) is None
    assert epochs.vouched_at(47) == 46.0


def test_its_repr_states_the_facts(epochs: EpochManager) -> None:
    epochs.open(A, 0.0)
    epochs.open(A, 1.0)
    assert repr(epochs) == "<EpochManager last=2 open={'public': (2,)} closed=1>"


class EpochsAgainstModel(RuleBasedStateMachine):
    """Any sequence of events against lists: at most one current epoch, vouched times that only ever go forward."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = EpochManager()
        self.now = 0.0
        self.current: dict[str, int] = {}
        self.alive: dict[int, float] = {}
        self.doubted: set[int] = set()

    def _tick(self) -> float:
        self.now += 1.0
        return self.now

    @rule(endpoint=st.sampled_from([A, B]))
    def open(self, endpoint: str) -> None:
        now = self._tick()
        self.doubted.discard(self.current.get(endpoint, 0))
        self.current[endpoint] = self.epochs.open(endpoint, now)
        self.alive[self.current[endpoint]] = now

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def prove_alive(self, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from(sorted(self.alive)))
        now = self._tick()
        self.epochs.alive(epoch, now)
        if epoch in self.current.values() and epoch not in self.doubted:
            self.alive[epoch] = now

    @precondition(lambda self: self.current)
    @rule(data=st.data())
    def suspect(self, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from(sorted(self.current.values())))
        self.epochs.suspect(epoch, self._tick())
        self.doubted.add(epoch)

    @precondition(lambda self: self.current)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        endpoint = data.draw(st.sampled_from(sorted(self.current)))
        epoch = self.current.pop(endpoint)
        self.epochs.close(epoch, self._tick())
        self.doubted.discard(epoch)

    @invariant()
    def agrees(self) -> None:
        for endpoint in (A, B):
            assert self.epochs.current(endpoint) == self.current.get(endpoint)
        for epoch, alive in self.alive.items():
            assert self.epochs.vouched_at(epoch) == alive


TestEpochsAgainstModel = EpochsAgainstModel.TestCase
TestEpochsAgainstModel.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
