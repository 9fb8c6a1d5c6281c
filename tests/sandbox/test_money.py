"""Money: nothing is rounded, on no way in or out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.sandbox.money import exact, from_size, from_value, spelled, to_atoms, whole_units


@given(st.integers(-(10**40), 10**40))
def test_every_amount_survives_the_way_to_a_decimal_a_text_and_back(atoms: int) -> None:
    assert to_atoms(exact(atoms)) == atoms
    assert to_atoms(spelled(exact(atoms))) == atoms
    assert to_atoms(spelled(exact(atoms), exponents=True)) == atoms


@given(st.integers(0, 10**15), st.integers(0, 10**12))
def test_a_price_times_a_size_is_what_both_say(price: int, size: int) -> None:
    assert to_atoms(str(exact(from_size(price)))) == from_size(price)
    assert from_value(price * size) * 10**20 == from_size(price) * from_size(size)


def test_long_fractions_are_spelled_digit_by_digit() -> None:
    assert spelled(exact(to_atoms("1386929.37231066771348207123"))) == "1386929.37231066771348207123"
    assert spelled(exact(to_atoms("99999999999.12345678901234567891"))) == "99999999999.12345678901234567891"


@pytest.mark.parametrize(
    ("text", "plain", "with_exponents"),
    [
        ("0", "0", "0"),
        ("5000", "5000", "5000"),
        ("2.50", "2.5", "2.5"),
        ("0.001", "0.001", "0.001"),
        ("0.00079276", "0.00079276", "7.9276E-4"),
        ("0.00000001", "0.00000001", "1.0E-8"),
        ("-0.0005", "-0.0005", "-5.0E-4"),
    ],
)
def test_numbers_are_plain_unless_small_ones_shall_have_exponents(text: str, plain: str, with_exponents: str) -> None:
    value = exact(to_atoms(text))

    assert spelled(value) == plain
    assert spelled(value, exponents=True) == with_exponents


@pytest.mark.parametrize("text", ["0.000000001", "nan", "inf", "one", "", "1e400"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        whole_units(text)


def test_floats_count_as_they_are_written() -> None:
    assert whole_units(0.1) == 10_000_000
    assert whole_units(1e-08) == 1
    assert whole_units(Decimal("163900000")) == 163_900_000 * 10**8
