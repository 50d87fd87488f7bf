"""The function on fakes: strict DynamoDB and SQS, a clock of its own, no threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from functions.batch_writer.pipeline import Outcome, Pipeline
from functions.batch_writer.queue import Queue
from functions.batch_writer.settings import KeyAttribute, Settings, Table
from functions.batch_writer.table import Tables
from tests.fakes import Clock, FakeDynamoDB, FakeSQS

T = TypeVar("T")
ORDERS = Table("orders", "orders-table", KeyAttribute("pk", "S"))
EVENTS = Table("events", "events-table", KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
BLOBS = Table("blobs", "blobs-table", KeyAttribute("id", "B"))


class Inline(Executor):
    """Runs each call at once, in the thread that submits it."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # As a thread would, the future holds it.
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass


@dataclass
class World:
    """Tables, a queue, its dead-letter queue, and the function between them."""

    tables: Sequence[Table] = (ORDERS, EVENTS, BLOBS)
    settings: dict[str, Any] = field(default_factory=dict)
    """Fields of `Settings` besides the tables and the dead-letter queue."""
    dead_letters: bool = True
    chance: Callable[[], float] = lambda: 0.5

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.db = FakeDynamoDB()
        for table in self.tables:
            sort_key = None if table.sort_key is None else (table.sort_key.name, table.sort_key.type)
            self.db.create_table(
                table.name, partition_key=(table.partition_key.name, table.partition_key.type), sort_key=sort_key
            )
        self.sqs = FakeSQS(self.clock)
        self.dlq_url = self.sqs.create_queue("dead-letters")
        self.queue_url = self.sqs.create_queue("work")
        url = self.dlq_url if self.dead_letters else None
        settings = Settings(tuple(self.tables), dead_letter_queue_url=url, **self.settings)
        self.pipeline = Pipeline(
            settings,
            Tables(settings.tables, self.db),
            Queue(lambda: self.sqs, clock=self.clock, executor=Inline),
            region="us-east-1",
            clock=self.clock,
            sleep=self.clock.sleep,
            random=self.chance,
            executor=Inline,
        )

    def send(self, *bodies: Any, **attributes: Any) -> list[str]:
        """Send messages (text as it is, anything else as JSON); their ids."""
        return [
            self.sqs.send_message(
                QueueUrl=self.queue_url,
                MessageBody=body if isinstance(body, str) else json.dumps(body),
                MessageAttributes=attributes,
            )["MessageId"]
            for body in bodies
        ]

    def receive(self, count: int = 10_000) -> list[dict[str, Any]]:
        """Receive messages as the records of a Lambda event."""
        records: list[dict[str, Any]] = self.sqs.event(self.queue_url, count)["Records"]
        return records

    def run(self, *bodies: Any, time_left: float = 30.0) -> Outcome:
        """Send, receive and handle in one invocation; what is done is deleted from the queue as Lambda would."""
        self.send(*bodies)
        return self.invoke(self.receive(), time_left)

    def invoke(self, records: list[dict[str, Any]], time_left: float = 30.0) -> Outcome:
        outcome = self.pipeline.run(records, time_left)
        if outcome.error is None:
            failed = {failure["itemIdentifier"] for failure in outcome.item_failures}
            done = [record["receiptHandle"] for record in records if record["messageId"] not in failed]
            for start in range(0, len(done), 10):
                entries = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(done[start : start + 10])]
                self.sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=entries)
        return outcome

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters, as SQS messages with Body and MessageAttributes."""
        messages: list[dict[str, Any]] = self.sqs.messages(self.dlq_url)
        return messages

    def reasons(self) -> list[str]:
        """The ErrorCode of each dead letter."""
        return [letter["MessageAttributes"]["ErrorCode"]["StringValue"] for letter in self.letters()]
