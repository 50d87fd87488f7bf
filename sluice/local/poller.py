"""A poller with the semantics of Lambda's event source mapping for SQS.

The rules are those of the Lambda developer guide: with-sqs (batches), services-sqs-errorhandling (partial
batch responses, backing off) and services-sqs-scaling (maximum concurrency). Receive counts, visibility
timeouts and the redrive to a dead-letter queue are the queue's own affair and left to it.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

MAX_RECEIVE = 10  # Messages of one ReceiveMessage, entries of one DeleteMessageBatch (SQS API reference).
MAX_PAYLOAD_BYTES = 6_291_556  # The 6 MB of a synchronous invocation (Lambda guide, gettingstarted-limits).
MAX_CONCURRENCY = 1_250  # Where the mapping names none (services-sqs-scaling).
LONG_POLL = 1
"""Seconds that ReceiveMessage may wait; Lambda allows it longer, but this poller has to stop soon."""
IDLE = 0.1
"""Seconds between short polls, where waiting in ReceiveMessage would overrun the batching window."""
FIRST_BACKOFF, MAX_BACKOFF = 1.0, 60.0
"""Seconds without polling after a function error, doubled with each one in a row; AWS gives no figures. With
ReportBatchItemFailures Lambda polls on as before (services-sqs-errorhandling)."""


class Queue(Protocol):
    """What of boto3's SQS client the poller calls."""

    def receive_message(self, **request: Any) -> Any: ...

    def delete_message_batch(self, **request: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class EventSourceMapping:
    """The settings of an event source mapping that say how to poll."""

    queue_url: str
    queue_arn: str
    batch_size: int = 10
    batching_window: int = 0
    """Seconds to gather a batch after its first message."""
    report_batch_item_failures: bool = False
    maximum_concurrency: int = MAX_CONCURRENCY

    @classmethod
    def from_description(cls, queue_url: str, description: Mapping[str, Any]) -> EventSourceMapping:
        """The mapping that Lambda's GetEventSourceMapping describes."""
        scaling = description.get("ScalingConfig") or {}
        return cls(
            queue_url=queue_url,
            queue_arn=description["EventSourceArn"],
            batch_size=description.get("BatchSize") or 10,
            batching_window=description.get("MaximumBatchingWindowInSeconds") or 0,
            report_batch_item_failures="ReportBatchItemFailures" in (description.get("FunctionResponseTypes") or ()),
            maximum_concurrency=scaling.get("MaximumConcurrency") or MAX_CONCURRENCY,
        )


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """What came of one invocation: the function's payload, or the error that it ended with."""

    payload: bytes = b""
    error: str | None = None
    """The type and text of a function error: an exception, a timeout, a process that ended."""


Function = Callable[[bytes], FunctionResult]
"""Invokes the function once, with an event as JSON; raises nothing."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One batch and its fate."""

    answer: FunctionResult
    deleted: tuple[str, ...]
    """Ids of the messages that succeeded, now gone from the queue."""
    returned: tuple[str, ...]
    """Ids of the messages that stay on the queue until their visibility timeout is over."""
    seconds: float
    """How long the function took."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message in hand: what names it, and its record of the event, as JSON."""

    id: str
    receipt_handle: str
    record: bytes


def failed_ids(answer: FunctionResult, ids: Sequence[str], report_batch_item_failures: bool) -> set[str]:
    """The messages that an answer leaves on the queue (services-sqs-errorhandling).

    All of them after a function error; none without ReportBatchItemFailures, whatever the function says;
    else those it reports. All again if the report is not valid JSON or names anything but messages of the
    batch. A response that the guide does not speak of counts as a failure: that costs a retry, no message.
    """
    everything = set(ids)
    if answer.error is not None:
        return everything
    if not report_batch_item_failures or not answer.payload.strip():
        return set()
    try:
        response = json.loads(answer.payload)
    except ValueError:
        return everything
    if response is None:
        return set()
    if not isinstance(response, dict):
        return everything
    failures = response.get("batchItemFailures")
    if failures is None:
        return set()
    if not isinstance(failures, list):
        return everything
    reported = [entry.get("itemIdentifier") if isinstance(entry, dict) else None for entry in failures]
    # By equality, not by hash: an identifier may be any JSON value.
    if not all(identifier in ids for identifier in reported):
        return everything
    return {identifier for identifier in ids if identifier in reported}


class Poller:
    """Gathers batches, invokes the function with them, and deletes what it has done; one batch at a time."""

    def __init__(
        self,
        queue: Queue,
        mapping: EventSourceMapping,
        function: Function,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        is_stopping: Callable[[], bool] = lambda: False,
        now: Callable[[], EventSourceMapping | None] | None = None,
    ) -> None:
        """`now` tells what has become of the mapping: other settings, or None while it is disabled."""
        self._queue = queue
        self._mapping = mapping
        self._now = now or (lambda: mapping)
        self._function = function
        self._clock = clock
        self._sleep = sleep
        self._is_stopping = is_stopping
        self._received: list[Received] = []
        self._errors_in_a_row = 0

    def poll(self) -> Invocation | None:
        """Gather one batch and see it through; None if no message came."""
        if self._errors_in_a_row:
            self._sleep(min(MAX_BACKOFF, FIRST_BACKOFF * 2 ** (self._errors_in_a_row - 1)))
        if (mapping := self._now()) is not None:
            self._mapping = mapping
            self._gather()
        elif not self._received:  # What is in hand is seen through.
            self._sleep(IDLE)
        batch = self._take()
        if not batch:
            return None
        start = self._clock()
        answer = self._function(b'{"Records":[' + b",".join(message.record for message in batch) + b"]}")
        seconds = self._clock() - start
        failed = failed_ids(answer, [message.id for message in batch], self._mapping.report_batch_item_failures)
        deleted = self._delete([message for message in batch if message.id not in failed])
        backs_off = answer.error is not None and not self._mapping.report_batch_item_failures
        self._errors_in_a_row = self._errors_in_a_row + 1 if backs_off else 0
        return Invocation(
            answer,
            deleted=tuple(message.id for message in batch if message.id in deleted),
            returned=tuple(message.id for message in batch if message.id not in deleted),
            seconds=seconds,
        )

    def _gather(self) -> None:
        """Receive until the batch or its payload is full, or the batching window is over."""
        if not self._received:
            self._receive(LONG_POLL)
        if not self._received:
            return
        end = self._clock() + self._mapping.batching_window
        while not self._is_full() and not self._is_stopping() and (left := end - self._clock()) > 0:
            if not self._receive(min(LONG_POLL, int(left))):
                self._sleep(min(IDLE, left))

    def _is_full(self) -> bool:
        too_many = len(self._received) >= self._mapping.batch_size
        return too_many or _payload_bytes(self._received) > MAX_PAYLOAD_BYTES

    def _receive(self, wait: int) -> bool:
        response = self._queue.receive_message(
            QueueUrl=self._mapping.queue_url,
            MaxNumberOfMessages=min(MAX_RECEIVE, self._mapping.batch_size - len(self._received)),
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = response.get("Messages") or []
        self._received += [received(message, self._mapping.queue_arn) for message in messages]
        return bool(messages)

    def _take(self) -> list[Received]:
        """What fits into one event; the rest, received already, waits for the next one."""
        size, count = _payload_bytes([]), 0
        for message in self._received:
            size += len(message.record) + 1
            if count and size > MAX_PAYLOAD_BYTES:
                break
            count += 1
        batch, self._received = self._received[:count], self._received[count:]
        return batch

    def _delete(self, messages: Sequence[Received]) -> set[str]:
        """Delete messages by tens; returns the ids of those that the queue says are gone."""
        gone = set()
        for start in range(0, len(messages), MAX_RECEIVE):
            group = messages[start : start + MAX_RECEIVE]
            entries = [{"Id": str(n), "ReceiptHandle": m.receipt_handle} for n, m in enumerate(group)]
            response = self._queue.delete_message_batch(QueueUrl=self._mapping.queue_url, Entries=entries)
            gone |= {group[int(entry["Id"])].id for entry in response.get("Successful") or []}
        return gone


def received(message: Mapping[str, Any], queue_arn: str) -> Received:
    """A message of ReceiveMessage, with its record as a function sees it (Lambda guide, with-sqs)."""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes") or {},
        "messageAttributes": {
            name: _message_attribute(value) for name, value in (message.get("MessageAttributes") or {}).items()
        },
        "md5OfBody": message.get("MD5OfBody"),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return Received(message["MessageId"], message["ReceiptHandle"], text.encode())


def _message_attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    attribute: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        attribute["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        attribute["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return attribute


def _payload_bytes(messages: Sequence[Received]) -> int:
    return len(b'{"Records":[]}') + sum(len(message.record) + 1 for message in messages)


@dataclass(slots=True)
class Polling:
    """Pollers at work; `failure` is what ended one of them, if anything has."""

    failure: Exception | None = None


@contextmanager
def polling(
    queue: Queue,
    mapping: EventSourceMapping,
    functions: Sequence[Function],
    on_invocation: Callable[[Invocation], None],
    stopping: threading.Event,
    now: Callable[[], EventSourceMapping | None] | None = None,
) -> Iterator[Polling]:
    """Poll with one thread for each function given, up to the mapping's maximum concurrency, until exit.

    `on_invocation` and `now` (see `Poller`) are called from these threads; `stopping` is set on exit and also ends them
    when set before.
    """
    state = Polling()

    def run(function: Function) -> None:
        poller = Poller(queue, mapping, function, sleep=stopping.wait, is_stopping=stopping.is_set, now=now)
        try:
            while not stopping.is_set():
                if invocation := poller.poll():
                    on_invocation(invocation)
        except Exception as error:  # noqa: BLE001  # A thread's failure is its owner's to report.
            state.failure = error

    concurrency = min(len(functions), mapping.maximum_concurrency)
    threads = [threading.Thread(target=run, args=(function,)) for function in functions[:concurrency]]
    try:
        for thread in threads:
            thread.start()
        yield state
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
