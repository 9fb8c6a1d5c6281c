"""Counts the system calls of this very process with strace."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path


class SystemCallCounter:
    """Attaches strace to all threads of this process on construction; `stop` detaches it and gives the counts."""

    def __init__(self) -> None:
        if shutil.which("strace") is None:
            raise RuntimeError("strace is not installed")
        with tempfile.NamedTemporaryFile(prefix="calls-", delete=False) as file:
            self._path = Path(file.name)
        command = ["strace", "-f", "-c", "-o", str(self._path), "-p", str(os.getpid())]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        stream = self._process.stderr
        assert stream is not None
        line = stream.readline()
        if "attached" not in line:
            self._process.kill()
            raise RuntimeError(f"strace cannot attach: {line.strip()}")

    def stop(self) -> dict[str, int]:
        """Calls by name since construction."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=10)
        table = self._path.read_text()
        self._path.unlink()
        return parse_summary(table)


def parse_summary(table: str) -> dict[str, int]:
    """The counts in the table that ``strace -c`` prints."""
    calls: dict[str, int] = {}
    for line in table.splitlines():
        # % time, seconds, usecs/call, calls, [errors], name
        match = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?([a-z_]\w*)\s*$", line)
        if match and match[2] != "total":
            calls[match[2]] = int(match[1])
    return calls
