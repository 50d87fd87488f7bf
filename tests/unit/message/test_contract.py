"""What a producer may send, and what it becomes in the tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.message.errors import EventError
from tests.world import World

Stored = dict[str, list[dict[str, Any]]]

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/events-table"
A, B = {"pk": {"S": "a"}}, {"pk": {"S": "b"}}
E1 = {"pk": {"S": "e"}, "sk": {"N": "1"}}
E2 = {"pk": {"S": "e"}, "sk": {"N": "2"}}

PUTS: dict[str, tuple[Any, Stored]] = {
    "plain put": ({"put": {"pk": "a"}}, {"orders-table": [A]}),
    "plain put into a table by alias": ({"put": {"pk": "e", "sk": 1}, "table": "events"}, {"events-table": [E1]}),
    "plain put into a table by name": ({"put": {"pk": "e", "sk": 1}, "table": "events-table"}, {"events-table": [E1]}),
    "plain put into a table by ARN": ({"put": {"pk": "e", "sk": 1}, "table": ARN}, {"events-table": [E1]}),
    "PutRequest": ({"PutRequest": {"Item": A}}, {"orders-table": [A]}),
    "RequestItems over several tables": (
        {"RequestItems": {"orders": [{"PutRequest": {"Item": A}}], "events-table": [{"PutRequest": {"Item": E1}}]}},
        {"orders-table": [A], "events-table": [E1]},
    ),
    "RequestItems by ARN": ({"RequestItems": {ARN: [{"PutRequest": {"Item": E1}}]}}, {"events-table": [E1]}),
    "RequestItems with several requests": (
        {"RequestItems": {"events": [{"PutRequest": {"Item": E1}}, {"PutRequest": {"Item": E2}}]}},
        {"events-table": [E1, E2]},
    ),
    "Put": ({"Put": {"TableName": "events-table", "Item": E1}}, {"events-table": [E1]}),
    "Put by alias": ({"Put": {"TableName": "events", "Item": E1}}, {"events-table": [E1]}),
    "Put by ARN": ({"Put": {"TableName": ARN, "Item": E1}}, {"events-table": [E1]}),
    "Put without TableName": ({"Put": {"Item": A}}, {"orders-table": [A]}),
    "array of one": ([{"put": {"pk": "a"}}], {"orders-table": [A]}),
    "array": ([{"put": {"pk": "a"}}, {"put": {"pk": "b"}}], {"orders-table": [A, B]}),
    "array of both families": (
        [
            {"put": {"pk": "a"}},
            {"PutRequest": {"Item": B}},
            {"Put": {"TableName": ARN, "Item": E1}},
            {"RequestItems": {"events": [{"PutRequest": {"Item": E2}}]}},
        ],
        {"orders-table": [A, B], "events-table": [E1, E2]},
    ),
}

DELETES: dict[str, tuple[Any, Stored]] = {
    "plain delete": ({"delete": {"pk": "a"}}, {"orders-table": [B], "events-table": [E1]}),
    "plain delete with a sort key": (
        {"delete": {"pk": "e", "sk": 1}, "table": "events"},
        {"orders-table": [A, B], "events-table": []},
    ),
    "DeleteRequest": ({"DeleteRequest": {"Key": A}}, {"orders-table": [B], "events-table": [E1]}),
    "Delete": (
        {"Delete": {"TableName": "events-table", "Key": E1}},
        {"orders-table": [A, B], "events-table": []},
    ),
    "Delete without TableName": ({"Delete": {"Key": B}}, {"orders-table": [A], "events-table": [E1]}),
    "RequestItems that delete and put": (
        {"RequestItems": {"orders": [{"DeleteRequest": {"Key": A}}], "events": [{"PutRequest": {"Item": E2}}]}},
        {"orders-table": [B], "events-table": [E1, E2]},
    ),
    "an item that is not there": ({"delete": {"pk": "z"}}, {"orders-table": [A, B], "events-table": [E1]}),
}


def stored(world: World, table: str) -> list[dict[str, Any]]:
    """The items of a table in the order of their keys."""
    return sorted(world.db.items(table), key=lambda item: json.dumps(item, default=repr, sort_keys=True))


@pytest.mark.parametrize(("body", "expected"), PUTS.values(), ids=PUTS)
def test_a_put_of_every_form_is_written(body: Any, expected: Stored) -> None:
    world = World()

    outcome = world.run(body)

    assert {name: stored(world, name) for name in expected} == expected
    assert sum(len(world.db.items(table.name)) for table in world.tables) == sum(map(len, expected.values()))
    assert outcome.item_failures == []
    assert world.letters() == []
    assert world.sqs.messages(world.queue_url) == []


@pytest.mark.parametrize(("body", "expected"), DELETES.values(), ids=DELETES)
def test_a_delete_of_every_form_deletes_that_item_and_no_other(body: Any, expected: Stored) -> None:
    world = World()
    world.db.batch_write_item(
        RequestItems={
            "orders-table": [{"PutRequest": {"Item": A}}, {"PutRequest": {"Item": B}}],
            "events-table": [{"PutRequest": {"Item": E1}}],
        }
    )

    outcome = world.run(body)

    assert {name: stored(world, name) for name in expected} == expected
    assert outcome.item_failures == []
    assert world.letters() == []


def test_the_first_table_is_the_default() -> None:
    world = World(tables=tuple(reversed(World().tables)))

    world.run({"PutRequest": {"Item": {"id": {"B": "AAE="}}}})

    assert world.db.items("blobs-table") == [{"id": {"B": b"\x00\x01"}}]


def test_plain_json_becomes_the_type_that_fits() -> None:
    world = World()

    body = {
        "put": {
            "pk": "a",
            "s": "",
            "n": 1.5,
            "t": True,
            "f": False,
            "z": None,
            "l": [1, "x", [], {}],
            "m": {"k": [None]},
        }
    }
    world.run(body)

    assert world.db.item("orders-table", A) == {
        **A,
        "s": {"S": ""},
        "n": {"N": "1.5"},
        "t": {"BOOL": True},
        "f": {"BOOL": False},
        "z": {"NULL": True},
        "l": {"L": [{"N": "1"}, {"S": "x"}, {"L": []}, {"M": {}}]},
        "m": {"M": {"k": {"L": [{"NULL": True}]}}},
    }


def test_plain_json_that_looks_native_stays_plain() -> None:
    world = World()

    world.run({"put": {"pk": "a", "v": {"S": "x"}}})

    assert world.db.item("orders-table", A) == {**A, "v": {"M": {"S": {"S": "x"}}}}


def test_every_native_type_is_written_as_it_is() -> None:
    world = World()
    scalars = {"s": {"S": ""}, "n": {"N": "-1.5"}, "t": {"BOOL": True}, "f": {"BOOL": False}, "z": {"NULL": True}}
    sets = {"ss": {"SS": ["x", ""]}, "ns": {"NS": ["1", "2"]}}
    nested = {"l": {"L": [{"S": "x"}, {"L": []}]}, "m": {"M": {"k": {"M": {}}}}}
    binary = {"b": {"B": "AAH/"}, "empty": {"B": ""}, "bs": {"BS": ["AA==", "AQ=="]}, "in": {"L": [{"B": "AA=="}]}}

    world.run({"PutRequest": {"Item": {**A, **scalars, **sets, **nested, **binary}}})

    assert world.db.item("orders-table", A) == {
        **A,
        **scalars,
        **sets,
        **nested,
        "b": {"B": b"\x00\x01\xff"},
        "empty": {"B": b""},
        "bs": {"BS": [b"\x00", b"\x01"]},
        "in": {"L": [{"B": b"\x00"}]},
    }


def test_a_put_replaces_the_whole_item() -> None:
    world = World()
    world.run({"put": {"pk": "a", "old": 1}})

    world.run({"put": {"pk": "a", "new": 2}})

    assert world.db.items("orders-table") == [{**A, "new": {"N": "2"}}]


def test_text_beyond_ascii_arrives_as_it_was_sent() -> None:
    world = World()

    world.run('{"put": {"pk": "a", "raw": "zażółć 😀", "escaped": "\\u0000\\ud83d\\ude00"}}')

    assert world.db.item("orders-table", A) == {**A, "raw": {"S": "zażółć 😀"}, "escaped": {"S": "\x00😀"}}


def test_white_space_around_the_json_does_not_matter() -> None:
    world = World()

    world.run('\r\n\t {"put" : {"pk":"a"} } \n')

    assert world.db.items("orders-table") == [A]


# RECORD_FORMAT=item


def test_with_record_format_item_the_body_is_the_item() -> None:
    world = World(settings={"record_format": "item"})

    world.run({"pk": "a", "put": {"pk": "x"}, "table": "events"})

    assert world.db.items("orders-table") == [{**A, "put": {"M": {"pk": {"S": "x"}}}, "table": {"S": "events"}}]


def test_with_record_format_item_an_array_holds_items() -> None:
    world = World(settings={"record_format": "item"})

    world.run([{"pk": "a"}, {"pk": "b"}])

    assert stored(world, "orders-table") == [A, B]


@pytest.mark.parametrize("body", [5, "text", None, [], [5], [["pk"]], [[{"pk": "a"}]]], ids=json.dumps)
def test_with_record_format_item_anything_but_items_is_an_unknown_operation(body: Any) -> None:
    world = World(settings={"record_format": "item"})

    world.run(json.dumps(body))

    assert world.reasons() == ["UnknownOperation"]
    assert world.db.items("orders-table") == []


def test_with_record_format_item_the_rules_for_items_hold() -> None:
    world = World(settings={"record_format": "item"})

    world.run({"pk": ""}, {"other": 1}, {"pk": 5}, {"pk": "a", "n": 10**38 + 1})

    assert sorted(world.reasons()) == ["EmptyKey", "InvalidNumber", "KeyTypeMismatch", "MissingKey"]


# Events


def test_an_event_of_another_service_is_refused() -> None:
    world = World()
    world.send({"put": {"pk": "a"}})
    records = [{**record, "eventSource": "aws:kinesis"} for record in world.receive()]

    with pytest.raises(EventError, match="aws:kinesis"):
        world.invoke(records)

    assert world.db.calls == []


def test_an_event_without_messages_does_nothing() -> None:
    world = World()

    outcome = world.invoke([])

    assert outcome.item_failures == []
    assert outcome.error is None
    assert world.db.calls == []
