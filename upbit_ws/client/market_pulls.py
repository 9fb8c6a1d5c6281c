"""The pulls of market data: newest values and histories of tickers, trades, order books and candles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from upbit_ws.client.pull_base import PullBase
from upbit_ws.client.pulling import check_code
from upbit_ws.events import CandleEvent, OrderbookEvent, TickerEvent, TradeEvent
from upbit_ws.exceptions import DataTimeoutError
from upbit_ws.types import DataType

__all__ = ["MarketPulls"]


class MarketPulls(PullBase):
    """Every method is synchronous, may be called from any thread, and waits no longer than its `timeout`."""

    # -- newest values ------------------------------------------------------------------------------------------------

    def get_price(self, symbol: str, *, timeout: float | None = None, max_age: float | None = None) -> float:
        """The last trade's price of one market, in its quote currency. See `get_multiple_prices`."""
        code = check_code(symbol)
        return self.get_multiple_prices([code], timeout=timeout, max_age=max_age)[code]

    def get_multiple_prices(
        self, symbols: Iterable[str] | None = None, *, timeout: float | None = None, max_age: float | None = None
    ) -> dict[str, float]:
        """The last trade's price of each market, in its quote currency, from the ticker (or trades where only those
        are registered).

        Args:
            symbols: Registered codes; None for all.
            timeout: Seconds to wait for values that never came yet; None as configured (10), 0 not at all.
            max_age: Refuse values that the SDK could not vouch for within so many seconds; None as configured.

        Raises:
            NotSubscribedError: this client registered neither tickers nor trades of a symbol.
            DataTimeoutError: some market has delivered nothing; `.missing` and `.received` tell which.
            StaleDataError: some value cannot be vouched for within `max_age`.
            ClientClosedError: the client was closed.
        """
        types = self._selection.interests.by_type
        data_type = DataType.TICKER if DataType.TICKER in types or DataType.TRADE not in types else DataType.TRADE
        chosen = self._require(data_type, symbols, timeout, max_age)
        read_price = self._manager.pool.price
        prices: dict[str, float] = {}
        for symbol, slot in zip(chosen.symbols, chosen.slots, strict=True):
            memo = slot.price_memo
            if memo is not None and memo[0] is slot.current:
                prices[symbol] = memo[1]
                continue
            price = read_price(slot)
            if price is None:
                raise DataTimeoutError([slot.key], prices, reason="what came did not decode")
            prices[symbol] = price
        self._puller.check_stand_ins(chosen.slots, max_age)
        return prices

    def get_current_price(
        self, symbol: str | Sequence[str], *, timeout: float | None = None, max_age: float | None = None
    ) -> float | dict[str, float]:
        """`get_price` for one code and `get_multiple_prices` for a list, under the name that pyupbit users know."""
        if isinstance(symbol, str):
            return self.get_price(symbol, timeout=timeout, max_age=max_age)
        return self.get_multiple_prices(symbol, timeout=timeout, max_age=max_age)

    def get_ticker_data(
        self, symbols: Iterable[str] | None = None, *, timeout: float | None = None, max_age: float | None = None
    ) -> dict[str, TickerEvent]:
        """The newest ticker of each market. Arguments and errors as in `get_multiple_prices`."""
        return self._pull(DataType.TICKER, TickerEvent, symbols, timeout, max_age)

    def get_trade_data(
        self, symbols: Iterable[str] | None = None, *, timeout: float | None = None, max_age: float | None = None
    ) -> dict[str, TradeEvent]:
        """The newest trade of each market. Arguments and errors as in `get_multiple_prices`."""
        return self._pull(DataType.TRADE, TradeEvent, symbols, timeout, max_age)

    def get_orderbook_data(
        self, symbols: Iterable[str] | None = None, *, timeout: float | None = None, max_age: float | None = None
    ) -> dict[str, OrderbookEvent]:
        """The newest order book of each market, as deep as registered.

        Arguments and errors as in `get_multiple_prices`.
        """
        books = self._pull(DataType.ORDERBOOK, OrderbookEvent, symbols, timeout, max_age)
        return {symbol: self._sliced(book) for symbol, book in books.items()}

    def get_candle_data(
        self,
        symbols: Iterable[str] | None = None,
        unit: DataType | int | str = "1m",
        *,
        timeout: float | None = None,
        max_age: float | None = None,
    ) -> dict[str, CandleEvent]:
        """The newest candle of each market; `unit` as `"1s"`, `"5m"` or a number of minutes. It may still be changing:
        the exchange marks no candle as closed (Upbit: websocket-candle page). Otherwise as `get_multiple_prices`."""
        return self._pull(DataType.candle(unit), CandleEvent, symbols, timeout, max_age)

    # -- histories ----------------------------------------------------------------------------------------------------

    def get_ticker_history(
        self, symbol: str, limit: int | None = None, *, timeout: float | None = None, max_age: float | None = None
    ) -> list[TickerEvent]:
        """The newest `limit` tickers of a market (None: all that are kept), oldest first. Waits for the first one."""
        return self._history(DataType.TICKER, TickerEvent, symbol, limit, timeout, max_age)

    def get_trade_history(
        self, symbol: str, limit: int | None = None, *, timeout: float | None = None, max_age: float | None = None
    ) -> list[TradeEvent]:
        """The newest `limit` trades of a market (None: all that are kept), each once, oldest first."""
        return self._history(DataType.TRADE, TradeEvent, symbol, limit, timeout, max_age)

    def get_orderbook_history(
        self, symbol: str, limit: int | None = None, *, timeout: float | None = None, max_age: float | None = None
    ) -> list[OrderbookEvent]:
        """The newest `limit` order books of a market (None: all that are kept), oldest first."""
        books = self._history(DataType.ORDERBOOK, OrderbookEvent, symbol, limit, timeout, max_age)
        return [self._sliced(book) for book in books]

    def get_candle_history(
        self,
        symbol: str,
        unit: DataType | int | str = "1m",
        limit: int | None = None,
        *,
        timeout: float | None = None,
        max_age: float | None = None,
    ) -> list[CandleEvent]:
        """The newest `limit` candles of a market (None: all that are kept), one per start, oldest first."""
        return self._history(DataType.candle(unit), CandleEvent, symbol, limit, timeout, max_age)
