"""Locks do not nest, and a debug build says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from upbit_ws.shared import locks
from upbit_ws.shared.locks import CheckedLock, LockRuleError, enable_lock_ranks, make_lock


@pytest.fixture
def checking() -> Iterator[None]:
    before = locks._is_checking
    enable_lock_ranks()
    yield
    enable_lock_ranks(before)


@pytest.mark.usefixtures("checking")
class TestCheckedLock:
    def test_one_lock_after_another_is_fine(self) -> None:
        first, second = make_lock("first", 1), make_lock("second", 2)
        with first:
            assert first.locked()
        with second:
            assert not first.locked()

    @pytest.mark.parametrize("ranks", [(1, 2), (2, 1)])
    def test_a_lock_taken_under_another_raises_whatever_the_ranks(self, ranks: tuple[int, int]) -> None:
        outer, inner = make_lock("outer", ranks[0]), make_lock("inner", ranks[1])
        with outer, pytest.raises(LockRuleError, match=r"'inner'.*'outer'"), inner:
            pass
        assert not outer.locked()
        assert not inner.locked()

    def test_a_lock_taken_again_by_its_holder_raises_instead_of_hanging(self) -> None:
        lock = make_lock("once", 1)
        with lock, pytest.raises(LockRuleError):
            lock.acquire()

    def test_another_thread_waits_as_usual(self) -> None:
        lock = make_lock("shared", 1)
        got: list[bool] = []
        with lock:
            thread = threading.Thread(target=lambda: got.append(lock.acquire(timeout=0.01)))
            thread.start()
            thread.join()
        assert got == [False]
        assert lock.acquire(blocking=False)
        lock.release()

    def test_another_thread_may_release(self) -> None:
        lock = make_lock("handed-over", 1)
        lock.acquire()
        thread = threading.Thread(target=lock.release)
        thread.start()
        thread.join()
        with make_lock("next", 2):
            assert not lock.locked()

    def test_releasing_a_free_lock_is_an_error_as_with_a_plain_one(self) -> None:
        with pytest.raises(RuntimeError):
            make_lock("free", 1).release()

    def test_it_serves_a_condition(self) -> None:
        condition = threading.Condition(make_lock("condition", 1))
        woken = threading.Event()

        def wait() -> None:
            with condition:
                assert condition.wait_for(lambda: ready, timeout=5)
            woken.set()

        ready = False
        thread = threading.Thread(target=wait)
        thread.start()
        with condition:
            ready = True
            condition.notify_all()
        thread.join(5)
        assert woken.is_set()

    def test_waiting_on_a_condition_frees_the_thread_to_take_another_lock_afterwards(self) -> None:
        condition = threading.Condition(make_lock("condition", 1))
        with condition:
            condition.wait(0.001)
        with make_lock("other", 2):
            pass

    def test_notifying_without_the_lock_is_refused(self) -> None:
        condition = threading.Condition(make_lock("condition", 1))
        with pytest.raises(RuntimeError):
            condition.notify()

    def test_its_repr_names_it(self) -> None:
        assert repr(CheckedLock("data-pool", 30)) == "<lock 'data-pool' rank 30>"


def test_without_checks_it_is_a_plain_lock(checking: None) -> None:
    enable_lock_ranks(False)
    assert type(make_lock("plain", 1)) is type(threading.Lock())
