"""What boto3's side makes of bytes: a sound answer is read, whatever else comes is told apart, nothing is sent late."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import NoRegionError

from sluice.aws import boto
from sluice.aws.answer import Answer, NoAnswer, Refusal
from sluice.aws.boto import BotoClient
from sluice.aws.dead_letters import DeadLetter
from sluice.aws.queue import Queue
from sluice.aws.route import Route
from tests.world import Inline

OK = b'{"ConsumedCapacity":{"TableName":"t","CapacityUnits":1.0}}'
CHECKSUM = str(zlib.crc32(OK))
LATIN = "<h1>Passerelle d\u00e9faillante</h1>".encode("latin-1")
PUT = {"TableName": "t", "Item": {"pk": {"S": "a"}}}
SENT = b'{"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":"x"}],"Failed":[]}'


class Answering(BotoClient):
    """Clients that are given one answer after the other, and count what was sent."""

    def __init__(self, *answers: tuple[int, dict[str, str], bytes]) -> None:
        super().__init__(1)
        self._answers = iter(answers)
        self.sent = 0

    def _new(self, service: str, config: Any) -> Any:
        client = super()._new(service, config)
        client.meta.events.register(f"before-send.{service}", self._answer)
        return client

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.sent += 1
        status, headers, content = next(self._answers)
        response = AWSResponse(request.url, status, headers, None)
        response._content = content
        return response


@pytest.fixture(autouse=True)
def _environ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


def asked(status: int, headers: dict[str, str], content: bytes) -> Answer:
    return Answering((status, headers, content)).call("put_item", PUT, 600.0)


@pytest.mark.parametrize("checksum", [{}, {"x-amz-crc32": CHECKSUM}, {"X-Amz-Crc32": f" {CHECKSUM} "}])
def test_an_answer_is_read_whatever_blanks_are_around_its_checksum(checksum: dict[str, str]) -> None:
    answer = asked(200, checksum, OK)

    assert isinstance(answer, dict)
    assert answer["ConsumedCapacity"] == {"TableName": "t", "CapacityUnits": 1.0}


@pytest.mark.parametrize("checksum", ["", " ", "x", "1", "-1", f"{CHECKSUM}, {CHECKSUM}"])
def test_an_answer_with_another_checksum_is_none(checksum: str) -> None:
    assert asked(200, {"x-amz-crc32": checksum}, OK) == NoAnswer("a checksum that does not match")


def queue_by(client: BotoClient, clock: Callable[[], float] = lambda: 0.0) -> Queue:
    sqs = Route(lambda: client, None, lambda: None, prefix="AmazonSQS.", connections=1, clock=clock)
    return Queue(sqs, client.sqs_url, executor=Inline, clock=clock)


UNREADABLE = [LATIN, b"", b"[]", b"{", b"NaN", b'{"ConsumedCapacity":5}', b'{"ConsumedCapacity":{"CapacityUnits":"1"}}']


@pytest.mark.parametrize("content", UNREADABLE)
def test_a_success_that_cannot_be_read_is_no_answer(content: bytes) -> None:
    assert asked(200, {}, content) == NoAnswer("an answer that cannot be read")


@pytest.mark.parametrize("status", [201, 204, 206, 300])
def test_another_success_than_200_is_no_answer(status: int) -> None:
    assert isinstance(asked(status, {}, OK), NoAnswer)


@pytest.mark.parametrize(
    "content",
    [
        LATIN, b"", b"5", b'{"__type":5}', b'{"__type":"ValidationException","message":5}', b'{"message":["x"]}',
        b'{"__type":"ConditionalCheckFailedException","Item":{"pk":5}}', b'{"__type":"x","message":{"a":1}}',
        b'{"__type":"TransactionCanceledException","CancellationReasons":[null]}',
        b'{"__type":"TransactionCanceledException","CancellationReasons":{"Code":5}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [301, 400, 502])
def test_an_error_that_cannot_be_read_is_known_by_its_status(status: int, content: bytes) -> None:
    answer = asked(status, {}, content)

    assert isinstance(answer, Refusal)
    assert (answer.code, answer.stored) == (str(status), None)


def test_nothing_is_sent_once_the_time_for_it_is_over() -> None:
    made = Answering((200, {}, OK))

    assert boto.answer(made.client(8.0), "put_item", PUT, seconds=-1.0) == NoAnswer("no time was left to send it")
    assert made.sent == 0


def test_nothing_is_sent_to_sqs_once_the_time_for_it_is_over() -> None:
    made, times = Answering((200, {}, SENT)), iter([0.0])
    queue = queue_by(made, clock=lambda: next(times, 2.0))

    sent = queue.send("https://sqs.test/1/dead", [DeadLetter("x", {}, 1)], until=1.0)

    assert (sent.taken, made.sent) == (set(), 0)


@pytest.mark.parametrize("first", [(502, {}, LATIN), (500, {}, b""), (503, {}, b"[]")])
def test_a_garbled_error_of_sqs_is_tried_again_by_boto3(first: tuple[int, dict[str, str], bytes]) -> None:
    made = Answering(first, (200, {}, SENT))
    queue = queue_by(made)

    sent = queue.send("https://sqs.test/1/dead", [DeadLetter("x", {}, 1)], until=10.0)

    assert (sent.taken, sent.failures, made.sent) == ({0}, [], 2)


ABOUT_TWO: dict[bytes, tuple[set[int], int]] = {
    b'{"Successful":[{"Id":"0"},{"Id":"1"}]}': ({0, 1}, 0),
    b'{"Successful":[{"Id":"0"}],"Failed":[{"Id":"1","Code":"Busy","SenderFault":true}]}': ({0}, 1),
    b'{"Successful":[{"Id":"0"}]}': ({0}, 1),
    b'{"Successful":[{"Id":"0"},{"Id":"0"}]}': (set(), 1),
    b'{"Successful":[{"Id":"0"},{"Id":"7"}]}': (set(), 1),
    b'{"Successful":[{"Id":"0"},{}]}': (set(), 1),
    b'{"Successful":[{"Id":"0"},{"Id":"1"}],"Failed":[{"Id":"1"}]}': (set(), 1),
    b'{"Successful":[{"Id":0},{"Id":1}]}': (set(), 1),
    b"{}": (set(), 2),
}


@pytest.mark.parametrize("content", ABOUT_TWO, ids=bytes.decode)
def test_an_entry_is_taken_if_the_answer_names_it_once_and_as_taken(content: bytes) -> None:
    made = Answering(*[(200, {}, content)] * 2)  # What cannot be read is asked for once more.
    queue = queue_by(made)

    sent = queue.send("https://sqs.test/1/dead", [DeadLetter("x", {}, 1)] * 2, until=10.0)

    assert (sent.taken, len(sent.failures)) == ABOUT_TWO[content]


def test_a_client_for_sqs_that_cannot_be_made_sends_nothing_and_raises_nothing() -> None:
    class Regionless(BotoClient):
        def _new(self, *_: Any) -> Any:
            raise NoRegionError()

    queue = queue_by(Regionless(1))

    for sent in (
        queue.send("u", [DeadLetter("x", {}, 1)], until=1.0),
        queue.delay("arn:aws:sqs:us-east-1:123456789012:work", [("receipt", 5)], until=1.0),
    ):
        assert sent.taken == set()
        assert sent.failures == [str(NoRegionError())]
