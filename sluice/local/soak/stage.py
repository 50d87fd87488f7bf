"""What the soak is played on: the queues and tables of the local AWS, and whatever reads or changes them directly."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sluice.local.aws import LocalAws, LocalError
from sluice.local.faults.requests import Item

from .model import Key, Message, State, canonical
from .operations import TableOf
from .workload import TABLES

VISIBILITY = 15
"""Seconds until a message comes back that nobody has let go of."""
HELD = 600
"""Seconds that a message of a FIFO queue is kept invisible, unless it is made visible before, however slow all else is:
one that came back while it is still being worked on would be applied behind its successors."""
MAX_RECEIVES = 1000
"""Messages are received far more often here than in life; SQS's own redrive would mistake that for poison."""
MAX_ENTRIES = 10  # Of one call to SQS (its API reference).
MAX_SEND_BYTES = 1_000_000
"""A little less than the 1 MiB that SendMessageBatch takes."""
MAX_KEYS = 100  # API_BatchGetItem
NUMBER = "SoakNumber"
"""The message attribute by which a message, and its dead letter, is known again."""


class Stage:
    """Fresh queues and tables. Calls to the queue take turns, for moto's loses and revives messages otherwise."""

    def __init__(self, aws: LocalAws, *, is_fifo: bool = False) -> None:
        self._is_fifo = is_fifo
        self._sqs, self._dynamodb = aws.client("sqs"), aws.client("dynamodb")
        self._turn = threading.Lock()
        self._handles: dict[int, str] = {}
        """The newest receipt handle of each message."""
        for table in TABLES:
            self._make_table(table)
        ending, kind = (".fifo", {"FifoQueue": "true"}) if is_fifo else ("", {})
        self.dead_letter_url, dead_letter_arn = self._make_queue(f"soak-dead-letters{ending}", kind)
        redrive = {"deadLetterTargetArn": dead_letter_arn, "maxReceiveCount": MAX_RECEIVES}
        visibility = str(HELD if is_fifo else VISIBILITY)
        self.queue_url, self.queue_arn = self._make_queue(
            f"soak{ending}", {**kind, "VisibilityTimeout": visibility, "RedrivePolicy": json.dumps(redrive)}
        )

    def _make_table(self, table: TableOf) -> None:
        kinds = zip(table.key, ("HASH", "RANGE"), strict=False)
        self._dynamodb.create_table(
            TableName=table.name,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for (name, _), kind in kinds],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in table.key],
            BillingMode="PAY_PER_REQUEST",
        )

    def _make_queue(self, name: str, attributes: dict[str, str]) -> tuple[str, str]:
        url = self._sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, answer["Attributes"]["QueueArn"]

    # The queues

    def send(self, messages: Iterable[Message]) -> None:
        """Raises `LocalError` for a message that SQS does not take."""
        for batch in _packed(messages):
            entries = [
                {
                    "Id": str(message.number),
                    "MessageBody": message.body,
                    "MessageAttributes": {NUMBER: {"DataType": "Number", "StringValue": str(message.number)}},
                    **_fifo_members(message),
                }
                for message in batch
            ]
            with self._turn:
                response = self._sqs.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
            if response.get("Failed"):
                raise LocalError(f"SQS did not take a message: {response['Failed'][0]}")

    def receive(self, request: Mapping[str, Any]) -> Any:
        """ReceiveMessage, but never a long poll: the others would wait for their turn."""
        with self._turn:
            response = self._sqs.receive_message(**{**request, "WaitTimeSeconds": 0})
        for message in response.get("Messages", []):
            self._handles[number_of(message)] = message["ReceiptHandle"]
        return response

    def delete(self, entries: list[Any]) -> Any:
        """DeleteMessageBatch."""
        if not entries:
            return {}
        with self._turn:
            return self._sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=entries)

    def delay(self, seconds: Mapping[int, int]) -> None:
        """Make messages, by number, visible after so many seconds, as far as they are still on the queue."""
        entries = [
            {"Id": str(number), "ReceiptHandle": self._handles[number], "VisibilityTimeout": delay}
            for number, delay in seconds.items()
            if number in self._handles
        ]
        with self._turn:  # One for all: the messages of a group become visible together.
            for start in range(0, len(entries), MAX_ENTRIES):
                self._sqs.change_message_visibility_batch(
                    QueueUrl=self.queue_url, Entries=entries[start : start + MAX_ENTRIES]
                )

    def dead_letters(self) -> Iterator[tuple[int, str | None, str]]:
        """Number, ErrorCode and body of each new dead letter.

        They stay on their queue, unseen from now on; on a FIFO queue they would hide the rest of their group and are
        deleted, so nothing may be sent meanwhile: moto would lose it.
        """
        while messages := self._sqs.receive_message(
            QueueUrl=self.dead_letter_url,
            MaxNumberOfMessages=MAX_ENTRIES,
            VisibilityTimeout=36_000,
            WaitTimeSeconds=0,
            MessageAttributeNames=["All"],
        ).get("Messages"):
            for message in messages:
                if self._is_fifo:
                    self._sqs.delete_message(QueueUrl=self.dead_letter_url, ReceiptHandle=message["ReceiptHandle"])
                code = message.get("MessageAttributes", {}).get("ErrorCode", {}).get("StringValue")
                yield number_of(message), code, message["Body"]

    # The tables, around the injector

    def read(self, keys: Mapping[Key, Item]) -> dict[Key, State]:
        """The items with these keys that are there now."""
        stored: dict[Key, State] = {}
        wanted = list(keys.items())
        for start in range(0, len(wanted), MAX_KEYS):
            request: dict[str, Any] = {}
            for (name, _, _), attributes in wanted[start : start + MAX_KEYS]:
                request.setdefault(name, {"Keys": [], "ConsistentRead": True})["Keys"].append(attributes)
            while request:
                response = self._dynamodb.batch_get_item(RequestItems=request)
                for table in TABLES:
                    for item in response["Responses"].get(table.name, []):
                        stored[table.key_of(item)] = canonical(item)
                request = response.get("UnprocessedKeys") or {}
        return stored

    def read_all(self) -> dict[Key, State]:
        """Everything that is there."""
        pages = (
            (table, page)
            for table in TABLES
            for page in self._dynamodb.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True)
        )
        return {table.key_of(item): canonical(item) for table, page in pages for item in page["Items"]}


def number_of(message: Mapping[str, Any]) -> int:
    """The number of a message as received, or of the one that a dead letter comes from; 0 if it has none."""
    attribute = message.get("MessageAttributes", {}).get(NUMBER)
    return 0 if attribute is None else int(attribute["StringValue"])


def _fifo_members(message: Message) -> dict[str, str]:
    if message.group is None:
        return {}
    return {"MessageGroupId": message.group, "MessageDeduplicationId": str(message.number)}


def _packed(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """What one SendMessageBatch takes."""
    batch: list[Message] = []
    size = 0
    for message in messages:
        more = len(message.body.encode()) + 100
        if batch and (len(batch) == MAX_ENTRIES or size + more > MAX_SEND_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += more
    if batch:
        yield batch
