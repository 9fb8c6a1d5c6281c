from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from typing import Any

import attrs
import pytest

from upbit_ws.config import (
    INDONESIA,
    KOREA,
    SINGAPORE,
    THAILAND,
    AuthConfig,
    BackpressureConfig,
    ConnectionConfig,
    DataPoolConfig,
    MonitoringConfig,
    RateLimitConfig,
    ReconnectionConfig,
    RecoveryConfig,
    Secret,
    WebSocketConfig,
)
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.types import BackpressureStrategy, Endpoint, WireFormat

ACCESS, SECRET = "access-Zq81", "secret-Xv27"


def frames_of(error: BaseException) -> str:
    """The traceback below the test, with the local variables of every frame."""
    assert error.__traceback__ is not None
    below = error.__traceback__.tb_next
    return "".join(traceback.TracebackException(type(error), error, below, capture_locals=True).format())


def test_the_base_url_is_given_or_from_the_environment_or_korea(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ConnectionConfig().base_url == KOREA
    monkeypatch.setenv("UPBIT_BASE_URL", "http://127.0.0.1:8080/")
    assert ConnectionConfig().base_url == "http://127.0.0.1:8080"
    assert ConnectionConfig(base_url=SINGAPORE).base_url == SINGAPORE


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        (KOREA, "wss://api.upbit.com/websocket/v1/private"),
        (INDONESIA, "wss://id-api.upbit.com/websocket/v1/private"),
        (THAILAND, "wss://th-api.upbit.com/websocket/v1/private"),
        ("http://127.0.0.1:8080/", "ws://127.0.0.1:8080/websocket/v1/private"),
        ("http://[::1]:8080", "ws://[::1]:8080/websocket/v1/private"),
        ("HTTPS://proxy.example/upbit", "wss://proxy.example/upbit/websocket/v1/private"),
    ],
)
def test_the_websocket_url_follows_the_scheme(base_url: str, expected: str) -> None:
    config = ConnectionConfig(base_url=base_url)

    assert config.websocket_url(Endpoint.PRIVATE) == expected
    assert config.rest_url == base_url.rstrip("/")


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        (
            "api.upbit.com",
            "ConnectionConfig.base_url must start with http:// or https://, got 'api.upbit.com'; "
            "write 'https://api.upbit.com'",
        ),
        (
            "wss://api.upbit.com",
            "ConnectionConfig.base_url must start with http:// or https://, got 'wss://api.upbit.com'; "
            "write 'https://api.upbit.com'",
        ),
        (
            "ws://127.0.0.1:8080",
            "ConnectionConfig.base_url must start with http:// or https://, got 'ws://127.0.0.1:8080'; "
            "write 'http://127.0.0.1:8080'",
        ),
        (
            "https://user:word@api.upbit.com",
            "ConnectionConfig.base_url must have no user, query or fragment; write 'https://api.upbit.com'",
        ),
        (
            "https://",
            "ConnectionConfig.base_url must start with http:// or https://, got 'https:'; write 'https://https:'",
        ),
        (
            "https://host:port",
            "ConnectionConfig.base_url has no valid host or port, got 'https://host:port'; "
            "write 'https://api.upbit.com'",
        ),
        (
            "https://api upbit com",
            "ConnectionConfig.base_url has no valid host or port, got 'https://api upbit com'; "
            "write 'https://api.upbit.com'",
        ),
    ],
)
def test_a_wrong_base_url_says_what_to_write(base_url: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        ConnectionConfig(base_url=base_url)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("record", "argument", "value"),
    [
        (ConnectionConfig, "base_url", 5),
        (ConnectionConfig, "wire_format", "JSON"),
        (ConnectionConfig, "compression", 1),
        (ConnectionConfig, "connect_timeout", 0),
        (ConnectionConfig, "connect_timeout", "10"),
        (ConnectionConfig, "connect_timeout", float("nan")),
        (ConnectionConfig, "ping_interval", True),
        (ConnectionConfig, "read_size", 1.5),
        (ConnectionConfig, "max_fragments", 0),
        (ConnectionConfig, "max_frame_size", 1 << 30),
        (ConnectionConfig, "mute_factor", 0.5),
        (ConnectionConfig, "max_connection_age", 0),
        (ConnectionConfig, "proxy_url", "socks5://proxy:1080"),
        (ReconnectionConfig, "base_delay", 60.0),
        (ReconnectionConfig, "first_jitter", -1),
        (BackpressureConfig, "workers", 0),
        (BackpressureConfig, "state_strategy", "forget"),
        (DataPoolConfig, "max_age", -1),
        (DataPoolConfig, "timeout", None),
        (DataPoolConfig, "history", 200_000),
        (MonitoringConfig, "health_interval", 0),
        (RecoveryConfig, "enabled", "no"),
        (RateLimitConfig, "connects_per_second", 0),
        (WebSocketConfig, "auth", {"access_key": "x"}),
        (AuthConfig, "algorithm", "none"),
        (AuthConfig, "refresh_threshold", 0),
        (AuthConfig, "key_provider", "keys"),
    ],
)
def test_a_wrong_value_is_refused_by_name(record: Any, argument: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        record(**{argument: value})

    assert str(caught.value).startswith(f"{record.__name__}.{argument} ")
    assert "; write " in str(caught.value)


def test_enums_may_be_given_by_name() -> None:
    assert ConnectionConfig(wire_format="simple").wire_format is WireFormat.SIMPLE
    config = BackpressureConfig(log_strategy="BLOCK")
    assert config.log_strategy is BackpressureStrategy.BLOCK


def test_records_are_frozen_and_varied_by_evolve() -> None:
    config = WebSocketConfig()

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.connection = ConnectionConfig()  # type: ignore[misc]
    varied = attrs.evolve(config, connection=ConnectionConfig(compression=True))
    assert varied.connection.compression
    assert not config.connection.compression
    assert hash(config) == hash(WebSocketConfig())


def test_presets_differ_where_they_say() -> None:
    auth, connection = AuthConfig(access_key=ACCESS, secret_key=SECRET), ConnectionConfig(base_url=SINGAPORE)

    for preset in (WebSocketConfig.production, WebSocketConfig.development, WebSocketConfig.testing):
        assert preset(auth=auth, connection=connection).auth is auth
        assert preset(auth=auth, connection=connection).connection is connection
    assert WebSocketConfig.production().data_pool.max_age == 60.0
    assert WebSocketConfig.development().data_pool.max_age is None
    assert not WebSocketConfig.testing().rate_limit.shared_across_processes


def test_a_proxy_password_is_not_shown() -> None:
    config = ConnectionConfig(proxy_url="http://me:hush@proxy.example:3128")

    assert config.proxy_url == "http://me:hush@proxy.example:3128"
    assert "hush" not in repr(config)
    assert "http://***@proxy.example:3128" in repr(config)
    with pytest.raises(InvalidArgumentError) as caught:
        ConnectionConfig(proxy_url="ftp://me:hush@proxy.example")
    assert "hush" not in str(caught.value)


def test_keys_are_the_given_ones_then_the_providers_then_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    assert AuthConfig().credentials() is None
    auth = AuthConfig()
    monkeypatch.setenv("UPBIT_ACCESS_KEY", "env-access")
    monkeypatch.setenv("UPBIT_SECRET_KEY", "env-secret")
    provided = AuthConfig(key_provider=lambda: ("provided-access", Secret("provided-secret")))
    given = AuthConfig(access_key=ACCESS, secret_key=Secret(SECRET))

    found = [config.credentials() for config in (auth, provided, given)]
    assert [(keys.access_key.reveal(), keys.secret_key.reveal()) for keys in found if keys is not None] == [
        ("env-access", "env-secret"),
        ("provided-access", "provided-secret"),
        (ACCESS, SECRET),
    ]


def test_a_provider_is_asked_each_time() -> None:
    keys = iter([("a", "1"), ("b", "2")])
    auth = AuthConfig(key_provider=lambda: next(keys))

    found = [auth.credentials(), auth.credentials()]
    assert [pair.access_key.reveal() for pair in found if pair is not None] == ["a", "b"]


def test_half_a_pair_of_keys_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgumentError, match=r"AuthConfig.secret_key is missing; write AuthConfig\(access_key="):
        AuthConfig(access_key=ACCESS)
    monkeypatch.setenv("UPBIT_SECRET_KEY", SECRET)
    with pytest.raises(InvalidArgumentError, match=r"AuthConfig.access_key is missing"):
        AuthConfig().credentials()
    with pytest.raises(InvalidArgumentError, match="must return two keys or None"):
        AuthConfig(key_provider=lambda: "keys").credentials()  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("key", ["", f"{SECRET}\n", f" {SECRET}", f"{SECRET}\x00", "비밀", 5, b"key"])
