"""The routing table: immutable, ordered, shared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.protocol.data_routing_engine import DataRoutingEngine
from upbit_ws.types import DataType, StreamKey

BTC, ETH = StreamKey(DataType.TICKER, "KRW-BTC"), StreamKey(DataType.TICKER, "KRW-ETH")
ORDERS, ALL_ORDERS = StreamKey(DataType.MY_ORDER, "KRW-BTC"), StreamKey(DataType.MY_ORDER, "")
ASSETS = StreamKey(DataType.MY_ASSET, "")


def test_a_table_is_replaced_and_never_edited() -> None:
    before: DataRoutingEngine[str] = DataRoutingEngine()
    after = before.rerouted("one", [BTC], [])

    assert before.subscribers(BTC) == ()
    assert after.subscribers(BTC) == ("one",)


def test_subscribers_stand_in_the_order_in_which_they_came_and_once() -> None:
    table = DataRoutingEngine[str]().rerouted("one", [BTC], []).rerouted("other", [BTC], []).rerouted("one", [BTC], [])

    assert table.subscribers(BTC) == ("one", "other")


def test_keys_with_the_same_subscribers_share_one_tuple() -> None:
    table = DataRoutingEngine[str]().rerouted("one", [BTC, ETH], []).rerouted("other", [BTC, ETH], [])

    assert table.subscribers(BTC) is table.subscribers(ETH)


def test_a_key_without_subscribers_is_gone() -> None:
    table = DataRoutingEngine[str]().rerouted("one", [BTC, ETH], []).rerouted("one", [], [BTC])

    assert (table.keys, len(table)) == (frozenset({ETH}), 1)


def test_who_wants_every_market_gets_the_events_of_each_once() -> None:
    table = DataRoutingEngine[str]().rerouted("one", [ORDERS], []).rerouted("all", [ALL_ORDERS], [])
    table = table.rerouted("both", [ORDERS, ALL_ORDERS], [])

    assert table.subscribers(ORDERS) == ("one", "both", "all")
    assert table.subscribers(StreamKey(DataType.MY_ORDER, "KRW-ETH")) == ("all", "both")
    assert table.rerouted("all", [], [ALL_ORDERS]).rerouted("both", [], [ALL_ORDERS]).by_type == {}


def test_a_type_without_codes_is_a_stream_like_any_other() -> None:
    table = DataRoutingEngine[str]().rerouted("one", [ASSETS], [])

    assert table.subscribers(ASSETS) == ("one",)
    assert table.by_type == {}


_KEYS = st.sets(st.sampled_from([BTC, ETH, ORDERS, ALL_ORDERS, ASSETS]))


@given(st.lists(st.tuples(st.sampled_from("abc"), _KEYS, _KEYS)))
def test_it_says_the_same_as_a_set_of_pairs(steps: list[tuple[str, set[StreamKey], set[StreamKey]]]) -> None:
    table, pairs = DataRoutingEngine[str](), set[tuple[str, StreamKey]]()
    for who, added, removed in steps:
        table = table.rerouted(who, added - removed, removed)
        pairs -= {(who, key) for key in removed}
        pairs |= {(who, key) for key in added - removed}
    for key in (BTC, ETH, ORDERS, ASSETS):
        expected = {who for who, wanted in pairs if wanted == key or (key == ORDERS and wanted == ALL_ORDERS)}
        assert set(table.subscribers(key)) == expected
        assert len(table.subscribers(key)) == len(expected)
    assert table.keys == {key for _, key in pairs}
