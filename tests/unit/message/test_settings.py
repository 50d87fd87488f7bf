"""Settings from the environment: what is accepted, and what is refused by name and value."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from sluice.message.errors import SettingsError
from sluice.message.settings import Index, KeyAttribute, Settings, Table

ORDERS: dict[str, Any] = {"alias": "orders", "name": "orders-table", "partition_key": {"name": "pk", "type": "S"}}
EVENTS: dict[str, Any] = {
    "alias": "events",
    "name": "events-table",
    "partition_key": {"name": "pk", "type": "B"},
    "sort_key": {"name": "sk", "type": "N"},
}
DAY: dict[str, Any] = {"name": "day", "type": "S"}
QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters"


def environ(**variables: str) -> dict[str, str]:
    return {"TABLES": json.dumps([ORDERS]), **variables}


def changed(table: dict[str, Any], **changes: Any) -> str:
    """TABLES of one table with some members changed; None takes the member away."""
    merged = {**table, **changes}
    return json.dumps([{name: value for name, value in merged.items() if value is not None}])


def test_tables_alone_are_enough() -> None:
    settings = Settings.from_environ(
        {"TABLES": json.dumps([ORDERS, EVENTS]), "PATH": "/bin", "AWS_REGION": "eu-west-1"}
    )

    assert settings == Settings(
        tables=(
            Table("orders", "orders-table", KeyAttribute("pk", "S")),
            Table("events", "events-table", KeyAttribute("pk", "B"), KeyAttribute("sk", "N")),
        )
    )


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = Settings.from_environ(environ())

    assert settings.dead_letter_queue_url is None
    assert settings.record_format == "operation"
    assert settings.record_expression is None
    assert settings.max_connections == 8
    assert settings.max_write_units_per_second == math.inf
    assert settings.deadline_margin == 5
    assert settings.on_condition_failed == "skip"
    assert settings.update_once is False


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("DEAD_LETTER_QUEUE_URL", QUEUE_URL, "dead_letter_queue_url", QUEUE_URL),
        (
            "DEAD_LETTER_QUEUE_URL",
            "http://127.0.0.1:9324/000/dlq",
            "dead_letter_queue_url",
            "http://127.0.0.1:9324/000/dlq",
        ),
        ("RECORD_FORMAT", "operation", "record_format", "operation"),
        ("RECORD_FORMAT", "item", "record_format", "item"),
        ("RECORD_EXPRESSION", "powertools_json(Message)", "record_expression", "powertools_json(Message)"),
        ("MAX_CONNECTIONS", "1", "max_connections", 1),
        ("MAX_CONNECTIONS", "50", "max_connections", 50),
        ("MAX_WRITE_UNITS_PER_SECOND", "1000", "max_write_units_per_second", 1000),
        ("MAX_WRITE_UNITS_PER_SECOND", "0.5", "max_write_units_per_second", 0.5),
        ("DEADLINE_MARGIN", "1", "deadline_margin", 1),
        ("DEADLINE_MARGIN", "2.5", "deadline_margin", 2.5),
        ("ON_CONDITION_FAILED", "skip", "on_condition_failed", "skip"),
        ("ON_CONDITION_FAILED", "dead-letter", "on_condition_failed", "dead-letter"),
        ("UPDATE_ONCE", "true", "update_once", True),
        ("UPDATE_ONCE", "false", "update_once", False),
    ],
)
def test_a_variable_sets_its_setting(variable: str, value: str, field: str, expected: object) -> None:
    settings = Settings.from_environ(environ(**{variable: value}))

    assert getattr(settings, field) == expected


BAD_VALUES = {
    "DEAD_LETTER_QUEUE_URL": ["dead-letters", "arn:aws:sqs:us-east-1:123456789012:dead-letters", f"{QUEUE_URL} x"],
    "RECORD_FORMAT": ["items", "ITEM", "json"],
    "MAX_CONNECTIONS": ["0", "-1", "1.5", "many", "inf", "nan", "1e3"],
    "MAX_WRITE_UNITS_PER_SECOND": ["0", "-1", "nan", "inf", "unlimited", "10 WCU"],
    "DEADLINE_MARGIN": ["0", "-1", "nan", "inf", "5s", "five"],
    "ON_CONDITION_FAILED": ["ignore", "dead_letter", "SKIP"],
    "UPDATE_ONCE": ["yes", "1", "on"],
}


@pytest.mark.parametrize(
    ("variable", "value"), [(name, value) for name, values in BAD_VALUES.items() for value in values]
)
def test_a_bad_value_is_refused_by_name_and_value(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ(environ(**{variable: value}))

    assert variable in str(refused.value)
    assert repr(value) in str(refused.value)


BAD_TABLES = {
    "no JSON": "orders",
    "cut short": json.dumps([ORDERS])[:-1],
    "an object": json.dumps(ORDERS),
    "no table": "[]",
    "null": "null",
    "a name": '["orders-table"]',
    "a list of lists": "[[]]",
    "an empty table": "[{}]",
    "no name": changed(ORDERS, name=None),
    "an empty name": changed(ORDERS, name=""),
    "a name in quotes": changed(ORDERS, name='"orders-table"'),
    "a name with a comma": changed(ORDERS, name="orders-table,"),
    "a name with a blank": changed(ORDERS, name=" orders-table"),
    "a name with a line break": changed(ORDERS, name="orders-table\n"),
    "a name with a letter that is none of ASCII": changed(ORDERS, name="ördërs"),
    "a name that was not filled in": changed(ORDERS, name="${OrdersTable}"),
    "a name of two characters": changed(ORDERS, name="or"),
    "a name of 256 characters": changed(ORDERS, name="o" * 256),
    "an ARN in place of a name": changed(ORDERS, name="arn:aws:dynamodb:us-east-1:123456789012:table/orders-table"),
    "a name that is no text": changed(ORDERS, name=5),
    "an empty alias": changed(ORDERS, alias=""),
    "an alias that is no text": changed(ORDERS, alias=["orders"]),
    "no partition key": changed(ORDERS, partition_key=None),
    "a partition key that is no object": changed(ORDERS, partition_key="pk"),
    "a key without a name": changed(ORDERS, partition_key={"type": "S"}),
    "a key without a type": changed(ORDERS, partition_key={"name": "pk"}),
    "a key with an empty name": changed(ORDERS, partition_key={"name": "", "type": "S"}),
    "a key of an unknown type": changed(ORDERS, partition_key={"name": "pk", "type": "STRING"}),
    "a key of a type that is no key type": changed(ORDERS, partition_key={"name": "pk", "type": "BOOL"}),
    "a key of a type in lower case": changed(ORDERS, partition_key={"name": "pk", "type": "s"}),
    "a key with something more": changed(ORDERS, partition_key={"name": "pk", "type": "S", "order": 1}),
    "a sort key that is no object": changed(ORDERS, sort_key="sk"),
    "a sort key without a type": changed(ORDERS, sort_key={"name": "sk"}),
    "one attribute as both keys": changed(ORDERS, sort_key={"name": "pk", "type": "S"}),
    "a member that is not known": changed(ORDERS, sortKey={"name": "sk", "type": "S"}),
    "a version attribute that is a key": changed(ORDERS, version="pk"),
    "a version attribute that is no name": changed(ORDERS, version=5),
    "indexes that are no array": changed(ORDERS, indexes={"name": "i"}),
    "an index that is no object": changed(ORDERS, indexes=["by-day"]),
    "an index without a name": changed(ORDERS, indexes=[{"sort_key": DAY}]),
    "an index without a key": changed(ORDERS, indexes=[{"name": "by-day"}]),
    "an index with an empty key": changed(ORDERS, indexes=[{"name": "by-day", "partition_key": []}]),
    "an index with something more": changed(ORDERS, indexes=[{"name": "by-day", "sort_key": DAY, "projection": "ALL"}]),
    "an index with one attribute twice": changed(
        ORDERS, indexes=[{"name": "by-day", "partition_key": DAY, "sort_key": DAY}]
    ),
    "two indexes of one name": changed(ORDERS, indexes=[{"name": "by-day", "sort_key": DAY}] * 2),
    "an index key of a type that is no key type": changed(
        ORDERS, indexes=[{"name": "by-day", "partition_key": [DAY, {"name": "open", "type": "BOOL"}]}]
    ),
    "an index key of two types": changed(
        ORDERS,
        indexes=[
            {"name": "by-day", "partition_key": DAY},
            {"name": "local", "sort_key": {"name": "day", "type": "N"}},
        ],
    ),
    "an index key of another type than the table's": changed(
        ORDERS, indexes=[{"name": "by-pk", "partition_key": {"name": "pk", "type": "N"}}]
    ),
    "two tables of one alias": json.dumps([ORDERS, {**EVENTS, "alias": "orders"}]),
    "two tables of one name": json.dumps([ORDERS, {**EVENTS, "name": "orders-table"}]),
    "an alias that is another table's name": json.dumps([ORDERS, {**EVENTS, "alias": "orders-table"}]),
}


@pytest.mark.parametrize("value", BAD_TABLES.values(), ids=BAD_TABLES)
def test_bad_tables_are_refused_by_name_and_value(value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({"TABLES": value})

    assert "TABLES" in str(refused.value)
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize("name", ["abc", "Orders_2.dev-eu", "o" * 255])
def test_a_table_may_have_any_name_that_dynamodb_allows(name: str) -> None:
    assert Settings.from_environ({"TABLES": changed(ORDERS, name=name)}).tables[0].name == name


@pytest.mark.parametrize(
    ("name", "said"), [("orders,", r"TABLES\[0\]\.name is 'orders,'"), ("arn:aws:dynamodb", "is an ARN")]
)
def test_the_refusal_of_a_name_says_what_is_wrong_with_it(name: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.from_environ({"TABLES": changed(ORDERS, name=name)})


@pytest.mark.parametrize("sort_key", [{}, False, "", []])
def test_an_empty_sort_key_is_refused(sort_key: Any) -> None:
    with pytest.raises(SettingsError, match="sort_key"):
        Settings.from_environ({"TABLES": changed(ORDERS, sort_key=sort_key)})


@pytest.mark.parametrize("variables", [{}, {"TABLES": ""}, {"TABLES": " "}])
def test_tables_are_required(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="TABLES"):
        Settings.from_environ(variables)


def test_the_refusal_says_which_table_and_what_about_it() -> None:
    bad = {**EVENTS, "sort_key": {"name": "sk", "type": "X"}}

    with pytest.raises(SettingsError, match=r"TABLES\[1\]\.sort_key.*'X'"):
        Settings.from_environ({"TABLES": json.dumps([ORDERS, bad])})


def test_a_table_may_have_a_version_attribute() -> None:
    settings = Settings.from_environ({"TABLES": changed(ORDERS, version="v")})

    assert settings.tables[0].version == "v"
    assert Settings.from_environ(settings.to_environ()) == settings


def test_a_table_may_have_indexes() -> None:
    hour = {"name": "hour", "type": "N"}
    indexes = [
        {"name": "by-day", "partition_key": DAY},
        {"name": "by-both", "partition_key": [DAY, hour], "sort_key": [{"name": "pk", "type": "S"}]},
        {"name": "local", "sort_key": hour},
    ]

    settings = Settings.from_environ({"TABLES": changed(ORDERS, indexes=indexes)})

    day, number, pk = KeyAttribute("day", "S"), KeyAttribute("hour", "N"), KeyAttribute("pk", "S")
    assert settings.tables[0].indexes == (
        Index("by-day", (day,)),
        Index("by-both", (day, number), (pk,)),
        Index("local", (), (number,)),
    )
    assert Settings.from_environ(settings.to_environ()) == settings


def test_the_first_bad_variable_does_not_hide_that_others_are_good() -> None:
    with pytest.raises(SettingsError, match="DEADLINE_MARGIN") as refused:
        Settings.from_environ(environ(MAX_CONNECTIONS="4", DEADLINE_MARGIN="-1", RECORD_FORMAT="item"))

    assert "MAX_CONNECTIONS" not in str(refused.value)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {
            "TABLES": json.dumps([EVENTS, ORDERS]),
            "DEAD_LETTER_QUEUE_URL": QUEUE_URL,
            "RECORD_FORMAT": "item",
            "RECORD_EXPRESSION": "powertools_json(Message)",
            "MAX_CONNECTIONS": "3",
            "MAX_WRITE_UNITS_PER_SECOND": "12.5",
            "DEADLINE_MARGIN": "0.25",
            "ON_CONDITION_FAILED": "dead-letter",
            "UPDATE_ONCE": "true",
        },
    ],
    ids=["defaults", "everything"],
)
def test_settings_survive_the_way_to_the_environment_and_back(variables: dict[str, str]) -> None:
    settings = Settings.from_environ(environ(**variables))

    written = settings.to_environ()

    assert Settings.from_environ(written) == settings
    assert written.keys() == {"TABLES"} | variables.keys()


def test_items_of_a_table_are_read_first_only_where_that_is_said() -> None:
    entry = {"name": "orders", "partition_key": {"name": "pk", "type": "S"}}

    for given, expected in (
        ({}, False),
        ({"skip_unchanged": None}, False),
        ({"skip_unchanged": False}, False),
        ({"skip_unchanged": True}, True),
    ):
        settings = Settings.from_environ({"TABLES": json.dumps([{**entry, **given}])})
        assert settings.tables[0].skip_unchanged is expected
        assert Settings.from_environ(settings.to_environ()) == settings


@pytest.mark.parametrize("flag", ["true", 1, 0, []])
def test_a_flag_of_a_table_that_is_none_is_refused(flag: object) -> None:
    entry = {"name": "orders", "partition_key": {"name": "pk", "type": "S"}, "skip_unchanged": flag}

    with pytest.raises(SettingsError, match=r"TABLES\[0\].skip_unchanged must be true or false"):
        Settings.from_environ({"TABLES": json.dumps([entry])})
