"""The quotation calls of the REST API, on the same market as the WebSocket. Pure, but for the market it reads."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from upbit_ws.sandbox.candles import PERIOD_UNITS
from upbit_ws.sandbox.encoding import change_rate, utc_text
from upbit_ws.sandbox.http import HttpReply, HttpRequest
from upbit_ws.sandbox.limits import Gate, Limit, Verdict
from upbit_ws.sandbox.listing import Listing
from upbit_ws.sandbox.market import Market
from upbit_ws.sandbox.records import TradeRecord
from upbit_ws.sandbox.rest_encoding import Raw, book_row, candle_row, ticker_row, to_json, trade_row
from upbit_ws.sandbox.spelling import PLAIN_SPELLING, plain
from upbit_ws.sandbox.tick_size import tick_size, to_units

__all__ = ["RestApi", "RestLimits", "refusal"]

_DAY_MS = 86_400_000
_MOST_BOOK_UNITS = 30
_MOST_TRADES = 500
_MOST_CANDLES = 200
_MOST_DAYS_AGO = 7
_MINUTES = (1, 3, 5, 10, 15, 30, 60, 240)
_CAUTIONS = (
    "PRICE_FLUCTUATIONS",
    "TRADING_VOLUME_SOARING",
    "DEPOSIT_AMOUNT_SOARING",
    "GLOBAL_PRICE_DIFFERENCES",
    "CONCENTRATION_OF_SMALL_ACCOUNTS",
)
_CLOCK = re.compile(r"([01]\d|2[0-3]):?([0-5]\d):?([0-5]\d)", re.ASCII)

Query = Mapping[str, str]


class _Fault(Exception):
    """A call that is answered by an error. Quotation errors carry the status as their name."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


def _missing() -> _Fault:
    return _Fault(400, "Missing request parameter error. Check the required parameters!")


def _mismatch() -> _Fault:
    return _Fault(400, "Type mismatch error. Check the parameters type!")


def _error(status: int, name: int | str, message: str, headers: Mapping[str, str] | None = None) -> HttpReply:
    return HttpReply(status, to_json({"error": {"name": name, "message": message}}).encode(), headers or {})


def refusal(verdict: Verdict, blocked_for: float, *, retry_after: bool = False) -> HttpReply:
    """The reply to a request beyond the limits: 429, or 418 with the seconds until the block ends."""
    if verdict is Verdict.TOO_MANY:
        return _error(429, 429, "Too many API requests.")
    seconds = max(math.ceil(blocked_for), 1)
    headers = {"Retry-After": str(seconds)} if retry_after else {}
    return _error(418, 418, f"Too many API requests. Blocked for {seconds} seconds.", headers)


class RestLimits:
    """The limits per group and caller. Without a limit every call passes."""

    def __init__(self, per_second: int | None, origin: Gate | None, **gate: Any) -> None:
        self._per_second = per_second
        self._origin = origin
        self._gate = gate
        self._groups: dict[str, Gate] = {}

    def ask(self, request: HttpRequest, group: str, caller: str, now: float) -> tuple[Verdict, float, dict[str, str]]:
        """The verdict, the seconds a block still lasts, and the headers that tell what is left."""
        if self._origin is not None and "origin" in request.headers:
            gate, group, shown = self._origin, "origin", 60
        elif self._per_second is not None:
            if group not in self._groups:
                self._groups[group] = Gate((Limit(self._per_second),), **self._gate)
            gate, shown = self._groups[group], 600
        else:
            return Verdict.PASS, 0.0, {}
        verdict = gate.ask(caller, now)
        headers = {"Remaining-Req": f"group={group}; min={shown}; sec={gate.left(caller, now)}"}
        return verdict, gate.blocked_for(caller, now), headers


