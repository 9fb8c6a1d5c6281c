"""What an installer, an importer and a type checker see."""

from __future__ import annotations

import configparser
import json
from importlib import metadata
from types import ModuleType

import pytest

import upbit_ws
from tests.process import ROOT, PythonRunner

PROMISED = {
    # clients and the manager
    "SimpleWebSocketClient",
    "WebSocketClientProxy",
    "GlobalWebSocketManager",
    "get_global_websocket_manager",
    # what to ask for, and how to ask
    "DataType",
    "Endpoint",
    "WireFormat",
    "StreamType",
    "SubscriptionSpec",
    "WebSocketConfig",
    "ConnectionConfig",
    "ReconnectionConfig",
    "BackpressureConfig",
    "AuthConfig",
    "DataPoolConfig",
    "MonitoringConfig",
    # what comes back
    "TickerEvent",
    "TradeEvent",
    "OrderbookEvent",
    "OrderbookUnit",
    "CandleEvent",
    "MyOrderEvent",
    "MyAssetEvent",
    "AnnouncementEvent",
    "IndicatorEvent",
    "IndicatorSignalEvent",
    "Reading",
    "Readiness",
    "ClientStatus",
    "ConnectionStatus",
    "ConnectionState",
    "GlobalManagerState",
    "HealthStatus",
    "PerformanceMetrics",
    # what can go wrong
    "UpbitWebSocketError",
    "InvalidArgumentError",
    "NotSubscribedError",
    "DataTimeoutError",
    "StaleDataError",
    "AuthenticationError",
    "ClientClosedError",
    "ForkedProcessError",
    "__version__",
}

IMPORT_WATCHED = """
import json, sys, threading

seen = []
WATCHED = ("socket.__new__", "socket.connect", "socket.getaddrinfo", "_thread.start_new_thread", "subprocess.Popen")

def hook(event, arguments):
    if event in WATCHED:
        seen.append(event)

sys.addaudithook(hook)
import upbit_ws

print(json.dumps({
    "events": seen,
    "threads": [thread.name for thread in threading.enumerate()],
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""


def read_setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_the_public_names_are_the_promised_ones() -> None:
    assert PROMISED - set(upbit_ws.__all__) == set()


def test_every_public_name_is_there_and_nothing_else_is() -> None:
    visible = {
        name
        for name in dir(upbit_ws)
        if not name.startswith("_") and not isinstance(getattr(upbit_ws, name), ModuleType) and name != "annotations"
    }

    assert visible | {"__version__"} == set(upbit_ws.__all__)
    assert len(upbit_ws.__all__) == len(set(upbit_ws.__all__))


def test_every_public_name_says_what_it_is() -> None:
    silent = [
        name for name in upbit_ws.__all__ if callable(getattr(upbit_ws, name)) and not getattr(upbit_ws, name).__doc__
    ]

    assert silent == []


def test_importing_opens_nothing_starts_nothing_and_loads_no_extra(run_python: PythonRunner) -> None:
    done = run_python(["-c", IMPORT_WATCHED])

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["events"] == []
    assert seen["threads"] == ["MainThread"]
    unwanted = {
        "requests",
        "urllib3",
        "jwt",
        "cryptography",
        "websockets",
        "click",
        "rich",
        "pandas",
        "numpy",
        "asyncio",
    }
    assert unwanted & set(seen["modules"]) == set()


def test_the_version_has_one_source() -> None:
    assert read_setup()["metadata"]["version"] == "attr: upbit_ws._version.__version__"
    try:
        installed = metadata.version("upbit-ws")
    except metadata.PackageNotFoundError:
        pytest.skip("runs from the sources, not installed")
    assert installed == upbit_ws.__version__


def test_what_is_installed_needs_no_more_than_the_six_libraries() -> None:
    needed = read_setup()["options"]["install_requires"].split()

    assert [name.partition(">=")[0] for name in needed] == [
        "attrs",
        "orjson",
        "platformdirs",
        "PyJWT",
        "requests",
        "websocket-client",
    ]
    assert all(">=" in name and "<" not in name for name in needed), "floors, no ceilings"


def test_the_promised_extras_exist() -> None:
    assert {"sandbox", "cli", "pandas", "prometheus", "redis", "test"} <= set(read_setup()["options.extras_require"])


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert (ROOT / "upbit_ws" / "py.typed").is_file()
    assert "py.typed" in read_setup()["options.package_data"]["*"].split()


def test_every_folder_with_code_is_a_package_that_gets_installed() -> None:
    folders = {path.parent for path in (ROOT / "upbit_ws").rglob("*.py")}

    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_changelog_knows_the_version_or_an_unreleased_part() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert "## [Unreleased]" in text or f"## [{upbit_ws.__version__}]" in text
