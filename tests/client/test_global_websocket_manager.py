"""The manager closes within a second whatever the peer does, survives what it sends, and ends with its process."""

from __future__ import annotations

import copy
import gc
import pickle
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.conftest import MakeClient, MakeManager, wait_until
from tests.payloads import ticker
from tests.process import PythonRunner
from upbit_ws import (
    ClientClosedError,
    DataTimeoutError,
    DataType,
    GlobalWebSocketManager,
    InvalidArgumentError,
    SimpleWebSocketClient,
    WebSocketConfig,
)
from upbit_ws.exceptions import ForkedProcessError, StaleDataError
from upbit_ws.sandbox import SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY, Sandbox
from upbit_ws.testing import Conversation, FaultProxy, ScriptedServer
from upbit_ws.types import ConnectionState, GlobalManagerState
from upbit_ws.wire.rest import RestClient

TICKER, TRADE = DataType.TICKER, DataType.TRADE
AT_ONCE = 0.25  # seconds; what has nothing to wait for ends within, also on a busy machine


def base_url(server: ScriptedServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def closing_time(manager: GlobalWebSocketManager) -> float:
    begun = time.monotonic()
    manager.close()
    return time.monotonic() - begun


def threads_of_the_sdk() -> list[str]:
    return [
        thread.name
        for thread in threading.enumerate()
        if thread.name.startswith("upbit-ws-") and "test" not in thread.name
    ]


# -- closing ----------------------------------------------------------------------------------------------------------


def test_one_that_was_never_used_has_no_thread_and_closes_at_once(make_manager: MakeManager) -> None:
    manager = make_manager("http://127.0.0.1:9")
    client = SimpleWebSocketClient("idle", manager=manager)

    assert manager.state is GlobalManagerState.IDLE
    assert threads_of_the_sdk() == []
    assert closing_time(manager) < AT_ONCE
    assert manager.state is GlobalManagerState.CLOSED
    with pytest.raises(ClientClosedError):
        client.register_interest([TICKER], ["KRW-BTC"])
    with pytest.raises(ClientClosedError):
        SimpleWebSocketClient("late", manager=manager)


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 1"])
def test_it_closes_while_a_mute_server_is_dialled(make_manager: MakeManager, says: bytes) -> None:
    def script(talk: Conversation) -> None:
        talk.read_request()
        talk.send(says)
        talk.hold()

    with ScriptedServer(script) as server:
        manager = make_manager(base_url(server), connection={"connect_timeout": 30.0})
        with SimpleWebSocketClient("mute", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            wait_until(lambda: bool(server.conversations and server.conversations[0].requests), "the request")

            assert closing_time(manager) < AT_ONCE
        assert server.connections == 1


def test_it_closes_while_nothing_answers_the_connect(make_manager: MakeManager) -> None:
    with socket.socket() as listener:  # listens, and never accepts: the queue is full after two
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            manager = make_manager(
                f"http://127.0.0.1:{listener.getsockname()[1]}", connection={"connect_timeout": 30.0}
            )
            with SimpleWebSocketClient("mute", manager=manager) as client:
                client.register_interest([TICKER], ["KRW-BTC"])
                wait_until(lambda: client.status().connections[0].state is ConnectionState.CONNECTING, "the attempt")

                assert closing_time(manager) < AT_ONCE
        finally:
            for filler in fillers:
                filler.close()


def test_it_closes_while_a_name_server_is_asked(make_manager: MakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, asked = threading.Event(), threading.Event()
    real = socket.getaddrinfo

    def hanging(*arguments: Any, **options: Any) -> Any:
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            return real(*arguments, **options)  # whether it is an address is not asked of any server
        asked.set()
        gate.wait(20.0)
        return real("127.0.0.1", 9, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    manager = make_manager("http://exchange.test:80", connection={"connect_timeout": 30.0})
    try:
        with SimpleWebSocketClient("nowhere", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            assert asked.wait(5.0)

            assert closing_time(manager) < AT_ONCE
    finally:
        gate.set()


def test_it_closes_between_two_attempts_and_makes_no_further_one(make_manager: MakeManager) -> None:
    with ScriptedServer(lambda talk: talk.reset()) as server:
        manager = make_manager(
            base_url(server), reconnection={"first_jitter": 0.0, "base_delay": 30.0, "max_delay": 30.0}
        )
        with SimpleWebSocketClient("backoff", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            wait_until(
                lambda: (client.status().connections[0].next_attempt_in or 0.0) > 0.5, "a long wait", patience=20.0
            )
            before = server.connections

            assert closing_time(manager) < AT_ONCE
        assert server.connections == before


def test_it_closes_in_spite_of_a_peer_that_answers_no_close(make_manager: MakeManager) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(ticker())
        talk.hold()

    with ScriptedServer(script) as server:
        manager = make_manager(base_url(server))
        with SimpleWebSocketClient("mute", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            client.get_price("KRW-BTC")

            assert closing_time(manager) < 1.0
        assert threads_of_the_sdk() == []
        assert server.connections == 1


def test_it_closes_beside_a_peer_that_floods(make_manager: MakeManager) -> None:
    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        while True:
            talk.send_frame(ticker() * 1)

    with ScriptedServer(script) as server:
        manager = make_manager(base_url(server))
        with SimpleWebSocketClient("flood", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            client.get_price("KRW-BTC")

            assert closing_time(manager) < 1.0
        assert threads_of_the_sdk() == []


def test_it_closes_while_the_list_of_markets_is_awaited(make_manager: MakeManager) -> None:
    def mute(talk: Conversation) -> None:
        talk.read_request()
        talk.hold()

    with ScriptedServer(mute) as server:
        manager = make_manager(base_url(server))
        with SimpleWebSocketClient("markets", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-*"])
            wait_until(lambda: bool(server.conversations and server.conversations[0].requests), "the call")

            assert closing_time(manager) < 1.0


def test_it_says_goodbye_to_the_exchange(
    exchange: Sandbox, make_client: MakeClient, manager: GlobalWebSocketManager
) -> None:
    make_client("polite", [TICKER]).get_price("KRW-BTC")

    assert closing_time(manager) < 1.0
    wait_until(lambda: exchange.connection_logs[0].close_code == 1000, "the goodbye")
    assert closing_time(manager) < AT_ONCE


def test_closing_from_many_threads_at_once_is_closing(
    exchange: Sandbox, make_client: MakeClient, manager: GlobalWebSocketManager
) -> None:
    make_client("closing", [TICKER]).get_price("KRW-BTC")
    threads = [threading.Thread(target=manager.close) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2.0)

    assert manager.is_over
    wait_until(lambda: threads_of_the_sdk() == [], "the end of all threads", patience=2.0)


def test_closing_while_a_pull_waits_raises_in_it(make_manager: MakeManager) -> None:
    manager = make_manager("http://127.0.0.1:9")
    client = SimpleWebSocketClient("waiting", manager=manager)
    client.register_interest([TICKER], ["KRW-BTC"])
    raised: list[BaseException] = []

    def pull() -> None:
        try:
            client.get_price("KRW-BTC", timeout=30.0)
        except ClientClosedError as error:
            raised.append(error)

    thread = threading.Thread(target=pull)
    thread.start()
    wait_until(lambda: bool(manager.pool._waiters), "the wait")
    manager.close()
    thread.join(2.0)

    assert len(raised) == 1


def test_a_forgotten_manager_can_be_collected(exchange: Sandbox) -> None:
    manager = GlobalWebSocketManager(WebSocketConfig.testing())
    gone = weakref.ref(manager)

    del manager
    gc.collect()

    assert gone() is None


# -- what the peer sends ----------------------------------------------------------------------------------------------


def test_a_peers_nonsense_costs_neither_the_connection_nor_the_value(make_manager: MakeManager) -> None:
    nonsense = [
        b"{",
        b"\xff\xff",
        b'{"type":{}}',
        b'{"type":"new","code":"KRW-BTC"}',
        b"[]",
        b"[[]]",
        b"7",
        b'{"type":"ticker"}',
    ]

    def script(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        for payload in (nonsense[0], ticker(at=1, price=1.0), *nonsense, ticker(at=2, price=2.0), *nonsense):
            talk.send_frame(payload)
        talk.hold()

    with ScriptedServer(script) as server:
        manager = make_manager(base_url(server))
        with SimpleWebSocketClient("nonsense", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            wait_until(lambda: manager.pool.counters().messages == 2 * len(nonsense) + 3, "all messages")

            assert client.get_price("KRW-BTC") == 2.0
            assert client.status().connections[0].epoch == 1
            assert client.status().connections[0].state is ConnectionState.CONNECTED
        assert len(manager.rejected_payloads()) >= 10
        manager.close()
        assert server.connections == 1


def test_after_each_end_of_a_connection_there_is_a_new_one(make_manager: MakeManager) -> None:
    def serve(end: Callable[[Conversation], object]) -> Callable[[Conversation], None]:
        def script(talk: Conversation) -> None:
            talk.upgrade()
            talk.read_frame()
            number = len(server.conversations)
            talk.send_frame(ticker(at=number, price=float(number)))
            talk.pause(0.05)
            end(talk)

        return script

    ends: list[Callable[[Conversation], object]] = [
        lambda talk: talk.reset(),
        lambda talk: talk.end(),
        lambda talk: talk.send_close(1000),
        lambda talk: talk.send_close(None),
        lambda talk: talk.send(b"\x82\x7e\xff"),  # half a frame, then FIN
        lambda talk: talk.send(b"\xff\xff\xff"),  # what no protocol allows
        lambda talk: talk.half_close(),
        lambda talk: talk.hold(),
    ]
    with ScriptedServer(*map(serve, ends)) as server:
        manager = make_manager(base_url(server), rate_limit={"connects_per_second": 100})
        with SimpleWebSocketClient("returning", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            wait_until(
                lambda: client.snapshot(TICKER, "KRW-BTC").event.trade_price == len(ends), "all of them", patience=20.0
            )

            assert client.snapshot(TICKER, "KRW-BTC").epoch == len(ends)
            assert client.status().connections[0].reconnects == len(ends) - 1
            manager.close()
        assert server.errors == []


def test_a_peer_that_stops_in_the_middle_of_a_frame_is_given_up(make_manager: MakeManager) -> None:
    def stops(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(ticker(at=1, price=1.0))
        talk.send(b"\x82\x7e\x03")
        talk.hold()

    def goes_on(talk: Conversation) -> None:
        talk.upgrade()
        talk.read_frame()
        talk.send_frame(ticker(at=2, price=2.0))
        talk.hold()

    with ScriptedServer(stops, goes_on) as server:
        manager = make_manager(base_url(server), connection={"ping_interval": 0.1, "pong_timeout": 0.2})
        with SimpleWebSocketClient("half", manager=manager) as client:
            client.register_interest([TICKER], ["KRW-BTC"])
            wait_until(lambda: client.get_price("KRW-BTC") == 2.0, "the second connection")
            manager.close()


def test_a_cut_in_the_line_leaves_only_documented_errors(
    make_sandbox: Callable[..., Sandbox], make_manager: MakeManager
) -> None:
    sandbox = make_sandbox(rate=300.0, markets=["KRW-BTC"], history_hours=0.5, connect_limit=None)
    with FaultProxy(("127.0.0.1", sandbox.port)) as proxy:
        manager = make_manager(f"http://127.0.0.1:{proxy.port}", rate_limit={"connects_per_second": 50})
        with SimpleWebSocketClient("cut", manager=manager) as client:
            client.register_interest([TICKER, TRADE], ["KRW-BTC"])
            client.get_price("KRW-BTC")
            for round_number in range(4):
                epoch = client.snapshot(TICKER, "KRW-BTC").epoch
                (proxy.reset if round_number % 2 else proxy.half_close)()
                deadline = time.monotonic() + 5.0
                while client.snapshot(TICKER, "KRW-BTC").epoch == epoch:
                    assert time.monotonic() < deadline
                    try:
                        client.get_multiple_prices(max_age=0.2, timeout=0.2)
                    except (StaleDataError, DataTimeoutError):
                        continue
            ids = [event.sequential_id for event in client.get_trade_history("KRW-BTC")]
            assert len(set(ids)) == len(ids)
            manager.close()


# -- looking ----------------------------------------------------------------------------------------------------------


def test_its_monitors_run_and_their_results_can_be_read(
    exchange: Sandbox, make_manager: MakeManager, make_client: MakeClient
) -> None:
    fast = {"health_interval": 0.05, "metrics_interval": 0.05, "cleanup_interval": 0.05}
    manager = make_manager(exchange.url, monitoring=fast)
    client = make_client("watched", [TICKER, TRADE], manager=manager)
    assert client.wait_ready(timeout=5.0)
    exchange.exchange.trade("KRW-BTC")

    wait_until(lambda: manager.get_performance_metrics().messages >= 3, "a metrics round")
    wait_until(lambda: manager.get_health_status().components == 1, "a health round that saw the client")
    wait_until(lambda: manager.get_health_status().is_healthy, "a healthy one")

    health, performance = manager.get_health_status(), manager.get_performance_metrics()
    assert (health.state, health.components) == (GlobalManagerState.ACTIVE, 1)
    assert [status.state for status in health.connections] == [ConnectionState.CONNECTED]
    assert performance.decode_errors == 0
    assert performance.messages_per_second >= 0
    assert set(manager.background_tasks) >= {
        "upbit-ws-io-public",
        "upbit-ws-health",
        "upbit-ws-metrics",
        "upbit-ws-cleanup",
    }
    assert all(manager.background_tasks.values())
    assert manager.uptime_seconds > 0
    (metrics,) = manager.get_connection_metrics()
    assert metrics.epoch == 1
    assert [type(event).__name__ for event in manager.recent_events()][:3] == ["Connecting", "Connected", "Subscribed"]
    assert "active" in repr(manager)


def test_health_tells_of_a_connection_that_is_not_there(make_manager: MakeManager, make_client: MakeClient) -> None:
    manager = make_manager("http://127.0.0.1:9", monitoring={"health_interval": 0.05})
    make_client("nobody", [TICKER], manager=manager)

    wait_until(lambda: not manager.get_health_status().is_healthy, "a health round")

    assert "refused" in (manager.get_health_status().connections[0].last_error or "")


# -- as an object ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", ["production", 5, {}])
def test_a_configuration_is_a_record(config: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="WebSocketConfig"):
        GlobalWebSocketManager(config)


def test_it_is_neither_copied_nor_pickled(manager: GlobalWebSocketManager) -> None:
    for copier in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="live connections"):
            copier(manager)


def test_leaving_its_block_closes_it(make_manager: MakeManager) -> None:
    with make_manager("http://127.0.0.1:9") as manager:
        pass

    assert manager.is_over


# -- processes --------------------------------------------------------------------------------------------------------

_EXIT = """
import sys, time
from upbit_ws import DataType, SimpleWebSocketClient, WebSocketConfig
client = SimpleWebSocketClient("script", config=WebSocketConfig.testing())
client.register_interest([DataType.TICKER], ["KRW-BTC"])
print(client.get_price("KRW-BTC"), flush=True)
"""


def test_a_script_that_closes_nothing_ends_at_once_and_says_goodbye(
    exchange: Sandbox, run_python: PythonRunner
) -> None:
    begun = time.monotonic()

    done = run_python(["-c", _EXIT], UPBIT_BASE_URL=exchange.url)

    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - begun < 10.0
    wait_until(lambda: exchange.connection_logs[0].close_code == 1000, "the goodbye")


def test_a_script_that_fails_ends_with_its_own_error(exchange: Sandbox, run_python: PythonRunner) -> None:
    done = run_python(["-c", _EXIT + "raise SystemExit(3)"], UPBIT_BASE_URL=exchange.url)

    assert (done.returncode, done.stderr) == (3, "")


_FORK = (
    _EXIT
    + """
import os
from upbit_ws import ForkedProcessError, GlobalWebSocketManager, SimpleWebSocketClient
reader, writer = os.pipe()
pid = os.fork()
if pid == 0:
    said = []
    for use in (lambda: client.get_price("KRW-BTC"), lambda: SimpleWebSocketClient("new", manager=client._manager)):
        try:
            use()
            said.append("nothing")
        except ForkedProcessError as error:
            said.append(type(error).__name__)
    with SimpleWebSocketClient("child", config=WebSocketConfig.testing()) as mine:
        mine.register_interest([DataType.TICKER], ["KRW-ETH"])
        said.append("alive" if mine.get_price("KRW-ETH") > 0 else "dead")
    os.write(writer, " ".join(said).encode())
    os._exit(0)
os.waitpid(pid, 0)
print(os.read(reader, 100).decode())
before = client.snapshot(DataType.TICKER, "KRW-BTC")
print(before.epoch, before.is_live, client.status().connections[0].reconnects)
"""
)


@pytest.mark.linux
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_in_a_forked_child_the_sdk_says_so_and_the_parent_keeps_its_connection(
    exchange: Sandbox, run_python: PythonRunner
) -> None:
    done = run_python(["-W", "ignore", "-c", _FORK], UPBIT_BASE_URL=exchange.url)

    assert done.stderr == ""
    price, child, parent = done.stdout.splitlines()
    assert child == "ForkedProcessError ForkedProcessError alive"
    assert parent == "1 True 0"
    assert float(price) > 0


def test_refused_keys_put_the_manager_in_error_and_the_other_data_goes_on(
    exchange: Sandbox, make_manager: MakeManager
) -> None:
    manager = make_manager(exchange.url, auth={"access_key": "nobody", "secret_key": "knows"})
    with SimpleWebSocketClient("error", manager=manager) as client:
        client.register_interest([DataType.TICKER], ["KRW-BTC"])
        client.get_price("KRW-BTC")
        before = manager.state
        client.register_interest([DataType.MY_ASSET])
        wait_until(lambda: manager.state is GlobalManagerState.ERROR, "the state ERROR")

        assert before is GlobalManagerState.ACTIVE
        assert client.get_price("KRW-BTC", max_age=60) > 0
    manager.close()
    assert manager.state is GlobalManagerState.CLOSED


def test_the_thread_of_the_account_is_among_the_background_tasks(exchange: Sandbox, make_manager: MakeManager) -> None:
    manager = make_manager(exchange.url, auth={"access_key": SANDBOX_ACCESS_KEY, "secret_key": SANDBOX_SECRET_KEY})
    with SimpleWebSocketClient("account", manager=manager) as client:
        client.register_interest([DataType.MY_ASSET])
        client.get_my_assets()

        assert manager.background_tasks["upbit-ws-account"]


def test_a_pull_of_the_account_says_what_hinders_it(
    exchange: Sandbox, make_manager: MakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such reply")

    monkeypatch.setattr(RestClient, "signed_get", fail)
    manager = make_manager(exchange.url, auth={"access_key": SANDBOX_ACCESS_KEY, "secret_key": SANDBOX_SECRET_KEY})
    with SimpleWebSocketClient("account", manager=manager) as client:
        client.register_interest([DataType.MY_ASSET])

        with pytest.raises(DataTimeoutError, match=r"could not be fetched: .*no such reply"):
            client.get_my_assets(timeout=1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda manager: manager.get_health_status(),
        lambda manager: manager.get_performance_metrics(),
        lambda manager: manager.get_connection_metrics(),
        lambda manager: manager.connection_statuses(),
        lambda manager: manager.recent_events(),
        lambda manager: manager.gaps(),
    ],
)
def test_a_copy_in_a_forked_child_says_that_it_is_one_instead_of_what_was_true_of_its_parent(
    ask: Callable[[GlobalWebSocketManager], object],
) -> None:
    manager = GlobalWebSocketManager(WebSocketConfig.testing())
    assert ask(manager) is not None

    manager.abandon_after_fork()

    with pytest.raises(ForkedProcessError, match="child"):
        ask(manager)
