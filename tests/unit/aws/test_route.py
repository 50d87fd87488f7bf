"""Which way a call goes: over HTTP, or through boto3 where it must be or somebody watches that; and what has room."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import ModuleType
from typing import Any, TypeVar

import botocore.endpoint  # noqa: F401  # Loaded, as in a function in which boto3 is.
import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
)

from sluice.aws import boto, queue, route, tables, unreached
from sluice.aws.answer import Answer, NoAnswer, NotConfigured, Refusal
from sluice.aws.endpoint import Endpoint
from sluice.aws.http import HttpClient, Request
from sluice.aws.http_parser import HttpResponse, ProtocolError
from sluice.aws.in_flight import Submit
from sluice.aws.route import BotoCalls, Call, Route
from sluice.aws.signature import Credentials
from sluice.aws.threads import Threads
from tests.fakes import FakeDynamoDB, Raised
from tests.fakes import Refusal as Refused
from tests.fakes.scripted import ScriptedServer
from tests.world import Inline

T = TypeVar("T")
CREDENTIALS = Credentials("access", "secret")
WRITTEN = HttpResponse(200, {}, b'{"UnprocessedItems":{}}')
# One call of each kind: prefix and action as X-Amz-Target has them, and what is called on boto3's side.
CALLS: dict[str, tuple[str, Callable[[BotoCalls, float], Answer], str]] = {
    "BatchWriteItem": (
        tables.PREFIX,
        lambda made, seconds: made.batch_write(["t"], b"{}", seconds),
        "DynamoDB_20120810.BatchWriteItem",
    ),
    "PutItem": (
        tables.PREFIX,
        lambda made, seconds: made.call("put_item", {"a": 1}, seconds),
        "DynamoDB_20120810.PutItem",
    ),
    "SendMessageBatch": (
        queue.PREFIX,
        lambda made, seconds: made.call_sqs("send_message_batch", {"a": 1}, seconds),
        "AmazonSQS.SendMessageBatch",
    ),
}
every_call = pytest.mark.parametrize("action", CALLS)


class Ways:
    """Both ways, and which were taken."""

    def __init__(
        self,
        answer: Any = WRITTEN,
        credentials: Credentials | None = CREDENTIALS,
        *,
        action: str = "BatchWriteItem",
        are_static: bool = True,
        has_http: bool = True,
    ) -> None:
        self.taken: list[str] = []
        self.targets: list[str] = []
        self.dates: list[str] = []
        self.made = 0
        self.http_has_room = True
        self.seconds = 20.0
        self._answer = answer
        prefix, by_boto3, self.target = CALLS[action]
        self.call_ = Call(action, b"{}", by_boto3)
        self.route = Route(
            self._boto,
            self if has_http else None,
            lambda: credentials,
            prefix=prefix,
            connections=3,
            are_at_hand=lambda: are_static,
            host="the.host",
        )

    def _boto(self) -> Ways:
        self.made += 1
        return self

    # As the HTTP client

    def begin(self, request: Request, seconds: float, then: Callable[[Any], T], submit: Submit) -> Future[T]:
        assert submit == self.submit
        assert (request, seconds) == (Request(self.target, b"{}", CREDENTIALS), self.seconds)
        self.taken.append("http")
        return Inline().submit(then, self._answer)

    def post(self, request: Request, seconds: float) -> HttpResponse:
        assert request == Request(self.target, b"{}", CREDENTIALS)
        assert 0 < seconds <= self.seconds
        self.taken.append("http in a thread")
        if isinstance(self._answer, Exception):
            raise self._answer
        answer: HttpResponse = self._answer
        return answer

    def has_room(self) -> bool:
        return self.http_has_room

    def correct_clock(self, date: str) -> None:
        self.dates.append(date)

    # As boto3's side

    def batch_write(self, tables: Any, body: bytes, seconds: float) -> Answer:
        assert (tables, body) == (["t"], b"{}")
        return self._by_boto3("batch_write_item", seconds)

    def call(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer:
        assert arguments == {"a": 1}
        return self._by_boto3(operation, seconds)

    def call_sqs(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer:
        assert arguments == {"a": 1}
        return self._by_boto3(f"sqs {operation}", seconds)

    def _by_boto3(self, operation: str, seconds: float) -> Answer:
        assert 0 < seconds <= self.seconds
        self.taken.append("boto3")
        return {"by": operation}

    # As the executor

    def submit(self, fn: Callable[..., T], /, *args: Any) -> Future[T]:
        return Inline().submit(fn, *args)

    def write(self, seconds: float = 20.0) -> Answer:
        self.seconds = seconds
        return self.route.begin(self.call_, seconds, self.submit).result()


BY_BOTO3 = {
    "BatchWriteItem": "batch_write_item",
    "PutItem": "put_item",
    "SendMessageBatch": "sqs send_message_batch",
}


@every_call
def test_a_call_goes_over_http_and_boto3_is_not_even_made(action: str) -> None:
    ways = Ways(action=action)

    assert ways.write() == {"UnprocessedItems": {}}
    assert ways.taken == ["http"]
    assert ways.made == 0


@every_call
def test_without_http_each_call_is_boto3s_own(action: str) -> None:
    ways = Ways(action=action, has_http=False)

    assert ways.write() == {"by": BY_BOTO3[action]}
    assert ways.taken == ["boto3"]


@every_call
@pytest.mark.parametrize("are_static", [True, False])
def test_without_credentials_that_can_sign_boto3_is_asked(are_static: bool, action: str) -> None:
    ways = Ways(credentials=None, are_static=are_static, action=action)

    assert ways.write() == {"by": BY_BOTO3[action]}
    assert ways.taken == ["boto3"]


@every_call
def test_credentials_that_may_have_to_be_refreshed_are_asked_for_in_a_thread(action: str) -> None:
    ways = Ways(are_static=False, action=action)

    assert ways.write() == {"UnprocessedItems": {}}
    assert ways.taken == ["http in a thread"]


def test_credentials_that_come_too_late_send_nothing() -> None:
    times = iter([0.0, 20.0])
    ways = Ways(are_static=False)
    ways.route._clock = lambda: next(times)

    assert ways.write(seconds=20.0) == NoAnswer("credentials came too late")
    assert ways.taken == []


@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), ProtocolError("not HTTP")])
@pytest.mark.parametrize("are_static", [True, False])
def test_a_connection_that_fails_leaves_the_outcome_open(error: OSError, are_static: bool) -> None:
    assert Ways(error, are_static=are_static).write() == NoAnswer(unreached.reason(error, "the.host"))


def test_a_defect_is_not_taken_for_a_lost_connection() -> None:
    with pytest.raises(ZeroDivisionError):
        Ways(ZeroDivisionError(), are_static=False).write()


# Room


def test_over_http_there_is_room_as_the_client_says() -> None:
    ways = Ways()

    assert ways.route.has_room(1000)
    ways.http_has_room = False
    assert not ways.route.has_room(0)


@pytest.mark.parametrize("by", [{"has_http": False}, {"are_static": False}], ids=str)
def test_where_each_call_takes_a_thread_there_is_room_for_as_many_as_there_are_connections(by: Any) -> None:
    ways = Ways(**by)
    ways.http_has_room = False

    assert [ways.route.has_room(in_flight) for in_flight in range(5)] == [True, True, True, False, False]


def test_while_boto3_is_watched_there_is_room_as_by_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = Ways()
    ways.write()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "ddtrace", ModuleType("ddtrace"))
        ways.write()
        assert (ways.route.has_room(2), ways.route.has_room(3)) == (True, False)
    ways.write()

    assert ways.route.has_room(1000)
    assert ways.taken == ["http", "boto3", "http"]


# Whose clock

EXPIRED = b'{"__type":"x#InvalidSignatureException","message":"Signature expired: 20260101T000000Z is now earlier"}'
NOW = "Thu, 01 Jan 2026 00:10:00 GMT"


@pytest.mark.parametrize("are_static", [True, False])
@pytest.mark.parametrize(
    ("content", "dates"),
    [
        (EXPIRED, [NOW]),
        (b'{"__type":"RequestTimeTooSkewed"}', [NOW]),
        (b'{"__type":"x#InvalidSignatureException","message":"The request signature does not match"}', []),
        (b'{"__type":"x#ThrottlingException"}', []),
        (b"{}", []),
    ],
)
def test_the_clock_is_corrected_by_an_answer_that_says_it_is_wrong(
    content: bytes, dates: list[str], are_static: bool
) -> None:
    ways = Ways(HttpResponse(400, {"date": NOW}, content), are_static=are_static)

    ways.write()

    assert ways.dates == dates


def test_after_a_signature_that_has_expired_the_next_request_is_signed_by_the_services_clock() -> None:
    wall = 1_767_225_600.0  # 2026-01-01.
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    refused = b"HTTP/1.1 400 X\r\nDate: %b\r\nContent-Length: %d\r\n\r\n%b" % (NOW.encode(), len(EXPIRED), EXPIRED)
    with ScriptedServer([ok, refused, ok, ok]) as server:
        found = Endpoint("dynamodb", "http", "127.0.0.1", server.port, "us-east-1", "", lambda: CREDENTIALS)
        client = HttpClient(found, 1, now=lambda: wall)
        made = Route(pytest.fail, client, found.credentials, prefix=tables.PREFIX, connections=1)
        executor = Threads()(1)
        answers = []
        for _ in range(4):
            call = made.begin(Call("PutItem", b"{}", CALLS["PutItem"][1]), 600.0, executor.submit)
            [done] = executor.wait([call], 600.0)
            answers.append(done.result())

    dates = [request.partition(b"\r\nX-Amz-Date: ")[2][:16] for request in server.requests]
    assert dates == [b"20260101T000000Z"] * 2 + [b"20260101T001000Z"] * 2
    assert [isinstance(answer, Refusal) for answer in answers] == [False, True, False, False]


# Somebody watches

WATCHED = [
    (module, made, method)
    for module, classes in route._WRAPPED.items()
    for made, methods in classes.items()
    for method in methods
]


def with_its_name(function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class ObjectProxy:
    """As wrapt makes them for the X-Ray SDK and others."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function
        self.__module__ = function.__module__
        self.__globals__ = function.__globals__


