"""The fakes over HTTP on 127.0.0.1, for a real boto3 client: AWS's JSON protocols 1.0, lost connections, time.

`with serve(db=db, sqs=sqs) as url: boto3.client("dynamodb", endpoint_url=url, …)`
"""

import base64
import json
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.model import Shape

from tests.fakes.dynamodb import FakeDynamoDB
from tests.fakes.service import FakeService
from tests.fakes.sqs import FakeSQS


@contextmanager
def serve(*, db: FakeDynamoDB | None = None, sqs: FakeSQS | None = None) -> Iterator[str]:
    """The URL under which the fakes answer while the block runs; their calls and faults stay theirs."""
    services: dict[str, FakeService] = {}
    if db:
        services["DynamoDB_20120810"] = db
    if sqs:
        services["AmazonSQS"] = sqs
    server = _Server(services)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # A connection that is kept alive would hold the block open.

    def __init__(self, services: dict[str, FakeService]) -> None:
        self.services = services
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is part of what is tested; anything else is a fault of the fake."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """One call: X-Amz-Target names the service and the operation."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        prefix, _, operation = self.headers["X-Amz-Target"].partition(".")
        service = self.server.services[prefix]
        model = service.meta.service_model.operation_model(operation)
        try:
            response = service.perform(operation, _with_bytes(json.loads(body), model.input_shape))
        except ConnectionClosedError:
            self.close_connection = True
        except ReadTimeoutError:
            self.rfile.read(1)  # Says nothing until the client gives up and hangs up.
            self.close_connection = True
        except ClientError as error:
            self._answer_error(service, error)
        else:
            response.pop("ResponseMetadata")
            self._answer(200, response, {})

    def _answer_error(self, service: FakeService, error: ClientError) -> None:
        details = error.response["Error"]
        # AWS query compatibility: the body has the modelled name, a header the code that boto3 reports.
        name = details.get("QueryErrorCode", details["Code"])
        headers = {"x-amzn-query-error": f"{details['Code']};Sender"} if name in service.query_codes else {}
        members = {
            name: value
            for name, value in error.response.items()
            if name not in ("Error", "ResponseMetadata", "message")
        }
        body = {"__type": f"com.amazonaws#{name}", "message": details["Message"], **members}
        self._answer(error.response["ResponseMetadata"]["HTTPStatusCode"], body, headers)

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        content = json.dumps(body, default=lambda binary: base64.b64encode(binary).decode()).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/x-amz-json-1.0",
            "Content-Length": str(len(content)),
            "x-amzn-RequestId": "FAKE",
            "x-amz-crc32": str(zlib.crc32(content)),
            **headers,
        }.items():
            self.send_header(name, value)
        self._headers_buffer.append(b"\r\n")  # type: ignore[attr-defined]  # One write, or Nagle waits 40 ms.
        self._headers_buffer.append(content)  # type: ignore[attr-defined]
        self.flush_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Not a word: tests print enough."""


def _with_bytes(value: Any, shape: Shape | None) -> Any:
    """A request's body with its base64 decoded where botocore's model says that it is binary."""
    if shape is None:
        return value
    match shape.type_name:
        case "blob":
            return base64.b64decode(value)
        case "structure":
            return {name: _with_bytes(inner, shape.members.get(name)) for name, inner in value.items()}
        case "map":
            return {name: _with_bytes(inner, shape.value) for name, inner in value.items()}
        case "list":
            return [_with_bytes(inner, shape.member) for inner in value]
    return value
