"""Users' orders in the crowd's book: the best price first, at one price who came first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.sandbox.guests import Guest, SharedBook
from upbit_ws.sandbox.orderbook import Book


def shared(asks: dict[int, int], bids: dict[int, int], *guests: Guest) -> SharedBook:
    book = Book()
    for side, levels in ((book.asks, asks), (book.bids, bids)):
        for price, size in levels.items():
            side.add(price, size)
    made = SharedBook(book)
    for guest in guests:
        made.add(guest)
    return made


def taken(book: SharedBook, side: str, size: int, limit: int | None = None) -> list[tuple[int, int, str]]:
    """What a taker got: price, size, from whom."""
    return [
        (fill.price, fill.size, fill.guest.order if fill.guest else "crowd") for fill in book.take(side, size, limit)
    ]


def test_the_better_price_is_served_first() -> None:
    book = shared({100: 5, 103: 5}, {}, Guest("ASK", 101, 2, "me"), Guest("ASK", 99, 1, "you"))

    assert taken(book, "BID", 10) == [(99, 1, "you"), (100, 5, "crowd"), (101, 2, "me"), (103, 2, "crowd")]


def test_at_one_price_who_came_first_is_served_first() -> None:
    book = Book()
    book.bids.add(100, 5)
    both = SharedBook(book)
    both.add(Guest("BID", 100, 2, "me"))
    book.bids.add(100, 4)
    both.add(Guest("BID", 100, 3, "you"))

    assert taken(both, "ASK", 20) == [
        (100, 5, "crowd"),
        (100, 2, "me"),
        (100, 4, "crowd"),
        (100, 3, "you"),
    ]


def test_who_withdraws_from_the_crowd_lets_those_behind_move_up() -> None:
    book = Book()
    book.bids.add(100, 5)
    both = SharedBook(book)
    both.add(Guest("BID", 100, 2, "me"))
    book.bids.reduce(100, 4)

    assert taken(both, "ASK", 3) == [(100, 1, "crowd"), (100, 2, "me")]


def test_a_limit_is_not_gone_beyond() -> None:
    book = shared({100: 1, 102: 1}, {}, Guest("ASK", 101, 1, "me"))
    assert taken(book, "BID", 5, limit=101) == [(100, 1, "crowd"), (101, 1, "me")]
    assert book.offer("BID", 101) is None


def test_an_order_that_is_filled_in_part_keeps_its_rest_and_its_place() -> None:
    me = Guest("BID", 100, 5, "me")
    book = shared({}, {}, me, Guest("BID", 100, 5, "you"))

    assert taken(book, "ASK", 3) == [(100, 3, "me")]
    assert me.size == 2
    assert taken(book, "ASK", 3) == [(100, 2, "me"), (100, 1, "you")]
    assert len(book) == 1


def test_a_price_that_jumps_meets_every_order_on_its_way_and_those_at_it_as_far_as_it_goes() -> None:
    book = shared({}, {}, *(Guest("BID", price, 2, price) for price in (98, 99, 100)))

    fills = book.take_guests("ASK", 99, 1)

    assert [(fill.price, fill.size) for fill in fills] == [(100, 2), (99, 1)]
    assert [guest.size for guest in book.guests("BID")] == [1, 2]
    assert book.take_guests("ASK", 99) == []


def test_the_book_that_is_shown_has_everybody_in_it() -> None:
    book = shared({100: 5}, {98: 1, 97: 2}, Guest("BID", 99, 4, "me"), Guest("BID", 98, 6, "me"))

    assert book.levels("BID") == ((99, 4), (98, 7), (97, 2))
    assert book.levels("ASK") == ((100, 5),)
    assert (book.best("BID"), book.best("ASK")) == ((99, 4), (100, 5))
    assert (book.best_guest("BID"), book.best_guest("ASK")) == (99, None)


levels = st.dictionaries(st.integers(1, 20), st.integers(1, 9), max_size=6)
guests = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 9)), max_size=6)


@given(levels, guests, st.sampled_from(["ASK", "BID"]), st.integers(1, 60), st.none() | st.integers(1, 20))
def test_what_is_taken_is_the_best_of_what_was_there(
    crowd: dict[int, int], orders: list[tuple[int, int]], side: str, size: int, limit: int | None
) -> None:
    resting = "BID" if side == "ASK" else "ASK"
    made = [Guest(resting, price, volume, number) for number, (price, volume) in enumerate(orders)]
    book = shared(crowd if side == "BID" else {}, crowd if side == "ASK" else {}, *made)
    before = dict(book.levels(resting))
    reachable = {offer.price: 0 for offer in book.available(side, limit)}
    assert sum(offer.size for offer in book.available(side, limit)) == sum(before[price] for price in reachable)

    fills = book.take(side, size, limit)

    prices = [fill.price for fill in fills]
    assert prices == sorted(prices, reverse=side == "ASK")
    assert sum(fill.size for fill in fills) == min(size, sum(before[price] for price in reachable))
    after = dict(book.levels(resting))
    for price, there in before.items():
        assert there - after.get(price, 0) == sum(fill.size for fill in fills if fill.price == price)
    if fills:
        left = [price for price in reachable if price in after]
        assert all(price >= prices[-1] if side == "BID" else price <= prices[-1] for price in left)
