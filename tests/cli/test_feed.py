"""The data behind the outputs, from a real exchange on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from upbit_ws.cli.feed import Feed, Meter
from upbit_ws.config import ConnectionConfig, WebSocketConfig
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.types import DataType

if TYPE_CHECKING:
    from upbit_ws.sandbox import Sandbox


def config(url: str) -> WebSocketConfig:
    return WebSocketConfig.testing(connection=ConnectionConfig(base_url=url))


def events_of(feed: Feed, count: int, *, patience: float = 10.0) -> list[str]:
    deadline = time.monotonic() + patience
    found: list[str] = []
    while len(found) < count and time.monotonic() < deadline:
        event = feed.wait_for_event()
        if event is not None:
            found.append(event.symbol)
    return found


def test_a_rate_is_the_growth_over_the_window() -> None:
    meter = Meter(window=3.0)

    assert meter.update(10.0, 1_000) == 0.0
    assert meter.update(11.0, 1_100) == 100.0
    assert meter.update(12.0, 1_100) == 50.0


def test_a_rate_forgets_what_left_the_window() -> None:
    meter = Meter(window=1.0)
    meter.update(0.0, 0)
    meter.update(1.0, 1_000)
    for second in range(2, 6):
        rate = meter.update(float(second), 1_000)

    assert rate == 0.0


def test_a_ticker_row_has_the_best_bid_and_ask_of_the_book(sandbox: Sandbox) -> None:
    with Feed(DataType.TICKER, ["KRW-BTC"], config(sandbox.url)) as feed:
        deadline = time.monotonic() + 10
        row: dict[str, object] = {"bid": None}
        while row["bid"] is None and time.monotonic() < deadline:
            event = feed.wait_for_event()
            if event is not None:
                row = feed.row(event)

    assert row["type"] == "ticker"
    assert row["market"] == "KRW-BTC"
    assert isinstance(row["bid"], float)
    assert isinstance(row["ask"], float)
    assert row["bid"] < row["ask"]
    assert row["epoch"] == 1
    assert row["live"] is True
    assert isinstance(row["age"], float)
    assert 0 <= row["age"] < 5


@pytest.mark.parametrize("data_type", [DataType.TRADE, DataType.ORDERBOOK, DataType.CANDLE_1S, DataType.CANDLE_1M])
def test_every_public_type_can_be_watched(data_type: DataType, make_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox(rate=200.0)
    with Feed(data_type, ["KRW-BTC", "KRW-ETH"], config(sandbox.url)) as feed:
        found = events_of(feed, 4)

    assert len(found) == 4
    assert set(found) <= {"KRW-BTC", "KRW-ETH"}


def test_a_pattern_brings_in_its_markets(make_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox(rate=100.0, markets=("KRW-BTC", "KRW-ETH", "BTC-ETH"))
    with Feed(DataType.TICKER, ["KRW-*"], config(sandbox.url)) as feed:
        assert set(events_of(feed, 20)) == {"KRW-BTC", "KRW-ETH"}


def test_a_market_that_does_not_exist_is_named(sandbox: Sandbox) -> None:
    with Feed(DataType.TICKER, ["KRW-BTC", "KRW-NOSUCH"], config(sandbox.url)) as feed:
        events_of(feed, 1)

        assert "KRW-NOSUCH" in feed.silent()


def test_a_refused_port_is_the_reason_why_nothing_came() -> None:
    with Feed(DataType.TICKER, ["KRW-BTC"], config("http://127.0.0.1:1")) as feed:
        assert events_of(feed, 1, patience=1.0) == []

        assert "refused" in feed.why_nothing_came()
        assert "http://127.0.0.1:1" in feed.why_nothing_came()


def test_a_feed_that_cannot_start_leaves_nothing_behind() -> None:
    with pytest.raises(InvalidArgumentError):
        Feed(DataType.TICKER, ["BTC-KRW"], config("http://127.0.0.1:1"))
