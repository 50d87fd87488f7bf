"""Python values: the short way and the exact way agree, and store what boto3 stores."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.direct.convert import Converter
from sluice.message.items import is_same
from sluice.message.operation import Operation, Rejection, SingleWrite, Source
from sluice.message.settings import KeyAttribute, Table
from sluice.producer.element import Extras

SOURCE = Source("1", False, 0)
PLAIN = Table("orders", "orders", KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
VERSIONED = Table("v", "v", KeyAttribute("pk", "S"), version="version")
CONVERT = Converter([PLAIN, VERSIONED])


def _is_hashable(number: Any) -> bool:
    return not (isinstance(number, Decimal) and number.is_snan())


numbers = (
    st.integers(-(10**40), 10**40)
    | st.decimals(allow_nan=True, allow_infinity=True)
    | st.decimals(-1000, 1000, places=3)
    | st.floats()
    | st.sampled_from(
        [Decimal("-0"), Decimal("1E+125"), Decimal("1E+126"), Decimal("0E-500"), 10**37, -(10**37), 2**64]
    )
)
texts = st.text(max_size=5) | st.sampled_from(["\ud800", "é", "", "a" * 3000])
scalars = st.none() | st.booleans() | texts | numbers | st.binary(max_size=5) | st.binary(max_size=3).map(Binary)
sets = st.sets(texts) | st.sets(numbers.filter(_is_hashable)) | st.frozensets(st.binary(max_size=2)) | st.just({1, "a"})
values = st.recursive(
    scalars | sets,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3) | st.tuples(inner),
    max_leaves=8,
)
items = (
    st.fixed_dictionaries({}, optional={"pk": texts | values, "sk": numbers | values, "a": values, "": values}) | values
)
conditions = st.none() | st.builds(
    Extras,
    st.none(),
    st.sampled_from(["attribute_exists(pk)", "#a = :a", "nonsense ==", None]),
    st.none(),
    st.none() | st.just({"#a": "a"}),
    st.none() | st.fixed_dictionaries({":a": values}),
)


def told(found: Operation | Rejection) -> Any:
    """What can be compared of either: a rejection's code, an operation's item by value."""
    if isinstance(found, Rejection):
        return found.code
    request = found.request
    inner = next(iter(request.values())) if not isinstance(found, SingleWrite) else request
    return type(found), found.key, inner


def is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    kind, key, request = one
    other_kind, other_key, other_request = other
    if (kind, key, request.keys()) != (other_kind, other_key, other_request.keys()):
        return False
    of_values = ("Item", "Key", "ExpressionAttributeValues")
    return all(
        is_same(request[name], other_request[name]) if name in of_values else request[name] == other_request[name]
        for name in request
    )


@settings(max_examples=1500)
@given(items, st.sampled_from(["", "orders", "v"]), conditions)
def test_both_ways_agree_on_puts(item: Any, table: str, extras: Extras | None) -> None:
    found = told(CONVERT.put(item, table, extras, SOURCE))
    assert is_equal(found, told(CONVERT.exactly("put", item, table, extras, SOURCE)))


@settings(max_examples=600)
@given(
    st.fixed_dictionaries({"pk": texts | st.binary(max_size=3)}, optional={"sk": numbers, "a": st.none()}),
    st.sampled_from(["", "v"]),
    conditions,
    st.none() | numbers | texts,
)
def test_both_ways_agree_on_deletes(key: Any, table: str, extras: Extras | None, version: Any) -> None:
    if version is not None:
        given = extras or Extras()
        extras = Extras(None, given.condition, None, given.names, given.values, version)
    found = told(CONVERT.delete(key, table, extras, SOURCE))
    assert is_equal(found, told(CONVERT.exactly("delete", key, table, extras, SOURCE)))


@settings(max_examples=600)
@given(
    st.fixed_dictionaries({"pk": texts, "sk": numbers}),
    st.sampled_from(["SET a = :a", "SET pk = :a", "nonsense", "REMOVE #a"]),
    st.none() | st.just({"#a": "a"}),
    st.none() | st.fixed_dictionaries({":a": values}),
)
def test_both_ways_agree_on_updates(key: Any, expression: str, names: Any, given_values: Any) -> None:
    extras = Extras(None, None, expression, names, given_values)
    found = told(CONVERT.update(key, "", extras, SOURCE))
    assert is_equal(found, told(CONVERT.exactly("update", key, "", extras, SOURCE)))


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda name: name not in ("pk", "sk")),
        st.recursive(
            st.none()
            | st.booleans()
            | st.text(max_size=5)
            | st.integers(-(10**37), 10**37)
            | st.decimals(-1000, 1000, places=3)
            | st.binary(min_size=1, max_size=5)
            | st.sets(st.text(min_size=1, max_size=3), min_size=1)
            | st.sets(st.integers(), min_size=1, max_size=3),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=3), inner),
            max_leaves=6,
        ),
        max_size=5,
    )
)
def test_values_are_stored_as_boto3_stores_them(attributes: dict[str, Any]) -> None:
    item = {"pk": "a", "sk": 1, **attributes}
    found = CONVERT.put(item, "", None, SOURCE)
    assert isinstance(found, Operation)
    serialized = TypeSerializer().serialize(item)["M"]
    assert is_same(_plain_bytes(found.request["PutRequest"]["Item"]), _plain_bytes(serialized))


def _plain_bytes(value: Any) -> Any:
    if isinstance(value, Binary):
        return value.value
    if isinstance(value, dict):
        return {name: _plain_bytes(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain_bytes(inner) for inner in value]
    return value


def test_usual_items_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise AssertionError("the long way")

    monkeypatch.setattr(Converter, "exactly", refused)
    item = {
        "pk": "a",
        "sk": 1,
        "total": Decimal("12.50"),
        "rate": 0.1,
        "tags": {"a", "b"},
        "raw": b"\0",
        "none": None,
        "is_new": True,
        "lines": [{"sku": "x", "quantity": 2}],
    }
    assert isinstance(CONVERT.put(item, "", None, SOURCE), Operation)
    assert isinstance(CONVERT.put(item, "", Extras(None, "attribute_not_exists(pk)"), SOURCE), SingleWrite)
    assert isinstance(CONVERT.delete({"pk": "a", "sk": 1}, "", None, SOURCE), Operation)
    assert isinstance(CONVERT.delete({"pk": "a"}, "v", Extras(version=2), SOURCE), SingleWrite)
    update = Extras(None, None, "SET a = :a", None, {":a": 1})
    assert isinstance(CONVERT.update({"pk": "a", "sk": 1}, "", update, SOURCE), SingleWrite)


def test_an_objects_fields_are_an_item() -> None:
    class Mapped(dict[str, Any]):
        pass

    found = CONVERT.put(Mapped(pk="a", sk=1), "", None, SOURCE)
    assert isinstance(found, Operation)
    assert json.loads(found.body) == {"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"N": "1"}}}}


def test_a_rejection_quotes_no_value() -> None:
    found = CONVERT.put({"pk": "secret", "sk": "secret"}, "", None, SOURCE)
    assert isinstance(found, Rejection)
    assert (found.code, "secret" in found.message) == ("KeyTypeMismatch", False)
