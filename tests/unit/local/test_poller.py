"""The local poller does with a queue what Lambda's event source mapping does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sluice.local.poller import EventSourceMapping, FunctionResult, Invocation, Poller, failed_ids, polling, received
from tests.fakes import Clock, FakeSQS

ARN = "arn:aws:sqs:us-east-1:123456789012:orders"
DONE = FunctionResult(b'{"batchItemFailures": []}')


class Function:
    """Answers as told, the last answer again and again; keeps the events it was given."""

    def __init__(self, *answers: FunctionResult | Callable[[list[dict[str, Any]]], FunctionResult]) -> None:
        self._answers = list(answers)
        self.payloads: list[bytes] = []

    def __call__(self, event: bytes) -> FunctionResult:
        self.payloads.append(event)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer if isinstance(answer, FunctionResult) else answer(self.batches[-1])

    @property
    def batches(self) -> list[list[dict[str, Any]]]:
        return [json.loads(payload)["Records"] for payload in self.payloads]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


class World:
    """A queue with messages in it, and the clock that it goes by."""

    def __init__(self, bodies: Sequence[str], visibility_timeout: int = 300, max_receive_count: int = 5) -> None:
        self.clock = Clock()
        self.sqs = FakeSQS(self.clock)
        self.dead = self.sqs.create_queue("dead")
        self.url = self.sqs.create_queue(
            "orders",
            visibility_timeout=visibility_timeout,
            dead_letter=self.dead,
            max_receive_count=max_receive_count,
        )
        self.send(bodies)

    def send(self, bodies: Sequence[str]) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def poller(self, function: Function, **settings: Any) -> Poller:
        mapping = EventSourceMapping(self.url, ARN, **{"report_batch_item_failures": True, **settings})
        return Poller(self.sqs, mapping, function, clock=self.clock, sleep=self.clock.sleep)

    @property
    def bodies(self) -> list[str]:
        return [message["Body"] for message in self.sqs.messages(self.url)]


def bodies(number: int) -> list[str]:
    return [f"body {n}" for n in range(number)]


def report(*identifiers: object) -> FunctionResult:
    return FunctionResult(json.dumps({"batchItemFailures": [{"itemIdentifier": id} for id in identifiers]}).encode())


def test_a_batch_is_gathered_from_several_receives() -> None:
    world, function = World(bodies(60)), Function(DONE)

    world.poller(function, batch_size=25, batching_window=5).poll()

    assert function.sizes == [25]
    asked = [call.kwargs["MaxNumberOfMessages"] for call in world.sqs.calls_of("ReceiveMessage")]
    assert asked == [10, 10, 5]


def test_a_full_batch_does_not_wait_for_the_window() -> None:
    world, function = World(bodies(20)), Function(DONE)

    world.poller(function, batch_size=20, batching_window=300).poll()

    assert world.clock() == 0


def test_a_batch_that_is_not_full_waits_for_the_window_from_its_first_message_on() -> None:
    world, function = World(bodies(3)), Function(DONE)

    world.poller(function, batch_size=100, batching_window=7).poll()

    assert function.sizes == [3]
    assert world.clock() == pytest.approx(7)


def test_messages_that_come_within_the_window_join_the_batch() -> None:
    world, function = World(bodies(1)), Function(DONE)
    mapping = EventSourceMapping(world.url, ARN, batch_size=100, batching_window=2)

    def sleep(seconds: float) -> None:
        if not world.clock.slept:
            world.send(["late"])
        world.clock.sleep(seconds)

    Poller(world.sqs, mapping, function, clock=world.clock, sleep=sleep).poll()

    assert [record["body"] for record in function.batches[0]] == ["body 0", "late"]


def test_without_a_window_one_receive_makes_the_batch() -> None:
    world, function = World(bodies(30)), Function(DONE)

    world.poller(function, batch_size=10).poll()

    assert function.sizes == [10]
    assert len(world.sqs.calls_of("ReceiveMessage")) == 1


def test_no_receive_waits_longer_than_the_window_is_open() -> None:
    world, function = World(bodies(1)), Function(DONE)

    world.poller(function, batch_size=100, batching_window=1).poll()

    first, *others = [call.kwargs["WaitTimeSeconds"] for call in world.sqs.calls_of("ReceiveMessage")]
    assert first > 0  # Nothing is in hand yet that could be late.
    assert others[1:] == [0] * (len(others) - 1)


def test_an_empty_queue_invokes_nothing() -> None:
    world, function = World([]), Function(DONE)

    assert world.poller(function).poll() is None
    assert function.payloads == []


def test_a_payload_stays_within_six_megabytes_and_the_rest_comes_next() -> None:
    world, function = World([str(n) * 1_000_000 for n in range(9)]), Function(DONE)
    poller = world.poller(function, batch_size=100, batching_window=1)

    poller.poll()
    poller.poll()

    assert function.sizes == [6, 3]
    assert max(map(len, function.payloads)) <= 6_291_556
    assert [record["body"][0] for batch in function.batches for record in batch] == list("012345678")
    assert world.bodies == []


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ('"' * 1_000_000, 3),  # Two bytes each in JSON, where a quote needs a backslash.
        ("é" * 500_000, 6),  # Two bytes each in UTF-8, as in the body.
    ],
)
def test_the_size_that_counts_is_that_of_the_event(body: str, messages: int) -> None:
    world, function = World([body] * 7), Function(DONE)

    world.poller(function, batch_size=100, batching_window=1).poll()

    assert function.sizes == [messages]


def test_the_event_is_the_one_that_lambda_makes() -> None:
    world, function = World([]), Function(DONE)
    attributes = {
        "source": {"DataType": "String", "StringValue": "café"},
        "blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        "count": {"DataType": "Number", "StringValue": "3"},
    }
    world.sqs.send_message(QueueUrl=world.url, MessageBody='{"put": 1.10}\n', MessageAttributes=attributes)

    world.poller(function).poll()
    world.sqs.send_message(QueueUrl=world.url, MessageBody='{"put": 1.10}\n', MessageAttributes=attributes)
    expected = world.sqs.event(world.url)

    (ours,), (theirs,) = function.batches[0], expected["Records"]
    for record in (ours, theirs):
        del record["messageId"], record["receiptHandle"]
    assert ours == theirs


def test_only_what_is_not_reported_is_deleted() -> None:
    world = World(bodies(30))
    function = Function(lambda batch: report(batch[3]["messageId"], batch[27]["messageId"]))

    invocation = world.poller(function, batch_size=30, batching_window=1).poll()

    assert world.bodies == ["body 3", "body 27"]
    assert invocation is not None
    assert invocation.returned == tuple(message["MessageId"] for message in world.sqs.messages(world.url))
    assert len(invocation.deleted) == 28


@pytest.mark.parametrize(
    "payload",
    ['{"batchItemFailures": []}', '{"batchItemFailures": null}', "{}", "null", "", " ", '{"other": 1}'],
)
def test_these_answers_are_a_success_of_the_whole_batch(payload: str) -> None:
    assert failed_ids(FunctionResult(payload.encode()), ["a", "b"], True) == set()


@pytest.mark.parametrize(
    "payload",
    [
        "{",
        "done",
        '{"batchItemFailures": [{"itemIdentifier": ""}]}',
        '{"batchItemFailures": [{"itemIdentifier": null}]}',
        '{"batchItemFailures": [{"itemidentifier": "a"}]}',
        '{"batchItemFailures": [{}]}',
        '{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "unknown"}]}',
        '{"batchItemFailures": [{"itemIdentifier": ["a"]}]}',
        '{"batchItemFailures": ["a"]}',
        '{"batchItemFailures": "a"}',
        '{"batchItemFailures": {}}',
        '{"batchItemFailures": 0}',
        '["a"]',
        '"a"',
        "true",
    ],
)
def test_these_answers_are_a_failure_of_the_whole_batch(payload: str) -> None:
    assert failed_ids(FunctionResult(payload.encode()), ["a", "b"], True) == {"a", "b"}


def test_an_id_reported_twice_fails_once() -> None:
    assert failed_ids(report("a", "a"), ["a", "b"], True) == {"a"}


def test_without_report_batch_item_failures_any_answer_is_a_success() -> None:
    for payload in (b'{"batchItemFailures": [{"itemIdentifier": "a"}]}', b"{", b"null"):
        assert failed_ids(FunctionResult(payload), ["a", "b"], False) == set()


@pytest.mark.parametrize("reports", [True, False])
def test_after_a_function_error_nothing_is_deleted(reports: bool) -> None:
    world, function = World(bodies(12)), Function(FunctionResult(error="ValueError: broken"))

    invocation = world.poller(function, batch_size=12, batching_window=1, report_batch_item_failures=reports).poll()

    assert world.bodies == bodies(12)
    assert world.sqs.calls_of("DeleteMessageBatch") == []
    assert invocation is not None
    assert invocation.deleted == ()


def test_a_returned_message_comes_again_when_its_visibility_timeout_is_over_and_counts_its_receives() -> None:
    world = World(bodies(1), visibility_timeout=30)
    function = Function(lambda batch: report(batch[0]["messageId"]), DONE)
    poller = world.poller(function)

    poller.poll()
    world.clock.sleep(29)
    assert poller.poll() is None
    world.clock.sleep(1)
    poller.poll()

    assert [batch[0]["attributes"]["ApproximateReceiveCount"] for batch in function.batches] == ["1", "2"]
    assert world.bodies == []


def test_the_queue_dead_letters_what_is_returned_too_often() -> None:
    world = World(["bad"], visibility_timeout=0, max_receive_count=3)
    function = Function(lambda batch: report(batch[0]["messageId"]))
    poller = world.poller(function)

    while poller.poll():
        pass

    assert function.sizes == [1, 1, 1]
    assert [message["Body"] for message in world.sqs.messages(world.dead)] == ["bad"]


@pytest.mark.parametrize(("reports_failures", "slept"), [(False, [1, 2, 4, 1]), (True, [])])
def test_it_backs_off_longer_with_each_function_error_in_a_row_unless_failures_are_reported(
    reports_failures: bool, slept: list[float]
) -> None:
    world = World(bodies(8), visibility_timeout=0, max_receive_count=100)
    error = FunctionResult(error="Sandbox.Timedout: task timed out")
    function = Function(error, error, error, DONE, error, DONE)
    poller = world.poller(function, batch_size=1, report_batch_item_failures=reports_failures)

    for _ in range(7):
        poller.poll()

    assert world.clock.slept == slept


def test_partial_failures_do_not_slow_the_polling_down() -> None:
    world = World(bodies(5), visibility_timeout=0, max_receive_count=100)
    poller = world.poller(Function(lambda batch: report(batch[0]["messageId"])))

    for _ in range(5):
        poller.poll()

    assert world.clock.slept == []


def test_a_message_that_sqs_did_not_delete_does_not_count_as_deleted() -> None:
    world = World(bodies(2))
    world.sqs.fail_entries("DeleteMessageBatch", {"1"})

    invocation = world.poller(Function(DONE)).poll()

    assert invocation is not None
    assert invocation.returned == tuple(message["MessageId"] for message in world.sqs.messages(world.url))
    assert world.bodies == ["body 1"]


def test_the_mapping_is_read_from_what_lambda_describes() -> None:
    description = {
        "EventSourceArn": ARN,
        "BatchSize": 500,
        "MaximumBatchingWindowInSeconds": 3,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 7},
    }

    assert EventSourceMapping.from_description("url", description) == EventSourceMapping("url", ARN, 500, 3, True, 7)


def test_a_mapping_without_settings_has_lambdas_defaults() -> None:
    mapping = EventSourceMapping.from_description("url", {"EventSourceArn": ARN, "ScalingConfig": None})

    assert mapping == EventSourceMapping("url", ARN, 10, 0, False, 1250)


class Meeting:
    """A function that returns once `parties` of its invocations run at the same time, or never more than it may."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)
        self._lock = threading.Lock()
        self._running = 0
        self.most = 0

    def __call__(self, _event: bytes) -> FunctionResult:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        self._barrier.wait(timeout=600)
        with self._lock:
            self._running -= 1
        return DONE


