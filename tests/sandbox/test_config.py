"""The switches."""

from __future__ import annotations

from typing import Any

import pytest

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.sandbox import SandboxConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1},
        {"rate": -1},
        {"rate": "fast"},
        {"markets": "KRW-BTC"},
        {"markets": ["BTC"]},
        {"market_count": 0},
        {"idle_timeout": 0},
        {"snapshot_delays": ()},
        {"snapshot_delays": (-1,)},
        {"message_limit_action": "shout"},
        {"duplicate_trades": 2},
        {"manual": 1},
        {"list_group": 0},
    ],
)
def test_a_wrong_switch_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        SandboxConfig(**wrong)


def test_the_market_gets_its_part() -> None:
    options = SandboxConfig(seed=7, rate=9.0, late_final_candle=True).market_options

    assert (options.seed, options.rate, options.late_final_candle) == (7, 9.0, True)


@pytest.mark.parametrize(
    ("switch", "value"),
    [
        ("keys", {"access": 5}),
        ("keys", ["access"]),
        ("balances", {"KRW": "-1"}),
        ("balances", {"KRW": "much"}),
        ("balances", 100),
        ("auth_failure", "never"),
        ("fee_rate", "0.00005"),
        ("fee_rate", "1"),
        ("fee_rate", "free"),
        ("default_smp_type", "both"),
        ("order_limit", 0),
    ],
)
def test_wrong_switches_of_the_private_side_are_named(switch: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"SandboxConfig.{switch}"):
        SandboxConfig(**{switch: value})


def test_secrets_become_keys_and_do_not_show() -> None:
    config = SandboxConfig(keys={"the-access-key": "the-secret-key"})
    assert config.keys["the-access-key"].account == "main"
    assert "the-" not in repr(config)
