"""Run the suite and write docs/conformance.md."""

from __future__ import annotations

from tests.conformance.report import PAGE, page, row
from tests.conformance.suite import run_parts

verdicts = run_parts()
PAGE.write_text(page(verdicts), "utf-8")
print(row("all", verdicts))
