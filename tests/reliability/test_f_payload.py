"""Section F: messages that are not what the exchange documents, between others that are."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.reliability.loss import Loss
from tests.reliability.payloads import BEGIN, BTC, book, error_frame, ticker, trade
from tests.reliability.rig import Rig, Subject, wait_until
from tests.reliability.scripts import attend, good, greet, then
from tests.samples import raw
from upbit_ws.exceptions import AuthenticationError, DataTimeoutError, RequestRejectedError
from upbit_ws.lifecycle import BackingOff, Disconnected, RequestRejected
from upbit_ws.shared.data_pool_manager import PoolCounters
from upbit_ws.testing import Conversation
from upbit_ws.types import DataType, Endpoint, StreamKey, WireFormat

Record = Callable[..., None]


def between(rig: Rig, *payloads: bytes, data_types: Any = "ticker", **sections: Any) -> Subject:
    """A client that got these payloads between a ticker of 1.0 and one of 9.0, and has read the last."""
    everything = (ticker(1), *payloads, ticker(9))
    subject = rig.connect(rig.serve(good(*everything)), data_types, **sections)
    subject.await_price(9.0)
    assert subject.status.epoch == 1, "the connection is kept"
    return subject


def counters(subject: Subject) -> PoolCounters:
    return subject.manager.pool.counters()


def replaced(payload: bytes, old: bytes, new: bytes) -> bytes:
    assert payload.count(old) == 1
    return payload.replace(old, new)


def test_F1_what_is_not_json(rig: Rig, record: Record) -> None:
    whole = ticker(5)
    bad = (b"not json", whole[:200], b"\xef\xbb\xbf" + whole, b"", b"[]", b"17", b"[1, 2]")
    subject = between(rig, *bad)
    kept = subject.manager.rejected_payloads()
    assert [payload.sample for payload in kept] == [payload[:2048] for payload in bad]
    assert all(payload.reason for payload in kept)
    assert counters(subject).undecodable + counters(subject).unknown == len(bad)


def test_F1_bytes_behind_the_end_are_found_when_somebody_pulls(rig: Rig, record: Record) -> None:
    subject = rig.connect(rig.serve(good(ticker(1), ticker(5) + b"}")))
    subject.client.get_price(BTC, timeout=5.0)
    wait_until(lambda: subject.manager.get_connection_metrics()[0].messages == 2, "the second")
    assert subject.client.get_price(BTC) == 1.0
    assert counters(subject).undecodable == 1


def test_F1_a_feed_of_nothing_but_garbage_is_no_feed(rig: Rig, record: Record) -> None:
    def garbage(talk: Conversation) -> None:
        greet(talk, ticker(1))
        while True:
            talk.send_frame(b"\xff\xff not json")
            talk.pause(0.02)

    subject = rig.connect(
        rig.serve(garbage, good(ticker(2))),
        connection={"ping_interval": 30.0, "mute_floor": 0.5, "snapshot_timeout": 0.3},
    )
    lost = subject.await_event(Disconnected)
    assert lost.reason.endswith("mute")
    subject.await_price(2.0)
    record("F1", figure="single ones counted and kept with a reason; nothing but garbage counts as mute")


def test_F2_json_nested_too_deep(rig: Rig, record: Record) -> None:
    deep = b'{"type":"ticker","code":"KRW-BTC","a":' + b"[" * 2000 + b"]" * 2000 + b"}"
    subject = between(rig, deep, b"[" * 100_000)
    assert counters(subject).undecodable == 2
    record("F2", figure="2,000 and 100,000 levels: counted, no recursion")


def test_F3_fields_that_nobody_knows_yet(rig: Rig, record: Record) -> None:
    def script(talk: Conversation) -> None:
        greet(talk, ticker(7, brand_new={"a": [1, None]}, flag=True))
        attend(talk)

    subject = rig.connect(rig.serve(script))
    subject.await_price(7.0)
    event = subject.client.get_ticker_data()[BTC]
    assert dict(event.extra) == {"brand_new": {"a": [1, None]}, "flag": True}
    record("F3", figure="2 of 2 in `extra`")


def test_F4_fields_that_are_missing(rig: Rig, record: Record) -> None:
    fields = json.loads(ticker(5))
    stump = {name: value for name, value in fields.items() if name != "high_price"}
    script = then(lambda talk: greet(talk, ticker(1), json.dumps(stump, separators=(",", ":")).encode()), attend)
    subject = rig.connect(rig.serve(script))
    subject.client.get_price(BTC, timeout=5.0)
    wait_until(lambda: subject.manager.pool.slot(_key(subject)).revision == 2, "the second")
    event = subject.client.get_ticker_data()[BTC]
    assert event.trade_price == 1.0, "the good one stands"
    reading = subject.client.snapshot("ticker", BTC)
    assert reading.event is event
    assert counters(subject).undecodable == 1
    assert "high_price" in subject.manager.rejected_payloads()[0].reason
    record("F4", figure="counted, named, the value before it stands")


def _key(subject: Subject) -> StreamKey:
    return subject.client._selection.one(DataType.TICKER, BTC).key


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ((b'"trade_price":5.0', b'"trade_price":null'), 1.0),
        ((b'"trade_price":5.0', b'"trade_price":"5.0"'), 1.0),
        ((b'"trade_price":5.0', b'"trade_price":NaN'), 1.0),
        ((b'"trade_price":5.0', b'"trade_price":Infinity'), 1.0),
        ((b'"trade_price":5.0', b'"trade_price":[5.0]'), 1.0),
        ((b'"trade_price":5.0', b'"trade_price":true'), 1.0),
        ((b'"trade_price":5.0', b'"trade_price":99999999999999999999'), 1e20),
        ((b'"trade_price":5.0', b'"trade_price":4.0,"trade_price":5.0'), 5.0),
        ((b'"trade_price":5.0', b'"trade_price":5'), 5.0),
    ],
)
def test_F5_values_of_the_wrong_kind(rig: Rig, record: Record, change: tuple[bytes, bytes], outcome: float) -> None:
    odd = replaced(ticker(5), *change)
    subject = rig.connect(rig.serve(good(ticker(1), odd)))
    subject.client.get_price(BTC, timeout=5.0)
    wait_until(lambda: counters(subject).messages == 2, "the second")
    price = subject.client.get_price(BTC)
    assert price == pytest.approx(outcome)
    assert isinstance(price, float)
    assert math.isfinite(price)
    event = subject.client.get_ticker_data()[BTC]
    assert event.trade_price == price
    assert counters(subject).undecodable == (1 if outcome == 1.0 else 0)
    record(
        "F5",
        figure="6 kinds refused and counted, the value before stands; too large an integer is a float; of doubles the last counts",
    )


def test_F6_types_and_markets_that_nobody_asked_for(rig: Rig, record: Record) -> None:
    strange = replaced(ticker(5), b'"type":"ticker"', b'"type":"futures"')
    nameless = b'{"hello":"world"}'
    subject = between(rig, strange, nameless, ticker(6, code="KRW-DOGE"), trade(3))
    found = counters(subject)
    assert (found.unknown, found.unwanted, found.undecodable) == (2, 2, 0)
    record("F6", figure="2 unknown and 2 unwanted, counted")


NAMES = ["WRONG_FORMAT", "NO_TICKET", "NO_TYPE", "NO_CODES", "INVALID_PARAM", "SOMETHING_NEW"]


@pytest.mark.parametrize("name", NAMES)
def test_F7_an_error_frame_reaches_whoever_waits(rig: Rig, record: Record, name: str) -> None:
    def refuse(talk: Conversation) -> None:
        greet(talk)
        talk.send_frame(error_frame(name, "잘못된 요청입니다"))
        talk.pause(0.02)
        talk.send_close(1000)
        talk.wait_for_end()

    subject = rig.connect(rig.serve(refuse))
    with pytest.raises(RequestRejectedError) as caught:
        subject.client.get_price(BTC, timeout=10.0)
    assert (caught.value.name, caught.value.message) == (name, "잘못된 요청입니다")
    event = subject.events(RequestRejected)[0]
    assert event.name == name
    record("F7", figure=f"{len(NAMES)} names as RequestRejectedError with name and message")


def test_F7_an_error_frame_about_keys(rig: Rig, record: Record) -> None:
    def refuse(talk: Conversation) -> None:
        greet(talk)
        talk.send_frame(error_frame("INVALID_AUTH", "인증에 실패했습니다"))
        talk.pause(0.02)
        talk.send_close(1000)
        talk.wait_for_end()

    subject = rig.connect(rig.serve(refuse), ["myAsset"], ())
    with pytest.raises(AuthenticationError) as caught:
        subject.client.get_my_assets(timeout=10.0)
    assert caught.value.name == "INVALID_AUTH"
    record("F7", figure=f"{len(NAMES)} names as RequestRejectedError, INVALID_AUTH as AuthenticationError")


def test_F8_status_messages(rig: Rig, record: Record) -> None:
    status = b'{"status":"UP"}'
    subject = between(rig, status, status)
    assert counters(subject) == PoolCounters(4, *[0] * (len(PoolCounters.__attrs_attrs__) - 1))
    reading = subject.client.snapshot("ticker", BTC)
    assert reading.age is not None
    record("F8", figure="2 of 2 ignored and no data; they prove that the line is alive")


def test_F9_all_formats_on_one_connection(rig: Rig, record: Record) -> None:
    default, simple = raw("ticker.DEFAULT"), raw("ticker.SIMPLE")
    spellings = (default, simple, b"[" + default + b"]", b"[" + simple + b"]")
    numbered = [
        spelling.replace(b"1676965262177", str(BEGIN + number).encode()).replace(b"32287000", b"%d" % (100 + number))
        for number, spelling in enumerate(spellings)
    ]
    subject = rig.connect(rig.serve(good(*numbered)), connection={"wire_format": WireFormat.SIMPLE_LIST})
    subject.await_price(103.0)
    events = subject.client.get_ticker_history(BTC)
    assert [event.trade_price for event in events] == [100.0, 101.0, 102.0, 103.0]
    assert counters(subject).undecodable == 0
    record("F9", figure="4 of 4 spellings read on one connection")


def test_F10_the_same_trade_twice(rig: Rig, record: Record) -> None:
    subject = rig.connect(rig.serve(good(trade(1), trade(2), trade(2), trade(1), trade(3))), "trade")
    wait_until(lambda: counters(subject).messages == 5, "five messages")
    assert [event.sequential_id for event in subject.client.get_trade_history(BTC)] == [1, 2, 3]
    assert counters(subject).duplicates == 2
    record("F10", figure="2 of 2 counted, history 1, 2, 3")


def test_F11_out_of_order(rig: Rig, record: Record) -> None:
    messages = (ticker(5), ticker(3), ticker(4), trade(5), trade(3), trade(4))
    subject = rig.connect(rig.serve(good(*messages)), ["ticker", "trade"])
    wait_until(lambda: counters(subject).messages == 6, "six messages")
    assert subject.client.get_price(BTC) == 5.0
    assert subject.client.get_trade_data()[BTC].sequential_id == 5
    assert sorted(event.sequential_id for event in subject.client.get_trade_history(BTC)) == [3, 4, 5]
    assert counters(subject).older == 2
    record("F11", figure="the newest stands; 2 older tickers counted, 3 of 3 trades kept")


def test_F12_a_snapshot_that_comes_behind_something_newer(rig: Rig, record: Record) -> None:
    late = ticker(3, stream_type="SNAPSHOT")
    subject = rig.connect(rig.serve(good(ticker(5), late)))
    wait_until(lambda: counters(subject).messages == 2, "two messages")
    event = subject.client.get_ticker_data()[BTC]
    assert (event.trade_price, event.stream_type) == (5.0, "REALTIME")
    record("F12", figure="the newer value stands")


def test_F13_a_message_of_a_connection_that_is_over(rig: Rig, record: Record) -> None:
    loss = Loss(rig, Conversation.end)
    loss.check_return()
    subject = loss.subject
    barrier = threading.Barrier(2)

    def deliver() -> None:
        barrier.wait()
        for number in range(100):
            subject.manager.pool.ingest(Endpoint.PUBLIC, 1, [ticker(100 + number)], subject.manager.clock())

    # What an I/O thread would do that was stopped in mid-batch and goes on after its connection was replaced.
    straggler = threading.Thread(target=deliver, name="straggler")
    straggler.start()
    barrier.wait()
    straggler.join()
    assert subject.price() == 3.0
    assert counters(subject).stale == 100
    record("F13", figure="100 of 100 dropped and counted")


@pytest.mark.parametrize("stamp", [BEGIN + 300_000, BEGIN - 300_000, 0, -1, 10**15, 1])
def test_F14_a_server_whose_clock_is_wrong(rig: Rig, record: Record, stamp: int) -> None:
    rig.invariants.waive("I3")  # what is newer, nobody can say with such clocks
    subject = rig.connect(rig.serve(good(ticker(1, timestamp=stamp, trade_timestamp=stamp))))
    subject.client.get_price(BTC, timeout=5.0)
    reading = subject.client.snapshot("ticker", BTC)
    assert reading.age is not None
    assert 0.0 <= reading.age < 5.0
    assert reading.event.timestamp == stamp
    assert subject.client.get_price(BTC, max_age=5.0) == 1.0
    record("F14", figure="6 clocks, no effect on ages", bound="ages from 0 s")


def test_F15_one_very_large_message(rig: Rig, record: Record) -> None:
    large = book(units=14_000)
    assert 850_000 < len(large) < 1 << 20
    subject = rig.connect(rig.serve(good(large)), "orderbook")
    event = subject.client.get_orderbook_data(timeout=10.0)[BTC]
    assert len(event.orderbook_units) == 14_000
    assert subject.events(BackingOff) == []
    record("F15", figure=f"{len(large):,} bytes, 14,000 of 14,000 units")


def test_a_pull_that_gets_only_garbage_says_so(rig: Rig) -> None:
    subject = rig.connect(rig.serve(good(b"garbage")))
    with pytest.raises(DataTimeoutError):
        subject.client.get_price(BTC, timeout=0.2)
