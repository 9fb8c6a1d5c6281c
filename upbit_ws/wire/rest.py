"""Upbit's REST calls that fill gaps and list markets, over `requests`.

What the calls take and give: Upbit: rest-api-guide and the reference page of each call. Replies are returned as Upbit
sends them, decoded: lists of dictionaries with Upbit's names.

A redirect is never followed (a token would go along), proxies and `.netrc` of the environment are not looked at unless
asked for, no cookie is kept, and a body is read up to a limit only.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

import orjson

from upbit_ws.exceptions import (
    AuthenticationError,
    InvalidArgumentError,
    PayloadError,
    RateLimitedError,
    RestError,
    TlsVerificationError,
    UpbitWebSocketError,
)
from upbit_ws.protocol.http import parse_error_body, parse_retry_after
from upbit_ws.protocol.redaction import escape_text, mask_secrets
from upbit_ws.secret import Secret
from upbit_ws.wire.rest_session import RestSettings, new_session, read_body
from upbit_ws.wire.tls import check_context, is_loopback

if TYPE_CHECKING:
    import requests

__all__ = ["Limiter", "RestClient", "RestSettings"]

Query = Sequence[tuple[str, str]]
Row = dict[str, Any]

#: Codes of one multi-code call. Upbit names no limit; this keeps addresses below 3 kB.
_CODES_A_CALL = 200
_MAX_TRADES = 500
_MAX_CANDLES = 200
_MINUTES = ("1", "3", "5", "10", "15", "30", "60", "240")
_PERIODS = {"1s": "seconds", "1d": "days", "1w": "weeks", "1M": "months", "1y": "years"}


class Limiter(Protocol):
    """Keeps all callers within Upbit's limits. Called by the thread that makes the call."""

    def acquire(self, group: str) -> None:
        """Return when one call of `group` may be made; raise to refuse it."""

    def on_response(self, group: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn what the exchange answered: `remaining-req`, `retry-after` (lower-case names), 429 and 418."""


class RestClient:
    """Calls at one base address. May be used from several threads at once: each call has a session to itself.

    Args:
        base_url: `https://api.upbit.com`, or a region's or sandbox's.
        limiter: Asked before each call and told after it; None calls at once.
        authorization: Makes the value of `Authorization` for the query of a signed call, given as Upbit hashes it: in
            the sent order and not encoded (`market=KRW-BTC&states[]=done`).
        session: Makes a session; the default imports `requests` at the first call.
        wall: Seconds since the epoch, for a `Retry-After` that is a date.

    Every call raises:
        RateLimitedError: HTTP 429 or 418.
        AuthenticationError: HTTP 401, of signed calls; and 403 where Upbit says why.
        RestError: any other refusal; status 0 where no reply came.
        TlsVerificationError: the certificate does not verify.
        PayloadError: a reply that is not what Upbit documents.
    """

    def __init__(
        self,
        base_url: str,
        *,
        settings: RestSettings | None = None,
        limiter: Limiter | None = None,
        authorization: Callable[[str], str] | None = None,
        session: Callable[[], requests.Session] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        parts = urlsplit(self._base_url)
        self._host = parts.hostname or ""
        self._settings = settings or RestSettings()
        self._limiter = limiter
        self._authorization = authorization
        self._new_session = session or (lambda: new_session(self._settings))
        self._clock = clock
        self._wall = wall
        #: Sessions that no call uses now. A deque gives and takes them without a lock.
        self._idle: deque[requests.Session] = deque()
        if authorization is not None and parts.scheme != "https" and not is_loopback(self._host):
            raise InvalidArgumentError(
                "base_url", f"would send keys to {self._host} in clear", f"'https://{self._host}'"
            )
        if self._settings.ssl_context is not None:
            check_context(self._settings.ssl_context, self._host)

    def close(self) -> None:
        """Close the connections that are kept open. The client may be used again afterwards."""
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> RestClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RestClient {self._base_url}>"

    # Quotation calls

    def markets(self, *, is_details: bool = False) -> list[Row]:
        """All markets; with details, also Upbit's warnings about each. `GET /v1/market/all`."""
        return self._rows("market", "/v1/market/all", [("is_details", "true" if is_details else "false")])

    def ticker(self, codes: Iterable[str]) -> list[Row]:
        """The tickers of `codes`, in calls of 200. One unknown code fails its whole call with 404. `GET /v1/ticker`."""
        return self._in_calls("ticker", "/v1/ticker", codes)

    def ticker_all(self, quote_currencies: Iterable[str]) -> list[Row]:
        """The tickers of all markets of `KRW`, `BTC`, `USDT`. `GET /v1/ticker/all`."""
        return self._rows("ticker", "/v1/ticker/all", [("quote_currencies", ",".join(quote_currencies))])

    def orderbook(self, codes: Iterable[str], *, count: int | None = None, level: float | None = None) -> list[Row]:
        """The order books of `codes`: `count` of 1 to 30 levels, grouped by `level` on KRW. `GET /v1/orderbook`."""
        extra = [] if count is None else [("count", str(count))]
        if level:
            extra.append(("level", f"{level:g}" if level < 1 else f"{level:.10g}"))
        return self._in_calls("orderbook", "/v1/orderbook", codes, extra)

    def instruments(self, codes: Iterable[str]) -> list[Row]:
        """Tick sizes and supported levels of grouping. `GET /v1/orderbook/instruments`."""
        return self._in_calls("orderbook", "/v1/orderbook/instruments", codes)

    def trades_ticks(
        self,
        market: str,
        *,
        count: int = _MAX_TRADES,
        to: str | None = None,
        cursor: int | None = None,
        days_ago: int | None = None,
    ) -> list[Row]:
        """At most 500 trades of one UTC day, newest first. `GET /v1/trades/ticks`.

        Args:
            to: `HH:mm:ss`, UTC: trades before it.
            cursor: A `sequential_id`: trades older than it.
            days_ago: 1 to 7; None is the current UTC day.
        """
        _check_count(count, _MAX_TRADES)
        query = [("market", market), ("count", str(count))]
        if to is not None:
            query.append(("to", to))
        if cursor is not None:
            query.append(("cursor", str(cursor)))
        if days_ago is not None:
            query.append(("days_ago", str(days_ago)))
        return self._rows("trade", "/v1/trades/ticks", query)

    def candles(self, unit: int | str, market: str, *, count: int = _MAX_CANDLES, to: str | None = None) -> list[Row]:
        """At most 200 candles, newest first; periods without a trade are absent. `GET /v1/candles/...`.

        Args:
            unit: Minutes (1, 3, 5, 10, 15, 30, 60, 240), or `"1s"`, `"5m"`, `"1d"`, `"1w"`, `"1M"`, `"1y"`, or a path
                as `DataType.rest_path` has it.
            to: ISO 8601: candles that start before it.
        """
        _check_count(count, _MAX_CANDLES)
        query = [("market", market), ("count", str(count))]
        if to is not None:
            query.append(("to", to))
        return self._rows("candle", _candle_path(unit), query)

    # Signed calls

    def signed_get(self, path: str, query: Query = (), *, group: str = "default") -> Any:
        """A call with the user's keys, such as `/v1/orders/closed`; amounts in its reply are strings, exact as sent.

        Args:
            query: Names and values in the order to send; a list is its name with `[]`, once for each value.
        """
        if self._authorization is None:
            raise InvalidArgumentError(
                "authorization", "is missing, and the call needs keys", "AuthConfig(access_key=...)"
            )
        return self._get(group, path, query, self._authorization)

    # How all of them are made

    def _in_calls(self, group: str, path: str, codes: Iterable[str], extra: Query = ()) -> list[Row]:
        if isinstance(codes, str):
            raise InvalidArgumentError("codes", f"must be a list of codes, got the string {codes!r}", f"[{codes!r}]")
        wanted = list(codes)
        rows: list[Row] = []
        for start in range(0, len(wanted), _CODES_A_CALL):
            some = ",".join(wanted[start : start + _CODES_A_CALL])
            rows += self._rows(group, path, [("markets", some), *extra])
        return rows

    def _rows(self, group: str, path: str, query: Query) -> list[Row]:
        reply = self._get(group, path, query, None)
        if not isinstance(reply, list) or not all(isinstance(row, dict) for row in reply):
            raise PayloadError(f"the reply of {path} is not a list of objects", raw=orjson.dumps(reply))
        return reply

    def _get(self, group: str, path: str, query: Query, authorization: Callable[[str], str] | None) -> Any:
        if self._limiter is not None:
            self._limiter.acquire(group)
        token = None if authorization is None else Secret(authorization(_plain_query(query)))
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._new_session()
        try:
            status, answered, body = self._exchange(session, path + _encoded_query(query), token)
        except BaseException:
            # Its connection may stand in the middle of a reply.
            session.close()
            raise
        self._idle.append(session)
        if self._limiter is not None:
            self._limiter.on_response(group, status, answered)
        if status == 200:
            try:
                return orjson.loads(body)
            except orjson.JSONDecodeError as error:
                problem = f"the reply of {path} is not JSON: {error}"
            failure: UpbitWebSocketError = PayloadError(problem, raw=mask_secrets(body.decode("utf-8", "replace")))
        else:
            failure = _refusal(group, status, answered, body, self._wall())
        del body, answered  # a server that repeats the token does not get it into a traceback with locals
        raise failure

    def _exchange(
        self, session: requests.Session, target: str, token: Secret | None
    ) -> tuple[int, dict[str, str], bytes]:
        import requests
        import urllib3

        settings, started = self._settings, self._clock()
        try:
            with session.get(
                self._base_url + target,
                auth=_Signed(token),
                timeout=(settings.connect_timeout, settings.read_timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = read_body(response, settings, started, self._clock)
                return response.status_code, {name.lower(): value for name, value in response.headers.items()}, body
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = _unreachable(error, self._host)
        # Out here, where theirs is forgotten: it carries the request, and so the token.
        raise failure


class _Signed:
    """Puts the token into a request at the last moment, so that no frame of ours holds it as text.

    Given for unsigned calls, too: without it `requests` would look for a password of the host in `.netrc`.
    """

    def __init__(self, token: Secret | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = self._token.reveal()
        return request


def _unreachable(error: Exception, host: str) -> UpbitWebSocketError:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return TlsVerificationError(escape_text(text, 160), host=host)
    return RestError(0, "", f"no reply from {host}: {escape_text(mask_secrets(text), 160)}")


def _refusal(group: str, status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpbitWebSocketError:
    if status in (418, 429):
        return RateLimitedError(parse_retry_after(headers.get("retry-after"), now), status=status, group=group)
    name, message = parse_error_body(body)
    message = escape_text(mask_secrets(message))
    if status == 401 or (status == 403 and name):
        return AuthenticationError(name or f"HTTP {status}", message, status=status)
    if 300 <= status < 400:
        return RestError(status, "", "a redirect, which is never followed")
    if not name:
        message = escape_text(mask_secrets(body[:4096].decode("utf-8", "replace").strip()))
    return RestError(status, int(name) if name.isascii() and name.isdigit() else name, message)


def _plain_query(query: Query) -> str:
    return "&".join(f"{name}={value}" for name, value in query)


def _encoded_query(query: Query) -> str:
    if not query:
        return ""
    return "?" + "&".join(f"{quote(name, safe='[]')}={quote(value, safe=',:')}" for name, value in query)


def _check_count(count: int, maximum: int) -> None:
    if not 1 <= count <= maximum:
        raise InvalidArgumentError("count", f"must be from 1 to {maximum}, got {count!r}", f"count={maximum}")


def _candle_path(unit: int | str) -> str:
    text = str(unit)
    if text.startswith("/v1/candles/"):
        return text
    if text in _PERIODS:
        return f"/v1/candles/{_PERIODS[text]}"
    minutes = text.removesuffix("m")
    if minutes not in _MINUTES:
        problem = f"is no candle of Upbit: {escape_text(text, 40)!r}"
        raise InvalidArgumentError("unit", problem, f"one of {', '.join(_MINUTES)} or {', '.join(_PERIODS)}")
    return f"/v1/candles/minutes/{minutes}"
