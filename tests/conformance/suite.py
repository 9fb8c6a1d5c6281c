"""The Autobahn cases against the SDK's own transport: an echo client made of `dial` and `Transport`, nothing else.

The cases of compression move 11 GB each way, so the suite is run in parts, as many at a time as there are processors.
Five sixths of that are messages of 64 and 128 KiB; a `sample` leaves these out in all groups of compression but a few.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen

from tests.process import PythonRunner
from upbit_ws.exceptions import UpbitWebSocketError
from upbit_ws.protocol.frames import FrameLimits
from upbit_ws.wire.dial import DialTarget, dial
from upbit_ws.wire.transport import Transport, TransportSettings
from upbit_ws.wire.wakeup import Wakeup

#: The groups of compression, each with other parameters or contents and the same 18 cases. Those whose contents take four
#: times as long to compress begin first, so that no processor is left alone with one at the end.
GROUPS = (*("12.2", "12.5", "12.3"), *(f"13.{number}" for number in range(1, 8)), *("12.1", "12.4"))
_CASES_OF_A_GROUP = range(1, 19)
#: Those of a group that send messages of 64 and 128 KiB, a thousand each.
LONG_CASES = (9, 10, 14, 15, 16, 17, 18)
_REST = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*")
#: Each part is served by a process of its own. The rest is over soon.
PARTS: tuple[tuple[str, ...], ...] = (*((f"{group}.*",) for group in GROUPS), _REST)
_SERVER = Path(__file__).with_name("fuzzing_server.py")
_AGENT = "upbit_ws"
#: 9.* sends messages of 16 MiB in one frame and in 64-byte fragments, 12.* and 13.* such of 128 KiB: limits that are
#: right for an exchange are raised, not lifted.
_SETTINGS = TransportSettings(max_outgoing=64 << 20, limits=FrameLimits(17 << 20, 17 << 20, 1 << 20))
_LONGEST_SILENCE = 60.0


@frozen
class Verdict:
    """What the fuzzing server says of one case."""

    case: str
    behavior: str
    close: str
    result: str
    result_close: str
    milliseconds: int

    @property
    def section(self) -> str:
        return self.case.partition(".")[0]

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.case.split("."))


def converse(url: str, answer: Callable[[Transport, list[bytes]], None]) -> None:
    """Open a connection, have every read answered, and close when the peer has ended it or broken the rules."""
    wakeup = Wakeup()
    try:
        transport = dial(
            DialTarget.from_url(url, offers_deflate=True, settings=_SETTINGS),
            deadline=time.monotonic() + 10.0,
            clock=time.monotonic,
            wakeup=wakeup,
            should_stop=lambda: False,
        )
        try:
            last_read = time.monotonic()
            while time.monotonic() < last_read + _LONGEST_SILENCE:
                if transport.wait(1.0)[0]:
                    last_read = time.monotonic()
                    answer(transport, transport.receive())
            raise AssertionError(f"nothing came from {url} for {_LONGEST_SILENCE:g} s")
        except UpbitWebSocketError:
            pass  # the end of the case, good or bad: the server judges it
        finally:
            transport.close(deadline=time.monotonic() + 2.0)
    finally:
        wakeup.close()


def echo(transport: Transport, messages: list[bytes]) -> None:
    """Send every message back, text as text."""
    texts = set(transport.text_indexes)
    for index, message in enumerate(messages):
        (transport.send_text if index in texts else transport.send_binary)(message)
    transport.flush()


class FuzzingServer:
    """The server's process, for some cases or all."""

    def __init__(self, cases: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_SERVER), *cases],
            env=PythonRunner.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def __enter__(self) -> FuzzingServer:
        assert self._process.stdout is not None
        self._url = f"ws://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def count(self) -> int:
        """How many cases it serves."""
        received: list[bytes] = []
        converse(f"{self._url}/getCaseCount", lambda _, messages: received.extend(messages))
        return int(received[0])

    def run(self, number: int) -> None:
        """Be the client of one case, counted from 1."""
        converse(f"{self._url}/runCase?case={number}&agent={_AGENT}", echo)

    def verdicts(self) -> list[Verdict]:
        """End the run and read the verdicts."""
        converse(f"{self._url}/updateReports?agent={_AGENT}", echo)
        out, _ = self._process.communicate(timeout=30.0)
        return [Verdict(**fields) for fields in json.loads(out)]


def sample(whole: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The parts of a short run: all cases of these groups; of the others what is over soon."""
    short = [number for number in _CASES_OF_A_GROUP if number not in LONG_CASES]
    others = [tuple(f"{group}.{number}" for number in short) for group in GROUPS if group not in whole]
    return (*((f"{group}.*",) for group in whole), *others, _REST)


def total_cases() -> int:
    """How many cases the suite has."""
    with FuzzingServer() as server:
        return server.count()


def run_part(cases: Sequence[str]) -> list[Verdict]:
    """Run some cases."""
    with FuzzingServer(cases) as server:
        for number in range(1, server.count() + 1):
            server.run(number)
        return server.verdicts()


def run_parts(parts: Iterable[Sequence[str]] = PARTS) -> list[Verdict]:
    """Run the parts; the verdicts in the order of the cases."""
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 4)) as pool:
        verdicts = [verdict for part in pool.map(run_part, parts) for verdict in part]
    return sorted(verdicts, key=lambda verdict: verdict.order)
