"""`python -m benchmarks.hurts [--only M1,M8] [--write-docs]`: ten situations that hurt, side by side.

The peers: the exchange's official SDK (`upbit-sdk`), read as its README shows, and the loops that people write around
`websocket-client` and `websockets`, with a `try` and a pause of a second before the next attempt. Each meets the same
embedded exchange, or a server that follows a script. What is not installed is left out, and the table says so. Every
figure is of one run.

`--write-docs` keeps what was measured in `benchmarks/hurts.json`, so that a run may come in pieces, and writes
`docs/hurts.md` of all of it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.frames import sample_payloads
from benchmarks.hurts_subjects import OfficialSdk, Ours, Subject, everybody, subjects
from upbit_ws.models import decode_event
from upbit_ws.protocol.frames import Opcode
from upbit_ws.sandbox import Sandbox, SandboxConfig
from upbit_ws.testing import Conversation, FaultProxy, ScriptedServer

__all__ = ["SITUATIONS", "main", "measure", "table"]

#: How long to wait (seconds) for what may never come: a new connection; that a dead link or a mute feed is noticed.
_PATIENCE: Final = 40.0
_NOTICE: Final = 65.0
_FOLDER: Final = Path(__file__).resolve().parent
RESULTS: Final = _FOLDER / "hurts.json"
PAGE: Final = _FOLDER.parent / "docs" / "hurts.md"


# -- situations ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def exchange(subject: Subject, *, rate: float = 400.0, through_proxy: bool = False) -> Iterator[tuple[Sandbox, Any]]:
    """An exchange without limits, and the subject reading from it."""
    config = SandboxConfig(
        rate=rate, markets=["KRW-BTC"], connect_limit=None, message_limits=False, snapshot_delays=(0.0,)
    )
    with Sandbox(config) as sandbox, FaultProxy((config.host, sandbox.port)) as proxy:
        subject.start(proxy.url if through_proxy else sandbox.url)
        try:
            _await(lambda: len(subject.arrivals) > 2, 10.0)
            yield sandbox, proxy
        finally:
            proxy.heal()
            sandbox.freeze(False)
            subject.stop()


def _await(is_true: Callable[[], bool], patience: float) -> float | None:
    """Seconds until it was so; None where it never was."""
    begun = time.monotonic()
    while not is_true():
        if time.monotonic() - begun > patience:
            return None
        time.sleep(0.005)
    return time.monotonic() - begun


def _returns(sandbox: Sandbox, subject: Subject, break_it: Callable[[], object]) -> str:
    known = _granted(sandbox)
    break_it()
    if _await(lambda: _granted(sandbox) > known or bool(subject.ended), _PATIENCE) is None:
        return f"not in {_PATIENCE:.0f} s"
    if subject.ended:
        return f"never: {subject.ended}"
    seen = len(subject.arrivals)
    if _await(lambda: len(subject.arrivals) > seen + 1, 10.0) is None:
        return "connected, no data"
    # The longest silence since the break is the outage.
    longest = max(b - a for a, b in pairwise(subject.arrivals))
    refused = sum(handshake.status == 429 for handshake in sandbox.handshakes)
    return f"{longest:.2f} s without data" + (f", {refused} attempts refused (429)" if refused else "")


def _granted(sandbox: Sandbox) -> int:
    return sum(handshake.status == 101 for handshake in sandbox.handshakes)


def rolling_restart(subject: Subject) -> str:
    """M1 server closes with 1001"""
    with exchange(subject) as (sandbox, _):
        return _returns(sandbox, subject, lambda: sandbox.drop_all("close", 1001))


def reset(subject: Subject) -> str:
    """M2 TCP reset"""
    with exchange(subject) as (sandbox, _):
        return _returns(sandbox, subject, lambda: sandbox.drop_all("rst"))


def down(subject: Subject) -> str:
    """M3 server down for 6 s"""
    with exchange(subject) as (sandbox, _):

        def restart() -> None:
            sandbox.stop()
            time.sleep(6.0)
            sandbox.start()

        return _returns(sandbox, subject, restart)


def _noticed(subject: Subject, has_dialled: Callable[[], bool]) -> str:
    took = _await(lambda: has_dialled() or bool(subject.ended), _NOTICE)
    if took is None:
        return f"not noticed in {_NOTICE:.0f} s"
    return f"{took:.1f} s" + (f": {subject.ended}" if subject.ended else "")


def half_open(subject: Subject) -> str:
    """M4 half-open: until a new attempt"""
    with exchange(subject, through_proxy=True) as (_, proxy):
        known = proxy.counters.connections
        proxy.blackhole()
        return _noticed(subject, lambda: proxy.counters.connections > known)


def mute(subject: Subject) -> str:
    """M5 mute, pongs answered: until a new attempt"""
    with exchange(subject) as (sandbox, _):
        known = _granted(sandbox)
        sandbox.mute(until="reconnect")
        return _noticed(subject, lambda: _granted(sandbox) > known)


def slow_consumer(subject: Subject) -> str:
    """M6 500/s made, 95/s read: age of what is read after 8 s"""
    ages = [0.0]

    def consume(timestamp: float) -> None:
        time.sleep(1 / 95)
        ages.append(time.time() - timestamp / 1000)

    subject.on_ticker = consume
    with exchange(subject, rate=1_500.0):
        time.sleep(8.0)
        return f"{ages[-1]:.1f} s"


def error_frame(subject: Subject) -> str:
    """M7 an error frame: attempts in 3 s after it"""

    def script(talk: Conversation) -> None:
        talk.upgrade()
        while talk.read_frame().opcode != Opcode.TEXT:
            pass
        talk.send_frame(b'{"error":{"name":"NO_CODES","message":"no codes"}}', Opcode.TEXT)
        talk.pause(60.0)

    with ScriptedServer(script) as server:
        subject.start("http" + server.url.removeprefix("ws"))
        _await(lambda: bool(server.conversations), 5.0)
        time.sleep(3.0)
        attempts = len(server.conversations)
        said = ""
        if isinstance(subject, Ours):
            said = f"; announced as {type(_rejection(subject)).__name__}"
        elif subject.ended:
            said = f"; {subject.ended}"
        subject.stop()
    return f"{attempts}{said}"


def _rejection(subject: Ours) -> object:
    from upbit_ws import RequestRejected

    events = subject._manager.recent_events()
    return next((event for event in events if isinstance(event, RequestRejected)), None)


def storm(subject: Subject) -> str:
    """M8 every connection closed after one message: dials in 8 s (allowed: 5 a second)"""
    with exchange(subject, rate=0.0) as (sandbox, _):
        known, until = len(sandbox.handshakes), time.monotonic() + 8.0
        while time.monotonic() < until:
            sandbox.drop_all("close", 1000)
            time.sleep(0.002)
        return str(len(sandbox.handshakes) - known) + (f": {subject.ended}" if subject.ended else "")


def parse(subject: Subject) -> str:
    """M9 parsing one ticker"""
    (raw,) = sample_payloads(1, ("ticker",))[:1]
    number = 20_000
    decode, kind = _decoder(subject)
    begun = time.perf_counter()
    for _ in range(number):
        decode(raw)
    return f"{(time.perf_counter() - begun) / number * 1e6:.1f} us ({kind})"


def _decoder(subject: Subject) -> tuple[Callable[[bytes], object], str]:
    if isinstance(subject, Ours):
        return decode_event, "typed event"
    if isinstance(subject, OfficialSdk):
        from upbit.lib.ws._parser import parse_websocket_message

        return lambda raw: parse_websocket_message(raw, endpoint="public"), "typed event"
    return json.loads, "dict"


def close_behind(subject: Subject) -> str:
    """M10 close while behind"""
    subject.on_ticker = lambda _: time.sleep(0.05)
    stop, took = subject.stop, [0.0]

    def timed() -> None:
        begun = time.monotonic()
        stop()
        took[0] = time.monotonic() - begun

    subject.stop = timed  # type: ignore[method-assign]
    with exchange(subject, rate=1_500.0):
        time.sleep(2.0)
    return f"{took[0]:.2f} s"


SITUATIONS: Final[dict[str, Callable[[Subject], str]]] = {
    str(one.__doc__).split()[0]: one
    for one in (
        rolling_restart, reset, down, half_open, mute, slow_consumer, error_frame, storm, parse, close_behind,
    )
}  # fmt: skip


#: Situation -> subject -> what was measured and when.
Results = dict[str, dict[str, dict[str, str]]]


def measure(chosen: Sequence[str], among: Sequence[str]) -> Results:
    """Run them, one after the other."""
    today = datetime.date.today().isoformat()
    results: Results = {}
    for name in chosen:
        situation = SITUATIONS[name]
        for kind in [one for one in subjects() if one.name in among]:
            figure = situation(kind())
            print(f"{situation.__doc__}: {kind.name}: {figure}", file=sys.stderr, flush=True)
            results.setdefault(name, {})[kind.name] = {"figure": figure, "at": today}
    return results


def table(results: Results) -> str:
    """As Markdown. What was not measured says so."""
    names = [kind.name for kind in everybody() if any(kind.name in cells for cells in results.values())]
    lines = ["| situation | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for key, situation in SITUATIONS.items():
        if key in results:
            cells = [results[key].get(name, {}).get("figure", "not measured") for name in names]
            lines.append(f"| {situation.__doc__} | " + " | ".join(cells) + " |")
    left_out = [kind.name for kind in everybody() if kind.name not in names]
    notes = [f"Not installed, left out: {', '.join(left_out)}."] if left_out else []
    notes.append(
        "M1, M3: a loop that tries again at once, or every second, is back sooner. This SDK spreads its return over "
        "five seconds after 1001 and lets its pauses grow while nobody answers, none longer than the outage: with all "
        "clients of a server that restarts in mind, and with the five connects a second that the exchange allows.\n"
    )
    notes.append(
        "`websocket-client` sends an `Origin` header by default, and with one the exchange (and its stand-in here) "
        "grants one connection in 10 s.\n"
    )
    days = sorted({cell["at"] for cells in results.values() for cell in cells.values()})
    notes.append(f"One run each ({', '.join(days)}), on one small shared machine, over the loopback interface.")
    return "\n".join([*lines, "", *notes]) + "\n"


_HEAD: Final = """\
# When it hurts

Ten situations in which programs that read an exchange's stream lose data, time or their nerve, and what each way of
reading does in them. `python -m benchmarks.hurts --write-docs` measures them and writes this page; nobody does by hand.
The peers are the exchange's official SDK, read as its README shows, and the loops that people write around two
WebSocket libraries: a `try`, and a pause of a second before the next attempt. This SDK is as configured by default.

"""


def write_docs(measured: Results) -> None:
    """Keep what was measured beside what was measured before, and write the page of all of it."""
    results: Results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for name, cells in measured.items():
        results.setdefault(name, {}).update(cells)
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(_HEAD + table(results), "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hurts", description=__doc__.split("\n")[0])
    parser.add_argument("--only", default=",".join(SITUATIONS), help="situations, separated by commas")
    parser.add_argument("--among", default=",".join(one.name for one in everybody()), help="subjects, likewise")
    parser.add_argument("--write-docs", action="store_true", help="write docs/hurts.md; default: print the table")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",")
    unknown = [name for name in chosen if name not in SITUATIONS]
    if unknown:
        parser.error(f"no such situation: {', '.join(unknown)}")
    measured = measure(chosen, options.among.split(","))
    if options.write_docs:
        write_docs(measured)
    else:
        print(table(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
