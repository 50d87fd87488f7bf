"""The check of a record before it is sent: the function's own verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.message.decoder import Decoder
from sluice.message.operation import Rejection
from sluice.message.settings import KeyAttribute, Settings, Table
from sluice.sending.check import Checker
from tests.strategies import (
    ALL_KINDS,
    MISTAKES,
    TABLES,
    Body,
    Digits,
    as_json,
    flattened,
    numbers_that_do_not_fit,
    numbers_that_fit,
    single_operations,
)
from tests.world import EVENTS, ORDERS, VERSIONED

DECODER = Decoder(Settings(TABLES))
CHECK = Checker(TABLES)
REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=80)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
leaves = st.one_of(
    texts, st.booleans(), st.none(), numbers_that_fit(), numbers_that_do_not_fit(), st.just(Digits("12.50"))
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
items = st.dictionaries(texts, values, max_size=4)
keys = st.sampled_from(["a", "", "x" * 300, "é" * 1100, Digits("1"), None])


def verdict(body: bytes) -> Rejection | None:
    message = DECODER.decode({"messageId": "m", "body": f"[{body.decode()}]"})
    return message.rejected[0][1] if message.rejected else None


@REPEATABLE
@given(items, keys, st.sampled_from([None, "orders", "events-table", "nowhere"]))
def test_a_put_is_judged_as_the_function_judges_it(item: dict[str, Any], key: Any, table: str | None) -> None:
    operation = {"put": {**item, "pk": key, "sk": Digits("1")}} | ({} if table is None else {"table": table})
    body = as_json(operation).encode()

    assert CHECK(body) == verdict(body)


OF_A_TABLE = {"MissingKey", "UnexpectedKeyAttribute", "KeyTypeMismatch", "EmptyKey", "KeyTooLong"} | {
    "UnknownTable",
    "MissingVersion",
}


def assert_told_without_tables(body: bytes) -> None:
    """Without tables exactly that is refused for which no table is needed."""
    with_tables, without = verdict(body), Checker([])(body)

    if with_tables is None:
        assert without is None
    elif with_tables.code not in OF_A_TABLE and "version:" not in with_tables.message:
        assert without == with_tables


@REPEATABLE
@given(items, keys, st.sampled_from([None, "orders", "nowhere"]))
def test_without_tables_a_put_is_judged_by_all_but_its_key(item: dict[str, Any], key: Any, table: Any) -> None:
    body = as_json({"put": {**item, "pk": key}} | ({} if table is None else {"table": table})).encode()

    assert_told_without_tables(body)


NESTED: Any = "x"
for _ in range(32):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    "table",
    [{}, {"table": "unknown"}, {"table": "arn:aws:dynamodb:us-east-1:123456789012:table/unknown"}],
    ids=["default", "name", "ARN"],
)
@pytest.mark.parametrize(
    ("code", "operation"),
    [
        ("ItemTooLarge", {"put": {"x": "x" * 409_600}}),
        ("NestingTooDeep", {"put": {"x": NESTED}}),
        ("InvalidNumber", {"put": {"x": Digits("1" * 39)}}),
        ("InvalidAttribute", {"put": {"": 1}}),
        ("InvalidExpression", {"put": {"x": 1}, "condition": "#n = :v"}),
        ("InvalidExpression", {"put": {"x": 1}, "condition": "a = :v", "values": {":v": 1, ":unused": 1}}),
        ("InvalidNumber", {"put": {"x": 1}, "condition": "a = :v", "values": {":v": Digits("1" * 39)}}),
        ("InvalidExpression", {"delete": {"x": 1}, "condition": "("}),
        ("InvalidNumber", {"delete": {"x": 1}, "version": Digits("1" * 39)}),
        ("InvalidExpression", {"update": {"x": 1}, "expression": "SET a = :v"}),
        ("InvalidExpression", {"update": {"x": 1}, "expression": "SET x = :v", "values": {":v": 1}}),
        ("UnknownOperation", {"update": {"x": 1}}),
        ("UnknownTable", {"put": {"x": 1}, "table": 7}),
        (None, {"delete": {"x": 1}, "version": 7}),
        (None, {"update": {"x": 1}, "expression": "SET a = :v", "values": {":v": 1}}),
    ],
)
def test_without_tables_all_that_needs_no_key_is_checked(code: str | None, operation: Any, table: Any) -> None:
    rejection = Checker([])(as_json({**table, **operation}).encode())

    assert (rejection and rejection.code) == code


@pytest.mark.parametrize(
    ("code", "element"),
    [
        ("ItemTooLarge", {"RequestItems": {"unknown": [{"PutRequest": {"Item": {"x": {"S": "x" * 409_600}}}}]}}),
        ("EmptySet", {"Put": {"TableName": "unknown", "Item": {"x": {"SS": []}}}}),
        ("InvalidExpression", {"Delete": {"TableName": "t", "Key": {"x": {"S": "a"}}, "ConditionExpression": "#n"}}),
    ],
)
def test_without_tables_native_operations_are_checked_alike(code: str, element: Any) -> None:
    rejection = Checker([])(as_json(element).encode())

    assert rejection is not None
    assert rejection.code == code


def test_without_tables_a_bare_item_is_checked_alike() -> None:
    check = Checker([], "item")

    rejection = check(as_json({"x": "x" * 409_600}).encode())

    assert check(b'{"x": 1}') is None
    assert rejection is not None
    assert rejection.code == "ItemTooLarge"


@REPEATABLE
@given(single_operations(*ALL_KINDS))
def test_every_operation_is_judged_as_the_function_judges_it(bodies: list[Body]) -> None:
    for body in bodies:
        for operation in flattened(json.loads(body.text, parse_float=Digits, parse_int=Digits) if body.parses else []):
            if not isinstance(operation, tuple):
                text = as_json(operation).encode()
                assert CHECK(text) == verdict(text)
                assert_told_without_tables(text)


@pytest.mark.parametrize(("code", "operation"), MISTAKES)
def test_every_mistake_is_found(code: str, operation: Any) -> None:
    body = as_json(operation).encode()

    found = CHECK(body)

    assert found is not None
    assert found.code == code


ORDINARY = [
    {"put": {"pk": "order#1", "total": 12.50, "paid": True, "tags": ["a", {"b": None}], "n": 7, "big": 10**30}},
    {"put": {"pk": "a", "sk": 1.5}, "table": "events"},
    {"PutRequest": {"Item": {"pk": {"S": "a"}, "n": {"N": "-1.50"}, "m": {"M": {"l": {"L": [{"BOOL": True}]}}}}}},
    {
        "RequestItems": {
            "orders": [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}, {"DeleteRequest": {"Key": {"pk": {"S": "b"}}}}]
        }
    },
]


@pytest.mark.parametrize("operation", ORDINARY, ids=["put", "put to a table", "native", "request items"])
def test_nothing_is_wrong_with_ordinary_records(operation: Any) -> None:
    body = json.dumps(operation).encode()

    assert CHECK(body) is None
    assert Checker([])(body) is None


def test_items_are_checked_where_the_function_expects_items() -> None:
    check = Checker([ORDERS], "item")

    assert check(b'{"pk": "a", "n": 1}') is None
    rejection = check(b'{"n": 1}')
    assert rejection is not None
    assert rejection.code == "MissingKey"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"put": {"pk": "\\ud800"}}', "InvalidJson"),
        (b'{"put": {"pk": "\\udc00 and more"}}', "InvalidJson"),
        (b'{"put": {"pk": "\\ud800\\u0041"}}', "InvalidJson"),
        (b'{"put": {"pk": "a", "n": 100000000000000000000000000000000000001}}', "InvalidNumber"),
        (b'{"put": {"pk": "a", "n": -100000000000000000000000000000000000001}}', "InvalidNumber"),
        (b'{"PutRequest": {"Item": {"pk": {"S": "a"}, "n": {"N": "\xd9\xa3"}}}}', "InvalidNumber"),
        (b'{"put": {"pk": "\xff"}}', "InvalidJson"),
        (b'{"put": {"pk": "a", "n": NaN}}', "InvalidJson"),
        (b'{"put": {"pk": "a"}}, {"put": {}}', "MissingKey"),
        (b'[{"put": {"pk": "a"}}]', "UnknownOperation"),
        (b'{"put": {"pk": "a", "l": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "NestingTooDeep"),
        (b'{"put": {"pk": "a", "t": "' + b"x" * 410_000 + b'"}}', "ItemTooLarge"),
        (b'{"put": {"pk": "a", "": 1}}', "InvalidAttribute"),
        (
            b'{"RequestItems":{"orders":[{"PutRequest":{"Item":{"pk":{"S":"a"}}}},{"DeleteRequest":{"Key":{}}}]}}',
            "MissingKey",
        ),
    ],
)
def test_what_looks_harmless_and_is_not(body: bytes, code: str) -> None:
    found = CHECK(body)

    assert found is not None
    assert found.code == code


def test_a_table_with_a_version_needs_one_in_each_put() -> None:
    rejection = Checker([VERSIONED])(b'{"put": {"pk": "a"}}')

    assert rejection is not None
    assert rejection.code == "MissingVersion"


def test_binary_keys_are_checked() -> None:
    check = Checker([Table("b", "b", KeyAttribute("id", "B"))])

    assert check(b'{"PutRequest": {"Item": {"id": {"B": "QQ=="}}}}') is None
    assert check(b'{"put": {"id": "QQ=="}}') is not None


def test_without_tables_only_what_every_table_refuses_is_rejected() -> None:
    check = Checker([])

    assert check(b'{"put": {"whatever": 1}, "table": "some"}') is None
    assert check(b'{"put": {"whatever": 1}}') is None
    assert check(b'{"delete": {"whatever": 1}}') is None
    for wrong in (b'{"put": {"n": 1e400}}', b'{"store": {}}', b"{", b'{"PutRequest": {"Item": {"s": {"SS": []}}}}'):
        assert check(wrong) is not None


def test_a_sort_key_is_needed_where_the_table_has_one() -> None:
    rejection = Checker([EVENTS])(b'{"put": {"pk": "a"}}')

    assert rejection is not None
    assert rejection.code == "MissingKey"
