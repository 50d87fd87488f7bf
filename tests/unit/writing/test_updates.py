"""Updates, once and at least once; and the order of all kinds of operations on one item."""

from __future__ import annotations

import itertools
import json
from random import Random
from typing import Any

import pytest

from tests.fakes import (
    Canceled,
    ConnectionLost,
    Delay,
    FakeDynamoDB,
    Fault,
    Refusal,
    ServerError,
    Throttle,
    Timeout,
    UnprocessedIf,
)
from tests.world import EVENTS, ORDERS, Overlapping, World

pytestmark = pytest.mark.usefixtures("both_ways")

ONE = {":one": 1}
ADD_ONE = {"update": {"pk": "a"}, "expression": "ADD n :one", "values": ONE}
LOST_ANSWERS: dict[str, Fault] = {
    "500": ServerError(applied=True),
    "connection lost": ConnectionLost(applied=True),
    "timeout": Timeout(applied=True),
}


def once(**settings: Any) -> World:
    return World(settings={"update_once": True, **settings})


def add_one(pk: str) -> dict[str, Any]:
    return {"update": {"pk": pk}, "expression": "ADD n :one", "values": ONE}


def set_v(value: Any, **more: Any) -> dict[str, Any]:
    return {"update": {"pk": "a"}, "expression": "SET v = :v", "values": {":v": value}, **more}


def native(expression: str, **more: Any) -> dict[str, Any]:
    return {"Update": {"Key": {"pk": {"S": "a"}}, "UpdateExpression": expression, **more}}


def touches(text: str) -> UnprocessedIf:
    """Keeps every request with this text from being written."""
    return UnprocessedIf(lambda _, request: text in str(request))


def tokens(world: World) -> list[str]:
    return [call.kwargs["ClientRequestToken"] for call in world.db.calls_of("TransactWriteItems")]


# What an update does


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        pytest.param(ADD_ONE, {"v": {"S": "old"}, "n": {"N": "6"}}, id="ADD"),
        pytest.param(set_v(1.50), {"v": {"N": "1.5"}, "n": {"N": "5"}}, id="SET"),
        pytest.param(
            {
                "update": {"pk": "a"},
                "expression": "REMOVE #v SET m = :m",
                "names": {"#v": "v"},
                "values": {":m": {"x": 1}},
            },
            {"n": {"N": "5"}, "m": {"M": {"x": {"N": "1"}}}},
            id="REMOVE and SET",
        ),
        pytest.param(
            set_v("new", condition="n = :five", values={":v": "new", ":five": 5}),
            {"v": {"S": "new"}, "n": {"N": "5"}},
            id="condition",
        ),
        pytest.param(
            native("SET v = :v", ExpressionAttributeValues={":v": {"SS": ["x"]}}),
            {"v": {"SS": ["x"]}, "n": {"N": "5"}},
            id="Update",
        ),
        pytest.param(
            native(
                "SET #v = :v",
                TableName="orders",
                ConditionExpression="#v = :old",
                ExpressionAttributeNames={"#v": "v"},
                ExpressionAttributeValues={":v": {"S": "new"}, ":old": {"S": "old"}},
            ),
            {"v": {"S": "new"}, "n": {"N": "5"}},
            id="Update with all of its members",
        ),
        pytest.param(
            set_v("pk", expression="SET v = pk", values={}), {"v": {"S": "a"}, "n": {"N": "5"}}, id="reads a key"
        ),
        pytest.param(
            set_v("new", expression="SET v = if_not_exists(pk, :v), n = :v"),
            {"v": {"S": "a"}, "n": {"S": "new"}},
            id="reads a key inside a function",
        ),
        pytest.param(
            {"update": {"pk": "a"}, "expression": "SET v = if_not_exists(w, pk)"},
            {"v": {"S": "a"}, "n": {"N": "5"}},
            id="reads a key after a comma inside a function",
        ),
        pytest.param(
            set_v("new", expression="SET pkx = :v"),
            {"v": {"S": "old"}, "n": {"N": "5"}, "pkx": {"S": "new"}},
            id="a name that begins as the key's",
        ),
    ],
)
@pytest.mark.parametrize("update_once", [False, True])
def test_an_update_is_applied(operation: Any, left: Any, update_once: bool) -> None:
    world = World(settings={"update_once": update_once})
    world.run({"put": {"pk": "a", "v": "old", "n": 5}})

    outcome = world.run(operation)

    assert world.letters() == []
    assert world.item() == left
    assert world.writes() == ["BatchWriteItem", "TransactWriteItems" if update_once else "UpdateItem"]
    assert outcome.written == outcome.received


