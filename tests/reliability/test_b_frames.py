"""Section B: frames that no server should send, to a client that has better things to do."""

from __future__ import annotations

import itertools
import os
import resource
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.sync.server import ServerConnection

from tests.independent import serving
from tests.reliability.loss import Loss, Violation
from tests.reliability.payloads import BTC, ticker, trade
from tests.reliability.rig import Rig, Subject, wait_until
from tests.reliability.scripts import Script, attend, good, greet, then, until
from upbit_ws.config import ConnectionConfig
from upbit_ws.exceptions import HandshakeError, WebSocketProtocolError
from upbit_ws.lifecycle import BackingOff, Connected, Disconnected
from upbit_ws.protocol.deflate import DeflateParameters
from upbit_ws.protocol.frames import FrameReader, Opcode
from upbit_ws.testing import Conversation, ReceivedFrame, server_frame

Record = Callable[..., None]
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}


def deflated(payload: bytes, *, bits: int = 15) -> bytes:
    stream = zlib.compressobj(wbits=-bits)
    return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_B1_pings_between_the_fragments_of_a_message(rig: Rig, record: Record) -> None:
    message, order = ticker(2), []

    def script(talk: Conversation) -> None:
        greet(talk)
        third = len(message) // 3
        talk.send_frame(message[:third], is_final=False)
        for number, (start, stop) in enumerate(((third, 2 * third), (2 * third, None))):
            talk.send_frame(b"ping %d" % number, Opcode.PING)
            order.append(talk.read_frame())  # before the message goes on
            talk.send_frame(message[start:stop], Opcode.CONTINUATION, is_final=stop is None)
        attend(talk)

    subject = rig.connect(rig.serve(script), connection={"ping_interval": 30.0})
    subject.await_price(2.0)
    assert [(frame.opcode, frame.payload) for frame in order] == [(Opcode.PONG, b"ping 0"), (Opcode.PONG, b"ping 1")]
    record("B1", figure="2 pongs between 3 fragments, the message whole")


def test_B2_ten_thousand_tiny_fragments(rig: Rig, record: Record) -> None:
    flood = server_frame(b"x", is_final=False) + server_frame(b"x", Opcode.CONTINUATION, is_final=False) * 9_999
    Violation(rig, flood).check("B2", record, 1009)


