"""Every example runs, as a user would run it, against an exchange on this machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.account_rig import wait_until
from tests.process import ROOT, PythonRunner
from upbit_ws.sandbox.auth import SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY

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


# What happens at the exchange while an account's example runs, and what it prints then.
ACCOUNT = {
    "announcements.py": [
        r"listening",
        r"!! 20\d\d-\d\d-\d\dT[\d:]+\+09:00 Server check \(https://.*\)",
        r"   From midnight on\.",
    ],
    "indicator_signal.py": [
        r"refused: params of rsi must be period of 7, 9, 14, 21, 25, got \{'period': 8\}.*",
        r"listening",
        r"KRW-(BTC|ETH) price_cross_(above|below) of the 5m average, which is [\d,]+",
    ],
    "orders.py": [
        r"KRW: 100000000 available, 0 locked",
        r"0 orders are open",
        r"KRW-BTC BID wait, filled so far 0",
        r"KRW-BTC filled 0\.\d+ at \d+, order price 1000000",
        r"KRW-BTC BID (done|cancel), filled so far 0\.\d+",
        r"now [\d.]+ KRW, 1\.\d+ BTC",
    ],
}


def happen(name: str, sandbox: Sandbox) -> None:
    if name == "orders.py":
        sandbox.exchange.place_order("KRW-BTC", "BID", price=1_000_000)
    elif name == "announcements.py":
        sandbox.exchange.announce("Competition", category="event")
        sandbox.exchange.announce("Server check", category="maintenance", body="From midnight on.")
    else:
        for _ in range(24):
            sandbox.exchange.advance(300.0)


@pytest.mark.parametrize("name", sorted(ACCOUNT))
def test_an_example_of_the_account_prints_what_happens(
    name: str, calm_sandbox: Sandbox, run_python: PythonRunner
) -> None:
    keys = {"UPBIT_ACCESS_KEY": SANDBOX_ACCESS_KEY, "UPBIT_SECRET_KEY": SANDBOX_SECRET_KEY}
    running = run_python.start([f"examples/{name}", "3"], UPBIT_BASE_URL=calm_sandbox.url, **keys)
    assert running.stdout is not None
    printed = ""
    while not re.search("^(listening|.* orders are open)$", printed, re.MULTILINE):
        line = running.stdout.readline()
        assert line, running.communicate()[1]
        printed += line
    wait_until(lambda: any(len(log.requests) >= 2 for log in calm_sandbox.connection_logs), "a request", 20.0)
    happen(name, calm_sandbox)
    rest, errors = running.communicate(timeout=30)
    printed += rest

    assert (errors, running.returncode) == ("", 0)
    lines = iter(printed.splitlines())
    for pattern in ACCOUNT[name]:
        assert any(re.fullmatch(pattern, line) for line in lines), f"no line like {pattern!r} in\n{printed}"
    assert SANDBOX_ACCESS_KEY not in printed
    assert "Competition" not in printed


@pytest.mark.parametrize("name", sorted(ACCOUNT))
def test_an_example_of_the_account_says_what_to_do_without_keys(
    name: str, calm_sandbox: Sandbox, run_python: PythonRunner
) -> None:
    done = run_python([f"examples/{name}", "0"], UPBIT_BASE_URL=calm_sandbox.url)

    assert done.returncode == 1
    assert "AuthConfig(access_key=..., secret_key=...)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def calm_sandbox(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return make_sandbox(rate=5.0, markets=("KRW-BTC", "KRW-ETH"), history_hours=2.0)


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
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == EXPECTED.keys() | ACCOUNT.keys()


def test_the_book_of_the_quick_start_is_sorted_and_uncrossed(busy_sandbox: Sandbox, run_python: PythonRunner) -> None:
    done = run_python(["examples/quickstart.py"], UPBIT_BASE_URL=busy_sandbox.url)

    units = re.findall(r"^\s*[\d.]+\s+([\d,]+) \| ([\d,]+)\s+[\d.]+$", done.stdout, re.MULTILINE)
    bids, asks = ([int(price.replace(",", "")) for price in side] for side in zip(*units, strict=True))
    assert len(units) == 5
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
