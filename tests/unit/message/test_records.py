"""Records that are not as SQS delivers them: each is handled or returned, and none ends the invocation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.batch_writer.pipeline import Outcome
from tests.fakes import Throttle
from tests.world import World

ABSENT = "(absent)"
"""A member that is left out."""
BAD: dict[str, Any] = {"put": {}}
GOOD: dict[str, Any] = {"put": {"pk": "good"}}


def changed(record: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The record with one member, or a member of a member, replaced or left out."""
    outer, _, inner = path.partition(".")
    new = changed(record[outer], inner, value) if inner else value
    rest = {name: member for name, member in record.items() if name != outer}
    return rest if new is ABSENT else {**rest, outer: new}


def handled(world: World, first: Any, change: Callable[[dict[str, Any]], Any]) -> Outcome:
    """What becomes of an event in which the first record is changed; the second is as it should be."""
    world.send(first, GOOD)
    record, good = world.receive()
    return world.pipeline.run([change(record), good], 30.0)


def ids(outcome: Outcome) -> list[str]:
    return [failure["itemIdentifier"] for failure in outcome.item_failures]


def each(path: str, *values: Any) -> list[tuple[str, Any]]:
    return [(path, value) for value in values]


HARMLESS = [
    *each("attributes", ABSENT, None, [], "x", 5),
    *each("attributes.ApproximateReceiveCount", ABSENT, None, "", "many", [], "-1", "1e9", 1e999),
    *each("attributes.MessageGroupId", ABSENT, None, 5, "", "a b", "g" * 129),
    *each("attributes.AWSTraceHeader", ABSENT, None, 5, ""),
    *each("messageAttributes", ABSENT, None, [], "x", {"": {"dataType": "String"}}),
    *each("messageAttributes.a", None, [], "x", {}, {"stringValue": "x"}, {"dataType": "String"}),
    *each("messageAttributes.a", *({"dataType": kind, "stringValue": "x"} for kind in (None, 5, "Binary", "\ud800"))),
    *each("messageAttributes.a", *({"dataType": "String", "stringValue": text} for text in (None, 5, "", "\ud800"))),
    *each(
        "messageAttributes.a", *({"dataType": "Binary", "binaryValue": text} for text in (None, 5, "", "x", "\ud800"))
    ),
    *each("messageAttributes.\ud800", {"dataType": "String", "stringValue": "x"}),
    *each("eventSourceARN", ABSENT, None, 5, "", "work", "arn:aws:sqs:us-east-1:1:\ud800"),
    *each("eventSource", ABSENT, None, 5),
    *each("receiptHandle", ABSENT, None, 5, ""),
]


@pytest.mark.parametrize(("path", "value"), HARMLESS, ids=repr)
def test_a_record_with_an_odd_member_is_dead_lettered_or_written_like_any_other(path: str, value: Any) -> None:
    bad, good = World(), World()

    of_bad = handled(bad, BAD, lambda record: changed(record, path, value))
    of_good = handled(good, {"put": {"pk": "a"}}, lambda record: changed(record, path, value))

    assert of_bad.item_failures == []
    assert bad.reasons() == ["MissingKey"]
    assert of_good.written == of_good.received
    assert len(good.db.items("orders-table")) == 2


@pytest.mark.parametrize(("path", "value"), HARMLESS, ids=repr)
def test_a_record_with_an_odd_member_is_returned_like_any_other(path: str, value: Any) -> None:
    world = World()
    world.db.always(Throttle())

    outcome = handled(world, {"put": {"pk": "a"}}, lambda record: changed(record, path, value))

    assert outcome.returned == outcome.received
    assert len(world.sqs.visibility_changes) == 2 - bool(outcome.failures)


@pytest.mark.parametrize("fifo", [False, True])
@pytest.mark.parametrize("value", [ABSENT, None, "", 5, {}, []], ids=repr)
def test_a_record_without_a_body_is_returned_and_the_others_are_written(value: Any, fifo: bool) -> None:
    world = World(fifo=fifo)

    outcome = handled(world, BAD, lambda record: changed(record, "body", value))

    held = fifo  # It is of the same group, and behind it.
    assert ids(outcome) == [message.id for message in outcome.received[: 1 + held]]
    assert len(world.db.items("orders-table")) == 1 - held
    assert outcome.failures == ["a record without a body"]
    assert world.letters() == []


