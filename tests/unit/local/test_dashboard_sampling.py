"""What a local run notes is what AWS would have reported of it."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from sluice.local.dashboard.recording import Metric, Recording
from sluice.local.dashboard.sampling import Notes, WatchedFunction, WatchedInjector, WatchedQueue
from sluice.local.faults.injector import Delivery, Injector
from sluice.local.faults.profiles import PROFILES
from sluice.local.faults.upstream import UpstreamResponse
from sluice.local.poller import FunctionResult
from tests.fakes import Clock, FakeSQS


class Bench:
    """A watched queue with a clock of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.recording = Recording(0.0, 1e9)
        self.notes = Notes(self.recording, self.clock)
        self.sqs = FakeSQS(self.clock)
        self.url = self.sqs.create_queue("work")
        self.queue = WatchedQueue(self.sqs, threading.Event(), self.notes, self.url, "work")

    def values(self, name: str) -> list[float]:
        return [value for _, value in self.recording.points.get(Metric.of("AWS/SQS", name, {"QueueName": "work"}), [])]

    def send(self, count: int) -> None:
        entries = [{"Id": str(number), "MessageBody": "{}"} for number in range(count)]
        self.queue.send_message_batch(QueueUrl=self.url, Entries=entries)

    def receive(self, count: int = 10) -> list[dict[str, Any]]:
        response = self.queue.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=count, MessageSystemAttributeNames=["All"]
        )
        messages: list[dict[str, Any]] = response.get("Messages", [])
        return messages

    def delete(self, messages: list[dict[str, Any]]) -> None:
        entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
        self.queue.delete_message_batch(QueueUrl=self.url, Entries=entries)


def test_messages_are_counted_in_and_out() -> None:
    bench = Bench()

    bench.send(5)
    bench.delete(bench.receive(3))

    assert bench.values("NumberOfMessagesSent") == [5]
    assert bench.values("NumberOfMessagesReceived") == [3]
    assert bench.values("NumberOfMessagesDeleted") == [3]
    assert not bench.queue.is_empty


def test_an_empty_receive_is_counted_as_one() -> None:
    bench = Bench()

    bench.receive()

    assert bench.values("NumberOfEmptyReceives") == [1]


def test_the_queue_is_empty_when_all_that_was_sent_is_deleted() -> None:
    bench = Bench()
    bench.send(2)

    bench.delete(bench.receive())

    assert bench.queue.is_empty


def test_age_leaves_out_what_was_received_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr(bench.queue, "_depth", lambda _url: (0, 0))  # The fake has no GetQueueAttributes.
    bench.send(1)
    bench.clock.sleep(40)
    bench.queue.sample()
    for _ in range(3):
        bench.receive()
        bench.clock.sleep(1000)

    bench.queue.sample()

    assert bench.values("ApproximateAgeOfOldestMessage") == [40, 0]


def test_invocations_are_noted_with_their_errors() -> None:
    recording = Recording(0.0, 1e9)
    function = WatchedFunction(Notes(recording, Clock()), "writer")
    answers = iter([FunctionResult(b"{}"), FunctionResult(error="Task timed out")])

    invoke = function.watched(lambda _event: next(answers))
    returned = [invoke(b"1"), invoke(b"2")]

    points = {
        metric.name: [value for _, value in of_metric]
        for metric, of_metric in recording.points.items()
        if metric.namespace == "AWS/Lambda" and metric.dimensions == {("FunctionName", "writer")}
    }
    assert [answer.error for answer in returned] == [None, "Task timed out"]
    assert points["Invocations"] == [1, 1]
    assert points["Errors"] == [0, 1]
    assert points["ConcurrentExecutions"] == [1, 0, 1, 0]
    assert len(points["Duration"]) == 2


