"""The function on fakes: strict DynamoDB and SQS, a clock of its own, no threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec.structs import astuple

from functions.batch_writer.pipeline import Outcome, Pipeline
from sluice.aws import boto, queue, tables
from sluice.aws import in_flight as calls
from sluice.aws.answer import Answer
from sluice.aws.http import Request
from sluice.aws.http_parser import HttpResponse
from sluice.aws.in_flight import Running, Submit
from sluice.aws.queue import Queue
from sluice.aws.reads import Reads
from sluice.aws.route import Route
from sluice.aws.signature import Credentials
from sluice.aws.tables import Tables
from sluice.message.operation import BatchWrite, Operation
from sluice.message.settings import Index, KeyAttribute, Settings, Table
from tests.fakes import Clock, FakeDynamoDB, FakeSQS
from tests.fakes.protocol import FakeWire, with_bytes

T = TypeVar("T")
ORDERS = Table("orders", "orders-table", KeyAttribute("pk", "S"))
EVENTS = Table("events", "events-table", KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
BLOBS = Table("blobs", "blobs-table", KeyAttribute("id", "B"))
MIN_TICK = 1e-5  # Seconds.
VERSIONED = Table("orders", "orders-table", KeyAttribute("pk", "S"), version="v")
V, N, X, M = KeyAttribute("v", "S"), KeyAttribute("n", "N"), KeyAttribute("x", "S"), KeyAttribute("m", "B")
INDEXED_TABLE = Table(
    "indexed",
    "indexed-table",
    KeyAttribute("pk", "S"),
    KeyAttribute("sk", "S"),
    indexes=(Index("by-v", (V,), (N,)), Index("by-many", (X, N), (M, V)), Index("by-x-here", (), (X,))),
)


def batch_writes(operations: Iterable[Operation]) -> list[BatchWrite]:
    """Those of the operations that go in batches."""
    return [operation for operation in operations if isinstance(operation, BatchWrite)]


class Inline(Executor):
    """Runs each call at once, in the thread that submits it."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # As an executor does: the future raises it.
            future.set_exception(error)
        return future

    def wait(self, calls: Collection[Running[T]], seconds: float, *, for_all: bool = False) -> Sequence[Running[T]]:  # noqa: ARG002
        return list(calls)


