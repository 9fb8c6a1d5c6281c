"""The pool: the newest value of every key and its history, whatever arrives; threads woken by their own keys only."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.payloads import SOME_TIME, candle, orderbook, ticker, trade
from upbit_ws.events import CandleEvent, OrderbookEvent, TickerEvent, TradeEvent
from upbit_ws.protocol.gap_filling import RecoveredRow
from upbit_ws.protocol.slots import Slot
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.shared.ingestion import Ingested
from upbit_ws.types import DataType, Endpoint, StreamKey, WireFormat

PUBLIC, PRIVATE = Endpoint.PUBLIC, Endpoint.PRIVATE
TICKER = StreamKey(DataType.TICKER, "KRW-BTC")
TRADE = StreamKey(DataType.TRADE, "KRW-BTC")
BOOK = StreamKey(DataType.ORDERBOOK, "KRW-BTC")
CANDLE = StreamKey(DataType.CANDLE_1M, "KRW-BTC")
KEYS = (TICKER, TRADE, BOOK, CANDLE)
FIRST = 100.0  # monotonic seconds at which things begin


class Rig:
    """A pool, one connection, and short ways to say things."""

    def __init__(self, *keys: StreamKey, history: int = 5) -> None:
        self.pool = DataPoolManager()
        self.keys = keys or KEYS
        self.pool.admit(PUBLIC, self.keys, 1)
        self.pool.keep_history(dict.fromkeys(self.keys, history))
        self.epoch = self.pool.open_epoch(PUBLIC, FIRST)

    def send(self, *payloads: bytes, at: float = FIRST, epoch: int | None = None) -> Ingested:
        return self.pool.ingest(PUBLIC, self.epoch if epoch is None else epoch, list(payloads), at)

    def slot(self, key: StreamKey = TICKER) -> Slot:
        found = self.pool.slot(key)
        assert found is not None
        return found

    def value(self, key: StreamKey = TICKER) -> Any:
        found = self.pool.event(self.slot(key))
        return None if found is None else found[0]

    def price(self, key: StreamKey = TICKER) -> float | None:
        return None if (event := self.value(key)) is None else event.trade_price

    def reconnect(self, at: float) -> int:
        self.pool.close_epoch(self.epoch, at)
        self.epoch = self.pool.open_epoch(PUBLIC, at)
        return self.epoch


@pytest.fixture
def rig() -> Rig:
    return Rig()


def broken(payload: bytes, field: str = "trade_price") -> bytes:
    """The same message with a value of the wrong kind, which only decoding finds out."""
    message = orjson.loads(payload)
    message[field] = ["?"]
    return orjson.dumps(message)


# -- filing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_each_type_is_filed_under_its_key_in_each_format(rig: Rig, wire_format: WireFormat) -> None:
    for at in (1, 2, 3):  # the first of each is parsed, the next are filed by where their fields stand
        rig.send(
            ticker(at=at, price=at, wire_format=wire_format),
            trade(at=at, price=at, wire_format=wire_format),
            orderbook(at=at, wire_format=wire_format),
            candle(at=at, price=at, wire_format=wire_format),
        )

    assert isinstance(rig.value(TICKER), TickerEvent)
    assert isinstance(rig.value(TRADE), TradeEvent)
    assert isinstance(rig.value(BOOK), OrderbookEvent)
    assert isinstance(rig.value(CANDLE), CandleEvent)
    assert [rig.price(key) for key in (TICKER, TRADE, CANDLE)] == [3.0, 3.0, 3.0]
    assert rig.value(BOOK).timestamp == SOME_TIME + 3
    assert rig.slot(TRADE).revision == 3
    assert rig.pool.rejected() == ()


def test_a_list_of_several_objects_is_taken_apart(rig: Rig) -> None:
    both = b"[" + ticker(at=1, price=5.0) + b", " + trade(at=1, price=6.0) + b"]"

    for _ in range(2):
        rig.send(both)

    assert (rig.price(TICKER), rig.price(TRADE)) == (5.0, 6.0)


def test_books_of_two_levels_are_two_streams() -> None:
    grouped = StreamKey(DataType.ORDERBOOK, "KRW-BTC", 10000)
    rig = Rig(BOOK, grouped)

    for at in (1, 3):
        rig.send(orderbook(at=at), orderbook(at=at + 1, level=10000))

    assert (rig.value(BOOK).timestamp, rig.value(BOOK).level) == (SOME_TIME + 3, 0)
    assert (rig.value(grouped).timestamp, rig.value(grouped).level) == (SOME_TIME + 4, 10000)


def test_keys_in_another_order_are_read_all_the_same(rig: Rig) -> None:
    rig.send(ticker(at=1, price=1.0))
    message = orjson.loads(ticker(at=2, price=2.0))
    turned = orjson.dumps(dict(reversed(message.items())))

    rig.send(turned)
    rig.send(turned.replace(b'"trade_price":2.0', b'"trade_price": 3.0').replace(b"000002", b"000003"))

    assert rig.price() == 3.0
    assert rig.pool.rejected() == ()


def test_replies_are_handed_out_and_never_filed(rig: Rig) -> None:
    error = b'{"error":{"name":"WRONG_FORMAT","message":"?"}}'

    result = rig.send(ticker(at=1), error, b'{"status":"UP"}', b'{"method":"LIST_SUBSCRIPTIONS","result":[]}')

    assert [sorted(control) for control in result.controls] == [["error"], ["status"], ["method", "result"]]
    assert rig.pool.rejected() == ()


def test_what_is_not_wanted_is_counted_and_not_kept(rig: Rig) -> None:
    rig.send(ticker("KRW-ETH"), ticker("KRW-ETH"), orderbook(level=5))

    assert rig.pool.counters().unwanted == 3
    assert rig.pool.slot(StreamKey(DataType.TICKER, "KRW-ETH")) is None


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"nonsense", b"\xff\xfe", b"42", b"null", b'"text"', b"[1,2]", b'[{"type":"ticker"},1]', b"\x00" * 50],
)
def test_what_is_no_message_is_counted_and_set_aside(rig: Rig, payload: bytes) -> None:
    rig.send(ticker(at=1, price=1.0), payload, ticker(at=2, price=2.0))

    assert rig.price() == 2.0
    assert rig.pool.counters().undecodable == 1
    assert rig.pool.rejected()[-1].sample == payload
    assert rig.pool.rejected()[-1].received_at == FIRST


@pytest.mark.parametrize("payload", [b'{"type":"ticker2","code":"KRW-BTC"}', b'{"ty":"x"}', b"{}", b'{"type":{}}'])
def test_an_unknown_type_is_counted_and_set_aside(rig: Rig, payload: bytes) -> None:
    rig.send(payload)

    assert rig.pool.counters().unknown == 1
    assert rig.pool.counters().undecodable == 0
    assert rig.pool.rejected()[-1].reason == "unknown type"


def test_what_is_set_aside_is_bounded(rig: Rig) -> None:
    rig.send(*(b"%d" % number for number in range(100)), b"x" * 1_000_000)

    rejected = rig.pool.rejected()
    assert rig.pool.counters().undecodable == 101
    assert len(rejected) <= 64
    assert len(rejected[-1].sample) <= 4096


@given(st.lists(st.binary(max_size=80) | st.just(ticker(at=1)) | st.just(trade(at=1)), max_size=12))
@settings(max_examples=60)
def test_no_bytes_do_harm(payloads: list[bytes]) -> None:
    rig = Rig()

    rig.send(*payloads)
    rig.send(ticker(at=2, price=7.0))

    counters = rig.pool.counters()
    assert counters.messages == len(payloads) + 1
    assert rig.price() == 7.0


# -- what does not decode ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [TICKER, TRADE, CANDLE])
@pytest.mark.parametrize("is_pulled", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_a_good_value_stays_under_payloads_that_do_not_decode(key: StreamKey, is_pulled: bool, count: int) -> None:
    write = {TICKER: ticker, TRADE: trade, CANDLE: candle}[key]
    rig = Rig(history=0)
    rig.send(write(at=1, price=1.0))
    rig.send(write(at=2, price=2.0))
    if is_pulled:
        assert rig.price(key) == 2.0
    rig.send(*(broken(write(at=3 + number)) for number in range(count)))

    assert rig.price(key) == 2.0
    assert rig.pool.price(rig.slot(key)) == 2.0
    assert rig.price(key) == 2.0
    assert rig.pool.counters().undecodable >= 1
    rig.send(write(at=9, price=9.0))
    assert rig.price(key) == rig.pool.price(rig.slot(key)) == 9.0


def test_what_was_pulled_stays_under_any_number_of_them(rig: Rig) -> None:
    rig.send(ticker(at=1, price=1.0), candle(at=1, price=1.0))
    rig.send(ticker(at=2, price=2.0), candle(at=2, price=2.0))
    assert rig.price(TICKER) == rig.price(CANDLE) == 2.0

    for at in range(3, 30):
        rig.send(broken(ticker(at=at)), broken(candle(at=at)))

    assert rig.price(TICKER) == rig.price(CANDLE) == 2.0


def test_a_bad_candle_does_not_bring_back_the_one_before(rig: Rig) -> None:
    rig.send(candle(start="2026-05-29T00:00:00", at=1, price=1.0))
    rig.send(candle(start="2026-05-29T00:01:00", at=2, price=2.0))
    rig.send(broken(candle(start="2026-05-29T00:01:00", at=3)))

    assert rig.price(CANDLE) == 2.0


def test_a_payload_that_does_not_decode_counts_once_however_often_it_is_looked_at(rig: Rig) -> None:
    rig.send(trade(at=1, price=1.0))
    rig.send(broken(trade(at=2)))

    for _ in range(3):
        assert [event.trade_price for event in rig.pool.history(rig.slot(TRADE), None)] == [1.0]
        assert rig.price(TRADE) == 1.0

    assert rig.pool.counters().undecodable == 1
    assert len(rig.pool.rejected()) == 1


def test_the_very_first_payload_may_be_bad(rig: Rig) -> None:
    rig.send(broken(ticker(at=1)))
    assert rig.value() is None
    assert rig.pool.price(rig.slot()) is None

    rig.send(ticker(at=2, price=2.0))

    assert rig.price() == 2.0
    assert rig.pool.counters().undecodable == 1


def test_a_bad_payload_right_after_a_reconnect_leaves_the_old_value(rig: Rig) -> None:
    rig.send(ticker(at=1, price=1.0))
    rig.send(ticker(at=2, price=2.0))
    rig.reconnect(200.0)

    rig.send(broken(ticker(at=3)), at=201.0)

    found = rig.pool.event(rig.slot())
    assert found is not None
    assert found[0].timestamp == SOME_TIME + 2
    assert found[1][1] == (FIRST, 1)  # the stamp of its own arrival, not of the bad one's


def test_a_price_does_not_need_an_event_and_equals_it(rig: Rig) -> None:
    rig.send(ticker(at=1, price=1.5), trade(at=1, price=2.5))

    assert rig.pool.price(rig.slot(TICKER)) == rig.price(TICKER) == 1.5
    assert rig.pool.price(rig.slot(TRADE)) == rig.price(TRADE) == 2.5
    assert rig.pool.price(rig.slot(CANDLE)) is None


# -- order ------------------------------------------------------------------------------------------------------------


def test_a_snapshot_older_than_what_is_there_does_not_replace_it(rig: Rig) -> None:
    rig.send(ticker(at=5, price=5.0))

    rig.send(ticker(at=4, price=4.0, stream="SNAPSHOT"))

    assert (rig.price(), rig.value().stream_type) == (5.0, "REALTIME")
    assert rig.pool.counters().older == 1


def test_a_server_clock_that_was_set_back_is_believed_after_eight_in_a_row(rig: Rig) -> None:
    rig.send(ticker(at=1000, price=1.0))
    rig.send(*(ticker(at=number, price=2.0) for number in range(7)))
    assert rig.price() == 1.0

    rig.send(ticker(at=8, price=3.0))

    assert rig.price() == 3.0
    rig.send(ticker(at=9, price=4.0))
    assert rig.price() == 4.0


def test_eight_stragglers_among_newer_ones_are_no_clock_set_back(rig: Rig) -> None:
    for at in range(10, 200, 10):
        rig.send(ticker(at=at, price=float(at)), ticker(at=at - 5, price=1.0))

    assert rig.price() == 190.0
    assert rig.pool.counters().older == 19


def test_a_trade_from_the_future_does_not_stand_for_ever(rig: Rig) -> None:
    rig.send(trade(at=1), trade(at=10_000_000, number=1))
    rig.send(*(trade(at=number, price=2.0) for number in range(2, 9)))
    assert rig.value(TRADE).sequential_id == 1

    rig.send(trade(at=9, price=3.0))

    assert rig.price(TRADE) == 3.0


def test_trades_are_kept_once(rig: Rig) -> None:
    rig.send(trade(at=1, number=7), trade(at=1, number=8), trade(at=1, number=7), trade(at=1, number=8))

    assert [event.sequential_id for event in rig.pool.history(rig.slot(TRADE), None)] == [7, 8]
    assert rig.pool.counters().duplicates == 2


def test_an_older_trade_joins_the_history_and_does_not_become_the_newest(rig: Rig) -> None:
    rig.send(trade(at=5, number=5))

    rig.send(trade(at=3, number=3))

    assert rig.value(TRADE).sequential_id == 5
    assert {event.sequential_id for event in rig.pool.history(rig.slot(TRADE), None)} == {3, 5}


def test_of_a_candle_the_newest_state_counts(rig: Rig) -> None:
    first, second = "2026-05-29T00:00:00", "2026-05-29T00:01:00"
    rig.send(
        candle(start=first, at=1, price=1.0),
        candle(start=first, at=2, price=2.0),
        candle(start=second, at=3, price=3.0),
        candle(start=first, at=4, price=4.0),  # the last state of the first comes late
        candle(start=second, at=2, price=9.0),  # and a snapshot of the second is behind
    )

    history = rig.pool.history(rig.slot(CANDLE), None)
    assert [(event.candle_date_time_utc, event.trade_price) for event in history] == [(first, 4.0), (second, 3.0)]
    assert rig.price(CANDLE) == 3.0


@pytest.mark.parametrize(("key", "length"), [(TICKER, 4), (TRADE, 4), (CANDLE, 4), (TRADE, 600)])
def test_histories_are_bounded(key: StreamKey, length: int) -> None:
    write: Any = {
        TICKER: lambda n: ticker(at=n, price=float(n)),
        TRADE: lambda n: trade(at=n, price=float(n)),
        CANDLE: lambda n: candle(start=f"2026-05-29T{n // 60:02d}:{n % 60:02d}:00", at=n, price=float(n)),
    }[key]
    rig = Rig(history=length)

    rig.send(*(write(number) for number in range(1000)))

    slot = rig.slot(key)
    assert [event.trade_price for event in rig.pool.history(slot, None)] == [
        float(number) for number in range(1000 - length, 1000)
    ]
    assert [event.trade_price for event in rig.pool.history(slot, 2)] == [998.0, 999.0]
    assert len(slot.entries()) == length
    if key == TRADE:
        assert len(slot.ids) <= 2 * max(512, length)


def test_a_history_of_none_gives_none(rig: Rig) -> None:
    rig = Rig(history=0)
    rig.send(ticker(at=1), ticker(at=2))

    assert rig.pool.history(rig.slot(), None) == []


def test_a_pull_of_a_part_of_a_history_looks_at_that_part_only(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.pool.keep_history({TICKER: 100})
    rig.send(*(ticker(at=number, price=float(number)) for number in range(50)))
    monkeypatch.setattr(Slot, "entries", lambda _: pytest.fail("all of it became objects"))

    assert [event.trade_price for event in rig.pool.history(rig.slot(), 2)] == [48.0, 49.0]


def test_a_history_grows_and_never_shrinks_while_wanted(rig: Rig) -> None:
    rig.pool.keep_history({TICKER: 10, TRADE: 10, CANDLE: 10, StreamKey(DataType.TICKER, "KRW-NONE"): 3})
    rig.pool.keep_history({TICKER: 2, TRADE: 2, CANDLE: 2})
    rig.send(*(ticker(at=number) for number in range(20)))

    assert len(rig.pool.history(rig.slot(), None)) == 10


# -- epochs -----------------------------------------------------------------------------------------------------------


def test_a_late_frame_of_an_old_epoch_is_dropped(rig: Rig) -> None:
    rig.send(ticker(at=1, price=1.0))
    old = rig.epoch
    rig.reconnect(101.0)
    rig.send(ticker(at=2, price=2.0), at=102.0)

    rig.send(ticker(at=3, price=3.0), epoch=old, at=103.0)

    assert rig.price() == 2.0
    assert rig.pool.counters().stale == 1


def test_whether_an_epoch_is_current_is_looked_at_inside_the_lock(rig: Rig) -> None:
    """A batch that waits for the lock while its connection is replaced comes too late."""
    rig.send(ticker(at=1, price=1.0))
    old, done = rig.epoch, threading.Event()

    def late() -> None:
        rig.send(ticker(at=9, price=9.0), epoch=old)
        done.set()

    thread = threading.Thread(target=late)
    with rig.pool._lock:
        thread.start()
        assert not done.wait(0.05)
        rig.pool._epochs.close(old, 101.0)
        rig.pool._epochs.open(PUBLIC, 101.0)
    thread.join(5.0)

    assert rig.price() == 1.0
    assert rig.pool.counters().stale == 1


def test_the_rest_of_a_batch_is_dropped_when_its_epoch_ends_while_a_part_is_parsed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.send(ticker(at=1, price=1.0))
    reject = rig.pool._reject

    def meanwhile(*arguments: Any, **options: Any) -> None:
        rig.pool.close_epoch(rig.epoch, 101.0)
        reject(*arguments, **options)

    monkeypatch.setattr(rig.pool, "_reject", meanwhile)
    rig.send(ticker(at=2, price=2.0), b"nonsense", ticker(at=3, price=3.0), ticker(at=4, price=4.0))

    assert rig.price() == 2.0
    assert rig.pool.counters().stale == 2


def test_while_two_connections_overlap_state_comes_from_the_newer_one_as_soon_as_it_has_it(rig: Rig) -> None:
    rig.send(ticker(at=1, price=1.0))
    old = rig.epoch
    rig.epoch = rig.pool.open_epoch(PUBLIC, 101.0, replaces=old)

    rig.send(ticker(at=2, price=2.0), epoch=old)
    assert rig.price() == 2.0  # the newer one has said nothing yet
    rig.send(ticker(at=3, price=3.0))
    rig.send(ticker(at=4, price=4.0), epoch=old)

    assert rig.price() == 3.0
    assert rig.slot().current is not None
    assert rig.pool.is_live(rig.slot())


def test_what_the_newer_of_two_connections_skipped_is_waited_for_on_the_older_one(rig: Rig) -> None:
    rig.send(trade(at=1, number=1))
    rig.send(trade(at=2, number=2))
    old = rig.epoch
    rig.epoch = rig.pool.open_epoch(PUBLIC, 101.0, replaces=old)
    assert rig.pool.is_settled(old)

    assert rig.send(trade(at=5, number=5)).reopened == []
    assert not rig.pool.is_settled(old)
    rig.send(trade(at=3, number=3), trade(at=4, number=4), trade(at=5, number=5), epoch=old)

    assert rig.pool.is_settled(old)
    assert rig.pool.close_epoch(old, 102.0) == []
    assert sorted(event.sequential_id for event in rig.pool.history(rig.slot(TRADE), None)) == [1, 2, 3, 4, 5]


def test_what_the_older_connection_did_not_get_to_is_a_gap(rig: Rig) -> None:
    rig.send(trade(at=1, number=1))
    rig.send(trade(at=2, number=2))
    old = rig.epoch
    rig.epoch = rig.pool.open_epoch(PUBLIC, 101.0, replaces=old)
    rig.send(trade(at=5, number=5))

    ((slot, gap),) = rig.pool.close_epoch(old, 102.0)

    assert slot is rig.slot(TRADE)
    assert gap.epoch == old
    assert rig.pool.is_settled(old)


def test_after_a_cut_a_log_that_goes_on_elsewhere_has_a_gap(rig: Rig) -> None:
    rig.send(trade(at=1, number=1))
    rig.reconnect(101.0)

    ((slot, gap),) = rig.send(trade(at=5, number=5)).reopened

    assert slot is rig.slot(TRADE)
    assert (gap.epoch, gap.identity) == (1, b"5")


def test_what_is_filled_in_later_stands_in_its_place(rig: Rig) -> None:
    rig.send(trade(at=1, number=1), trade(at=20, number=20))
    rows = [
        RecoveredRow(
            trade(at=number, number=number, stream="RECOVERED"), b"%d" % (SOME_TIME + number), b"%d" % number, (0, 0)
        )
        for number in (*range(2, 4), 20)
    ]

    taken = rig.pool.fill(rig.slot(TRADE), rows, 200.0)

    assert [orjson.loads(entry[0])["sequential_id"] for _, entry in taken] == [2, 3]
    assert [event.sequential_id for event in rig.pool.history(rig.slot(TRADE), None)] == [1, 2, 3, 20]
    assert rig.value(TRADE).sequential_id == 20
    events, revision = rig.pool.arrivals(rig.slot(TRADE), 2)
    assert ([event.sequential_id for event in events], revision) == ([2, 3], 4)
    assert rig.pool.fill(rig.slot(TRADE), rows, 201.0) == []


def test_filling_in_many_makes_none_of_them_the_newest() -> None:
    rig = Rig(history=100)
    rig.send(trade(at=1, number=1), trade(at=90, number=90))
    rows = [
        RecoveredRow(trade(at=number, number=number), b"%d" % (SOME_TIME + number), b"%d" % number, (0, 0))
        for number in range(2, 60)
    ]

    rig.pool.fill(rig.slot(TRADE), rows, 200.0)

    assert rig.value(TRADE).sequential_id == 90


def test_what_comes_for_a_slot_that_was_forgotten_meanwhile_is_unwanted(rig: Rig) -> None:
    rig.send(trade(at=1, number=1), trade(at=9, number=9))
    slot = rig.slot(TRADE)
    rig.pool.forget_except(PUBLIC, [], 1)
    rig.pool.admit(PUBLIC, [TRADE], 2)
    row = RecoveredRow(trade(at=5, number=5), b"%d" % (SOME_TIME + 5), b"5", (0, 0))

    assert not rig.pool.keeps(slot)
    assert rig.pool.fill(slot, [row], 200.0) == []
    assert (slot.revision, rig.pool.counters().unwanted) == (2, 1)
    assert rig.slot(TRADE).revision == 0


def test_filling_in_wakes_who_waits(rig: Rig) -> None:
    rig.send(trade(at=1, number=1), trade(at=9, number=9))
    thread, woken = waiting(rig, TRADE)

    rig.pool.fill(rig.slot(TRADE), [RecoveredRow(trade(at=5, number=5), b"%d" % (SOME_TIME + 5), b"5", (0, 0))], 200.0)

    assert woken.wait(5.0)
    thread.join()


def test_a_value_is_vouched_for_as_of_the_last_sign_of_life(rig: Rig) -> None:
    rig.send(ticker(at=1), at=101.0)
    assert rig.pool.vouched_at(rig.epoch) == 101.0

    rig.pool.prove_alive(rig.epoch, 110.0)
    assert rig.pool.vouched_at(rig.epoch) == 110.0
    assert rig.pool.is_live(rig.slot())

    rig.pool.suspect(rig.epoch, 105.0)
    rig.pool.prove_alive(rig.epoch, 120.0)
    assert rig.pool.vouched_at(rig.epoch) == 105.0
    assert not rig.pool.is_live(rig.slot())

    rig.pool.trust(rig.epoch)
    assert rig.pool.is_live(rig.slot())
    rig.pool.close_epoch(rig.epoch, 130.0)
    assert not rig.pool.is_live(rig.slot())
    assert rig.pool.vouched_at(rig.epoch) == 120.0


def test_after_a_reconnect_a_value_is_live_again_with_its_snapshot(rig: Rig) -> None:
    rig.send(ticker(at=5, price=5.0))
    epoch = rig.reconnect(200.0)
    assert not rig.pool.is_live(rig.slot())
    assert not rig.pool.has_delivered(TICKER, epoch)

    rig.send(ticker(at=4, price=4.0, stream="SNAPSHOT"), at=201.0)  # behind what is known, yet a sign of this stream

    assert rig.pool.is_live(rig.slot())
    assert rig.pool.has_delivered(TICKER, epoch)
    assert rig.price() == 5.0


@pytest.mark.parametrize("key", [TRADE, CANDLE])
def test_a_known_log_entry_as_snapshot_makes_its_stream_live_again(rig: Rig, key: StreamKey) -> None:
    write = trade if key == TRADE else candle
    rig.send(write(at=5))
    epoch = rig.reconnect(200.0)

    rig.send(write(at=5), at=201.0)

    assert rig.pool.has_delivered(key, epoch)
    assert rig.pool.is_live(rig.slot(key))
    assert rig.slot(key).revision == 1


def test_a_key_that_never_delivered_is_not_live(rig: Rig) -> None:
    assert not rig.pool.is_live(rig.slot())
    assert not rig.pool.has_delivered(StreamKey(DataType.TICKER, "KRW-NONE"), 0)


def test_epochs_of_two_endpoints_do_not_touch_each_other(rig: Rig) -> None:
    other = rig.pool.open_epoch(PRIVATE, FIRST)
    rig.send(ticker(at=1, price=1.0))
    rig.pool.close_epoch(other, 101.0)

    assert rig.pool.is_live(rig.slot())


# -- keys -------------------------------------------------------------------------------------------------------------


def test_what_the_sent_request_does_not_name_is_forgotten(rig: Rig) -> None:
    rig.send(ticker(at=1), ticker(at=0), trade(at=1), trade(at=1))
    layout = rig.pool.layout

    rig.pool.forget_except(PUBLIC, {TRADE}, 1)

    assert rig.pool.slot(TICKER) is None
    assert rig.pool.slot(TRADE) is not None
    assert rig.pool.layout != layout
    assert rig.pool.counters().older == 1  # what a forgotten slot counted still counts
    rig.send(ticker(at=2))
    assert rig.pool.counters().unwanted == 1


def test_nothing_is_forgotten_once_more_is_wanted_than_was_sent(rig: Rig) -> None:
    rig.pool.admit(PUBLIC, KEYS, 2)

    rig.pool.forget_except(PUBLIC, {TRADE}, 1)

    assert rig.pool.slot(TICKER) is not None


def test_a_key_wanted_again_begins_with_nothing(rig: Rig) -> None:
    rig.send(ticker(at=5))
    rig.pool.forget_except(PUBLIC, (), 1)
    rig.pool.admit(PUBLIC, [TICKER], 2)
    assert rig.value() is None

    rig.send(ticker(at=1, price=1.0))

    assert rig.price() == 1.0


def test_forgetting_one_endpoint_leaves_the_others() -> None:
    private = StreamKey(DataType.MY_ORDER, "KRW-BTC")
    rig = Rig()
    rig.pool.admit(PRIVATE, [private], 1)

    rig.pool.forget_except(PUBLIC, (), 1)

    assert rig.pool.slot(private) is not None


def test_a_slot_can_be_had_before_its_key_is_admitted() -> None:
    pool = DataPoolManager()

    early = pool.slot_for(TICKER)
    pool.admit(PUBLIC, [TICKER], 1)

    assert pool.slot(TICKER) is early
    assert pool.slot_for(TICKER) is early


# -- waiting ----------------------------------------------------------------------------------------------------------


def waiting(rig: Rig, *keys: StreamKey, timeout: float = 5.0) -> tuple[threading.Thread, threading.Event]:
    """A thread that waits for these keys, as soon as it does."""
    woken = threading.Event()
    slots = [rig.slot(key) for key in keys]

    def wait() -> None:
        rig.pool.wait(slots, lambda: False, timeout)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    for _ in range(2000):
        if all(slot.waiters for slot in slots):
            return thread, woken
        woken.wait(0.001)
    raise AssertionError("it does not wait")


def test_a_thread_is_woken_by_its_own_keys_only(rig: Rig) -> None:
    rig.send(ticker(at=1), trade(at=1))
    thread, woken = waiting(rig, TICKER)

    rig.send(trade(at=2), orderbook(at=2), candle(at=2), ticker("KRW-ETH", at=2))
    assert not woken.wait(0.05)
    rig.send(ticker(at=0))  # refused: nothing new
    assert not woken.wait(0.05)
    rig.send(ticker(at=2))

    assert woken.wait(5.0)
    thread.join()
    assert all(not rig.slot(key).waiters for key in KEYS)


def test_a_thread_that_waits_for_several_keys_is_woken_once_per_batch(rig: Rig) -> None:
    rig.send(ticker(at=1), trade(at=1))
    thread, woken = waiting(rig, TICKER, TRADE)

    rig.send(ticker(at=2), trade(at=2), ticker(at=3))

    assert woken.wait(5.0)
    thread.join()
    assert rig.slot(TICKER).waiters == rig.slot(TRADE).waiters == []


def test_the_first_payload_of_a_key_wakes_too(rig: Rig) -> None:
    thread, woken = waiting(rig, BOOK)

    rig.send(orderbook(at=1))

    assert woken.wait(5.0)
    thread.join()


def test_what_is_there_already_is_not_waited_for(rig: Rig) -> None:
    asked: list[bool] = []

    def is_due() -> bool:
        asked.append(rig.pool._lock.locked())
        return True

    rig.pool.wait([rig.slot()], is_due, 60.0)

    assert asked == [True]
    assert rig.slot().waiters == []


def test_a_wait_in_vain_ends_and_leaves_nothing_behind(rig: Rig) -> None:
    rig.pool.wait([rig.slot()], lambda: False, 0.01)

    assert rig.slot().waiters == []
    assert rig.pool._waiters == set()


def test_everybody_can_be_woken_at_once(rig: Rig) -> None:
    pairs = [waiting(rig, key) for key in (TICKER, TICKER, BOOK)]

    rig.pool.wake_all()
    rig.pool.wake_all()

    for thread, woken in pairs:
        assert woken.wait(5.0)
        thread.join()


# -- figures ----------------------------------------------------------------------------------------------------------


def test_what_was_taken_is_counted_by_type(rig: Rig) -> None:
    rig.send(ticker(at=1), ticker(at=2), trade(at=1), trade(at=1))

    taken = rig.pool.taken_by_type()

    assert (taken[DataType.TICKER], taken[DataType.TRADE], taken[DataType.ORDERBOOK]) == (2, 1, 0)
    assert rig.pool.counters().messages == 4


def test_only_watched_streams_are_delivered(rig: Rig) -> None:
    rig.send(ticker(at=1), trade(at=1))
    rig.pool.watch(TICKER, 1)
    rig.pool.watch(StreamKey(DataType.TICKER, "KRW-NONE"), 1)

    seen = rig.send(ticker(at=2), trade(at=2), ticker(at=1)).deliveries
    rig.pool.watch(TICKER, -1)

    assert [slot.key for slot, _ in seen] == [TICKER]
    assert rig.send(ticker(at=3)).deliveries == []


def test_the_first_payload_of_a_watched_stream_is_delivered(rig: Rig) -> None:
    rig.pool.watch(BOOK, 1)

    assert [slot.key for slot, _ in rig.send(orderbook(at=1)).deliveries] == [BOOK]
