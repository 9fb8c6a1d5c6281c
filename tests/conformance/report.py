"""The verdicts as a page, and the page as figures again, so that a test can hold the one against the other."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.conformance.suite import Verdict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
SECTIONS = {
    "1": "Framing",
    "2": "Pings and pongs",
    "3": "Reserved bits",
    "4": "Opcodes",
    "5": "Fragmentation",
    "6": "UTF-8",
    "7": "Close handshake",
    "9": "Limits and speed",
    "10": "Automatic fragmentation",
    "12": "Compression, default parameters",
    "13": "Compression, all parameters",
}
BEHAVIORS = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED", "ERROR")
#: Why a case is not OK without being wrong.
REASONS = {
    "6.4.3": "one text frame whose UTF-8 breaks off in its middle, sent in three pieces a second apart",
    "6.4.4": "the same, cut at another place",
}


def row(name: str, verdicts: Sequence[Verdict]) -> str:
    """One line of the table."""
    behaviors = Counter(verdict.behavior for verdict in verdicts)
    wrong_codes = sum(verdict.close not in ("OK", "INFORMATIONAL") for verdict in verdicts)
    figures = [len(verdicts), *(behaviors[behavior] for behavior in BEHAVIORS), wrong_codes]
    return f"| {name} | {' | '.join(str(figure) for figure in figures)} |"


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """The lines of the table."""
    lines = [
        f"| section | cases | {' | '.join(BEHAVIORS)} | close not as expected |",
        "| --- |" + " ---: |" * (len(BEHAVIORS) + 2),
    ]
    for section, title in SECTIONS.items():
        lines.append(row(f"{section} {title}", [verdict for verdict in verdicts if verdict.section == section]))
    return [*lines, row("**all**", verdicts)]


def page(verdicts: Sequence[Verdict]) -> str:
    """The whole page."""
    unstrict = [verdict for verdict in verdicts if verdict.behavior == "NON-STRICT"]
    informational = [verdict.case for verdict in verdicts if verdict.behavior == "INFORMATIONAL"]
    parts = [
        "# Conformance",
        "The Autobahn test suite asks a WebSocket client what it makes of good and bad frames. All of its cases are "
        "run against the transport that the SDK uses (`upbit_ws.wire.dial` and `upbit_ws.wire.transport`, as an echo "
        "client that offers `permessage-deflate`), also those of limits (9) and of compression (12 and 13). The cases "
        f"are served by `kosoku` {version('kosoku')}, which runs them natively.",
        "`pytest -m conformance` runs them and fails on a case that is FAILED or has a close code other than expected, "
        "on a third one that is NON-STRICT, and when this table is not what the run gave. "
        "`python -m tests.conformance` writes this page. CI runs all of them; where time is short, `CONFORMANCE_GROUPS=2` "
        "leaves out messages of 64 and 128 KiB in all but two groups of 12 and 13, drawn afresh each time.",
        "\n".join(table(verdicts)),
        f"Python {platform.python_version()} on {platform.system()}.",
        "## NON-STRICT",
        "\n".join(f"- {verdict.case}: {REASONS.get(verdict.case, verdict.result)}." for verdict in unstrict),
        "Strict would be to fail at the first wrong byte inside an unfinished frame. The SDK judges a frame when it is "
        "complete: looking into unfinished ones would cost every frame something, and what a bad one can cost is "
        "bounded (`ConnectionConfig.max_frame_size`, 1 MiB). Between the fragments of a message it does fail at once "
        "(6.4.1, 6.4.2). It fails with 1007 in either case.",
        "## INFORMATIONAL",
        f"{', '.join(informational)}: the standard leaves open what is right there, and the suite only notes what "
        "happened.",
        "## Limits",
        "Messages of 9.* have up to 16 MiB, so the limits are raised for the run to 17 MiB a frame and a message and "
        "to 1,048,576 fragments. In the SDK they are 1 MiB a frame, 4 MiB a message and 1,024 fragments unless "
        "`ConnectionConfig` says otherwise, and what exceeds them is closed with 1009.",
    ]
    return "\n\n".join(parts) + "\n"


def published() -> list[str]:
    """The lines of the table on the page."""
    return [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| (\d+ |\*\*all)", line)]
