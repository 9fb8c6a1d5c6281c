"""`python -m tests.reliability.page`: make `docs/reliability.md` of the catalogue and of what the test runs recorded.

A recording run does it by itself. `--check` writes nothing and says whether the page is what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from tests.reliability.catalogue import Row, not_run, promises, rows, tests_by_row
from tests.reliability.recorder import Results, load

__all__ = ["main", "page"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"

#: Row -> names of tests.
Names = dict[str, list[str]]

_HEAD = """\
# Reliability

What can go wrong between a program and the exchange has a row here, a test with the row's name, and the figure that the
test measured last. A run of the tests writes this page, nobody does by hand:

```
RELIABILITY_RESULTS=tests/reliability/results.json pytest tests/reliability            # seconds
RELIABILITY_RESULTS=tests/reliability/results.json pytest tests/reliability -m slow    # minutes; lost packets need root
```

The tests run the SDK itself against servers that follow a script to the byte, proxies with a bad network inside, the
embedded exchange, and, where packets have to get lost, two network namespaces with a wire between them that is cut.
Figures are of one run on a small shared machine: orders of magnitude, not benchmarks.

## After every fault

These hold at the end of each row; the test fails otherwise.

| | |
| --- | --- |
| I1 | every message of a connection is in the pool or counted: as unusable, unknown, unwanted, stale, older, duplicate, control |
| I2 | nothing of an older connection is filed after a newer one has opened, and the numbers of connections only grow |
| I3 | the newest value of a stream never goes back in time |
| I4 | what is wanted is what the server was told last |
| I5 | threads and file descriptors are back to where they were |
| I6 | every end of a connection and every wait is announced once, with a cause |
| I7 | no key is in any log line, event or repr |
| I8 | no call blocks longer than its own timeout |
| I9 | `close()` works from any thread, twice at once and once more, within a second |
| I10 | no exception leaves a thread |
"""


def page(results: Results) -> str:
    """The whole page."""
    names = _recorded(results)
    return "\n".join([_HEAD, *_promises(names, results), *_sections(names, results), *_summary(names, results)]) + "\n"


def _recorded(results: Results) -> Names:
    """Row -> its tests that were run and still exist."""
    return {row: [name for name in names if name in results] for row, names in tests_by_row().items()}


def _promises(names: Names, results: Results) -> Iterator[str]:
    yield from ("## Promised", "", "| | what | promised | measured | tests |", "| --- | --- | --- | --- | --- |")
    for row in promises():
        figure, _ = _figure(names.get(row.id, ()), results)
        yield _line(row.id, row.title, row.expected, figure, _tests(names.get(row.id, ()), results))
    yield ""


def _sections(names: Names, results: Results) -> Iterator[str]:
    for section, members in groupby(rows(), key=lambda row: row.section):
        yield from (f"## {section}", "", "| | fault | expected | measured | bound | tests |")
        yield "| --- | --- | --- | --- | --- | --- |"
        for row in members:
            yield _row(row, names.get(row.id, ()), results)
        yield ""


def _row(row: Row, names: Iterable[str], results: Results) -> str:
    if row.id in not_run():
        return _line(row.id, row.title, row.expected, "", "", f"not run: {not_run()[row.id]}")
    figure, bound = _figure(names, results)
    return _line(row.id, row.title, row.expected, figure, bound, _tests(names, results) or "none yet")


def _figure(names: Iterable[str], results: Results) -> tuple[str, str]:
    """The figure that was measured last, of all tests of a row."""
    measured = [results[name] for name in names if results[name]["figure"]]
    last = max(measured, key=lambda result: str(result["at"]), default={"figure": "", "bound": ""})
    return str(last["figure"]), str(last["bound"])


def _tests(names: Iterable[str], results: Results) -> str:
    return "<br>".join(f"`{name.partition('::')[2]}`{_mark(name, results)}" for name in names)


def _mark(name: str, results: Results) -> str:
    outcome = results[name]["outcome"]
    return "" if outcome == "passed" else f" ({outcome})"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _summary(names: Names, results: Results) -> Iterator[str]:
    passed = [
        row
        for row in rows()
        if (found := names.get(row.id)) and all(results[name]["outcome"] == "passed" for name in found)
    ]
    days = sorted({str(result["at"]) for result in results.values()})
    when = f", recorded on {days[-1]}" if days else ""
    excused = f"; {len(not_run())} are not run, for the reasons that stand there" if not_run() else ""
    yield f"{len(passed)} of {len(rows())} rows passed in their last run{when}{excused}."


def main(arguments: list[str]) -> int:
    """Write the page, or check it; 1 where it is out of date."""
    text = page(load())
    if "--check" in arguments:
        return 0 if PAGE.exists() and PAGE.read_text("utf-8") == text else 1
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
