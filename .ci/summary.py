"""What the test runs of `.ci/run` have given, from the JUnit files in a folder: the end of the log, which is all of it
that is sure to be read. First what was skipped, by reason; then each failed test with one line of why; then the counts.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as tree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

KINDS = ("tests", "failures", "errors", "skipped")
LONGEST = 300
#: Lines of a report that begin an explanation: "E   AssertionError: assert 1 == 2".
_EXPLANATION = re.compile(r"^E +(\S.*)", re.MULTILINE)


def cut(text: str) -> str:
    """One line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def reason(problem: tree.Element) -> str:
    """What pytest says in its first line; where another error caused that one, its first line too."""
    said = cut((problem.get("message") or "").strip().partition("\n")[0])
    causes = _EXPLANATION.findall(problem.text or "")
    first = cut(causes[0]) if causes else ""
    # An error before or after the test has "failed on teardown with ..." as its message, and quotes the rest.
    return said if not first or first in said or said in first else f"{said} ({first})"


def problems(suites: list[tree.Element]) -> Iterator[str]:
    """A line for each test that failed, or whose set-up or tear-down did."""
    for case in (case for suite in suites for case in suite.iter("testcase")):
        for kind in ("failure", "error"):
            for problem in case.findall(kind):
                name = f"{(case.get('classname') or '').replace('.', '/')}.py::{case.get('name')}"
                yield f"{kind.upper()} {name.removeprefix('.py::')}: {reason(problem)}"


def skips(suites: list[tree.Element]) -> Counter[str]:
    """How often each reason was given."""
    return Counter(cut(skip.get("message") or "") for suite in suites for skip in suite.iter("skipped"))


def read(path: Path) -> list[tree.Element]:
    """The suites of a file; none where pytest was ended while it wrote, as its step then says."""
    try:
        return list(tree.parse(path).getroot().iter("testsuite"))
    except tree.ParseError as error:
        print(f"{path.stem}: no counts ({error})")
        return []


def main(folder: Path) -> None:
    """Print it."""
    runs = {path.stem: read(path) for path in sorted(folder.glob("*.xml"))}
    print()
    for name, suites in runs.items():
        for why, count in skips(suites).most_common():
            print(f"{name}: skipped {count}: {why}")
    for name, suites in runs.items():
        for line in problems(suites):
            print(f"{name}: {line}")
    total: Counter[str] = Counter()
    for name, suites in runs.items():
        counts = Counter({kind: sum(int(suite.get(kind, 0)) for suite in suites) for kind in KINDS})
        total += counts
        print(f"{name}: {told(counts)}")
    print(f"all: {told(total)}")


def told(counts: Counter[str]) -> str:
    """The counts in words."""
    bad = counts["failures"] + counts["errors"]
    return f"{counts['tests'] - bad - counts['skipped']} passed, {bad} failed, {counts['skipped']} skipped"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
