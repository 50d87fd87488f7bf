"""Conditional writes: what is written, only counted, or dead-lettered, and what an earlier attempt had done."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_lambda_powertools import Metrics

from functions.batch_writer import metrics as report
from tests.fakes import (
    ConnectionLost,
    Delay,
    Fault,
    Refusal,
    ServerError,
    Throttle,
    Timeout,
    UnprocessedIf,
)
from tests.world import Overlapping, World

pytestmark = pytest.mark.usefixtures("both_ways")

LOST_ANSWERS: dict[str, Fault] = {
    "500": ServerError(applied=True),
    "503": ServerError("ServiceUnavailable", 503, applied=True),
    "connection lost": ConnectionLost(applied=True),
    "timeout": Timeout(applied=True),
}
IF_NEW, IF_THERE = "attribute_not_exists(pk)", "attribute_exists(pk)"


def world(**settings: Any) -> World:
    return World(settings=settings)


def strict() -> World:
    """A world that dead-letters failed conditions."""
    return world(on_condition_failed="dead-letter")


def put(value: Any, condition: str = IF_NEW, **more: Any) -> dict[str, Any]:
    return {"put": {"pk": "a", "v": value}, "condition": condition, **more}


def delete(condition: str = IF_THERE, **more: Any) -> dict[str, Any]:
    return {"delete": {"pk": "a"}, "condition": condition, **more}


def native(kind: str, condition: str = IF_NEW, **more: Any) -> dict[str, Any]:
    inner = {"Put": {"Item": {"pk": {"S": "a"}, "v": {"S": "native"}}}, "Delete": {"Key": {"pk": {"S": "a"}}}}[kind]
    return {kind: {**inner, "ConditionExpression": condition, **more}}


def bodies(of: World) -> list[Any]:
    return [json.loads(letter["Body"]) for letter in of.letters()]


# What holds, and what does not


@pytest.mark.parametrize(
    ("operation", "call", "left"),
    [
        pytest.param(put("new", IF_THERE), "PutItem", {"v": {"S": "new"}}, id="put"),
        pytest.param(delete(), "DeleteItem", None, id="delete"),
        pytest.param(
            put("new", "#v = :old", names={"#v": "v"}, values={":old": "old"}),
            "PutItem",
            {"v": {"S": "new"}},
            id="names and values",
        ),
        pytest.param(
            put(2, "#n < :two AND NOT begins_with(v, :x)", names={"#n": "n"}, values={":two": 2.0, ":x": "x"}),
            "PutItem",
            {"v": {"N": "2"}},
            id="a number and a function",
        ),
        pytest.param(native("Put", IF_THERE), "PutItem", {"v": {"S": "native"}}, id="Put"),
        pytest.param(native("Delete", IF_THERE), "DeleteItem", None, id="Delete"),
        pytest.param(
            native(
                "Put",
                "#v = :old",
                TableName="orders-table",
                ExpressionAttributeNames={"#v": "v"},
                ExpressionAttributeValues={":old": {"S": "old"}},
            ),
            "PutItem",
            {"v": {"S": "native"}},
            id="Put with names and values",
        ),
        pytest.param(
            native(
                "Delete",
                "contains(#v, :o)",
                ExpressionAttributeNames={"#v": "v"},
                ExpressionAttributeValues={":o": {"S": "o"}},
            ),
            "DeleteItem",
            None,
            id="Delete with names and values",
        ),
    ],
)
def test_a_write_whose_condition_holds_goes_by_itself(operation: Any, call: str, left: Any) -> None:
    here = strict()
    here.run({"put": {"pk": "a", "v": "old", "n": 1}})

    outcome = here.run(operation)

    assert here.item() == left
    assert here.writes() == ["BatchWriteItem", call]
    assert outcome.item_failures == here.letters() == []
    assert len(outcome.operations.written) == 1


@pytest.mark.parametrize(
    "operation", [put("new"), native("Put"), delete("v = :x", values={":x": "x"}), native("Delete")]
)
def test_a_condition_that_does_not_hold_is_counted_and_acknowledged(operation: Any) -> None:
    here = world()
    here.run({"put": {"pk": "a", "v": "old"}})

    outcome = here.run(operation)

    assert here.item() == {"v": {"S": "old"}}
    assert here.letters() == outcome.item_failures == here.sqs.messages(here.queue_url) == []
    assert outcome.written == outcome.received
    assert not outcome.operations.written
    assert len(outcome.operations.conditions_failed) == 1


def test_failed_conditions_are_a_metric() -> None:
    here = world()
    metrics = Metrics(namespace="Sluice", service="conditions")
    metrics.clear_metrics()  # All of a process share what was counted.

    outcome = here.run(put("first"), [put("second"), {"put": {"pk": "b"}}], delete("v = :x", values={":x": "x"}))
    report.count(metrics, outcome, now=0.0)
    emitted: dict[str, Any] = {**metrics.serialize_metric_set()}

    assert emitted["ConditionsFailed"] == [2]
    assert emitted["OperationsWritten"] == [2]
    assert emitted["MessagesWritten"] == emitted["MessagesReceived"] == [3]


def test_a_failed_condition_is_dead_lettered_where_the_settings_say_so() -> None:
    here = strict()
    here.run({"put": {"pk": "a", "v": "old"}})
    failing = put("new", "v = :x", values={":x": 1.50})

    outcome = here.run([{"put": {"pk": "b"}}, failing, put("new", IF_THERE)], {"put": {"pk": "c"}})

    assert here.reasons() == ["ConditionFailed"]
    assert bodies(here) == [[failing]]
    assert outcome.dead_lettered == outcome.received[:1]
    assert outcome.written == outcome.received[1:]
    assert here.item() == {"v": {"S": "new"}}
    assert here.item("b") is not None
    assert here.item("c") is not None


def test_the_dead_letter_of_a_failed_condition_shows_no_values_but_in_its_body() -> None:
    here = strict()
    here.run({"put": {"pk": "a", "v": "stored-secret"}})

    here.run(put("new-secret"))

    [letter] = here.letters()
    assert "secret" not in json.dumps(letter["MessageAttributes"])


def test_a_failed_condition_waits_for_the_rest_of_its_message() -> None:
    here = strict()
    here.run({"put": {"pk": "a", "v": "old"}}, {"put": {"pk": "busy", "v": "old"}})
    here.db.always(UnprocessedIf(lambda _, request: "busy" in str(request)))

    first = here.run([put("new"), {"put": {"pk": "busy", "v": "new"}}], {"put": {"pk": "b"}})
    letters_meanwhile = here.letters()
    here.db.always(None)
    second = here.invoke(here.redeliver())

    assert (first.returned, letters_meanwhile) == (first.received[:1], [])
    assert second.dead_lettered == second.received
    assert bodies(here) == [[put("new")]]
    assert here.item("busy") == {"v": {"S": "new"}}


# An earlier attempt of unknown outcome


RICH = {
    "Put": {
        "Item": {
            "pk": {"S": "a"},
            "n": {"N": "1.50"},
            "ns": {"NS": ["2.0", "1"]},
            "ss": {"SS": ["b", "a"]},
            "b": {"B": "AP8="},
            "m": {"M": {"l": {"L": [{"N": "1e1"}, {"NULL": True}, {"BOOL": False}]}}},
        },
        "ConditionExpression": IF_NEW,
    }
}


@pytest.mark.parametrize("settings", [{}, {"on_condition_failed": "dead-letter"}], ids=["skip", "dead-letter"])
@pytest.mark.parametrize("fault", LOST_ANSWERS.values(), ids=LOST_ANSWERS)
@pytest.mark.parametrize("operation", [put("new"), RICH], ids=["plain", "every type"])
def test_a_put_whose_answer_was_lost_counts_as_written(operation: Any, fault: Fault, settings: Any) -> None:
    here = world(**settings)
    here.db.script(fault)

    outcome = here.run(operation)

    assert here.writes() == ["PutItem", "PutItem"]
    assert here.db.calls[1].error == "ConditionalCheckFailedException"
    assert len(outcome.operations.written) == 1
    assert not outcome.operations.conditions_failed
    assert outcome.written == outcome.received
    assert here.letters() == []


@pytest.mark.parametrize("fault", LOST_ANSWERS.values(), ids=LOST_ANSWERS)
def test_a_delete_whose_answer_was_lost_counts_as_written(fault: Fault) -> None:
    here = strict()
    here.run({"put": {"pk": "a"}})
    here.db.script(fault)

    outcome = here.run(delete())

    assert here.db.calls[-1].error == "ConditionalCheckFailedException"
    assert len(outcome.operations.written) == 1
    assert here.letters() == []


@pytest.mark.parametrize("fault", [ServerError(), ConnectionLost(), Timeout()])
@pytest.mark.parametrize("operation", [put("new"), put("old", "attribute_not_exists(v) AND n = :n", values={":n": 1})])
def test_a_condition_that_another_item_keeps_from_holding_has_failed(operation: Any, fault: Fault) -> None:
    here = strict()
    here.run({"put": {"pk": "a", "v": "old", "n": 1}})
    here.db.script(fault)

    outcome = here.run(operation)

    assert here.reasons() == ["ConditionFailed"]
    assert len(outcome.operations.conditions_failed) == 1
    assert here.item() == {"v": {"S": "old"}, "n": {"N": "1"}}


def test_a_delete_after_an_attempt_of_unknown_outcome_that_finds_an_item_has_failed() -> None:
    here = strict()
    here.run({"put": {"pk": "a", "v": "old"}})
    here.db.script(ServerError())

    here.run(delete("v = :x", values={":x": "x"}))

    assert here.reasons() == ["ConditionFailed"]


def test_an_equal_item_of_somebody_else_is_a_failed_condition_at_the_first_attempt() -> None:
    here = strict()
    here.run({"put": {"pk": "a", "v": "new"}})

    here.run(put("new"))

    assert here.reasons() == ["ConditionFailed"]


@pytest.mark.parametrize("fault", [*LOST_ANSWERS.values(), None], ids=[*LOST_ANSWERS, "written and known"])
def test_what_an_earlier_delivery_wrote_counts_as_written_when_it_is_redelivered(fault: Fault | None) -> None:
    here = strict()
    here.db.always(fault, operation="PutItem")
    here.db.always(Throttle(), operation="BatchWriteItem")

    first = here.run([put("new"), {"put": {"pk": "b"}}])
    here.db.always(None, operation="PutItem")
    here.db.always(None, operation="BatchWriteItem")
    second = here.invoke(here.redeliver())

    assert first.returned == first.received
    assert second.written == second.received
    assert not second.operations.conditions_failed
    assert here.letters() == []


def test_a_redelivered_put_that_finds_another_item_has_failed() -> None:
    here = strict()
    here.db.always(ServerError())
    here.run(put("new"))
    here.db.always(None)
    here.db.put_item(TableName="orders-table", Item={"pk": {"S": "a"}, "v": {"S": "other"}})

    outcome = here.invoke(here.redeliver())

    assert outcome.dead_lettered == outcome.received
    assert here.reasons() == ["ConditionFailed"]


@pytest.mark.parametrize(
    "trouble",
    [Throttle(), Throttle("ThrottlingException"), Refusal("TransactionConflictException"), ServerError()],
    ids=repr,
)
def test_a_conditional_write_is_tried_again_after_trouble(trouble: Fault) -> None:
    here = strict()
    here.db.script(*[trouble] * 3)

    outcome = here.run(put("new"))

    assert here.item() == {"v": {"S": "new"}}
    assert here.writes() == ["PutItem"] * 4
    assert outcome.written == outcome.received


def test_a_condition_that_only_the_service_finds_wrong_is_dead_lettered_alone() -> None:
    here = world()

    outcome = here.run(put("new", "v = = v"), {"put": {"pk": "b"}}, {"put": {"pk": "c"}, "condition": IF_NEW})

    assert here.reasons() == ["RejectedByDynamoDB"]
    assert "Syntax error" in here.letters()[0]["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert outcome.written == outcome.received[1:]


# What is wrong before it is sent


MAX_CONDITION = IF_NEW.ljust(4096)
WRONG: dict[str, Any] = {
    "null": {"condition": None},
    "empty": {"condition": ""},
    "blank": {"condition": " \t"},
    "a number": {"condition": 7},
    "false": {"condition": False},
    "an object": {"condition": {}},
    "an array": {"condition": [IF_NEW]},
    "an undefined name": {"condition": "attribute_exists(#v)"},
    "an undefined value": {"condition": "v = :v"},
    "another one defined": {"condition": "#v = :v", "names": {"#v": "v"}, "values": {":w": 1}},
    "an unused name": {"condition": IF_NEW, "names": {"#v": "v"}},
    "an unused value": {"condition": IF_NEW, "values": {":v": "v"}},
    "a name that begins as another": {"condition": "#vv = pk", "names": {"#v": "v"}},
    "names without a condition": {"names": {"#v": "v"}},
    "values without a condition": {"values": {":v": "v"}},
    "a name without #": {"condition": "v = pk", "names": {"v": "v"}},
    "a value without :": {"condition": "v = pk", "values": {"v": "v"}},
    "a name that is a number": {"condition": "#v = pk", "names": {"#v": 1}},
    "an empty name": {"condition": "#v = pk", "names": {"#v": ""}},
    "names that are an array": {"condition": "#v = pk", "names": ["#v"]},
    "names that are null": {"condition": IF_NEW, "names": None},
    "values that are text": {"condition": "v = :v", "values": "v"},
    "4,097 bytes": {"condition": MAX_CONDITION + " "},
}
NATIVE_WORDS = {
    "condition": "ConditionExpression",
    "names": "ExpressionAttributeNames",
    "values": "ExpressionAttributeValues",
}


def as_native(wrong: dict[str, Any]) -> dict[str, Any]:
    """The same mistake in a request in AWS's own shape."""
    native = {NATIVE_WORDS[name]: value for name, value in wrong.items()}
    if isinstance(values := wrong.get("values"), dict):
        native["ExpressionAttributeValues"] = {name: {"S": str(value)} for name, value in values.items()}
    return native


