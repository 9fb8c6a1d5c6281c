"""One open connection: what is sent and how often, what silence means, and what the exchange answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.conftest import MakeManager, wait_until
from tests.payloads import ticker
from tests.runtime.parts import connection_parts
from upbit_ws import DataTimeoutError, DataType, GlobalWebSocketManager, SimpleWebSocketClient
from upbit_ws.lifecycle import ConnectionEvent, Disconnected, RequestRejected, SilentCodes, Stale, Subscribed
from upbit_ws.protocol.cadence import Cadence
from upbit_ws.protocol.subscription_plan import plan_wants
from upbit_ws.runtime.session import Session
from upbit_ws.sandbox import Sandbox
from upbit_ws.shared.data_pool_manager import DataPoolManager
from upbit_ws.testing import Conversation, ManualClock, ScriptedServer
from upbit_ws.types import Endpoint, StreamKey, Want, WireFormat

TICKER, TRADE = DataType.TICKER, DataType.TRADE


def codes(text: str, name: str = "ticker") -> set[str]:
    return {code for part in json.loads(text) if part.get("type") == name for code in part["codes"]}


def events(manager: GlobalWebSocketManager, kind: type[ConnectionEvent]) -> list[Any]:
    return [event for event in manager.recent_events() if isinstance(event, kind)]


@pytest.fixture
def client(exchange: Sandbox, manager: GlobalWebSocketManager) -> SimpleWebSocketClient:
    return SimpleWebSocketClient("session", manager=manager)


def test_changes_that_come_together_are_one_request(exchange: Sandbox, client: SimpleWebSocketClient) -> None:
    client.register_interest([TICKER], ["KRW-BTC"])
    client.get_price("KRW-BTC")
    asked = exchange.exchange.markets[:10]

    for code in asked:
        client.register_interest([TICKER], [code])
    wait_until(lambda: codes(exchange.requests[-1]) == {"KRW-BTC", *asked}, "the last request")

    assert len(exchange.requests) <= 3


def test_a_change_that_is_taken_back_at_once_is_not_sent(exchange: Sandbox, client: SimpleWebSocketClient) -> None:
    client.register_interest([TICKER], ["KRW-BTC"])
    client.get_price("KRW-BTC")
    sent = len(exchange.requests)

    client.register_interest([TICKER], ["KRW-ETH"])
    client.unregister_interest([TICKER], ["KRW-ETH"])
    client.register_interest([TRADE], ["KRW-BTC"])
    wait_until(lambda: len(exchange.requests) > sent, "the last request")

    assert codes(exchange.requests[-1]) == {"KRW-BTC"}
    assert codes(exchange.requests[-1], "trade") == {"KRW-BTC"}


def test_requests_are_never_more_than_the_exchange_allows(exchange: Sandbox, client: SimpleWebSocketClient) -> None:
    client.register_interest([TICKER], ["KRW-BTC"])
    client.get_price("KRW-BTC")
    begun = time.monotonic()

    for code in exchange.exchange.markets[:8]:
        client.register_interest([TICKER], [code])
        wait_until(lambda code=code: code in codes(exchange.requests[-1]), "the request")  # type: ignore[misc]

    # Five in any second: nine requests cannot have taken less than one.
    assert time.monotonic() - begun > 0.9
    assert events(client._manager, RequestRejected) == []
    assert len(exchange.connection_logs) == 1


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_the_format_is_asked_for(exchange: Sandbox, make_manager: MakeManager, wire_format: WireFormat) -> None:
    manager = make_manager(exchange.url, connection={"wire_format": wire_format})
    with SimpleWebSocketClient("format", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")

    formats = [part["format"] for part in json.loads(exchange.requests[0]) if "format" in part]
    assert formats in ([wire_format.value], [] if wire_format is WireFormat.DEFAULT else None)


def test_after_a_reconnect_everything_is_asked_for_again(exchange: Sandbox, client: SimpleWebSocketClient) -> None:
    client.register_interest([TICKER], ["KRW-BTC", "KRW-ETH"])
    client.get_multiple_prices()

    exchange.drop_all("rst")
    wait_until(lambda: client.snapshot(TICKER, "KRW-ETH").epoch == 2, "the second connection")

    assert len(exchange.requests) == 2
    assert codes(exchange.requests[1]) == {"KRW-BTC", "KRW-ETH"}
    tickets = [part["ticket"] for text in exchange.requests for part in json.loads(text) if "ticket" in part]
    assert len(set(tickets)) == 2


def test_silent_codes_are_told_and_counted(exchange: Sandbox, make_manager: MakeManager) -> None:
    manager = make_manager(exchange.url, connection={"snapshot_timeout": 0.1})
    with SimpleWebSocketClient("typo", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC", "KRW-BTCC"])
        wait_until(lambda: bool(events(manager, SilentCodes)), "the report")

        assert events(manager, SilentCodes)[0].keys == (StreamKey(TICKER, "KRW-BTCC"),)
        (status,) = manager.connection_statuses()
        wait_until(lambda: manager.connection_statuses()[0].confirmed == 1, "the confirmation")
        assert status.wanted == 2


def test_a_mute_feed_is_asked_again_and_then_left(
    make_sandbox: Callable[..., Sandbox], make_manager: MakeManager
) -> None:
    sandbox = make_sandbox(rate=200.0, markets=["KRW-BTC"], history_hours=0.5)
    manager = make_manager(
        sandbox.url,
        connection={"mute_floor": 0.3, "mute_factor": 2.0, "snapshot_timeout": 0.3, "ping_interval": 0.1},
    )
    with SimpleWebSocketClient("mute", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        wait_until(lambda: client.snapshot(TICKER, "KRW-BTC").revision > 20, "a feed")

        sandbox.mute(until="reconnect")
        wait_until(lambda: bool(events(manager, Stale)), "the suspicion")
        reading = client.snapshot(TICKER, "KRW-BTC")
        if reading.epoch == 1:
            assert not reading.is_live
        wait_until(lambda: client.snapshot(TICKER, "KRW-BTC").epoch == 2, "another connection", patience=10.0)

        assert len(sandbox.connection_logs[0].requests) == 2  # asked once more before it was given up
        assert "mute" in events(manager, Disconnected)[0].reason


def test_a_mute_feed_that_speaks_when_asked_is_trusted_again(
    make_sandbox: Callable[..., Sandbox], make_manager: MakeManager
) -> None:
    sandbox = make_sandbox(rate=200.0, markets=["KRW-BTC"], history_hours=0.5)
    manager = make_manager(
        sandbox.url, connection={"mute_floor": 0.3, "mute_factor": 2.0, "snapshot_timeout": 2.0, "ping_interval": 0.1}
    )
    with SimpleWebSocketClient("mute", manager=manager) as client:
        client.register_interest([TICKER], ["KRW-BTC"])
        wait_until(lambda: client.snapshot(TICKER, "KRW-BTC").revision > 20, "a feed")

        sandbox.mute(until="request")
        wait_until(lambda: bool(events(manager, Stale)), "the suspicion")
        wait_until(lambda: client.snapshot(TICKER, "KRW-BTC").is_live, "trust", patience=10.0)

        assert client.snapshot(TICKER, "KRW-BTC").epoch == 1
        assert len(events(manager, Subscribed)) == 2


def test_a_peer_without_pongs_is_left(make_manager: MakeManager) -> None:
    def silent(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(ticker(at=1, price=1.0))
        talk.hold()

    def lively(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(ticker(at=2, price=2.0))
        talk.hold()

    with ScriptedServer(silent, lively) as server:
        manager = make_manager(
            f"http://127.0.0.1:{server.port}", connection={"ping_interval": 0.1, "pong_timeout": 0.2}
        )
        with SimpleWebSocketClient("pongs", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            wait_until(lambda: client.get_price("KRW-BTC") == 2.0, "the second connection")

            assert "pong" in events(manager, Disconnected)[0].reason
            manager.close()


def test_a_refused_request_is_told_to_whoever_made_it(make_manager: MakeManager) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame('{"error":{"name":"WRONG_FORMAT","message":"Format 이 맞지 않습니다."}}'.encode())
        talk.send_close(1000)
        talk.wait_for_end()

    with ScriptedServer(script) as server:
        manager = make_manager(f"http://127.0.0.1:{server.port}")
        with SimpleWebSocketClient("refused", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            wait_until(lambda: bool(events(manager, RequestRejected)), "the refusal")

            rejected = events(manager, RequestRejected)[0]
            assert (rejected.name, rejected.message) == ("WRONG_FORMAT", "Format 이 맞지 않습니다.")
            manager.close()


@pytest.mark.parametrize("coalesce", [0.0, 0.005])
def test_bytes_may_gather_before_they_are_read(
    make_sandbox: Callable[..., Sandbox], make_manager: MakeManager, coalesce: float
) -> None:
    sandbox = make_sandbox(rate=1000.0, history_hours=0.2)
    manager = make_manager(sandbox.url, connection={"read_coalesce": coalesce})
    with SimpleWebSocketClient("bursts", manager=manager) as client:
        client.register_interest([TICKER, TRADE], sandbox.exchange.markets)
        wait_until(lambda: manager.pool.counters().messages > 300, "messages")

        (metrics,) = manager.get_connection_metrics()
        assert metrics.epoch == 1
        begun = time.monotonic()
        manager.close()
        assert time.monotonic() - begun < 1.0


class Reads:
    """In the place of a transport: what each read brings."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.pongs: list[bytes] = []

    def wait(self, timeout: float, intake: object) -> tuple[bool, bool]:
        return True, False

    def take(self) -> list[bytes]:
        messages, self.messages = self.messages, []
        return messages


