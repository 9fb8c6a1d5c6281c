"""Who gets what."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from tests.sandbox.clients import candle, orderbook, ticker, trade
from upbit_ws.sandbox.catalogue import named_specs
from upbit_ws.sandbox.hub import Hub, HubOptions, Reader
from upbit_ws.sandbox.market import Market, MarketOptions
from upbit_ws.sandbox.requests import Subscribe, parse_request


class World:
    """A quiet market, its hub, and one reader."""

    def __init__(self, **options: Any) -> None:
        quiet = MarketOptions(rate=0.0, history_hours=1.0)
        self.market = Market(named_specs(["KRW-BTC", "KRW-ETH"]), now=1_790_134_742_000.0, options=quiet)
        self.hub = Hub(self.market, HubOptions(**options), Random(1))
        self.reader = self.join()

    def join(self, backlog: int = 1 << 20) -> Reader:
        reader = Reader(2, backlog)
        self.hub.join(reader)
        return reader

    def ask(self, *objects: dict[str, Any], reader: Reader | None = None, deliver: bool = True) -> Any:
        request = parse_request(json.dumps([{"ticket": "x"}, *objects]))
        assert isinstance(request, Subscribe)
        reader = reader or self.reader
        pending = self.hub.subscribe(reader, request)
        if deliver:
            for burst in range(len(pending.bursts)):
                self.hub.deliver(reader, pending, burst)
        return pending

    def happen(self, code: str = "KRW-BTC", seconds: float = 0.0) -> None:
        self.hub.publish(self.market.trade(code))
        if seconds:
            self.hub.publish(self.market.advance(seconds))

    def got(self, reader: Reader | None = None) -> list[str]:
        """What came, as "type code S" or "type code R"."""
        found = []
        for outgoing in (reader or self.reader).drain():
            payload = json.loads(outgoing.payload)
            found.append(f"{payload['type']} {payload['code']} {payload['stream_type'][0]}")
        return found


def test_a_subscription_begins_with_a_snapshot_of_each_code() -> None:
    world = World()
    world.ask(ticker("KRW-BTC", "KRW-ETH"), trade("KRW-ETH"), candle("1m", "KRW-BTC"), orderbook("KRW-BTC"))

    assert world.got() == [
        "ticker KRW-BTC S",
        "ticker KRW-ETH S",
        "trade KRW-ETH S",
        "candle.1m KRW-BTC S",
        "orderbook KRW-BTC S",
    ]


def test_only_what_was_asked_for_comes() -> None:
    world = World()
    world.ask(ticker("KRW-BTC"), trade("KRW-ETH"))
    world.got()

    world.happen("KRW-BTC", 2.0)
    world.happen("KRW-ETH", 2.0)

    assert world.got() == ["ticker KRW-BTC R", "trade KRW-ETH R"]


def test_what_happens_before_the_snapshot_comes_after_it() -> None:
    world = World()
    pending = world.ask(trade("KRW-BTC"), deliver=False)
    before = world.market.listings["KRW-BTC"].last_trade
    world.happen()
    world.happen()
    assert world.got() == []

    world.hub.deliver(world.reader, pending, 0)

    told = [json.loads(outgoing.payload)["sequential_id"] for outgoing in world.reader.drain()]
    made = [record.sequential_id for record in list(world.market.listings["KRW-BTC"].trades)[-2:]]
    assert before is not None
    assert told == [before.sequential_id, *made]


def test_the_codes_come_in_as_many_bursts_as_there_are_delays() -> None:
    pending = World(bursts=2).ask(ticker("KRW-BTC", "KRW-ETH"), trade("KRW-BTC"), deliver=False)

    assert [len(burst) for burst in pending.bursts] == [2, 1]


def test_a_snapshot_can_come_after_the_first_realtime_message() -> None:
    world = World(reorder_snapshots=True)
    pending = world.ask(ticker("KRW-BTC"), deliver=False)
    world.happen()
    world.hub.deliver(world.reader, pending, 0)

    assert world.got() == ["ticker KRW-BTC R", "ticker KRW-BTC S"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"is_only_snapshot": True}, ["trade KRW-BTC S"]),
        ({"is_only_realtime": True}, ["trade KRW-BTC R"]),
        ({"is_only_snapshot": True, "is_only_realtime": True}, []),
    ],
)
def test_one_stream_alone_can_be_asked_for(flags: dict[str, bool], expected: list[str]) -> None:
    world = World()
    world.ask(trade("KRW-BTC", **flags))
    world.happen()

    assert world.got() == expected


def test_a_new_request_replaces_the_old_one() -> None:
    world = World()
    world.ask(trade("KRW-BTC"))
    late = world.ask(trade("KRW-BTC"), deliver=False)
    world.ask(ticker("KRW-ETH"))
    world.got()
    world.hub.deliver(world.reader, late, 0)
    world.happen("KRW-BTC")
    world.happen("KRW-ETH")

    assert world.got() == ["ticker KRW-ETH R"]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_of_the_old_subscription_a_few_messages_may_follow(most: int) -> None:
    counts = set()
    world = World(stale_frames=most)
    for _ in range(30):
        world.ask(trade("KRW-BTC"))
        world.ask(ticker("KRW-ETH"))
        world.got()
        for _ in range(4):
            world.happen("KRW-BTC")
        counts.add(len(world.got()))

    assert counts == set(range(most + 1))


def test_nothing_is_on_its_way_for_ever() -> None:
    world = World(stale_frames=2)
    for _ in range(10):
        world.ask(trade("KRW-BTC"))
        pending = world.ask(ticker("KRW-ETH"))
        world.got()
        world.hub.end_stale(world.reader, pending.generation)
        world.happen("KRW-BTC")
        assert world.got() == []


def test_two_objects_of_one_type_are_both_served() -> None:
    world = World()
    world.ask(orderbook("KRW-BTC"), orderbook("KRW-ETH", "KRW-ETH"))

    assert world.got() == ["orderbook KRW-BTC S", "orderbook KRW-ETH S"]


@pytest.mark.parametrize("code", ["KRW-NOPE", "krw-btc", "BTC-KRW", ""])
def test_an_unknown_code_is_silent(code: str) -> None:
    world = World()
    world.ask(*(make(code) for make in (ticker, trade, orderbook)), candle("1m", code))

    assert world.got() == []


def test_a_silent_code_speaks_once_it_is_listed() -> None:
    world = World()
    world.ask(ticker("KRW-NEW"))
    world.hub.publish(world.market.list_market(named_specs(["KRW-NEW"])[0]))

    assert world.got() == ["ticker KRW-NEW R"]


def test_a_book_is_not_sent_to_who_would_see_no_change() -> None:
    world = World()
    narrow, wide, grouped = (world.join() for _ in range(3))
    world.ask(orderbook("KRW-BTC.1"), reader=narrow)
    world.ask(orderbook("KRW-BTC"), reader=wide)
    world.ask(orderbook("KRW-BTC.5", level=100_000_000), reader=grouped)
    book = world.market.listings["KRW-BTC"].book
    price = book.asks.price_at(7)
    book.asks.add(price, 1)
    world.market.touch_book("KRW-BTC")
    world.hub.publish(world.market.advance(1))

    assert world.got(narrow) == ["orderbook KRW-BTC S"]
    assert world.got(wide) == ["orderbook KRW-BTC S", "orderbook KRW-BTC R"]
    assert world.got(grouped) == ["orderbook KRW-BTC S", "orderbook KRW-BTC R"]


@pytest.mark.parametrize(
    "unsupported", [orderbook("KRW-BTC", level=12_345), orderbook("KRW-BTC", level=1), orderbook("KRW-BTC", level=1e30)]
)
def test_an_unsupported_level_is_silent(unsupported: dict[str, Any]) -> None:
    world = World()
    world.ask(unsupported)
    world.happen("KRW-BTC", 2.0)

    assert world.got() == []


def test_one_payload_serves_all_readers_of_a_format() -> None:
    world = World()
    readers = [world.join() for _ in range(3)]
    for reader in readers:
        world.ask(ticker("KRW-BTC", is_only_realtime=True), reader=reader)
    world.happen()

    assert len({id(reader.drain()[0]) for reader in readers}) == 1


def test_a_reader_that_does_not_keep_up_is_lost() -> None:
    world = World()
    reader = world.join(backlog=2_000)
    world.ask(ticker("KRW-BTC"), reader=reader)
    for _ in range(5):
        world.happen()

    assert reader.overflowed
    assert not world.reader.overflowed


@pytest.mark.parametrize(
    ("until", "after_request", "after_reconnect"),
    [(None, [], []), ("request", ["ticker KRW-BTC S"], ["ticker KRW-BTC S"]), ("reconnect", [], ["ticker KRW-BTC S"])],
)
def test_muteness_ends_as_chosen(until: str | None, after_request: list[str], after_reconnect: list[str]) -> None:
    world = World()
    world.ask(ticker("KRW-BTC"))
    world.got()
    world.hub.mute(True, until)
    world.happen()
    assert world.got() == []

    world.ask(ticker("KRW-BTC"))
    assert world.got() == after_request

    newcomer = world.join()
    world.ask(ticker("KRW-BTC"), reader=newcomer)
    assert world.got(newcomer) == after_reconnect

    world.hub.mute(False)
    world.happen()
    assert world.got() == ["ticker KRW-BTC R"]


def test_what_was_sent_is_counted() -> None:
    world = World()
    world.ask(ticker("KRW-BTC"))
    world.happen()

    assert world.hub.sent == world.reader.sent == {("ticker", "KRW-BTC"): 2}


def test_who_left_costs_nothing() -> None:
    world = World()
    world.ask(ticker("KRW-BTC"))
    world.hub.leave(world.reader)
    world.reader.drain()
    world.happen()

    assert world.got() == []
    assert world.hub._index == {}
    assert world.hub.readers == set()
