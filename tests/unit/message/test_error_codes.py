"""Every error code, with what lies just outside its edge and what lies just inside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.message.settings import KeyAttribute, Table
from tests.world import BLOBS, EVENTS, ORDERS, World

NOTES = Table("notes", "notes-table", KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
CHUNKS = Table("chunks", "chunks-table", KeyAttribute("id", "B"), KeyAttribute("part", "B"))
TABLES = (ORDERS, EVENTS, BLOBS, NOTES, CHUNKS)

MAX_ITEM_BYTES = 400 * 1024
"""Constraints in Amazon DynamoDB, "Item size"; the names of attributes count."""


def text_of(body: Any) -> str:
    """The body as a producer short of room writes it; text stays as it is."""
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def put(**attributes: Any) -> dict[str, Any]:
    return {"put": {"pk": "a", **attributes}}


def put_native(value: Any) -> dict[str, Any]:
    """A put whose key is fine, with one more attribute in DynamoDB JSON."""
    return {"PutRequest": {"Item": {"pk": {"S": "a"}, "v": value}}}


def into(table: str, **item: Any) -> dict[str, Any]:
    return {"put": item, "table": table}


def delete(table: str = "orders", **key: Any) -> dict[str, Any]:
    return {"delete": key, "table": table}


def natives(kind: str, *contents: Any) -> list[dict[str, Any]]:
    """A put for each of the contents, all under the same type."""
    return [put_native({kind: content}) for content in contents]


def nested(levels: int, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    """Maps or lists in one another, `levels` deep."""
    value: Any = kind()
    for _ in range(levels - 1):
        value = {"m": value} if kind is dict else [value]
    return value


def nested_native(levels: int, kind: str) -> Any:
    value: Any = {"M": {}} if kind == "M" else {"L": []}
    for _ in range(levels - 1):
        value = {"M": {"m": value}} if kind == "M" else {"L": [value]}
    return value


def number(text: str) -> str:
    """A plain put with a number spelled as it is."""
    return f'{{"put": {{"pk": "a", "n": {text}}}}}'


def native_number(text: str) -> dict[str, Any]:
    return put_native({"N": text})


def filled(size: int, pad: str = "x") -> dict[str, Any]:
    """A put of an item of `size` bytes: 3 for the key, 1 for the name of the padding."""
    count, rest = divmod(size - len("pkav"), len(pad.encode()))
    return put(v=pad * count + "x" * rest)


KEYS_THAT_ARE_NO_TEXT: list[Any] = [5, True, None, [], {}, ["a"]]

TOO_MUCH_PADDING = ["AAAA=", "AAAA==", "AAAA====", "AA===", "="]  # Python's own decoder takes some of them.

REJECTED: dict[str, list[Any]] = {
    "InvalidJson": [
        "{",
        " ",
        "put",
        "{'put': {'pk': 'a'}}",
        '{"put": {"pk": "a",}}',
        '{"put": {"pk": "a"}} {"put": {"pk": "b"}}',
        '{"put": {"pk": "a", "n": 01}}',
        '{"put": {"pk": "a", "n": +1}}',
        '{"put": {"pk": "a", "s": "line\nbreak"}}',
        '{"put": {"pk": "a", "n": NaN}}',
        '{"put": {"pk": "a", "n": Infinity}}',
        '{"put": {"pk": "a", "n": -Infinity}}',
        '{"put": {"pk": "a", "s": "\\ud83d"}}',
        '{"put": {"pk": "a", "s": "\\ude00\\ud83d"}}',
        '{"put": {"pk": "a", "\\udead": 1}}',
        '{"put": {"pk": "\\ud800"}}',
        '{"PutRequest": {"Item": {"pk": {"S": "a"}, "v": {"SS": ["\\ud83d"]}}}}',
        '["\\ud800"]',
    ],
    "UnknownOperation": [
        *("null", "true", "5", "1.5", '"put"', "[]", "{}"),
        [[]],
        [[{"put": {"pk": "a"}}]],
        [5],
        {"pk": "a"},
        {"put": None},
        {"put": "a"},
        {"put": 5},
        {"put": []},
        {"put": [{"pk": "a"}]},
        {"delete": "a"},
        {"delete": ["a"]},
        {"put": {"pk": "a"}, "delete": {"pk": "a"}},
        {"put": {"pk": "a"}, "PutRequest": {"Item": {"pk": {"S": "a"}}}},
        {"put": {"pk": "a"}, "Table": "orders"},
        {"put": {"pk": "a"}, "expression": "SET x = y"},
        {"Put": {"Item": {"pk": {"S": "a"}}}, "table": "orders"},
        {"PutRequest": {"Item": {"pk": {"S": "a"}}}, "table": "orders"},
        {"table": "orders"},
        {"PutRequest": {}},
        {"PutRequest": None},
        {"PutRequest": []},
        {"PutRequest": {"Key": {"pk": {"S": "a"}}}},
        {"PutRequest": {"Item": {"pk": {"S": "a"}}, "Key": {}}},
        {"DeleteRequest": {}},
        {"DeleteRequest": {"Item": {"pk": {"S": "a"}}}},
        {"PutRequest": {"Item": {"pk": {"S": "a"}}}, "DeleteRequest": {"Key": {"pk": {"S": "a"}}}},
        {"Put": {}},
        {"Put": {"TableName": "orders"}},
        {"Put": {"Key": {"pk": {"S": "a"}}}},
        {"Put": {"Item": {"pk": {"S": "a"}}, "Table": "orders"}},
        {"Delete": {"Item": {"pk": {"S": "a"}}}},
        {"ConditionCheck": {"TableName": "orders", "Key": {"pk": {"S": "a"}}}},
        {"RequestItems": {}},
        {"RequestItems": []},
        {"RequestItems": {"orders": []}},
        {"RequestItems": {"orders": {"PutRequest": {"Item": {"pk": {"S": "a"}}}}}},
        {"RequestItems": {"orders": [5]}},
        {"RequestItems": {"orders": [{}]}},
        {"RequestItems": {"orders": [{"Put": {"Item": {"pk": {"S": "a"}}}}]}},
        {"RequestItems": {"orders": [{"put": {"pk": "a"}}]}},
        {"update": {"pk": "a"}},
        {"Update": {"Key": {"pk": {"S": "a"}}}},
        {"Update": {"Item": {"pk": {"S": "a"}}, "UpdateExpression": "REMOVE x"}},
        {"put": {"pk": "a"}, "version": 5},
        {"delete": {"pk": "a"}, "version": 5},
    ],
    "InvalidExpression": [
        {"put": {"pk": "a"}, "names": {"#p": "pk"}},
        {"put": {"pk": "a"}, "values": {":p": "a"}},
        {"Put": {"Item": {"pk": {"S": "a"}}, "ExpressionAttributeNames": {"#p": "pk"}}},
        {"put": {"pk": "a"}, "condition": None},
        {"put": {"pk": "a"}, "condition": "v = :v", "names": {":v": "v"}},
        {"put": {"pk": "a"}, "condition": "#v = v", "values": {"#v": 1}},
        {"put": {"pk": "a"}, "condition": "v = :v", "names": {":v": "v"}, "values": {":v": 1}},
        {
            "Put": {
                "Item": {"pk": {"S": "a"}},
                "ConditionExpression": "v = :v",
                "ExpressionAttributeNames": {":v": "v"},
            }
        },
        {"update": {"pk": "a"}, "expression": "SET pk = :p", "values": {":p": "b"}},
    ],
    "UnknownTable": [
        into("nowhere", pk="a"),
        into("", pk="a"),
        into("Orders", pk="a"),
        {"put": {"pk": "a"}, "table": None},
        {"put": {"pk": "a"}, "table": 5},
        {"put": {"pk": "a"}, "table": ["orders"]},
        delete("nowhere", pk="a"),
        {"Put": {"TableName": "nowhere", "Item": {"pk": {"S": "a"}}}},
        {"Delete": {"TableName": "", "Key": {"pk": {"S": "a"}}}},
        {"RequestItems": {"nowhere": [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}]}},
        into("arn:aws:dynamodb:us-east-1:123456789012:table/nowhere", pk="a"),
        into("arn:aws:dynamodb:eu-west-1:123456789012:table/orders-table", pk="a"),  # That is another table.
        into("arn:aws:dynamodb:us-east-1:123456789012:table/orders-table/index/by_day", pk="a"),
        into("arn:aws:s3:::orders-table", pk="a"),
    ],
    "MissingKey": [
        {"put": {}},
        {"put": {"PK": "a"}},
        {"delete": {}},
        {"delete": {"PK": "a"}},
        {"PutRequest": {"Item": {}}},
        {"DeleteRequest": {"Key": {}}},
        into("events", pk="a"),
        into("events", sk=1),
        delete("events", pk="a"),
        {"Delete": {"TableName": "events", "Key": {"sk": {"N": "1"}}}},
    ],
    "UnexpectedKeyAttribute": [
        delete(pk="a", sk=1),
        delete("events", pk="a", sk=1, more=None),
        {"DeleteRequest": {"Key": {"pk": {"S": "a"}, "v": {"N": "1"}}}},
        {"Delete": {"TableName": "events", "Key": {"pk": {"S": "a"}, "sk": {"N": "1"}, "v": {"NULL": True}}}},
    ],
    "KeyTypeMismatch": [
        *({"put": {"pk": value}} for value in KEYS_THAT_ARE_NO_TEXT),
        {"PutRequest": {"Item": {"pk": {"N": "1"}}}},
        {"PutRequest": {"Item": {"pk": {"SS": ["a"]}}}},
        {"DeleteRequest": {"Key": {"pk": {"B": "AAA="}}}},
        delete(pk=5),
        into("events", pk="a", sk="1"),
        into("blobs", id="AAA="),  # Binary is sent natively.
        {"Put": {"TableName": "blobs", "Item": {"id": {"S": "AAA="}}}},
    ],
    "EmptyKey": [
        put(pk=""),
        delete(pk=""),
        {"PutRequest": {"Item": {"pk": {"S": ""}}}},
        into("notes", pk="a", sk=""),
        {"Put": {"TableName": "blobs", "Item": {"id": {"B": ""}}}},
    ],
    "KeyTooLong": [
        put(pk="x" * 2049),
        put(pk="é" * 1024 + "x"),
        put(pk="€" * 683),
        put(pk="😀" * 512 + "x"),
        delete(pk="x" * 2049),
        into("notes", pk="a", sk="x" * 1025),
        into("notes", pk="a", sk="é" * 513),
        {"Put": {"TableName": "blobs", "Item": {"id": {"B": "AAAA" * 683}}}},
        {"Put": {"TableName": "chunks", "Item": {"id": {"B": "AA=="}, "part": {"B": "AAAA" * 342}}}},
    ],
    "ItemTooLarge": [
        filled(MAX_ITEM_BYTES + 1),
        filled(MAX_ITEM_BYTES + 1, "é"),
        put(**{f"{n:05}" + "n" * 59_995: None for n in range(7)}),
        # 3 for the key, 1 + 3 for the list, 1 for each element and what is in it
        put(v=["x" * 99 for _ in range((MAX_ITEM_BYTES - 7) // 100 + 1)]),
        put(v=[True] * ((MAX_ITEM_BYTES - 7) // 2 + 1)),
    ],
    "NestingTooDeep": [
        put(v=nested(32, dict)),
        put(v=nested(32, list)),
        put_native(nested_native(32, "M")),
        put_native(nested_native(32, "L")),
        "[" * 100_000 + "]" * 100_000,
        '{"put":' * 50_000 + "1" + "}" * 50_000,
        '{"put": {"pk": "a", "v": ' + "[" * 100_000 + "]" * 100_000 + "}}",
        '{"PutRequest": {"Item": {"pk": {"S": "a"}, "v": ' + '{"L": [' * 5_000 + "]}" * 5_000 + "}}}",
    ],
    "InvalidNumber": [
        number("1" * 39),
        number("1." + "1" * 38),
        number("-0." + "1" * 39),
        number("1" + "0" * 37 + "1"),
        number("1" + "0" * 126),
        number("1E126"),
        number("-1E126"),
        number("0.1E127"),
        number("1E-131"),
        number("0.1E-130"),
        number("9.9E-131"),
        number("1e99999999999999999999"),
        number("-1e99999999999999999999"),
        number("1e-99999999999999999999"),
        number("1" * 1_000_000),
        number("0." + "1" * 1_000_000),
        number("1e" + "9" * 1_000_000),
        f'{{"put": {{"pk": "e", "sk": {"1" * 39}}}, "table": "events"}}',
        native_number("1" * 39),
        native_number("1E126"),
        native_number("1E-131"),
        native_number("1e99999999999999999999"),
        native_number("1" * 1_000_000),
        *map(native_number, ("", " ", "abc", "NaN", "sNaN", "Infinity", "-Infinity", "1_000", "0x10", "1,5")),
        *map(native_number, ("1e", "e5", ".", "-", "1 2", "--1", "1e1.5", "1\n", " 1", "\u0661", "\uff11")),
        put_native({"NS": ["1", "x"]}),
        put_native({"NS": ["1" * 39]}),
        {"Delete": {"TableName": "events", "Key": {"pk": {"S": "a"}, "sk": {"N": "one"}}}},
    ],
    "EmptySet": [put_native({kind: []}) for kind in ("SS", "NS", "BS")]
    + [put_native({"L": [{"SS": []}]}), put_native({"M": {"s": {"NS": []}}})],
    "DuplicateSetElement": [
        put_native({"SS": ["a", "b", "a"]}),
        put_native({"NS": ["1", "1.0"]}),
        put_native({"NS": ["100", "1e2"]}),
        put_native({"NS": ["0", "-0"]}),
        put_native({"BS": ["AA==", "AQ==", "AA=="]}),
    ],
    "InvalidAttribute": [
        *map(put_native, ({}, None, 5, "text", [], True)),
        put_native({"S": "a", "N": "1"}),
        put_native({"X": "a"}),
        put_native({"s": "a"}),
        *natives("S", None, 5, True, ["a"]),
        *natives("N", 5, 1.5, None, True),
        *(
            put_native({"B": content})
            for content in (5, None, ["AA=="], "***", "AA", "A===", "AA==AA==", "é", "AA=\n=", *TOO_MUCH_PADDING)
        ),
        *natives("BOOL", None, "true", 1),
        *natives("NULL", False, None, "true", 1),
        *natives("L", None, {}, "a", ["a"], [5], [{}]),
        *natives("M", None, [], "a", {"k": "v"}, {"k": {}}),
        *natives("SS", None, "a", {"a": 1}, [5], [None]),
        *natives("NS", None, "1", [5]),
        *natives("BS", None, "AA==", ["***"], *([content] for content in TOO_MUCH_PADDING)),
        put(**{"": 1}),
        put(v={"": 1}),
        put_native({"M": {"": {"S": "x"}}}),
        put(**{"n" * 65_536: 1}),
    ],
}

ACCEPTED: dict[str, Any] = {
    "a pair of surrogates": '{"put": {"pk": "a", "s": "\\ud83d\\ude00"}}',
    "escaped control characters": '{"put": {"pk": "a", "s": "\\u0000\\n\\uffff"}}',
    "a partition key of 2,048 bytes": put(pk="x" * 2048),
    "a partition key of 2,048 bytes in two-byte characters": put(pk="é" * 1024),
    "a partition key of 2,048 bytes in four-byte characters": put(pk="😀" * 512),
    "a binary partition key of 2,048 bytes": {
        "Put": {"TableName": "blobs", "Item": {"id": {"B": "AAAA" * 682 + "AAA="}}}
    },
    "a sort key of 1,024 bytes": into("notes", pk="a", sk="x" * 1024),
    "a sort key of 1,024 bytes in two-byte characters": into("notes", pk="a", sk="é" * 512),
    "a binary sort key of 1,024 bytes": {
        "Put": {"TableName": "chunks", "Item": {"id": {"B": "AA=="}, "part": {"B": "AAAA" * 341 + "AA=="}}}
    },
    "a long attribute that is no key": put(sk="x" * 5000),
    "an item of 400 KB": filled(MAX_ITEM_BYTES),
    "an item of 400 KB in two-byte characters": filled(MAX_ITEM_BYTES, "é"),
    "an item of 400 KB in a list": put(v=["x" * 99 for _ in range((MAX_ITEM_BYTES - 7) // 100)]),
    "an item of 400 KB of booleans": put(v=[True] * ((MAX_ITEM_BYTES - 7) // 2)),
    "32 levels of maps": put(v=nested(31, dict)),
    "32 levels of lists": put(v=nested(31, list)),
    "32 levels of native maps": put_native(nested_native(31, "M")),
    "32 levels of native lists": put_native(nested_native(31, "L")),
    "38 digits": number("1" * 38),
    "38 digits after the point": number("-0." + "1" * 38),
    "leading zeros that do not count": number("0." + "0" * 90 + "1" * 38),
    "trailing zeros that do not count": number("1" * 38 + "0" * 88),
    "the largest number": number("9." + "9" * 37 + "E+125"),
    "the largest number written out": number("1" + "0" * 125),
    "the least number": number("-9." + "9" * 37 + "E+125"),
    "the smallest number": number("1E-130"),
    "the smallest number spelled as a fraction": number("0.001E-127"),
    "native 38 digits": native_number("1" * 38),
    "native largest number": native_number("9." + "9" * 37 + "E125"),
    "native smallest number": native_number("-1e-130"),
    "native leading zeros": native_number("000" + "1" * 38),
    "a set of one": put_native({"NS": ["1"]}),
    "a set of near numbers": put_native({"NS": ["1", "1." + "0" * 36 + "1", "-1", "1E1"]}),
    "a set with an empty string": put_native({"SS": [""]}),
    "an empty map and an empty list": put(m={}, l=[]),
    "an attribute name of 65,535 bytes": put(**{"n" * 65_535: 1}),
    "a number as attribute name": put(**{"1": 1}),
    "an item without anything but its key": put(),
}

CASES = [
    pytest.param(code, text_of(body), id=f"{code}-{n}")
    for code, bodies in REJECTED.items()
    for n, body in enumerate(bodies)
]


@pytest.mark.parametrize(("code", "body"), CASES)
def test_a_bad_operation_is_dead_lettered_under_its_code_and_never_sent(code: str, body: str) -> None:
    world = World(tables=TABLES)

    outcome = world.run(body)

    assert world.reasons() == [code]
    assert outcome.item_failures == []
    assert world.db.calls == []
    [letter] = world.letters()
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert letter["Body"] == body or json.loads(letter["Body"]) == json.loads(body)


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_what_lies_just_inside_an_edge_is_written(body: Any) -> None:
    world = World(tables=TABLES)

    outcome = world.run(text_of(body))

    assert world.reasons() == []
    assert sum(len(world.db.items(table.name)) for table in TABLES) == 1
    assert outcome.item_failures == []


def test_nesting_beyond_any_item_is_too_deep_even_where_the_json_never_ends() -> None:
    world = World()

    world.run("[" * 100_000)

    assert world.reasons() in (["NestingTooDeep"], ["InvalidJson"])


@pytest.mark.parametrize("item", [5, None, [], "a"])
def test_a_native_item_that_is_no_object_is_rejected(item: Any) -> None:
    world = World()

    world.run({"PutRequest": {"Item": item}})

    assert world.reasons() in (["InvalidAttribute"], ["UnknownOperation"])
    assert world.db.calls == []


def test_two_spellings_of_the_same_bytes_are_no_set() -> None:
    world = World()

    world.run(put_native({"BS": ["AA==", "AB=="]}))  # Both decode to one zero byte.

    assert world.reasons() in (["DuplicateSetElement"], ["InvalidAttribute"])


def test_a_bad_operation_keeps_no_other_message_from_being_written() -> None:
    world = World(tables=TABLES)
    bodies = [body.values[1] for body in CASES if len(str(body.values[1])) < 10_000]
    good = [put(pk=f"good-{n}") for n in range(len(bodies))]

    outcome = world.run(*(body for pair in zip(bodies, good, strict=True) for body in pair))

    assert {item["pk"]["S"] for item in world.db.items("orders-table")} == {f"good-{n}" for n in range(len(bodies))}
    assert len(world.letters()) == len(bodies) > 100
    assert outcome.item_failures == []


def test_the_code_of_several_bad_operations_is_that_of_the_first() -> None:
    world = World()

    world.run([{"put": {"pk": "a"}}, {"put": {"pk": ""}}, {"nope": 1}, {"put": {}}])

    assert world.reasons() == ["EmptyKey"]


def test_the_first_bad_operation_may_stand_inside_request_items() -> None:
    world = World()
    empty, missing = {"pk": {"S": ""}, "sk": {"N": "1"}}, {"pk": {"S": "a"}}
    events = [{"PutRequest": {"Item": {**empty, "pk": {"S": "a"}}}}, {"PutRequest": {"Item": empty}}]

    world.run({"RequestItems": {"events": events, "nowhere": [{"PutRequest": {"Item": missing}}]}})

    assert world.reasons() == ["EmptyKey"]


def test_an_alias_is_no_name_in_an_arn() -> None:
    world = World()

    world.run({"put": {"pk": "a"}, "table": "arn:aws:dynamodb:us-east-1:123456789012:table/orders"})

    assert world.reasons() == ["UnknownTable"]


def test_the_message_names_the_attribute_and_not_its_value() -> None:
    world = World(tables=TABLES)

    world.run({"put": {"pk": "a", "outer": {"inner": [1, "x"]}}, "table": "blobs"})
    world.run('{"put": {"pk": "a", "price": [{"net": 1e999}]}}')

    first, second = (letter["MessageAttributes"]["ErrorMessage"]["StringValue"] for letter in world.letters())
    assert "id" in first
    assert "price" in second
    assert "net" in second
    assert "999" not in second
