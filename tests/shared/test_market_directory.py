"""The list of markets by quote currency, and threads that wait for it."""

from __future__ import annotations

import threading
import time

from upbit_ws.shared.market_directory import MarketDirectory
from upbit_ws.testing import ManualClock


def test_a_pattern_means_the_codes_of_its_quote_currency() -> None:
    directory = MarketDirectory()
    assert directory.matching("KRW-*") == ()

    assert directory.replace(["KRW-ETH", "BTC-ETH", "KRW-BTC"])

    assert directory.matching("KRW-*") == ("KRW-BTC", "KRW-ETH")
    assert directory.matching("BTC-*") == ("BTC-ETH",)
    assert directory.matching("USDT-*") == ()


def test_only_another_list_is_a_change() -> None:
    directory = MarketDirectory()
    directory.replace(["KRW-ETH", "KRW-BTC"])
    version = directory.version

    assert not directory.replace(["KRW-BTC", "KRW-ETH"])
    assert directory.version == version
    assert directory.replace(["KRW-BTC"])
    assert directory.version > version
    assert directory.matching("KRW-*") == ("KRW-BTC",)


def test_an_empty_list_is_a_list() -> None:
    directory = MarketDirectory()

    assert directory.replace([])
    assert directory.version > 0
    assert not directory.replace([])


def test_a_failure_leaves_what_was_known() -> None:
    directory = MarketDirectory()
    directory.replace(["KRW-BTC"])

    directory.failed("no route")

    assert directory.last_error == "no route"
    assert directory.matching("KRW-*") == ("KRW-BTC",)
    directory.replace(["KRW-BTC"])
    assert directory.last_error is None


def test_a_known_list_is_not_waited_for(manual_clock: ManualClock) -> None:
    directory = MarketDirectory()
    directory.replace(["KRW-BTC"])

    assert directory.wait_known(manual_clock(), manual_clock)


def test_threads_that_wait_are_woken_by_the_list() -> None:
    directory, results = MarketDirectory(), []

    def wait() -> None:
        results.append(directory.wait_known(time.monotonic() + 10.0, time.monotonic))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    directory.replace(["KRW-BTC"])
    for thread in threads:
        thread.join(5.0)

    assert results == [True, True, True]


def test_a_wait_in_vain_ends_at_its_deadline() -> None:
    directory = MarketDirectory()

    assert not directory.wait_known(time.monotonic() + 0.02, time.monotonic)
    assert directory._waiters == []


def test_closing_wakes_those_who_wait() -> None:
    directory, results = MarketDirectory(), []
    thread = threading.Thread(
        target=lambda: results.append(directory.wait_known(time.monotonic() + 30.0, time.monotonic))
    )
    thread.start()
    while not directory._waiters:
        thread.join(0.001)

    directory.wake_all()
    thread.join(5.0)

    assert results == [False]
