"""Newest wins: on a table with a version attribute, an unordered queue ends with the newest state of each item."""

from __future__ import annotations

import itertools
import json
from random import Random
from typing import Any

import pytest

from tests.fakes import ConnectionLost, Fault, Refusal, ServerError, Throttle, Timeout
from tests.world import EVENTS, VERSIONED, World

pytestmark = pytest.mark.usefixtures("both_ways")

LOST_ANSWERS: dict[str, Fault] = {
    "500": ServerError(applied=True),
    "connection lost": ConnectionLost(applied=True),
    "timeout": Timeout(applied=True),
}


def world(**settings: Any) -> World:
    """A versioned table beside one without versions; failed conditions are dead-lettered."""
    return World(tables=(VERSIONED, EVENTS), settings={"on_condition_failed": "dead-letter", **settings})


def put(version: Any, mark: str = "new", **more: Any) -> dict[str, Any]:
    return {"put": {"pk": "a", "v": version, "mark": mark}, **more}


def delete(version: Any, **more: Any) -> dict[str, Any]:
    return {"delete": {"pk": "a"}, "version": version, **more}


def mark(of: World) -> str | None:
    item = of.item()
    return None if item is None else str(item["mark"]["S"])


def stored(version: dict[str, Any] | None) -> World:
    """A world whose item has this version (in DynamoDB JSON; None: no version attribute)."""
    here = world()
    attributes = {} if version is None else {"v": version}
    here.db.put_item(TableName="orders-table", Item={"pk": {"S": "a"}, "mark": {"S": "old"}, **attributes})
    return here


# Which version replaces which


@pytest.mark.parametrize(
    ("before", "after", "is_newer"),
    [
        ({"N": "1"}, 2, True),
        ({"N": "9"}, 10, True),
        ({"N": "-1"}, 0, True),
        ({"N": "1.5"}, 1.50001, True),
        ({"N": "99999999999999999999999999999999999998"}, 99999999999999999999999999999999999999, True),
        ({"N": "2"}, 2, False),
        ({"N": "2"}, 2.0, False),
        ({"N": "10"}, 9, False),
        ({"N": "2"}, 1, False),
        ({"S": "2026-01-01"}, "2026-01-02", True),
        ({"S": "9"}, "10", False),
        ({"S": "a"}, "a", False),
        ({"S": "z"}, "é", True),
        ({"S": "\uffff"}, "\U00010000", True),
        ({"S": "1"}, 2, False),
        ({"N": "1"}, "2", False),
        ({"NULL": True}, 2, False),
        (None, 1, True),
        (None, "a", True),
    ],
)
@pytest.mark.parametrize("action", ["put", "delete"])
def test_only_what_is_newer_is_applied(before: Any, after: Any, is_newer: bool, action: str) -> None:
    here = stored(before)

    outcome = here.run(put(after) if action == "put" else delete(after))

    assert mark(here) == ("old" if not is_newer else "new" if action == "put" else None)
    assert len(outcome.operations.written) == is_newer
    assert len(outcome.operations.conditions_failed) == (not is_newer)
    assert outcome.written == outcome.received
    assert here.letters() == outcome.item_failures == []


@pytest.mark.parametrize("operation", [put(1), delete(1), {"Put": {"Item": {"pk": {"S": "a"}, "v": {"N": "1"}}}}])
def test_what_is_not_in_the_table_yet_is_no_obstacle(operation: Any) -> None:
    here = world()

    outcome = here.run(operation)

    assert len(outcome.operations.written) == 1
    assert here.letters() == []


def test_the_native_forms_keep_to_the_version() -> None:
    here = stored({"N": "5"})
    item = {"pk": {"S": "a"}, "v": {"N": "4"}, "mark": {"S": "stale"}}

    outcome = here.run(
        {"PutRequest": {"Item": item}},
        {"Put": {"Item": item}},
        {"RequestItems": {"orders": [{"PutRequest": {"Item": item}}]}},
    )

    assert mark(here) == "old"
    assert len(outcome.operations.conditions_failed) == 3
    assert outcome.written == outcome.received


def test_versioned_writes_go_one_by_one_and_other_tables_by_batches() -> None:
    here = world()

    here.run(put(1), delete(2), *({"table": "events", "put": {"pk": "e", "sk": n}} for n in range(5)))

    assert sorted(here.writes()) == ["BatchWriteItem", "DeleteItem", "PutItem"]


def test_items_themselves_are_versioned_too() -> None:
    here = world(record_format="item")

    here.run({"pk": "a", "v": 2, "mark": "new"}, {"pk": "a", "v": 1, "mark": "stale"}, {"pk": "a", "mark": "none"})

    assert mark(here) == "new"
    assert here.reasons() == ["MissingVersion"]


# What is wrong


