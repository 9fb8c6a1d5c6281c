"""Hypothesis strategies for messages, built from the field tables."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from upbit_ws.models import FieldSpec, Kind, family_fields
from upbit_ws.types import DataType

_names = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=12)
_texts = st.text(max_size=12)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_ids = st.integers(0, 2**63 - 1)

#: Any JSON value, as a parser returns it.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _floats | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)

_decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)

_BY_KIND: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.FLOAT: _floats | st.integers(-(2**53), 2**53),
    Kind.DECIMAL: _decimals | st.integers(-(2**63), 2**63 - 1),
    Kind.INT: _ids,
    Kind.COUNT: st.integers(0, 10_000),
    Kind.TEXT: _texts,
    Kind.BOOL: st.booleans(),
    Kind.DATE: _texts | st.fixed_dictionaries({"year": st.integers(2017, 2040), "month": _ids, "day": _ids}),
}


def _values(spec: FieldSpec) -> st.SearchStrategy[Any]:
    if spec.kind is Kind.OBJECTS:
        values: st.SearchStrategy[Any] = st.lists(_objects(spec.nested), max_size=4)
    elif spec.kind is Kind.OBJECT:
        values = _objects(spec.nested)
    else:
        values = _BY_KIND[spec.kind]
    return st.none() | values if spec.nullable else values


def _objects(table: tuple[FieldSpec, ...]) -> st.SearchStrategy[dict[str, Any]]:
    taken = {name for spec in table for name in (spec.name, spec.simple)}
    required = {spec.name: _values(spec) for spec in table if not spec.may_be_absent}
    optional = {spec.name: _values(spec) for spec in table if spec.may_be_absent}
    unknown = st.dictionaries(_names.filter(lambda name: name not in taken), json_values, max_size=2)
    known = st.fixed_dictionaries(required, optional=optional)
    return st.builds(lambda known, unknown: {**known, **unknown}, known, unknown)


def messages_of(data_type: DataType) -> st.SearchStrategy[dict[str, Any]]:
    """Messages of a type in the DEFAULT format: every allowed absence, null, number and unknown field."""
    objects = _objects(family_fields(data_type.family))
    return objects.map(lambda message: {**message, "type": data_type.wire_name})


def messages() -> st.SearchStrategy[dict[str, Any]]:
    """Messages of any type."""
    return st.sampled_from(list(DataType)).flatmap(messages_of)


def jsonable(value: Any) -> Any:
    """The value with its Decimals as floats."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    return [jsonable(item) for item in value] if isinstance(value, list) else value