@pytest.mark.parametrize("form", ["put", "delete", "Put", "Delete"])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_expression_is_rejected_and_never_an_unconditional_write(wrong: Any, form: str) -> None:
    here = world()
    here.run({"put": {"pk": "a", "v": "old"}})
    operation = {
        "put": {"put": {"pk": "a"}, **wrong},
        "delete": {"delete": {"pk": "a"}, **wrong},
        "Put": {"Put": {"Item": {"pk": {"S": "a"}}, **as_native(wrong)}},
        "Delete": {"Delete": {"Key": {"pk": {"S": "a"}}, **as_native(wrong)}},
    }[form]

    outcome = here.run([operation, {"put": {"pk": "b"}}])

    assert here.reasons() == ["InvalidExpression"]
    assert bodies(here) == [[operation]]
    assert outcome.dead_lettered == outcome.received
    assert here.item() == {"v": {"S": "old"}}
    assert here.item("b") == {}


def test_an_expression_of_4096_bytes_is_fine() -> None:
    here = world()

    here.run(put("new", MAX_CONDITION))

    assert here.item() == {"v": {"S": "new"}}


def test_a_wrong_value_keeps_its_own_code() -> None:
    here = world()

    here.run('{"put": {"pk": "a"}, "condition": "v = :v", "values": {":v": 1e999}}')

    assert here.reasons() == ["InvalidNumber"]


