"""K: keys and tokens are seen by the exchange and by nobody else, whatever goes wrong and however one looks."""

from __future__ import annotations

import copy
import faulthandler
import io
import json
import logging
import pickle
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
import websocket

from tests.account_rig import account_config, wait_until
from tests.process import PythonRunner
from tests.reliability.conftest import Record
from tests.reliability.invariants import CANARIES, canary_auth
from tests.reliability.rig import Rig
from tests.reliability.scripts import Script, greet
from upbit_ws import (
    AuthConfig,
    AuthenticationError,
    ConnectionState,
    DataType,
    GlobalWebSocketManager,
    Secret,
    SimpleWebSocketClient,
    UpbitWebSocketError,
    WebSocketConfig,
)
from upbit_ws.config import Credentials
from upbit_ws.protocol.jwt_manager import JWTManager
from upbit_ws.protocol.upbit_authenticator import UpbitAuthenticator
from upbit_ws.sandbox import Sandbox
from upbit_ws.sandbox.auth import SandboxKey
from upbit_ws.testing import Conversation
from upbit_ws.wire.rest import RestClient

ACCESS, SECRET = CANARIES
TOKEN = re.compile(r"eyJ[\w-]{10,}")


def shows_no_secret(text: str) -> bool:
    return ACCESS not in text and SECRET not in text and not TOKEN.search(text)


