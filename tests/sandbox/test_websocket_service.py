"""What a connection gets, over real sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

from tests.sandbox.clients import Client, candle, lazy_reader, orderbook, ticker, trade
from upbit_ws.sandbox import Sandbox

Make = Callable[..., Sandbox]
Dial = Callable[..., Client]


def kinds(messages: list[Any]) -> list[str]:
    return [f"{message['type']} {message['stream_type'][0]}" for message in messages]


def test_there_is_no_acknowledgement_the_first_message_is_the_snapshot(exchange: Sandbox, client: Client) -> None:
    client.subscribe(ticker("KRW-BTC"), trade("KRW-BTC"), orderbook("KRW-BTC"), candle("1m", "KRW-BTC"))

    assert kinds(client.so_far()) == ["ticker S", "trade S", "orderbook S", "candle.1m S"]


def test_what_happens_is_told_as_it_happens(exchange: Sandbox, client: Client) -> None:
    client.subscribe(ticker("KRW-BTC"), trade("KRW-BTC"), orderbook("KRW-BTC.5"), candle("1s", "KRW-BTC"))
    client.so_far()
    made = exchange.exchange.trade("KRW-BTC", volume=0.25, side="ASK")
    exchange.exchange.advance(1.0)

    told = client.so_far()

    assert kinds(told) == ["trade R", "ticker R", "orderbook R", "candle.1s R"]
    assert (told[0]["trade_price"], told[0]["trade_volume"], told[0]["ask_bid"]) == (made.price, 0.25, "ASK")
    assert told[0]["sequential_id"] == made.sequential_id
    assert told[1]["trade_price"] == told[3]["trade_price"] == made.price
    assert len(told[2]["orderbook_units"]) == 5
    assert told[0]["timestamp"] > told[0]["trade_timestamp"] == made.timestamp


def test_a_subscription_replaces_the_one_before(exchange: Sandbox, client: Client) -> None:
    client.subscribe(ticker("KRW-BTC"))
    client.subscribe(ticker("KRW-ETH"))
    client.so_far()
    exchange.exchange.trade("KRW-BTC")
    exchange.exchange.trade("KRW-ETH")

    assert [message["code"] for message in client.so_far()] == ["KRW-ETH"]


@pytest.mark.parametrize(
    ("wire_format", "key", "is_list"),
    [("DEFAULT", "type", False), ("SIMPLE", "ty", False), ("JSON_LIST", "type", True), ("SIMPLE_LIST", "ty", True)],
)
def test_all_four_formats_are_served(client: Client, wire_format: str, key: str, is_list: bool) -> None:
    client.subscribe(ticker("KRW-BTC"), trade("KRW-BTC"), format=wire_format)

    messages = client.so_far()

    assert [isinstance(message, list) for message in messages] == [is_list, is_list]
    assert [(message[0] if is_list else message)[key] for message in messages] == ["ticker", "trade"]


def test_arrays_can_hold_several_objects(make: Make, dial: Dial) -> None:
    client = dial(make(list_group=3))
    client.subscribe(ticker("KRW-BTC", "KRW-ETH", "KRW-XRP", "BTC-ETH"), format="JSON_LIST")

    assert [len(message) for message in client.so_far()] == [3, 1]


def test_the_numbers_of_the_wire_can_be_made_plain(make: Make, dial: Dial) -> None:
    client = dial(make(plain_numbers=True))
    client.subscribe(orderbook("KRW-BTC"))

    assert b"E" not in client.raw().replace(b"KRW-BTC", b"").replace(b"SNAPSHOT", b"")


def test_prices_of_default_have_exponents(client: Client) -> None:
    client.subscribe(ticker("KRW-BTC"))

    assert b'"trade_price":1.6' in (raw := client.raw())
    assert b"E8," in raw


@pytest.mark.parametrize("text", [False, True])
def test_frames_are_binary_unless_switched(make: Make, dial: Dial, text: bool) -> None:
    client = dial(make(text_frames=text))
    client.subscribe(ticker("KRW-BTC"))
    client.connection.send("{}")

    assert isinstance(client.connection.recv(3), str if text else bytes)
    assert isinstance(client.connection.recv(3), str if text else bytes)


@pytest.mark.parametrize(("accepted", "offered"), [(True, True), (True, False), (False, True)])
def test_compression_is_accepted_when_offered(make: Make, dial: Dial, accepted: bool, offered: bool) -> None:
    sandbox = make(compression=accepted)
    client = dial(sandbox, compression="deflate" if offered else None)
    client.subscribe(orderbook("KRW-BTC"), ticker("KRW-ETH"))
    response = client.connection.response
    assert response is not None

    assert ("Sec-WebSocket-Extensions" in response.headers) is (accepted and offered)
    assert kinds(client.so_far()) == ["orderbook S", "ticker S"]
    sandbox.exchange.trade("KRW-ETH")
    assert kinds(client.so_far()) == ["ticker R"]


def test_the_subscriptions_can_be_listed(client: Client) -> None:
    client.subscribe(ticker("KRW-BTC", "KRW-ETH"), orderbook("KRW-BTC.5", level=10_000))
    client.so_far()
    client.send({"method": "LIST_SUBSCRIPTIONS"}, ticket="mine")

    assert client.next() == {
        "method": "LIST_SUBSCRIPTIONS",
        "result": [
            {"type": "ticker", "codes": ["KRW-BTC", "KRW-ETH"]},
            {"type": "orderbook", "codes": ["KRW-BTC.5"], "level": 10_000},
        ],
        "ticket": "mine",
    }


def test_listing_changes_the_format_of_the_running_streams(exchange: Sandbox, client: Client) -> None:
    client.subscribe(ticker("KRW-BTC"))
    client.so_far()
    client.send({"method": "LIST_SUBSCRIPTIONS"}, {"format": "SIMPLE"}, ticket="mine")

    expected = {"mthd": "LIST_SUBSCRIPTIONS", "rslt": [{"ty": "ticker", "cds": ["KRW-BTC"]}], "tckt": "mine"}
    assert client.next() == expected
    exchange.exchange.trade("KRW-BTC")
    assert client.next()["ty"] == "ticker"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{}", "WRONG_FORMAT"),
        ('[{"type":"ticker","codes":["KRW-BTC"]}]', "NO_TICKET"),
        ('[{"ticket":"x"}]', "NO_TYPE"),
        ('[{"ticket":"x"},{"type":"ticker"}]', "NO_CODES"),
        ('[{"ticket":"x"},{"type":"nope","codes":["KRW-BTC"]}]', "INVALID_PARAM"),
        ('[{"ticket":"x"},{"type":"myOrder"}]', "INVALID_AUTH"),
    ],
)
def test_an_error_frame_is_followed_by_a_close_with_1000(client: Client, text: str, name: str) -> None:
    client.connection.send(text)

    assert client.next()["error"]["name"] == name
    assert client.close_code() == 1000


def test_after_an_error_no_data_comes(make: Make, dial: Dial) -> None:
    sandbox = make(error_close_delay=0.2)
    client = dial(sandbox)
    client.subscribe(ticker("KRW-BTC"))
    client.next()
    begun = time.monotonic()
    client.connection.send("{}")
    assert "error" in client.next()
    sandbox.exchange.trade("KRW-BTC")
    client.subscribe(ticker("KRW-BTC"))

    with pytest.raises(ConnectionClosed):
        client.raw()
    assert time.monotonic() - begun >= 0.2


def test_regional_errors_are_english(make: Make, dial: Dial) -> None:
    client = dial(make(regional=True))
    client.connection.send("{}")

    assert client.next()["error"]["message"] == "Requested using wrong format."


@pytest.mark.parametrize("path", ["/private", "/info"])
def test_private_endpoints_refuse_who_is_not_authorised(exchange: Sandbox, dial: Dial, path: str) -> None:
    client = dial(exchange, path)
    client.connection.send('[{"ticket":"x"},{"type":"myOrder"}]')

    assert client.next()["error"]["name"] == "INVALID_AUTH"


def test_snapshots_come_in_two_bursts(make: Make, dial: Dial) -> None:
    client = dial(make(snapshot_delays=(0.05, 0.15)))
    begun = time.monotonic()
    client.subscribe(ticker("KRW-BTC", "KRW-ETH"))
    client.next()
    first = time.monotonic() - begun
    client.next()
    second = time.monotonic() - begun

    assert first >= 0.05
    assert second >= 0.15
    assert first < second


def test_a_text_ping_starts_the_status_that_never_ends(make: Make, dial: Dial) -> None:
    client = dial(make(status_interval=0.05))
    client.connection.send("PING")

    assert client.take(3) == [{"status": "UP"}] * 3


def test_the_status_is_the_clock_of_the_server_and_not_of_the_ping(make: Make, dial: Dial) -> None:
    sandbox = make(status_interval=0.3)
    clients = [dial(sandbox) for _ in range(3)]
    arrivals = []
    for client in clients:
        client.connection.send("PING")
        client.so_far()
    for client in clients:
        client.next()
        arrivals.append(time.monotonic())

    assert max(arrivals) - min(arrivals) < 0.2


def test_the_first_status_can_come_at_once(make: Make, dial: Dial) -> None:
    client = dial(make(status_at_once=True))
    client.connection.send("PING")

    assert client.next(1.0) == {"status": "UP"}


def test_who_sent_no_text_ping_gets_no_status(make: Make, dial: Dial) -> None:
    sandbox = make(status_interval=0.02)
    quiet, talkative = dial(sandbox), dial(sandbox)
    talkative.connection.send("PING")
    talkative.take(3)

    assert quiet.so_far() == []


def test_a_ping_frame_is_answered(client: Client) -> None:
    assert client.connection.ping().wait(2.0)


def test_an_idle_connection_is_dropped_without_a_close_frame(make: Make, dial: Dial) -> None:
    client = dial(make(idle_timeout=0.1))

    assert client.close_code(2.0) is None


def test_pings_keep_an_idle_connection_open(make: Make, dial: Dial) -> None:
    sandbox = make(idle_timeout=0.25)
    client = dial(sandbox, ping_interval=0.05)
    idle = dial(sandbox)

    assert idle.close_code(2.0) is None
    assert client.so_far() == []
    assert sandbox.connections == 1


def test_the_server_can_ping(make: Make, dial: Dial) -> None:
    sandbox = make(ping_interval=0.03, idle_timeout=0.2)
    client, begun = dial(sandbox), time.monotonic()
    with pytest.raises(TimeoutError):
        client.raw(0.3)

    assert time.monotonic() - begun > 0.2, "its pings and our pongs kept the connection open"
    assert client.so_far() == []


@pytest.mark.parametrize(("action", "code"), [("error", 1000), ("drop", None)])
def test_the_sixth_request_of_a_second_ends_the_connection(
    make: Make, dial: Dial, action: str, code: int | None
) -> None:
    client = dial(make(message_limits=True, message_limit_action=action))
    with suppress(ConnectionClosed):  # the end may come before the last of them is sent
        for _ in range(11):  # whatever the clock: one second sees six of them
            client.subscribe(ticker("KRW-BTC", is_only_realtime=True))
    if action == "error":
        assert client.next()["error"]["name"] == "TOO_MANY_REQUEST"

    assert client.close_code() == code


def test_a_request_beyond_the_limit_can_be_ignored(make: Make, dial: Dial) -> None:
    sandbox = make(message_limits=True, message_limit_action="ignore")
    client = dial(sandbox)
    for _ in range(11):
        client.subscribe(ticker("KRW-BTC", is_only_realtime=True), trade("KRW-BTC", is_only_snapshot=True))
    client.connection.send("PING")
    client.connection.ping().wait(2.0)

    assert 5 <= sandbox.exchange.sent("trade", "KRW-BTC") <= 10


def test_a_request_may_come_in_pieces(client: Client) -> None:
    text = json.dumps([{"ticket": "x"}, ticker("KRW-BTC")])
    client.connection.send([text[:5], text[5:9], text[9:]])

    assert client.next()["type"] == "ticker"


def test_a_broken_frame_is_a_protocol_error(exchange: Sandbox, client: Client) -> None:
    client.connection.socket.sendall(b"\x81\x05hello")  # not masked

    assert client.close_code() == 1002
    assert Opcode.TEXT == 1


def test_a_slow_reader_is_dropped_and_the_others_are_not(make: Make, dial: Dial) -> None:
    sandbox = make(backlog=200_000)
    wanted = orderbook("KRW-BTC"), ticker("KRW-BTC")
    quick = dial(sandbox, max_queue=None)
    quick.subscribe(*wanted)
    with lazy_reader(sandbox.port, *wanted):
        while sandbox.exchange.sent("ticker", "KRW-BTC") < 2:  # both are subscribed
            quick.so_far()
        assert sandbox.connections == 2
        for _ in range(500):
            for _ in range(10):
                sandbox.exchange.trade("KRW-BTC")
                sandbox.exchange.advance(0.1)
            quick.so_far()
            if sandbox.connections == 1:
                break

    assert sandbox.connections == 1
    made = sandbox.exchange.trade("KRW-BTC")
    assert quick.so_far()[-1]["trade_price"] == made.price
