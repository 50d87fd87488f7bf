"""Numbers keep every digit, and are one key or two by their value alone."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from sluice.message.settings import KeyAttribute, Table
from tests.world import World

PAIRS = Table("pairs", "pairs-table", KeyAttribute("first", "S"), KeyAttribute("second", "S"))
NUMBERS = Table("numbers", "numbers-table", KeyAttribute("id", "N"))

# As written → as DynamoDB stores and shows it: the same value, spelled without an exponent.
LITERALS = {
    "0": "0",
    "-0": "0",
    "-0.0e5": "0",
    "1.10": "1.1",
    "1.0": "1",
    "1e2": "100",
    "1E+2": "100",
    "1.5e-3": "0.0015",
    "100": "100",
    "0.1": "0.1",
    "0.30000000000000004": "0.30000000000000004",
    "0.3": "0.3",
    "1.1000000000000000888178419700125": "1.1000000000000000888178419700125",
    "9007199254740993": "9007199254740993",
    "-9007199254740993": "-9007199254740993",
    "123456789012345678901234567890": "123456789012345678901234567890",
    "12345678901234567890123456789012345678": "12345678901234567890123456789012345678",
    "-1.2345678901234567890123456789012345678": "-1.2345678901234567890123456789012345678",
    "0.12345678901234567890123456789012345678": "0.12345678901234567890123456789012345678",
    "1e-130": "0." + "0" * 129 + "1",
    "1e125": "1" + "0" * 125,
}


def floats_in(value: Any) -> list[float]:
    """Every float anywhere inside a value."""
    if isinstance(value, dict):
        return [each for inner in value.values() for each in floats_in(inner)]
    if isinstance(value, list | tuple):
        return [each for inner in value for each in floats_in(inner)]
    return [value] if isinstance(value, float) else []


def sent_numbers(value: Any) -> list[str]:
    """The text of every N inside a request."""
    if isinstance(value, dict):
        here = [value["N"]] if isinstance(value.get("N"), str) else []
        return here + [each for inner in value.values() for each in sent_numbers(inner)]
    return [each for inner in value for each in sent_numbers(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize(("literal", "canonical"), LITERALS.items(), ids=LITERALS)
@pytest.mark.parametrize(
    "body",
    [
        '{{"put": {{"pk": "a", "n": {}}}}}',
        '{{"PutRequest": {{"Item": {{"pk": {{"S": "a"}}, "n": {{"N": "{}"}}}}}}}}',
    ],
    ids=["plain", "native"],
)
def test_a_number_is_stored_with_every_digit(body: str, literal: str, canonical: str) -> None:
    world = World()

    world.run(body.format(literal))

    assert world.db.items("orders-table") == [{"pk": {"S": "a"}, "n": {"N": canonical}}]
    [call] = world.db.calls
    assert [Decimal(text) for text in sent_numbers(call.kwargs["RequestItems"])] == [Decimal(literal)]


@pytest.mark.parametrize(
    "literal", ["0.1", "1.10", "1e2", "9007199254740993", "12345678901234567890123456789012345678"]
)
def test_a_nested_number_is_stored_with_every_digit(literal: str) -> None:
    world = World()

    world.run(f'[{{"put": {{"pk": "a", "l": [{literal}], "m": {{"deep": [{{"n": {literal}}}]}}}}}}]')

    [item] = world.db.items("orders-table")
    number = {"N": LITERALS[literal]}
    assert item["l"] == {"L": [number]}
    assert item["m"] == {"M": {"deep": {"L": [{"M": {"n": number}}]}}}


def test_a_set_of_numbers_is_stored_with_every_digit() -> None:
    world = World()
    numbers = ["9007199254740993", "0.12345678901234567890123456789012345678"]

    world.run({"PutRequest": {"Item": {"pk": {"S": "a"}, "ns": {"NS": numbers}}}})

    assert world.db.items("orders-table")[0]["ns"] == {"NS": numbers}


def test_no_request_holds_a_float() -> None:
    world = World()

    world.run(*(f'{{"put": {{"pk": "a{n}", "n": {literal}}}}}' for n, literal in enumerate(LITERALS)))

    assert len(world.db.items("orders-table")) == len(LITERALS)
    assert [floats_in(call.kwargs) for call in world.db.calls] == [[]]


def test_a_number_is_stored_with_every_digit_in_an_item_by_itself() -> None:
    world = World(settings={"record_format": "item"})

    world.run('{"pk": "a", "n": 0.12345678901234567890123456789012345678}')

    assert world.db.items("orders-table")[0]["n"] == {"N": "0.12345678901234567890123456789012345678"}


# Identity of keys


@pytest.mark.parametrize("spelling", ["1", "1.0", "1e0", "0.1E1", "10e-1"])
def test_spellings_of_one_number_are_one_item(spelling: str) -> None:
    world = World()

    outcome = world.run(
        '{"put": {"pk": "a", "sk": 1, "v": "first"}, "table": "events"}',
        f'{{"put": {{"pk": "a", "sk": {spelling}, "v": "second"}}, "table": "events"}}',
    )

    assert world.db.items("events-table") == [{"pk": {"S": "a"}, "sk": {"N": "1"}, "v": {"S": "second"}}]
    assert len(world.db.calls) == 1
    assert len(outcome.operations.superseded) == 1


def test_a_native_key_and_a_plain_key_of_one_number_are_one_item() -> None:
    world = World(tables=(NUMBERS,))

    world.run('{"put": {"id": 1.50, "v": 1}}', {"DeleteRequest": {"Key": {"id": {"N": "15e-1"}}}})

    assert world.db.items("numbers-table") == []
    assert [call.error for call in world.db.calls] == [None]


def test_zero_and_minus_zero_are_one_item() -> None:
    world = World(tables=(NUMBERS,))

    world.run('{"put": {"id": 0, "v": 1}}', '{"put": {"id": -0.0, "v": 2}}')

    assert world.db.items("numbers-table") == [{"id": {"N": "0"}, "v": {"N": "2"}}]
    assert [call.error for call in world.db.calls] == [None]


def test_numbers_that_differ_in_the_last_of_38_digits_are_two_items() -> None:
    world = World(tables=(NUMBERS,))
    ids = ["9007199254740992", "9007199254740993", "1" * 37 + "1", "1" * 37 + "2"]

    world.run(*(f'{{"put": {{"id": {each}}}}}' for each in ids))

    assert sorted(item["id"]["N"] for item in world.db.items("numbers-table")) == sorted(ids)


def test_keys_that_read_the_same_when_joined_are_two_items() -> None:
    world = World(tables=(PAIRS,))
    pairs = [
        ("a$", "b"),
        ("a", "$b"),
        ("a|", "b"),
        ("a", "|b"),
        ("a,", "b"),
        ("a", ",b"),
        ("a\x00", "b"),
        ("a", "\x00b"),
    ]

    world.run(*({"put": {"first": first, "second": second}} for first, second in pairs))

    assert {(item["first"]["S"], item["second"]["S"]) for item in world.db.items("pairs-table")} == set(pairs)


def test_one_key_in_two_tables_is_two_items() -> None:
    world = World(tables=(PAIRS, Table("copies", "copies-table", PAIRS.partition_key, PAIRS.sort_key)))
    item = {"first": "a", "second": "b"}

    outcome = world.run({"put": item}, {"put": item, "table": "copies"})

    assert len(world.db.items("pairs-table")) == len(world.db.items("copies-table")) == 1
    assert outcome.operations.superseded == set()


def test_a_table_by_alias_and_by_arn_is_one_table() -> None:
    world = World()
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/orders-table"

    names = ["orders", "orders-table", arn]
    world.run(*({"put": {"pk": "a", "v": name}, "table": name} for name in names))

    assert world.db.items("orders-table") == [{"pk": {"S": "a"}, "v": {"S": arn}}]
    assert [call.error for call in world.db.calls] == [None]


def test_text_that_looks_like_a_number_is_a_key_by_its_characters() -> None:
    world = World()

    world.run({"put": {"pk": "1"}}, {"put": {"pk": "1.0"}})

    assert sorted(json.dumps(item) for item in world.db.items("orders-table")) == [
        '{"pk": {"S": "1"}}',
        '{"pk": {"S": "1.0"}}',
    ]
