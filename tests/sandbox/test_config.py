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