@pytest.mark.parametrize("then", [[], [b'{"status":"UP"}']], ids=["half a frame", "a status"])
def test_what_is_no_data_never_moves_the_last_sign_of_life_back(then: list[bytes]) -> None:
    """The clocks hear of data some time after it came: then it must not pass for newer than what came since."""
    clock, reads, pool = ManualClock(), Reads(), DataPoolManager()
    parts = connection_parts(Endpoint.PUBLIC, clock, pool=pool)
    epoch = pool.open_epoch(Endpoint.PUBLIC, clock())
    session = Session(parts, reads, None, epoch, Cadence(10.0, 4.0), lambda: False)  # type: ignore[arg-type]
    session._due = clock() + 2.0
    seen = []
    for messages in ([ticker()], [ticker()], then):
        clock.advance(0.02)
        reads.messages = list(messages)
        session.step(2.0)
        seen.append(session.last_frame_at)
    session.is_retiring = True
    session._due = clock()
    reads.wait = lambda timeout, intake: (False, False)  # type: ignore[method-assign]
    session.step(0.0)
    seen.append(session.last_frame_at)

    assert seen == sorted(seen)
    assert seen[-1] == clock()


def test_a_list_asked_for_behind_a_change_tells_of_the_change(
    exchange: Sandbox, manager: GlobalWebSocketManager, client: SimpleWebSocketClient
) -> None:
    client.register_interest([TICKER], ["KRW-BTC"])
    client.get_price("KRW-BTC")

    client.register_interest([TICKER], ["KRW-ETH"])

    assert {key.symbol for key in manager.list_subscriptions().keys} == {"KRW-BTC", "KRW-ETH"}


