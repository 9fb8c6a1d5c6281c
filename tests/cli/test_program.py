"""The command from outside: what it prints, where, and its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from tests.process import PythonRunner
from upbit_ws import __version__
from upbit_ws.cli import main

if TYPE_CHECKING:
    from upbit_ws.sandbox import Sandbox

COMMAND = ["-m", "upbit_ws.cli"]
NOWHERE = "http://127.0.0.1:1"


@frozen
class Done:
    """What one run left."""

    stdout: str
    stderr: str
    returncode: int


Run = Callable[..., Done]


@pytest.fixture
def upbit_ws(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command inside the test; a captured output is no terminal, so it prints lines."""

    def run(*arguments: str) -> Done:
        status = main(arguments)
        return Done(*capsys.readouterr(), status)

    return run


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def assert_one_line_error(done: Done | subprocess.CompletedProcess[str], status: int, *parts: str) -> None:
    assert done.returncode == status
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("upbit-ws: ")
    for part in parts:
        assert part.lower() in line.lower()


def test_the_demo_in_a_pipe_prints_moving_prices_and_ends_by_itself(run_python: PythonRunner) -> None:
    done = run_python([*COMMAND, "demo", "--seconds", "3"])

    assert (done.stderr, done.returncode) == ("", 0)
    prices = defaultdict(set)
    for row in rows(done.stdout):
        prices[row["market"]].add(row["price"])
    assert len(prices) == 8
    assert any(len(seen) > 1 for seen in prices.values())


def test_every_line_says_how_far_it_can_be_trusted(upbit_ws: Run) -> None:
    (*_, last) = rows(upbit_ws("demo", "KRW-BTC", "--seconds", "2").stdout)

    assert set(last) >= {"market", "price", "change", "change_rate", "volume", "bid", "ask", "age", "epoch", "live"}
    assert last["bid"] < last["ask"]
    assert last["live"] is True


@pytest.mark.parametrize(
    ("data_type", "wire_format", "fields"),
    [
        ("trade", "DEFAULT", {"price", "volume", "side", "sequential_id"}),
        ("orderbook", "SIMPLE", {"bid", "ask", "bids", "asks"}),
        ("candle.1s", "simple_list", {"open", "high", "low", "price", "start"}),
        ("ticker", "JSON_LIST", {"price", "change_rate"}),
    ],
)
def test_watching_each_type_in_each_format(
    data_type: str, wire_format: str, fields: set[str], sandbox: Sandbox, upbit_ws: Run
) -> None:
    done = upbit_ws(
        "watch", "KRW-BTC", "--type", data_type, "--format", wire_format, "--seconds", "1.5", "--base-url", sandbox.url
    )

    assert (done.stderr, done.returncode) == ("", 0)
    assert rows(done.stdout)
    assert all(set(row) >= fields for row in rows(done.stdout))


