"""Every example runs, as a user would run it, against an exchange on this machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.process import ROOT, PythonRunner

if TYPE_CHECKING:
    from upbit_ws.sandbox import Sandbox

# What the output of each must look like, line after line in this order (with anything in between).
EXPECTED = {
    "quickstart.py": [
        r"KRW-BTC  [\d,]+ KRW",
        r"KRW-ETH  [\d,]+ KRW",
        r"KRW-BTC order book, best five",
        r"\s*[\d.]+\s+[\d,]+ \| [\d,]+\s+[\d.]+",
        r"KRW-BTC trades, oldest first",
        r"\d\d:\d\d:\d\d  (bought|sold  ) [\d.]+ at [\d,]+",
    ],
    "callbacks.py": [
        r"connection: Connecting",
        r"connection: Connected",
        r"connection: Subscribed",
        *[r"\d\d:\d\d:\d\d  KRW-(BTC|ETH)  [\d,]+"] * 10,
    ],
    "freshness.py": [
        r"KRW-BTC is at [\d,]+, vouched for within 2 seconds",
        r"vouched for [\d.]+ s ago, live: True",
        r"connection number 1, value number \d+",
        r"public connection: connected, last error: none",
    ],
    "history.py": [
        r"20 trades, [\d.]+ in all, at [\d,]+ on average",
        r"\d\d:\d\d  open [\d,]+  high [\d,]+  low [\d,]+  close [\d,]+",
    ],
    "tickers.py": [
        r"KRW-BTC +[\d,]+  [+-][\d.]+%  (SNAPSHOT|REALTIME)",
        r"KRW-(BTC|ETH|XRP) +[\d,]+  [+-][\d.]+%  REALTIME",
    ],
    "candles.py": [
        r"KRW-(BTC|ETH) \d\d:\d[05]  open [\d,]+  high [\d,]+  low [\d,]+  close [\d,]+",
    ],
    "errors.py": [
        r"connected, for the 1\. time",
        r"the callback raised AssertionError: too small to care",
        r"__main__\.on_trade: \d+ delivered, \d+ raised, 0 dropped",
        r"__main__\.on_ticker: \d+ delivered, 0 raised, 0 dropped",
    ],
    "updates.py": [
        r"6 streams deliver, 0 are silent",
        r"\d\d:\d\d:\d\d KRW-(BTC|ETH|XRP) (trade|ticker, now [\d,]+)",
    ],
}


@pytest.fixture
def busy_sandbox(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return make_sandbox(rate=400.0, markets=("KRW-BTC", "KRW-ETH", "KRW-XRP"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_an_example_prints_what_it_promises(name: str, busy_sandbox: Sandbox, run_python: PythonRunner) -> None:
    done = run_python([f"examples/{name}"], UPBIT_BASE_URL=busy_sandbox.url)

    assert (done.stderr, done.returncode) == ("", 0)
    lines = iter(done.stdout.splitlines())
    for pattern in EXPECTED[name]:
        assert any(re.fullmatch(pattern, line) for line in lines), f"no line like {pattern!r} in\n{done.stdout}"


def test_no_example_is_left_out() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(EXPECTED)


def test_the_book_of_the_quick_start_is_sorted_and_uncrossed(busy_sandbox: Sandbox, run_python: PythonRunner) -> None:
    done = run_python(["examples/quickstart.py"], UPBIT_BASE_URL=busy_sandbox.url)

    units = re.findall(r"^\s*[\d.]+\s+([\d,]+) \| ([\d,]+)\s+[\d.]+$", done.stdout, re.MULTILINE)
    bids, asks = ([int(price.replace(",", "")) for price in side] for side in zip(*units, strict=True))
    assert len(units) == 5
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
