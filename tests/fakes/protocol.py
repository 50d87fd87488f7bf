"""AWS's JSON protocol 1.0 in front of the fakes: bytes in, status, headers and bytes out.

https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
"""

import base64
import json
import re
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from botocore import xform_name
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.model import Shape

from sluice.aws.http import Request
from sluice.aws.http_parser import HttpResponse
from sluice.aws.in_flight import Running, Submit
from tests.fakes.service import FakeService

T = TypeVar("T")


class FakeWire:
    """A service at the end of a wire in this process; lost connections and timeouts are the socket's own errors."""

    def __init__(self, service: FakeService, *, sent: Callable[[bytes, float], object] = lambda *_: None) -> None:
        self._service = service
        self._sent = sent

    def begin(self, request: Request, seconds: float, then: Callable[[Any], T], submit: Submit) -> Running[T]:
        """Through the executor, as where no connection is open."""
        return submit(self.end, request, seconds, then)

    def end(self, request: Request, seconds: float, then: Callable[[Any], T]) -> T:
        try:
            return then(self.post(request, seconds))
        except OSError as error:
            return then(error)

    def has_room(self) -> bool:
        return True

    def correct_clock(self, date: str) -> None:
        """There is none."""

    def post(self, request: Request, seconds: float) -> HttpResponse:
        self._sent(request.body, seconds)
        action = request.target.rpartition(".")[2]
        try:
            return answered(
                self._service,
                action,
                request.body,
                lambda _, given: getattr(self._service, xform_name(action))(**given),
            )
        except ConnectionClosedError:
            raise ConnectionResetError(104, "Connection reset by peer") from None
        except ReadTimeoutError:
            raise TimeoutError("timed out") from None


def answered(
    service: FakeService, operation: str, body: bytes, perform: Callable[[str, dict[str, Any]], dict[str, Any]]
) -> HttpResponse:
    """What the service answers to a request. Raises botocore's errors where no answer comes."""
    model = service.meta.service_model.operation_model(operation)
    try:
        parameters = json.loads(body)
        # Whatever holds binary has a name that begins with B.
        response = perform(operation, with_bytes(parameters, model.input_shape) if b'"B' in body else parameters)
    except ClientError as error:
        return _refusal(service, error)
    return _answer(200, {name: value for name, value in response.items() if name != "ResponseMetadata"}, {})


def _refusal(service: FakeService, error: ClientError) -> HttpResponse:
    details = error.response["Error"]
    # AWS query compatibility: the body has the modelled name, a header the code that boto3 reports.
    name = details.get("QueryErrorCode", details["Code"])
    headers = {"x-amzn-query-error": f"{details['Code']};Sender"} if name in service.query_codes else {}
    members = {
        name: value for name, value in error.response.items() if name not in ("Error", "ResponseMetadata", "message")
    }
    body = {"__type": f"com.amazonaws#{name}", "message": details["Message"], **members}
    return _answer(error.response["ResponseMetadata"]["HTTPStatusCode"], body, headers)


def _answer(status: int, body: dict[str, Any], headers: dict[str, str]) -> HttpResponse:
    content = json.dumps(body, default=lambda binary: base64.b64encode(binary).decode()).encode()
    always = {
        "content-type": "application/x-amz-json-1.0",
        "x-amzn-requestid": "FAKE",
        "x-amz-crc32": str(zlib.crc32(content)),
    }
    return HttpResponse(status, {**always, **headers}, content)


def _binary(text: str) -> bytes:
    """Base64 with just the padding that RFC 4648 asks for; Python alone takes more. Raises `ValueError`."""
    if re.fullmatch(r"[A-Za-z0-9+/]*=?=?", text) is None or len(text) % 4:
        raise ValueError("not base64")
    return base64.b64decode(text, validate=True)


def with_bytes(value: Any, shape: Shape | None) -> Any:
    """A request's body with its base64 decoded where botocore's model says that it is binary."""
    if shape is None:
        return value
    match shape.type_name:
        case "blob":
            return _binary(value)
        case "structure":
            return {name: with_bytes(inner, shape.members.get(name)) for name, inner in value.items()}
        case "map":
            return {name: with_bytes(inner, shape.value) for name, inner in value.items()}
        case "list":
            return [with_bytes(inner, shape.member) for inner in value]
    return value
