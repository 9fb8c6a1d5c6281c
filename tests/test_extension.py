"""The extension is used where it was built, and never in the way where it was not."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from types import ModuleType

import pytest

from upbit_ws import _extension

IS_BUILT = importlib.util.find_spec("_upbit_ws_speedups") is not None
IS_SWITCHED_OFF = os.environ.get("UPBIT_WS_NO_EXTENSIONS", "") not in ("", "0")


def pretend(monkeypatch: pytest.MonkeyPatch, module: ModuleType | None) -> None:
    monkeypatch.delenv("UPBIT_WS_NO_EXTENSIONS", raising=False)
    monkeypatch.setitem(sys.modules, "_upbit_ws_speedups", module)  # type: ignore[arg-type]


def of_version(version: object) -> ModuleType:
    module = ModuleType("_upbit_ws_speedups")
    module.VERSION = version  # type: ignore[attr-defined]
    return module


def test_a_module_of_the_expected_version_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    module = of_version(_extension._VERSION)
    pretend(monkeypatch, module)

    assert _extension._load() is module


@pytest.mark.parametrize("version", [_extension._VERSION - 1, _extension._VERSION + 1, None, "1"])
def test_a_module_of_another_version_is_left_aside(monkeypatch: pytest.MonkeyPatch, version: object) -> None:
    pretend(monkeypatch, of_version(version))

    assert _extension._load() is None


def test_a_module_that_tells_no_version_is_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ModuleType("_upbit_ws_speedups"))

    assert _extension._load() is None


def test_where_it_was_not_built_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, None)  # an import then raises ImportError

    assert _extension._load() is None


@pytest.mark.parametrize(("value", "is_off"), [("1", True), ("yes", True), ("", False), ("0", False)])
def test_the_variable_switches_it_off(monkeypatch: pytest.MonkeyPatch, value: str, is_off: bool) -> None:
    pretend(monkeypatch, of_version(_extension._VERSION))
    monkeypatch.setenv("UPBIT_WS_NO_EXTENSIONS", value)

    assert (_extension._load() is None) is is_off


@pytest.mark.skipif(not IS_BUILT, reason="the extension is not installed: there was no compiler")
@pytest.mark.skipif(IS_SWITCHED_OFF, reason="UPBIT_WS_NO_EXTENSIONS is set")
def test_the_tests_run_with_the_extension_that_was_built() -> None:
    from upbit_ws.protocol import frames, lanes, slots

    assert _extension.speedups is not None, "the built extension is of another version: install again"
    assert frames._split is _extension.speedups.split
    assert lanes.file_batch is _extension.speedups.file
    assert slots.Slot.__base__ is _extension.speedups.SlotCore


def test_without_the_extension_all_is_python() -> None:
    code = (
        "from upbit_ws import _extension\n"
        "from upbit_ws.protocol import frames, id_window, lanes, slots\n"
        "assert _extension.speedups is None\n"
        "assert frames._split is frames._split_common\n"
        "assert lanes.file_batch is lanes._file_batch\n"
        "assert slots.SlotCore is slots._SlotCore\n"
        "assert id_window.IdWindow is id_window._IdWindow\n"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "UPBIT_WS_NO_EXTENSIONS": "1"}, check=True)
