"""Two items in DynamoDB JSON are equal by their values, whatever the spelling; what is no item is equal to none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sluice.message import equality

EQUAL: list[tuple[Any, Any]] = [
    ({"S": "a"}, {"S": "a"}),
    ({"N": "1.0"}, {"N": "1"}),
    ({"N": "1e3"}, {"N": "1000"}),
    ({"N": "-0"}, {"N": "0"}),
    ({"N": "12345678901234567890123456789012345678"}, {"N": "1.2345678901234567890123456789012345678E37"}),
    ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
    ({"NS": ["1.0", "2"]}, {"NS": ["2.00", "1"]}),
    ({"BS": ["YQ==", "Yg=="]}, {"BS": ["Yg==", "YQ=="]}),
    ({"B": "YQ=="}, {"B": "YQ=="}),
    ({"L": [{"N": "1.0"}, {"S": "a"}]}, {"L": [{"N": "1"}, {"S": "a"}]}),
    ({"M": {"a": {"N": "1.0"}, "b": {"NULL": True}}}, {"M": {"b": {"NULL": True}, "a": {"N": "1"}}}),
    ({"L": []}, {"L": []}),
    ({"S": ""}, {"S": ""}),
]
DIFFERENT: list[tuple[Any, Any]] = [
    ({"S": "a"}, {"S": "A"}),
    ({"S": "e\u0301"}, {"S": "\u00e9"}),
    ({"S": "1"}, {"N": "1"}),
    ({"N": "1"}, {"N": "1.00000000000000000000000000000000000001"}),
    ({"NULL": True}, {"S": ""}),
    ({"BOOL": True}, {"BOOL": False}),
    ({"SS": ["a"]}, {"SS": ["a", "b"]}),
    ({"SS": ["a", "b"]}, {"SS": ["a", "a"]}),
    ({"SS": ["a"]}, {"L": [{"S": "a"}]}),
    ({"NS": ["1"]}, {"SS": ["1"]}),
    ({"B": "YQ=="}, {"B": "Yg=="}),
    ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}),
    ({"L": [{"S": "a"}]}, {"L": []}),
    ({"M": {"a": {"S": "x"}}}, {"M": {"a": {"S": "x"}, "b": {"NULL": True}}}),
    ({"M": {}}, {"L": []}),
]
NO_VALUES: list[Any] = [
    None, 1, "a", [], {}, {"N": 1}, {"N": 1.0}, {"N": "one"}, {"N": "NaN"}, {"N": "sNaN"}, {"N": None}, {"B": "?"},
    {"N": "1", "S": "a"}, {"NS": ["1", 2]}, {"NS": "1"}, {"NS": [["1"]]}, {"BS": [None]}, {"L": {"0": {}}}, {"M": []},
    {"M": {"a": None}}, {"SS": [{}]},
]  # fmt: skip


def are_equal(one: Any, other: Any) -> bool:
    return equality.are_equal(
        *[{name: msgspec.Raw(msgspec.json.encode(x)) for name, x in each.items()} for each in (one, other)]
    )


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_values_in_whatever_spelling_are_equal(one: Any, other: Any) -> None:
    assert are_equal({"pk": {"S": "k"}, "a": one}, {"a": other, "pk": {"S": "k"}})
    assert are_equal({"a": other}, {"a": one})


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_differs_in_value_type_or_order_is_not_equal(one: Any, other: Any) -> None:
    assert not are_equal({"a": one}, {"a": other})
    assert not are_equal({"a": other}, {"a": one})


def test_an_attribute_that_is_absent_is_not_one_that_is_null() -> None:
    assert not are_equal({"a": {"S": "x"}}, {"a": {"S": "x"}, "b": {"NULL": True}})
    assert not are_equal({"a": {"S": "x"}, "b": {"NULL": True}}, {"a": {"S": "x"}})


@pytest.mark.parametrize("stored", NO_VALUES)
@pytest.mark.parametrize("value", [one for one, _ in EQUAL])
def test_what_is_no_value_is_equal_to_none_and_raises_nothing(value: Any, stored: Any) -> None:
    assert not are_equal({"a": value}, {"a": stored})


@pytest.mark.parametrize("stored", [b"", b"{", b"\xff", b"[" * 5_000, b'{"S":"\\ud800"}'])
def test_what_is_no_json_is_equal_to_no_value(stored: bytes) -> None:
    assert not equality.are_equal({"a": msgspec.Raw(b'{"S":"x"}')}, {"a": msgspec.Raw(stored)})