def test_a_list_whose_question_was_lost_with_the_connection_is_asked_for_on_the_next_one(
    make_manager: MakeManager,
) -> None:
    asked: list[Any] = []

    def answer(talk: Conversation, *, is_lost: bool) -> None:
        talk.upgrade()
        while True:
            request = json.loads(talk.read_frame().payload)
            if request[1].get("method") is None:
                talk.send_frame(ticker())
                continue
            asked.append(request)
            if is_lost:
                return
            reply = {"method": "LIST_SUBSCRIPTIONS", "result": [], "ticket": request[0]["ticket"]}
            talk.send_frame(json.dumps(reply).encode())

    with ScriptedServer(lambda talk: answer(talk, is_lost=True), lambda talk: answer(talk, is_lost=False)) as server:
        manager = make_manager(f"http://127.0.0.1:{server.port}")
        with SimpleWebSocketClient("lost", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            listed = manager.list_subscriptions(timeout=10.0)

            assert listed.ticket == asked[1][0]["ticket"]
            assert len(asked) == 2
            manager.close()


def test_a_list_that_nobody_waits_for_any_more_is_not_asked_for_again(make_manager: MakeManager) -> None:
    gave_up, asked = threading.Event(), []

    def silent(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(ticker())
        talk.read_frame()
        gave_up.wait(10.0)

    def recording(talk: Conversation) -> None:
        talk.upgrade()
        asked.append(json.loads(talk.read_frame().payload))
        talk.send_frame(ticker(price=2.0))
        asked.append(json.loads(talk.read_frame().payload))
        talk.wait_for_end()

    with ScriptedServer(silent, recording) as server:
        manager = make_manager(f"http://127.0.0.1:{server.port}")
        with SimpleWebSocketClient("impatient", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            with pytest.raises(DataTimeoutError, match="did not say what is subscribed"):
                manager.list_subscriptions(timeout=0.2)
            gave_up.set()
            wait_until(lambda: client.get_price("KRW-BTC") == 2.0, "the second connection")
            client.register_interest([TICKER], ["KRW-ETH"])
            wait_until(lambda: len(asked) == 2, "the second request")

            assert asked[1][1]["codes"] == ["KRW-BTC", "KRW-ETH"]
            manager.close()


@pytest.mark.parametrize("markets", [["KRW-BTC"], ["KRW-BTC", "KRW-ETH"], ["KRW-BTC", "KRW-ETH", "KRW-XRP"]])
def test_a_question_that_is_refused_accuses_no_stream(make_manager: MakeManager, markets: list[str]) -> None:
    asked: list[Any] = []

    def refuse_questions(talk: Conversation) -> None:
        talk.upgrade()
        while True:
            request = json.loads(talk.read_frame().payload)
            if request[1].get("method") is not None:
                asked.append(request)
                talk.send_frame(b'{"error":{"name":"WRONG_FORMAT","message":"no"}}')
                return
            for code in request[1]["codes"]:
                talk.send_frame(ticker(code))

    with ScriptedServer(*[refuse_questions] * 20) as server:
        manager = make_manager(f"http://127.0.0.1:{server.port}")
        with SimpleWebSocketClient("innocent", manager=manager) as client:
            client.register_interest([TICKER], markets)
            client.wait_ready(timeout=5.0)
            with pytest.raises(DataTimeoutError):
                manager.list_subscriptions(timeout=1.0)
            confirmed = manager.subscriptions.confirmed
            wait_until(lambda: len(confirmed(Endpoint.PUBLIC)) == len(markets), "all streams again")

            assert len(asked) == 1
            assert manager.subscriptions._states[Endpoint.PUBLIC].rejected == {}
            manager.close()


def test_values_are_vouched_for_again_when_nothing_is_left_that_could_be_mute(manual_clock: ManualClock) -> None:
    parts = connection_parts(Endpoint.PUBLIC, manual_clock)
    epoch = parts.pool.open_epoch(Endpoint.PUBLIC, manual_clock())
    session = Session(parts, Reads(), None, epoch, Cadence(10.0, 4.0), lambda: False)  # type: ignore[arg-type]
    plan = plan_wants([Want(StreamKey(TICKER, "KRW-BTC"), realtime=False)])
    assert plan is not None
    parts.pool.suspect(epoch, manual_clock())
    session._liveness.on_request = lambda now, *, is_watchable: not is_watchable  # type: ignore[method-assign]
    session._requested(plan, manual_clock())

    assert not parts.pool._epochs.is_suspected(epoch)