def test_the_host_comes_from_the_environment(sandbox: Sandbox, upbit_ws: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPBIT_BASE_URL", sandbox.url)

    assert rows(upbit_ws("watch", "KRW-BTC", "--seconds", "1").stdout)


def test_a_market_that_does_not_exist_is_told(sandbox: Sandbox, upbit_ws: Run) -> None:
    done = upbit_ws("watch", "KRW-NOSUCH", "--seconds", "1", "--base-url", sandbox.url)

    assert_one_line_error(done, 1, "KRW-NOSUCH", "upbit-ws markets")


def test_a_host_that_refuses_is_told(upbit_ws: Run) -> None:
    done = upbit_ws("watch", "KRW-BTC", "--seconds", "1", "--base-url", NOWHERE)

    assert_one_line_error(done, 1, NOWHERE, "refused")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["watch"], "MARKET"),
        (["watch", "BTC-KRW"], "KRW-BTC"),
        (["watch", "KRW-BTC", "--type", "myOrder"], "ticker, trade, orderbook"),
        (["watch", "KRW-BTC", "--type", "nonsense"], "ticker, trade, orderbook"),
        (["watch", "KRW-BTC", "--format", "XML"], "SIMPLE_LIST"),
        (["watch", "KRW-BTC", "--seconds", "0"], "--seconds"),
        (["demo", "--rate", "many"], "--rate"),
        (["sandbox", "--port", "70000"], "--port"),
        (["dance"], "dance"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(arguments: list[str], part: str, upbit_ws: Run) -> None:
    assert_one_line_error(upbit_ws(*arguments), 2, part)


def test_a_wrong_base_url_is_one_line(upbit_ws: Run) -> None:
    assert_one_line_error(upbit_ws("watch", "KRW-BTC", "--base-url", "api.upbit.com"), 1, "base_url", "http")


def test_the_list_of_markets(sandbox: Sandbox, upbit_ws: Run) -> None:
    done = upbit_ws("markets", "--quote", "krw", "--base-url", sandbox.url)

    assert (done.stderr, done.returncode) == ("", 0)
    found = rows(done.stdout)
    assert {"market": "KRW-BTC", "korean_name": "비트코인", "english_name": "Bitcoin"} in found
    assert all(row["market"].startswith("KRW-") for row in found)


def test_no_market_of_that_currency(sandbox: Sandbox, upbit_ws: Run) -> None:
    assert_one_line_error(upbit_ws("markets", "--quote", "EUR", "--base-url", sandbox.url), 1, "EUR")


def test_a_list_of_markets_from_nowhere(upbit_ws: Run) -> None:
    assert_one_line_error(upbit_ws("markets", "--base-url", NOWHERE), 1, "no reply from 127.0.0.1")


@pytest.mark.parametrize("ending", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.linux)])
def test_the_sandbox_serves_until_it_is_told_to_stop(
    ending: signal.Signals, run_python: PythonRunner, upbit_ws: Run
) -> None:
    server = run_python.start([*COMMAND, "sandbox", "--port", "0", "--markets", "KRW-BTC,KRW-ETH", "--rate", "100"])
    assert server.stdout is not None
    url = json.loads(server.stdout.readline())["url"]

    assert len(rows(upbit_ws("markets", "--base-url", url).stdout)) == 2
    assert rows(upbit_ws("watch", "KRW-ETH", "--seconds", "1", "--base-url", url).stdout)
    server.send_signal(ending)
    stdout, stderr = server.communicate(timeout=10)
    assert (stdout, stderr, server.returncode) == ("", "", 0)


def test_a_port_that_is_taken_is_one_line(sandbox: Sandbox, upbit_ws: Run) -> None:
    assert_one_line_error(upbit_ws("sandbox", "--port", str(sandbox.port)), 1, str(sandbox.port))


@pytest.mark.linux
def test_a_reader_that_leaves_is_no_error(run_python: PythonRunner) -> None:
    demo = run_python.start([*COMMAND, "demo", "--seconds", "20"])
    assert demo.stdout is not None
    demo.stdout.readline()
    demo.stdout.close()

    assert demo.wait(timeout=10) == 0
    assert demo.stderr is not None
    assert demo.stderr.read() == ""


@pytest.mark.linux
def test_an_interrupt_is_quiet(run_python: PythonRunner) -> None:
    demo = run_python.start([*COMMAND, "demo"])
    assert demo.stdout is not None
    demo.stdout.readline()
    demo.send_signal(signal.SIGINT)
    _, stderr = demo.communicate(timeout=10)

    assert (stderr, demo.returncode) == ("", 130)


@pytest.mark.parametrize(("missing", "extra"), [("click", "cli"), ("rich", "cli"), ("websockets", "sandbox")])
def test_a_missing_extra_is_named_with_the_way_to_install_it(
    missing: str, extra: str, run_python: PythonRunner
) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from upbit_ws.cli import main; sys.exit(main(['demo']))"

    assert_one_line_error(run_python(["-c", program]), 1, missing, f'pip install "upbit-ws[{extra}]"')


def test_the_version(upbit_ws: Run) -> None:
    assert upbit_ws("--version").stdout == f"upbit-ws {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["demo", "-h"], ["watch", "-h"], ["sandbox", "-h"], ["markets", "-h"]]
)
def test_help_is_there(arguments: list[str], upbit_ws: Run) -> None:
    done = upbit_ws(*arguments)

    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith("Usage: upbit-ws")


@pytest.mark.linux
def test_a_terminal_gets_a_table(run_python: PythonRunner) -> None:
    """Through a pseudo-terminal, as a person would see it."""
    import pty

    controller, terminal = pty.openpty()
    try:
        demo = subprocess.Popen(
            [*run_python.command, *COMMAND, "demo", "--seconds", "2"],
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            env={**run_python.environment(), "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "30"},
        )
        os.close(terminal)
        shown = _read_all(controller)
        assert demo.wait(timeout=10) == 0
    finally:
        os.close(controller)

    for part in ("Market", "Bid", "Epoch", "Msg/s", "KRW-BTC", "KRW-SHIB", "connected", "messages/s", "invented"):
        assert part in shown
    assert "Traceback" not in shown


def _read_all(descriptor: int) -> str:
    chunks = []
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # how Linux says that the other side of a pseudo-terminal is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    return b"".join(chunks).decode()
