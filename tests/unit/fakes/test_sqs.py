"""The fake of SQS keeps the service's rules; each limit is tried at its edge and just past it."""

import base64
import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ParamValidationError

from tests.fakes import (
    Clock,
    ConnectionLost,
    FakeSQS,
    Refusal,
    ServerError,
    Throttle,
    Unprocessed,
)

Entry = dict[str, Any]

MIB = 1_048_576


@pytest.fixture
def clock() -> Clock:
    return Clock(start=1000)


@pytest.fixture
def sqs(clock: Clock) -> FakeSQS:
    return FakeSQS(clock)


@pytest.fixture
def url(sqs: FakeSQS) -> str:
    return sqs.create_queue("orders")


def text(value: str, kind: str = "String") -> dict[str, str]:
    return {"DataType": kind, "StringValue": value}


def entry(entry_id: str = "1", body: str = "x", **more: Any) -> Entry:
    return {"Id": entry_id, "MessageBody": body, **more}


def send(sqs: FakeSQS, url: str, *bodies: str, **more: Any) -> None:
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body, **more)


def handles(sqs: FakeSQS, url: str, count: int = 10) -> list[str]:
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=count).get("Messages", [])
    return [message["ReceiptHandle"] for message in messages]


def code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def batch_error(sqs: FakeSQS, url: str, *entries: Entry) -> str:
    with pytest.raises(ClientError) as raised:
        sqs.send_message_batch(QueueUrl=url, Entries=list(entries))
    assert sqs.messages(url) == []
    return code(raised)


def entry_error(sqs: FakeSQS, url: str, bad: Entry) -> str:
    """The code with which one entry fails while its neighbour is sent."""
    response = sqs.send_message_batch(QueueUrl=url, Entries=[bad, entry("good")])
    assert [sent["Id"] for sent in response["Successful"]] == ["good"]
    [failed] = response["Failed"]
    assert failed["Id"] == bad["Id"]
    assert failed["SenderFault"] is True
    return str(failed["Code"])


# Batches


def test_ten_entries_are_sent_and_eleven_refused(sqs: FakeSQS, url: str) -> None:
    eleven = [entry(str(number)) for number in range(11)]

    assert batch_error(sqs, url, *eleven) == "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
    response = sqs.send_message_batch(QueueUrl=url, Entries=eleven[:10])

    assert "Failed" not in response
    assert len(sqs.messages(url)) == len(response["Successful"]) == 10
    assert response["Successful"][0]["MD5OfMessageBody"] == hashlib.md5(b"x").hexdigest()


def test_a_batch_is_not_empty(sqs: FakeSQS, url: str) -> None:
    assert batch_error(sqs, url) == "AWS.SimpleQueueService.EmptyBatchRequest"


def test_the_ids_of_a_batch_are_distinct(sqs: FakeSQS, url: str) -> None:
    with pytest.raises(sqs.exceptions.BatchEntryIdsNotDistinct) as raised:
        sqs.send_message_batch(QueueUrl=url, Entries=[entry("a"), entry("b"), entry("a")])

    assert code(raised) == "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"
    assert raised.value.response["Error"]["QueryErrorCode"] == "BatchEntryIdsNotDistinct"
    assert raised.value.operation_name == "SendMessageBatch"


@pytest.mark.parametrize("bad", ["", "a.b", "a b", "é", "x" * 81, "a\n"])
def test_an_id_has_80_letters_digits_hyphens_or_underscores(sqs: FakeSQS, url: str, bad: str) -> None:
    assert batch_error(sqs, url, entry(bad)) == "AWS.SimpleQueueService.InvalidBatchEntryId"
    sqs.send_message_batch(QueueUrl=url, Entries=[entry("aZ0-_" * 16)])


def test_the_same_rules_hold_for_deleting_and_for_visibility(sqs: FakeSQS, url: str) -> None:
    with pytest.raises(sqs.exceptions.EmptyBatchRequest):
        sqs.delete_message_batch(QueueUrl=url, Entries=[])
    with pytest.raises(sqs.exceptions.TooManyEntriesInBatchRequest):
        sqs.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[{"Id": str(n), "ReceiptHandle": "h:1", "VisibilityTimeout": 1} for n in range(11)],
        )