def test_an_update_makes_the_item_that_is_not_there() -> None:
    world = World()

    world.run(ADD_ONE, {"table": "events", **add_one("e"), "update": {"pk": "e", "sk": 1.0}})

    assert world.item() == {"n": {"N": "1"}}
    assert world.db.items("events-table") == [{"pk": {"S": "e"}, "sk": {"N": "1"}, "n": {"N": "1"}}]


@pytest.mark.parametrize("update_once", [False, True])
@pytest.mark.parametrize("on_condition_failed", ["skip", "dead-letter"])
def test_an_update_whose_condition_does_not_hold(update_once: bool, on_condition_failed: str) -> None:
    world = World(settings={"update_once": update_once, "on_condition_failed": on_condition_failed})
    failing = set_v("new", condition="attribute_exists(pk)")

    outcome = world.run([failing, add_one("b")])

    assert world.item() is None
    assert world.item("b") == {"n": {"N": "1"}}
    assert len(outcome.operations.conditions_failed) == 1
    assert outcome.item_failures == []
    assert world.reasons() == ([] if on_condition_failed == "skip" else ["ConditionFailed"])
    assert [json.loads(letter["Body"]) for letter in world.letters()] == [[failing]] * len(world.letters())


# What is wrong with an update


@pytest.mark.parametrize(
    ("code", "operation"),
    [
        ("UnknownOperation", {"update": {"pk": "a"}}),
        ("UnknownOperation", {"update": {"pk": "a"}, "values": ONE}),
        ("UnknownOperation", {"Update": {"Key": {"pk": {"S": "a"}}}}),
        ("UnknownOperation", {"update": "a", "expression": "REMOVE v"}),
        ("UnknownOperation", {"put": {"pk": "a"}, "expression": "REMOVE v"}),
        ("UnknownOperation", {"delete": {"pk": "a"}, "expression": "REMOVE v"}),
        ("UnknownOperation", {"update": {"pk": "a"}, "expression": "REMOVE v", "version": 1}),
        ("UnknownOperation", native("REMOVE v", ReturnValues="ALL_NEW")),
        ("MissingKey", {"update": {}, "expression": "REMOVE v"}),
        ("UnexpectedKeyAttribute", {"update": {"pk": "a", "v": 1}, "expression": "REMOVE v"}),
        ("KeyTypeMismatch", {"update": {"pk": 1}, "expression": "REMOVE v"}),
        ("EmptyKey", {"update": {"pk": ""}, "expression": "REMOVE v"}),
        ("InvalidExpression", {"update": {"pk": "a"}, "expression": None}),
        ("InvalidExpression", {"update": {"pk": "a"}, "expression": ""}),
        ("InvalidExpression", {"update": {"pk": "a"}, "expression": " "}),
        ("InvalidExpression", {"update": {"pk": "a"}, "expression": 7}),
        ("InvalidExpression", {"update": {"pk": "a"}, "expression": ["REMOVE v"]}),
        ("InvalidExpression", {"update": {"pk": "a"}, "expression": "REMOVE v", "condition": None}),
        ("InvalidExpression", {"update": {"pk": "a"}, "expression": "REMOVE v", "names": {"#v": "v"}}),
        ("InvalidExpression", {"update": {"pk": "a"}, "expression": "SET v = :v"}),
        ("InvalidExpression", {"update": {"pk": "a"}, "expression": "REMOVE v".ljust(4097)}),
        ("InvalidExpression", native("")),
        ("InvalidExpression", {"Update": {"Key": {"pk": {"S": "a"}}, "UpdateExpression": None}}),
    ],
)
def test_a_malformed_update_is_rejected_alone(code: str, operation: Any) -> None:
    world = World()

    outcome = world.run(operation, add_one("b"))

    assert world.reasons() == [code]
    assert outcome.dead_lettered == outcome.received[:1]
    assert world.item("b") == {"n": {"N": "1"}}
    assert world.item() is None


