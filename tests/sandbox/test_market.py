"""The market: consistent in itself, the same for the same seed, and on its cadence."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upbit_ws.sandbox.candles import STREAM_UNITS, period_start
from upbit_ws.sandbox.catalogue import market_specs, named_specs
from upbit_ws.sandbox.market import Market, MarketOptions
from upbit_ws.sandbox.records import BookRecord, CandleRecord, MarketEvent, TickerRecord, TradeRecord
from upbit_ws.sandbox.tick_size import SCALE, is_on_grid

START = 1_790_134_742_000.0
MIDNIGHT = 1_790_208_000_000
CODES = ["KRW-BTC", "KRW-XRP", "KRW-SHIB", "BTC-ETH", "USDT-BTC"]


def make(codes: list[str] | None = None, now: float = START, **options: object) -> Market:
    settings = {"rate": 100.0, "history_hours": 2.0, **options}
    return Market(named_specs(codes or CODES), now=now, options=MarketOptions(**settings))  # type: ignore[arg-type]


def of(events: list[MarketEvent], kind: type, code: str = "KRW-BTC") -> list:  # type: ignore[type-arg]
    return [event for event in events if isinstance(event, kind) and event.code == code]


def test_the_same_seed_gives_the_same_market_however_time_is_cut() -> None:
    whole = make().advance(5)
    market = make()
    pieces = [event for _ in range(500) for event in market.advance(0.01)]

    assert [type(event) for event in whole] == [type(event) for event in pieces]
    assert [e for e in whole if isinstance(e, TradeRecord)] == [e for e in pieces if isinstance(e, TradeRecord)]
    assert make(seed=2).advance(5) != whole


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1_000), st.sampled_from([20.0, 400.0]))
def test_books_are_sorted_uncrossed_and_on_the_price_grid(seed: int, rate: float) -> None:
    market = make(seed=seed, rate=rate)
    events = market.advance(3)

    for book in (event for event in events if isinstance(event, BookRecord)):
        asks, bids = [price for price, _ in book.asks], [price for price, _ in book.bids]
        assert asks == sorted(set(asks))
        assert bids == sorted(set(bids), reverse=True)
        assert bids[0] < asks[0]
        assert all(size > 0 for _, size in (*book.asks, *book.bids))
        quote = book.code.partition("-")[0]
        assert all(is_on_grid(quote, price) for price in (*asks, *bids))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1_000))
def test_a_ticker_follows_every_trade_and_has_its_price(seed: int) -> None:
    market = make(seed=seed, history_hours=0.0)
    events = market.advance(20)

    for code in CODES:
        trades = of(events, TradeRecord, code)
        last: TradeRecord | None = None
        for event in events:
            if event.code == code and isinstance(event, TradeRecord):
                last = event
            if event.code == code and isinstance(event, TickerRecord):
                assert last is not None
                assert (event.price, event.size, event.side) == (last.price, last.size, last.side)
        ticker = market.listings[code].ticker(int(market.now))
        assert ticker.volume == ticker.volume_24h == sum(trade.size for trade in trades)
        assert ticker.value == ticker.value_24h == sum(trade.price * trade.size for trade in trades)
        assert ticker.ask_volume == sum(trade.size for trade in trades if trade.side == "ASK")
        assert ticker.ask_volume + ticker.bid_volume == ticker.volume
        if trades:
            prices = [trade.price for trade in trades]
            assert (ticker.opening, ticker.high, ticker.low) == (prices[0], max(prices), min(prices))


def test_the_past_adds_up_as_well() -> None:
    market = make(history_hours=30.0)
    listing = market.listings["KRW-BTC"]
    ticker = listing.ticker(int(market.now))
    today = [trade for trade in listing.trades if trade.timestamp >= MIDNIGHT - 86_400_000]
    yesterday = [trade for trade in listing.trades if trade.timestamp < MIDNIGHT - 86_400_000]

    assert len(listing.trades) > 100
    assert ticker.volume == sum(trade.size for trade in today)
    assert ticker.opening == today[0].price
    assert ticker.prev_close == yesterday[-1].price == today[-1].prev_close
    assert ticker.volume_24h > ticker.volume


def test_what_is_older_than_a_day_leaves_the_24_hour_sums() -> None:
    market = make(["KRW-BTC"], rate=0.0, history_hours=0.0)
    market.trade("KRW-BTC", size=SCALE)
    market.advance(86_400 - 60)
    market.trade("KRW-BTC", size=3 * SCALE)
    assert market.listings["KRW-BTC"].ticker(int(market.now)).volume_24h == 4 * SCALE

    market.advance(180)

    assert market.listings["KRW-BTC"].ticker(int(market.now)).volume_24h == 3 * SCALE


def test_at_midnight_the_last_price_becomes_the_previous_close() -> None:
    market = make(["KRW-BTC"], now=MIDNIGHT - 5_000.0, rate=0.0)
    before = market.listings["KRW-BTC"].price
    market.trade("KRW-BTC", price=before + 5_000 * SCALE)
    events = market.advance(5.5)

    (ticker,) = of(events, TickerRecord)
    assert ticker.prev_close == ticker.opening == ticker.high == ticker.low == before + 5_000 * SCALE
    assert ticker.volume == ticker.value == 0
    assert ticker.volume_24h > 0
    (trade, after, *_) = market.trade("KRW-BTC", price=before)
    assert isinstance(after, TickerRecord)
    assert after.opening == after.high == trade.price == before  # type: ignore[union-attr]
    assert after.prev_close == before + 5_000 * SCALE


def test_books_come_on_a_grid_of_100_ms_with_a_phase_of_each_pair() -> None:
    events = make(rate=2_000.0).advance(5)
    phases = {code: {book.timestamp % 100 for book in of(events, BookRecord, code)} for code in CODES}

    assert all(len(found) == 1 for found in phases.values())
    assert len(set(map(frozenset, phases.values()))) > 1
    times = [book.timestamp for book in of(events, BookRecord)]
    assert times == sorted(set(times))


def test_a_book_is_shown_only_when_it_changed() -> None:
    market = make(rate=0.0)
    assert market.advance(60) == []

    market.trade("KRW-BTC")
    shown = of(market.advance(60), BookRecord)

    assert len(shown) == 1


def test_candles_come_once_a_second_and_only_after_trades() -> None:
    market = make(["KRW-BTC"], rate=0.0)
    market.trade("KRW-BTC")
    market.trade("KRW-BTC")

    candles = of(market.advance(1.0), CandleRecord)

    assert [candle.unit for candle in candles] == list(STREAM_UNITS)
    assert of(market.advance(10.0), CandleRecord) == []


def test_candles_are_made_of_the_trades_that_were_told() -> None:
    market = make(["KRW-BTC"], rate=50.0, history_hours=0.0)
    events = market.advance(130)
    told = {(c.unit, c.start): c for c in of(events, CandleRecord)}
    trades = of(events, TradeRecord)

    for unit in ("1s", "1m"):
        starts = {period_start(unit, trade.timestamp) for trade in trades}
        final = {start for start in starts if start + 1_000 <= market.now}
        assert {start for told_unit, start in told if told_unit == unit} >= final
        for start in final - {max(starts)}:
            inside = [trade for trade in trades if period_start(unit, trade.timestamp) == start]
            assert told[unit, start].volume == sum(trade.size for trade in inside)
            assert told[unit, start].close == inside[-1].price


@pytest.mark.parametrize("late", [False, True])
def test_a_late_final_candle_comes_a_tick_after_its_successor(late: bool) -> None:
    market = make(["KRW-BTC"], now=1_790_134_799_200.0, rate=0.0, history_hours=0.0, late_final_candle=late)
    market.trade("KRW-BTC")
    market.advance(0.5)
    starts = [market.now // 60_000 * 60_000]
    market._candles_due += 1_000  # the tick slips, so that both minutes are told by the same one
    market.advance(0.6)
    market.trade("KRW-BTC")
    starts.append(market.now // 60_000 * 60_000)

    told = [candle.start for candle in of(market.advance(3), CandleRecord) if candle.unit == "1m"]

    assert told == (starts[::-1] if late else starts)


def test_ids_are_the_time_and_a_counter_and_unique() -> None:
    trades = of(make(rate=3_000.0).advance(5), TradeRecord)
    ids = [trade.sequential_id for trade in trades]

    assert len(set(ids)) == len(ids)
    assert all(trade.sequential_id // 10_000 == trade.timestamp for trade in trades)
    assert ids != sorted(ids), "inside one millisecond the ids do not follow the order"
    assert [number // 10_000 for number in ids] == sorted(number // 10_000 for number in ids)


def test_trades_are_told_twice_when_asked_for() -> None:
    trades = of(make(duplicate_trades=1.0).advance(5), TradeRecord)

    assert set(Counter(trade.sequential_id for trade in trades).values()) == {2}


@pytest.mark.parametrize("rate", [50.0, 1_000.0, 5_000.0])
@pytest.mark.parametrize("count", [30, 400])
def test_the_rate_is_what_was_asked_for(rate: float, count: int) -> None:
    market = Market(market_specs(count=count), now=START, options=MarketOptions(rate=rate, history_hours=0.0))
    seconds = max(2_000 / rate, 1.0)
    events = market.advance(seconds)

    counted = sum(not isinstance(event, CandleRecord) for event in events)

    assert counted / seconds == pytest.approx(rate, rel=0.25)


def test_without_a_rate_nothing_happens() -> None:
    assert make(rate=0.0).advance(3_600) == []


@pytest.mark.parametrize("side", ["ASK", "BID"])
@pytest.mark.parametrize("jump", [-0.2, -0.001, 0.0, 0.001, 0.2])
def test_a_trade_at_any_price_leaves_a_book_around_it(side: str, jump: float) -> None:
    market = make(["KRW-BTC"], rate=0.0)
    listing = market.listings["KRW-BTC"]
    price = round(listing.price / SCALE / 1_000 * (1 + jump)) * 1_000 * SCALE
    trade, ticker = market.trade("KRW-BTC", price=price, size=5 * SCALE, side=side)

    assert isinstance(trade, TradeRecord)
    assert (trade.price, trade.size, trade.side) == (price, 5 * SCALE, side)
    assert isinstance(ticker, TickerRecord)
    assert ticker.price == price
    assert not listing.book.is_crossed
    ask, bid = listing.book.asks.best, listing.book.bids.best
    assert ask is not None
    assert bid is not None
    assert bid[0] <= price <= ask[0]
    assert ask[0] - bid[0] <= 10_000 * SCALE
    assert min(len(listing.book.asks), len(listing.book.bids)) >= 40


def test_an_order_does_not_fill_beyond_its_limit() -> None:
    market = make(["KRW-BTC"], rate=0.0)
    book = market.listings["KRW-BTC"].book
    best = book.asks.best
    assert best is not None

    events = market.execute("KRW-BTC", "BID", 10**15, limit=best[0])

    assert {trade.price for trade in of(events, TradeRecord)} == {best[0]}
    assert sum(trade.size for trade in of(events, TradeRecord)) == best[1]
    assert market.execute("KRW-BTC", "BID", 10**9, limit=1) == []


def test_a_listed_market_trades_and_a_delisted_one_falls_silent() -> None:
    market = make(rate=500.0)
    (spec,) = named_specs(["KRW-NEW"])

    assert of(market.list_market(spec), TradeRecord, "KRW-NEW")
    assert market.list_market(spec) == []
    assert of(market.advance(20), TradeRecord, "KRW-NEW")
    market.delist_market("KRW-NEW")

    assert all(event.code != "KRW-NEW" for event in market.advance(20))


def test_the_last_market_may_go() -> None:
    market = make(["KRW-BTC"])
    market.delist_market("KRW-BTC")

    assert market.advance(5) == []


def test_the_memory_of_trades_is_bounded() -> None:
    market = make(["KRW-BTC"], rate=1_000.0, keep_trades=50)
    market.advance(5)

    remembered = market.trades_since("KRW-BTC")
    assert len(remembered) == 50
    middle = sorted(trade.sequential_id for trade in remembered)[24]
    assert len(market.trades_since("KRW-BTC", middle)) == 25


def test_prices_do_not_run_away() -> None:
    market = make(rate=3_000.0)
    market.advance(20)

    for listing in market.listings.values():
        assert 0.6 < listing.price / listing.spec.price < 1.6
