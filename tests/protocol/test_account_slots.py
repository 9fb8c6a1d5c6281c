"""Slots of private and info streams: each event once, and silence is no sign that something is wrong."""

from __future__ import annotations

import orjson
import pytest
from attrs import evolve

from tests.account_events import order_event
from tests.samples import messages
from upbit_ws.events import AnnouncementEvent, IndicatorEvent
from upbit_ws.models import decode_event
from upbit_ws.protocol import account_slots as module
from upbit_ws.protocol.account_slots import AccountSlot, event_identity, is_account, slot_for
from upbit_ws.protocol.slots import Entry, TradeSlot
from upbit_ws.types import DataType, StreamKey

NEWS = StreamKey(DataType.ANNOUNCEMENT, "")


def entry(text: str, at: float = 1.0, epoch: int = 1) -> Entry:
    return text.encode(), (at, epoch)


def texts(slot: AccountSlot) -> list[str]:
    return [payload.decode() for payload, _ in slot.entries()]


def test_private_and_info_streams_have_slots_of_their_own() -> None:
    assert isinstance(slot_for(NEWS, 10), AccountSlot)
    assert isinstance(slot_for(StreamKey(DataType.TRADE, "KRW-BTC"), 10), TradeSlot)


def test_it_stands_when_the_exchange_has_confirmed_it_though_nothing_came() -> None:
    slot = AccountSlot(NEWS, 10)
    assert not slot.is_ready
    slot.established_in = 1
    assert slot.is_ready


def test_it_stands_when_something_came() -> None:
    slot = AccountSlot(NEWS, 10)
    assert slot.take_identified(entry("a", epoch=3), b"", b"1")

    assert slot.is_ready
    assert (slot.epoch, slot.revision, texts(slot)) == (3, 1, ["a"])


def test_an_event_counts_once_and_its_second_coming_vouches_anew() -> None:
    slot = AccountSlot(NEWS, 10)
    slot.take_identified(entry("a", at=1.0), b"", b"1")
    taken = slot.take_identified(entry("a", at=2.0, epoch=2), b"", b"1")

    assert not taken
    assert (slot.duplicates, slot.revision, texts(slot)) == (1, 1, ["a"])
    assert slot.current is not None
    assert slot.current[1] == (1.0, 2)


def test_only_so_many_identities_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDENTITIES_KEPT", 2)
    slot = AccountSlot(NEWS, 1)
    for name in ("1", "2", "3"):
        slot.take_identified(entry(name), b"", name.encode())

    assert not slot.take_identified(entry("3"), b"", b"3")
    assert slot.take_identified(entry("1"), b"", b"1")


def test_what_tells_two_events_apart() -> None:
    listed = decode_event(orjson.dumps(messages()["announcement.DEFAULT"][0]))
    value = decode_event(orjson.dumps(messages()["indicator.DEFAULT.rsi"][0]))
    assert isinstance(listed, AnnouncementEvent)
    assert isinstance(value, IndicatorEvent)
    same = [listed, evolve(listed, title="another"), value, evolve(value, timestamp=value.timestamp + 1)]
    other = [evolve(listed, event_type="another"), evolve(value, candle_date_time_utc="another")]

    assert len({event_identity(event) for event in same}) == 2
    assert len({event_identity(event) for event in same + other}) == 4


def test_orders_are_told_apart_by_their_own_book() -> None:
    with pytest.raises(TypeError, match="MyOrderEvent is filed by the books"):
        event_identity(order_event("wait"))


def test_orders_and_balances_are_reconciled_and_news_is_not() -> None:
    assert {kind for kind in DataType if is_account(kind)} == {DataType.MY_ORDER, DataType.MY_ASSET}
