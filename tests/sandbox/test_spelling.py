"""Number spelling."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.sandbox.spelling import (
    DEFAULT_SPELLING,
    PLAIN_SPELLING,
    SIMPLE_SPELLING,
    double,
    double_square,
    fixed,
    java,
    plain,
    plain_square,
)
from upbit_ws.sandbox.tick_size import SCALE

amounts = st.integers(0, 10**17)


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        (double(116_539_000 * SCALE), "1.16539E8"),
        (double(5_921_000 * SCALE), "5921000.0"),
        (double(79_276), "7.9276E-4"),
        (double(50_000), "5.0E-4"),
        (double(0), "0.0"),
        (double(-404 * SCALE), "-404.0"),
        (fixed(77_720), "0.00077720"),
        (fixed(0), "0"),
        (plain(116_606_000 * SCALE), "116606000"),
        (plain(77_720), "0.0007772"),
        (plain(-SCALE // 2), "-0.5"),
        (plain_square(86_074_353_071 * 10**11), "860743.53071"),
        (double_square(7_803_926_107_651_240_000 * 10**8), "7.80392610765124E10"),
    ],
)
def test_numbers_look_like_those_of_the_wire(spelled: str, expected: str) -> None:
    assert spelled == expected


@given(amounts)
def test_every_spelling_of_an_amount_is_the_same_number(units: int) -> None:
    exact = Decimal(units) / SCALE

    assert Decimal(plain(units)) == Decimal(fixed(units)) == exact
    assert float(double(units)) == float(exact)


@given(st.integers(0, 10**28))
def test_every_spelling_of_a_value_is_the_same_float(squares: int) -> None:
    assert float(plain_square(squares)) == float(double_square(squares)) == squares / SCALE**2


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_java_double_reads_back_exactly(value: float) -> None:
    assert float(java(value)) == value
    assert math.copysign(1, float(java(value))) == math.copysign(1, value)


@given(st.integers(-(10**12), 10**12))
def test_a_rate_is_the_same_in_all_spellings(parts: int) -> None:
    rates = {float(spelling.ratio(parts)) for spelling in (DEFAULT_SPELLING, SIMPLE_SPELLING, PLAIN_SPELLING)}

    assert rates == {parts / 10**10}
