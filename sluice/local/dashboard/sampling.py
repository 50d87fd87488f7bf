"""What AWS itself would report, noted where a local run can see it: at the queue, the function and the table."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sluice.local.faults.injector import Delivery, Injector
from sluice.local.faults.kinds import WRITES
from sluice.local.poller import Function, FunctionResult
from sluice.local.serial_queue import OneAtATime

from .recording import Recording

THROTTLES = {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"}
"""Errors of a table that takes no more (DynamoDB developer guide, Programming.Errors)."""
RECEIVES_OF_POISON = 3
"""Messages received so often no longer count for the age (SQS developer guide, sqs-available-cloudwatch-metrics)."""


class Notes:
    """A recording that threads write to, each value at the time at which it comes."""

    def __init__(self, recording: Recording, clock: Callable[[], float] = time.time) -> None:
        self.recording = recording
        self.clock = clock
        self._lock = threading.Lock()

    def add(self, namespace: str, dimensions: Mapping[str, str], **values: float) -> None:
        """Note values, by the names of their metrics."""
        with self._lock:
            at = self.clock()
            for name, value in values.items():
                self.recording.add(at, namespace, name, dimensions, value)

    def read_log(self, lines: Iterable[str]) -> None:
        """Note what lines of the function's log say."""
        with self._lock:
            self.recording.read_log(lines)

    def copy(self, end: float) -> Recording:
        """The recording until now, `end`, which nobody changes any more."""
        with self._lock:
            points = {metric: list(points) for metric, points in self.recording.points.items() if points}
            start = min((of_metric[0][0] for of_metric in points.values()), default=end - 1.0)
            return Recording(start, end, points, list(self.recording.log))

    def forget(self, before: float) -> None:
        """Drop what is older."""
        with self._lock:
            for metric, points in self.recording.points.items():
                self.recording.points[metric] = [point for point in points if point[0] >= before]
            self.recording.log = [entry for entry in self.recording.log if entry[0] >= before]


class WatchedQueue(OneAtATime):
    """The queue as sender and pollers see it; counts what goes in and out and knows how old each message is."""

    def __init__(self, client: Any, stopping: threading.Event, notes: Notes, queue_url: str, name: str) -> None:
        super().__init__(client, stopping)
        self._notes = notes
        self._queue_url = queue_url
        self._dimensions = {"QueueName": name}
        self._sent: dict[str, float] = {}
        """Message id → when it was sent; those that are still on the queue."""
        self._receives: dict[str, int] = {}
        self._handles: dict[str, str] = {}
        self._first_seen: dict[str, float] = {}
        """Of other queues by name: when the first message was there."""

    @property
    def is_empty(self) -> bool:
        return not self._sent

    def send_message_batch(self, **request: Any) -> Any:
        response = super().send_message_batch(**request)
        now = self._notes.clock()
        self._sent |= {entry["MessageId"]: now for entry in response.get("Successful", ())}
        self._note(NumberOfMessagesSent=len(response.get("Successful", ())))
        return response

    def receive_message(self, **request: Any) -> Any:
        response = super().receive_message(**request)
        messages = response.get("Messages", ())
        for message in messages:
            self._handles[message["ReceiptHandle"]] = message["MessageId"]
            self._receives[message["MessageId"]] = int(message["Attributes"]["ApproximateReceiveCount"])
        self._note(NumberOfMessagesReceived=len(messages), NumberOfEmptyReceives=not messages)
        return response

    def delete_message_batch(self, **request: Any) -> Any:
        response = super().delete_message_batch(**request)
        handles = {entry["Id"]: entry["ReceiptHandle"] for entry in request["Entries"]}
        for entry in response.get("Successful", ()):
            self._sent.pop(self._handles[handles[entry["Id"]]], None)
        self._note(NumberOfMessagesDeleted=len(response.get("Successful", ())))
        return response

    def sample(self) -> None:
        """Note what SQS reports each minute of a queue that is in use, whether anything happens or not."""
        waiting, in_flight = self._depth(self._queue_url)
        sent = [at for id, at in list(self._sent.items()) if self._receives.get(id, 0) < RECEIVES_OF_POISON]
        self._note(
            ApproximateNumberOfMessagesVisible=waiting,
            ApproximateNumberOfMessagesNotVisible=in_flight,
            ApproximateAgeOfOldestMessage=self._notes.clock() - min(sent) if sent else 0,
            NumberOfMessagesSent=0,
            NumberOfMessagesDeleted=0,
        )

    def sample_other(self, url: str, name: str) -> None:
        """The same of another queue, whose messages nobody takes."""
        waiting, in_flight = self._depth(url)
        now = self._notes.clock()
        since = self._first_seen.setdefault(name, now) if waiting + in_flight else now
        self._notes.add(
            "AWS/SQS",
            {"QueueName": name},
            ApproximateNumberOfMessagesVisible=waiting,
            ApproximateNumberOfMessagesNotVisible=in_flight,
            ApproximateAgeOfOldestMessage=now - since,
        )

    def _depth(self, url: str) -> tuple[int, int]:
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        with self._lock:
            attributes = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
        return int(attributes[names[0]]), int(attributes[names[1]])

    def _note(self, **values: float) -> None:
        self._notes.add("AWS/SQS", self._dimensions, **values)


