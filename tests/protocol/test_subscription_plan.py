"""Many wishes become one request."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.wants import CROSS, OVERBOUGHT, RSI, RSI_HOURLY, SMA, any_endpoint, key, public_wants, want
from upbit_ws.protocol.subscription_plan import Plan, bisect, covers, merge_wants, plan_wants
from upbit_ws.types import DataType, Endpoint, Want, WireFormat

T, B, C1, C5 = DataType.TICKER, DataType.ORDERBOOK, DataType.CANDLE_1M, DataType.CANDLE_5M


def _plan(*wants: Want) -> Plan:
    plan = plan_wants(wants)
    assert plan is not None
    return plan


def _objects(*wants: Want) -> list[dict[str, Any]]:
    """The type objects of the request for these wishes."""
    ticket, *objects, wire_format = orjson.loads(_plan(*wants).request("t"))
    assert ticket == {"ticket": "t"}
    assert wire_format == {"format": "DEFAULT"}
    return objects


class TestRequest:
    def test_it_is_the_ticket_then_the_types_then_the_format(self) -> None:
        plan = _plan(want(T, "KRW-BTC"), want(T, "KRW-ETH"), want(DataType.TRADE, "KRW-BTC"))
        assert plan.request("abc", WireFormat.SIMPLE) == (
            b'[{"ticket":"abc"},{"type":"ticker","codes":["KRW-BTC","KRW-ETH"]},{"type":"trade","codes":["KRW-BTC"]},'
            b'{"format":"SIMPLE"}]'
        )

    def test_each_candle_unit_is_a_type_of_its_own(self) -> None:
        assert _objects(want(C5, "KRW-BTC"), want(C1, "KRW-BTC")) == [
            {"type": "candle.1m", "codes": ["KRW-BTC"]},
            {"type": "candle.5m", "codes": ["KRW-BTC"]},
        ]

    def test_the_depth_of_a_book_is_a_suffix_except_for_the_full_one(self) -> None:
        assert _objects(
            want(B, "KRW-BTC", units=1), want(B, "KRW-ETH", units=30), want(B, "KRW-SOL"), want(B, "KRW-XRP", units=15)
        ) == [{"type": "orderbook", "codes": ["KRW-BTC.1", "KRW-ETH", "KRW-SOL", "KRW-XRP.15"]}]

    def test_levels_go_into_objects_of_their_own(self) -> None:
        assert _objects(want(B, "KRW-BTC"), want(B, "KRW-BTC", 10_000.0), want(B, "KRW-SHIB", 0.5)) == [
            {"type": "orderbook", "codes": ["KRW-BTC"]},
            {"type": "orderbook", "codes": ["KRW-BTC"], "level": 10_000},
            {"type": "orderbook", "codes": ["KRW-SHIB"], "level": 0.5},
        ]

    def test_flags_are_sent_only_when_needed_and_in_snake_case(self) -> None:
        assert _objects(want(T, "KRW-BTC"), want(T, "KRW-ETH", realtime=False), want(T, "KRW-XRP", snapshot=False)) == [
            {"type": "ticker", "codes": ["KRW-BTC"]},
            {"type": "ticker", "codes": ["KRW-ETH"], "is_only_snapshot": True},
            {"type": "ticker", "codes": ["KRW-XRP"], "is_only_realtime": True},
        ]

    def test_private_types_never_carry_flags_and_assets_no_codes(self) -> None:
        wants = (want(DataType.MY_ORDER, "KRW-BTC", snapshot=False), want(DataType.MY_ASSET, realtime=False))
        assert _objects(*wants) == [{"type": "myOrder", "codes": ["KRW-BTC"]}, {"type": "myAsset"}]

    def test_orders_of_all_markets_name_none(self) -> None:
        assert _objects(want(DataType.MY_ORDER), want(DataType.MY_ORDER, "KRW-BTC")) == [{"type": "myOrder"}]

    def test_announcements_carry_their_options(self) -> None:
        options = {"categories": ["trade", "notice"], "include_body": True}
        assert _objects(want(DataType.ANNOUNCEMENT, options=options)) == [
            {"type": "announcement", "categories": ["notice", "trade"], "include_body": True}
        ]

    def test_codes_that_want_the_same_indicators_share_an_object(self) -> None:
        indicator = DataType.INDICATOR
        assert _objects(
            *(want(indicator, code, variant) for code in ("KRW-BTC", "KRW-ETH") for variant in (RSI, SMA)),
            want(indicator, "KRW-XRP", RSI),
            want(indicator, "KRW-BTC", RSI_HOURLY),
        ) == [
            {
                "type": "indicator",
                "codes": ["KRW-BTC", "KRW-ETH"],
                "timeframe": "5m",
                "indicators": [
                    {"type": "moving_average", "params": {"period": 20, "type": "SMA"}},
                    {"type": "rsi", "params": {"period": 14}},
                ],
            },
            {
                "type": "indicator",
                "codes": ["KRW-XRP"],
                "timeframe": "5m",
                "indicators": [{"type": "rsi", "params": {"period": 14}}],
            },
            {
                "type": "indicator",
                "codes": ["KRW-BTC"],
                "timeframe": "60m",
                "indicators": [{"type": "rsi", "params": {"period": 14}}],
            },
        ]

    def test_signals_carry_their_trigger_and_its_parameters_when_it_has_some(self) -> None:
        signal = DataType.INDICATOR_SIGNAL
        (item,) = _objects(want(signal, "KRW-BTC", OVERBOUGHT), want(signal, "KRW-BTC", CROSS))
        assert item["indicators"] == [
            {"type": "moving_average", "params": {"period": 5, "type": "SMA"}, "trigger": "price_cross_above"},
            {"type": "rsi", "params": {"period": 7}, "trigger": "overbought", "event_params": {"threshold": 70}},
        ]

    @given(any_endpoint)
    def test_a_request_names_everything_once_and_nothing_else(self, wants: list[Want]) -> None:
        plan = plan_wants(wants)
        if plan is None:
            assert not wants
            return
        named = []
        for item in orjson.loads(plan.request("t"))[1:-1]:
            for code in item.get("codes", [""]):
                variants = item.get("indicators", [item.get("level")])
                times = item.get("timeframe")
                named += [(item["type"], code.partition(".")[0], f"{times} {variant}") for variant in variants]
        assert len(named) == len(set(named))
        assert {name for name, _, _ in named} == {want.key.data_type.wire_name for want in wants}
        wanted = {want.key for want in wants}
        if key(DataType.MY_ORDER) in wanted:
            wanted = {k for k in wanted if k.data_type is not DataType.MY_ORDER or not k.symbol}
        assert len(named) == len(wanted)


class TestMerging:
    @pytest.mark.parametrize(("one", "other", "both"), [(1, 5, 5), (15, 5, 15), (1, None, None), (5, 30, None)])
    def test_the_deeper_book_is_asked_for(self, one: int | None, other: int | None, both: int | None) -> None:
        assert _plan(want(B, "KRW-BTC", units=one), want(B, "KRW-BTC", units=other)).wants[0].units == both

    @pytest.mark.parametrize("one", [(True, False), (False, True), (True, True)])
    @pytest.mark.parametrize("other", [(True, False), (False, True), (True, True)])
    def test_each_part_is_asked_for_that_anybody_wants(self, one: tuple[bool, bool], other: tuple[bool, bool]) -> None:
        merged = _plan(
            *(want(T, "KRW-BTC", snapshot=snapshot, realtime=realtime) for snapshot, realtime in (one, other))
        )
        assert (merged.wants[0].snapshot, merged.wants[0].realtime) == (one[0] or other[0], one[1] or other[1])

    def test_filters_add_up_and_no_filter_beats_them(self) -> None:
        news = DataType.ANNOUNCEMENT
        one, other = ({"categories": ("notice",)}, {"categories": ("trade", "notice")})
        assert _objects(want(news, options=one), want(news, options=other))[0]["categories"] == ["notice", "trade"]
        assert _objects(want(news, options=one), want(news)) == [{"type": "announcement"}]
        assert _objects(want(news, options=one), want(news, options={"categories": ()})) == [{"type": "announcement"}]

    def test_a_switch_is_on_where_anybody_has_it_on(self) -> None:
        news = DataType.ANNOUNCEMENT
        merged = _objects(want(news, options={"include_body": True}), want(news, options={"include_body": False}))
        assert merged == [{"type": "announcement", "include_body": True}]
        assert _objects(want(news, options={"include_body": False})) == [{"type": "announcement"}]

    def test_other_options_that_differ_settle_on_one_of_them(self) -> None:
        news = DataType.ANNOUNCEMENT
        wants = [want(news, options={"lang": "ko"}), want(news, options={"lang": "en"})]
        assert _objects(*wants) == _objects(*reversed(wants)) == [{"type": "announcement", "lang": "ko"}]

    def test_equal_wishes_stay_as_they_are(self) -> None:
        one = want(B, "KRW-BTC", units=5)
        assert merge_wants(one, want(B, "KRW-BTC", units=5)) is one

    @given(any_endpoint, st.randoms(use_true_random=False))
    def test_the_order_of_wishes_does_not_matter(self, wants: list[Want], random: Any) -> None:
        shuffled = list(wants)
        random.shuffle(shuffled)
        one, other = plan_wants(wants), plan_wants(shuffled)
        assert one == other
        assert one is None or other is None or one.request("t") == other.request("t")

    @given(any_endpoint, any_endpoint)
    def test_merging_in_two_steps_is_merging_in_one(self, some: list[Want], others: list[Want]) -> None:
        first = plan_wants(some)
        assert plan_wants([*(first or ()), *others]) == plan_wants([*some, *others])

    @given(any_endpoint)
    def test_merging_twice_changes_nothing(self, wants: list[Want]) -> None:
        assert plan_wants([*wants, *wants]) == plan_wants(wants)

    def test_nothing_wanted_is_no_plan(self) -> None:
        assert plan_wants([]) is None
        assert plan_wants([want(T, "KRW-BTC", snapshot=False, realtime=False)]) is None


class TestPlan:
    def test_it_knows_its_keys_and_its_endpoint(self) -> None:
        plan = _plan(want(DataType.MY_ASSET), want(DataType.MY_ORDER, "KRW-BTC"))
        assert plan.keys == {key(DataType.MY_ASSET), key(DataType.MY_ORDER, "KRW-BTC")}
        assert plan.endpoint is Endpoint.PRIVATE
        assert len(plan) == 2
        assert [wish.key.data_type for wish in plan] == [DataType.MY_ORDER, DataType.MY_ASSET]

    def test_parts_of_it_are_plans(self) -> None:
        plan = _plan(want(T, "KRW-BTC"), want(T, "KRW-ETH"))
        assert plan.only({key(T, "KRW-BTC")}) == _plan(want(T, "KRW-BTC"))
        assert plan.without([key(T, "KRW-BTC"), key(T, "KRW-XRP")]) == _plan(want(T, "KRW-ETH"))
        assert plan.only(()) is None
        assert plan.without(plan.keys) is None

    def test_the_difference_of_two_plans(self) -> None:
        before = _plan(want(T, "KRW-BTC"), want(T, "KRW-ETH"), want(B, "KRW-BTC", units=5))
        after = _plan(want(T, "KRW-ETH"), want(T, "KRW-XRP"), want(B, "KRW-BTC", units=15))
        diff = after.diff(before)
        assert diff.added == {key(T, "KRW-XRP")}
        assert diff.removed == {key(T, "KRW-BTC")}
        assert diff.changed == {key(B, "KRW-BTC")}
        assert diff
        assert not after.diff(after)
        assert after.diff(None).added == after.keys

    @pytest.mark.parametrize(
        ("wants", "is_watchable"),
        [
            ([want(T, "KRW-BTC")], True),
            ([want(T, "KRW-BTC", realtime=False)], False),
            ([want(T, "KRW-BTC", snapshot=False)], False),
            ([want(T, "KRW-BTC", snapshot=False), want(T, "KRW-ETH", realtime=False)], True),
            ([want(DataType.MY_ORDER), want(DataType.MY_ASSET)], False),
            ([want(DataType.INDICATOR, "KRW-BTC", RSI)], False),
        ],
    )
    def test_only_what_answers_and_goes_on_can_be_watched(self, wants: list[Want], is_watchable: bool) -> None:
        assert _plan(*wants).is_watchable is is_watchable

    def test_combinations_of_code_and_indicator_are_counted(self) -> None:
        wants = [want(DataType.INDICATOR, code, variant) for code in ("KRW-BTC", "KRW-ETH") for variant in (RSI, SMA)]
        assert _plan(*wants, want(DataType.INDICATOR_SIGNAL, "KRW-BTC", OVERBOUGHT)).indicator_combinations == 5
        assert _plan(want(T, "KRW-BTC")).indicator_combinations == 0


class TestBisect:
    def test_type_objects_are_parted_before_codes(self) -> None:
        plan = _plan(want(T, "KRW-BTC"), want(T, "KRW-ETH"), want(C1, "KRW-BTC"), want(C5, "KRW-BTC"))
        assert bisect(plan) == (
            _plan(want(T, "KRW-BTC"), want(T, "KRW-ETH")),
            _plan(want(C1, "KRW-BTC"), want(C5, "KRW-BTC")),
        )

    def test_codes_of_one_object_are_halved(self) -> None:
        plan = _plan(*(want(T, code) for code in ("KRW-A", "KRW-B", "KRW-C")))
        assert bisect(plan) == (_plan(want(T, "KRW-A")), _plan(want(T, "KRW-B"), want(T, "KRW-C")))

    def test_a_single_key_has_no_halves(self) -> None:
        with pytest.raises(ValueError, match="no halves"):
            bisect(_plan(want(T, "KRW-BTC")))

    @given(public_wants)
    def test_halves_are_disjoint_and_lose_nothing(self, wants: list[Want]) -> None:
        plan = plan_wants(wants)
        if plan is not None and len(plan) > 1:
            first, second = bisect(plan)
            assert Plan.of([*first, *second]) == plan
            assert not first.keys & second.keys


@pytest.mark.parametrize(
    ("asked", "wish", "expected"),
    [
        ({}, {}, True),
        ({}, {"categories": ("trade",)}, True),
        ({"categories": ("trade",)}, {}, False),
        ({"categories": ("trade", "notice")}, {"categories": ("notice",)}, True),
        ({"categories": ("trade",)}, {"categories": ("notice",)}, False),
        ({"include_body": True}, {}, True),
        ({}, {"include_body": True}, False),
        ({"include_body": True}, {"include_body": False}, True),
    ],
)
def test_what_is_asked_for_is_enough_for_a_wish_that_adds_nothing_to_it(
    asked: dict[str, Any], wish: dict[str, Any], expected: bool
) -> None:
    notices = key(DataType.ANNOUNCEMENT)
    [present] = _plan(Want(notices, options=asked)).wants

    assert covers(present, Want(notices, options=wish)) is expected
