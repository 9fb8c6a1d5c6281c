"""Budgets in a file: shared by processes, never waited for, and of no harm to anybody who cannot have them."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

import pytest

from tests.process import PythonRunner
from upbit_ws.config import RateLimitConfig
from upbit_ws.shared.file_rate_backend import FileBackend
from upbit_ws.shared.limiter_registry import limiter_for, shared_state_path
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter

CONNECT, MESSAGE = "websocket-connect", "websocket-message"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="takes the lock by hand, the POSIX way")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "rate.json"


def grants(backend: FileBackend, now: float, tries: int = 50) -> int:
    return sum(backend.reserve(CONNECT, "", now) == 0.0 for _ in range(tries))


def test_two_holders_of_one_file_share_one_budget(path: Path) -> None:
    one, other = FileBackend(path), FileBackend(path)

    assert grants(one, 100.0, tries=3) == 3
    assert grants(other, 100.2) == 2
    assert one.reserve(CONNECT, "", 100.3) == pytest.approx(0.8)
    assert grants(other, 101.15) == 3


def test_a_grant_that_another_process_made_a_moment_later_counts(path: Path) -> None:
    one, other = FileBackend(path), FileBackend(path)

    assert grants(other, 100.001) == 5
    assert grants(one, 100.0) == 0


def test_a_block_that_one_was_given_holds_for_all_and_grows(path: Path) -> None:
    one, other = FileBackend(path), FileBackend(path)

    assert one.penalize(CONNECT, "", 429, None, 100.0) == 101.0
    assert other.reserve(CONNECT, "", 100.5) == pytest.approx(0.5)
    assert other.penalize(CONNECT, "", 429, None, 101.0) == 103.0
    assert one.penalize(CONNECT, "", 418, None, 103.0) == 103.0 + 60.0 * 4


def test_what_the_exchange_says_is_left_holds_for_all(path: Path) -> None:
    one, other = FileBackend(path), FileBackend(path)

    one.narrow(CONNECT, "", 1, 100.0)

    assert grants(other, 100.0) == 1


def test_messages_count_per_connection_and_stay_in_the_process(path: Path) -> None:
    backend = FileBackend(path)

    assert backend.reserve(MESSAGE, "a", 100.0) == 0.0
    assert not path.exists()


def test_a_busy_file_is_not_waited_for_and_the_answer_comes_at_once(path: Path) -> None:
    backend = FileBackend(path)
    backend.reserve(CONNECT, "", 100.0)
    with path.open("r+b") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)

        assert 0 < backend.reserve(CONNECT, "", 100.1) < 0.02
        assert backend.penalize(CONNECT, "", 429, 5.0, 100.2) == 105.2

    assert backend.reserve(CONNECT, "", 100.3) == pytest.approx(4.9), "the block was written when the file was free"


def test_somebody_who_never_lets_go_stops_nobody(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    backend = FileBackend(path)
    backend.reserve(CONNECT, "", 100.0)
    with path.open("r+b") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert backend.reserve(CONNECT, "", 110.0) > 0

        assert grants(backend, 112.5) == 5
        assert grants(backend, 112.6) == 0

    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize("content", [b"garbage", b"[]", b'{"websocket-connect": 1}', b'{"websocket-connect": {"grants": '])
def test_a_file_that_cannot_be_read_counts_as_a_used_budget_for_a_second(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    backend = FileBackend(path)

    assert grants(backend, 100.0) == 0
    assert grants(backend, 101.2) == 5


def test_a_file_of_another_boot_does_not_matter(path: Path) -> None:
    old, new = FileBackend(path), FileBackend(path)
    assert grants(old, 1_000_000.0) == 5
    old.penalize(CONNECT, "", 418, 600.0, 1_000_000.0)

    assert grants(new, 50.0) == 5


def test_a_folder_that_cannot_be_made_leaves_the_process_its_own_budget(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    backend = FileBackend(tmp_path / "cache" / "rate.json")

    assert grants(backend, 100.0) == 5
    assert grants(backend, 100.5) == 0
    assert len(caplog.records) == 1


@pytest.mark.linux
def test_a_process_that_dies_while_it_holds_the_file_leaves_it_free(path: Path, run_python: PythonRunner) -> None:
    path.parent.mkdir()
    code = "import fcntl,os,sys; f=open(sys.argv[1],'ab'); fcntl.flock(f, fcntl.LOCK_EX); os.kill(os.getpid(), 9)"

    assert run_python(["-c", code, str(path)]).returncode == -9
    assert grants(FileBackend(path), 100.0) == 5


def test_only_the_user_may_look(path: Path) -> None:
    FileBackend(path).reserve(CONNECT, "", 100.0)

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


# -- who gets which limiter ------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_all_managers_of_a_process_get_one_limiter_per_exchange(cache: Path) -> None:
    config = RateLimitConfig(shared_across_processes=False)

    one = limiter_for(config, "https://api.upbit.com")

    assert limiter_for(config, "https://API.upbit.com") is one
    assert limiter_for(config, "https://sg-api.upbit.com") is not one
    assert isinstance(one, UpbitRateLimiter)
    assert not list(cache.rglob("*.json"))


def test_sharing_with_other_processes_is_a_file_in_the_cache_of_the_user(cache: Path) -> None:
    limiter = limiter_for(RateLimitConfig(), "http://127.0.0.1:4711")

    assert limiter.reserve(CONNECT, 100.0) == 0.0
    assert shared_state_path("127.0.0.1:4711").is_relative_to(cache)
    assert shared_state_path("127.0.0.1:4711").exists()


@pytest.mark.linux
def test_a_forked_child_has_limiters_of_its_own(cache: Path) -> None:
    config = RateLimitConfig(shared_across_processes=False)
    parent = limiter_for(config, "https://api.upbit.com")
    child = os.fork()
    if child == 0:
        os._exit(0 if limiter_for(config, "https://api.upbit.com") is not parent else 1)

    assert os.waitpid(child, 0)[1] == 0