@pytest.mark.parametrize(
    ("status", "content", "consumed", "refused"),
    [
        (200, {"UnprocessedItems": {}, "ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 3.0}]}, [3.0], []),
        (
            200,
            {"UnprocessedItems": {"t": [1, 2]}, "ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 1.0}]},
            [1.0],
            [2],
        ),
        (400, {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}, [], [3]),
        (500, {"__type": "InternalServerError"}, [], []),
    ],
    ids=["taken", "partly", "refused", "broken"],
)
def test_what_the_table_refuses_is_counted_under_the_limit_that_is_set(
    monkeypatch: pytest.MonkeyPatch, status: int, content: Any, consumed: list[float], refused: list[float]
) -> None:
    answer = Delivery(UpstreamResponse(status, {}, json.dumps(content).encode()))
    monkeypatch.setattr(Injector, "answer", lambda *_: answer)
    injector = WatchedInjector("http://127.0.0.1:9", PROFILES["calm"], 1)
    recording = Recording(0.0, 1e9)
    injector.notes, injector.cause = Notes(recording, Clock()), "WriteKeyRangeThroughputThrottleEvents"

    request = json.dumps({"RequestItems": {"t": [{}, {}, {}]}}).encode()
    given = injector.answer({"X-Amz-Target": "DynamoDB_20120810.BatchWriteItem"}, request)

    def values(name: str) -> list[float]:
        return [v for _, v in recording.points.get(Metric.of("AWS/DynamoDB", name, {"TableName": "t"}), [])]

    assert given is answer
    assert values("ConsumedWriteCapacityUnits") == consumed
    assert values("WriteKeyRangeThroughputThrottleEvents") == refused


@pytest.mark.parametrize(
    ("operation", "request_", "content", "consumed"),
    [
        ("PutItem", {"TableName": "t"}, {"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 2.0}}, [2.0]),
        ("UpdateItem", {"TableName": "t"}, {}, [0.0]),
        (
            "TransactWriteItems",
            {"TransactItems": [{"Update": {"TableName": "t"}}]},
            {"ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 4.0}]},
            [4.0],
        ),
        ("GetItem", {"TableName": "t"}, {"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5}}, []),
    ],
)
def test_writes_by_themselves_are_noted_like_those_in_batches(
    monkeypatch: pytest.MonkeyPatch, operation: str, request_: Any, content: Any, consumed: list[float]
) -> None:
    answers = [Delivery(UpstreamResponse(200, {}, json.dumps(content).encode()))]
    monkeypatch.setattr(Injector, "answer", lambda *_: answers[0])
    injector = WatchedInjector("http://127.0.0.1:9", PROFILES["calm"], 1)
    recording = Recording(0.0, 1e9)
    injector.notes, injector.cause = Notes(recording, Clock()), "Refused"
    headers, body = {"X-Amz-Target": f"DynamoDB_20120810.{operation}"}, json.dumps(request_).encode()

    injector.answer(headers, body)
    answers = [Delivery(UpstreamResponse(400, {}, b'{"__type": "x#ProvisionedThroughputExceededException"}'))]
    injector.answer(headers, body)
    answers = [Delivery(UpstreamResponse(200, {}, b"garb"))]
    injector.answer(headers, b"led")

    points = {metric.name: [v for _, v in of_metric] for metric, of_metric in recording.points.items()}
    assert points.get("ConsumedWriteCapacityUnits", []) == consumed
    assert points.get("Refused", []) == [1] * len(consumed)
    assert len(points.get("SuccessfulRequestLatency", [])) == len(consumed)


def test_what_is_old_is_forgotten_and_a_copy_stays_as_it_is() -> None:
    clock = Clock()
    notes = Notes(Recording(0.0, 0.0), clock)
    start = clock()
    notes.add("N", {"d": "1"}, A=1.0)
    notes.read_log(['{"timestamp": "1970-01-01 00:00:01,000+0000", "level": "ERROR"}'])
    clock.sleep(100)
    notes.add("N", {"d": "1"}, A=2.0)

    copy = notes.copy(clock())
    notes.forget(start + 50)
    notes.add("N", {"d": "1"}, A=3.0)

    metric = Metric.of("N", "A", {"d": "1"})
    assert [value for _, value in copy.points[metric]] == [1.0, 2.0]
    assert (copy.start, copy.end, len(copy.log)) == (start, start + 100, 1)
    assert [value for _, value in notes.recording.points[metric]] == [2.0, 3.0]
    assert notes.copy(clock()).log == []
    assert Notes(Recording(0.0, 0.0), clock).copy(9.0).start < 9.0  # A page needs a time, if nothing else.
