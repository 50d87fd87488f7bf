"""`skip_unchanged`: what stands in the table already is not written again, and nothing else is left out or held up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from functions.batch_writer.pipeline import Outcome
from sluice.writing.unchanged import MAX_HELD, MAX_SECONDS
from tests.fakes import (
    Capacity,
    ConnectionLost,
    Delay,
    Fault,
    Refusal,
    ServerError,
    Throttle,
    Timeout,
    Unprocessed,
    UnprocessedIf,
    Unreadable,
)
from tests.world import BLOBS, EVENTS, ORDERS, VERSIONED, Overlapping, World

READ, WRITE = "BatchGetItem", "BatchWriteItem"
SKIPPING = tuple(replace(table, skip_unchanged=True) for table in (ORDERS, EVENTS, BLOBS))
NEWEST = replace(VERSIONED, skip_unchanged=True)

both_ways = pytest.mark.usefixtures("both_ways")


def world(**given: Any) -> World:
    return World(**{"tables": SKIPPING, **given})


def put(pk: str, **attributes: Any) -> dict[str, Any]:
    return {"put": {"pk": pk, **attributes}}


def store(here: World, item: dict[str, Any], table: str = "orders-table") -> None:
    here.db.put_item(TableName=table, Item=item)
    here.db.calls.clear()


def stored_puts(here: World, count: int) -> list[Any]:
    """Messages whose items stand in the table already."""
    for number in range(count):
        here.db.put_item(TableName="orders-table", Item={"pk": {"S": f"a{number}"}, "n": {"N": "1"}})
    here.db.calls.clear()
    return [put(f"a{number}", n=1) for number in range(count)]


def unchanged(outcome: Outcome) -> set[Any]:
    return {operation.key[1] for operation in outcome.operations.unchanged}


def written_keys(here: World) -> set[str]:
    """The keys of table orders that were sent to be written."""
    return {
        (request.get("PutRequest", {}).get("Item") or request["DeleteRequest"]["Key"])["pk"]["S"]
        for call in here.db.calls_of(WRITE)
        for request in call.kwargs["RequestItems"]["orders-table"]
    }


# What is skipped


@both_ways
def test_an_equal_item_is_not_written_and_counts_as_written() -> None:
    here = world()
    store(here, {"pk": {"S": "a"}, "n": {"N": "1.5"}, "s": {"SS": ["x", "y"]}, "b": {"B": b"\x00\xff"}})

    outcome = here.run(
        {"Put": {"Item": {"pk": {"S": "a"}, "s": {"SS": ["y", "x"]}, "n": {"N": "15E-1"}, "b": {"B": "AP8="}}}}
    )

    assert here.writes() == [READ]
    assert unchanged(outcome) == {"a"}
    assert len(outcome.written) == 1
    assert here.db.consumed["orders-table"] == 1  # By what was stored before.


@both_ways
@pytest.mark.parametrize(
    "item",
    [{"n": 2}, {"n": "1"}, {}, {"n": 1, "more": None}, {"n": [1]}],
    ids=["another value", "another type", "absent", "one more", "in a list"],
)
def test_an_item_that_differs_in_anything_is_written(item: dict[str, Any]) -> None:
    here = world()
    store(here, {"pk": {"S": "a"}, "n": {"N": "1"}})

    outcome = here.run(put("a", **item))

    assert here.writes() == [READ, WRITE]
    assert not outcome.operations.unchanged
    assert len(outcome.written) == 1
    assert ("n" in (here.item() or {})) == ("n" in item)


@both_ways
def test_a_delete_of_what_is_not_there_is_skipped_and_any_other_is_not() -> None:
    here = world()
    store(here, {"pk": {"S": "there"}})

    outcome = here.run({"delete": {"pk": "there"}}, {"delete": {"pk": "gone"}})

    assert unchanged(outcome) == {"gone"}
    assert written_keys(here) == {"there"}
    assert len(outcome.written) == 2
    assert not here.db.items("orders-table")


@both_ways
def test_items_are_matched_by_keys_of_every_type_in_whatever_order_they_come() -> None:
    here = world()
    store(here, {"pk": {"S": "e"}, "sk": {"N": "1.50"}, "x": {"N": "1"}}, "events-table")
    store(here, {"pk": {"S": "e"}, "sk": {"N": "2"}, "x": {"N": "2"}}, "events-table")
    store(here, {"id": {"B": b"\xff\x00"}, "x": {"N": "3"}}, "blobs-table")

    outcome = here.run(
        {"put": {"pk": "e", "sk": 2.0, "x": 2}, "table": "events"},
        {"put": {"pk": "e", "sk": 15e-1, "x": 1}, "table": "events"},
        {"put": {"pk": "e", "sk": 3, "x": 1}, "table": "events"},
        {"Put": {"TableName": "blobs", "Item": {"id": {"B": "/wA="}, "x": {"N": "3"}}}},
    )

    assert len(outcome.operations.unchanged) == 3
    assert len(outcome.written) == 4
    assert here.db.consumed["events-table"] == 3


def test_a_key_padded_with_more_zeros_than_dynamodb_takes_is_read_by_its_value() -> None:
    here = world()
    store(here, {"pk": {"S": "e"}, "sk": {"N": "1"}}, "events-table")

    outcome = here.run(f'{{"put": {{"pk": "e", "sk": 1.{"0" * 60}}}, "table": "events"}}')

    assert len(outcome.operations.unchanged) == 1


def test_reads_are_strongly_consistent() -> None:
    here = world()
    store(here, {"pk": {"S": "a"}, "n": {"N": "1"}})
    store(here, {"pk": {"S": "a"}, "n": {"N": "2"}})

    outcome = here.run(put("a", n=1))

    assert not outcome.operations.unchanged
    assert here.item() == {"n": {"N": "1"}}


def test_a_table_that_is_not_so_set_is_never_read() -> None:
    here = world(tables=(ORDERS, SKIPPING[1]))

    here.run(put("a"), {"put": {"pk": "e", "sk": 1}, "table": "events"})

    assert [set(call.kwargs["RequestItems"]) for call in here.db.calls_of(READ)] == [{"events-table"}]


def test_updates_and_conditional_writes_are_never_read() -> None:
    here = world()
    store(here, {"pk": {"S": "a"}, "n": {"N": "1"}})

    here.run(
        {"put": {"pk": "a", "n": 1}, "condition": "n = :n", "values": {":n": 1}},
        {"update": {"pk": "b"}, "expression": "SET n = :n", "values": {":n": 1}},
    )

    assert READ not in here.writes()


# Versions


@both_ways
@pytest.mark.parametrize(
    ("sent", "is_unchanged", "is_stale"),
    [
        (put("a", v=2, mark="old"), True, False),
        (put("a", v=2, mark="new"), False, True),
        (put("a", v=1, mark="new"), False, True),
        (put("a", v=3, mark="new"), False, False),
        ({"delete": {"pk": "a"}, "version": 2}, False, True),
        ({"delete": {"pk": "a"}, "version": 3}, False, False),
        ({"delete": {"pk": "b"}, "version": 1}, True, False),
        (put("b", v=1), False, False),
    ],
)
def test_with_versions_equal_and_stale_ones_are_told_by_reading(sent: Any, is_unchanged: bool, is_stale: bool) -> None:
    here = world(tables=(NEWEST,), settings={"on_condition_failed": "dead-letter"})
    store(here, {"pk": {"S": "a"}, "v": {"N": "2"}, "mark": {"S": "old"}})

    outcome = here.run(sent)

    assert bool(outcome.operations.unchanged) == is_unchanged
    assert bool(outcome.operations.conditions_failed) == is_stale
    assert (here.writes() == [READ]) == (is_unchanged or is_stale)
    assert len(outcome.written) == 1
    assert not here.letters()


def test_a_condition_beside_the_version_is_left_to_dynamodb() -> None:
    here = world(tables=(NEWEST,))
    store(here, {"pk": {"S": "a"}, "v": {"N": "2"}})

    here.run({**put("a", v=2), "condition": "attribute_exists(pk)"})

    assert here.writes() == ["PutItem"]


@pytest.mark.parametrize("held", [{"S": "9"}, {"NULL": True}, {"M": {}}], ids=str)
def test_a_stored_version_of_another_type_is_judged_as_dynamodb_does(held: dict[str, Any]) -> None:
    here, plainly = world(tables=(NEWEST,)), World(tables=(VERSIONED,))
    for each in (here, plainly):
        store(each, {"pk": {"S": "a"}, "v": held})

    outcomes = [each.run(put("a", v=2)) for each in (here, plainly)]

    assert [len(outcome.operations.conditions_failed) for outcome in outcomes] == [1, 1]
    assert here.writes() == [READ]


# Order on one item


def test_the_last_of_several_puts_is_compared_and_those_before_it_are_superseded() -> None:
    here = world()
    store(here, {"pk": {"S": "a"}, "n": {"N": "2"}})

    outcome = here.run(put("a", n=1), put("a", n=2))

    assert here.writes() == [READ]
    assert (len(outcome.operations.written), len(outcome.operations.superseded)) == (1, 1)
    assert here.item() == {"n": {"N": "2"}}


def test_an_item_is_read_only_when_what_came_before_is_done() -> None:
    here = world()
    store(here, {"pk": {"S": "a"}, "n": {"N": "1"}})
    update = {"update": {"pk": "a"}, "expression": "SET n = :n", "values": {":n": 2}}

    outcome = here.run(update, put("a", n=1))

    # A put supersedes what came before it; of an update behind it the order is the other way round.
    assert unchanged(outcome) == {"a"}
    here.db.calls.clear()
    outcome = here.run(put("a", n=1), update, put("b", n=1))
    assert here.writes() == [READ, "UpdateItem", WRITE] or here.writes() == [READ, WRITE, "UpdateItem"]
    assert here.item() == {"n": {"N": "2"}}


def test_on_a_fifo_queue_each_message_reads_what_the_one_before_has_left() -> None:
    here = world(fifo=True, fifo_dead_letters=True)
    store(here, {"pk": {"S": "a"}, "n": {"N": "1"}})

    outcome = here.run(put("a", n=1), put("a", n=2), put("a", n=1), {"delete": {"pk": "a"}}, {"delete": {"pk": "a"}})

    assert here.writes() == [READ, READ, WRITE, READ, WRITE, READ, WRITE, READ]
    assert len(outcome.operations.unchanged) == 2
    assert len(outcome.written) == 5
    assert here.item() is None


# What goes wrong


FAULTS: dict[str, Fault] = {
    "throttled": Throttle(reason="TableReadProvisionedThroughputExceeded"),
    "500": ServerError(),
    "connection lost": ConnectionLost(),
    "timeout": Timeout(),
    "unreadable": Unreadable(),
    "denied": Refusal("AccessDeniedException", "not authorized to perform: dynamodb:BatchGetItem"),
    "refused": Refusal("ValidationException", "no"),
    "no such table": Refusal("ResourceNotFoundException", "no"),
    "all unprocessed": Unprocessed(100),
}


@both_ways
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_cannot_be_read_is_written(fault: Fault) -> None:
    here = world()
    bodies = stored_puts(here, 10)
    here.db.always(fault, READ)

    outcome = here.run(*bodies, {"delete": {"pk": "gone"}})

    assert len(outcome.written) == 11
    assert outcome.error is None
    assert not outcome.operations.unchanged
    assert written_keys(here) == {*(f"a{number}" for number in range(10)), "gone"}
    assert len(outcome.operations.reads_failed) == 1


def test_a_table_that_refuses_reads_is_asked_less_and_less_and_all_is_written() -> None:
    here = world()
    bodies = stored_puts(here, 10)
    here.db.always(Throttle(), READ)

    for _ in range(50):
        assert len(here.run(*bodies).written) == 10

    assert len(here.db.calls_of(READ)) == 1  # Less than a second has passed.
    here.clock.sleep(1.5)
    here.run(*bodies)
    here.clock.sleep(1.5)
    here.run(*bodies)
    assert len(here.db.calls_of(READ)) == 2


def test_only_those_that_came_back_unprocessed_are_written() -> None:
    here = world()
    bodies = stored_puts(here, 10)
    here.db.script(UnprocessedIf(lambda _, request: "'a3'" in str(request)), operation=READ)

    outcome = here.run(*bodies, {"delete": {"pk": "gone"}})

    assert written_keys(here) == {"a3"}
    assert len(outcome.operations.unchanged) == 10
    assert len(outcome.written) == 11


def test_a_delete_whose_key_came_back_unprocessed_is_not_taken_for_one_of_what_is_not_there() -> None:
    here = world()
    store(here, {"pk": {"S": "a"}})
    here.db.script(Unprocessed(1), operation=READ)

    here.run({"delete": {"pk": "a"}})

    assert here.item() is None


@pytest.mark.parametrize("dead_letters", [True, False])
def test_access_that_is_denied_to_reads_alone_returns_nothing(dead_letters: bool) -> None:
    here = world(dead_letters=dead_letters)
    here.db.deny_if(lambda _, request: "Get" in request, "not authorized to perform: dynamodb:BatchGetItem")

    outcome = here.run(put("a"))

    assert (len(outcome.written), outcome.error) == (1, None)
    assert outcome.operations.reads_failed == ["AccessDeniedException"]


def test_a_table_that_takes_no_write_is_at_fault_even_where_the_unchanged_are_skipped() -> None:
    here = world()
    bodies = stored_puts(here, 10)
    here.db.reject_if(lambda *_: True, "One or more parameter values were invalid: no writes")

    outcome = here.run(*bodies, put("b"), put("c"))

    assert outcome.error is not None
    assert not here.letters()


# Time


def slow(calls: Overlapping, seconds: float, **given: Any) -> World:
    """Every read takes so long."""
    here = world(clock=calls.clock, executor=calls.executor, **given)
    bodies = stored_puts(here, 10)
    here.db.always(Delay(seconds, calls), READ)
    here.send(*bodies)
    return here


@both_ways
@pytest.mark.parametrize("seconds", [MAX_SECONDS * 1.1, 20.0, math.inf])
def test_a_read_that_takes_too_long_is_not_waited_for(seconds: float) -> None:
    calls = Overlapping()
    here = slow(calls, seconds)
    began = here.clock()

    outcome = here.invoke(here.receive())

    assert here.clock() - began < MAX_SECONDS + 0.2
    assert len(outcome.written) == 10
    assert not outcome.operations.unchanged
    assert written_keys(here) == {f"a{number}" for number in range(10)}


def test_what_a_late_answer_says_is_not_heard() -> None:
    calls = Overlapping()
    here = slow(calls, MAX_SECONDS * 1.1)
    here.db.always(Delay(1.0, calls), WRITE)

    outcome = here.invoke(here.receive())

    assert not outcome.operations.unchanged
    assert len(outcome.operations.written) == 10


def test_tables_that_are_not_read_are_not_kept_waiting() -> None:
    calls = Overlapping()
    here = slow(calls, 0.4, tables=(SKIPPING[0], EVENTS))
    here.send({"put": {"pk": "e", "sk": 1}, "table": "events"})
    written_at: dict[str, float] = {}

    def note(table: str, _: Any) -> bool:
        written_at.setdefault(table, here.clock())
        return False

    here.db.put_item(TableName="orders-table", Item={"pk": {"S": "a0"}, "n": {"N": "2"}})  # Not as it is sent.
    here.db.reject_if(note)
    began = here.clock()

    here.invoke(here.receive())

    assert written_at["events-table"] - began < 0.1
    assert written_at["orders-table"] - began >= 0.4


def test_slow_reads_hold_a_large_event_for_a_short_time_only() -> None:
    calls = Overlapping()
    here = world(clock=calls.clock, executor=calls.executor)
    bodies = stored_puts(here, 3_000)
    here.run(*bodies[:100])  # It is known then that reads pay.
    here.db.always(Delay(0.45, calls), READ)
    began = here.clock()

    outcome = here.run(*bodies)

    assert len(outcome.written) == 3_000
    assert here.clock() - began < MAX_HELD + MAX_SECONDS + 1.0


def test_shortly_before_the_deadline_nothing_is_read_any_more() -> None:
    here = world()
    bodies = stored_puts(here, 10)

    outcome = here.run(*bodies, time_left=5.0 + 0.9 * MAX_SECONDS)

    assert here.writes() == [WRITE]
    assert len(outcome.written) == 10


# Limits


def test_a_read_has_at_most_a_hundred_keys() -> None:
    here = world()
    bodies = stored_puts(here, 1_000)
    here.run(*bodies[:50])
    here.db.calls.clear()

    outcome = here.run(*bodies)

    keys = [len(call.kwargs["RequestItems"]["orders-table"]["Keys"]) for call in here.db.calls_of(READ)]
    assert max(keys) == 100
    assert len(outcome.operations.unchanged) == 1_000


def test_large_items_are_read_a_few_at_a_time() -> None:
    here = world()
    bodies = [put(f"a{number}", text="x" * 100_000) for number in range(12)]
    for body in bodies:
        here.db.put_item(TableName="orders-table", Item={"pk": {"S": body["put"]["pk"]}, "text": {"S": "x" * 100_000}})
    here.db.calls.clear()

    outcome = here.run(*bodies)

    assert [len(call.kwargs["RequestItems"]["orders-table"]["Keys"]) for call in here.db.calls_of(READ)] == [2] * 6
    assert len(outcome.operations.unchanged) == 12


def test_where_only_so_many_may_be_read_the_others_are_written() -> None:
    here = world()
    bodies = stored_puts(here, 200)
    here.db.limit_reads("orders-table", Capacity(10, 1.0, here.clock))

    outcome = here.run(*bodies)

    assert len(outcome.written) == 200
    assert 0 < len(outcome.operations.unchanged) <= 20
    assert here.db.consumed_by_reads["orders-table"] <= 20


# What it costs


def cost(share: float, attribute: str, count: int = 4_000, per_event: int = 200) -> tuple[float, float]:
    """Write units with and without: of each event a share is unchanged."""
    totals = []
    for tables in (SKIPPING, (ORDERS,)):
        here = World(tables=tables)
        for number in range(per_event):
            here.db.put_item(TableName="orders-table", Item={"pk": {"S": f"a{number}"}, "t": {"S": attribute}})
        here.db.consumed["orders-table"] = 0
        changed = {n for n in range(per_event) if n * 7919 % 100 >= share * 100}
        for event in range(count // per_event):
            here.run(*[put(f"a{n}", t=attribute, **({"e": event} if n in changed else {})) for n in range(per_event)])
        totals.append(here.db.consumed["orders-table"] + 0.2 * here.db.consumed_by_reads["orders-table"])
    return totals[0], totals[1]


@pytest.mark.parametrize(
    ("share", "attribute", "most"),
    [(0.0, "", 1.03), (0.9, "", 0.35), (0.9, "x" * 3_500, 0.2), (0.1, "x" * 3_500, 1.0)],
    ids=["nothing unchanged", "most unchanged", "most unchanged, 4 KB", "a tenth unchanged, 4 KB"],
)
def test_it_costs_what_was_promised(share: float, attribute: str, most: float) -> None:
    with_reads, without = cost(share, attribute)

    assert with_reads <= most * without


def test_what_is_known_is_kept_for_the_next_invocation() -> None:
    here = world()
    bodies: Callable[[int], list[Any]] = lambda event: [put(f"a{n}", event=event) for n in range(50)]  # noqa: E731

    for event in range(5):
        here.run(*bodies(event))

    assert len(here.db.calls_of(READ)) <= 2  # The first ones have told that it does not pay.
