"""Keys of secondary indexes are checked before the write; the reason names the index and the attribute."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.message.decoder import Decoder
from sluice.message.settings import Index, KeyAttribute, Settings, Table
from tests.world import EVENTS, INDEXED_TABLE, ORDERS, World

DECODER = Decoder(Settings((INDEXED_TABLE, ORDERS)))
KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}


def reason(**attributes: Any) -> tuple[str, str] | None:
    """Why a put of these attributes, in DynamoDB JSON, is rejected; the same by every form of it."""
    item = KEY | attributes
    forms: list[Any] = [
        {"PutRequest": {"Item": item}},
        {"RequestItems": {"indexed-table": [{"PutRequest": {"Item": item}}]}},
        {"Put": {"Item": item}},
        {"Put": {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}},
    ]
    found = set()
    for form in forms:
        message = DECODER.decode({"messageId": "m", "body": json.dumps(form)})
        found.add((message.rejected[0][1].code, message.rejected[0][1].message) if message.rejected else None)
    [only] = found
    return only


@pytest.mark.parametrize("attributes", [{}, {"v": {"S": "x"}}, {"n": {"N": "1"}}, {"m": {"B": "eA=="}}])
def test_an_item_may_be_in_some_of_the_indexes_only(attributes: Any) -> None:
    assert reason(**attributes) is None


@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("v", {"N": "1"}, "KeyTypeMismatch", "key attribute 'v' of index 'by-v' must be of type S, not N"),
        ("n", {"S": "1"}, "KeyTypeMismatch", "key attribute 'n' of index 'by-v' must be of type N, not S"),
        ("m", {"S": "x"}, "KeyTypeMismatch", "key attribute 'm' of index 'by-many' must be of type B, not S"),
        ("v", {"NULL": True}, "KeyTypeMismatch", "key attribute 'v' of index 'by-v' must be of type S, not NULL"),
        ("v", {"M": {}}, "KeyTypeMismatch", "key attribute 'v' of index 'by-v' must be of type S, not M"),
        ("v", {"S": ""}, "EmptyKey", "key attribute 'v' of index 'by-v' is empty"),
        ("m", {"B": ""}, "EmptyKey", "key attribute 'm' of index 'by-many' is empty"),
        (
            "m",
            {"B": "eHh4" * 342},
            "KeyTooLong",
            "key attribute 'm' of index 'by-many' has 1,026 bytes; DynamoDB takes 1,024",
        ),
    ],
)
def test_a_wrong_index_key_is_rejected_by_index_and_attribute(name: str, value: Any, code: str, words: str) -> None:
    assert reason(**{name: value}) == (code, words)


@pytest.mark.parametrize(
    ("name", "length", "is_taken"),
    # v is a partition key of one index and a sort key of another; x a partition key, and the sort key of a local index.
    [("v", 1024, True), ("v", 1025, False), ("x", 1024, True), ("x", 1025, False)],
)
def test_an_attribute_with_two_uses_keeps_to_the_lower_limit(name: str, length: int, is_taken: bool) -> None:
    assert (reason(**{name: {"S": "é" * (length // 2) + "x" * (length % 2)}}) is None) == is_taken


def test_a_partition_key_of_an_index_may_have_2048_bytes() -> None:
    body = json.dumps({"put": {"pk": "a", "sk": "b", "p": "x" * 2048}})
    too_long = json.dumps({"put": {"pk": "a", "sk": "b", "p": "x" * 2049}})
    keys = KeyAttribute("pk", "S"), KeyAttribute("sk", "S")
    table = Table("t", "table", *keys, indexes=(Index("by-p", (KeyAttribute("p", "S"),)),))
    decoder = Decoder(Settings((table,)))

    assert decoder.decode({"messageId": "m", "body": body}).rejected == ()
    [(_, rejection)] = decoder.decode({"messageId": "m", "body": too_long}).rejected
    assert rejection.code == "KeyTooLong"


@pytest.mark.parametrize("body", [{"delete": {"pk": "a", "sk": "b"}}, {"put": {"pk": "a", "v": 5}, "table": "orders"}])
def test_deletes_and_tables_without_the_index_are_not_concerned(body: Any) -> None:
    assert DECODER.decode({"messageId": "m", "body": json.dumps(body)}).rejected == ()


def test_one_wrong_item_among_25_takes_no_call_of_its_own() -> None:
    world = World(tables=(INDEXED_TABLE, EVENTS))
    bodies: list[Any] = [{"put": {"pk": "a", "sk": str(n), "v": "x"}} for n in range(25)]
    bodies[12] = {"put": {"pk": "a", "sk": "12", "v": 12}}

    world.run(*bodies)

    assert len(world.allowed) == 1
    assert len(world.db.items("indexed-table")) == 24
    [letter] = world.letters()
    assert letter["MessageAttributes"]["ErrorCode"]["StringValue"] == "KeyTypeMismatch"
    assert "of index 'by-v'" in letter["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert json.loads(letter["Body"]) == bodies[12]


def test_an_update_of_an_index_key_is_left_to_the_service() -> None:
    world = World(tables=(INDEXED_TABLE,))
    update = {"update": {"pk": "a", "sk": "b"}, "expression": "SET v = :v", "values": {":v": 5}}

    world.run(update, {"put": {"pk": "a", "sk": "c"}})

    assert world.reasons() == ["RejectedByDynamoDB"]
    assert len(world.db.items("indexed-table")) == 1