class RestApi:
    """
    Answers requests. The lock of the exchange must be held while it does.

    Args:
        market: what it tells about.
        limits: who may ask how often.
        retry_after: tell block times in a header too.
    """

    def __init__(self, market: Market, limits: RestLimits, *, retry_after: bool = False) -> None:
        self._market = market
        self._limits = limits
        self._retry_after = retry_after
        self._routes: dict[str, tuple[str, Callable[[Query], Any]]] = {
            "/v1/market/all": ("market", self._market_all),
            "/v1/ticker": ("ticker", self._ticker),
            "/v1/ticker/all": ("ticker", self._ticker_all),
            "/v1/orderbook": ("orderbook", self._orderbook),
            "/v1/orderbook/instruments": ("orderbook", self._instruments),
            "/v1/orderbook/supported_levels": ("orderbook", self._supported_levels),
            "/v1/trades/ticks": ("trade", self._ticks),
            "/v1/candles/seconds": ("candle", lambda query: self._candles("1s", query)),
        }
        for minutes in _MINUTES:
            self._routes[f"/v1/candles/minutes/{minutes}"] = ("candle", self._minutes(minutes))
        for unit in PERIOD_UNITS:
            self._routes[f"/v1/candles/{unit}s"] = ("candle", self._periods(unit))

    def knows(self, request: HttpRequest) -> bool:
        """Whether there is such a call."""
        return request.method in ("GET", "HEAD") and request.path.rstrip("/") in self._routes

    def answer(self, request: HttpRequest, caller: str, now: float) -> HttpReply:
        """Answer one request of `caller` at `now` (seconds of the limits' clock)."""
        if not self.knows(request):
            return _error(404, "not_found", "no Route matched with those values")
        group, call = self._routes[request.path.rstrip("/")]
        verdict, blocked_for, headers = self._limits.ask(request, group, caller, now)
        if verdict is not Verdict.PASS:
            return refusal(verdict, blocked_for, retry_after=self._retry_after)
        try:
            return HttpReply(200, to_json(call(request.query)).encode(), headers)
        except _Fault as fault:
            return _error(fault.status, fault.status, fault.message, headers)

    # Calls

    def _market_all(self, query: Query) -> list[dict[str, Any]]:
        rows = []
        for listing in self._market.listings.values():
            spec = listing.spec
            row: dict[str, Any] = {
                "market": spec.code,
                "korean_name": spec.korean_name,
                "english_name": spec.english_name,
            }
            if query.get("is_details", query.get("isDetails", "")).lower() == "true":
                warned = listing.warning != "NONE"
                row["market_event"] = {"warning": warned, "caution": dict.fromkeys(_CAUTIONS, False)}
            rows.append(row)
        return rows

    def _ticker(self, query: Query) -> list[dict[str, Any]]:
        now = int(self._market.now)
        return [ticker_row(listing.ticker(now)) for listing in self._named(query)]

    def _ticker_all(self, query: Query) -> list[dict[str, Any]]:
        wanted = _list(query, "quote_currencies") if "quote_currencies" in query else _list(query, "quoteCurrencies")
        quotes = {quote.upper() for quote in wanted}
        now = int(self._market.now)
        return [
            ticker_row(listing.ticker(now))
            for listing in self._market.listings.values()
            if listing.spec.quote in quotes
        ]

    def _orderbook(self, query: Query) -> list[dict[str, Any]]:
        listings = self._named(query)
        units = min(max(_whole(query, "count", _MOST_BOOK_UNITS), 1), _MOST_BOOK_UNITS)
        group = _level(query)
        return [book_row(listing.published, units, group if group in listing.levels else 0) for listing in listings]

    def _instruments(self, query: Query) -> list[dict[str, Any]]:
        return [
            {
                "market": listing.code,
                "quote_currency": listing.spec.quote,
                "tick_size": plain(tick_size(listing.spec.quote, listing.price)),
                "supported_levels": [plain(level) for level in listing.levels],
            }
            for listing in self._named(query)
        ]

    def _supported_levels(self, query: Query) -> list[dict[str, Any]]:
        return [
            {"market": listing.code, "supported_levels": [Raw(plain(level)) for level in listing.levels]}
            for listing in self._named(query)
        ]

    def _ticks(self, query: Query) -> list[dict[str, Any]]:
        listing = self._one(query)
        count = min(max(_whole(query, "count", 1), 1), _MOST_TRADES)
        days_ago = _whole(query, "days_ago", _whole(query, "daysAgo", 0))
        if not 0 <= days_ago <= _MOST_DAYS_AGO:
            raise _mismatch()
        cursor = _whole(query, "cursor", 0)
        day = int(self._market.now) // _DAY_MS * _DAY_MS - days_ago * _DAY_MS
        end = day + _clock(query["to"]) if query.get("to") else day + _DAY_MS
        found: list[TradeRecord] = []
        for trade in reversed(listing.trades):
            # Ids grow with time, and inside one millisecond they are the order REST tells: that one to its end.
            if trade.timestamp < day or (len(found) >= count and trade.timestamp < found[-1].timestamp):
                break
            if trade.timestamp < end and (not cursor or trade.sequential_id < cursor):
                found.append(trade)
        found.sort(key=lambda trade: trade.sequential_id, reverse=True)
        return [trade_row(trade) for trade in found[:count]]

    # Candles

    def _minutes(self, minutes: int) -> Callable[[Query], list[dict[str, Any]]]:
        return lambda query: [{**row, "unit": minutes} for row in self._candles(f"{minutes}m", query)]

    def _periods(self, unit: str) -> Callable[[Query], list[dict[str, Any]]]:
        return self._days if unit == "day" else lambda query: self._candles(unit, query)

    def _days(self, query: Query) -> list[dict[str, Any]]:
        """Days tell the change against the day before as well."""
        listing, rows = self._one(query), self._candles("day", query)
        candles = listing.candles.before("day", None, listing.candles.kept)
        closes = [candle.close for candle in candles[1:]] + [candle.opening for candle in candles[-1:]]
        known = {utc_text(candle.start): (candle.close, before) for candle, before in zip(candles, closes, strict=True)}
        for row in rows:
            close, before = known[row["candle_date_time_utc"]]
            row["prev_closing_price"] = Raw(plain(before))
            row["change_price"] = Raw(plain(close - before))
            row["change_rate"] = Raw(PLAIN_SPELLING.ratio(change_rate(close, before)))
        return rows

    def _candles(self, unit: str, query: Query) -> list[dict[str, Any]]:
        listing = self._one(query)
        count = min(max(_whole(query, "count", 1), 1), _MOST_CANDLES)
        to = _moment(query["to"]) if query.get("to") else None
        return [candle_row(candle) for candle in listing.candles.before(unit, to, count)]

    # Parameters

    def _named(self, query: Query) -> list[Listing]:
        return [self._listing(code) for code in _list(query, "markets")]

    def _one(self, query: Query) -> Listing:
        if not query.get("market"):
            raise _missing()
        return self._listing(query["market"])

    def _listing(self, code: str) -> Listing:
        """REST takes lower case where the WebSocket is silent. One unknown code fails the whole call."""
        listing = self._market.listings.get(code.strip().upper())
        if listing is None:
            raise _Fault(404, "Code not found")
        return listing


def _list(query: Query, name: str) -> list[str]:
    if not query.get(name):
        raise _missing()
    return query[name].split(",")


def _whole(query: Query, name: str, default: int) -> int:
    text = query.get(name) or str(default)
    try:
        return int(text)
    except ValueError:
        raise _mismatch() from None


def _level(query: Query) -> int:
    try:
        return to_units(query.get("level") or "0")
    except (ValueError, OverflowError):
        raise _mismatch() from None


def _clock(text: str) -> int:
    """ "12:04:05" or "120405" as ms of the day."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise _mismatch()
    hours, minutes, seconds = map(int, match.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000


def _moment(text: str) -> int:
    """An ISO 8601 time, UTC unless it says otherwise, as ms since the epoch. An unescaped + arrives as a space."""
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "+" if "T" in text else "T").replace("Z", "+00:00"))
    except ValueError:
        raise _mismatch() from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return round(moment.timestamp() * 1_000)