@every_call
@pytest.mark.parametrize(("module", "made", "method"), WATCHED)
@pytest.mark.parametrize("wrap", [with_its_name, ObjectProxy, lambda _: lambda *_, **__: None])
def test_where_boto3_is_wrapped_everything_goes_through_it(
    wrap: Callable[[Any], Any], module: str, made: str, method: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of: Any = importlib.import_module(module)
    of = getattr(of, made) if made else of
    ways = Ways(action=action)
    ways.write()
    with monkeypatch.context() as patched:
        patched.setattr(of, method, wrap(vars(of)[method]))
        ways.write()
    ways.write()

    assert ways.taken == ["http", "boto3", "http"]


@pytest.mark.parametrize("library", ["ddtrace", "newrelic"])
def test_a_library_that_wraps_boto3_when_it_is_loaded_gets_it(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, ModuleType(library))
    ways = Ways()

    ways.write()

    assert ways.taken == ["boto3"]


def test_a_mock_of_moto_gets_it_while_it_runs() -> None:
    from moto import mock_aws  # Here, for every process of pytest imports every test file, and this takes a second.

    ways = Ways()
    ways.write()
    with mock_aws():
        ways.write()
    ways.write()

    assert ways.taken == ["http", "boto3", "http"]


def test_a_module_that_another_thread_is_loading_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in route._WRAPPED:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    ways = Ways()

    ways.write()

    assert ways.taken == ["http"]


def test_who_begins_to_watch_while_a_call_waits_for_its_thread_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = Ways(are_static=False)

    def late(fn: Callable[..., T], /, *args: Any) -> Future[T]:
        monkeypatch.setitem(sys.modules, "ddtrace", ModuleType("ddtrace"))
        return Inline().submit(fn, *args)

    ways.route.begin(ways.call_, 20.0, late)

    assert ways.taken == ["boto3"]


# boto3's errors


@pytest.fixture
def db() -> FakeDynamoDB:
    made = FakeDynamoDB()
    made.create_table("t", partition_key=("pk", "S"))
    return made


PUT = {"TableName": "t", "Item": {"pk": {"S": "a"}}}


@pytest.mark.parametrize("error", [NoCredentialsError(), NoRegionError()], ids=lambda error: type(error).__name__)
def test_missing_configuration_is_told_apart(error: Exception, db: FakeDynamoDB) -> None:
    db.script(Raised(error))

    assert boto.answer(db, "put_item", PUT) == NotConfigured(str(error))


@pytest.mark.parametrize("error", [ConnectionClosedError, EndpointConnectionError])
def test_a_connection_that_boto3_loses_leaves_the_outcome_open(error: Any, db: FakeDynamoDB) -> None:
    db.script(Raised(error(endpoint_url="http://x")))

    assert isinstance(boto.answer(db, "put_item", PUT), NoAnswer)


def test_a_refusal_has_the_services_code_and_words(db: FakeDynamoDB) -> None:
    db.script(Refused("AccessDeniedException", "not you"))

    assert boto.answer(db, "put_item", PUT) == Refusal("AccessDeniedException", "not you")


def test_a_request_that_makes_no_sense_is_a_defect(db: FakeDynamoDB) -> None:
    with pytest.raises(ParamValidationError):
        boto.answer(db, "put_item", {"TableName": "t"})
