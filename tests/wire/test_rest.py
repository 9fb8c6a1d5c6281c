"""REST calls: what is asked, and what each answer becomes."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
import requests
import responses

from upbit_ws.exceptions import (
    AuthenticationError,
    InvalidArgumentError,
    PayloadError,
    RateLimitedError,
    RestError,
    TlsVerificationError,
)
from upbit_ws.testing import CertificateAuthority, Conversation, ScriptedServer
from upbit_ws.wire.rest import RestClient, RestSettings

BASE = "https://api.upbit.com"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhY2Nlc3Nfa2V5IjoiYSJ9.c2lnbmF0dXJl"


class RecordingLimiter:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.told: list[tuple[str, int, str | None]] = []

    def acquire(self, group: str) -> None:
        self.asked.append(group)

    def on_response(self, group: str, status: int, headers: Mapping[str, str]) -> None:
        self.told.append((group, status, headers.get("remaining-req")))


@pytest.fixture
def upbit() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def client() -> Iterator[RestClient]:
    with RestClient(BASE) as made:
        yield made


def answer(upbit: responses.RequestsMock, path: str, body: bytes = b"[]", status: int = 200, **headers: str) -> None:
    upbit.get(BASE + path, body=body, status=status, headers={n.replace("_", "-"): v for n, v in headers.items()})


@pytest.mark.parametrize(
    ("call", "path", "query"),
    [
        (lambda rest: rest.markets(), "/v1/market/all", "is_details=false"),
        (lambda rest: rest.markets(is_details=True), "/v1/market/all", "is_details=true"),
        (lambda rest: rest.ticker(["KRW-BTC", "KRW-ETH"]), "/v1/ticker", "markets=KRW-BTC,KRW-ETH"),
        (lambda rest: rest.ticker_all(["KRW", "BTC"]), "/v1/ticker/all", "quote_currencies=KRW,BTC"),
        (lambda rest: rest.orderbook(["KRW-BTC"]), "/v1/orderbook", "markets=KRW-BTC"),
        (
            lambda rest: rest.orderbook(["KRW-BTC"], count=15, level=10000),
            "/v1/orderbook",
            "markets=KRW-BTC&count=15&level=10000",
        ),
        (lambda rest: rest.orderbook(["KRW-X"], level=0.1), "/v1/orderbook", "markets=KRW-X&level=0.1"),
        (lambda rest: rest.orderbook(["KRW-X"], level=0), "/v1/orderbook", "markets=KRW-X"),
        (lambda rest: rest.instruments(["KRW-BTC"]), "/v1/orderbook/instruments", "markets=KRW-BTC"),
        (lambda rest: rest.trades_ticks("KRW-BTC"), "/v1/trades/ticks", "market=KRW-BTC&count=500"),
        (
            lambda rest: rest.trades_ticks("KRW-BTC", count=3, to="10:20:30", cursor=17877285547970000, days_ago=1),
            "/v1/trades/ticks",
            "market=KRW-BTC&count=3&to=10:20:30&cursor=17877285547970000&days_ago=1",
        ),
        (lambda rest: rest.candles(5, "KRW-BTC"), "/v1/candles/minutes/5", "market=KRW-BTC&count=200"),
        (lambda rest: rest.candles("240m", "KRW-BTC"), "/v1/candles/minutes/240", "market=KRW-BTC&count=200"),
        (lambda rest: rest.candles("1s", "KRW-BTC", count=1), "/v1/candles/seconds", "market=KRW-BTC&count=1"),
        (lambda rest: rest.candles("1M", "KRW-BTC"), "/v1/candles/months", "market=KRW-BTC&count=200"),
        (
            lambda rest: rest.candles("/v1/candles/minutes/1", "KRW-BTC", to="2026-11-22T00:00:00Z"),
            "/v1/candles/minutes/1",
            "market=KRW-BTC&count=200&to=2026-11-22T00:00:00Z",
        ),
    ],
)
def test_each_call_asks_for_what_upbit_documents(
    upbit: responses.RequestsMock, client: RestClient, call: Callable[[RestClient], object], path: str, query: str
) -> None:
    answer(upbit, path, b'[{"market":"KRW-BTC"}]')

    assert call(client) == [{"market": "KRW-BTC"}]
    request = upbit.calls[0].request
    assert request.url == f"{BASE}{path}?{query}"
    assert request.headers["User-Agent"] == "upbit-ws"
    assert {"Origin", "Authorization", "Cookie"}.isdisjoint(request.headers)


def test_many_codes_are_split_into_calls_and_joined(upbit: responses.RequestsMock, client: RestClient) -> None:
    codes = [f"KRW-C{number}" for number in range(450)]
    answer(upbit, "/v1/ticker", b'[{"n":1}]')

    assert client.ticker(codes) == [{"n": 1}] * 3
    asked = [call.request.url.partition("markets=")[2].split(",") for call in upbit.calls]
    assert [len(each) for each in asked] == [200, 200, 50]
    assert [code for each in asked for code in each] == codes


def test_no_codes_make_no_call(upbit: responses.RequestsMock, client: RestClient) -> None:
    assert client.ticker([]) == []
    assert len(upbit.calls) == 0


def test_ids_are_whole_and_not_rounded(upbit: responses.RequestsMock, client: RestClient) -> None:
    answer(upbit, "/v1/trades/ticks", b'[{"sequential_id":17877285547970001,"trade_price":1.5}]')

    assert client.trades_ticks("KRW-BTC")[0]["sequential_id"] == 17877285547970001


@pytest.mark.parametrize(
    "call",
    [
        lambda rest: rest.ticker("KRW-BTC"),
        lambda rest: rest.trades_ticks("KRW-BTC", count=501),
        lambda rest: rest.trades_ticks("KRW-BTC", count=0),
        lambda rest: rest.candles(1, "KRW-BTC", count=201),
        lambda rest: rest.candles(7, "KRW-BTC"),
        lambda rest: rest.candles("../orders", "KRW-BTC"),
        lambda rest: rest.signed_get("/v1/accounts"),
    ],
)
def test_a_call_that_cannot_be_meant_is_refused_before_it_is_made(
    upbit: responses.RequestsMock, client: RestClient, call: Callable[[RestClient], object]
) -> None:
    with pytest.raises(InvalidArgumentError):
        call(client)
    assert len(upbit.calls) == 0


def test_a_signed_call_signs_the_query_as_it_is_sent_but_not_encoded(upbit: responses.RequestsMock) -> None:
    signed: list[str] = []

    def authorization(query: str) -> str:
        signed.append(query)
        return f"Bearer {TOKEN}"

    answer(upbit, "/v1/orders/closed", b'[{"uuid":"a","volume":"0.10000000"}]')
    with RestClient(BASE, authorization=authorization) as client:
        query = [
            ("market", "KRW-BTC"),
            ("states[]", "done"),
            ("states[]", "cancel"),
            ("start_time", "2026-01-01 +09:00"),
        ]
        reply = client.signed_get("/v1/orders/closed", query)

    assert reply == [{"uuid": "a", "volume": "0.10000000"}]
    assert signed == ["market=KRW-BTC&states[]=done&states[]=cancel&start_time=2026-01-01 +09:00"]
    request = upbit.calls[0].request
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert requests.utils.unquote(request.url.partition("?")[2]) == signed[0]


def test_a_signed_call_without_query_signs_nothing(upbit: responses.RequestsMock) -> None:
    answer(upbit, "/v1/accounts", b"[]")
    with RestClient(BASE, authorization=lambda query: f"Bearer <{query}>") as client:
        client.signed_get("/v1/accounts")
    assert upbit.calls[0].request.headers["Authorization"] == "Bearer <>"


def test_keys_are_never_sent_in_clear() -> None:
    for base in ("http://api.upbit.com", "http://api.upbit.com:8080"):
        with pytest.raises(InvalidArgumentError, match="in clear"):
            RestClient(base, authorization=lambda query: "Bearer x")
    RestClient("http://127.0.0.1:1", authorization=lambda query: "Bearer x")


@pytest.mark.parametrize(
    ("status", "body", "name", "message"),
    [
        (404, b'{"error":{"name":404,"message":"Code not found"}}', 404, "Code not found"),
        (400, b'{"error":{"name":"invalid_parameter","message":"m\\n"}}', "invalid_parameter", "m\\n"),
        (400, b"<html>\x1b</html>", "", "<html>\\x1b</html>"),
        (500, b"", "", ""),
        (502, b"Bad Gateway", "", "Bad Gateway"),
        (403, b"Forbidden", "", "Forbidden"),
        (204, b"", "", ""),
    ],
)
def test_a_refusal_becomes_an_error_with_its_name(
    upbit: responses.RequestsMock, client: RestClient, status: int, body: bytes, name: str | int, message: str
) -> None:
    answer(upbit, "/v1/ticker", body, status)

    with pytest.raises(RestError) as caught:
        client.ticker(["KRW-BTC"])
    assert (caught.value.status, caught.value.name, caught.value.message) == (status, name, message)
    assert caught.value.retryable == (status >= 500)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_the_keys_is_an_error_of_its_own(upbit: responses.RequestsMock, status: int) -> None:
    body = f'{{"error":{{"name":"no_authorization_ip","message":"Bearer {TOKEN}"}}}}'.encode()
    answer(upbit, "/v1/accounts", body, status)

    with (
        RestClient(BASE, authorization=lambda query: f"Bearer {TOKEN}") as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.signed_get("/v1/accounts")
    assert (caught.value.name, caught.value.status) == ("no_authorization_ip", status)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [(429, {"Retry_After": "2"}, 2.0), (418, {"Retry_After": "1000000000"}, 600.0), (429, {}, None)],
)
def test_limits_say_how_long_to_wait(
    upbit: responses.RequestsMock, status: int, headers: dict[str, str], expected: float | None
) -> None:
    limiter = RecordingLimiter()
    answer(upbit, "/v1/ticker", b"{}", status, Remaining_Req="group=ticker; min=600; sec=0", **headers)

    with RestClient(BASE, limiter=limiter) as client, pytest.raises(RateLimitedError) as caught:
        client.ticker(["KRW-BTC"])
    assert (caught.value.status, caught.value.retry_after, caught.value.group) == (status, expected, "ticker")
    assert limiter.told == [("ticker", status, "group=ticker; min=600; sec=0")]


def test_the_limiter_is_asked_for_each_call_by_its_group(upbit: responses.RequestsMock) -> None:
    limiter = RecordingLimiter()
    for path in ("/v1/market/all", "/v1/ticker", "/v1/orderbook", "/v1/trades/ticks", "/v1/candles/minutes/1"):
        answer(upbit, path)
    answer(upbit, "/v1/accounts")
    with RestClient(BASE, limiter=limiter, authorization=lambda query: "Bearer x") as client:
        client.markets()
        client.ticker(["A"] * 201)
        client.orderbook(["A"])
        client.trades_ticks("A")
        client.candles(1, "A")
        client.signed_get("/v1/accounts")

    assert limiter.asked == ["market", "ticker", "ticker", "orderbook", "trade", "candle", "default"]
    assert [status for _, status, _ in limiter.told] == [200] * 7


def test_a_limiter_that_refuses_prevents_the_call(upbit: responses.RequestsMock) -> None:
    class Refusing(RecordingLimiter):
        def acquire(self, group: str) -> None:
            raise RateLimitedError(1.0, group=group)

    with RestClient(BASE, limiter=Refusing()) as client, pytest.raises(RateLimitedError):
        client.markets()
    assert len(upbit.calls) == 0


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff", b'{"market":1}', b"[1]", b"null"])
def test_a_reply_that_is_not_what_upbit_documents_is_an_error(
    upbit: responses.RequestsMock, client: RestClient, body: bytes
) -> None:
    answer(upbit, "/v1/market/all", body)
    with pytest.raises(PayloadError):
        client.markets()


# With real sockets: what a mock of `requests` cannot show.


def serve(body: bytes, **headers: str) -> Callable[[Conversation], None]:
    def script(talk: Conversation) -> None:
        while True:
            talk.read_request()
            talk.send_response(200, headers={name.replace("_", "-"): v for name, v in headers.items()}, body=body)

    return script


def http(server: ScriptedServer) -> str:
    return server.url.replace("ws", "http", 1)


def test_a_connection_is_kept_for_the_next_call_and_no_cookie_with_it() -> None:
    with ScriptedServer(serve(b"[]", Set_Cookie="a=b; Path=/")) as server, RestClient(http(server)) as client:
        client.markets()
        client.markets()
        assert server.connections == 1
        assert len(server.conversation().requests) == 2
        assert "cookie" not in server.conversation().requests[1].headers


def test_a_redirect_is_not_followed_with_the_token_or_without() -> None:
    with ScriptedServer(serve(b"[]")) as elsewhere:

        def redirect(talk: Conversation) -> None:
            talk.read_request()
            talk.send_response(302, headers={"Location": http(elsewhere)})

        with (
            ScriptedServer(redirect) as server,
            RestClient(http(server), authorization=lambda query: f"Bearer {TOKEN}") as client,
        ):
            with pytest.raises(RestError, match="redirect") as caught:
                client.signed_get("/v1/accounts")
            assert caught.value.status == 302
            assert elsewhere.connections == 0


def test_the_environment_names_no_proxy_and_no_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with ScriptedServer(serve(b"[]")) as proxy, ScriptedServer(serve(b"[]")) as server:
        monkeypatch.setenv("http_proxy", http(proxy))
        monkeypatch.delenv("no_proxy", raising=False)
        with RestClient(http(server)) as client:
            client.markets()
        assert (proxy.connections, server.connections) == (0, 1)
        assert "authorization" not in server.conversation().requests[0].headers
        with RestClient(http(server), settings=RestSettings(trust_env=True)) as client:
            client.markets()
        assert (proxy.connections, server.connections) == (1, 1)
        with RestClient("http://exchange.test", settings=RestSettings(proxy_url=http(proxy))) as client:
            client.markets()
        assert proxy.conversation(1).requests[0].path.startswith("http://exchange.test/v1/market/all")


def test_a_reply_is_unpacked_and_bounded() -> None:
    packed = gzip.compress(b'[{"market":"KRW-BTC"}]')
    bomb = gzip.compress(b" " * (50 << 20))
    settings = RestSettings(max_body=1 << 20)
    with (
        ScriptedServer(serve(packed, Content_Encoding="gzip"), serve(bomb, Content_Encoding="gzip")) as server,
        RestClient(http(server), settings=settings) as client,
    ):
        assert client.markets() == [{"market": "KRW-BTC"}]
        client.close()
        with pytest.raises(RestError, match="larger than"):
            client.markets()


def test_a_sender_that_drips_does_not_outlive_the_deadline() -> None:
    def drip(talk: Conversation) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        talk.send_slowly(b" " * 1000, pause=0.02)

    with (
        ScriptedServer(drip) as server,
        RestClient(http(server), settings=RestSettings(total_timeout=0.3)) as client,
    ):
        started = time.monotonic()
        with pytest.raises(RestError, match="longer than"):
            client.markets()
        assert time.monotonic() - started < 1.0


@pytest.mark.parametrize("script", [Conversation.hold, Conversation.reset, Conversation.end])
def test_no_reply_is_an_error_of_status_zero(script: Callable[[Conversation], None]) -> None:
    with (
        ScriptedServer(script) as server,
        RestClient(
            http(server), settings=RestSettings(read_timeout=0.2), authorization=lambda query: f"Bearer {TOKEN}"
        ) as client,
    ):
        with pytest.raises(RestError) as caught:
            client.signed_get("/v1/accounts")
        assert caught.value.status == 0
        assert caught.value.retryable
        assert caught.value.__cause__ is None
        assert TOKEN not in str(caught.value)


WHOLE = b'[{"market":"KRW-BTC"}]'


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"Content-Length: 22\r\n\r\n" + WHOLE[:9], RestError),
        (b"Transfer-Encoding: chunked\r\n\r\n16\r\n" + WHOLE[:9], RestError),
        (b"Transfer-Encoding: chunked\r\n\r\n9\r\n" + WHOLE[:9] + b"\r\n", RestError),
        # Where only the end of the connection ends the reply, only its content tells that it was cut.
        (b"\r\n" + WHOLE[:9], PayloadError),
        (b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(WHOLE, mtime=0)[:-12], PayloadError),
        (b"Content-Length: 0\r\n\r\n", PayloadError),
    ],
)
def test_a_reply_that_is_cut_off_is_an_error_and_never_a_shorter_list(reply: bytes, error: type[Exception]) -> None:
    def cut(talk: Conversation) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + reply)
        talk.end()

    with ScriptedServer(cut, serve(WHOLE)) as server, RestClient(http(server)) as client:
        with pytest.raises(error) as caught:
            client.markets()
        assert isinstance(caught.value, PayloadError) or "IncompleteRead" in str(caught.value)
        assert client.markets() == [{"market": "KRW-BTC"}], "the next call is not disturbed"


def test_a_session_that_failed_is_closed_and_not_used_again() -> None:
    closed: list[object] = []

    class Session(requests.Session):
        def close(self) -> None:
            closed.append(self)
            super().close()

    made: list[requests.Session] = []

    def make() -> requests.Session:
        made.append(Session())
        return made[-1]

    with ScriptedServer(Conversation.reset, serve(b"[]")) as server, RestClient(http(server), session=make) as client:
        with pytest.raises(RestError):
            client.markets()
        assert closed == made[:1]
        client.markets()
        client.markets()
        assert len(made) == 2
    assert closed == made


def test_tls_trusts_whom_the_websocket_trusts(authority: CertificateAuthority) -> None:
    with ScriptedServer(serve(b"[]"), tls=authority.server_context()) as server:
        with RestClient(http(server), settings=RestSettings(ssl_context=authority.client_context())) as client:
            assert client.markets() == []
        with RestClient(http(server)) as client, pytest.raises(TlsVerificationError):
            client.markets()


def test_a_context_of_the_users_is_left_as_it_was(authority: CertificateAuthority) -> None:
    context = authority.client_context()
    before = context.cert_store_stats()
    with (
        ScriptedServer(serve(b"[]"), tls=authority.server_context()) as server,
        RestClient(http(server), settings=RestSettings(ssl_context=context)) as client,
    ):
        client.markets()
    assert context.cert_store_stats() == before


def test_a_context_that_believes_anybody_is_refused() -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(InvalidArgumentError, match="ssl_context"):
        RestClient(BASE, settings=RestSettings(ssl_context=context))


def test_calls_of_several_threads_have_a_connection_each() -> None:
    together = threading.Barrier(4, timeout=5.0)

    def script(talk: Conversation) -> None:
        while True:
            talk.read_request()
            together.wait()
            talk.send_response(200, body=b"[]")

    replies: list[object] = []
    with ScriptedServer(script) as server, RestClient(http(server)) as client:
        threads = [threading.Thread(target=lambda: replies.append(client.markets())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.connections == 4
    assert replies == [[]] * 4


def test_settings_do_not_show_the_proxys_password() -> None:
    settings = RestSettings(proxy_url="http://user:hunter2@proxy.example:3128")

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in repr(RestClient(BASE, settings=settings))
