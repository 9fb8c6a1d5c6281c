"""Balances: by the exchange's own time, and reconciled with what REST lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.account_events import asset_event, balance
from upbit_ws.protocol import my_assets as module
from upbit_ws.protocol.my_assets import MyAssets


def amounts(assets: MyAssets) -> dict[str, tuple[object, object]]:
    return {currency: (asset.balance, asset.locked) for currency, asset in assets.balances().items()}


def test_the_newest_change_counts_for_each_currency_by_itself() -> None:
    assets = MyAssets()
    assets.take(asset_event(balance("KRW", 5), balance("BTC", 1), at=10))
    assets.take(asset_event(balance("KRW", 7, 2), at=20, uuid="a2"))

    assert amounts(assets) == {"KRW": (7, 2), "BTC": (1, 0)}


def test_an_event_that_comes_late_is_told_and_does_not_set_a_balance_back() -> None:
    assets = MyAssets()
    assets.take(asset_event(balance("KRW", 7), at=20))
    late = asset_event(balance("KRW", 5), balance("ETH", 3), at=10, uuid="a2")

    assert assets.take(late) is late
    assert amounts(assets) == {"KRW": (7, 0), "ETH": (3, 0)}


def test_an_event_counts_once() -> None:
    assets = MyAssets()
    event = asset_event(balance("KRW", 5))

    assert [assets.take(event), assets.take(event)] == [event, None]
    assert assets.duplicates == 1


def test_rest_replaces_everything_and_says_what_that_changed() -> None:
    assets = MyAssets()
    assets.take(asset_event(balance("KRW", 5), balance("BTC", 1), balance("ETH", 2)))

    changed = assets.reconcile([balance("KRW", 9), balance("BTC", 1), balance("XRP", 4)], assets.revision, now=50)

    assert changed is not None
    assert changed.stream_type == "RECOVERED"
    assert {asset.currency: asset.balance for asset in changed.assets} == {"KRW": 9, "XRP": 4, "ETH": 0}
    assert assets.reconcile([balance("KRW", 9), balance("BTC", 1), balance("XRP", 4)], assets.revision, now=60) is None


def test_where_rest_could_not_be_read_to_the_end_what_it_does_not_list_stays() -> None:
    assets = MyAssets()
    assets.take(asset_event(balance("KRW", 5), balance("ETH", 2)))

    changed = assets.reconcile([balance("KRW", 9)], assets.revision, now=50, is_whole=False)

    assert changed is not None
    assert [asset.currency for asset in changed.assets] == ["KRW"]
    assert amounts(assets) == {"KRW": (9, 0), "ETH": (2, 0)}


def test_what_came_while_rest_was_asked_stays() -> None:
    assets = MyAssets()
    assets.take(asset_event(balance("KRW", 5), at=10))
    asked_at = assets.revision
    assets.take(asset_event(balance("KRW", 3), at=20, uuid="a2"))

    assert assets.reconcile([balance("KRW", 5), balance("BTC", 1)], asked_at, now=50) is not None
    assert amounts(assets) == {"KRW": (3, 0), "BTC": (1, 0)}


def test_a_balance_from_rest_gives_way_to_the_next_event() -> None:
    assets = MyAssets()
    assets.reconcile([balance("KRW", 5)], 0, now=50)
    assets.take(asset_event(balance("KRW", 4), at=10))

    assert amounts(assets) == {"KRW": (4, 0)}


@given(st.permutations(range(1, 8)), st.data())
def test_any_order_of_events_ends_with_the_newest(order: list[int], data: st.DataObject) -> None:
    assets = MyAssets()
    for at in (*order, *data.draw(st.lists(st.sampled_from(order)))):
        assets.take(asset_event(balance("KRW", at), at=at, uuid=f"a{at}"))

    assert amounts(assets) == {"KRW": (7, 0)}


def test_it_knows_how_many_currencies_it_holds_and_only_so_many_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDS_KEPT", 2)
    assets = MyAssets()
    for number in range(1, 4):
        assets.take(asset_event(balance("KRW", number), balance("BTC", number), at=number, uuid=f"a{number}"))

    assert len(assets) == 2
    assert assets.take(asset_event(balance("KRW", 3), at=3, uuid="a3")) is None
    assert assets.take(asset_event(balance("KRW", 1), at=1, uuid="a1")) is not None
    assert amounts(assets)["KRW"] == (3, 0)