def polled(world: World, meeting: Meeting, functions: int, **settings: Any) -> list[Invocation]:
    """The invocations of all messages of a queue, by as many threads as the mapping allows."""
    invocations: list[Invocation] = []
    expected = len(world.bodies)
    all_done, stopping = threading.Event(), threading.Event()

    def note(invocation: Invocation) -> None:
        invocations.append(invocation)
        if sum(len(each.deleted) for each in invocations) == expected:
            all_done.set()

    mapping = EventSourceMapping(world.url, ARN, batch_size=1, **settings)
    with polling(world.sqs, mapping, [meeting] * functions, note, stopping) as state:
        assert all_done.wait(timeout=600), state.failure
    assert stopping.is_set()
    return invocations


def test_as_many_batches_run_at_once_as_there_are_functions() -> None:
    world, meeting = World(bodies(6)), Meeting(3)

    assert len(polled(world, meeting, functions=3)) == 6
    assert meeting.most == 3


def test_never_more_batches_run_at_once_than_the_maximum_concurrency() -> None:
    world, meeting = World(bodies(6)), Meeting(2)

    polled(world, meeting, functions=5, maximum_concurrency=2)

    assert meeting.most == 2


def test_what_ends_a_poller_is_told_to_its_owner() -> None:
    stopping = threading.Event()
    failed = threading.Event()

    class Broken:
        def receive_message(self, **_request: Any) -> Any:
            failed.set()
            raise ConnectionError("gone")

        def delete_message_batch(self, **_request: Any) -> Any:
            raise AssertionError

    with polling(Broken(), EventSourceMapping("url", ARN), [Function(DONE)], print, stopping) as state:
        assert failed.wait(timeout=600)

    assert str(state.failure) == "gone"


def test_a_disabled_mapping_takes_nothing_and_what_is_in_hand_is_seen_through() -> None:
    world, function = World(bodies(3)), Function(DONE)
    mapping = EventSourceMapping(world.url, ARN, report_batch_item_failures=True)
    now: list[EventSourceMapping | None] = [None]
    poller = Poller(world.sqs, mapping, function, clock=world.clock, sleep=world.clock.sleep, now=lambda: now[0])

    assert poller.poll() is None
    assert len(world.bodies) == 3
    now[0] = replace(mapping, batch_size=2)
    assert poller.poll() is not None
    poller._received.append(received(world.sqs.receive_message(QueueUrl=world.url)["Messages"][0], ARN))
    now[0] = None
    assert poller.poll() is not None

    assert function.sizes == [2, 1]
    assert world.bodies == []
