"""Indicators on their socket: when a candle closes, of what closed, for who asked."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean
from typing import Any

import pytest

from tests.samples import messages
from tests.sandbox.clients import Client
from tests.sandbox.traders import private
from upbit_ws.models import validate
from upbit_ws.sandbox import Sandbox
from upbit_ws.sandbox.tick_size import from_units

Make = Callable[..., Sandbox]
Dial = Callable[..., Client]

SMA5 = {"type": "moving_average", "params": {"type": "SMA", "period": 5}}
ABOVE = {**SMA5, "trigger": "price_cross_above"}
START = 1_790_134_800.0  # the beginning of a candle of five minutes


@pytest.fixture
def exchange(make: Make) -> Sandbox:
    """An exchange without a past, at the beginning of a candle."""
    return make(start_time=START, history_hours=0.0, markets=["KRW-BTC", "KRW-ETH", "BTC-ETH"])


def asks(dial: Dial, sandbox: Sandbox, *indicators: Any, type: str = "indicator", **more: Any) -> Client:
    client = private(dial, sandbox, "/info")
    options = {"codes": ["KRW-BTC"], "timeframe": "5m", **more}
    client.subscribe({"type": type, "indicators": list(indicators), **options})
    assert client.so_far() == []
    return client


def close(sandbox: Sandbox, *prices: int, code: str = "KRW-BTC") -> None:
    """Candles of five minutes that close at these prices."""
    for price in prices:
        sandbox.exchange.trade(code, price)
        sandbox.exchange.advance(300.0)


def test_an_average_is_told_once_there_are_enough_closed_candles(exchange: Sandbox, dial: Dial) -> None:
    client = asks(dial, exchange, SMA5)
    prices = [163_900_000, 163_901_000, 163_905_000, 163_902_000, 163_903_000]
    close(exchange, *prices[:4])
    assert client.so_far() == []
    close(exchange, prices[4])
    exchange.exchange.advance(1.0)
    assert client.so_far() == []
    exchange.exchange.advance(0.1)
    (message,) = client.so_far()

    assert message["value"] == {"value": fmean(prices)}
    assert message["candle_date_time_utc"] == "2026-09-23T04:00:00"
    assert message["timestamp"] == 1_790_136_301_096
    assert (message["params"], message["timeframe"]) == ({"type": "SMA", "period": 5}, "5m")
    assert validate(message) == []


def test_messages_look_like_the_published_ones(exchange: Sandbox, dial: Dial) -> None:
    client = asks(dial, exchange, SMA5)
    signals = asks(dial, exchange, ABOVE, type="indicator_signal")
    close(exchange, *[163_900_000] * 5, 163_800_000, 164_500_000)
    exchange.exchange.advance(2.0)

    samples = messages()
    assert list(client.so_far()[-1]) == list(samples["indicator.DEFAULT.rsi"][0])
    (signal,) = signals.so_far()
    published = samples["indicator_signal.DEFAULT"][0]
    assert list(signal) == list(published)
    assert list(signal["params"]) == list(published["params"])
    assert {name: signal[name] for name in ("params", "trigger", "event_params")} == {
        name: published[name] for name in ("params", "trigger", "event_params")
    }


def test_simple_names_are_the_published_ones(exchange: Sandbox, dial: Dial) -> None:
    client = private(dial, exchange, "/info")
    wanted = {"type": "indicator_signal", "codes": ["KRW-BTC"], "timeframe": "5m", "indicators": [ABOVE]}
    client.subscribe(wanted, format="SIMPLE")
    client.so_far()
    close(exchange, *[163_900_000] * 5, 163_800_000, 164_500_000)
    exchange.exchange.advance(2.0)
    (signal,) = client.so_far()

    published = messages()["indicator_signal.SIMPLE"][0]
    assert list(signal) == list(published)
    assert (signal["p"], signal["ep"], list(signal["v"])) == ({"t": "SMA", "p": 5}, {}, ["value"])


def test_a_signal_comes_when_its_condition_becomes_true_and_not_while_it_is(exchange: Sandbox, dial: Dial) -> None:
    client = asks(dial, exchange, ABOVE, {**SMA5, "trigger": "price_cross_below"}, type="indicator_signal")
    base = 163_900_000
    close(exchange, base, base, base, base, base)  # equal: neither above nor below
    for price in (base - 10_000, base + 50_000, base + 60_000, base - 90_000):
        close(exchange, price)
    exchange.exchange.advance(2.0)

    told = [(message["trigger"], message["candle_date_time_utc"][11:16]) for message in client.so_far()]
    assert told == [("price_cross_above", "04:10"), ("price_cross_below", "04:20")]


def test_a_period_without_a_trade_has_nothing_to_tell(exchange: Sandbox, dial: Dial) -> None:
    client = asks(dial, exchange, {"type": "rsi", "params": {"period": 2}})
    close(exchange, 163_900_000, 163_901_000, 163_902_000)
    exchange.exchange.advance(600.0)
    close(exchange, 163_903_000)
    exchange.exchange.advance(2.0)

    assert [message["candle_date_time_utc"][11:16] for message in client.so_far()] == ["03:50", "04:05"]


def test_days_close_at_midnight(make: Make, dial: Dial) -> None:
    sandbox = make(start_time=START, history_hours=100.0, markets=["KRW-BTC"])
    client = asks(dial, sandbox, {"type": "rsi", "params": {"period": 2}}, timeframe="1d")
    sandbox.exchange.trade("KRW-BTC")
    sandbox.exchange.advance(86_400.0)
    (message,) = client.so_far()
    assert message["candle_date_time_utc"] == "2026-09-23T00:00:00"


def test_what_is_computed_is_what_rest_tells_of_the_candles(make: Make, dial: Dial) -> None:
    sandbox = make(start_time=START - 1_234, history_hours=10.0, rate=2.0, markets=["KRW-BTC"])
    client = asks(dial, sandbox, SMA5, {"type": "volume", "params": {"period": 5}}, timeframe="15m")
    sandbox.exchange.advance(7_200.0)
    book = sandbox.exchange.market.listings["KRW-BTC"].candles
    closed = book.before("15m", None, 1_000)[1:]  # the newest is still open
    average, volume = client.so_far()[-2:]

    assert average["value"]["value"] == pytest.approx(fmean(from_units(candle.close) for candle in closed[:5]))
    assert volume["value"]["volume"] == from_units(closed[0].volume)


@pytest.mark.parametrize("code", ["KRW-NOPE", "krw-btc", "BTC-ETH"])
def test_codes_that_have_none_are_silent(exchange: Sandbox, dial: Dial, code: str) -> None:
    client = asks(dial, exchange, {"type": "rsi", "params": {"period": 2}}, codes=[code])
    for name in ("KRW-BTC", "BTC-ETH"):
        close(exchange, *[exchange.exchange.price(name)] * 4, code=name)  # type: ignore[list-item]
    assert client.so_far() == []


def test_each_combination_is_told_once_to_each_who_wants_it(exchange: Sandbox, dial: Dial) -> None:
    rsi = {"type": "rsi", "params": {"period": 2}}
    twice, other = asks(dial, exchange, rsi, rsi), asks(dial, exchange, {"type": "rsi", "params": {"period": 3}})
    both = asks(dial, exchange, rsi, codes=["KRW-BTC", "KRW-ETH"])
    close(exchange, *[163_900_000] * 3)
    exchange.exchange.advance(2.0)

    assert [len(client.so_far()) for client in (twice, other, both)] == [1, 0, 1]


def test_an_unsupported_parameter_refuses_the_whole_request(exchange: Sandbox, dial: Dial) -> None:
    client = private(dial, exchange, "/info")
    wanted = {"type": "indicator", "codes": ["KRW-BTC"], "timeframe": "5m"}
    client.subscribe({**wanted, "indicators": [SMA5, {"type": "rsi", "params": {"period": 99}}]})

    assert client.next()["error"]["name"] == "INVALID_PARAM"
    assert client.close_code() == 1000


def test_more_than_a_hundred_combinations_are_too_many(exchange: Sandbox, dial: Dial) -> None:
    client = private(dial, exchange, "/info")
    wanted = {"type": "indicator", "timeframe": "5m", "indicators": [SMA5, SMA5]}
    client.subscribe({**wanted, "codes": ["KRW-BTC"] * 51})

    assert client.next()["error"]["name"] == "TOO_MANY_REQUEST"
    assert client.close_code() == 1000


def test_what_is_missing_is_named(exchange: Sandbox, dial: Dial) -> None:
    client = private(dial, exchange, "/info")
    client.subscribe({"type": "indicator", "timeframe": "5m", "indicators": [SMA5]})
    assert client.next()["error"]["name"] == "NO_CODES"


def test_subscriptions_are_listed_with_their_indicators(exchange: Sandbox, dial: Dial) -> None:
    client = asks(dial, exchange, ABOVE, type="indicator_signal")
    client.send({"method": "LIST_SUBSCRIPTIONS"}, ticket="mine")
    assert client.next()["result"] == [
        {"type": "indicator_signal", "codes": ["KRW-BTC"], "timeframe": "5m", "indicators": [ABOVE]}
    ]


def test_in_real_time_they_come_by_themselves(make: Make, dial: Dial) -> None:
    sandbox = make(start_time=START + 297.9, history_hours=5.0, rate=50.0, manual=False, markets=["KRW-BTC"])
    client = asks(dial, sandbox, {"type": "rsi", "params": {"period": 2}})
    assert client.next(8.0)["candle_date_time_utc"] == "2026-09-23T03:40:00"
