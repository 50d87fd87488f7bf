"""Dead letters: what they carry, what gives way where they are too large, what happens when SQS refuses them."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from functions.batch_writer import metrics
from tests.fakes import ConnectionLost, Fault, Refusal, Throttle, Timeout, UnprocessedIf
from tests.world import World

MAX_MESSAGE_BYTES = 1024 * 1024
"""API_SendMessage: body and attributes (name, type, value) together."""
OWN = {"ErrorCode", "ErrorMessage", "SourceMessageId", "SourceQueueArn", "ReceiveCount"}
BAD: dict[str, Any] = {"put": {}}


def text(value: str) -> dict[str, Any]:
    return {"DataType": "String", "StringValue": value}


def attribute_bytes(attributes: dict[str, Any]) -> int:
    return sum(
        len(name) + len(value["DataType"]) + len(value.get("StringValue", value.get("BinaryValue", "")))
        for name, value in attributes.items()
    )


def only_letter(world: World) -> dict[str, Any]:
    [letter] = world.letters()
    return letter


def returned(outcome: Any) -> list[str]:
    return [failure["itemIdentifier"] for failure in outcome.item_failures]


# Attributes


def test_a_dead_letter_carries_its_reason_and_its_origin() -> None:
    world = World()
    [message_id] = world.send({"put": {"nope": 1}})

    world.invoke(world.receive())

    letter = only_letter(world)
    message = letter["MessageAttributes"].pop("ErrorMessage")
    assert letter["MessageAttributes"] == {
        "ErrorCode": text("MissingKey"),
        "SourceMessageId": text(message_id),
        "SourceQueueArn": text("arn:aws:sqs:us-east-1:123456789012:work"),
        "ReceiveCount": {"DataType": "Number", "StringValue": "1"},
    }
    assert message["DataType"] == "String"
    assert "pk" in message["StringValue"]
    assert json.loads(letter["Body"]) == {"put": {"nope": 1}}


def test_a_dead_letter_says_how_often_its_message_was_received() -> None:
    world = World()
    world.send(BAD)
    world.receive()
    world.clock.sleep(31)
    world.receive()
    world.clock.sleep(31)

    world.invoke(world.receive())

    assert only_letter(world)["MessageAttributes"]["ReceiveCount"]["StringValue"] == "3"


def test_the_attributes_of_the_original_are_kept_as_they_were() -> None:
    world = World()
    originals: dict[str, Any] = {
        "trace": text("abc"),
        "when": {"DataType": "Number.long", "StringValue": "1700000000000"},
        "blob": {"DataType": "Binary.gzip", "BinaryValue": b"\x00\xff"},
    }
    world.send(BAD, **originals)

    world.invoke(world.receive())

    attributes = only_letter(world)["MessageAttributes"]
    assert {name: attributes[name] for name in originals} == originals
    assert set(attributes) == OWN | set(originals)


def test_a_dead_letter_has_ten_attributes_and_its_own_come_first() -> None:
    world = World()
    originals: dict[str, Any] = {f"a{n}": text(str(n)) for n in range(10)}
    world.send(BAD, **originals)

    world.invoke(world.receive())

    attributes = only_letter(world)["MessageAttributes"]
    assert len(attributes) == 10
    assert set(attributes) >= OWN
    assert set(attributes) - OWN < set(originals)


def test_a_redriven_message_that_fails_again_carries_the_new_reason_only() -> None:
    world = World()
    world.send({"put": {"nope": 1}}, mine=text("kept"))
    world.invoke(world.receive())
    letter = only_letter(world)
    world.sqs.delete_message(
        QueueUrl=world.dlq_url,
        ReceiptHandle=world.sqs.receive_message(QueueUrl=world.dlq_url)["Messages"][0]["ReceiptHandle"],
    )
    [redriven] = world.send("{", **letter["MessageAttributes"])

    world.invoke(world.receive())

    attributes = only_letter(world)["MessageAttributes"]
    assert set(attributes) == OWN | {"mine"}
    assert attributes["ErrorCode"]["StringValue"] == "InvalidJson"
    assert "pk" not in attributes["ErrorMessage"]["StringValue"]
    assert attributes["SourceMessageId"]["StringValue"] == redriven
    assert attributes["mine"] == text("kept")


# Body


def test_the_body_holds_only_the_bad_operations_in_the_form_they_came_in() -> None:
    world = World()
    bad = ['{"put": {"n": 1.10, "e": 1E2, "big": 12345678901234567890123456789012345678 }}', '{"nope" :\t-0.0}']

    world.run(f'[ {{"put": {{"pk": "a"}}}},{bad[0]}, {{"put": {{"pk": "b"}}}} ,\n{bad[1]} ]')

    body = only_letter(world)["Body"]
    assert body.index(bad[0]) < body.index(bad[1])
    assert exact(body) == [exact(operation) for operation in bad]
    assert len(world.db.items("orders-table")) == 2


def exact(body: str) -> Any:
    """Parsed, with numbers as the text they were written as."""
    return json.loads(body, parse_int=str, parse_float=str)


def test_a_body_that_is_all_bad_stays_as_it_is() -> None:
    world = World()
    bodies = ['[ {"put":{"n":1.10}} ]', ' {"put": {"n": 1e2}}', '[{"put": {}},  {"put": {"x": 01}}]', "{", "[]", "[[]]"]

    world.run(*bodies)

    assert [letter["Body"] for letter in world.letters()] == bodies


def test_of_request_items_only_the_bad_requests_stay() -> None:
    world = World()
    good = '{"PutRequest": {"Item": {"pk": {"S": "a"}}}}'
    bad = ['{"PutRequest":{"Item":{"n":{"N":"1.10"}}}}', '{"DeleteRequest":{"Key":{"pk":{"S":""}}}}']
    event = '{"PutRequest":{"Item":{"pk":{"S":"a"}}}}'

    world.run(f'{{"RequestItems": {{"orders": [{good}, {bad[0]}, {bad[1]}], "events": [{event}]}}}}')

    expected = {"RequestItems": {"orders": [json.loads(each) for each in bad], "events": [json.loads(event)]}}
    assert json.loads(only_letter(world)["Body"]) == expected
    assert len(world.db.items("orders-table")) == 1


def test_of_request_items_in_an_array_only_the_bad_requests_stay() -> None:
    world = World()
    good, bad = ({"PutRequest": {"Item": item}} for item in ({"pk": {"S": "a"}}, {"x": {"NULL": True}}))
    other = {"PutRequest": {"Item": {"pk": {"S": "b"}}}}

    world.run([other, {"RequestItems": {"orders": [good, bad]}}, {"put": {}}])

    assert json.loads(only_letter(world)["Body"]) == [{"RequestItems": {"orders": [bad]}}, {"put": {}}]


@pytest.mark.parametrize(
    "number",
    [
        "1.10",
        "-0.0",
        "12345678901234567890123456789012345678901234567890",
        "1e2",
        "1e999999",
    ],
)
def test_numbers_in_request_items_stay_as_they_were_written(number: str) -> None:
    world = World()
    good = '{"PutRequest": {"Item": {"pk": {"S": "a"}}}}'
    bad = f'{{"PutRequest": {{"Item": {{"pk": {{"S": "b"}}, "n": {{"N": {number}}}}}}}}}'

    world.run(f'{{"RequestItems": {{"orders": [{good}, {bad}]}}}}')

    assert exact(only_letter(world)["Body"]) == {"RequestItems": {"orders": [exact(bad)]}}


def test_what_only_the_service_rejected_stays_in_the_form_it_came_in() -> None:
    world = World()
    world.db.reject_if(lambda _table, request: "poison" in str(request))

    world.run('[{"put": {"pk": "a"}}, {"put": {"pk": "poison", "n": 1.10}}]')

    assert exact(only_letter(world)["Body"]) == [{"put": {"pk": "poison", "n": "1.10"}}]


def test_bad_operations_of_both_kinds_stay_in_their_order() -> None:
    world = World()
    world.db.reject_if(lambda _table, request: "poison" in str(request))

    world.run([{"put": {"pk": "poison"}}, {"put": {"pk": "a"}}, {"put": {}}])

    assert json.loads(only_letter(world)["Body"]) == [{"put": {"pk": "poison"}}, {"put": {}}]
    assert world.reasons() == ["RejectedByDynamoDB"]


def test_a_dead_letter_can_be_redriven_to_the_same_queue() -> None:
    """What was bad for a reason that has gone is written, and nothing of the message is written twice."""
    world = World()
    gone: list[bool] = []
    world.db.reject_if(lambda _table, request: "late" in str(request) and not gone)
    world.run([{"put": {"pk": "a"}}, {"put": {"pk": "late", "n": 1}}])
    world.db.batch_write_item(RequestItems={"orders-table": [{"DeleteRequest": {"Key": {"pk": {"S": "a"}}}}]})
    gone.append(True)

    world.run(only_letter(world)["Body"])

    assert [item["pk"]["S"] for item in world.db.items("orders-table")] == ["late"]


def test_text_beyond_ascii_stays_as_it_was() -> None:
    world = World()
    body = '[{"put": {"pk": "a"}}, {"put": {"ż": "\\ud83d\\ude00 😀"}}]'

    world.run(body)

    assert json.loads(only_letter(world)["Body"]) == [{"put": {"ż": "😀 😀"}}]


def test_a_body_that_is_no_unicode_stops_no_other_message() -> None:
    """SQS takes no such body; an event made by hand may have one."""
    world = World()
    world.send({"put": {"pk": "a"}}, {"put": {"pk": "b"}})
    records = world.receive()
    records[0]["body"] = '{"put": {"pk": "\ud800"}}'

    outcome = world.invoke(records)

    assert [item["pk"]["S"] for item in world.db.items("orders-table")] == ["b"]
    assert [message.id for message in outcome.written] == [records[1]["messageId"]]


# Size


def message_of(size: int) -> str:
    """A body of `size` bytes that is no JSON."""
    return "x" * size


def letter_for(size: int, **attributes: Any) -> tuple[World, Any]:
    world = World()
    world.send(message_of(size), **attributes)
    return world, world.invoke(world.receive())


FULL = only_letter(letter_for(10)[0])["MessageAttributes"]
"""The attributes of a dead letter with room enough."""
MIN_BYTES = attribute_bytes({"ErrorCode": FULL["ErrorCode"]})


def test_attributes_of_the_original_give_way_first() -> None:
    size = MAX_MESSAGE_BYTES - attribute_bytes(FULL)
    kept, _ = letter_for(size - 12, a=text("12345"))  # 1 + 6 + 5 bytes
    lost, outcome = letter_for(size - 11, a=text("12345"))

    assert set(only_letter(kept)["MessageAttributes"]) == OWN | {"a"}
    assert only_letter(lost)["MessageAttributes"].keys() == OWN
    assert attribute_bytes(only_letter(lost)["MessageAttributes"]) == attribute_bytes(FULL)
    assert returned(outcome) == []


def test_the_tail_of_the_error_message_gives_way_next() -> None:
    size = MAX_MESSAGE_BYTES - attribute_bytes(FULL)
    world, outcome = letter_for(size + 8)

    attributes = only_letter(world)["MessageAttributes"]
    assert attributes.keys() == OWN
    shortened = attributes["ErrorMessage"]["StringValue"]
    assert 0 < len(shortened) < len(FULL["ErrorMessage"]["StringValue"])
    assert FULL["ErrorMessage"]["StringValue"].startswith(shortened.rstrip(".…"))
    assert attributes["ErrorCode"]["StringValue"] == "InvalidJson"
    assert returned(outcome) == []


@pytest.mark.parametrize("room", [MIN_BYTES, MIN_BYTES + 1, MIN_BYTES + 50, MIN_BYTES + 150])
def test_a_dead_letter_is_sent_while_its_error_code_fits(room: int) -> None:
    world, outcome = letter_for(MAX_MESSAGE_BYTES - room)

    assert world.reasons() == ["InvalidJson"]
    assert returned(outcome) == []


@pytest.mark.parametrize("room", [0, MIN_BYTES - 1])
def test_a_message_too_large_for_any_reason_is_returned_and_the_log_says_why(room: int) -> None:
    world, outcome = letter_for(MAX_MESSAGE_BYTES - room)

    [message] = world.sqs.messages(world.queue_url)
    assert returned(outcome) == [message["MessageId"]]
    assert world.letters() == []
    assert outcome.error is None
    assert "too large" in logged(outcome)
    assert message["MessageId"] in logged(outcome)


def test_bad_operations_of_a_huge_message_are_small_enough() -> None:
    world = World()
    puts = [{"put": {"pk": f"a{n}", "v": "x" * 300_000}} for n in range(3)]

    outcome = world.run([*puts, {"put": {"v": "x" * 140_000}}])

    assert len(world.db.items("orders-table")) == 3
    assert only_letter(world)["MessageAttributes"].keys() == OWN
    assert len(only_letter(world)["Body"]) < 141_000
    assert returned(outcome) == []


def test_a_long_attribute_name_fills_neither_dead_letters_nor_log_lines() -> None:
    world = World()

    outcome = world.run({"put": {"pk": "a", "n" * 65_536: 1}}, {"put": {"pk": "a", "n" * 60_000: [{"": 1}]}})

    assert world.reasons() == ["InvalidAttribute"] * 2
    assert all(len(letter["MessageAttributes"]["ErrorMessage"]["StringValue"]) < 5_000 for letter in world.letters())
    assert len(logged(outcome)) < 10_000


def test_characters_that_sqs_refuses_do_not_keep_a_dead_letter_back() -> None:
    world = World()

    bodies = (
        '{"put": {"pk": "a", "\\u0000\\u0007\\ufffe": [1e999]}}',
        '{"\\u0001": 1}',
        '{"put": {}, "table": "\\u0002"}',
    )
    outcome = world.run(*bodies)

    assert len(world.letters()) == 3
    assert returned(outcome) == []


def test_the_body_of_a_dead_letter_is_no_longer_than_the_original() -> None:
    """Escaping what came unescaped would take a body in two-byte characters beyond what SQS takes."""
    world = World()
    good = {"PutRequest": {"Item": {"pk": {"S": "a"}}}}
    bad = {"PutRequest": {"Item": {"v": {"S": "é" * 190_000}}}}

    outcome = world.run(json.dumps({"RequestItems": {"orders": [good, bad]}}, ensure_ascii=False))

    assert world.reasons() == ["MissingKey"]
    assert returned(outcome) == []


def test_escaped_characters_that_sqs_refuses_stay_escaped() -> None:
    world = World()
    good = '{"PutRequest": {"Item": {"pk": {"S": "a"}}}}'
    bad = '{"PutRequest": {"Item": {"v": {"S": "\\u0000\\uffff\\ufffe"}}}}'

    outcome = world.run(f'{{"RequestItems": {{"orders": [{good}, {bad}]}}}}', f"[{good}, {bad}]")

    assert world.reasons() == ["MissingKey"] * 2
    assert returned(outcome) == []


def test_characters_that_sqs_refuses_in_the_words_of_the_service_do_not_keep_a_dead_letter_back() -> None:
    world = World()
    world.db.reject_if(lambda _table, _request: True, "unexpected \x07 or \ufffe")

    outcome = world.run({"put": {"pk": "a"}})

    assert world.reasons() == ["RejectedByDynamoDB"]
    assert returned(outcome) == []


# Sending


def test_many_dead_letters_go_out_ten_at_a_time() -> None:
    world = World()

    outcome = world.run(*([BAD] * 25))

    assert len(world.letters()) == 25
    assert sorted(len(call.kwargs["Entries"]) for call in world.sqs.calls_of("SendMessageBatch")) == [5, 10, 10]
    assert returned(outcome) == []


def test_large_dead_letters_go_out_within_1_mib_a_call() -> None:
    world = World()

    outcome = world.run(*(message_of(size) for size in (1_000_000, 300_000, 300_000, 300_000, 300_000, 1_048_000, 5)))

    assert len(world.letters()) == 7
    assert {call.error for call in world.sqs.calls_of("SendMessageBatch")} == {None}
    assert returned(outcome) == []


def test_dead_letters_are_sent_after_the_writes() -> None:
    world = World()
    letters_when_written: list[int] = []

    def seen(_table: str, _request: Any) -> bool:
        letters_when_written.append(len(world.letters()))
        return False

    world.db.always(UnprocessedIf(seen))
    world.run(BAD, *({"put": {"pk": f"a{n}"}} for n in range(60)))

    assert letters_when_written == [0] * 60
    assert len(world.letters()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Refusal("AWS.SimpleQueueService.NonExistentQueue", "gone"),
        Throttle("RequestThrottled"),
        ConnectionLost(),
        Timeout(),
    ],
    ids=repr,
)
def test_a_message_whose_dead_letter_cannot_be_sent_is_returned(fault: Fault) -> None:
    world = World()
    world.sqs.always(fault, "SendMessageBatch")
    bad, good, both = world.send(BAD, {"put": {"pk": "a"}}, [{"put": {"pk": "b"}}, BAD])

    outcome = world.invoke(world.receive())

    assert returned(outcome) == [bad, both]
    assert [message["MessageId"] for message in world.sqs.messages(world.queue_url)] == [bad, both]
    assert [message.id for message in outcome.written] == [good]
    assert len(world.sqs.visibility_changes) == 2
    assert outcome.failures


def test_one_dead_letter_that_sqs_refuses_does_not_hold_back_the_others() -> None:
    world = World()
    world.sqs.fail_entries("SendMessageBatch", lambda entry: "stuck" in entry["MessageBody"])
    ids = world.send(*({"put": {"x": "stuck" if n in (3, 17) else "free"}} for n in range(20)))

    outcome = world.invoke(world.receive())

    assert returned(outcome) == [ids[3], ids[17]]
    assert [message["MessageId"] for message in world.sqs.messages(world.queue_url)] == [ids[3], ids[17]]
    assert len(world.letters()) == 18


def test_without_a_dead_letter_queue_bad_messages_are_returned() -> None:
    world = World(dead_letters=False)
    good, bad = world.send({"put": {"pk": "a"}}, BAD)

    outcome = world.invoke(world.receive())

    assert returned(outcome) == [bad]
    assert [message.id for message in outcome.written] == [good]
    assert world.sqs.calls_of("SendMessageBatch") == []


# No item values


MARKER = "TopSecret"
_LOGGERS = itertools.count()
BODIES = [
    MARKER,
    f'{{"put": {{"pk": "{MARKER}", "n": NaN}}}}',
    f'{{"put": "{MARKER}"}}',
    f'{{"put": {{"pk": "a", "v": "{MARKER}"}}, "expression": "{MARKER}"}}',
    f'["{MARKER}"]',
    f'{{"put": {{"v": "{MARKER}"}}}}',
    f'{{"delete": {{"pk": "{MARKER}", "sk": "{MARKER}"}}}}',
    f'{{"put": {{"pk": ["{MARKER}"]}}}}',
    f'{{"put": {{"pk": "", "v": "{MARKER}"}}}}',
    f'{{"put": {{"pk": "{MARKER * 1000}"}}}}',
    f'{{"put": {{"pk": "a", "v": "{MARKER * 50_000}"}}}}',
    f'{{"put": {{"pk": "a", "v": {"[" * 40}"{MARKER}"{"]" * 40}}}}}',
    f'{{"PutRequest": {{"Item": {{"pk": {{"S": "a"}}, "v": {{"N": "{MARKER}"}}}}}}}}',
    f'{{"PutRequest": {{"Item": {{"pk": {{"S": "a"}}, "v": {{"NS": ["1", "{MARKER}"]}}}}}}}}',
    f'{{"PutRequest": {{"Item": {{"pk": {{"S": "a"}}, "v": {{"SS": ["{MARKER}", "{MARKER}"]}}}}}}}}',
    f'{{"PutRequest": {{"Item": {{"pk": {{"S": "a"}}, "v": {{"B": "{MARKER}!"}}}}}}}}',
    f'{{"PutRequest": {{"Item": {{"pk": {{"S": "a"}}, "v": {{"BOOL": "{MARKER}"}}}}}}}}',
    f'{{"PutRequest": {{"Item": {{"pk": {{"S": "a"}}, "v": "{MARKER}"}}}}}}',
    f'{{"PutRequest": {{"Item": {{"pk": {{"S": "a"}}, "v": {{"L": "{MARKER}"}}}}}}}}',
    f'{{"PutRequest": {{"Item": "{MARKER}"}}}}',
    f'{{"update": {{"pk": "{MARKER}"}}, "expression": "SET pk = :v", "values": {{":v": "{MARKER}"}}}}',
    f'{{"put": {{"pk": "{MARKER}"}}, "table": "nowhere"}}',
]


def logged(outcome: Any) -> str:
    """What is logged of an outcome, at every level."""
    stream = io.StringIO()
    name = f"test-{next(_LOGGERS)}"  # Powertools keeps one handler, and so one stream, for each name.
    metrics.log(Logger(service=name, level="DEBUG", stream=stream), outcome)
    return stream.getvalue()


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_neither_reasons_nor_log_lines_hold_item_values(body: str) -> None:
    world = World()

    outcome = world.run(body)

    assert MARKER not in only_letter(world)["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert MARKER not in logged(outcome)
    assert only_letter(world)["MessageAttributes"]["ErrorCode"]["StringValue"] in logged(outcome)


@pytest.mark.parametrize("digits", ["987654321" * 5, "9.87654321e987", "987654321" * 20_000])
def test_neither_reasons_nor_log_lines_hold_numbers(digits: str) -> None:
    world = World()

    outcome = world.run(f'{{"put": {{"pk": "a", "v": {digits}}}}}')

    assert "87654321" not in only_letter(world)["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert "87654321" not in logged(outcome)


def test_log_lines_do_not_hold_what_the_service_quotes() -> None:
    world = World()
    words = f"One or more parameter values were invalid: {MARKER} is no day"
    world.db.reject_if(lambda _table, request: MARKER in str(request), words)

    outcome = world.run({"put": {"pk": "a", "day": MARKER}})

    assert only_letter(world)["MessageAttributes"]["ErrorMessage"]["StringValue"].endswith(words)
    assert MARKER not in logged(outcome)
    assert "RejectedByDynamoDB" in logged(outcome)


def test_log_lines_do_not_hold_values_where_an_envelope_does_not_fit() -> None:
    world = World(settings={"record_expression": "powertools_json(data)"})

    outcome = world.run({"data": MARKER}, {"data": [MARKER]}, {"data": {"x": MARKER}}, MARKER)

    assert len(world.letters()) == 4
    assert MARKER not in str([letter["MessageAttributes"] for letter in world.letters()])
    assert MARKER not in logged(outcome)
