"""What the two fakes share: the face of a boto3 client, the record of calls, the faults."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from types import SimpleNamespace
from typing import Any

import botocore.session
from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from tests.fakes.faults import (
    ConnectionLost,
    Delay,
    Fault,
    Raised,
    Refusal,
    ServerError,
    Timeout,
    Unreadable,
)
from tests.fakes.validity import Checks

ACCOUNT, REGION = "123456789012", "us-east-1"

Parameters = dict[str, Any]
Response = dict[str, Any]
Operations = dict[str, Callable[[Parameters, Fault | None], Response]]


class RefusedError(Exception):
    """What a service answers instead of doing what it was asked; boto3 makes a ClientError of it."""

    def __init__(self, code: str, message: str, status: int = 400, members: Response | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members or {}


@dataclass(slots=True)
class Call:
    """One call that reached the service; `error` is the code or exception name it ended with, or None."""

    operation: str
    kwargs: Parameters
    error: str | None = None
    words: str = ""
    """Of the error."""
    response: Response | None = None


@cache
def _described(service: str) -> tuple[ServiceModel, Any, Checks]:
    """botocore's description of a service, the classes of a boto3 client's `exceptions`, and checks of parameters."""
    model = botocore.session.Session().get_service_model(service)
    return model, ClientExceptionsFactory().create_client_exceptions(model), Checks()


class FakeService:
    """A boto3 client's face in front of the operations that a subclass gives; thread-safe.

    `query_codes` maps a modelled error to the code that boto3 reports in its place (AWS query compatibility).
    """

    query_codes: dict[str, str] = {}

    def __init__(self, service: str) -> None:
        self._model, self.exceptions, self._checks = _described(service)
        self.meta = SimpleNamespace(
            endpoint_url=f"https://{service}.{REGION}.amazonaws.com",
            region_name=REGION,
            service_model=self._model,
        )
        self.calls: list[Call] = []
        self._lock = threading.RLock()
        self._scripted: dict[str | None, list[Fault | None]] = {}
        self._always: dict[str | None, Fault | None] = {}

    def close(self) -> None:
        """Nothing to close; boto3 clients have it."""

    def calls_of(self, operation: str) -> list[Call]:
        """The calls of one operation, such as BatchWriteItem, in order."""
        with self._lock:
            return [call for call in self.calls if call.operation == operation]

    def script(self, *faults: Fault | None, operation: str | None = None) -> None:
        """Faults for the next calls (of one operation), one a call in order; None lets a call through."""
        with self._lock:
            self._scripted.setdefault(operation, []).extend(faults)

    def always(self, fault: Fault | None, operation: str | None = None) -> None:
        """A fault for every call (of one operation) that has no scripted one; None ends it."""
        with self._lock:
            self._always[operation] = fault

    def perform(self, operation: str, parameters: Parameters) -> Response:
        """What the service does with a request that has arrived, and that it may keep; the HTTP server calls it."""
        with self._lock:
            call = Call(operation, parameters)
            self.calls.append(call)
            fault = self._next_fault(operation)
        while isinstance(fault, Delay):
            fault.clock.sleep(fault.seconds)
            fault = fault.then
        try:
            with self._lock:
                call.response = self._answer(operation, parameters, fault)
                return call.response
        except ClientError as error:
            call.error, call.words = error.response["Error"]["Code"], error.response["Error"]["Message"]
            raise
        except Exception as error:
            call.error = type(error).__name__
            raise

    @cached_property
    def _operations(self) -> Operations:
        raise NotImplementedError

    def _called_by_client(self, operation: str, parameters: Parameters) -> Response:
        """Raises ParamValidationError for what botocore refuses before it sends anything.

        Stricter in one thing: botocore takes text for binary and encodes it once more, which nobody means.
        """
        shape = self._model.operation_model(operation).input_shape
        if self._checks.of(shape)(parameters):
            return self.perform(operation, copied(parameters))
        problems: str = ParamValidator().validate(parameters, shape).generate_report()
        problems += "".join(f"\nText where binary belongs: {text!r:.40}" for text in _binary_text(parameters))
        if problems:
            raise ParamValidationError(report=problems.strip())
        return self.perform(operation, copied(parameters))

    def _next_fault(self, operation: str) -> Fault | None:
        for name in (operation, None):
            if self._scripted.get(name):
                return self._scripted[name].pop(0)
        return self._always.get(operation) or self._always.get(None)

    def _answer(self, operation: str, parameters: Parameters, fault: Fault | None) -> Response:
        try:
            if isinstance(fault, Refusal):
                raise RefusedError(fault.code, fault.message, fault.status)
            if isinstance(fault, ConnectionLost | Timeout | ServerError | Raised) and not fault.applied:
                raise self._failure(fault)
            if isinstance(fault, Unreadable) and not fault.applied:
                return {"ResponseMetadata": _metadata(200)}
            response = self._operations[operation](parameters, fault)
            if isinstance(fault, ConnectionLost | Timeout | ServerError | Raised):
                raise self._failure(fault)
        except RefusedError as refused:
            raise self._client_error(operation, refused) from refused
        return {**({} if isinstance(fault, Unreadable) else response), "ResponseMetadata": _metadata(200)}

    def _failure(self, fault: ConnectionLost | Timeout | ServerError | Raised) -> Exception:
        failure: Exception
        if isinstance(fault, ServerError):
            failure = RefusedError(fault.code, "Internal error", fault.status)
        elif isinstance(fault, ConnectionLost):
            failure = ConnectionClosedError(endpoint_url=self.meta.endpoint_url)
        elif isinstance(fault, Raised):
            failure = fault.error
        else:
            failure = ReadTimeoutError(endpoint_url=self.meta.endpoint_url)
        return failure

    def _client_error(self, operation: str, refused: RefusedError) -> ClientError:
        error = {"Message": refused.message, "Code": self.query_codes.get(refused.code, refused.code)}
        if refused.code in self.query_codes:
            error |= {"QueryErrorCode": refused.code, "Type": "Sender"}
        response = {"Error": error, "ResponseMetadata": _metadata(refused.status), **refused.members}
        error_class: type[ClientError] = self.exceptions.from_code(refused.code)
        return error_class(response, operation)


def copied(value: Any) -> Any:
    """A deep copy of what requests are made of; property tests need it faster than copy.deepcopy."""
    kind = type(value)
    if kind is str or kind is bytes:
        return value
    if isinstance(value, dict):
        return {name: copied(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [copied(inner) for inner in value]
    return value


def _binary_text(value: Any, kind: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            # {"B": …} is binary only as the one member of a value; an attribute may be called B as well.
            yield from _binary_text(inner, name if len(value) == 1 else "")
    elif isinstance(value, list):
        for inner in value:
            yield from _binary_text(inner, kind)
    elif isinstance(value, str) and kind in ("B", "BS"):
        yield value


def _metadata(status: int) -> Response:
    return {"RequestId": "FAKE", "HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0}
