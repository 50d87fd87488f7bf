"""Which way a call goes: batches to the wire, all else through boto3, and everything where somebody watches boto3."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
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
from moto import mock_aws

from sluice.aws import boto, route, unreached
from sluice.aws.answer import Answer, NoAnswer, NotConfigured, Refusal
from sluice.aws.http_parser import ProtocolError
from sluice.aws.route import Route
from sluice.aws.signature import Credentials
from tests.fakes import FakeDynamoDB, Raised
from tests.fakes import Refusal as Refused
from tests.world import Inline

T = TypeVar("T")
CREDENTIALS = Credentials("access", "secret")
WRITTEN: tuple[int, dict[str, str], bytes] = (200, {}, b'{"UnprocessedItems":{}}')


class Ways:
    """Both ways, and which were taken."""

    def __init__(
        self,
        answer: Any = WRITTEN,
        credentials: Credentials | None = CREDENTIALS,
        *,
        are_static: bool = True,
        are_connected: bool = False,
    ) -> None:
        self.taken: list[str] = []
        self.made = self.troubles = 0
        self._answer = answer
        self._are_connected = are_connected
        self.db = Route(self._sdk, self, lambda: credentials, are_static=are_static, on_trouble=self._trouble)

    def _sdk(self) -> Ways:
        self.made += 1
        return self

    def _trouble(self) -> None:
        self.troubles += 1

    def begin(
        self, body: bytes, credentials: Credentials, seconds: float, then: Callable[[Any], T]
    ) -> Future[T] | None:
        if not self._are_connected:
            return None
        assert (body, credentials, seconds) == (b"{}", CREDENTIALS, self.seconds)
        self.taken.append("open connection")
        return Inline().submit(then, self._answer)

    def post(self, body: bytes, credentials: Credentials, seconds: float) -> tuple[int, Mapping[str, str], bytes]:
        assert (body, credentials) == (b"{}", CREDENTIALS)
        assert 0 < seconds <= self.seconds
        self.taken.append("wire")
        if isinstance(self._answer, Exception):
            raise self._answer
        answer: tuple[int, Mapping[str, str], bytes] = self._answer
        return answer

    def batch_write(self, tables: Sequence[str], body: bytes, seconds: float) -> Answer:
        assert (tables, body, seconds) == (["t"], b"{}", self.seconds)
        self.taken.append("boto3")
        return {"UnprocessedItems": {}}

    def call(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer:
        self.taken.append(operation)
        return {"arguments": arguments, "seconds": seconds}

    def write(self, seconds: float = 20.0) -> Answer:
        self.seconds = seconds
        return self.db.begin(["t"], b"{}", seconds, Inline().submit).result()


def test_a_batch_goes_by_the_wire_and_boto3_is_not_even_made() -> None:
    ways = Ways()

    assert ways.write() == {"UnprocessedItems": {}}
    assert ways.taken == ["wire"]
    assert ways.made == 0


def test_a_connection_that_is_open_is_taken_without_a_thread() -> None:
    ways = Ways(are_connected=True)

    assert ways.write() == {"UnprocessedItems": {}}
    assert ways.taken == ["open connection"]


def test_credentials_that_may_have_to_be_refreshed_are_asked_for_in_a_thread() -> None:
    ways = Ways(are_static=False, are_connected=True)

    ways.write()

    assert ways.taken == ["wire"]


def test_credentials_that_come_too_late_send_nothing() -> None:
    times = iter([0.0, 20.0])
    ways = Ways(are_static=False)
    ways.db._clock = lambda: next(times)

    assert ways.write(seconds=20.0) == NoAnswer("credentials came too late")
    assert ways.taken == []


def test_anything_else_goes_through_boto3() -> None:
    ways = Ways()

    assert ways.db.call("put_item", {"a": 1}, 3.0) == {"arguments": {"a": 1}, "seconds": 3.0}
    assert ways.taken == ["put_item"]


@pytest.mark.parametrize("are_static", [True, False])
def test_without_credentials_that_the_wire_can_use_boto3_is_asked(are_static: bool) -> None:
    ways = Ways(credentials=None, are_static=are_static, are_connected=True)

    ways.write()

    assert ways.taken == ["boto3"]


@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), ProtocolError("not HTTP")])
@pytest.mark.parametrize("are_connected", [True, False])
def test_a_connection_that_fails_leaves_the_outcome_open(error: OSError, are_connected: bool) -> None:
    assert Ways(error, are_connected=are_connected).write() == NoAnswer(unreached.reason(error, "DynamoDB"))


def test_a_defect_is_not_taken_for_a_lost_connection() -> None:
    with pytest.raises(ZeroDivisionError):
        Ways(ZeroDivisionError()).write()


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


@pytest.mark.parametrize(("module", "made", "method"), WATCHED)
@pytest.mark.parametrize("wrap", [with_its_name, ObjectProxy, lambda _: lambda *_, **__: None])
def test_where_boto3_is_wrapped_everything_goes_through_it(
    wrap: Callable[[Any], Any], module: str, made: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of: Any = importlib.import_module(module)
    of = getattr(of, made) if made else of
    ways = Ways(are_connected=True)
    ways.write()
    with monkeypatch.context() as patched:
        patched.setattr(of, method, wrap(vars(of)[method]))
        ways.write()
    ways.write()

    assert ways.taken == ["open connection", "boto3", "open connection"]


@pytest.mark.parametrize("library", ["ddtrace", "newrelic"])
def test_a_library_that_wraps_boto3_when_it_is_loaded_gets_it(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, ModuleType(library))
    ways = Ways()

    ways.write()

    assert ways.taken == ["boto3"]


def test_a_mock_of_moto_gets_it_while_it_runs() -> None:
    ways = Ways()
    ways.write()
    with mock_aws():
        ways.write()
    ways.write()

    assert ways.taken == ["wire", "boto3", "wire"]


def test_a_module_that_another_thread_is_loading_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in route._WRAPPED:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    ways = Ways()

    ways.write()

    assert ways.taken == ["wire"]


# What makes boto3 be loaded in time

TROUBLE: dict[str, Any] = {
    "throttled": (400, {}, b'{"__type":"ThrottlingException"}'),
    "unprocessed": (200, {}, b'{"UnprocessedItems":{"t":[{"DeleteRequest":{"Key":{}}}]}}'),
    "lost": ConnectionResetError(),
    "unreadable": (200, {}, b"<html>"),
}


@pytest.mark.parametrize("are_connected", [True, False])
@pytest.mark.parametrize("answer", TROUBLE.values(), ids=TROUBLE)
def test_trouble_is_told_at_once(answer: Any, are_connected: bool) -> None:
    ways = Ways(answer, are_connected=are_connected)

    ways.write()

    assert ways.troubles == 1


def test_a_smooth_call_is_no_trouble_unless_the_time_runs_out() -> None:
    ways = Ways()

    ways.write(seconds=route.LATE)
    assert ways.troubles == 0

    ways.write(seconds=route.LATE - 0.01)
    assert ways.troubles == 1


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
