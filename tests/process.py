"""Python in a process of its own: for what must be seen from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent


class PythonRunner:
    """Starts processes, and ends on leaving those that still run."""

    command = (sys.executable,)

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> PythonRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def start(self, arguments: Sequence[str], *, cwd: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
        """Start `python <arguments>`; what it prints can be read while it runs."""
        process = subprocess.Popen(
            [*self.command, *arguments],
            cwd=cwd,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self._started.append(process)
        return process

    def __call__(
        self, arguments: Sequence[str], *, timeout: float = 30.0, cwd: Path = ROOT, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `python <arguments>` to its end."""
        process = self.start(arguments, cwd=cwd, **environment)
        stdout, stderr = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    @staticmethod
    def environment(**extra: str) -> dict[str, str]:
        """The environment in which the processes run: the sources of the test first, text as UTF-8."""
        search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        return {**os.environ, "PYTHONPATH": search, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", **extra}
