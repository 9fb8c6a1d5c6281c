"""The handles by which a test or a demo interferes."""

from __future__ import annotations

import threading

import pytest

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.sandbox import Exchange, SandboxConfig
from upbit_ws.sandbox.exchange import FIXED_START


@pytest.fixture
def exchange() -> Exchange:
    return Exchange(SandboxConfig(manual=True, markets=["KRW-BTC", "BTC-ETH"], history_hours=1.0, rate=100.0))


def test_time_passes_when_told(exchange: Exchange) -> None:
    assert exchange.now == FIXED_START
    assert exchange.tick() == []

    assert exchange.advance(5) > 0
    assert exchange.now == FIXED_START + 5
    assert exchange.until_next_event() is None


def test_the_same_configuration_gives_the_same_trades(exchange: Exchange) -> None:
    twin = Exchange(SandboxConfig(manual=True, markets=["KRW-BTC", "BTC-ETH"], history_hours=1.0, rate=100.0))
    exchange.advance(5)
    for _ in range(50):
        twin.advance(0.1)

    assert exchange.trades("KRW-BTC") == twin.trades("KRW-BTC")


def test_a_trade_has_the_price_volume_and_side_asked_for(exchange: Exchange) -> None:
    made = exchange.trade("KRW-BTC", price=170_000_000, volume=0.5, side="BID")

    assert (made.price, made.volume, made.side) == (170_000_000.0, 0.5, "BID")
    assert exchange.price("KRW-BTC") == 170_000_000.0
    assert exchange.trades("KRW-BTC")[-1] == made
    assert repr(made) == f"<Trade KRW-BTC BID {1.7e8:.8g} x 0.5 #{made.sequential_id}>"
    assert exchange.trades("KRW-BTC", since=made.sequential_id) == []
    assert len({made, exchange.trades("KRW-BTC")[-1]}) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"code": "KRW-NOPE"}, "code"),
        ({"code": "KRW-BTC", "side": "buy"}, "side"),
        ({"code": "KRW-BTC", "price": 170_000_001}, "price"),
        ({"code": "KRW-BTC", "price": -1}, "price"),
        ({"code": "KRW-BTC", "volume": 0}, "volume"),
    ],
)
def test_what_no_exchange_would_do_is_refused(exchange: Exchange, arguments: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        exchange.trade(**arguments)  # type: ignore[arg-type]


def test_time_does_not_go_back(exchange: Exchange) -> None:
    with pytest.raises(InvalidArgumentError, match="seconds"):
        exchange.advance(-1)


def test_markets_are_listed_and_delisted(exchange: Exchange) -> None:
    exchange.list_market("KRW-NEW", price=1_234)
    assert exchange.markets == ["KRW-BTC", "BTC-ETH", "KRW-NEW"]
    assert exchange.price("KRW-NEW") == pytest.approx(1_234, rel=0.05)

    exchange.delist_market("KRW-NEW")
    assert exchange.markets == ["KRW-BTC", "BTC-ETH"]
    with pytest.raises(InvalidArgumentError, match="KRW-NEW"):
        exchange.delist_market("KRW-NEW")
    with pytest.raises(InvalidArgumentError, match="multiple of 1"):
        exchange.list_market("KRW-ODD", price=1_234.5)
    assert "KRW-ODD" not in exchange.markets


def test_whoever_interferes_wakes_the_server() -> None:
    woken: list[bool] = []
    exchange = Exchange(SandboxConfig(manual=True, markets=["KRW-BTC"]), wake=lambda: woken.append(True))
    exchange.trade("KRW-BTC")
    exchange.advance(1)
    exchange.list_market("KRW-NEW")

    assert len(woken) == 3
    assert repr(exchange) == "<Exchange 2 markets, 0 connections>"


def test_any_thread_may_interfere(exchange: Exchange) -> None:
    def work() -> None:
        for _ in range(50):
            exchange.trade("KRW-BTC")
            exchange.advance(0.001)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ids = [made.sequential_id for made in exchange.trades("KRW-BTC")]
    assert len(set(ids)) == len(ids) >= 200
    assert exchange.now == pytest.approx(FIXED_START + 0.2)
