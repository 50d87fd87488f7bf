"""Whose fault a refusal is: the table's or the settings', a policy's for some items, or the item's own."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Collection
from random import Random
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from functions.batch_writer import metrics as report
from functions.batch_writer.pipeline import Outcome
from sluice.message.errors import TableError
from tests.fakes import Canceled, Refusal, Throttle
from tests.world import EVENTS, ORDERS, World

WORDS = "Transactions are not supported on this table"
DENIED = (
    "User: arn:aws:sts::123456789012:assumed-role/w/w is not authorized to perform: dynamodb:BatchWriteItem on "
    "resource: arn:aws:dynamodb:us-east-1:123456789012:table/orders-table with an explicit deny in a policy"
)
PUTS = [{"put": {"pk": f"a{n}"}} for n in range(30)]
SINGLES: dict[str, list[dict[str, Any]]] = {
    "BatchWriteItem": PUTS,
    "PutItem": [{**put, "condition": "attribute_not_exists(pk)"} for put in PUTS],
    "DeleteItem": [{"delete": put["put"], "condition": "attribute_not_exists(v)"} for put in PUTS],
    "UpdateItem": [{"update": put["put"], "expression": "REMOVE v"} for put in PUTS],
    "TransactWriteItems": [{"update": put["put"], "expression": "REMOVE v"} for put in PUTS],
}
_LOGGERS = itertools.count()  # Powertools keeps one handler, and so one stream, for each name.


def world_for(operation: str, **more: Any) -> World:
    return World(settings={"update_once": operation == "TransactWriteItems"}, **more)


def positions(outcome: Outcome, messages: Collection[Any]) -> list[int]:
    return [number for number, message in enumerate(outcome.received) if message in messages]


def logged(outcome: Outcome, message: str) -> list[dict[str, Any]]:
    """The lines of the log with this message."""
    stream = io.StringIO()
    report.log(Logger(service=f"refusals-{next(_LOGGERS)}", stream=stream), outcome)
    return [line for line in map(json.loads, stream.getvalue().splitlines()) if line["message"] == message]


def deny(world: World, *keys: str) -> None:
    world.db.deny_if(lambda _, request: any(f"'{key}'" in str(request) for key in keys), DENIED)


# The table's or the settings' fault


@pytest.mark.parametrize("fifo", [False, True])
@pytest.mark.parametrize("count", [2, 30])
@pytest.mark.parametrize("code", ["ValidationException", "SerializationException"])
@pytest.mark.parametrize("operation", SINGLES)
def test_a_refusal_of_every_operation_in_the_same_words_raises_and_dead_letters_nothing(
    operation: str, code: str, count: int, fifo: bool
) -> None:
    world = world_for(operation, fifo=fifo)
    world.db.always(Refusal(code, WORDS))

    outcome = world.run(*SINGLES[operation][:count], {"put": {}})

    assert isinstance(outcome.error, TableError)
    for part in (code, WORDS, "orders-table"):
        assert part in str(outcome.error)
    assert outcome.returned == outcome.received
    assert world.letters() == []


@pytest.mark.parametrize("operation", ["BatchWriteItem", "UpdateItem"])
@pytest.mark.parametrize(
    "words",
    [
        "Some new prefix: The provided key element does not match the schema",
        "The table is a replica: One of the required keys was not given a value",
        "Item 1 of 1: One or more parameter values were invalid: Missing the key id in the item",
    ],
)
def test_the_words_about_a_key_schema_behind_a_new_prefix_raise(words: str, operation: str) -> None:
    world = World()
    world.db.always(Refusal("ValidationException", words))

    outcome = world.run(*SINGLES[operation])

    assert isinstance(outcome.error, TableError)
    assert words in str(outcome.error)
    assert world.letters() == []


def test_words_that_differ_in_the_address_of_an_object_alone_are_the_same() -> None:
    world = World()
    numbers = itertools.count(0x3DA0B97F)
    text = "1 validation error detected: Value '{orders=[com.amazonaws.dynamodb.v20120810.WriteRequest@%x]}' at '…'"
    world.db.reject_if(lambda *_: True, lambda _: text % next(numbers))

    outcome = world.run(*PUTS)

    assert isinstance(outcome.error, TableError)
    assert world.letters() == []


def test_what_the_words_quote_of_the_items_is_not_told() -> None:
    world = World()
    words = "Value 'secret-7' of '42' in ['x.y', 'z'] at 'day' is no day"
    world.db.always(Refusal("ValidationException", words))
    item = {"day": "secret-7", "n": 42, "more": ["x.y"]}

    outcome = world.run(*({"put": {"pk": f"a{n}", **item}} for n in range(3)))

    assert "Value '…' of '…' in ['…', 'z'] at 'day' is no day" in str(outcome.error)


def test_words_that_differ_are_the_items_own_fault() -> None:
    world = World()
    world.db.reject_if(lambda *_: True, lambda request: f"wrong in its own way: {request}")

    outcome = world.run(*PUTS[:3])

    assert outcome.dead_lettered == outcome.received
    assert outcome.error is None


def test_the_same_item_twice_is_one_item_and_its_own_fault() -> None:
    world = World()
    world.db.always(Refusal("ValidationException", WORDS))

    outcome = world.run(*[SINGLES["UpdateItem"][0]] * 2)

    assert outcome.dead_lettered == outcome.received


@pytest.mark.parametrize("good", [{"put": {"pk": "good"}}, {"put": {"pk": "x"}, "condition": "attribute_exists(pk)"}])
def test_where_the_table_has_taken_or_judged_another_the_refused_are_dead_lettered(good: Any) -> None:
    world = World()
    world.db.reject_if(lambda _, request: "'a" in str(request), WORDS)

    outcome = world.run(*PUTS[:3], good)

    assert positions(outcome, outcome.dead_lettered) == [0, 1, 2]
    assert outcome.written == outcome.received[3:]


def test_a_table_that_refuses_all_raises_though_another_has_taken_what_was_its_own() -> None:
    world = World(tables=(ORDERS, EVENTS))
    world.db.reject_if(lambda table, _: table == "orders-table", WORDS)

    outcome = world.run(*PUTS[:2], {"table": "events", "put": {"pk": "e", "sk": 1}})

    assert "orders-table" in str(outcome.error)
    assert "events-table" not in str(outcome.error)
    assert world.letters() == []


# Access that is denied for some items alone


@pytest.mark.parametrize("operation", SINGLES)
def test_a_denied_item_is_returned_and_the_others_are_written(operation: str) -> None:
    world = world_for(operation)
    deny(world, "a7")

    outcome = world.run(*SINGLES[operation])

    assert positions(outcome, outcome.returned) == [7]
    assert positions(outcome, outcome.written) == [n for n in range(30) if n != 7]
    [line] = logged(outcome, "items denied")
    assert line["level"] == "ERROR"
    assert line["reasons"] == {f"AccessDeniedException: {DENIED} (writing to orders-table)": 1}
    assert len(world.sqs.visibility_changes) == 1
    assert world.letters() == []


@pytest.mark.parametrize("count", [1, 2, 30])
@pytest.mark.parametrize("operation", SINGLES)
@pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied", "NotAuthorized"])
def test_where_every_item_is_denied_it_raises_as_for_a_missing_table(code: str, operation: str, count: int) -> None:
    world = world_for(operation)
    world.db.always(Refusal(code, DENIED))

    outcome = world.run(*SINGLES[operation][:count], {"put": {}})

    assert isinstance(outcome.error, TableError)
    assert str(outcome.error) == f"{code}: {DENIED} (writing to orders-table)"
    assert outcome.returned == outcome.received
    assert world.letters() == []


def test_a_table_to_which_all_is_denied_raises_though_another_has_taken_what_was_its_own() -> None:
    world = World(tables=(ORDERS, EVENTS))
    world.db.deny_if(lambda table, _: table == "orders-table", DENIED)

    outcome = world.run(*PUTS[:2], {"table": "events", "put": {"pk": "e", "sk": 1}})

    assert "(writing to orders-table)" in str(outcome.error)


def test_one_denied_key_does_not_hold_up_what_goes_to_another_table() -> None:
    world = World(tables=(EVENTS, ORDERS))
    deny(world, "e")
    of_one_key = [{"put": {"pk": "e", "sk": n}} for n in range(2)]

    outcome = world.run(*of_one_key, {"table": "orders", "put": {"pk": "a"}})

    assert outcome.error is None
    assert positions(outcome, outcome.returned) == [0, 1]
    assert outcome.written == outcome.received[2:]


def test_what_comes_after_a_denied_operation_of_its_item_waits_with_it() -> None:
    world = World()
    world.db.deny_if(lambda _, request: "PutRequest" in request and "'a'" in str(request), DENIED)

    outcome = world.run({"put": {"pk": "a"}}, {"update": {"pk": "a"}, "expression": "REMOVE v"}, {"put": {"pk": "b"}})

    assert positions(outcome, outcome.returned) == [0, 1]
    assert world.item() is None


def test_a_denied_operation_holds_its_group_and_no_other() -> None:
    world = World(fifo=True)
    deny(world, "a1")
    for number in range(3):
        world.send({"put": {"pk": f"a{number}"}}, group="one")
        world.send({"put": {"pk": f"b{number}"}}, group="two")

    outcome = world.invoke(world.receive())

    assert [message.group for message in outcome.returned] == ["one", "one"]
    assert len(outcome.written) == 4
    assert world.item("a2") is None


def test_a_bad_message_beside_a_denied_one_is_dead_lettered() -> None:
    world = World()
    deny(world, "a1")

    outcome = world.run(*PUTS[:2], {"put": {}})

    assert positions(outcome, outcome.returned) == [1]
    assert world.reasons() == ["MissingKey"]


def calls_to_tell_apart(denied: Collection[int]) -> int:
    world = World()
    deny(world, *(f"a{n}" for n in denied))

    outcome = world.run(*PUTS[:25])

    assert positions(outcome, outcome.returned) == sorted(denied)
    assert len(outcome.written) == 25 - len(denied)
    return len(world.db.calls)


def test_denied_items_are_told_apart_in_as_few_calls_as_bad_ones() -> None:
    every = list(itertools.combinations(range(25), 3))
    some = [(0, 12, 24), (3, 12, 21), (0, 8, 16), (6, 12, 18), *Random(1).sample(every, 20)]

    assert max(calls_to_tell_apart([number]) for number in range(25)) <= 12
    assert max(map(calls_to_tell_apart, some)) <= 30


# What it costs where everything is refused


@pytest.mark.parametrize("fault", [Refusal("AccessDeniedException", DENIED), Refusal("ValidationException", WORDS)])
def test_where_all_is_refused_one_batch_is_told_apart_and_of_each_other_one_a_sample(fault: Refusal) -> None:
    world = World()
    world.db.always(fault)

    outcome = world.run(*({"put": {"pk": f"a{n}"}} for n in range(500)))

    assert isinstance(outcome.error, TableError)
    assert len(world.db.calls) == 20 + 48 + 19
    assert world.letters() == []


@pytest.mark.parametrize("good", [range(120, 500), range(499, 500), range(0, 500, 25), range(25, 500, 2)], ids=str)
def test_what_is_not_refused_is_found_wherever_it_stands(good: range) -> None:
    world = World(chance=lambda: 0.999)
    names = [f"'a{n}'" for n in range(500) if n not in good]
    world.db.deny_if(lambda _, request: any(name in str(request) for name in names), DENIED)

    outcome = world.run(*({"put": {"pk": f"a{n}"}} for n in range(500)))

    assert outcome.error is None
    assert positions(outcome, outcome.written) == list(good)
    assert len(outcome.returned) == 500 - len(good)


# An update that comes before its item


EARLY = {
    "an attribute": {"update": {"pk": "a"}, "expression": "SET n = n + :o", "values": {":o": 1}},
    "a path": {"update": {"pk": "a"}, "expression": "SET m.x = :o", "values": {":o": 1}},
    "a list": {"update": {"pk": "a"}, "expression": "SET l = list_append(l, :o)", "values": {":o": [1]}},
}
ITEM = {"put": {"pk": "a", "n": 0, "m": {}, "l": []}}


def received(world: World, times: int) -> list[dict[str, Any]]:
    """The records of the next event, received so often."""
    for _ in range(times - 1):
        world.receive()
        world.clock.sleep(1000)
    return world.receive()


@pytest.mark.parametrize("update_once", [False, True])
@pytest.mark.parametrize("update", EARLY.values(), ids=EARLY)
def test_an_update_of_what_is_not_there_yet_is_returned_and_applied_when_it_is(update: Any, update_once: bool) -> None:
    world = World(settings={"update_once": update_once})
    world.send(update)

    early = world.invoke(world.receive())
    world.run(ITEM)
    late = world.invoke(world.redeliver())

    assert early.returned == early.received
    assert [line["count"] for line in logged(early, "updates of what is not there yet")] == [1]
    assert early.error is None
    assert len(world.sqs.visibility_changes) == 1
    assert late.written == late.received
    assert "1" in json.dumps(world.item())
    assert world.letters() == []


@pytest.mark.parametrize("update_once", [False, True])
@pytest.mark.parametrize(
    ("receives", "reasons"), [(1, []), (4, []), (5, ["RejectedByDynamoDB"] * 2), (9, ["RejectedByDynamoDB"] * 2)]
)
def test_at_its_fifth_receive_an_update_of_what_is_not_there_is_dead_lettered(
    receives: int, reasons: list[str], update_once: bool
) -> None:
    world = World(settings={"update_once": update_once})
    world.send(EARLY["an attribute"], {**EARLY["a path"], "update": {"pk": "b"}})

    outcome = world.invoke(received(world, receives))

    assert world.reasons() == reasons
    assert outcome.error is None
    assert len(outcome.returned) == 2 - len(reasons)


def test_the_put_that_an_update_waits_for_is_written_though_it_comes_behind_it() -> None:
    world = World()

    outcome = world.run(EARLY["an attribute"], {**ITEM, "condition": "attribute_not_exists(pk)"})

    assert positions(outcome, outcome.returned) == [0]
    assert world.item() is not None


def test_what_its_own_message_does_to_the_item_after_it_waits_with_an_early_update() -> None:
    world = World()
    after = {"update": {"pk": "a"}, "expression": "SET v = :v", "values": {":v": 1}}

    outcome = world.run([EARLY["an attribute"], after, {"put": {"pk": "b"}}], after | {"values": {":v": 2}})

    assert positions(outcome, outcome.returned) == [0]
    assert world.item() == {"v": {"N": "2"}}
    assert world.item("b") == {}


@pytest.mark.parametrize(("receives", "left"), [(4, ["one", "one"]), (5, [])])
def test_an_early_update_holds_its_group_until_it_is_dead_lettered(receives: int, left: list[str]) -> None:
    world = World(fifo=True)
    world.send(EARLY["an attribute"], {"put": {"pk": "b"}}, group="one")
    world.send({"put": {"pk": "c"}}, group="two")

    outcome = world.invoke(received(world, receives))

    assert [message.group for message in outcome.returned] == left
    assert (world.item("b") is None) == bool(left)
    assert world.item("c") == {}


def test_an_early_update_that_was_throttled_before_is_no_trouble_of_the_table() -> None:
    world = World(settings={"update_once": True})
    world.db.script(Throttle(), Canceled("TransactionConflict"))

    outcome = world.run(EARLY["an attribute"])

    assert outcome.returned == outcome.received
    assert outcome.error is None