VALUE: dict[str, Any] = {"values": {":v": "x"}}
KEY_UPDATES: dict[str, dict[str, Any]] = {
    "SET": {"expression": "SET pk = :v", **VALUE},
    "set": {"expression": "set pk=:v", **VALUE},
    "SET over lines": {"expression": "SET\n\tpk\n=\n:v", **VALUE},
    "SET through a name": {"expression": "SET #k = :v", "names": {"#k": "pk"}, **VALUE},
    "SET the second": {"expression": "SET v = :v, pk = :v", **VALUE},
    "SET the second through a name": {"expression": "SET v = :v,#k = :v", "names": {"#k": "pk"}, **VALUE},
    "SET after a function": {"expression": "SET v = if_not_exists(v, :v), pk = :v", **VALUE},
    "SET after an index": {"expression": "SET v[0] = :v, pk = :v", **VALUE},
    "SET after a list": {"expression": "SET v = list_append(v, :v), #k = :v", "names": {"#k": "pk"}, **VALUE},
    "SET inside the key": {"expression": "SET pk.x = :v", **VALUE},
    "SET inside the key through names": {"expression": "SET #k.#x = :v", "names": {"#k": "pk", "#x": "x"}, **VALUE},
    "SET an element of the key": {"expression": "SET pk[0] = :v", **VALUE},
    "SET by itself": {"expression": "SET pk = pk"},
    "REMOVE": {"expression": "REMOVE pk"},
    "REMOVE the second": {"expression": "REMOVE v, pk"},
    "REMOVE an element": {"expression": "REMOVE v[0], pk[0]"},
    "REMOVE through a name": {"expression": "remove #k", "names": {"#k": "pk"}},
    "ADD": {"expression": "ADD pk :v", "values": {":v": 1}},
    "ADD the second": {"expression": "ADD v :v, pk :v", "values": {":v": 1}},
    "DELETE": {"expression": "DELETE pk :v", **VALUE},
    "a later clause": {"expression": "SET v = :v REMOVE pk", **VALUE},
    "an earlier clause": {"expression": "REMOVE pk SET v = :v", **VALUE},
    "a later clause without room": {"expression": "SET v = (:v)REMOVE pk", **VALUE},
    "ADD after SET": {"expression": "SET v = :v ADD #k :v", "names": {"#k": "pk"}, **VALUE},
}


