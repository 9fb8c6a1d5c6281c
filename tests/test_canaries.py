"""The watch over planted keys sees what it is there to see."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import canaries
from tests.canaries import Watch
from upbit_ws.client.global_websocket_manager import GlobalWebSocketManager
from upbit_ws.exceptions import AuthenticationError
from upbit_ws.sandbox.auth import SANDBOX_SECRET_KEY
from upbit_ws.secret import Secret

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhY2Nlc3Nfa2V5IjoiYSJ9.c2lnbmF0dXJlc2ln"


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def log_it(secret: str) -> None:
    logging.getLogger("upbit_ws").debug("- connecting with %s", secret)


def log_what_failed(secret: str) -> None:
    try:
        raise RuntimeError(secret)
    except RuntimeError:
        logging.getLogger("urllib3").warning("failed", exc_info=True)


def raise_it(secret: str) -> None:
    try:
        raise ValueError(secret)
    except ValueError as error:
        AuthenticationError("invalid_keys").__cause__ = error


@pytest.mark.parametrize("show", [log_it, log_what_failed, raise_it])
@pytest.mark.parametrize("secret", [SANDBOX_SECRET_KEY, f"Bearer {TOKEN}"])
def test_what_is_logged_or_raised_is_seen(watch: Watch, show: Callable[[str], None], secret: str) -> None:
    show("nothing")
    assert watch.finds("", None) == []
    show(secret)

    assert watch.finds("", None) != []


@pytest.mark.parametrize(("path", "found"), [("upbit_ws/leak.py", ["key in leak"]), ("tests/leak.py", [])])
def test_variables_of_the_packages_own_frames_are_seen(
    watch: Watch, path: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`leak` is a frame of ours where it stands in the package, whatever the folder of the checkout is called.

    The real package is measured for coverage, and a file that is not there would be missed.
    """
    checkout = tmp_path / "upbit_ws"
    monkeypatch.setattr(canaries, "PACKAGE", checkout / "upbit_ws")
    code = "def leak(key):\n    raise AuthenticationError('invalid_keys')\n"
    names: dict[str, Callable[[str], None]] = {"AuthenticationError": AuthenticationError}  # type: ignore[dict-item]
    exec(compile(code, str(checkout / path), "exec"), names)
    with pytest.raises(AuthenticationError):
        names["leak"](SANDBOX_SECRET_KEY)

    assert watch.finds("", None) == found


def test_what_is_printed_and_written_is_seen(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "cache").write_text(SANDBOX_SECRET_KEY)

    assert watch.finds(SANDBOX_SECRET_KEY, tmp_path) == ["the file cache", "what was printed"]


def test_how_a_manager_looks_is_seen_when_it_is_closed(watch: Watch) -> None:
    before = watch.has_seen
    with GlobalWebSocketManager() as manager:
        manager.note = Secret(SANDBOX_SECRET_KEY)  # type: ignore[attr-defined]
    assert watch.has_seen > before
    assert watch.finds("", None) == []

    with GlobalWebSocketManager() as manager:
        manager.note = SANDBOX_SECRET_KEY  # type: ignore[attr-defined]
    assert watch.finds("", None) == ["a manager"]