def with_locals(error: BaseException | None) -> str:
    """The error as the most talkative tools show it: with every local of every frame, and all that led to it."""
    shown: list[str] = []
    while error is not None:
        shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
        shown += [repr(error.args), repr(vars(error))]
        frame = error.__traceback__
        while frame is not None:
            shown += [f"{name}={value!r}" for name, value in frame.tb_frame.f_locals.items() if name != "canaries"]
            frame = frame.tb_next
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """What any logger of the process says, at the lowest level, libraries included."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setLevel(0)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield said
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def exchange(rig: Rig) -> Sandbox:
    """An embedded exchange that accepts the canaries."""
    return rig.sandbox(rate=0.0, markets=("KRW-BTC",), history_hours=0.0, keys={ACCESS: SandboxKey(SECRET)})


def account_of(exchange: Sandbox) -> tuple[GlobalWebSocketManager, SimpleWebSocketClient]:
    manager = GlobalWebSocketManager(account_config(exchange.url, access_key=ACCESS, secret_key=SECRET))
    client = SimpleWebSocketClient("account", manager=manager)
    client.register_interest([DataType.MY_ORDER, DataType.MY_ASSET])
    client.get_my_orders()
    return manager, client


def things(manager: GlobalWebSocketManager, client: SimpleWebSocketClient) -> dict[str, Any]:
    auth = canary_auth()
    authenticator = UpbitAuthenticator(auth, clock=lambda: 0.0, nonce=lambda: "nonce")
    authenticator.check()
    credentials = auth.credentials()
    return {
        "secret": auth.secret_key,
        "auth": auth,
        "credentials": credentials,
        "config": manager.config,
        "manager": manager,
        "client": client,
        "authenticator": authenticator,
        "tokens": authenticator.tokens,
        "token": authenticator.tokens.take(0.0),
        "rest": RestClient("https://api.upbit.com", authorization=authenticator.rest_authorization),
        "error": AuthenticationError("INVALID_AUTH", "인증 정보가 올바르지 않습니다."),
        "bound method": authenticator.websocket_authorization,
    }


def _looks() -> dict[str, Callable[[Any], object]]:
    def as_json(thing: Any) -> object:
        return json.dumps(vars(thing), default=repr)

    return {
        "repr": repr,
        "str": str,
        "format": lambda thing: f"{thing} {thing!s} {thing!r} {thing!a}",
        "percent": lambda thing: "%s %r" % (thing, thing),  # noqa: UP031
        "vars": lambda thing: vars(thing),
        "asdict": lambda thing: attrs.asdict(thing, recurse=True),
        "astuple": lambda thing: attrs.astuple(thing, recurse=True),
        "json": as_json,
        "orjson": lambda thing: orjson.dumps(thing, default=repr),
        "pickle": pickle.dumps,
        "copy": lambda thing: repr(copy.copy(thing)),
        "deepcopy": lambda thing: repr(copy.deepcopy(thing)),
        "slots": lambda thing: [repr(getattr(thing, name, None)) for name in getattr(thing, "__slots__", ())],
        "dir": lambda thing: [repr(value) for name in dir(thing) if not callable(value := getattr(thing, name, None))],
        "getstate": lambda thing: thing.__getstate__(),
    }


@pytest.mark.parametrize("look", _looks())
def test_K1_no_way_of_looking_at_an_object_shows_a_key(look: str, exchange: Sandbox, record: Record) -> None:
    manager, client = account_of(exchange)
    with manager, client:
        seen = 0
        for name, thing in things(manager, client).items():
            try:
                shown = _looks()[look](thing)
            except (TypeError, AttributeError, attrs.exceptions.NotAnAttrsClassError) as refusal:
                shown = refusal  # it cannot be looked at that way, which is as good
            else:
                seen += 1
            assert shows_no_secret(repr(shown)), name
            assert shows_no_secret(str(shown)), name
    record("K1", figure=f"12 kinds of objects in {len(_looks())} ways", bound="no key, no token")


def reset_after_request(talk: Conversation) -> None:
    talk.read_request()
    talk.reset()


def garbage(talk: Conversation) -> None:
    talk.read_request()
    talk.send(b"220 smtp.example ESMTP\r\n")


def refused(talk: Conversation) -> None:
    echoed = talk.read_request().headers["authorization"]
    body = json.dumps({"error": {"name": "jwt_verification", "message": f"bad token {echoed}"}}).encode()
    talk.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def redirecting(talk: Conversation) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n")


FAILURES = [reset_after_request, garbage, refused, redirecting]


@pytest.mark.parametrize("script", FAILURES, ids=lambda script: script.__name__)
def test_K2_no_traceback_with_locals_shows_a_key(script: Script, rig: Rig, record: Record) -> None:
    server = rig.serve(script)
    subject = rig.connect(server, [DataType.ANNOUNCEMENT], ())
    client = subject.manager._connections.all()[0]
    wait_until(lambda: client.last_error is not None, "a failure")
    errors: list[BaseException | None] = [client.last_error]
    authenticator = UpbitAuthenticator(canary_auth(), clock=lambda: 0.0, nonce=lambda: "nonce")
    base = "http" + server.url.removeprefix("ws")
    with RestClient(base, authorization=authenticator.rest_authorization) as rest:
        with pytest.raises(UpbitWebSocketError) as caught:
            rest.signed_get("/v1/accounts")
        errors.append(caught.value)
    for error in errors:
        assert shows_no_secret(with_locals(error))
    assert all(ACCESS not in thread.name for thread in threading.enumerate())
    record("K2", figure="failures of the upgrade, of REST and of signing, every frame with its locals")


def test_K2_a_key_that_cannot_sign_does_not_show_either(record: Record) -> None:
    held = ['{"kty":"oct","k":"' + SECRET + '"}']
    manager = JWTManager(lambda: Credentials(Secret(ACCESS), Secret(held[0])), lambda: "nonce")
    with pytest.raises(AuthenticationError) as caught:
        manager.take(0.0)
    error: BaseException | None = caught.value
    assert error is not None
    assert error.__cause__ is None
    assert error.__context__ is None
    own = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert ACCESS not in own
    assert "held" not in own.split("jwt_manager.py")[-1]
    assert SECRET not in own.split("jwt_manager.py", 1)[-1]
    record("K2", figure="failures of the upgrade, of REST and of signing, every frame with its locals")


def test_K3_the_trace_of_websocket_client_has_no_key(
    exchange: Sandbox, everything_logged: io.StringIO, capfd: pytest.CaptureFixture[str], record: Record
) -> None:
    websocket.enableTrace(True, handler=logging.StreamHandler(sys.stderr))
    try:
        manager, client = account_of(exchange)
        with manager, client:
            updates = client.updates(DataType.MY_ASSET, timeout=5)
            exchange.exchange.deposit("KRW", 5)
            next(updates)
    finally:
        websocket.enableTrace(False)
    out, err = capfd.readouterr()
    assert "upbit_ws" in everything_logged.getvalue() or everything_logged.getvalue()
    assert shows_no_secret(everything_logged.getvalue())
    assert shows_no_secret(out + err)
    record("K3", figure="every logger at its lowest level, with enableTrace(True)", bound="no key, no token")


def test_K4_a_server_that_repeats_the_token_does_not_get_it_into_an_error(
    rig: Rig, everything_logged: io.StringIO, record: Record
) -> None:
    subject = rig.connect(rig.serve(refused), [DataType.MY_ASSET], ())
    wait_until(lambda: subject.status.state is ConnectionState.ERROR, "the refusal")
    with pytest.raises(AuthenticationError) as caught:
        subject.client.get_my_assets(timeout=5)
    assert caught.value.message_ko == "bad token ***"
    assert shows_no_secret(everything_logged.getvalue())
    assert shows_no_secret(repr(subject.manager.published))
    record("K4", figure="masked in the error, the events and the log")


@pytest.mark.parametrize("script", FAILURES, ids=lambda script: script.__name__)
def test_K5_no_error_drags_one_of_a_library_along(script: Script, rig: Rig, record: Record) -> None:
    server = rig.serve(script)
    base = "http" + server.url.removeprefix("ws")
    authenticator = UpbitAuthenticator(canary_auth(), clock=lambda: 0.0, nonce=lambda: "nonce")
    with (
        RestClient(base, authorization=authenticator.rest_authorization) as rest,
        pytest.raises(UpbitWebSocketError) as caught,
    ):
        rest.signed_get("/v1/orders/open", [("state", "wait")])
    error: BaseException | None = caught.value
    modules = set()
    while error is not None:
        modules.add(type(error).__module__.partition(".")[0])
        error = error.__cause__ or error.__context__
    assert modules <= {"upbit_ws", "builtins"}
    assert shows_no_secret(pickle.dumps(caught.value).decode("latin-1"))
    record("K5", figure="no cause and no context of requests, urllib3, websocket-client or PyJWT")


def test_K6_nothing_that_is_measured_or_reported_names_a_key(exchange: Sandbox, record: Record) -> None:
    manager, client = account_of(exchange)
    with manager, client:
        wait_until(lambda: manager.get_performance_metrics().messages >= 0, "a round")
        reports = [
            manager.get_health_status(),
            manager.get_performance_metrics(),
            manager.get_connection_metrics(),
            manager.connection_statuses(),
            manager.recent_events(),
            manager.background_tasks,
            manager.get_distribution_stats(),
            client.status(),
            client.gaps(),
            manager.rejected_payloads(),
            [thread.name for thread in threading.enumerate()],
        ]
        for report in reports:
            assert shows_no_secret(repr(report))
    record("K6", figure="eleven reports, thread names included", bound="no key, not even a part of one")


NASTY = "one\r\ntwo\x1b[2J\u2028three\x00" + "x" * 5000


def nasty_error(talk: Conversation) -> None:
    greet(talk)
    talk.send_frame(json.dumps({"error": {"name": NASTY, "message": NASTY}}).encode())
    talk.pause(0.05)


def nasty_close(talk: Conversation) -> None:
    from upbit_ws.protocol.frames import Opcode

    greet(talk)
    talk.send_frame((4000).to_bytes(2, "big") + "one\r\ntwo\x1b[2J\u2028three".encode(), Opcode.CLOSE)


def nasty_refusal(talk: Conversation) -> None:
    talk.read_request()
    body = json.dumps({"error": {"name": NASTY, "message": NASTY}}).encode()
    talk.send(b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize("script", [nasty_error, nasty_close, nasty_refusal], ids=lambda script: script.__name__)
def test_K7_nothing_from_outside_breaks_a_line_of_the_log(
    script: Script, rig: Rig, everything_logged: io.StringIO, record: Record
) -> None:
    subject = rig.connect(rig.serve(script), [DataType.ANNOUNCEMENT], ())
    wait_until(lambda: subject.status.last_error is not None, "the failure")
    error = subject.status.last_error or ""
    for text in (error, *everything_logged.getvalue().splitlines()):
        assert all(sign not in text for sign in ("\r", "\n", "\x1b", "\u2028", "\x00"))
        assert len(text) < 1000
    assert not any(line.startswith(("two", "three")) for line in everything_logged.getvalue().split("\n"))
    record("K7", figure="error frames, close reasons and refusals: one line each, escaped, bounded")


@pytest.mark.linux
def test_K8_no_file_is_read_for_keys_and_none_is_written(
    exchange: Sandbox, run_python: PythonRunner, tmp_path: Path, record: Record
) -> None:
    """There is no key file, hence none that others may read: keys come as arguments, from the environment or a call."""
    program = (
        "from upbit_ws import *\n"
        "with SimpleWebSocketClient('a', config=WebSocketConfig()) as client:\n"
        "    client.register_interest(['myOrder', 'myAsset'])\n"
        "    print(len(client.get_my_assets()))\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    done = run_python(
        ["-c", program],
        cwd=home,
        UPBIT_BASE_URL=exchange.url,
        UPBIT_ACCESS_KEY=ACCESS,
        UPBIT_SECRET_KEY=SECRET,
        HOME=str(home),
        XDG_CACHE_HOME=str(home / "cache"),
    )
    assert (done.stderr, done.stdout) == ("", "2\n")
    written = [path for path in home.rglob("*") if path.is_file()]
    assert [path.suffix for path in written] == [".json"], "the budgets that processes share"
    assert all(shows_no_secret(path.read_text()) for path in written)
    assert not any("path" in field.name or "file" in field.name for field in attrs.fields(AuthConfig))
    record("K8", figure="no file of keys exists; the one file written has no key", bound="no key in any file")


def test_K9_a_dump_of_all_stacks_has_no_key(exchange: Sandbox, tmp_path: Path, record: Record) -> None:
    manager, client = account_of(exchange)
    with manager, client, (tmp_path / "dump").open("w+") as dump:
        faulthandler.dump_traceback(dump, all_threads=True)
        dump.seek(0)
        text = dump.read()
    assert "upbit_ws" in text
    assert shows_no_secret(text)
    record("K9", figure="faulthandler over all threads of a running account")


def test_K1_the_canaries_were_in_use(exchange: Sandbox) -> None:
    """Otherwise none of this proves anything."""
    assert WebSocketConfig.testing(auth=canary_auth()).auth.access_key == Secret(ACCESS)
    manager, client = account_of(exchange)
    with manager, client:
        assert client.get_my_assets()
