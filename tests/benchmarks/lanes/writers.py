"""What the lanes are measured against: boto3's own call for the same write, in its normal use.

Each says on standard output how much it has written, as the function does with its metrics.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from tests.benchmarks.lanes.bodies import VERSION
from tests.benchmarks.lanes.prepared import decoding, once
from tests.benchmarks.records import TABLE
from tests.benchmarks.writers import Event, Make, Writer, sluice

Operation = dict[str, Any]
NEWEST_WINS = f"attribute_not_exists({VERSION}) OR {VERSION} < :v"


def operations(event: Event) -> Iterator[Operation]:
    """The operations of an event, with numbers as boto3's resources take them."""
    for record in event["Records"]:
        body = json.loads(record["body"], parse_float=Decimal)
        yield from body if isinstance(body, list) else [body]


def batch_writer() -> Writer:
    """Plain puts and deletes, by `Table.batch_writer`."""
    return _batching(operations)


def batch_writer_of_items() -> Writer:
    """Bodies that are items, by `Table.batch_writer`."""
    return _batching(lambda event: ({"put": item} for item in operations(event)))


def batch_writer_of_sns() -> Writer:
    """What is in SNS's envelope, by Powertools and `Table.batch_writer`.

    Powertools' own `powertools_json` makes floats, which boto3 refuses; the digits are kept instead, which takes less
    time than to go from floats to decimals.
    https://docs.aws.amazon.com/powertools/python/latest/utilities/jmespath_functions/
    """
    from aws_lambda_powertools.utilities.jmespath_utils import query

    def opened(event: Event) -> Iterator[Operation]:
        for record in event["Records"]:
            yield json.loads(query(data=json.loads(record["body"]), envelope="Message"), parse_float=Decimal)

    return _batching(opened)


def batch_writer_of_eventbridge() -> Writer:
    """What is in EventBridge's `detail`, by Powertools and `Table.batch_writer`."""
    from aws_lambda_powertools.utilities.jmespath_utils import query

    def opened(event: Event) -> Iterator[Operation]:
        for record in event["Records"]:
            yield {"put": query(data=json.loads(record["body"], parse_float=Decimal), envelope="detail")}

    return _batching(opened)


def batch_writer_of_native() -> Writer:
    """DynamoDB JSON by `Table.batch_writer`: the bodies are read, but the Python values are made before."""
    from boto3.dynamodb.types import TypeDeserializer

    deserialize = TypeDeserializer().deserialize

    def values(event: Event) -> list[Operation]:
        items = [json.loads(record["body"])["PutRequest"]["Item"] for record in event["Records"]]
        return [{"put": {name: deserialize(_decoded(value)) for name, value in item.items()}} for item in items]

    made = once(values)

    def opened(event: Event) -> Iterator[Operation]:
        for record, operation in zip(event["Records"], made(event), strict=True):
            json.loads(record["body"])
            yield operation

    return _batching(opened)


def _decoded(value: dict[str, Any]) -> dict[str, Any]:
    """With bytes where JSON has base64."""
    match value:
        case {"B": text}:
            return {"B": base64.b64decode(text)}
        case {"BS": texts}:
            return {"BS": [base64.b64decode(text) for text in texts]}
    return value


def _batching(opened: Callable[[Event], Iterator[Operation]]) -> Writer:
    import boto3

    table = boto3.resource("dynamodb").Table(TABLE)

    def write(event: Event) -> Any:
        written = 0
        with table.batch_writer() as batch:
            for operation in opened(event):
                if "put" in operation:
                    batch.put_item(Item=operation["put"])
                else:
                    batch.delete_item(Key=operation["delete"])
                written += 1
        return _said(written)

    return write


def newest_wins() -> Writer:
    """`Table.put_item` with the condition that a version attribute means."""
    return _one_by_one(
        lambda table, operation: table.put_item(
            Item=operation["put"],
            ConditionExpression=NEWEST_WINS,
            ExpressionAttributeValues={":v": operation["put"][VERSION]},
        )
    )


def conditional() -> Writer:
    """`Table.put_item` and `Table.delete_item` with the message's own condition."""
    return _one_by_one(_conditional)


def _conditional(table: Any, operation: Operation) -> None:
    expression: dict[str, Any] = {"ConditionExpression": operation["condition"]}
    if "names" in operation:
        expression["ExpressionAttributeNames"] = operation["names"]
    if "values" in operation:
        expression["ExpressionAttributeValues"] = operation["values"]
    if "put" in operation:
        table.put_item(Item=operation["put"], **expression)
    else:
        table.delete_item(Key=operation["delete"], **expression)


def update_item() -> Writer:
    """`Table.update_item`."""
    return _one_by_one(
        lambda table, operation: table.update_item(
            Key=operation["update"],
            UpdateExpression=operation["expression"],
            ExpressionAttributeNames=operation["names"],
            ExpressionAttributeValues=operation["values"],
        )
    )


def _one_by_one(call: Callable[[Any, Operation], object]) -> Writer:
    import boto3

    table = boto3.resource("dynamodb").Table(TABLE)

    def write(event: Event) -> Any:
        written = 0
        for operation in operations(event):
            call(table, operation)
            written += 1
        return _said(written)

    return write


def transact_write_items() -> Writer:
    """A transaction of one update, with the message's id for its token."""
    import boto3

    client = boto3.resource("dynamodb").meta.client  # The resource's client takes Python values.

    def write(event: Event) -> Any:
        for record in event["Records"]:
            operation = json.loads(record["body"], parse_float=Decimal)
            update = {
                "TableName": TABLE,
                "Key": operation["update"],
                "UpdateExpression": operation["expression"],
                "ExpressionAttributeNames": operation["names"],
                "ExpressionAttributeValues": operation["values"],
            }
            client.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken=record["messageId"])
        return _said(len(event["Records"]))

    return write


def conditional_in_threads() -> Writer:
    """`Table.put_item` with a condition in THREADS threads, a resource and an even share of the messages to each."""
    import boto3

    count = int(os.environ["THREADS"])
    tables = [boto3.session.Session().resource("dynamodb").Table(TABLE) for _ in range(count)]
    threads = ThreadPoolExecutor(count)

    def share(number: int, event: Event) -> int:
        written = 0
        for operation in operations({"Records": event["Records"][number::count]}):
            _conditional(tables[number], operation)
            written += 1
        return written

    def write(event: Event) -> Any:
        return _said(sum(threads.map(share, range(count), [event] * count)))

    return write


def _said(written: int) -> Any:
    sys.stdout.write(f'{{"OperationsWritten": {written}}}\n')
    return {"batchItemFailures": []}


WRITERS: dict[str, Make] = {
    "sluice, event decoded": decoding(sluice),
    "json.loads + batch_writer, event decoded": decoding(batch_writer),
    "json.loads + batch_writer": batch_writer,
    "json.loads + batch_writer, items": batch_writer_of_items,
    "Powertools + batch_writer, SNS": batch_writer_of_sns,
    "Powertools + batch_writer, EventBridge": batch_writer_of_eventbridge,
    "batch_writer, values made before": batch_writer_of_native,
    "boto3 put_item, newest wins": newest_wins,
    "boto3 put_item or delete_item": conditional,
    "boto3 update_item": update_item,
    "boto3 transact_write_items": transact_write_items,
    "boto3 put_item with a condition, in threads": conditional_in_threads,
}
