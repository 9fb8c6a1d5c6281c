from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.symbols import QUOTE_CURRENCIES, is_pattern, normalize_symbol, normalize_symbols, quote_currency


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("KRW-BTC", "KRW-BTC"),
        ("krw-btc", "KRW-BTC"),
        ("BTC/KRW", "KRW-BTC"),
        ("eth/btc", "BTC-ETH"),
        ("BTC-ETH", "BTC-ETH"),
        ("USDT-BTC", "USDT-BTC"),
        ("BTC-USDT", "BTC-USDT"),
        ("BTC/USDT", "USDT-BTC"),
        ("KRW-USDT", "KRW-USDT"),
        ("SGD-XRP", "SGD-XRP"),
        ("KRW-1INCH", "KRW-1INCH"),
        ("KRW-*", "KRW-*"),
        ("krw-*", "KRW-*"),
    ],
)
def test_what_can_only_mean_one_market_is_accepted(written: str, meant: str) -> None:
    assert normalize_symbol(written) == meant


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("BTC-KRW", "symbol 'BTC-KRW' has the quote currency last; write 'KRW-BTC'"),
        ("XRP-KRW", "symbol 'XRP-KRW' has the quote currency last; write 'KRW-XRP'"),
        ("eth-sgd", "symbol 'eth-sgd' has the quote currency last; write 'SGD-ETH'"),
        ("XRP-BTC", "symbol 'XRP-BTC' has the quote currency last; write 'BTC-XRP'"),
        ("KRW/BTC", "symbol 'KRW/BTC' has the quote currency first; write 'KRW-BTC'"),
        (
            "BTC",
            "symbol must be a code like 'KRW-BTC' without spaces, got 'BTC'; write 'KRW-BTC'",
        ),
        (
            " KRW-BTC ",
            "symbol must be a code like 'KRW-BTC' without spaces, got ' KRW-BTC '; write 'KRW-BTC'",
        ),
        (
            "KRW_BTC",
            "symbol must be a code like 'KRW-BTC' without spaces, got 'KRW_BTC'; write 'KRW-BTC'",
        ),
        (
            "KRW-BTC.15",
            "symbol must be a code like 'KRW-BTC' without spaces, got 'KRW-BTC.15'; write a code like 'KRW-BTC'",
        ),
        (
            "EUR-BTC",
            "symbol 'EUR-BTC' has the quote currency last; write 'BTC-EUR'",
        ),
        (
            "EUR-ADA",
            "symbol 'EUR-ADA' does not start with a quote currency (KRW, BTC, USDT, SGD, IDR, THB); "
            "write a code like 'KRW-ADA'",
        ),
    ],
)
def test_anything_else_says_what_to_write(written: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        normalize_symbol(written)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "written", ["", "-", "KRW-", "-BTC", "KRW-KRW", "KRW-BTC-ETH", "*-KRW", "*", "비트코인", "KRW-ßTC"]
)
def test_what_is_no_code_is_refused(written: str) -> None:
    with pytest.raises(InvalidArgumentError):
        normalize_symbol(written)


@pytest.mark.parametrize("written", [None, 5, b"KRW-BTC", ["KRW-BTC"]])
def test_what_is_no_text_is_refused(written: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="must be a code like 'KRW-BTC', got"):
        normalize_symbol(written)


def test_duplicates_go_and_the_order_stays() -> None:
    assert normalize_symbols(["KRW-ETH", "krw-btc", "BTC/KRW", "KRW-ETH"]) == ("KRW-ETH", "KRW-BTC")


def test_a_bare_string_is_no_list() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        normalize_symbols("KRW-BTC")

    assert str(caught.value) == "symbols must be a list of codes, got the string 'KRW-BTC'; write symbols=['KRW-BTC']"


@pytest.mark.parametrize("symbols", [5, None, {"KRW-BTC": 1}])
def test_what_is_no_list_is_refused(symbols: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="must be a list of codes"):
        normalize_symbols(symbols)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="must name at least one code"):
        normalize_symbols([])


def test_a_wrong_item_is_named_by_its_place() -> None:
    with pytest.raises(InvalidArgumentError, match=r"markets\[1\] must be a code"):
        normalize_symbols(["KRW-BTC", None], argument="markets")  # type: ignore[list-item]


def test_a_pattern_stands_for_a_quote_currency() -> None:
    assert is_pattern("KRW-*")
    assert not is_pattern("KRW-BTC")
    assert quote_currency("KRW-*") == "KRW"
    assert quote_currency("USDT-BTC") == "USDT"


@given(st.text(max_size=20) | st.from_regex(r"[A-Za-z]{2,5}[-/ _]?[A-Za-z*]{0,5}", fullmatch=True))
def test_the_result_is_a_code_or_there_is_none(written: str) -> None:
    try:
        code = normalize_symbol(written)
    except InvalidArgumentError:
        return

    assert normalize_symbol(code) == code
    assert quote_currency(code) in QUOTE_CURRENCIES
