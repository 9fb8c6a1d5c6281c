"""Keys that a test plants, and every place where they must not turn up afterwards.

Watched while the test runs: what is logged, with the variables of the tracebacks in it; every error of the package, with
the variables of the package's own frames; how managers, their settings and their reports look; and afterwards what was
printed, what threads are called, and the files that were written.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

import upbit_ws
from upbit_ws.client.global_websocket_manager import GlobalWebSocketManager
from upbit_ws.exceptions import UpbitWebSocketError
from upbit_ws.sandbox.auth import SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY

__all__ = ["PACKAGE", "Watch", "planted"]

#: What a test has used as keys, besides the sandbox's own pair. `account_config` writes it down.
planted: set[str] = {SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY}
#: Shorter ones may be part of ordinary words.
_SHORTEST = 16
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")
#: The checkout may be called like the package.
PACKAGE = Path(upbit_ws.__file__).parent
_LOGGERS = ("upbit_ws", "urllib3", "requests", "websocket", "py.warnings")


class Watch(logging.Handler):
    """Looks while a test runs; `finds` says what was seen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._seen: list[tuple[str, str]] = []
        self._errors: list[BaseException] = []
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            monkeypatch.setattr(logger, "handlers", [*logger.handlers, self])
            monkeypatch.setattr(logger, "level", logging.DEBUG)
        logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]
        self._follow(monkeypatch)

    def _follow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made, close = UpbitWebSocketError.__init__, GlobalWebSocketManager.close

        def init(error: UpbitWebSocketError, *facts: Any, **named: Any) -> None:
            made(error, *facts, **named)
            self._errors.append(error)

        def closing(manager: GlobalWebSocketManager, *facts: Any, **named: Any) -> Any:
            self.look_at(manager)
            return close(manager, *facts, **named)

        monkeypatch.setattr(UpbitWebSocketError, "__init__", init)
        monkeypatch.setattr(GlobalWebSocketManager, "close", closing)

    def emit(self, record: logging.LogRecord) -> None:
        """Note a line of the log. The exchange says in its own which keys it knows."""
        if record.name.startswith("upbit_ws.sandbox"):
            return
        self._seen.append((f"the log of {record.name}", record.getMessage() + repr(record.args)))
        if record.exc_info and record.exc_info[1] is not None:
            self._errors.append(record.exc_info[1])

    def look_at(self, manager: GlobalWebSocketManager) -> None:
        """Note how a manager looks to whoever prints it."""
        self._seen.append(("a manager", f"{manager!r} {manager.config!r} {vars(manager)!r}"))
        self._seen += [("an event", repr(event)) for event in manager.recent_events()]
        self._seen += [("a status", repr(status)) for status in manager.connection_statuses()]
        self._seen.append(("the threads", repr([thread.name for thread in threading.enumerate()])))

    def finds(self, printed: str, files: Path | None) -> list[str]:
        """Where a key or a token was seen."""
        seen = [*self._seen, ("what was printed", printed)]
        for error in list(self._errors):
            seen += [("an error", f"{error!s} {error!r} {error.args!r}"), *_variables(error)]
        if files is not None:
            written = [path for path in files.rglob("*") if path.is_file()]
            seen += [(f"the file {path.name}", path.read_bytes().decode("latin-1")) for path in written]
        keys = [key for key in planted if len(key) >= _SHORTEST]
        return sorted({where for where, text in seen if any(key in text for key in keys) or _TOKEN.search(text)})

    @property
    def has_seen(self) -> int:
        """How many things it looked at: none would mean that it does not look."""
        return len(self._seen) + len(self._errors)


def _variables(error: BaseException) -> Iterator[tuple[str, str]]:
    """The variables of the package's own frames in a traceback, and in those of its causes."""
    links: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in links:
        links.append(following)
        following = following.__cause__ or following.__context__
    for link in links:
        yield "a cause", f"{link!s} {link!r}"
        traceback: TracebackType | None = link.__traceback__
        while traceback is not None:
            code = traceback.tb_frame.f_code
            path = Path(code.co_filename)
            if PACKAGE in path.parents and PACKAGE / "sandbox" not in path.parents:
                for name, value in list(traceback.tb_frame.f_locals.items()):
                    yield f"{name} in {code.co_name}", repr(value)
            traceback = traceback.tb_next