@pytest.mark.parametrize(("size", "code"), [(1 << 40, 1009), (1 << 63, 1002)])
def test_B3_a_frame_that_announces_a_terabyte(rig: Rig, record: Record, size: int, code: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Violation(rig, bytes((0x82, 127)) + struct.pack(">Q", size)).check("B3", record, code)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 8, f"the highest memory use grew by {grown:.1f} MiB"


def test_B4_a_message_over_the_limit_in_fragments(rig: Rig, record: Record) -> None:
    part = b"x" * (ConnectionConfig().max_message_size // 8)
    full = server_frame(part, is_final=False) + server_frame(part, Opcode.CONTINUATION, is_final=False) * 7
    Violation(rig, server_frame(b"x", Opcode.CONTINUATION), lead=full).check("B4", record, 1009, bound=0.25)


@pytest.mark.parametrize("reserved", [0x40, 0x20, 0x10])
def test_B5_reserved_bits(rig: Rig, record: Record, reserved: int) -> None:
    Violation(rig, server_frame(ticker(2), reserved=reserved)).check("B5", record, 1002)


def test_B6_a_compressed_continuation(rig: Rig, record: Record) -> None:
    data = server_frame(b"{", is_final=False) + server_frame(b"}", Opcode.CONTINUATION, is_compressed=True)
    Violation(rig, data, headers=DEFLATE, connection={"compression": True}).check("B6", record, 1002)


@pytest.mark.parametrize("opcode", [*range(3, 8), *range(11, 16)])
def test_B7_reserved_opcodes(rig: Rig, record: Record, opcode: int) -> None:
    Violation(rig, server_frame(b"", opcode)).check("B7", record, 1002)


def test_B8_a_masked_frame_from_a_server(rig: Rig, record: Record) -> None:
    frame = bytearray(server_frame(b"{}"))
    frame[1] |= 0x80
    frame[2:2] = b"mask"
    Violation(rig, bytes(frame)).check("B8", record, 1002)


@pytest.mark.parametrize(
    "data",
    [
        server_frame(b"x" * 126, Opcode.PING),
        *(server_frame(b"", opcode, is_final=False) for opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE)),
    ],
)
def test_B9_control_frames_that_are_long_or_in_parts(rig: Rig, record: Record, data: bytes) -> None:
    Violation(rig, data).check("B9", record, 1002)


def test_B10_a_flood_of_pings(rig: Rig, record: Record) -> None:
    """Ten thousand a second and more: data passes, pongs stay few, and the flood does not pass for data."""
    pongs: list[ReceivedFrame] = []
    flood = b"".join(server_frame(b"%d" % number, Opcode.PING) for number in range(1000))

    def read(talk: Conversation) -> None:
        while True:
            frame = talk.read_frame()
            if frame.opcode == Opcode.PONG:
                pongs.append(frame)

    def script(talk: Conversation) -> None:
        greet(talk, ticker(1))
        reader = threading.Thread(target=lambda: _until_the_end(read, talk), name="reader")
        reader.start()
        try:
            for number in range(2, 12):
                talk.send(flood + server_frame(ticker(number)))
                talk.pause(0.02)
            while True:  # and now no data
                talk.send(flood)
                talk.pause(0.02)
        finally:
            reader.join()

    server = rig.serve(script, good(ticker(20)))
    subject = rig.connect(
        server,
        connection={"ping_interval": 30.0, "mute_floor": 0.5, "snapshot_timeout": 0.3},
        reconnection={"base_delay": 0.05},
    )
    subject.await_price(11.0)
    answered = len(pongs)
    lost = subject.await_event(Disconnected, patience=10.0)
    assert lost.reason.endswith("mute")
    assert answered < 2_000, "10,000 pings came with the data"
    subject.await_price(20.0)
    record("B10", figure=f"{answered} pongs to the 10,000 pings that came with 10 tickers; then noticed as mute")


def _until_the_end(read: Script, talk: Conversation) -> None:
    try:
        read(talk)
    except (EOFError, OSError):
        return


def test_B11_pongs_that_answer_nothing(rig: Rig, record: Record) -> None:
    def script(talk: Conversation) -> None:
        greet(talk, ticker(1))
        talk.send_frame(b"unsolicited", Opcode.PONG)
        while True:
            if talk.read_frame().opcode == Opcode.PING:
                talk.send_frame(b"not what you sent", Opcode.PONG)

    subject = rig.connect(rig.serve(script, good(ticker(2))), connection={"ping_interval": 0.3, "pong_timeout": 0.3})
    lost = subject.await_event(Disconnected)
    opened = subject.events(Connected)[0].at
    assert lost.reason.endswith("no pong")
    assert 0.55 < lost.at - opened < 1.0
    assert subject.manager.get_connection_metrics()[0].pongs_received == 0
    subject.await_price(2.0)
    record("B11", figure=f"given up {lost.at - opened:.2f} s after the upgrade", bound="ping 0.3 s + pong 0.3 s")


def test_B12_a_decompression_bomb(rig: Rig, record: Record) -> None:
    bomb = server_frame(deflated(b"\0" * (64 << 20)), is_compressed=True)
    violation = Violation(rig, bomb, headers=DEFLATE, connection={"compression": True})
    violation.check("B12", record, 1009)


def test_B13_a_corrupted_deflate_stream_and_a_new_one(rig: Rig, record: Record) -> None:
    broken = bytearray(deflated(ticker(2)))
    broken[0] = 0x07  # block type 3, which there is not

    class Second(Loss):
        def _second(self, talk: Conversation) -> None:
            greet(talk, headers=DEFLATE)
            until(talk, self._may_return)
            talk.send(server_frame(deflated(ticker(3)), is_compressed=True))
            attend(talk)

    loss = Second(
        rig,
        then(lambda talk: talk.send(server_frame(bytes(broken), is_compressed=True)), Conversation.wait_for_end),
        headers=DEFLATE,
        connection={"compression": True},
    )
    loss.check_return()
    assert loss.end.code == 1007
    loss.check_times(noticed=0.1)
    record("B13", figure=f"closed with 1007 after {loss.noticed_after * 1e3:.1f} ms, the next connection inflates anew")


@contextmanager
def compressing_exchange(count: int, **agreed: Any) -> Iterator[str]:
    """Somebody else's server (`websockets`) that compresses every message."""

    def handler(connection: ServerConnection) -> None:
        connection.recv()
        for number in range(1, count + 1):
            connection.send(trade(number))
        for _ in connection:
            pass

    factory = ServerPerMessageDeflateFactory(**agreed)
    with serving(handler, extensions=[factory], compression=None) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("takes_over", [True, False])
@pytest.mark.parametrize("bits", range(9, 16))
def test_B14_every_window_and_both_kinds_of_context(rig: Rig, record: Record, bits: int, takes_over: bool) -> None:
    count = 50
    agreed = {"server_max_window_bits": bits, "server_no_context_takeover": not takes_over}
    with compressing_exchange(count, **agreed) as url:
        subject = rig.connect(url, "trade", connection={"compression": True})
        await_trades(subject, count)
        metrics = subject.manager.get_connection_metrics()[0]
        subject.manager.close()
    assert metrics.bytes < count * len(trade(1)), "it was compressed"
    record("B14", figure="14 combinations, 50 of 50 messages the same (server: websockets)")


def await_trades(subject: Subject, count: int) -> None:
    """Trades 1 to `count` came, each once and in order."""
    wait_until(lambda: subject.client.get_trade_data(timeout=5.0)[BTC].sequential_id == count, f"trade {count}")
    assert [event.sequential_id for event in subject.client.get_trade_history(BTC)] == list(range(1, count + 1))


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        (False, "permessage-deflate"),
        (True, "permessage-deflate; server_max_window_bits=16"),
        (True, "permessage-deflate; mystery"),
        (True, "x-webkit-deflate-frame"),
        (True, "permessage-deflate, permessage-deflate"),
    ],
)
def test_B15_an_extension_that_was_not_offered(rig: Rig, record: Record, offered: bool, answer: str) -> None:
    server = rig.serve(good(headers={"Sec-WebSocket-Extensions": answer}), good(ticker(1)))
    subject = rig.connect(server, connection={"compression": offered})
    subject.await_price(1.0)
    first = subject.events(BackingOff)[0]
    assert "extension" in first.reason
    assert isinstance(subject.manager._connections.all()[0].last_error, HandshakeError)
    assert len(subject.events(Connected)) == 1
    record("B15", figure="5 of 5 refused in the handshake")


