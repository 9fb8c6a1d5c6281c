"""Order books: levels, fills, grouping, padding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.sandbox.orderbook import Book, Side, grouped, pad

levels = st.dictionaries(st.integers(1, 10_000), st.integers(1, 10**9), max_size=60)


def side_of(resting: dict[int, int], sign: int) -> Side:
    side = Side(sign)
    for price, size in resting.items():
        side.add(price, size)
    return side


@given(levels)
def test_asks_ascend_and_bids_descend(resting: dict[int, int]) -> None:
    asks, bids = side_of(resting, 1), side_of(resting, -1)

    assert [price for price, _ in asks.levels()] == sorted(resting)
    assert [price for price, _ in bids.levels()] == sorted(resting, reverse=True)
    assert dict(asks) == dict(bids) == resting


@given(levels, st.integers(1, 10**10), st.integers(1, 10_000))
def test_an_order_fills_best_first_and_not_beyond_its_limit(resting: dict[int, int], size: int, limit: int) -> None:
    asks = side_of(resting, 1)
    fills = asks.take(size, limit)

    assert [price for price, _ in fills] == sorted(price for price, _ in fills)
    assert all(price <= limit for price, _ in fills)
    filled, reachable = sum(part for _, part in fills), sum(s for price, s in resting.items() if price <= limit)
    assert filled == min(size, reachable)
    assert sum(s for _, s in asks.levels()) == sum(resting.values()) - filled


@given(levels, st.integers(1, 10_000))
def test_cutting_through_leaves_only_what_is_worse(resting: dict[int, int], price: int) -> None:
    asks, bids = side_of(resting, 1), side_of(resting, -1)
    asks.cut_through(price)
    bids.cut_through(price)

    assert dict(asks) == {p: s for p, s in resting.items() if p > price}
    assert dict(bids) == {p: s for p, s in resting.items() if p < price}


def test_an_emptied_level_is_gone() -> None:
    bids = side_of({5: 10, 4: 7}, -1)

    assert bids.reduce(5, 99) == 10
    assert bids.best == (4, 7)
    assert bids.reduce(3, 1) == 0


def test_only_the_best_are_kept() -> None:
    asks = side_of({5: 1, 6: 1, 7: 1}, 1)
    asks.keep(2)

    assert asks.levels() == ((5, 1), (6, 1))
    assert asks.size_at(7) == 0


def test_a_book_knows_when_it_is_crossed() -> None:
    book = Book()
    book.asks.add(10, 1)
    book.bids.add(9, 1)
    assert not book.is_crossed
    book.bids.add(10, 1)
    assert book.is_crossed


@given(levels, st.integers(2, 500), st.booleans())
def test_grouping_keeps_all_sizes_on_a_sorted_grid(resting: dict[int, int], group: int, asks: bool) -> None:
    resting = {price + group: size for price, size in resting.items()}  # above the first step, where bids vanish
    merged = grouped(side_of(resting, 1 if asks else -1).levels(), group, asks=asks)
    prices = [price for price, _ in merged]

    assert sum(size for _, size in merged) == sum(resting.values())
    assert all(price % group == 0 for price in prices)
    assert prices == sorted(set(prices), reverse=not asks)


@given(levels, st.integers(1, 9_999), st.integers(0, 500))
def test_grouping_never_crosses_a_book(resting: dict[int, int], middle: int, group: int) -> None:
    asks = grouped(side_of({p: s for p, s in resting.items() if p > middle}, 1).levels(), group, asks=True)
    bids = grouped(side_of({p: s for p, s in resting.items() if p <= middle}, -1).levels(), group, asks=False)

    assert not asks or not bids or bids[0][0] < asks[0][0]


def test_a_thin_side_is_padded_with_zeros() -> None:
    assert pad(((7, 1),), 3) == ((7, 1), (0, 0), (0, 0))
