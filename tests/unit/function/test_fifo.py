"""FIFO queues: order inside a message group, groups side by side, and a first failure that holds its group."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import count
from random import Random
from typing import Any

import pytest

from functions.batch_writer.pipeline import Outcome
from sluice.message.errors import NothingWrittenError
from tests.fakes import (
    ConnectionLost,
    Delay,
    Fault,
    Refusal,
    ServerError,
    Throttle,
    Timeout,
    Unprocessed,
    UnprocessedIf,
)
from tests.world import Overlapping, World

BAD: dict[str, Any] = {"put": {}}


def fifo(**more: Any) -> World:
    return World(fifo=True, **more)


def put(pk: str, **more: Any) -> dict[str, Any]:
    return {"put": {"pk": pk, **more}}


def add_one(pk: str) -> dict[str, Any]:
    return {"update": {"pk": pk}, "expression": "ADD n :one", "values": {":one": 1}}


def handle(world: World, messages: Iterable[tuple[str, Any]], time_left: float = 30.0) -> Outcome:
    """Send each body to its group, in this order, and handle them all in one invocation."""
    for group, body in messages:
        world.send(body, group=group)
    return world.invoke(world.receive(), time_left)


def busy(text: str) -> UnprocessedIf:
    """Keeps every request with this text from being written."""
    return UnprocessedIf(lambda _, request: text in str(request))


def places(outcome: Outcome) -> dict[str, list[int]]:
    """Positions of the messages by what became of them."""
    order = {message.id: position for position, message in enumerate(outcome.received)}
    return {
        name: [order[message.id] for message in messages]
        for name, messages in (
            ("written", outcome.written),
            ("dead-lettered", outcome.dead_lettered),
            ("returned", outcome.returned),
        )
        if messages
    }


def sent(world: World) -> str:
    return str([call.kwargs for call in world.db.calls])


def keys_of_batches(world: World) -> list[list[str]]:
    return [
        [request["PutRequest"]["Item"]["pk"]["S"] for request in call.kwargs["RequestItems"]["orders-table"]]
        for call in world.db.calls_of("BatchWriteItem")
    ]


# Order, and side by side


def test_groups_go_side_by_side_in_common_batches() -> None:
    world = fifo()

    outcome = handle(world, [(f"group{g}", put(f"{g}-{n}")) for n in range(3) for g in range(25)])

    assert keys_of_batches(world) == [[f"{g}-{n}" for g in range(25)] for n in range(3)]
    assert outcome.written == outcome.received


def test_the_operations_of_one_message_go_together() -> None:
    world = fifo()

    handle(
        world, [("a", [put(f"a{n}") for n in range(10)]), ("b", [put(f"b{n}") for n in range(10)]), ("a", put("last"))]
    )

    assert [sorted(keys) for keys in keys_of_batches(world)] == [
        sorted([*(f"a{n}" for n in range(10)), *(f"b{n}" for n in range(10))]),
        ["last"],
    ]


def test_order_is_kept_in_a_group_on_one_item() -> None:
    world = fifo()
    if_old = {"condition": "v = :old", "values": {":old": "old"}}

    outcome = handle(
        world,
        [
            ("a", put("x", v="old")),
            ("a", {**put("x", v="new"), **if_old}),
            ("a", add_one("x")),
            ("a", {"delete": {"pk": "x"}, **if_old}),
            ("a", add_one("x")),
        ],
    )

    assert world.item("x") == {"v": {"S": "new"}, "n": {"N": "2"}}
    assert world.writes() == ["BatchWriteItem", "PutItem", "UpdateItem", "DeleteItem", "UpdateItem"]
    assert len(outcome.operations.conditions_failed) == 1
    assert outcome.written == outcome.received


FAULTS: list[Fault | None] = [
    None,
    None,
    Throttle(),
    ServerError(),
    ServerError(applied=True),
    ConnectionLost(applied=True),
    Timeout(),
    Refusal("SomethingNew"),
    Unprocessed(1),
    Unprocessed(3),
]


@pytest.mark.parametrize("seed", range(30))
def test_no_message_reaches_the_table_before_all_earlier_ones_of_its_group_are_done(seed: int) -> None:
    chance = Random(seed)
    world = fifo()
    too_early: list[str] = []
    log: set[str] = set()

    def observe(_: str, request: Any) -> bool:
        # What has arrived is looked at before it is applied: every earlier place of its group must be in the table.
        [action] = request.values()
        name = (action.get("Item") or action["Key"])["pk"]["S"]
        group, place = name.split("-")[:2]
        there = {item["pk"]["S"].rsplit("-", 1)[0] for item in world.db.items("orders-table")}
        too_early.extend(name for earlier in range(int(place)) if f"{group}-{earlier}" not in there)
        log.add(name)
        return False

    world.db.reject_if(observe)
    world.db.script(*chance.choices(FAULTS, k=30))
    next_place = {f"g{n}": count() for n in range(4)}

    def body(name: str) -> Any:
        conditional = {"condition": "attribute_not_exists(pk)"}
        kinds = [put(f"{name}-0"), add_one(f"{name}-0"), {**put(f"{name}-0"), **conditional}]
        return chance.choice([*kinds, [put(f"{name}-0")]])

    groups = chance.choices(list(next_place), k=20)
    outcome = handle(world, [(group, body(f"{group}-{next(next_place[group])}")) for group in groups], time_left=300.0)

    assert too_early == []
    assert len(log) == 20
    assert outcome.written == outcome.received


@pytest.mark.parametrize("seed", range(30))
def test_over_several_invocations_each_item_ends_as_if_there_had_been_no_trouble(seed: int) -> None:
    chance = Random(seed)
    world = fifo()
    messages: list[tuple[str, Any]] = []
    expected: dict[str, int] = {}
    for number in range(20):
        group = chance.choice("abc")
        pks = chance.sample(["1", "2", "3"], k=chance.randint(1, 2))
        messages.append((group, [put(group + pk, v=number) for pk in pks]))
        expected |= {group + pk: number for pk in pks}
    for group, body in messages:
        world.send(body, group=group)

    for _ in range(100):
        if not world.sqs.messages(world.queue_url):
            break
        world.db.script(*chance.choices(FAULTS, k=3))
        fault = chance.choice([None, Throttle(), ServerError(applied=True), busy(chance.choice("abc") + "1")])
        world.db.always(fault)
        world.clock.sleep(1000)
        world.invoke(world.receive(chance.randint(1, 10)), time_left=8.0)

    stored = {item["pk"]["S"]: int(item["v"]["N"]) for item in world.db.items("orders-table")}
    assert world.sqs.messages(world.queue_url) == []
    assert stored == expected


def test_superseding_stays_inside_a_message() -> None:
    world = fifo()

    outcome = handle(
        world, [("a", [put("x", v=1), add_one("x"), put("x", v=2)]), ("a", put("x", v=3)), ("b", put("x2", v=4))]
    )

    assert [len(keys) for keys in keys_of_batches(world)] == [2, 1]
    assert len(outcome.operations.superseded) == 2
    assert len(outcome.operations.written) == 3
    assert world.item("x") == {"v": {"N": "3"}}


def test_two_groups_may_write_one_item() -> None:
    world = fifo()

    outcome = handle(world, [("a", put("x", v="a")), ("b", put("x", v="b")), ("b", add_one("x")), ("a", add_one("x"))])

    item = world.item("x")
    assert outcome.written == outcome.received
    assert not outcome.operations.superseded
    assert item is not None
    assert item["v"]["S"] in ("a", "b")


# The first that is returned holds its group


def test_the_first_returned_message_holds_all_later_ones_of_its_group() -> None:
    world = fifo()
    world.db.always(busy("stuck"))

    outcome = handle(
        world,
        [
            ("a", put("a0")),
            ("b", put("b0")),
            ("a", put("stuck")),
            ("a", put("held1")),
            ("b", put("b1")),
            ("a", add_one("held2")),
            ("a", BAD),
            ("a", [put("held3"), BAD]),
            ("b", add_one("b2")),
        ],
    )

    assert places(outcome) == {"written": [0, 1, 4, 8], "returned": [2, 3, 5, 6, 7]}
    assert "held" not in sent(world)
    assert world.letters() == []
    assert len(world.db.items("orders-table")) == 4


@pytest.mark.parametrize("stuck", ["UpdateItem", "PutItem"])
def test_a_single_write_that_is_returned_holds_its_group(stuck: str) -> None:
    world = fifo()
    world.db.always(Throttle(), operation=stuck)
    conditional = {**put("x"), "condition": "attribute_not_exists(pk)"}

    outcome = handle(
        world, [("a", add_one("x") if stuck == "UpdateItem" else conditional), ("a", put("held")), ("b", put("y"))]
    )

    assert places(outcome) == {"written": [2], "returned": [0, 1]}
    assert "held" not in sent(world)


def test_a_message_that_is_written_in_part_holds_its_group() -> None:
    world = fifo()
    world.db.always(busy("stuck"))

    outcome = handle(world, [("a", [put("x"), put("stuck")]), ("a", put("held")), ("b", put("y"))])

    assert places(outcome) == {"written": [2], "returned": [0, 1]}
    assert "held" not in sent(world)


@pytest.mark.parametrize("lasting", [Throttle(), ServerError(), ConnectionLost()], ids=repr)
def test_where_every_group_is_held_nothing_is_written(lasting: Fault) -> None:
    world = fifo()
    world.db.always(lasting)

    outcome = handle(world, [("a", put("x")), ("a", put("held"))])

    assert isinstance(outcome.error, NothingWrittenError)
    assert places(outcome) == {"returned": [0, 1]}
    assert "held" not in sent(world)


def test_a_slow_item_does_not_hold_another_group() -> None:
    calls = Overlapping()
    world = fifo(clock=calls.clock, executor=calls.executor)
    world.db.script(Delay(float("inf"), calls), operation="UpdateItem")
    world.db.always(Delay(0.5, calls))

    outcome = handle(
        world,
        [
            ("slow", add_one("x")),
            ("slow", put("held")),
            *(("quick", put(f"q{n}")) for n in range(8)),
            ("c", add_one("y")),
        ],
    )

    assert places(outcome) == {"written": [*range(2, 11)], "returned": [0, 1]}
    assert "held" not in sent(world)


def test_a_standard_queue_with_message_groups_keeps_no_order() -> None:
    world = World()
    world.db.always(busy("stuck"))
    for pk in ("stuck", "b", "c"):
        world.sqs.send_message(QueueUrl=world.queue_url, MessageBody=json.dumps(put(pk)), MessageGroupId="tenant")

    outcome = world.invoke(world.receive())

    assert places(outcome) == {"written": [1, 2], "returned": [0]}


# Dead letters


@pytest.mark.parametrize("bad", [BAD, "{", [BAD, BAD], put("poison"), [put("poison"), put("good")]], ids=str)
def test_a_dead_lettered_message_counts_as_done(bad: Any) -> None:
    world = fifo()
    world.db.reject_if(lambda _, request: "poison" in str(request))

    outcome = handle(world, [("a", put("x", v=1)), ("a", bad), ("a", put("x", v=2)), ("a", add_one("x"))])

    assert places(outcome) == {"written": [0, 2, 3], "dead-lettered": [1]}
    assert world.item("x") == {"v": {"N": "2"}, "n": {"N": "1"}}


def test_a_failed_condition_counts_as_done_dead_lettered_or_not() -> None:
    failing = {**put("x"), "condition": "attribute_exists(pk)"}
    for on_condition_failed, fate in (("skip", "written"), ("dead-letter", "dead-lettered")):
        world = fifo(settings={"on_condition_failed": on_condition_failed})

        outcome = handle(world, [("a", failing), ("a", put("y"))])

        assert places(outcome) == ({"written": [0, 1]} if fate == "written" else {"written": [1], "dead-lettered": [0]})
        assert world.item("y") == {}


def test_a_dead_letter_that_cannot_be_sent_returns_its_message_and_all_later_ones_of_its_group() -> None:
    world = fifo()
    world.sqs.fail_entries("SendMessageBatch", lambda entry: "unsendable" in entry["MessageBody"])

    outcome = handle(
        world,
        [
            ("a", put("a0")),
            ("a", {"unsendable": 1}),
            ("b", BAD),
            ("a", put("a1")),
            ("b", put("b1")),
        ],
    )

    assert places(outcome) == {"written": [0, 4], "dead-lettered": [2], "returned": [1, 3]}


def test_a_bad_message_without_a_dead_letter_queue_holds_its_group() -> None:
    world = fifo(dead_letters=False)

    outcome = handle(world, [("a", put("x")), ("a", BAD), ("a", put("held")), ("b", put("y"))])

    assert places(outcome) == {"written": [0, 3], "returned": [1, 2]}
    assert "held" not in sent(world)


def test_no_dead_letter_overtakes_the_group() -> None:
    world = fifo()
    world.db.always(busy("stuck"))

    handle(world, [("a", put("stuck")), ("a", BAD), ("b", BAD)])

    assert len(world.letters()) == 1


def test_dead_letters_of_a_fifo_queue_keep_their_group_and_are_not_lost_as_duplicates() -> None:
    world = fifo(fifo_dead_letters=True)

    outcome = handle(world, [("a", BAD), ("b", BAD), ("a", BAD), ("b", put("x"))])

    assert places(outcome) == {"written": [3], "dead-lettered": [0, 1, 2]}
    assert [letter["Attributes"]["MessageGroupId"] for letter in world.letters()] == ["a", "b", "a"]
    assert len({letter["Attributes"]["MessageDeduplicationId"] for letter in world.letters()}) == 3


@pytest.mark.parametrize("losses", [1, 2])
def test_a_dead_letter_that_is_sent_again_at_once_is_one_letter_in_a_fifo_queue(losses: int) -> None:
    world = fifo(fifo_dead_letters=True)
    world.sqs.script(*[ConnectionLost(applied=True)] * losses, operation="SendMessageBatch")

    first = handle(world, [("a", BAD)])
    world.clock.sleep(10)
    second = world.invoke(world.receive())

    assert places(first) == ({"dead-lettered": [0]} if losses == 1 else {"returned": [0]})
    assert places(second) == ({} if losses == 1 else {"dead-lettered": [0]})
    assert len(world.letters()) == 1


# Visibility


def test_returned_messages_of_a_group_come_back_together() -> None:
    ticks = count()
    world = fifo(chance=lambda: (next(ticks) * 0.37) % 1)
    world.db.always(busy("stuck"))
    for receives in range(4):
        for group in "abc":
            world.send(put(f"stuck{group}{receives}"), group=group)
        world.invoke(world.receive())
        world.clock.sleep(1000)
    world.sqs.visibility_changes.clear()

    outcome = world.invoke(world.receive())

    group_of = {message.record["receiptHandle"]: message.group for message in outcome.returned}
    seconds: dict[str | None, list[int]] = {}
    for handle_, value in world.sqs.visibility_changes:
        seconds.setdefault(group_of[handle_], []).append(value)
    assert {group: len(values) for group, values in seconds.items()} == {"a": 4, "b": 4, "c": 4}
    assert all(len(set(values)) == 1 for values in seconds.values())
    assert len({values[0] for values in seconds.values()}) > 1