@pytest.mark.parametrize("update", KEY_UPDATES.values(), ids=KEY_UPDATES)
def test_an_update_of_a_key_attribute_is_rejected(update: dict[str, Any]) -> None:
    world = World()
    world.run({"put": {"pk": "a"}})

    world.run({"update": {"pk": "a"}, **update})

    assert world.reasons() == ["InvalidExpression"]
    assert "'pk'" in world.letters()[0]["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert world.writes() == ["BatchWriteItem"]


def test_an_update_of_a_sort_key_is_rejected_and_sk_is_free_elsewhere() -> None:
    world = World(tables=(EVENTS, ORDERS))
    update = {"expression": "SET sk = :one", "values": ONE}

    world.run({"update": {"pk": "a", "sk": 1}, **update}, {"table": "orders", "update": {"pk": "a"}, **update})

    assert world.reasons() == ["InvalidExpression"]
    assert world.item() == {"sk": {"N": "1"}}


@pytest.mark.parametrize("update_once", [False, True])
def test_an_update_that_only_the_service_finds_wrong_is_dead_lettered_alone(update_once: bool) -> None:
    world = World(settings={"update_once": update_once})
    world.db.put_item(TableName="orders-table", Item={"pk": {"S": "a"}, "n": {"S": "no number"}})
    wrong = {"update": {"pk": "a"}, "expression": "SET n = n + :one", "values": ONE}

    outcome = world.run([add_one("b"), wrong], add_one("c"))

    assert world.reasons() == ["RejectedByDynamoDB"]
    message = world.letters()[0]["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert "incorrect data type" in message
    assert json.loads(world.letters()[0]["Body"]) == [wrong]
    assert (world.item("b"), world.item("c")) == ({"n": {"N": "1"}}, {"n": {"N": "1"}})
    assert outcome.written == outcome.received[1:]


# UPDATE_ONCE


@pytest.mark.parametrize("fault", LOST_ANSWERS.values(), ids=LOST_ANSWERS)
def test_an_update_is_applied_once_although_its_answer_was_lost(fault: Fault) -> None:
    world = once()
    world.db.script(fault, fault)

    outcome = world.run(ADD_ONE)

    assert world.item() == {"n": {"N": "1"}}
    assert len(set(tokens(world))) == 1
    assert len(tokens(world)) == 3
    assert outcome.written == outcome.received


@pytest.mark.parametrize("fault", LOST_ANSWERS.values(), ids=LOST_ANSWERS)
@pytest.mark.parametrize("condition", [None, "attribute_not_exists(pk)"])
def test_a_redelivered_update_is_applied_once(fault: Fault, condition: str | None) -> None:
    world = once(on_condition_failed="dead-letter")
    world.db.always(fault)
    update = ADD_ONE if condition is None else {**ADD_ONE, "condition": condition}

    first = world.run(update, time_left=15.0)
    world.db.always(None)
    world.clock.sleep(300)
    second = world.invoke(world.receive())

    assert first.returned == first.received
    assert world.item() == {"n": {"N": "1"}}
    assert len(set(tokens(world))) == 1
    assert second.written == second.received
    assert world.letters() == []


def test_an_update_of_a_message_that_was_returned_for_another_is_applied_once() -> None:
    world = once()
    world.db.always(touches("busy"))

    world.run([ADD_ONE, add_one("busy"), ADD_ONE], time_left=15.0)
    world.db.always(None)
    world.clock.sleep(300)
    world.invoke(world.receive())

    assert world.item() == {"n": {"N": "2"}}
    assert world.item("busy") == {"n": {"N": "1"}}


def test_each_update_has_a_token_of_its_own() -> None:
    world = once()

    world.run([ADD_ONE, ADD_ONE, add_one("b")], [ADD_ONE, ADD_ONE], ADD_ONE)

    assert len(set(tokens(world))) == 6
    assert all(1 <= len(token) <= 36 for token in tokens(world))
    assert world.item() == {"n": {"N": "5"}}


def test_nothing_but_updates_goes_by_transactions() -> None:
    world = once()

    world.run({"put": {"pk": "b"}}, {"put": {"pk": "c"}, "condition": "attribute_not_exists(pk)"}, ADD_ONE)

    assert sorted(world.writes()) == ["BatchWriteItem", "PutItem", "TransactWriteItems"]


@pytest.mark.parametrize(
    "fault",
    [
        Canceled("TransactionConflict"),
        Canceled("ThrottlingError"),
        Canceled("ProvisionedThroughputExceeded"),
        Throttle(),
        Throttle("ThrottlingException"),
        Refusal("TransactionInProgressException", "The transaction with the given request token is in progress."),
        ServerError(),
        ConnectionLost(),
    ],
    ids=repr,
)
def test_a_transaction_is_tried_again_with_its_token(fault: Fault) -> None:
    world = once()
    world.db.script(fault, fault)

    outcome = world.run(ADD_ONE)

    assert world.item() == {"n": {"N": "1"}}
    assert len(tokens(world)) == 3
    assert len(set(tokens(world))) == 1
    assert world.letters() == []
    assert outcome.written == outcome.received


def test_a_throttled_transaction_slows_the_table_down() -> None:
    world = once()
    world.db.script(Canceled("ThrottlingError"))

    assert world.run(ADD_ONE).operations.throttled_calls == 1


def test_a_transaction_that_goes_on_conflicting_is_returned() -> None:
    world = once()
    world.db.always(Canceled("TransactionConflict"), operation="TransactWriteItems")

    outcome = world.run(ADD_ONE, {"put": {"pk": "b"}})

    assert outcome.returned == outcome.received[:1]
    assert world.letters() == []


def test_an_update_too_large_for_its_item_collection_is_dead_lettered() -> None:
    world = once()
    world.db.script(Canceled("ItemCollectionSizeLimitExceeded"))

    world.run(ADD_ONE)

    assert world.reasons() == ["RejectedByDynamoDB"]


def test_updates_once_take_twice_the_write_units() -> None:
    plain, doubled = World(), once()

    assert plain.run(ADD_ONE, add_one("b")).operations.consumed == 2
    assert doubled.run(ADD_ONE, add_one("b")).operations.consumed == 4 == doubled.db.consumed["orders-table"]


def test_a_repeated_transaction_takes_no_write_units() -> None:
    world = once()
    world.db.script(ServerError(applied=True))

    # API_TransactWriteItems: a repetition "returns the number of read capacity units consumed in reading the item".
    assert world.run(ADD_ONE).operations.consumed == 0


# All kinds of operations on one item


KINDS: dict[str, dict[str, Any]] = {
    "put": {"put": {"pk": "a", "v": "put"}},
    "put if new": {"put": {"pk": "a", "v": "new"}, "condition": "attribute_not_exists(pk)"},
    "put if there": {"put": {"pk": "a", "n": 7}, "condition": "attribute_exists(pk)"},
    "delete": {"delete": {"pk": "a"}},
    "delete if counted": {"delete": {"pk": "a"}, "condition": "n >= :one", "values": ONE},
    "set": set_v("set"),
    "add": ADD_ONE,
}
ORDERS_OF_KINDS = [
    *itertools.product(KINDS, repeat=2),
    *itertools.product(KINDS, repeat=3),
]


def one_after_the_other(operations: list[dict[str, Any]], is_there: bool) -> Any:
    """The item as the operations leave it when each is sent by itself."""
    db = FakeDynamoDB()
    db.create_table("orders-table", partition_key=("pk", "S"))
    if is_there:
        db.put_item(TableName="orders-table", Item={"pk": {"S": "a"}, "v": {"S": "old"}})
    key: dict[str, Any] = {"pk": {"S": "a"}}
    texts = {"S": str, "N": int}
    for operation in operations:
        words: dict[str, Any] = {"TableName": "orders-table"}
        if "condition" in operation:
            words["ConditionExpression"] = operation["condition"]
        if "values" in operation:
            kinds = {name: "N" if isinstance(value, int) else "S" for name, value in operation["values"].items()}
            words["ExpressionAttributeValues"] = {
                name: {kinds[name]: str(value)} for name, value in operation["values"].items()
            }
        try:
            if "put" in operation:
                item = {
                    name: {next(k for k, t in texts.items() if isinstance(value, t)): str(value)}
                    for name, value in operation["put"].items()
                }
                db.put_item(Item=item, **words)
            elif "delete" in operation:
                db.delete_item(Key=key, **words)
            else:
                db.update_item(Key=key, UpdateExpression=operation["expression"], **words)
        except db.exceptions.ConditionalCheckFailedException:
            pass
    return db.item("orders-table", key)


@pytest.mark.parametrize("update_once", [False, True])
@pytest.mark.parametrize("is_there", [False, True])
def test_operations_on_one_item_end_as_one_after_the_other(is_there: bool, update_once: bool) -> None:
    chance = Random(is_there + 2 * update_once)
    faults = [None, None, None, Throttle(), ServerError(), ConnectionLost(), Timeout(), Refusal("SomethingNew")]
    for kinds in ORDERS_OF_KINDS:
        world = World(settings={"update_once": update_once})
        if is_there:
            world.run({"put": {"pk": "a", "v": "old"}})
        world.db.script(*chance.choices(faults, k=6))
        messages: list[list[dict[str, Any]]] = [[]]
        for kind in kinds:
            if messages[-1] and chance.random() < 0.5:
                messages.append([])
            messages[-1].append(KINDS[kind])

        outcome = world.run(*messages, {"put": {"pk": "other"}})

        expected = one_after_the_other([KINDS[kind] for kind in kinds], is_there)
        assert world.db.item("orders-table", {"pk": {"S": "a"}}) == expected, (kinds, messages)
        assert outcome.written == outcome.received
        assert world.item("other") == {}


@pytest.mark.parametrize("last", ["put", "delete"])
@pytest.mark.parametrize("first", KINDS)
def test_an_unconditional_put_or_delete_supersedes_everything_before_it(first: str, last: str) -> None:
    world = World()

    outcome = world.run(KINDS[first], KINDS["set"], KINDS[last])

    assert world.writes() == ["BatchWriteItem"]
    assert len(outcome.operations.superseded) == 2
    assert outcome.written == outcome.received


@pytest.mark.parametrize("first", [name for name in KINDS if name not in ("put", "delete")])
def test_an_operation_that_stays_unwritten_holds_back_the_later_ones_on_its_item(first: str) -> None:
    world = World()
    world.run({"put": {"pk": "a", "n": 1}})
    sent_before = len(world.db.calls)
    stuck = {"PutItem": "put", "DeleteItem": "delete", "UpdateItem": "update"}
    for operation, name in stuck.items():
        if name in KINDS[first]:
            world.db.always(Throttle(), operation=operation)

    outcome = world.run(
        KINDS[first],
        [{"put": {"pk": "b"}}, {**set_v("held"), "condition": "attribute_exists(pk)"}],
        {"put": {"pk": "a", "v": "held"}, "condition": "attribute_exists(pk)"},
        {"put": {"pk": "c"}},
    )

    assert outcome.returned == outcome.received[:3]
    assert outcome.written == outcome.received[3:]
    assert "held" not in str([call.kwargs for call in world.db.calls[sent_before:]])
    assert world.item() == {"n": {"N": "1"}}
    assert (world.item("b"), world.item("c")) == ({}, {})


def test_an_unprocessed_put_holds_back_the_update_after_it() -> None:
    world = World()
    world.db.always(touches("'a'"), operation="BatchWriteItem")

    outcome = world.run({"put": {"pk": "a"}}, {"put": {"pk": "b"}}, ADD_ONE)

    assert [message.id for message in outcome.written] == [outcome.received[1].id]
    assert world.db.calls_of("UpdateItem") == []


def test_an_operation_that_is_not_applied_holds_nothing_back() -> None:
    world = World()
    early = {"update": {"pk": "a"}, "expression": "SET n = n + :one", "values": ONE}

    outcome = world.run(KINDS["put if there"], early, ADD_ONE)

    assert world.item() == {"n": {"N": "1"}}
    assert outcome.returned == [outcome.received[1]]
    assert len(outcome.written) == 2


@pytest.mark.parametrize("others", [0, 30])
def test_what_a_rejected_put_would_have_superseded_is_applied_in_order(others: int) -> None:
    world = World()
    world.db.reject_if(lambda _, request: "poison" in str(request))
    before = [KINDS["delete"], {**KINDS["put if new"]}, ADD_ONE, set_v("last")]

    outcome = world.run(
        *before, {"put": {"pk": "a", "v": "poison"}}, *({"put": {"pk": f"other{n}"}} for n in range(others)), ADD_ONE
    )

    assert world.item() == {"v": {"S": "last"}, "n": {"N": "2"}}
    assert world.reasons() == ["RejectedByDynamoDB"]
    assert outcome.dead_lettered == [outcome.received[4]]
    assert len(outcome.written) == len(outcome.received) - 1
    assert len(world.db.items("orders-table")) == 1 + others


def test_a_rejected_put_restores_puts_of_which_the_last_still_supersedes_the_others() -> None:
    world = World()
    world.db.reject_if(lambda _, request: "poison" in str(request))

    outcome = world.run(
        ADD_ONE,
        {"put": {"pk": "a", "v": "first"}},
        {"put": {"pk": "a", "v": "second"}},
        {"put": {"pk": "a", "v": "poison"}},
    )

    assert world.item() == {"v": {"S": "second"}}
    assert world.writes() == ["BatchWriteItem", "BatchWriteItem"]
    assert outcome.written == outcome.received[:3]
    assert len(outcome.operations.superseded) == 2


def test_what_was_restored_too_late_is_returned() -> None:
    world = World()
    world.db.reject_if(lambda _, request: "poison" in str(request))
    world.db.always(Throttle(), operation="UpdateItem")

    outcome = world.run(ADD_ONE, {"put": {"pk": "a", "v": "poison"}}, {"put": {"pk": "b"}})

    assert outcome.returned == outcome.received[:1]
    assert outcome.dead_lettered == [outcome.received[1]]
    assert outcome.written == [outcome.received[2]]


def test_a_slow_update_holds_up_neither_batches_nor_other_updates() -> None:
    calls = Overlapping()
    world = World(clock=calls.clock, executor=calls.executor)
    world.db.script(Delay(10.0, calls), operation="UpdateItem")
    world.db.always(Delay(0.1, calls))
    seen: dict[str, float] = {}

    def observe(_: str, request: Any) -> bool:
        seen.setdefault(str(request), calls.clock())
        return False

    world.db.reject_if(observe)
    outcome = world.run(ADD_ONE, *({"put": {"pk": f"b{n}"}} for n in range(60)), add_one("c"), KINDS["put if there"])

    assert outcome.written == outcome.received
    held = [text for text, at in seen.items() if at > 1]
    assert held == [str({"PutRequest": {"Item": {"pk": {"S": "a"}, "n": {"N": "7"}}}})]
    assert 10 <= calls.clock() < 11
