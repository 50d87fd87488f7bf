"""The same item more than once in an invocation: arrival order, and whose fate a superseded operation shares."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes import UnprocessedIf
from tests.world import World

KEY = {"pk": {"S": "a"}}


def put(value: Any) -> dict[str, Any]:
    return {"put": {"pk": "a", "v": value}}


DELETE = {"delete": {"pk": "a"}}


def value_of(world: World) -> str | None:
    item = world.db.item("orders-table", KEY)
    return None if item is None else next(iter(item["v"].values()))


def sends(text: str) -> Any:
    """True of a request that holds this text."""
    return lambda _table, request: text in json.dumps(request, default=repr)


@pytest.mark.parametrize("in_one_message", [True, False], ids=["one message", "several messages"])
@pytest.mark.parametrize(
    ("operations", "left"),
    [
        ([put("1"), put("2")], "2"),
        ([put("1"), put("2"), put("3")], "3"),
        ([put("1"), DELETE], None),
        ([DELETE, put("2")], "2"),
        ([put("1"), DELETE, put("3")], "3"),
        ([DELETE, put("2"), DELETE], None),
        ([put("2"), put("1")], "1"),
        ([{"PutRequest": {"Item": {**KEY, "v": {"S": "1"}}}}, put("2"), {"DeleteRequest": {"Key": KEY}}], None),
        ([DELETE, {"Put": {"TableName": "orders-table", "Item": {**KEY, "v": {"S": "2"}}}}], "2"),
    ],
)
def test_the_last_operation_to_arrive_decides(operations: list[Any], left: str | None, in_one_message: bool) -> None:
    world = World()
    world.run(put("before"))

    outcome = world.run(operations) if in_one_message else world.run(*operations)

    assert value_of(world) == left
    assert [call.error for call in world.db.calls] == [None, None]  # One call each: never twice in a batch.
    assert len(outcome.operations.written) == 1
    assert len(outcome.operations.superseded) == len(operations) - 1
    assert outcome.item_failures == []


def test_arrival_order_counts_inside_request_items_that_name_one_table_twice() -> None:
    world = World()
    first, second = ({"PutRequest": {"Item": {**KEY, "v": {"S": value}}}} for value in ("1", "2"))

    world.run({"RequestItems": {"orders-table": [first], "orders": [second]}})

    assert value_of(world) == "2"


def test_other_items_between_do_not_change_the_order() -> None:
    world = World()
    others = [{"put": {"pk": f"other-{n}"}} for n in range(60)]

    world.run([put("1"), *others[:30]], DELETE, *others[30:], put("2"))

    assert value_of(world) == "2"
    assert len(world.db.items("orders-table")) == 61


def test_a_superseded_message_is_acknowledged_once_the_later_write_is_done() -> None:
    world = World()

    outcome = world.run(put("1"), put("2"))

    assert [message.id for message in outcome.written] == [message.id for message in outcome.received]
    assert world.sqs.messages(world.queue_url) == []


@pytest.mark.parametrize("later", [put("2"), DELETE], ids=["put", "delete"])
def test_a_superseded_message_is_returned_with_the_later_write(later: Any) -> None:
    world = World()
    world.db.always(UnprocessedIf(lambda _table, request: "other" not in str(request)))
    ids = world.send(put("1"), later, {"put": {"pk": "other"}})

    outcome = world.invoke(world.receive())

    assert {failure["itemIdentifier"] for failure in outcome.item_failures} == set(ids[:2])
    assert [message.id for message in outcome.written] == [ids[2]]
    assert {message["MessageId"] for message in world.sqs.messages(world.queue_url)} == set(ids[:2])


def test_a_message_is_returned_whole_where_one_of_its_operations_shares_a_fate_that_is_open() -> None:
    world = World()
    world.db.always(UnprocessedIf(sends('"2"')))
    ids = world.send([{"put": {"pk": "b"}}, put("1")], [{"put": {"pk": "c"}}, put("2")], {"put": {"pk": "d"}})

    outcome = world.invoke(world.receive())

    assert {failure["itemIdentifier"] for failure in outcome.item_failures} == set(ids[:2])
    assert {item["pk"]["S"] for item in world.db.items("orders-table")} == {"b", "c", "d"}


def test_the_first_of_three_shares_the_fate_of_the_last() -> None:
    world = World()
    world.db.always(UnprocessedIf(sends('"3"')))
    ids = world.send(put("1"), put("2"), put("3"), {"put": {"pk": "other"}})

    outcome = world.invoke(world.receive())

    assert {failure["itemIdentifier"] for failure in outcome.item_failures} == set(ids[:3])


def test_an_operation_is_applied_after_all_where_the_service_rejects_the_later_one() -> None:
    world = World()
    world.db.reject_if(sends("poison"))
    ids = world.send(put("good"), put("poison"))

    drain(world)

    assert value_of(world) == "good"
    assert world.reasons() == ["RejectedByDynamoDB"]
    assert [letter["MessageAttributes"]["SourceMessageId"]["StringValue"] for letter in world.letters()] == ids[1:]


def test_an_operation_is_never_acknowledged_unwritten_where_the_service_rejects_the_later_one() -> None:
    world = World()
    world.db.reject_if(sends("poison"))
    world.db.always(UnprocessedIf(sends("good")))
    ids = world.send(put("good"), put("poison"))

    outcome = world.invoke(world.receive())

    assert ids[0] in {failure["itemIdentifier"] for failure in outcome.item_failures}
    assert value_of(world) is None


def test_of_three_the_second_is_applied_where_the_service_rejects_the_last() -> None:
    world = World()
    world.db.reject_if(sends("poison"))
    world.send(put("1"), DELETE, put("3"), put("poison"))

    drain(world)

    assert value_of(world) == "3"
    assert world.reasons() == ["RejectedByDynamoDB"]


def test_two_rejected_operations_uncover_the_one_before_them() -> None:
    world = World()
    world.db.reject_if(sends("poison"))
    world.send([put("1"), put("2")], put("poison-1"), put("poison-2"))

    drain(world)

    assert value_of(world) == "2"
    assert world.reasons() == ["RejectedByDynamoDB"] * 2


def test_a_message_whose_own_later_operation_is_rejected_keeps_the_earlier_one() -> None:
    world = World()
    world.db.reject_if(sends("poison"))
    world.send([put("good"), put("poison")])

    drain(world)

    assert value_of(world) == "good"
    [letter] = world.letters()
    assert "poison" in letter["Body"]
    assert "good" not in letter["Body"]


def test_a_bad_operation_supersedes_nothing() -> None:
    world = World()

    world.run(put("good"), '{"put": {"pk": "a", "v": 1e999}}', {"delete": {"pk": "a", "v": "x"}})

    assert value_of(world) == "good"
    assert sorted(world.reasons()) == ["InvalidNumber", "UnexpectedKeyAttribute"]


def drain(world: World) -> None:
    """Redelivers what is returned until nothing is; a few times must do."""
    for _ in range(3):
        if not (records := world.receive()):
            return
        world.invoke(records)
        world.clock.sleep(1000)
    assert world.receive() == []