# Side by side


def test_conditional_writes_run_in_parallel_beside_the_batches() -> None:
    calls = Overlapping()
    here = World(clock=calls.clock, executor=calls.executor, settings={"max_connections": 8})
    here.db.always(Delay(1.0, calls))
    operations = [{"put": {"pk": f"c{n}"}, "condition": IF_NEW} for n in range(14)]

    outcome = here.run(*operations, *({"put": {"pk": f"b{n}"}} for n in range(50)))

    assert outcome.written == outcome.received
    assert sorted(here.writes()) == ["BatchWriteItem"] * 2 + ["PutItem"] * 14
    assert calls.clock() == pytest.approx(2.8)  # 16 calls of 1 s: one more at once each 0.1 s


def test_conditions_that_do_not_hold_run_in_parallel_too() -> None:
    calls = Overlapping()
    here = World(clock=calls.clock, executor=calls.executor, settings={"max_connections": 8})
    here.db.always(Delay(1.0, calls))

    outcome = here.run(*({"put": {"pk": f"c{n}"}, "condition": "attribute_exists(pk)"} for n in range(16)))

    assert len(outcome.operations.conditions_failed) == 16
    assert calls.clock() == pytest.approx(2.8)  # One more at once each 0.1 s


def test_conditional_writes_are_no_batches_in_the_metrics() -> None:
    here = world()

    outcome = here.run(put("new"), {"put": {"pk": "b"}}, {"put": {"pk": "c"}})

    assert outcome.operations.batch_fills == [2]
    assert outcome.operations.consumed == 3
