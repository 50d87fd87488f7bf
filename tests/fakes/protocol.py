"""AWS's JSON protocol 1.0 in front of the fakes: bytes in, status, headers and bytes out.

https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
"""

import base64
import json
import re
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.model import Shape

from tests.fakes.dynamodb import FakeDynamoDB
from tests.fakes.service import FakeService


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes


class FakeWire:
    """DynamoDB at the end of a wire in this process; lost connections and timeouts are the socket's own errors."""

    def __init__(self, db: FakeDynamoDB, *, sent: Callable[[bytes, float], object] = lambda *_: None) -> None:
        self._db = db
        self._sent = sent

    def begin(self, *_: object) -> None:
        """No connection is ever open."""

    def post(self, body: bytes, credentials: object, seconds: float) -> Answer:  # noqa: ARG002  # As the real one.
        self._sent(body, seconds)
        try:
            return answered(self._db, "BatchWriteItem", body, lambda _, given: self._db.batch_write_item(**given))
        except ConnectionClosedError:
            raise ConnectionResetError(104, "Connection reset by peer") from None
        except ReadTimeoutError:
            raise TimeoutError("timed out") from None


def answered(
    service: FakeService, operation: str, body: bytes, perform: Callable[[str, dict[str, Any]], dict[str, Any]]
) -> Answer:
    """What the service answers to a request. Raises botocore's errors where no answer comes."""
    model = service.meta.service_model.operation_model(operation)
    try:
        response = perform(operation, _with_bytes(json.loads(body), model.input_shape))
    except ClientError as error:
        return _refusal(service, error)
    return _answer(200, {name: value for name, value in response.items() if name != "ResponseMetadata"}, {})


def _refusal(service: FakeService, error: ClientError) -> Answer:
    details = error.response["Error"]
    # AWS query compatibility: the body has the modelled name, a header the code that boto3 reports.
    name = details.get("QueryErrorCode", details["Code"])
    headers = {"x-amzn-query-error": f"{details['Code']};Sender"} if name in service.query_codes else {}
    members = {
        name: value for name, value in error.response.items() if name not in ("Error", "ResponseMetadata", "message")
    }
    body = {"__type": f"com.amazonaws#{name}", "message": details["Message"], **members}
    return _answer(error.response["ResponseMetadata"]["HTTPStatusCode"], body, headers)


def _answer(status: int, body: dict[str, Any], headers: dict[str, str]) -> Answer:
    content = json.dumps(body, default=lambda binary: base64.b64encode(binary).decode()).encode()
    always = {
        "content-type": "application/x-amz-json-1.0",
        "x-amzn-requestid": "FAKE",
        "x-amz-crc32": str(zlib.crc32(content)),
    }
    return Answer(status, {**always, **headers}, content)


def _binary(text: str) -> bytes:
    """Base64 with just the padding that RFC 4648 asks for; Python alone takes more. Raises `ValueError`."""
    if re.fullmatch(r"[A-Za-z0-9+/]*=?=?", text) is None or len(text) % 4:
        raise ValueError("not base64")
    return base64.b64decode(text, validate=True)


def _with_bytes(value: Any, shape: Shape | None) -> Any:
    """A request's body with its base64 decoded where botocore's model says that it is binary."""
    if shape is None:
        return value
    match shape.type_name:
        case "blob":
            return _binary(value)
        case "structure":
            return {name: _with_bytes(inner, shape.members.get(name)) for name, inner in value.items()}
        case "map":
            return {name: _with_bytes(inner, shape.value) for name, inner in value.items()}
        case "list":
            return [_with_bytes(inner, shape.member) for inner in value]
    return value