@pytest.mark.parametrize(
    "text", [b'{"a":"\xff"}', b'{"a":"\xec\x9b', b'"\xed\xa0\x80"'], ids=["bad", "cut", "surrogate"]
)
def test_B16_text_that_is_not_utf8(rig: Rig, record: Record, text: bytes) -> None:
    violation = Violation(rig, server_frame(text, Opcode.TEXT))
    violation.check("B16", record, 1007)
    assert violation.loss.subject.manager.rejected_payloads() == (), "it never reached the pool"


def test_B17_empty_frames_and_the_other_kind_of_frame(rig: Rig, record: Record) -> None:
    def script(talk: Conversation) -> None:
        greet(talk)
        talk.send_frame(b"", Opcode.TEXT)
        talk.send_frame(b"", Opcode.BINARY)
        talk.send_frame(ticker(1), Opcode.TEXT)
        talk.send_frame(ticker(2), Opcode.BINARY)
        attend(talk)

    subject = rig.connect(rig.serve(script))
    subject.await_price(2.0)
    assert subject.manager.pool.counters().undecodable == 2
    assert subject.status.epoch == 1
    record("B17", figure="2 empty ones counted, text and binary both read, connection kept")


def test_B18_data_behind_a_close(rig: Rig, record: Record) -> None:
    close = server_frame((1011).to_bytes(2, "big"), Opcode.CLOSE)
    loss = Loss(rig, then(lambda talk: talk.send(close + server_frame(ticker(2))), Conversation.wait_for_end))
    loss.check_return()  # where 1.0 still stands
    assert loss.end.code == 1011
    record("B18", figure="ignored")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5), st.booleans())
def _any_bytes_give_messages_or_the_documented_error(data: bytes, cuts: list[int], is_compressed: bool) -> None:
    def run(parts: list[bytes]) -> tuple[list[bytes], str, object]:
        reader = FrameReader(deflate=DeflateParameters() if is_compressed else None)
        messages = [message for part in parts for message in reader.feed(part)]
        assert reader.error is None or isinstance(reader.error, WebSocketProtocolError)
        return messages, str(reader.error), reader.close

    places = [0, *sorted(cuts), len(data)]
    assert run([data[start:stop] for start, stop in itertools.pairwise(places)]) == run([data])


def test_B19_random_bytes(rig: Rig, record: Record) -> None:
    _any_bytes_give_messages_or_the_documented_error()
    chaos = os.urandom(2000)

    def script(talk: Conversation) -> None:
        greet(talk)
        talk.send(chaos)
        talk.wait_for_end()

    subject = rig.connect(
        rig.serve(*[script] * 3, good(ticker(1))), connection={"ping_interval": 0.2, "pong_timeout": 0.2}
    )
    subject.await_price(1.0, patience=10.0)
    record(
        "B19", figure=f"300 streams however cut; {len(subject.events(Disconnected))} connections of noise, then back"
    )
