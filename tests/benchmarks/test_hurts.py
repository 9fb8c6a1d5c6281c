"""The table of situations that hurt: made in pieces, and honest about what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import hurts


def cell(figure: str, at: str = "2026-01-01") -> dict[str, str]:
    return {"figure": figure, "at": at}


def test_what_was_not_measured_or_is_not_installed_says_so() -> None:
    text = hurts.table({"M1": {"upbit_ws": cell("1 s"), "upbit-sdk": cell("never")}, "M9": {"upbit_ws": cell("4 us")}})

    rows = [line for line in text.splitlines() if line.startswith("| M")]
    assert [row.split(" | ")[1:] for row in rows] == [["1 s", "never |"], ["4 us", "not measured |"]]
    assert "left out: websocket-client loop, websockets loop" in text


def test_a_later_piece_is_kept_beside_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hurts, "RESULTS", tmp_path / "hurts.json")
    monkeypatch.setattr(hurts, "PAGE", tmp_path / "hurts.md")
    hurts.write_docs({"M1": {"upbit_ws": cell("1 s"), "upbit-sdk": cell("never")}})
    hurts.write_docs({"M1": {"upbit_ws": cell("2 s", "2026-01-02")}})

    kept = json.loads((tmp_path / "hurts.json").read_text("utf-8"))
    assert kept == {"M1": {"upbit_ws": cell("2 s", "2026-01-02"), "upbit-sdk": cell("never")}}
    assert "(2026-01-01, 2026-01-02)" in (tmp_path / "hurts.md").read_text("utf-8")


def test_the_committed_page_is_what_the_committed_figures_say() -> None:
    figures = json.loads(hurts.RESULTS.read_text("utf-8"))

    assert hurts.PAGE.read_text("utf-8").endswith(hurts.table(figures))
    assert set(figures) == set(hurts.SITUATIONS)
