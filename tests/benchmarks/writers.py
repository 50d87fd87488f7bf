"""The writers that are measured: this project's handler and its peers, each in its normal use, behind one interface.

A writer takes an SQS event whose bodies are `{"put": item}` or an array of these, writes all of it, and returns
the answer.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from tests.benchmarks.records import TABLE

Event = dict[str, Any]
Writer = Callable[[Event], Any]
Make = Callable[[], Writer]


class Context:
    """What Lambda tells a function of its invocation."""

    aws_request_id = "5f4b3b3c-0d3b-4f0e-9d0b-2f0a4c1f1b1e"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def sluice() -> Writer:
    """This project's handler, as Lambda calls it."""
    from functions.batch_writer.handler import lambda_handler

    def write(event: Event) -> Any:
        return lambda_handler(event, Context())

    return write


def items(event: Event) -> Iterator[dict[str, Any]]:
    """The items of an event, with numbers as boto3's resources take them."""
    for record in event["Records"]:
        body = json.loads(record["body"], parse_float=Decimal)
        for operation in body if isinstance(body, list) else [body]:
            yield operation["put"]


def batch_writer() -> Writer:
    """boto3's `Table.batch_writer`. https://docs.aws.amazon.com/boto3/latest/guide/dynamodb.html#batch-writing"""
    import boto3

    table = boto3.resource("dynamodb").Table(TABLE)

    def write(event: Event) -> Any:
        with table.batch_writer() as batch:
            for item in items(event):
                batch.put_item(Item=item)
        return {"batchItemFailures": []}

    return write


class _Objects:
    """The items of an event as a program without a queue has them; made once, as they are no part of the writing."""

    def __init__(self) -> None:
        self._event: Event | None = None
        self._items: list[dict[str, Any]] = []

    def of(self, event: Event) -> list[dict[str, Any]]:
        if event is not self._event:
            more = {"labels": {"new", "paid"}, "digest": bytes(range(20))}
            self._event, self._items = event, [item | more for item in items(event)]
        return self._items


def library() -> Writer:
    """`sluice.Writer`, a new one for each block."""
    from sluice import Writer as Library

    objects = _Objects()

    def write(event: Event) -> Any:
        with Library(TABLE, key={"pk": "S", "sk": "S"}) as writer:
            for item in objects.of(event):
                writer.put(item)
        writer.check()
        return {"batchItemFailures": []}

    return write


def batch_writer_of_objects() -> Writer:
    """boto3's `Table.batch_writer`, given the same items."""
    import boto3

    table = boto3.resource("dynamodb").Table(TABLE)
    objects = _Objects()

    def write(event: Event) -> Any:
        with table.batch_writer() as batch:
            for item in objects.of(event):
                batch.put_item(Item=item)
        return {"batchItemFailures": []}

    return write


def batch_writer_threads() -> Writer:
    """`Table.batch_writer` in THREADS threads, a resource and an even share of the messages to each."""
    count = int(os.environ["THREADS"])
    writers = [batch_writer() for _ in range(count)]
    threads = ThreadPoolExecutor(count)

    def write(event: Event) -> Any:
        records = event["Records"]
        share = -(-len(records) // count)
        share = -(-share // 25) * 25  # Whole batches.
        parts = [{"Records": records[start : start + share]} for start in range(0, len(records), share)]
        list(threads.map(lambda pair: pair[0](pair[1]), zip(writers, parts, strict=False)))
        return {"batchItemFailures": []}

    return write


def put_item() -> Writer:
    """One PutItem for each record."""
    import boto3

    table = boto3.resource("dynamodb").Table(TABLE)

    def write(event: Event) -> Any:
        for item in items(event):
            table.put_item(Item=item)
        return {"batchItemFailures": []}

    return write


def sample() -> Writer:
    """What samples show: write and log each record, log what fails, and acknowledge all the same."""
    import boto3
    from botocore.exceptions import ClientError

    logger = logging.getLogger("sample")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.StreamHandler(open(os.devnull, "w")))  # noqa: SIM115  # As long as the process.
    table = boto3.resource("dynamodb").Table(TABLE)

    def write(event: Event) -> Any:
        for item in items(event):
            try:
                table.put_item(Item=item)
                logger.info("wrote %s %s", item["pk"], item["sk"])
            except ClientError as error:
                logger.exception("could not write: %s", error.response["Error"]["Message"])
        return {"statusCode": 200}

    return write


def awswrangler() -> Writer:
    """https://aws-sdk-pandas.readthedocs.io/en/stable/stubs/awswrangler.dynamodb.put_items.html"""
    import awswrangler as wr  # type: ignore[import-not-found]  # Only in .venv-bench.

    wr.config.dynamodb_endpoint_url = os.environ["AWS_ENDPOINT_URL_DYNAMODB"]

    def write(event: Event) -> Any:
        wr.dynamodb.put_items(items=list(items(event)), table_name=TABLE)
        return {"batchItemFailures": []}

    return write


def pynamodb() -> Writer:
    """https://pynamodb.readthedocs.io/en/stable/batch.html"""
    from tests.benchmarks.pynamodb_model import Order, from_json

    def write(event: Event) -> Any:
        with Order.batch_write() as batch:
            for record in event["Records"]:
                body = json.loads(record["body"])
                for operation in body if isinstance(body, list) else [body]:
                    batch.save(from_json(operation["put"]))
        return {"batchItemFailures": []}

    return write


WRITERS: dict[str, Make] = {
    "sluice": sluice,
    "boto3 batch_writer": batch_writer,
    "awswrangler put_items": awswrangler,
    "PynamoDB batch_write": pynamodb,
    "boto3 put_item": put_item,
    "sample: put_item, log": sample,
    "boto3 batch_writer in threads": batch_writer_threads,
    "sluice.Writer": library,
    "batch_writer of Python objects": batch_writer_of_objects,
}
