"""Nothing from outside breaks a line, and no token shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.protocol.redaction import escape_text, mask_secrets

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhY2Nlc3Nfa2V5IjoiYSJ9.c2ln-bmF0_dXJl"


def test_control_characters_are_escaped_and_korean_stays() -> None:
    assert escape_text("업비트\r\n\x1b[31m\u2028\\") == "업비트\\r\\n\\x1b[31m\\u2028\\\\"


def test_a_long_text_is_cut_with_a_sign() -> None:
    assert escape_text("a" * 10, 10) == "a" * 10
    assert escape_text("a" * 11, 10) == "a" * 10 + "…"


@given(st.text(), st.integers(1, 300))
def test_any_text_becomes_one_printable_bounded_line(text: str, limit: int) -> None:
    shown = escape_text(text, limit)

    assert shown.isprintable()
    assert len(shown) <= limit + 1
    assert shown.splitlines() in ([], [shown])


def test_a_token_is_masked_wherever_it_stands() -> None:
    assert mask_secrets(f"got {TOKEN}.") == "got ***"
    assert mask_secrets(f"Authorization: bearer {TOKEN}") == "Authorization: bearer ***"
    assert mask_secrets("Bearer opaque/token+=") == "Bearer ***"


@given(st.integers(4, len(TOKEN)))
def test_a_token_is_masked_however_it_is_cut(size: int) -> None:
    assert "eyJ" not in mask_secrets(f"x {TOKEN[:size]}")


def test_given_secrets_are_masked_and_empty_ones_ignored() -> None:
    assert mask_secrets("key=abc", ["abc", ""]) == "key=***"
