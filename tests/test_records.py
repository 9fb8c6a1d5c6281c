"""Records compare, hash and print as those of attrs do; every property is checked against a twin that attrs made alone."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from upbit_ws import records
from upbit_ws.events import OrderbookUnit


def twins(make: Callable[..., Any], like: Callable[..., Any], **options: Any) -> tuple[type[Any], type[Any]]:
    """The same class, made by ours and by attrs."""

    def body() -> type[Any]:
        class Point:
            x: float
            y: Any = 2
            seen: Any = attrs.field(default=(), eq=False, repr=False)
            extra: Any = attrs.field(factory=dict, hash=False, repr=lambda value: f"<{len(value)}>")

        return Point

    return make(**options)(body()), like(**options)(body())


@pytest.fixture(params=["frozen", "define", "slotless"])
def pair(request: pytest.FixtureRequest) -> tuple[type[Any], type[Any]]:
    if request.param == "slotless":
        return twins(records.define, attrs.define, frozen=True, slots=False)
    return twins(getattr(records, request.param), getattr(attrs, request.param))


def test_records_that_hold_the_same_are_equal(pair: tuple[type[Any], type[Any]]) -> None:
    for cls in pair:
        assert cls(1.0, 2) == cls(1, 2)
        assert cls(1.0) == cls(1.0, seen=("not", "compared"))
        assert cls(1.0) != cls(1.0, extra={"compared": True})


def test_a_record_equals_nothing_of_another_class(pair: tuple[type[Any], type[Any]]) -> None:
    ours, theirs = pair

    assert ours(1.0) != theirs(1.0)
    assert ours(1.0) != (1.0, 2, (), {})
    assert ours(1.0).__eq__(1.0) is NotImplemented
    assert ours(1.0) != type("Heir", (ours,), {})(1.0)


def test_frozen_records_are_keys_and_others_are_not(pair: tuple[type[Any], type[Any]]) -> None:
    ours, theirs = pair
    if theirs.__hash__ is None:
        assert ours.__hash__ is None
        return

    assert {ours(1.0): "found"}[ours(1, seen=["neither compared", "nor hashed"])] == "found"
    assert hash(ours(1.0, extra={"a": 1}, seen=["unhashable"])) == hash(ours(1, extra={}, seen=()))
    assert hash(ours(1.0)) != hash(ours(2.0))
    with pytest.raises(TypeError, match="unhashable"):
        hash(ours([1.0]))


def test_a_record_prints_as_attrs_would_print_it(pair: tuple[type[Any], type[Any]]) -> None:
    ours, theirs = pair

    assert repr(ours("one", extra={"a": 1})) == repr(theirs("one", extra={"a": 1})) == "Point(x='one', y=2, extra=<1>)"


def test_a_record_that_holds_itself_prints(pair: tuple[type[Any], type[Any]]) -> None:
    held: list[Any] = []
    held.append(pair[0](held))

    assert repr(held[0]) == "Point(x=[...], y=2, extra=<0>)"


def test_a_record_without_fields_is_like_any_other_of_its_kind() -> None:
    class Nothing:
        pass

    made = records.frozen(Nothing)

    assert made() == made()
    assert hash(made()) == hash(made())
    assert repr(made()) == "Nothing()"


def test_what_a_class_says_itself_stands() -> None:
    @records.frozen
    class Loud:
        word: str

        def __repr__(self) -> str:
            return self.word.upper()

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Loud) and other.word.lower() == self.word.lower()

        def __hash__(self) -> int:
            return hash(self.word.lower())

    assert repr(Loud("hey")) == "HEY"
    assert len({Loud("hey"), Loud("Hey")}) == 1


def test_records_without_equality_are_told_apart_by_identity() -> None:
    @records.define(eq=False)
    class Worker:
        name: str

    one, other = Worker("same"), Worker("same")

    assert one == one
    assert one != other
    assert len({one, other}) == 2
    assert repr(one) == repr(other)


def test_a_record_is_otherwise_one_of_attrs() -> None:
    unit = OrderbookUnit(2.0, 1.0, 0.5, 0.25)

    assert [field.name for field in attrs.fields(OrderbookUnit)][:2] == ["ask_price", "bid_price"]
    assert attrs.evolve(unit, bid_size=9.0).bid_size == 9.0
    assert attrs.asdict(unit)["ask_size"] == 0.5
    assert pickle.loads(pickle.dumps(unit)) == unit
    assert OrderbookUnit.__match_args__[0] == "ask_price"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        unit.ask_price = 3.0  # type: ignore[misc]