@pytest.mark.parametrize(
    "operation",
    [
        {"put": {"pk": "a"}},
        {"put": {"pk": "a", "v": None}},
        {"put": {"pk": "a", "v": True}},
        {"put": {"pk": "a", "v": [1]}},
        {"put": {"pk": "a", "w": 1}},
        {"put": {"pk": "a"}, "condition": "attribute_not_exists(pk)"},
        {"PutRequest": {"Item": {"pk": {"S": "a"}}}},
        {"RequestItems": {"orders-table": [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}]}},
        {"Put": {"Item": {"pk": {"S": "a"}}}},
        {"Put": {"Item": {"pk": {"S": "a"}, "v": {"B": "AA=="}}}},
        {"Put": {"Item": {"pk": {"S": "a"}, "v": {"NS": ["1"]}}}},
        {"delete": {"pk": "a"}},
        {"delete": {"pk": "a"}, "version": None},
        {"delete": {"pk": "a"}, "version": False},
        {"delete": {"pk": "a"}, "version": {"N": "1"}},
        {"delete": {"pk": "a"}, "condition": "attribute_exists(pk)"},
        {"DeleteRequest": {"Key": {"pk": {"S": "a"}}}},
        {"Delete": {"Key": {"pk": {"S": "a"}}}},
        {"Delete": {"Key": {"pk": {"S": "a"}}, "ConditionExpression": "attribute_exists(pk)"}},
    ],
)
def test_a_write_without_a_version_is_rejected(operation: Any) -> None:
    here = stored(None)

    here.run([operation, {"put": {"pk": "b", "v": 1}}])

    assert here.reasons() == ["MissingVersion"]
    assert json.loads(here.letters()[0]["Body"]) == [operation]
    assert mark(here) == "old"
    assert here.item("b") == {"v": {"N": "1"}}


@pytest.mark.parametrize(
    "operation",
    [
        {"table": "events", "delete": {"pk": "e", "sk": 1}, "version": 1},
        {"put": {"pk": "a", "v": 1}, "version": 1},
        {"Delete": {"Key": {"pk": {"S": "a"}}, "version": 1}},
    ],
    ids=["a table without versions", "put", "native"],
)
def test_a_version_where_none_belongs_is_rejected(operation: Any) -> None:
    here = world()

    here.run(operation)

    assert here.reasons() == ["UnknownOperation"]
    assert here.db.calls == []


@pytest.mark.parametrize(
    "words",
    [
        {"condition": "#sluice_version < v", "names": {"#sluice_version": "mark"}},
        {"condition": "v < :sluice_version", "values": {":sluice_version": 1000}},
        {"condition": "v < :sluice_version"},
    ],
)
def test_a_message_cannot_redefine_what_its_version_is_compared_with(words: dict[str, Any]) -> None:
    here = stored({"N": "5"})

    here.run(put(4, "stale", **words))

    assert mark(here) == "old"
    assert here.reasons() == ["InvalidExpression"]


@pytest.mark.parametrize("condition", ["pk = pk) OR (pk = pk", "attribute_exists(pk)) OR (attribute_exists(pk)"])
def test_a_condition_cannot_break_out_of_its_brackets(condition: str) -> None:
    here = stored({"N": "5"})

    here.run(put(4, "stale", condition=condition))

    assert mark(here) == "old"


def test_a_condition_that_leaves_no_room_for_the_version_is_dead_lettered() -> None:
    here = stored({"N": "5"})

    here.run(put(6, condition="attribute_exists(pk)".ljust(4096)), put(7, condition="attribute_exists(pk)".ljust(3900)))

    [code] = here.reasons()
    assert code in ("InvalidExpression", "RejectedByDynamoDB")
    assert here.item() == {"v": {"N": "7"}, "mark": {"S": "new"}}


# A condition and a version


@pytest.mark.parametrize("settings", ["skip", "dead-letter"])
@pytest.mark.parametrize(
    ("version", "condition", "fate"),
    [
        (6, "mark = :old", "written"),
        (6, "mark = :other", "condition failed"),
        (4, "mark = :old", "stale"),
        (5, "mark = :old", "stale"),
        (6, "mark = :other OR mark = :old", "written"),
        (4, "mark = :other OR mark = :old", "stale"),
    ],
)
@pytest.mark.parametrize("action", ["put", "delete"])
def test_a_failed_condition_and_a_stale_version_are_told_apart(
    version: int, condition: str, fate: str, settings: Any, action: str
) -> None:
    here = world(on_condition_failed=settings)
    here.run(put(5, "old"))
    values = {":old": "old", ":other": "other"}
    words: dict[str, Any] = {
        "condition": condition,
        "values": {name: text for name, text in values.items() if name in condition},
    }

    outcome = here.run(put(version, **words) if action == "put" else delete(version, **words))

    is_dead = fate == "condition failed" and settings == "dead-letter"
    assert here.reasons() == (["ConditionFailed"] if is_dead else [])
    assert mark(here) == ("old" if fate != "written" else "new" if action == "put" else None)
    assert len(outcome.operations.conditions_failed) == (fate != "written")
    assert outcome.item_failures == []