def test_a_message_of_1_mib_is_sent_and_one_byte_more_refused(sqs: FakeSQS, url: str) -> None:
    send(sqs, url, "é" * (MIB // 2))

    with pytest.raises(ClientError, match="must be shorter than 1048576 bytes"):
        send(sqs, url, "é" * (MIB // 2) + "x")


def test_a_batch_of_1_mib_is_sent_and_one_byte_more_refused(sqs: FakeSQS, url: str) -> None:
    half = entry("1", "x" * (MIB // 2))

    assert batch_error(sqs, url, half, entry("2", "x" * (MIB // 2 + 1))) == "AWS.SimpleQueueService.BatchRequestTooLong"
    sqs.send_message_batch(QueueUrl=url, Entries=[half, entry("2", "x" * (MIB // 2))])


def test_attributes_count_with_name_type_and_value(sqs: FakeSQS, url: str) -> None:
    attributes = {
        "né": text("é"),  # 3 + 6 + 2
        "b": {"DataType": "Binary.gif", "BinaryValue": b"\xff\xff"},  # 1 + 10 + 2
    }

    send(sqs, url, "x" * (MIB - 13), MessageAttributes={"b": attributes["b"]})
    send(sqs, url, "x" * (MIB - 9), MessageAttributes={"n": text("é")})

    with pytest.raises(ClientError, match="shorter than"):
        send(sqs, url, "x" * (MIB - 12), MessageAttributes={"b": attributes["b"]})
    with pytest.raises(ClientError, match="shorter than"):
        send(sqs, url, "x" * (MIB - 8), MessageAttributes={"n": text("é")})


@pytest.mark.parametrize("letter", ["\x00", "\x0b", "\x1f", "\ufffe", "\uffff", "\ud800"])
def test_a_character_outside_xml_fails_its_entry(sqs: FakeSQS, url: str, letter: str) -> None:
    assert entry_error(sqs, url, entry(body=f"a{letter}b")) == "InvalidMessageContents"
    assert entry_error(sqs, url, entry(MessageAttributes={"a": text(letter)})) == "InvalidMessageContents"
    send(sqs, url, "\t\n\r \ud7ff\ue000\ufffd\U0010ffff\x7f\x85")


def test_an_empty_body_fails_its_entry(sqs: FakeSQS, url: str) -> None:
    assert entry_error(sqs, url, entry(body="")) == "MissingParameter"


def test_ten_attributes_are_sent_and_eleven_refused(sqs: FakeSQS, url: str) -> None:
    eleven = {f"a{number}": text("x") for number in range(11)}
    ten = dict(list(eleven.items())[:10])

    assert entry_error(sqs, url, entry(MessageAttributes=eleven)) == "InvalidParameterValue"
    send(sqs, url, "x", MessageAttributes=ten)


@pytest.mark.parametrize(
    "name",
    ["", "a b", "é", ".a", "a.", "a..b", "AWS.x", "aws.x", "Amazon.x", "aMaZoN.x", "x" * 257, "a\n"],
)
def test_a_bad_attribute_name_fails_its_entry(sqs: FakeSQS, url: str, name: str) -> None:
    bad = entry(MessageAttributes={name: text("x")})

    assert entry_error(sqs, url, bad) == "InvalidParameterValue"


@pytest.mark.parametrize("name", ["a.b-c_D.9", "AWSx", "x" * 256])
def test_a_good_attribute_name_is_taken(sqs: FakeSQS, url: str, name: str) -> None:
    send(sqs, url, "x", MessageAttributes={name: text("x")})

    assert name in sqs.messages(url)[0]["MessageAttributes"]


@pytest.mark.parametrize(
    "value",
    [
        text(""),
        {"DataType": "String"},
        {"DataType": "Binary", "BinaryValue": b""},
        {"DataType": "Binary", "StringValue": "x"},
        {"DataType": "String", "BinaryValue": b"x"},
        {"DataType": "String", "StringValue": "x", "BinaryValue": b"x"},
        text("x", ""),
        text("x", "Text"),
        text("x", "String." + "x" * 250),
        text("x", "Number"),
        text("1" * 39, "Number"),
        text("1E127", "Number.int"),
        text("1E-129", "Number"),
        text("NaN", "Number"),
    ],
)
def test_a_bad_attribute_value_fails_its_entry(sqs: FakeSQS, url: str, value: dict[str, Any]) -> None:
    assert entry_error(sqs, url, entry(MessageAttributes={"a": value})) == "InvalidParameterValue"


@pytest.mark.parametrize(
    "value",
    [
        text("x", "String." + "x" * 249),
        text("1" * 38, "Number"),
        text("-1E126", "Number.int"),
        text("1.0E-128", "Number"),
        text("0", "Number"),
        {"DataType": "Binary.gif", "BinaryValue": b"\x00"},
    ],
)
def test_a_good_attribute_value_is_taken(sqs: FakeSQS, url: str, value: dict[str, Any]) -> None:
    send(sqs, url, "x", MessageAttributes={"a": value})

    assert sqs.messages(url)[0]["MessageAttributes"] == {"a": value}


def test_the_trace_header_is_the_only_system_attribute(sqs: FakeSQS, url: str) -> None:
    send(sqs, url, "x", MessageSystemAttributes={"AWSTraceHeader": text("Root=1")})

    assert sqs.messages(url)[0]["Attributes"]["AWSTraceHeader"] == "Root=1"
    bad = entry(MessageSystemAttributes={"SenderId": text("x")})
    assert entry_error(sqs, url, bad) == "InvalidParameterValue"


@pytest.mark.parametrize("group", ["", "a b", "é", "x" * 129])
def test_a_group_id_has_up_to_128_letters_digits_and_punctuation(sqs: FakeSQS, url: str, group: str) -> None:
    send(sqs, url, "x", MessageGroupId="!~" * 64)

    assert entry_error(sqs, url, entry(MessageGroupId=group)) == "InvalidParameterValue"


def test_entries_can_be_made_to_fail_on_a_call_that_succeeds(sqs: FakeSQS, url: str) -> None:
    sqs.fail_entries("SendMessageBatch", ["2"])
    response = sqs.send_message_batch(QueueUrl=url, Entries=[entry("1", "a"), entry("2", "b")])
    sqs.fail_entries("SendMessageBatch", lambda entry: entry["MessageBody"] == "a")
    again = sqs.send_message_batch(QueueUrl=url, Entries=[entry("1", "a"), entry("2", "b")])

    [failed] = response["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("2", "InternalError", False)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert [failed["Id"] for failed in again["Failed"]] == ["1"]
    assert [message["Body"] for message in sqs.messages(url)] == ["a", "b"]


# Receiving


def test_a_received_message_is_invisible_until_its_timeout(sqs: FakeSQS, url: str, clock: Clock) -> None:
    send(sqs, url, "x")

    first = handles(sqs, url)
    clock.sleep(29.9)
    assert handles(sqs, url) == []
    clock.sleep(0.1)
    second = handles(sqs, url)

    assert len(first) == len(second) == 1
    assert first != second


def test_at_most_ten_messages_are_received_at_once(sqs: FakeSQS, url: str) -> None:
    send(sqs, url, *"abcdefghijkl")

    assert len(handles(sqs, url, 10)) == 10
    for count in (0, 11):
        with pytest.raises(ClientError, match="MaxNumberOfMessages"):
            handles(sqs, url, count)
    with pytest.raises(ClientError, match="WaitTimeSeconds"):
        sqs.receive_message(QueueUrl=url, WaitTimeSeconds=21)
    with pytest.raises(ClientError, match="VisibilityTimeout"):
        sqs.receive_message(QueueUrl=url, VisibilityTimeout=43_201)


def test_attributes_are_received_only_when_asked_for(sqs: FakeSQS, url: str) -> None:
    send(sqs, url, "x", MessageAttributes={"a": text("1"), "b": text("2")})

    def received(**asked: Any) -> dict[str, Any]:
        [message] = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, **asked)["Messages"]
        return dict(message)

    assert "Attributes" not in received()
    assert "MessageAttributes" not in received()
    assert received(MessageSystemAttributeNames=["ApproximateReceiveCount"])["Attributes"] == {
        "ApproximateReceiveCount": "3"
    }
    assert received(MessageAttributeNames=["b"])["MessageAttributes"] == {"b": text("2")}
    assert set(received(MessageAttributeNames=["All"])["MessageAttributes"]) == {"a", "b"}


def test_a_message_received_too_often_goes_to_the_dead_letters(sqs: FakeSQS, clock: Clock) -> None:
    dead = sqs.create_queue("dead")
    url = sqs.create_queue("live", visibility_timeout=5, dead_letter=dead, max_receive_count=2)
    send(sqs, url, "x", MessageAttributes={"a": text("1")})

    for _ in range(2):
        assert len(handles(sqs, url)) == 1
        clock.sleep(5)
    assert handles(sqs, url) == []

    assert sqs.messages(url) == []
    [message] = sqs.messages(dead)
    assert message["Body"] == "x"
    assert message["MessageAttributes"] == {"a": text("1")}
    assert message["Attributes"]["DeadLetterQueueSourceArn"] == "arn:aws:sqs:us-east-1:123456789012:live"


def test_a_delayed_message_is_seen_later(sqs: FakeSQS, url: str, clock: Clock) -> None:
    send(sqs, url, "x", DelaySeconds=900)

    assert handles(sqs, url) == []
    clock.sleep(900)
    assert len(handles(sqs, url)) == 1
    with pytest.raises(ClientError, match="DelaySeconds"):
        send(sqs, url, "x", DelaySeconds=901)


# Deleting, visibility


def test_deleted_messages_are_gone(sqs: FakeSQS, url: str) -> None:
    send(sqs, url, "a", "b", "c")
    first, second, third = handles(sqs, url)

    sqs.delete_message_batch(
        QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": first}, {"Id": "2", "ReceiptHandle": second}]
    )
    sqs.delete_message(QueueUrl=url, ReceiptHandle=third)

    assert sqs.messages(url) == []


def test_an_old_receipt_handle_deletes_nothing_and_a_wrong_one_fails(sqs: FakeSQS, url: str, clock: Clock) -> None:
    send(sqs, url, "a")
    [old] = handles(sqs, url)
    clock.sleep(30)
    handles(sqs, url)

    response = sqs.delete_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "old", "ReceiptHandle": old},
            {"Id": "wrong", "ReceiptHandle": "garbage"},
            {"Id": "worse", "ReceiptHandle": old.replace(":1", ":x")},
        ],
    )

    assert [deleted["Id"] for deleted in response["Successful"]] == ["old"]
    assert {(failed["Id"], failed["Code"]) for failed in response["Failed"]} == {
        ("wrong", "ReceiptHandleIsInvalid"),
        ("worse", "ReceiptHandleIsInvalid"),
    }
    assert len(sqs.messages(url)) == 1


def test_visibility_is_set_from_0_to_43200_seconds(sqs: FakeSQS, url: str, clock: Clock) -> None:
    send(sqs, url, *"abcd")
    received = handles(sqs, url)

    response = sqs.change_message_visibility_batch(
        QueueUrl=url,
        Entries=[
            {"Id": f"n{n}", "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for n, (handle, seconds) in enumerate(zip(received, [0, 43_200, 43_201, -1], strict=True))
        ],
    )

    assert [changed["Id"] for changed in response["Successful"]] == ["n0", "n1"]
    assert {failed["Id"] for failed in response["Failed"]} == {"n2", "n3"}
    assert sqs.visibility_changes == [(received[0], 0), (received[1], 43_200)]
    assert len(handles(sqs, url)) == 1
    clock.sleep(30)
    assert len(handles(sqs, url)) == 3


def test_visibility_ends_12_hours_after_the_receive(sqs: FakeSQS, url: str, clock: Clock) -> None:
    send(sqs, url, "a")
    [handle] = handles(sqs, url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=1000)
    clock.sleep(600)

    with pytest.raises(ClientError, match="beyond the limit"):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=42_601)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=42_600)


def test_visibility_of_a_message_that_is_not_in_flight_cannot_be_set(sqs: FakeSQS, url: str, clock: Clock) -> None:
    send(sqs, url, "a")
    [handle] = handles(sqs, url)
    clock.sleep(30)

    with pytest.raises(ClientError) as raised:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=5)

    assert code(raised) == "AWS.SimpleQueueService.MessageNotInflight"
    assert sqs.visibility_changes == []


# Queues


def test_queues_are_found_by_name_and_missing_ones_are_not(sqs: FakeSQS, url: str) -> None:
    assert url == "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
    assert sqs.get_queue_url(QueueName="orders")["QueueUrl"] == url
    for call, parameters in (
        (sqs.get_queue_url, {"QueueName": "absent"}),
        (sqs.send_message, {"QueueUrl": url + "x", "MessageBody": "x"}),
    ):
        with pytest.raises(sqs.exceptions.QueueDoesNotExist) as raised:
            call(**parameters)
        assert code(raised) == "AWS.SimpleQueueService.NonExistentQueue"


def test_queue_attributes_count_the_messages(sqs: FakeSQS) -> None:
    dead = sqs.create_queue("dead")
    url = sqs.create_queue("live", visibility_timeout=90, dead_letter=dead, max_receive_count=5)
    send(sqs, url, *"abcd")
    send(sqs, url, "later", DelaySeconds=10)
    handles(sqs, url, 1)

    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    one = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]

    assert attributes["ApproximateNumberOfMessages"] == "3"
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "1"
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"
    assert attributes["VisibilityTimeout"] == "90"
    assert '"maxReceiveCount": 5' in attributes["RedrivePolicy"]
    assert one == {"QueueArn": "arn:aws:sqs:us-east-1:123456789012:live"}
    sqs.clock.sleep(90)
    later = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert later["ApproximateNumberOfMessages"] == "5"
    assert later["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_ten_receives_come_before_the_dead_letters_unless_the_queue_says_otherwise(sqs: FakeSQS, clock: Clock) -> None:
    dead = sqs.create_queue("dead")
    url = sqs.create_queue("live", dead_letter=dead)
    send(sqs, url, "x")

    for _ in range(10):
        assert len(handles(sqs, url)) == 1
        clock.sleep(30)

    assert handles(sqs, url) == []
    assert len(sqs.messages(dead)) == 1


def test_a_fifo_queue_wants_group_and_deduplication_id(sqs: FakeSQS, url: str) -> None:
    fifo = sqs.create_queue("a.fifo", fifo=True)

    with pytest.raises(ClientError, match="MessageGroupId"):
        send(sqs, fifo, "x", MessageDeduplicationId="1")
    with pytest.raises(ClientError, match="ContentBasedDeduplication"):
        send(sqs, fifo, "x", MessageGroupId="g")
    with pytest.raises(ClientError, match="not valid for this queue type"):
        send(sqs, url, "x", MessageDeduplicationId="1")
    with pytest.raises(ValueError, match="fifo"):
        sqs.create_queue("a.fifo")


def test_a_fifo_queue_drops_duplicates_for_five_minutes(sqs: FakeSQS, clock: Clock) -> None:
    fifo = sqs.create_queue("a.fifo", fifo=True, content_based_deduplication=True)

    send(sqs, fifo, "x", "x", "y", MessageGroupId="g")
    clock.sleep(299)
    send(sqs, fifo, "x", MessageGroupId="g")
    clock.sleep(1)
    send(sqs, fifo, "x", MessageGroupId="g")

    assert [message["Body"] for message in sqs.messages(fifo)] == ["x", "y", "x"]


def test_a_fifo_group_waits_for_what_is_in_flight(sqs: FakeSQS) -> None:
    fifo = sqs.create_queue("a.fifo", fifo=True, content_based_deduplication=True)
    for group, body in [("a", "a1"), ("a", "a2"), ("b", "b1")]:
        send(sqs, fifo, body, MessageGroupId=group)

    [first] = sqs.event(fifo, 1)["Records"]
    [second] = sqs.event(fifo)["Records"]
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first["receiptHandle"])
    [third] = sqs.event(fifo)["Records"]

    assert [first["body"], second["body"], third["body"]] == ["a1", "b1", "a2"]
    assert first["attributes"]["MessageGroupId"] == "a"


def test_a_standard_queue_takes_group_ids_for_fairness(sqs: FakeSQS, url: str) -> None:
    send(sqs, url, "x", MessageGroupId="tenant")

    assert sqs.messages(url)[0]["Attributes"]["MessageGroupId"] == "tenant"


# Lambda events


def test_an_event_is_what_lambda_hands_to_a_function(sqs: FakeSQS, url: str) -> None:
    send(
        sqs,
        url,
        "bödy",
        MessageAttributes={"t": text("x"), "b": {"DataType": "Binary", "BinaryValue": b"\xff"}},
    )
    [message] = sqs.messages(url)

    event = sqs.event(url)

    assert event == {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": event["Records"][0]["receiptHandle"],
                "body": "bödy",
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1000000",
                    "SenderId": "AIDAFAKE",
                    "ApproximateFirstReceiveTimestamp": "1000000",
                },
                "messageAttributes": {
                    "t": {
                        "stringValue": "x",
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": "String",
                    },
                    "b": {
                        "binaryValue": base64.b64encode(b"\xff").decode(),
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": "Binary",
                    },
                },
                "md5OfBody": hashlib.md5("bödy".encode()).hexdigest(),
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders",
                "awsRegion": "us-east-1",
            }
        ]
    }


def test_an_event_counts_receives_and_takes_as_many_as_asked(sqs: FakeSQS, url: str, clock: Clock) -> None:
    send(sqs, url, *(str(number) for number in range(25)))

    first = sqs.event(url, 20)["Records"]
    clock.sleep(30)
    second = sqs.event(url, 100)["Records"]

    assert len(first) == 20
    assert [record["attributes"]["ApproximateReceiveCount"] for record in second] == ["2"] * 20 + ["1"] * 5
    assert sqs.event(url)["Records"] == []


# Faults


def test_whole_calls_can_fail(sqs: FakeSQS, url: str) -> None:
    sqs.script(
        Throttle("RequestThrottled"),
        ServerError("InternalError", applied=True),
        Refusal("AccessDenied", "is not authorized", status=403),
        ConnectionLost(),
    )

    for error in ("RequestThrottled", "InternalError", "AccessDenied"):
        with pytest.raises(ClientError, match=error):
            send(sqs, url, error)
    with pytest.raises(ConnectionClosedError):
        send(sqs, url, "lost")

    assert [message["Body"] for message in sqs.messages(url)] == ["InternalError"]
    assert [call.error for call in sqs.calls] == [
        "RequestThrottled",
        "InternalError",
        "AccessDenied",
        "ConnectionClosedError",
    ]


def test_a_fault_may_be_for_one_operation_only(sqs: FakeSQS, url: str) -> None:
    sqs.always(ServerError("InternalError"), operation="ChangeMessageVisibilityBatch")

    send(sqs, url, "x")
    [handle] = handles(sqs, url)

    with pytest.raises(ClientError, match="InternalError"):
        sqs.change_message_visibility_batch(
            QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": handle, "VisibilityTimeout": 1}]
        )
    assert sqs.visibility_changes == []


def test_a_fault_of_dynamodb_is_a_mistake_in_the_test(sqs: FakeSQS, url: str) -> None:
    sqs.script(Unprocessed(1))

    with pytest.raises(TypeError, match="fail_entries"):
        send(sqs, url, "x")


def test_what_botocore_refuses_is_refused_alike(sqs: FakeSQS, url: str) -> None:
    with pytest.raises(ParamValidationError):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "1"}])

    assert sqs.calls == []