class WatchedFunction:
    """The function's processes as Lambda counts them."""

    def __init__(self, notes: Notes, name: str) -> None:
        self._notes = notes
        self._dimensions = {"FunctionName": name}
        self._lock = threading.Lock()
        self._running = 0

    def watched(self, function: Function) -> Function:
        """The same function; each invocation is noted."""

        def invoke(event: bytes) -> FunctionResult:
            self._run(1)
            start = time.monotonic()
            answer = function(event)
            milliseconds = (time.monotonic() - start) * 1000
            self._run(-1)
            errors = answer.error is not None
            self._notes.add("AWS/Lambda", self._dimensions, Invocations=1, Errors=errors, Duration=milliseconds)
            return answer

        return invoke

    def sample(self) -> None:
        """Note the concurrency; nothing refuses an invocation here."""
        self._notes.add("AWS/Lambda", self._dimensions, ConcurrentExecutions=self._running, Throttles=0)

    def _run(self, more: int) -> None:
        with self._lock:
            self._running += more
        self.sample()


class WatchedInjector(Injector):
    """A table whose consumption, latency and refusals are noted.

    `cause` is the metric that counts refusals: the limits are set one at a time, so it is known which is met.
    """

    notes: Notes
    cause = ""

    def answer(
        self, headers: Mapping[str, str], body: bytes, has_hung_up: Callable[[], bool] = lambda: False
    ) -> Delivery:
        start = time.monotonic()
        delivery = super().answer(headers, body, has_hung_up)
        target = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
        if (operation := target.rpartition(".")[2]) in WRITES:
            self._note(operation, _json(body), delivery, (time.monotonic() - start) * 1000)
        return delivery

    def _note(self, operation: str, request: Mapping[str, Any], delivery: Delivery, milliseconds: float) -> None:
        content = _json(delivery.answer.body)
        is_done = delivery.answer.status == 200
        is_throttled = str(content.get("__type", "")).rpartition("#")[2] in THROTTLES
        consumed = content.get("ConsumedCapacity", [])
        for table, count in _requests(request).items():
            refused = len(content.get("UnprocessedItems", {}).get(table, ())) if is_done else count * is_throttled
            units = sum(
                each["CapacityUnits"]
                for each in (consumed if isinstance(consumed, list) else [consumed])
                if each["TableName"] == table
            )
            values = {"ConsumedWriteCapacityUnits": float(units)} if is_done else {}
            if refused and self.cause:
                values[self.cause] = refused
            self.notes.add("AWS/DynamoDB", {"TableName": table}, **values)
            dimensions = {"TableName": table, "Operation": operation}
            own_errors = {"SystemErrors": float(delivery.answer.status >= 500)}
            latency = {"SuccessfulRequestLatency": milliseconds} if is_done else {}
            self.notes.add("AWS/DynamoDB", dimensions, **own_errors, **latency)


def _requests(request: Mapping[str, Any]) -> Counter[str]:
    """How many writes a request has for each table."""
    if "RequestItems" in request:
        return Counter({table: len(requests) for table, requests in request["RequestItems"].items()})
    if "TransactItems" in request:
        return Counter(next(iter(each.values()))["TableName"] for each in request["TransactItems"])
    return Counter([request["TableName"]] if "TableName" in request else [])


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:  # Garbled on purpose, or no answer at all.
        return {}
    return value if isinstance(value, dict) else {}