@pytest.mark.parametrize(
    ("path", "value"),
    [*each("messageId", ABSENT, None, "", 5), *each("", None, "record", 5, [], {})],
    ids=repr,
)
def test_a_record_without_an_id_has_lambda_return_the_whole_batch(path: str, value: Any) -> None:
    world = World()

    outcome = handled(world, GOOD, lambda record: changed(record, path, value) if path else value)

    # services-sqs-errorhandling: an empty itemIdentifier makes the batch a complete failure.
    assert outcome.item_failures == [{"itemIdentifier": ""}]
    assert outcome.error is None


odd = st.sampled_from([None, 5, -1.5, True, "", "x", "\ud800", [], {}, ["x"], {"x": None}])
system = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("ApproximateReceiveCount", "MessageGroupId", "AWSTraceHeader"), odd)
)
own = st.dictionaries(
    st.sampled_from(["a", "", "\ud800"]),
    odd | st.fixed_dictionaries({}, optional=dict.fromkeys(("dataType", "stringValue", "binaryValue"), odd)),
)
members = st.fixed_dictionaries(
    {},
    optional={
        "messageId": odd | st.just("id"),
        "body": odd | st.sampled_from(['{"put": {"pk": "a"}}', '{"put": {}}']),
        "attributes": odd | system,
        "messageAttributes": odd | own,
        "eventSourceARN": odd | st.sampled_from(["arn:aws:sqs:us-east-1:123456789012:work.fifo", "a:b"]),
        "receiptHandle": odd,
        "eventSource": st.just("aws:sqs"),
    },
)


@given(st.lists(odd | members, max_size=4), st.booleans())
def test_whatever_stands_beside_it_a_good_record_is_written(others: list[Any], throttled: bool) -> None:
    world = World()
    world.db.script(*[Throttle()] * throttled)
    world.send(GOOD)
    [good] = world.receive()

    outcome = world.pipeline.run([*others, good], 30.0)

    ends = [*outcome.written, *outcome.dead_lettered, *outcome.returned]
    assert sorted(map(id, ends)) == sorted(map(id, outcome.received))
    assert outcome.error is None
    assert outcome.received[-1] in outcome.written


# What a dead letter keeps of its record


@pytest.mark.parametrize("fifo_dead_letters", [False, True])
@pytest.mark.parametrize("fifo", [False, True])
def test_a_dead_letter_keeps_group_and_trace_of_its_message(fifo: bool, fifo_dead_letters: bool) -> None:
    world = World(fifo=fifo, fifo_dead_letters=fifo_dead_letters)
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    system = {"MessageGroupId": "tenant-7", "AWSTraceHeader": trace}

    handled(world, BAD, lambda record: changed(record, "attributes", {**record["attributes"], **system}))

    [letter] = world.letters()
    assert letter["Attributes"]["MessageGroupId"] == "tenant-7"
    assert letter["Attributes"]["AWSTraceHeader"] == trace


def test_a_message_without_group_and_trace_has_a_dead_letter_without_them() -> None:
    world = World()

    handled(world, BAD, lambda record: record)

    [call] = world.sqs.calls_of("SendMessageBatch")
    assert call.kwargs["Entries"][0].keys() == {"Id", "MessageBody", "MessageAttributes"}


def test_a_binary_attribute_that_is_not_encoded_is_kept_as_it_came() -> None:
    world = World()
    attribute = {"dataType": "Binary", "binaryValue": "no base64!"}

    handled(world, BAD, lambda record: changed(record, "messageAttributes.a", attribute))

    [letter] = world.letters()
    assert letter["MessageAttributes"]["a"] == {"DataType": "Binary", "BinaryValue": b"no base64!"}
    assert json.loads(letter["Body"]) == BAD
