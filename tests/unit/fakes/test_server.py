"""A real boto3 client sees the fakes over HTTP as it sees them in process, failures included."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from sluice.aws.http import Request
from sluice.aws.http_parser import HttpResponse
from sluice.aws.signature import Credentials
from tests.fakes import ConnectionLost, FakeDynamoDB, FakeSQS, Throttle, Timeout, Unprocessed
from tests.fakes.protocol import FakeWire
from tests.fakes.server import serve
from tests.fakes.service import FakeService

ITEM = {"pk": {"B": b"\x00\xff"}, "f": {"BS": [b"1"]}, "g": {"M": {"B": {"S": "not binary"}}}}
PUT = {"orders": [{"PutRequest": {"Item": ITEM}}]}


@pytest.fixture
def db() -> FakeDynamoDB:
    fake = FakeDynamoDB()
    fake.create_table("orders", partition_key=("pk", "B"))
    return fake


@pytest.fixture
def sqs() -> FakeSQS:
    return FakeSQS()


@pytest.fixture
def endpoint(db: FakeDynamoDB, sqs: FakeSQS) -> Iterator[str]:
    with serve(db=db, sqs=sqs) as url:
        yield url


def client(service: str, endpoint: str, read_timeout: float = 600) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(read_timeout=read_timeout, retries={"total_max_attempts": 1}),
    )


def posted(service: FakeService, action: str, body: str) -> HttpResponse:
    return FakeWire(service).post(Request(f"Prefix.{action}", body.encode(), Credentials("key", "secret")), 1)


@pytest.mark.parametrize("text", ["QUJD=", "QUJD====", "QQ", "QQ=", "QQ===", "=", "QQ==QQ==", "*"])
def test_binary_has_just_the_padding_that_it_needs(db: FakeDynamoDB, text: str) -> None:
    request = '{"RequestItems": {"orders": [{"PutRequest": {"Item": {"pk": {"B": "%s"}}}}]}}'

    assert posted(db, "BatchWriteItem", request % "QQ==").status == 200
    with pytest.raises(ValueError, match="base64"):
        posted(db, "BatchWriteItem", request % text)


def test_dynamodb_answers_a_real_client(db: FakeDynamoDB, endpoint: str) -> None:
    dynamodb = client("dynamodb", endpoint)
    db.script(None, None, Unprocessed(1))

    written = dynamodb.batch_write_item(RequestItems=PUT, ReturnConsumedCapacity="TOTAL")
    read = dynamodb.get_item(TableName="orders", Key={"pk": ITEM["pk"]})
    returned = dynamodb.batch_write_item(RequestItems=PUT)

    assert written["UnprocessedItems"] == {}
    assert written["ConsumedCapacity"] == [{"TableName": "orders", "CapacityUnits": 1.0}]
    assert read["Item"] == ITEM
    assert returned["UnprocessedItems"] == PUT
    assert db.items("orders") == [ITEM]
    assert db.calls[0].kwargs == {"RequestItems": PUT, "ReturnConsumedCapacity": "TOTAL"}


def test_failures_of_dynamodb_are_those_of_the_fake_in_process(db: FakeDynamoDB, endpoint: str) -> None:
    dynamodb = client("dynamodb", endpoint)
    empty_set = {"orders": [{"PutRequest": {"Item": {**ITEM, "f": {"SS": []}}}}]}
    throttles = [Throttle("ThrottlingException"), Throttle()]

    for fault in throttles:
        db.script(fault, fault)
        with pytest.raises(ClientError, match=fault.code) as remote:
            dynamodb.batch_write_item(RequestItems=PUT)
        with pytest.raises(ClientError, match=fault.code) as local:
            db.batch_write_item(RequestItems=PUT)
        assert type(remote.value).__name__ == type(local.value).__name__
        for member in ("Error", "ThrottlingReasons", "throttlingReasons"):
            assert remote.value.response.get(member) == local.value.response.get(member)
    with pytest.raises(ClientError, match=r"ValidationException.*empty set"):
        dynamodb.batch_write_item(RequestItems=empty_set)
    dynamodb.batch_write_item(RequestItems=PUT)
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as failed:
        dynamodb.put_item(
            TableName="orders",
            Item=ITEM,
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert failed.value.response["Item"] == ITEM


@pytest.mark.parametrize("applied", [True, False])
def test_lost_connections_and_timeouts_are_real(db: FakeDynamoDB, endpoint: str, applied: bool) -> None:
    dynamodb, impatient = client("dynamodb", endpoint), client("dynamodb", endpoint, read_timeout=0.2)
    db.script(ConnectionLost(applied=applied), Timeout(applied=applied))

    with pytest.raises(ConnectionClosedError):
        dynamodb.batch_write_item(RequestItems=PUT)
    with pytest.raises(ReadTimeoutError):
        impatient.batch_write_item(RequestItems=PUT)

    assert len(db.items("orders")) == applied


def test_sqs_answers_a_real_client(sqs: FakeSQS, endpoint: str) -> None:
    queue = sqs.create_queue("orders")
    real = client("sqs", endpoint)
    attributes = {"b": {"DataType": "Binary", "BinaryValue": b"\xff"}}

    sent = real.send_message_batch(
        QueueUrl=queue, Entries=[{"Id": "1", "MessageBody": "é", "MessageAttributes": attributes}]
    )
    [message] = real.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    with pytest.raises(real.exceptions.BatchEntryIdsNotDistinct) as remote:
        real.delete_message_batch(QueueUrl=queue, Entries=[{"Id": "1", "ReceiptHandle": "h:1"}] * 2)
    with pytest.raises(sqs.exceptions.BatchEntryIdsNotDistinct) as local:
        sqs.delete_message_batch(QueueUrl=queue, Entries=[{"Id": "1", "ReceiptHandle": "h:1"}] * 2)

    assert [entry["Id"] for entry in sent["Successful"]] == ["1"]
    assert (message["Body"], message["MessageAttributes"]) == ("é", attributes)
    assert remote.value.response["Error"] == local.value.response["Error"]


# Without a server


def test_the_wire_makes_the_call_that_the_target_names(db: FakeDynamoDB, sqs: FakeSQS) -> None:
    queue = sqs.create_queue("orders")
    put = {"TableName": "orders", "Item": {"pk": {"B": "AP8="}}, "ReturnConsumedCapacity": "TOTAL"}
    entries = [{"Id": "0", "MessageBody": "b"}]

    written = posted(db, "PutItem", json.dumps(put))
    sent = posted(sqs, "SendMessageBatch", json.dumps({"QueueUrl": queue, "Entries": entries}))

    assert db.items("orders") == [{"pk": {"B": b"\x00\xff"}}]
    assert json.loads(written.content) == {"ConsumedCapacity": {"TableName": "orders", "CapacityUnits": 1.0}}
    assert [entry["Id"] for entry in json.loads(sent.content)["Successful"]] == ["0"]
    assert [message["Body"] for message in sqs.messages(queue)] == ["b"]


def test_the_wire_refuses_as_the_service_does(db: FakeDynamoDB) -> None:
    request = {
        "TableName": "orders",
        "Item": {"pk": {"B": "AP8="}},
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }

    first, second = [posted(db, "PutItem", json.dumps(request)) for _ in range(2)]

    said = json.loads(second.content)
    assert (first.status, second.status) == (200, 400)
    assert said["__type"].endswith("#ConditionalCheckFailedException")
    assert said["Item"] == {"pk": {"B": "AP8="}}


@pytest.mark.parametrize("applied", [True, False])
def test_what_the_wire_loses_is_an_error_of_a_socket(db: FakeDynamoDB, applied: bool) -> None:
    put = json.dumps({"TableName": "orders", "Item": {"pk": {"B": "AP8="}}})
    db.script(ConnectionLost(applied=applied), Timeout(applied=applied))

    with pytest.raises(ConnectionResetError):
        posted(db, "PutItem", put)
    with pytest.raises(TimeoutError):
        posted(db, "PutItem", put)

    assert len(db.items("orders")) == applied
