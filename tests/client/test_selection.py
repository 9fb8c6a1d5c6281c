"""From what is registered to the slots that are read: remembered, and never an orphan."""

from __future__ import annotations

import pytest

from upbit_ws import DataType, GlobalWebSocketManager, NotSubscribedError
from upbit_ws.client.interests import Interest, Interests
from upbit_ws.client.selection import Selection
from upbit_ws.types import Endpoint, StreamKey

TICKER, TRADE = DataType.TICKER, DataType.TRADE


@pytest.fixture
def selection(manager: GlobalWebSocketManager) -> Selection:
    made = Selection("me", manager)
    made.interests = Interests().with_added([TICKER], Interest(symbols=("KRW-BTC", "KRW-ETH")))
    return made


def test_codes_and_slots_stand_side_by_side(selection: Selection) -> None:
    chosen = selection.choose(TICKER, None)

    assert chosen.symbols == ("KRW-BTC", "KRW-ETH")
    assert [slot.key for slot in chosen.slots] == [StreamKey(TICKER, "KRW-BTC"), StreamKey(TICKER, "KRW-ETH")]
    assert selection.choose(TICKER, None) is chosen
    assert selection.choose(TICKER, ["KRW-ETH"]).slots == (chosen.slots[1],)
    assert selection.one(TICKER, "krw-eth") is chosen.slots[1]
    assert selection.everything() == list(chosen.slots)


def test_what_is_not_registered_is_refused(selection: Selection) -> None:
    with pytest.raises(NotSubscribedError, match="KRW-XRP"):
        selection.choose(TICKER, ["KRW-BTC", "KRW-XRP"])
    with pytest.raises(NotSubscribedError, match="TRADE"):
        selection.choose(TRADE, None)


def test_a_slot_chosen_before_its_key_is_admitted_is_the_pools_own(
    selection: Selection, manager: GlobalWebSocketManager
) -> None:
    early = selection.one(TICKER, "KRW-BTC")

    manager.pool.admit(Endpoint.PUBLIC, [StreamKey(TICKER, "KRW-BTC")], 1)

    assert manager.pool.slot(StreamKey(TICKER, "KRW-BTC")) is early


def test_a_slot_that_was_forgotten_meanwhile_is_looked_up_again(
    selection: Selection, manager: GlobalWebSocketManager
) -> None:
    before = selection.one(TICKER, "KRW-BTC")
    manager.pool.forget_except(Endpoint.PUBLIC, (), 1)
    manager.pool.admit(Endpoint.PUBLIC, [StreamKey(TICKER, "KRW-BTC")], 2)

    after = selection.one(TICKER, "KRW-BTC")

    assert after is not before
    assert after is manager.pool.slot(StreamKey(TICKER, "KRW-BTC"))


def test_a_pattern_is_what_the_list_of_markets_says_now(selection: Selection, manager: GlobalWebSocketManager) -> None:
    selection.interests = Interests().with_added([TICKER], Interest(symbols=("KRW-*", "BTC-ETH")))
    assert selection.choose(TICKER, None).symbols == ("BTC-ETH",)
    directory = manager._markets._directory

    directory.replace(["KRW-BTC", "KRW-ETH", "BTC-ETH"])
    assert selection.choose(TICKER, None).symbols == ("KRW-BTC", "KRW-ETH", "BTC-ETH")
    assert selection.choose(TICKER, ["KRW-*"]).symbols == ("KRW-BTC", "KRW-ETH")
    directory.replace(["KRW-ETH"])

    assert selection.choose(TICKER, None).symbols == ("KRW-ETH", "BTC-ETH")


def test_an_interest_that_changed_means_other_slots(selection: Selection) -> None:
    selection.choose(TICKER, None)

    selection.interests = selection.interests.without([TICKER], ["KRW-BTC"])

    assert selection.choose(TICKER, None).symbols == ("KRW-ETH",)
