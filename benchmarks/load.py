"""The parent's handle on a load generator process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from benchmarks.generator import Settings

ROOT = Path(__file__).resolve().parent.parent


class LoadGenerator:
    """Starts a generator with `settings` and stops it at the end of the `with` block."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        """Base URL, usable as `ConnectionConfig(base_url=...)`."""

    def __enter__(self) -> LoadGenerator:
        command = [sys.executable, "-m", "benchmarks.generator", self.settings.dump()]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        scheme = "https" if self.settings.certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self._read_line()['port']}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running()
        try:
            process.communicate(timeout=5)  # closes standard input, which ends it
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def statistics(self) -> list[dict[str, Any]]:
        """What each connection so far was sent and asked for, oldest first."""
        stream = self._running().stdin
        assert stream is not None
        stream.write("statistics\n")
        stream.flush()
        return cast("list[dict[str, Any]]", self._read_line())

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("enter the load generator with `with` first")
        return self._process

    def _read_line(self) -> Any:
        stream = self._running().stdout
        assert stream is not None
        line = stream.readline()
        if not line:
            raise RuntimeError(f"the load generator ended with code {self._running().wait()}")
        return json.loads(line)