class Overlapping:
    """Calls side by side on one clock: each lasts as long as its faults say by `Delay(seconds, overlapping)`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._lasts = 0.0
        self._ends: dict[Future[Any], tuple[float, Future[Any]]] = {}

    def sleep(self, seconds: float) -> None:
        """Lengthens the call that is being made; `math.inf` never ends."""
        self._lasts += seconds

    def executor(self, workers: int) -> calls.Executor:
        return _OverlappingExecutor(self, workers)

    def submit(self, fn: Callable[..., T], *args: Any) -> Future[T]:
        self._lasts = 0.0
        result, future = Inline().submit(fn, *args), Future[T]()
        self._ends[future] = (self.clock() + self._lasts, result)
        return future

    def wait(self, calls: Collection[Running[T]], seconds: float, *, for_all: bool = False) -> Sequence[Running[T]]:
        """Move the clock to where the calls end, or by so many seconds."""
        until = self.clock() + seconds
        while True:
            self._end_calls()
            done = [call for call in calls if call.done()]
            if len(done) == len(calls) or (done and not for_all):
                return done
            next_end = min(end for call, (end, _) in self._ends.items() if call in calls)
            # Even a wait of no time takes some: a caller that asks again and again gets on.
            self.clock.sleep(max(MIN_TICK, min(next_end, until) - self.clock()))
            if next_end > until:
                return done

    @property
    def unended(self) -> Collection[Future[Any]]:
        return self._ends.keys()

    def _end_calls(self) -> None:
        for future, (end, result) in list(self._ends.items()):
            if end > self.clock():
                continue
            del self._ends[future]
            if future.cancelled():  # Nobody waits for it any more.
                continue
            if (error := result.exception()) is not None:
                future.set_exception(error)
            else:
                future.set_result(result.result())


class _OverlappingExecutor:
    def __init__(self, calls: Overlapping, workers: int) -> None:
        self._calls, self._workers = calls, workers
        self.wait = calls.wait
        self._futures: list[Future[Any]] = []

    def submit(self, fn: Callable[..., T], /, *args: Any) -> Future[T]:
        # A call beyond the threads would wait in a line that is not simulated here.
        assert sum(not future.done() for future in self._futures) < self._workers
        future = self._calls.submit(fn, *args)
        self._futures.append(future)
        return future


def _anything(_: float) -> None:
    """However many seconds."""


class FakeBoto:
    """What goes through boto3, with the fakes as its clients."""

    def __init__(
        self, db: FakeDynamoDB, sqs: FakeSQS | None = None, allow: Callable[[float], object] = _anything
    ) -> None:
        self._db, self._sqs, self._allow = db, sqs, allow

    def batch_write(self, tables: Sequence[str], body: bytes, seconds: float) -> Answer:
        given = with_bytes(json.loads(body), self._db.meta.service_model.operation_model("BatchWriteItem").input_shape)
        assert set(tables) == set(given["RequestItems"])
        return self.call("batch_write_item", given, seconds)

    def call(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer:
        self._allow(seconds)
        return boto.answer(self._db, operation, arguments)

    def call_sqs(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer:
        return boto.answer(self._sqs, operation, arguments, seconds=seconds)


class Way:
    """Which way the calls of a `World` go, unless it is told."""

    is_by_boto3 = False


way = Way()


class _Wire:
    """A wire to whatever the service is now."""

    def __init__(self, wire: Callable[[], FakeWire], world: World) -> None:
        self._wire, self._world = wire, world

    def begin(self, request: Request, seconds: float, then: Callable[[Any], T], submit: Submit) -> Running[T]:
        """A call that is over at once if connections are open; else it goes to the executor."""
        return self._wire().begin(request, seconds, then, Inline().submit if self._world.are_connected else submit)

    def post(self, request: Request, seconds: float) -> HttpResponse:
        return self._wire().post(request, seconds)

    def has_room(self) -> bool:
        return True

    def correct_clock(self, date: str) -> None:
        """There is none."""


def create(db: FakeDynamoDB, table: Table) -> None:
    """The table that the settings describe, with its indexes."""
    sort_key = None if table.sort_key is None else astuple(table.sort_key)
    indexes = [
        (index.name, [*map(astuple, index.partition_key)], [*map(astuple, index.sort_key)]) for index in table.indexes
    ]
    db.create_table(table.name, partition_key=astuple(table.partition_key), sort_key=sort_key, indexes=indexes)


@dataclass
class World:
    """Tables, a queue, its dead-letter queue, and the function between them."""

    tables: Sequence[Table] = (ORDERS, EVENTS, BLOBS)
    settings: dict[str, Any] = field(default_factory=dict)
    """Fields of `Settings` besides the tables and the dead-letter queue."""
    dead_letters: bool = True
    chance: Callable[[], float] = lambda: 0.5
    fifo: bool = False
    fifo_dead_letters: bool = False
    clock: Clock = field(default_factory=Clock)
    executor: Callable[[int], calls.Executor] = Inline
    are_connected: bool = False
    """Connections are open, as they are in most invocations."""
    by_boto3: bool = field(default_factory=lambda: way.is_by_boto3)

    def __post_init__(self) -> None:
        self._sent = 0
        self.allowed: list[tuple[float, float]] = []
        """For each DynamoDB call the time, and the seconds that it was told it may take."""
        self.db = FakeDynamoDB(self.clock)
        for table in self.tables:
            create(self.db, table)
        self.renewals = 0
        """How often credentials were looked up anew."""
        self.sqs = FakeSQS(self.clock)
        self.dlq_url = (
            self.sqs.create_queue("dead-letters.fifo", fifo=True)
            if self.fifo_dead_letters
            else self.sqs.create_queue("dead-letters")
        )
        self.queue_url = self.sqs.create_queue("work.fifo", fifo=True) if self.fifo else self.sqs.create_queue("work")
        url = self.dlq_url if self.dead_letters else None
        settings = Settings(tuple(self.tables), dead_letter_queue_url=url, **self.settings)
        dynamodb = self._route(self._dynamodb, tables.PREFIX)
        self.pipeline = Pipeline(
            settings,
            Tables(settings.tables, dynamodb),
            Queue(
                self._route(lambda: FakeWire(self.sqs), queue.PREFIX),
                lambda: str(self.sqs.meta.endpoint_url),
                clock=self.clock,
                executor=self.executor,
            ),
            reads=Reads(settings.tables, dynamodb),
            region="us-east-1",
            clock=self.clock,
            sleep=self.clock.sleep,
            random=self.chance,
            executor=self.executor,
        )

    def _route(self, wire: Callable[[], FakeWire], prefix: str) -> Route:
        """As in Lambda, with the fakes behind the wire, or in the place of boto3's clients."""
        return Route(
            lambda: FakeBoto(self.db, self.sqs, self._allow),
            None if self.by_boto3 else _Wire(wire, self),
            lambda: Credentials("key", "secret"),
            prefix=prefix,
            connections=8,
            renew=self._renew,
        )

    def _dynamodb(self) -> FakeWire:
        return FakeWire(self.db, sent=lambda _, seconds: self._allow(seconds))

    def _renew(self) -> None:
        self.renewals += 1

    def _allow(self, seconds: float) -> None:
        self.allowed.append((self.clock(), seconds))

    def send(self, *bodies: Any, group: str = "group", **attributes: Any) -> list[str]:
        """Send messages (text as it is, anything else as JSON); their ids. `group` is for a FIFO queue."""
        return [
            self.sqs.send_message(
                QueueUrl=self.queue_url,
                MessageBody=body if isinstance(body, str) else json.dumps(body),
                MessageAttributes=attributes,
                **({"MessageGroupId": group, "MessageDeduplicationId": self._fresh_id()} if self.fifo else {}),
            )["MessageId"]
            for body in bodies
        ]

    def _fresh_id(self) -> str:
        self._sent += 1
        return f"sent-{self._sent}"

    def receive(self, count: int = 10_000) -> list[dict[str, Any]]:
        """Receive messages as the records of a Lambda event."""
        records: list[dict[str, Any]] = self.sqs.event(self.queue_url, count)["Records"]
        return records

    def run(self, *bodies: Any, time_left: float = 30.0) -> Outcome:
        """Send, receive and handle in one invocation; what is done is deleted from the queue as Lambda would."""
        self.send(*bodies)
        return self.invoke(self.receive(), time_left)

    def invoke(self, records: list[dict[str, Any]], time_left: float = 30.0) -> Outcome:
        outcome = self.pipeline.run(records, time_left, "123456789012")
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

    def item(self, pk: str = "a") -> dict[str, Any] | None:
        """The item of table orders with this key, in DynamoDB JSON without its key."""
        item = self.db.item("orders-table", {"pk": {"S": pk}})
        return None if item is None else {name: value for name, value in item.items() if name != "pk"}

    def redeliver(self) -> list[dict[str, Any]]:
        """What is on the queue, once it is visible again, as the records of the next event."""
        self.clock.sleep(1000)
        return self.receive()

    def writes(self) -> list[str]:
        """The operations that DynamoDB was asked for, in order."""
        return [call.operation for call in self.db.calls]