def test_a_malformed_key_is_refused_without_being_shown(key: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        AuthConfig(access_key=ACCESS, secret_key=key)

    assert "AuthConfig.secret_key" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in frames_of(caught.value)


def test_a_malformed_key_from_elsewhere_is_not_shown_either(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgumentError) as provided:
        AuthConfig(key_provider=lambda: (ACCESS, f"{SECRET} ")).credentials()
    monkeypatch.setenv("UPBIT_ACCESS_KEY", ACCESS)
    monkeypatch.setenv("UPBIT_SECRET_KEY", f"{SECRET} ")
    with pytest.raises(InvalidArgumentError) as found:
        AuthConfig().credentials()

    for caught in (provided, found):
        assert SECRET not in frames_of(caught.value)
        assert ACCESS not in frames_of(caught.value)


def test_no_usual_way_of_looking_shows_a_key(caplog: pytest.LogCaptureFixture) -> None:
    auth = AuthConfig(access_key=ACCESS, secret_key=SECRET)
    config = WebSocketConfig(auth=auth)
    logging.getLogger("test").warning("%s %r %s", auth, config, auth.secret_key)

    shown = [
        repr(config),
        str(auth),
        f"{auth.secret_key} {auth.secret_key!r} {auth.secret_key:>10}",
        repr(attrs.asdict(config)),
        repr(attrs.astuple(config)),
        json.dumps(attrs.asdict(auth, filter=lambda _, value: not callable(value)), default=str),
        caplog.text,
        repr([getattr(auth.secret_key, name) for name in Secret.__slots__]),
    ]
    for text in shown:
        assert ACCESS not in text
        assert SECRET not in text
    assert "***" in shown[0]


class TestSecret:
    def test_reveal_is_the_only_exit(self) -> None:
        secret = Secret(SECRET)

        assert secret.reveal() == SECRET
        assert Secret(secret).reveal() == SECRET
        assert not hasattr(secret, "__dict__")

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_it_is_never_pickled(self, protocol: int) -> None:
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(Secret(SECRET), protocol)
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(AuthConfig(access_key=ACCESS, secret_key=SECRET), protocol)

    def test_it_is_its_own_copy(self) -> None:
        secret = Secret(SECRET)

        assert copy.copy(secret) is secret
        assert copy.deepcopy(secret) is secret

    def test_it_compares_by_value_and_hashes_without_a_hint(self) -> None:
        assert Secret(SECRET) == Secret(SECRET)
        assert Secret(SECRET) != Secret(ACCESS)
        assert Secret(SECRET) != SECRET
        assert hash(Secret(SECRET)) == hash(Secret(ACCESS))

    def test_it_does_not_change(self) -> None:
        secret = Secret(SECRET)

        with pytest.raises(AttributeError):
            secret._reveal = lambda: "other"
        with pytest.raises(AttributeError):
            del secret._reveal
        assert secret.reveal() == SECRET

    def test_it_holds_text_only(self) -> None:
        with pytest.raises(TypeError, match="holds a str, got bytes"):
            Secret(b"key")  # type: ignore[arg-type]

    def test_an_empty_one_is_false(self) -> None:
        assert not Secret("")
        assert Secret(SECRET)
