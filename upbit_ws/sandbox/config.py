"""Every switch of the embedded exchange."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from upbit_ws.checks import flag, seconds, whole
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.sandbox.auth import AUTH_FAILURES, SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY, SandboxKey
from upbit_ws.sandbox.market import MarketOptions
from upbit_ws.sandbox.money import ATOMS, to_atoms
from upbit_ws.sandbox.order_rules import SMP_TYPES

__all__ = ["MESSAGE_LIMIT_ACTIONS", "SandboxConfig"]

MESSAGE_LIMIT_ACTIONS: tuple[str, ...] = ("error", "drop", "ignore")
"""What a connection that sends too many requests gets: an error frame and a close, a dropped connection, or silence."""


def _to_codes(value: Any) -> Any:
    """Any iterable of codes as a tuple; a bare string stays, for the validator to refuse."""
    return value if value is None or isinstance(value, str) else tuple(value)


def _codes(_: object, attribute: Any, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, str) or not all(isinstance(code, str) and "-" in code for code in value):
        problem = f"must be a list of codes, quote currency first, got {value!r}"
        raise InvalidArgumentError(f"SandboxConfig.{attribute.name}", problem, 'markets=["KRW-BTC", "KRW-ETH"]')


def _delays(_: object, attribute: Any, value: Any) -> None:
    if not value or not all(isinstance(delay, (int, float)) and delay >= 0 for delay in value):
        problem = f"must be one delay or more, in seconds, got {value!r}"
        raise InvalidArgumentError(f"SandboxConfig.{attribute.name}", problem, "snapshot_delays=(0.17, 0.33)")


def _action(_: object, attribute: Any, value: Any) -> None:
    if value not in MESSAGE_LIMIT_ACTIONS:
        problem = f"must be one of {', '.join(MESSAGE_LIMIT_ACTIONS)}, got {value!r}"
        raise InvalidArgumentError(f"SandboxConfig.{attribute.name}", problem, 'message_limit_action="error"')


def _limit(record: object, attribute: Any, value: Any) -> None:
    if value is not None:
        whole(at_least=1)(record, attribute, value)


def _to_keys(value: Any) -> Any:
    """Secrets as keys; anything else stays, for the validator to refuse."""
    if not isinstance(value, Mapping):
        return value
    return {name: SandboxKey(key) if isinstance(key, str) else key for name, key in value.items()}


def _keys(_: object, attribute: Any, value: Any) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(key, SandboxKey) for key in value.values()):
        problem = "must map access keys to secrets or SandboxKey records"
        raise InvalidArgumentError(f"SandboxConfig.{attribute.name}", problem, 'keys={"access": "secret"}')


def _failure(_: object, attribute: Any, value: Any) -> None:
    if value not in AUTH_FAILURES:
        problem = f"must be one of {', '.join(AUTH_FAILURES)}, got {value!r}"
        raise InvalidArgumentError(f"SandboxConfig.{attribute.name}", problem, 'auth_failure="http"')


def _balances(_: object, attribute: Any, value: Any) -> None:
    try:
        covered = all(to_atoms(amount) >= 0 for amount in value.values())
    except (AttributeError, ValueError):
        covered = False
    if not covered:
        problem = f"must map currencies to amounts that are not negative, got {value!r}"
        raise InvalidArgumentError(f"SandboxConfig.{attribute.name}", problem, 'balances={"KRW": "1000000"}')


def _fee(_: object, attribute: Any, value: Any) -> None:
    try:
        covered = 0 <= to_atoms(value) < ATOMS and to_atoms(value) * 10_000 % ATOMS == 0
    except ValueError:
        covered = False
    if not covered:
        problem = f"must be a multiple of 0.0001 below 1, got {value!r}"
        raise InvalidArgumentError(f"SandboxConfig.{attribute.name}", problem, 'fee_rate="0.0005"')


def _smp(_: object, attribute: Any, value: Any) -> None:
    if value not in (None, *SMP_TYPES):
        problem = f"must be None or one of {', '.join(SMP_TYPES)}, got {value!r}"
        raise InvalidArgumentError(f"SandboxConfig.{attribute.name}", problem, 'default_smp_type="cancel_maker"')


def _share(_: object, attribute: Any, value: Any) -> None:
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        problem = f"must be a chance between 0 and 1, got {value!r}"
        raise InvalidArgumentError(f"SandboxConfig.{attribute.name}", problem, f"{attribute.name}=0.01")


@frozen(kw_only=True)
class SandboxConfig:
    """
    How the embedded exchange is made. The defaults are what was measured on the live wire.

    Attributes:
        host, port: where it listens; port 0 takes a free one and keeps it over restarts.
        ssl_context: a server's context makes it `https` and `wss`.
        seed: the same seed and the same market list give the same market.
        rate: tickers, trades and books per second over all markets, from 0 (nothing happens unless asked for) to 5,000.
        markets: codes to list. None: a set of 30, or `market_count` of them in the real exchange's proportions.
        market_count: 855 gives 289 KRW, 328 BTC and 238 USDT markets.
        manual: time stands still except for `sandbox.exchange.advance(seconds)`. Delays of the connection (snapshots,
            closes, idling) are in real time all the same.
        start_time: seconds since the epoch at which the market begins. None: now, or a fixed moment in `manual`.
        history_hours: how far trades and candles reach back at the start.
        keep_trades, keep_candles: per market (candles: and unit), what REST can still be asked for.
        duplicate_trades: chance that a trade is sent twice.
        late_final_candle: the last state of a finished candle comes after the first of its successor.

        text_frames: data in text frames instead of binary ones.
        compression: accept permessage-deflate when offered.
        upgrade_headers: `remaining-req` and `limit-by-ip` in the upgrade response.
        plain_numbers: no exponents and no trailing zeros in any format.
        deprecated_ticker_fields: send `is_trading_suspended` and `market_warning`.
        list_group: at most so many objects in one array of the list formats.
        regional: English errors, no `level`, no Korean candle time: the Indonesian host.
        camel_case_flags: understand `isOnlySnapshot` and `isOnlyRealtime`.

        idle_timeout: seconds without a byte in either direction before the connection is dropped without a close
        frame; None: never.
            60 was measured, 120 is documented.
        status_interval: period of `{"status":"UP"}`, by the server's clock, for those who sent a text PING.
        status_at_once: answer the PING itself as well.
        ping_interval: seconds between pings of the server; None: it sends none.

        snapshot_delays: seconds from request to snapshot; the codes are split evenly over the delays.
        reorder_snapshots: a snapshot may come after the first REALTIME message of its code, and the codes in any order.
        stale_frames: up to so many messages of a replaced subscription still arrive.
        error_close_delay: seconds from an error frame to the close with code 1000.

        connect_limit: upgrades per second and address; None: no limit. Likewise `rest_limit` per group of REST calls.
        message_limits: 5 requests a second and 100 a minute per connection.
        message_limit_action: see `MESSAGE_LIMIT_ACTIONS`.
        origin_limit: with an `Origin` header 1 upgrade or quotation request in 10 s.
        limit_patience: refusals (429) in a row before a block (418); `block_seconds`: of the first one, doubling from
        there.
        retry_after_header: tell the block time in a `Retry-After` header too. The real exchange was never seen to.

        backlog: bytes that may wait for a slow reader before its connection is dropped.

        keys: secret (or a `SandboxKey` with account, scopes, addresses) by access key. Each account begins with
            `balances`: amounts by currency, with up to 20 decimals.
        auth_failure: how a bad token fails on a private or info socket, see `AUTH_FAILURES`.
        default_limit, order_limit: REST calls per second and account: queries and cancels, and new orders.
        fee_rate: of every fill, a multiple of 0.0001.
        default_smp_type: self-match prevention of an order that names none; None: null, as before 2026-11-09.
        wait_first: an order that fills at once is told as `wait` first, as a market buy was captured.
        asset_delay: seconds for which an account's very first `myAsset` subscription gets nothing.
        money_exponents: write small amounts of private messages as `7.9276E-4`.
    """

    host: str = "127.0.0.1"
    port: int = field(default=0, validator=whole())
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)

    seed: int = 1
    rate: float = field(default=50.0, validator=seconds())
    markets: Sequence[str] | None = field(default=None, converter=_to_codes, validator=_codes)
    market_count: int | None = field(default=None, validator=_limit)
    manual: bool = field(default=False, validator=flag)
    start_time: float | None = field(default=None, validator=seconds(optional=True))
    history_hours: float = field(default=30.0, validator=seconds())
    keep_trades: int = field(default=5_000, validator=whole(at_least=1))
    keep_candles: int = field(default=1_000, validator=whole(at_least=1))
    duplicate_trades: float = field(default=0.0, validator=_share)
    late_final_candle: bool = field(default=False, validator=flag)

    text_frames: bool = field(default=False, validator=flag)
    compression: bool = field(default=True, validator=flag)
    upgrade_headers: bool = field(default=True, validator=flag)
    plain_numbers: bool = field(default=False, validator=flag)
    deprecated_ticker_fields: bool = field(default=True, validator=flag)
    list_group: int = field(default=1, validator=whole(at_least=1))
    regional: bool = field(default=False, validator=flag)
    camel_case_flags: bool = field(default=True, validator=flag)

    idle_timeout: float | None = field(default=60.0, validator=seconds(above=0, optional=True))
    status_interval: float = field(default=10.0, validator=seconds(above=0))
    status_at_once: bool = field(default=False, validator=flag)
    ping_interval: float | None = field(default=None, validator=seconds(above=0, optional=True))

    snapshot_delays: tuple[float, ...] = field(default=(0.17, 0.33), converter=tuple, validator=_delays)
    reorder_snapshots: bool = field(default=False, validator=flag)
    stale_frames: int = field(default=2, validator=whole())
    error_close_delay: float = field(default=0.16, validator=seconds())

    connect_limit: int | None = field(default=5, validator=_limit)
    rest_limit: int | None = field(default=10, validator=_limit)
    message_limits: bool = field(default=True, validator=flag)
    message_limit_action: str = field(default="error", validator=_action)
    origin_limit: bool = field(default=True, validator=flag)
    limit_patience: int = field(default=5, validator=whole())
    block_seconds: float = field(default=10.0, validator=seconds(above=0))
    retry_after_header: bool = field(default=False, validator=flag)

    backlog: int = field(default=32 << 20, validator=whole(at_least=1))

    keys: Mapping[str, SandboxKey] = field(
        factory=lambda: {SANDBOX_ACCESS_KEY: SandboxKey(SANDBOX_SECRET_KEY)},
        converter=_to_keys,
        validator=_keys,
        repr=False,
    )
    balances: Mapping[str, Decimal | int | float | str] = field(
        factory=lambda: {"KRW": 100_000_000, "BTC": 1}, validator=_balances
    )
    auth_failure: str = field(default="on_request", validator=_failure)
    default_limit: int | None = field(default=30, validator=_limit)
    order_limit: int | None = field(default=12, validator=_limit)
    fee_rate: Decimal | str = field(default="0.0005", validator=_fee)
    default_smp_type: str | None = field(default="cancel_maker", validator=_smp)
    wait_first: bool = field(default=True, validator=flag)
    asset_delay: float = field(default=0.0, validator=seconds())
    money_exponents: bool = field(default=False, validator=flag)

    @property
    def market_options(self) -> MarketOptions:
        """The part of it that the market needs."""
        return MarketOptions(
            seed=self.seed,
            rate=self.rate,
            history_hours=self.history_hours,
            keep_trades=self.keep_trades,
            keep_candles=self.keep_candles,
            duplicate_trades=self.duplicate_trades,
            late_final_candle=self.late_final_candle,
        )
