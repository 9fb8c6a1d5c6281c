"""What the READMEs show is what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import upbit_ws
from tests.process import ROOT
from upbit_ws import DataType, GlobalWebSocketManager, SimpleWebSocketClient, WebSocketConfig

READMES = [ROOT / "README.md", ROOT / "README.ko.md"]
COMMANDS = ['pip install ".[cli,sandbox]" && upbit-ws demo', 'pip install ".[test]" && pytest']


def code_blocks(readme: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(params=READMES, ids=lambda path: path.name)
def readme(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def test_the_quick_start_is_the_example_that_the_tests_run(readme: Path) -> None:
    assert (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8") == code_blocks(readme, "python")[0]


def test_the_two_commands_are_there(readme: Path) -> None:
    assert [block.strip() for block in code_blocks(readme, "sh")] == COMMANDS


def test_every_link_leads_to_a_file(readme: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", readme.read_text(encoding="utf-8"))

    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_piece_of_code_is_python(readme: Path) -> None:
    for block in code_blocks(readme, "python"):
        compile(block, readme.name, "exec")


def test_every_method_error_and_preset_that_is_named_exists(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    methods = set(re.findall(r"`((?:get|wait)_\w+)", text)) | set(re.findall(r"client\.(\w+)\(", text))
    presets = set(re.findall(r"WebSocketConfig\.(\w+)\(", text))
    names = set(re.findall(r"`(\w+(?:Error|Event|Config))\b", text))

    assert len(methods) > 10
    owners = (SimpleWebSocketClient, GlobalWebSocketManager, upbit_ws)
    assert [name for name in methods if not any(hasattr(owner, name) for owner in owners)] == []
    assert [name for name in presets if not hasattr(WebSocketConfig, name)] == []
    assert [name for name in names if not hasattr(upbit_ws, name)] == []


def test_every_pull_method_is_named(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")

    assert [name for name in dir(SimpleWebSocketClient) if name.startswith("get_") and f"`{name}" not in text] == []


def test_the_candle_units_are_those_of_the_table(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")

    assert [member.unit for member in DataType if member.is_candle and f"`{member.unit}`" not in text] == []


def test_both_languages_tell_the_same() -> None:
    """Same code and same number of headings and table rows; a part added to one only is noticed."""
    english, korean = ((readme.read_text(encoding="utf-8")) for readme in READMES)

    for pattern in (r"^## ", r"^\| ", r"^\*\*", r"^```"):
        assert len(re.findall(pattern, english, re.MULTILINE)) == len(re.findall(pattern, korean, re.MULTILINE)), (
            pattern
        )