@pytest.mark.parametrize(
    ("before", "after", "is_newer"),
    [
        ({"N": "9"}, 10, True),
        ({"N": "10"}, 9, False),
        ({"N": "1e1"}, 10, False),
        ({"S": "10"}, "9", True),
        ({"S": "\uffff"}, "\U00010000", True),
        ({"S": "1"}, 2, False),
        ({"N": "1"}, "2", False),
        (None, 1, True),
    ],
)
def test_staleness_is_judged_as_dynamodb_compares_values(before: Any, after: Any, is_newer: bool) -> None:
    here = stored(before)

    here.run(put(after, condition="mark = :other", values={":other": "other"}))

    assert here.reasons() == (["ConditionFailed"] if is_newer else [])
    assert mark(here) == "old"


def test_a_condition_that_does_not_hold_of_a_missing_item_has_failed() -> None:
    here = world()

    here.run(put(1, condition="attribute_exists(pk)"))

    assert here.reasons() == ["ConditionFailed"]


# Lost answers, repetitions, disorder


@pytest.mark.parametrize("fault", LOST_ANSWERS.values(), ids=LOST_ANSWERS)
def test_a_versioned_put_whose_answer_was_lost_counts_as_written(fault: Fault) -> None:
    here = stored({"N": "1"})
    here.db.script(fault)

    outcome = here.run(put(2))

    assert len(outcome.operations.written) == 1
    assert not outcome.operations.conditions_failed


@pytest.mark.parametrize("fault", LOST_ANSWERS.values(), ids=LOST_ANSWERS)
def test_a_versioned_delete_whose_answer_was_lost_is_done(fault: Fault) -> None:
    here = stored({"N": "1"})
    here.db.script(fault)

    outcome = here.run(delete(2))

    assert len(outcome.operations.written) == 1
    assert here.item() is None


@pytest.mark.parametrize("order", [*itertools.permutations([1, 2, 3])])
@pytest.mark.parametrize("kind", [int, str])
def test_versions_in_one_invocation_end_with_the_newest(order: tuple[int, ...], kind: Any) -> None:
    here = world()

    outcome = here.run(*(put(kind(version), str(version)) for version in order))

    assert mark(here) == "3"
    newest = [version for position, version in enumerate(order) if version == max(order[: position + 1])]
    assert len(outcome.operations.written) == len(newest)
    assert len(outcome.operations.conditions_failed) == 3 - len(newest)
    assert len(outcome.operations.superseded) == 0
    assert outcome.written == outcome.received


@pytest.mark.parametrize("seed", range(40))
def test_any_order_with_duplicates_and_faults_ends_with_the_newest(seed: int) -> None:
    chance = Random(seed)
    here = world()
    faults: list[Fault | None] = [
        None,
        None,
        None,
        Throttle(),
        ServerError(),
        ServerError(applied=True),
        ConnectionLost(applied=True),
        Timeout(),
        Refusal("SomethingNew"),
    ]
    versions = [*range(1, 8), *chance.choices(range(1, 8), k=5)]
    chance.shuffle(versions)

    while versions:
        some = [versions.pop() for _ in range(min(len(versions), chance.randint(1, 5)))]
        here.db.script(*chance.choices(faults, k=4))
        here.send(*(put(version, f"is {version}") for version in some))
        if chance.random() < 0.3:
            here.db.always(Throttle() if chance.random() < 0.5 else ServerError(applied=True))
        here.invoke(here.receive(), time_left=8.0)
        here.db.always(None)
    here.db.script(*[None] * 100)
    while here.sqs.messages(here.queue_url):
        here.invoke(here.redeliver())

    assert mark(here) == "is 7"
    assert here.letters() == []


def test_a_delete_wins_over_what_is_older_and_loses_to_what_is_newer() -> None:
    here = world()

    here.run(put(1), delete(3), put(4, "newer"), delete(2))

    assert mark(here) == "newer"


def test_a_stale_write_holds_nothing_back() -> None:
    here = stored({"N": "5"})

    outcome = here.run(put(4, "stale"), put(6, "newest"), {"put": {"pk": "b", "v": 1}})

    assert mark(here) == "newest"
    assert len(outcome.operations.conditions_failed) == 1
    assert outcome.written == outcome.received


def test_an_update_needs_no_version() -> None:
    here = stored({"N": "5"})

    here.run({"update": {"pk": "a"}, "expression": "SET mark = :m", "values": {":m": "updated"}})

    assert mark(here) == "updated"
