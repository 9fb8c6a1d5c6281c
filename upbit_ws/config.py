"""Configuration: frozen records, validated when made; `attrs.evolve` varies them.

::

    config = WebSocketConfig.production(auth=AuthConfig(access_key="...", secret_key="..."))
    config = attrs.evolve(config, connection=ConnectionConfig(base_url=SINGAPORE))
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attrs import field

from upbit_ws import checks
from upbit_ws.auth_config import AuthConfig, Credentials
from upbit_ws.backpressure import known_strategy
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.records import frozen
from upbit_ws.secret import Secret
from upbit_ws.types import BackpressureStrategy, Endpoint, WireFormat

if TYPE_CHECKING:
    import ssl

__all__ = [
    "INDONESIA",
    "KOREA",
    "SINGAPORE",
    "THAILAND",
    "AuthConfig",
    "BackpressureConfig",
    "ConnectionConfig",
    "Credentials",
    "DataPoolConfig",
    "MonitoringConfig",
    "RateLimitConfig",
    "ReconnectionConfig",
    "RecoveryConfig",
    "Secret",
    "WebSocketConfig",
]

KOREA = "https://api.upbit.com"
SINGAPORE = "https://sg-api.upbit.com"
INDONESIA = "https://id-api.upbit.com"
THAILAND = "https://th-api.upbit.com"


def _base_url(value: str | None) -> str:
    chosen = value if value is not None else os.environ.get("UPBIT_BASE_URL") or KOREA
    return chosen.rstrip("/") if isinstance(chosen, str) else chosen


def _wire_format(value: WireFormat | str) -> WireFormat:
    format_: WireFormat = checks.to_member(WireFormat, value)
    return format_


def _state_strategy(value: BackpressureStrategy | str) -> BackpressureStrategy | str:
    return known_strategy(value, "BackpressureConfig.state_strategy")


def _log_strategy(value: BackpressureStrategy | str) -> BackpressureStrategy | str:
    return known_strategy(value, "BackpressureConfig.log_strategy")


@frozen(kw_only=True)
class ConnectionConfig:
    """How a connection is made and watched.

    Attributes:
        base_url: REST base; WebSocket by scheme. None takes ``UPBIT_BASE_URL``, else https://api.upbit.com.
        wire_format: Format asked of the exchange; events do not depend on it.
        compression: Offer permessage-deflate. Saves traffic, costs CPU.
        connect_timeout: Seconds for name resolution, TCP, TLS and upgrade together.
        close_timeout: Seconds to wait for the peer's close frame.
        ping_interval, pong_timeout: Seconds. Upbit drops a silent socket after about 60 s (measured on the wire).
        read_coalesce: Seconds to let bytes gather before a read; 0 reads at once.
        read_size: Bytes of one read. Where each read makes an object (TLS, Windows, no extension in C), 126,976 at the
            most: from 128 KiB on, glibc maps and unmaps memory for it, which was measured to cost more than the read.
        max_frame_size, max_message_size, max_fragments: Bounds on what the peer may send, inflated sizes included.
        ssl_context: Own TLS settings; None uses the system's roots with TLS 1.2 or newer.
        proxy_url: ``http://[user:password@]host:port``; the password is not shown in repr.
        trust_env: Also look at ``HTTPS_PROXY`` and ``NO_PROXY``.
        snapshot_timeout: Seconds after a request within which some snapshot must come.
        mute_floor, mute_factor: A feed is suspected mute when silent for longer than `mute_floor` seconds and
            `mute_factor` times its usual pause.
        max_connection_age: Seconds after which a connection is renewed; None never.
    """

    base_url: str = field(default=None, converter=_base_url, validator=checks.http_url)
    wire_format: WireFormat = field(
        default=WireFormat.DEFAULT, converter=_wire_format, validator=checks.member(WireFormat)
    )
    compression: bool = field(default=False, validator=checks.flag)
    connect_timeout: float = field(default=10.0, validator=checks.seconds(above=0))
    close_timeout: float = field(default=0.5, validator=checks.seconds())
    ping_interval: float = field(default=10.0, validator=checks.seconds(above=0))
    pong_timeout: float = field(default=5.0, validator=checks.seconds(above=0))
    read_coalesce: float = field(default=0.0, validator=checks.seconds())
    read_size: int = field(default=253_952, validator=checks.whole(at_least=1024))
    max_frame_size: int = field(default=1 << 20, validator=checks.whole(at_least=1024))
    max_message_size: int = field(default=4 << 20, validator=checks.whole(at_least=1024))
    max_fragments: int = field(default=1024, validator=checks.whole(at_least=1))
    ssl_context: ssl.SSLContext | None = field(
        default=None, validator=checks.tls_context, repr=lambda value: "None" if value is None else "..."
    )
    proxy_url: str | None = field(
        default=None, validator=checks.proxy_url, repr=lambda value: repr(checks.masked_url(value))
    )
    trust_env: bool = field(default=False, validator=checks.flag)
    snapshot_timeout: float = field(default=5.0, validator=checks.seconds(above=0))
    mute_floor: float = field(default=10.0, validator=checks.seconds(above=0))
    mute_factor: float = field(default=8.0, validator=checks.seconds(at_least=1))
    max_connection_age: float | None = field(default=None, validator=checks.seconds(above=0, optional=True))

    def __attrs_post_init__(self) -> None:
        if self.max_frame_size > self.max_message_size:
            raise InvalidArgumentError(
                "ConnectionConfig.max_frame_size",
                f"is larger than max_message_size ({self.max_frame_size} > {self.max_message_size})",
                f"max_message_size={self.max_frame_size}",
            )

    @property
    def rest_url(self) -> str:
        """Base of the REST calls, without a slash at the end."""
        return self.base_url

    def websocket_url(self, endpoint: Endpoint) -> str:
        """URL of an endpoint: http becomes ws, https wss (as Upbit's own SDK does)."""
        scheme, _, rest = self.base_url.partition("://")
        return f"{'ws' if scheme.lower() == 'http' else 'wss'}://{rest}{endpoint.path}"


@frozen(kw_only=True)
class ReconnectionConfig:
    """When to try again: at once within `first_jitter`, then full jitter from `base_delay` doubling to `max_delay`.

    The promise is an attempt within 0.25 s; what the jitter leaves of it is for noticing the loss and waking up. The
    random part of a later pause is no longer than the trouble has lasted, or `base_delay`.

    The sequence starts over after `stable_after` seconds of connection or the first data.
    """

    first_jitter: float = field(default=0.2, validator=checks.seconds())
    base_delay: float = field(default=0.5, validator=checks.seconds(above=0))
    max_delay: float = field(default=30.0, validator=checks.seconds(above=0))
    stable_after: float = field(default=30.0, validator=checks.seconds())

    def __attrs_post_init__(self) -> None:
        if self.base_delay > self.max_delay:
            raise InvalidArgumentError(
                "ReconnectionConfig.base_delay",
                f"is larger than max_delay ({self.base_delay:g} > {self.max_delay:g})",
                f"max_delay={self.base_delay:g}",
            )


@frozen(kw_only=True)
class BackpressureConfig:
    """What happens to subscribers that are slower than the feed.

    Attributes:
        workers: Threads that run callbacks.
        state_strategy, log_strategy: For types where the newest counts (candles too), and where each counts. A member,
            its name, or the name of a registered strategy (`docs/extending.md`).
        mailbox_size: Events that one subscriber may be behind.
        block_deadline: Seconds that BLOCK waits before it drops.
        stuck_after: Seconds after which a callback that does not return is reported and its worker replaced.
    """

    workers: int = field(default=2, validator=checks.whole(at_least=1))
    state_strategy: BackpressureStrategy | str = field(default=BackpressureStrategy.CONFLATE, converter=_state_strategy)
    log_strategy: BackpressureStrategy | str = field(default=BackpressureStrategy.DROP_OLDEST, converter=_log_strategy)
    mailbox_size: int = field(default=10_000, validator=checks.whole(at_least=1))
    block_deadline: float = field(default=1.0, validator=checks.seconds())
    stuck_after: float = field(default=5.0, validator=checks.seconds(above=0))


@frozen(kw_only=True)
class DataPoolConfig:
    """What is kept and how long a pull waits.

    Attributes:
        timeout: Seconds that a first pull waits for a value; 0 never waits.
        max_age: Seconds since the SDK could last vouch for a value, above which a pull raises; None never.
        history: Values kept of each stream of a log type (trades, candles) by default.
        state_history: The same of a state type (ticker, order book), whose values come far more often.
        max_history: The most that a client may ask for.
    """

    timeout: float = field(default=10.0, validator=checks.seconds())
    max_age: float | None = field(default=None, validator=checks.seconds(above=0, optional=True))
    history: int = field(default=200, validator=checks.whole())
    state_history: int = field(default=20, validator=checks.whole())
    max_history: int = field(default=100_000, validator=checks.whole())

    def __attrs_post_init__(self) -> None:
        if self.history > self.max_history:
            raise InvalidArgumentError(
                "DataPoolConfig.history",
                f"is larger than max_history ({self.history} > {self.max_history})",
                f"max_history={self.history}",
            )


@frozen(kw_only=True)
class MonitoringConfig:
    """Seconds between rounds of the three monitor threads."""

    health_interval: float = field(default=30.0, validator=checks.seconds(above=0))
    metrics_interval: float = field(default=10.0, validator=checks.seconds(above=0))
    cleanup_interval: float = field(default=60.0, validator=checks.seconds(above=0))


@frozen(kw_only=True)
class RecoveryConfig:
    """Filling gaps over REST after a reconnect.

    Attributes:
        enabled: Otherwise every gap is only reported.
        hold: Seconds that live events of a recovering stream wait so that the recovered ones come first. While a REST
            call is under way they may have to wait for its end as well.
        max_waiting: Most live events that wait at once, of the account and of all other streams each. Of more, the
            oldest ones of the account, or all of the fullest stream, go before what was missed.
        max_gaps: Most gaps that wait to be filled at once; one more is only reported.
        max_trades, max_candles: Most events fetched for one stream and gap; what is beyond is reported as a gap.
        request_timeout: Seconds of one REST call.
    """

    enabled: bool = field(default=True, validator=checks.flag)
    hold: float = field(default=5.0, validator=checks.seconds())
    max_waiting: int = field(default=50_000, validator=checks.whole(at_least=1))
    max_gaps: int = field(default=10_000, validator=checks.whole(at_least=1))
    max_trades: int = field(default=10_000, validator=checks.whole(at_least=1))
    max_candles: int = field(default=2_000, validator=checks.whole(at_least=1))
    request_timeout: float = field(default=5.0, validator=checks.seconds(above=0))


@frozen(kw_only=True)
class RateLimitConfig:
    """Upbit's limits (rate-limits page); never exceeded, all connections of the process together.

    Attributes:
        connects_per_second, messages_per_second, messages_per_minute: As published.
        rest_per_second: Per group of REST calls.
        shared_across_processes: Share connects and REST calls with the other processes of this user on this machine,
            by a small file in the cache folder.
    """

    connects_per_second: int = field(default=5, validator=checks.whole(at_least=1))
    messages_per_second: int = field(default=5, validator=checks.whole(at_least=1))
    messages_per_minute: int = field(default=100, validator=checks.whole(at_least=1))
    rest_per_second: int = field(default=10, validator=checks.whole(at_least=1))
    shared_across_processes: bool = field(default=True, validator=checks.flag)


@frozen(kw_only=True)
class WebSocketConfig:
    """Everything. ``WebSocketConfig()`` has the defaults of every section; the presets are for the usual purposes."""

    connection: ConnectionConfig = field(factory=ConnectionConfig, validator=checks.record(ConnectionConfig))
    reconnection: ReconnectionConfig = field(factory=ReconnectionConfig, validator=checks.record(ReconnectionConfig))
    backpressure: BackpressureConfig = field(factory=BackpressureConfig, validator=checks.record(BackpressureConfig))
    auth: AuthConfig = field(factory=AuthConfig, validator=checks.record(AuthConfig))
    data_pool: DataPoolConfig = field(factory=DataPoolConfig, validator=checks.record(DataPoolConfig))
    monitoring: MonitoringConfig = field(factory=MonitoringConfig, validator=checks.record(MonitoringConfig))
    recovery: RecoveryConfig = field(factory=RecoveryConfig, validator=checks.record(RecoveryConfig))
    rate_limit: RateLimitConfig = field(factory=RateLimitConfig, validator=checks.record(RateLimitConfig))

    @classmethod
    def production(
        cls, *, auth: AuthConfig | None = None, connection: ConnectionConfig | None = None
    ) -> WebSocketConfig:
        """For trading: a pull of a value that nobody could vouch for within 60 s raises `StaleDataError`."""
        return cls(
            auth=auth or AuthConfig(),
            connection=connection or ConnectionConfig(),
            data_pool=DataPoolConfig(max_age=60.0),
        )

    @classmethod
    def development(
        cls, *, auth: AuthConfig | None = None, connection: ConnectionConfig | None = None
    ) -> WebSocketConfig:
        """For trying things out: old values are returned, and monitors look more often."""
        return cls(
            auth=auth or AuthConfig(),
            connection=connection or ConnectionConfig(),
            monitoring=MonitoringConfig(health_interval=10.0, metrics_interval=5.0, cleanup_interval=20.0),
        )

    @classmethod
    def testing(cls, *, auth: AuthConfig | None = None, connection: ConnectionConfig | None = None) -> WebSocketConfig:
        """For tests against the sandbox: short waits, no budget shared with other processes."""
        return cls(
            auth=auth or AuthConfig(),
            connection=connection or ConnectionConfig(connect_timeout=2.0, ping_interval=1.0, pong_timeout=1.0),
            reconnection=ReconnectionConfig(first_jitter=0.01, base_delay=0.05, max_delay=0.5, stable_after=1.0),
            data_pool=DataPoolConfig(timeout=5.0),
            monitoring=MonitoringConfig(health_interval=0.5, metrics_interval=0.5, cleanup_interval=0.5),
            recovery=RecoveryConfig(hold=1.0, request_timeout=2.0),
            rate_limit=RateLimitConfig(shared_across_processes=False),
        )
