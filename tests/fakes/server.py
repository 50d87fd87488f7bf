"""The fakes over HTTP on 127.0.0.1, for a real boto3 client: AWS's JSON protocols 1.0, lost connections, time.

`with serve(db=db, sqs=sqs) as url: boto3.client("dynamodb", endpoint_url=url, …)`
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from tests.fakes.dynamodb import FakeDynamoDB
from tests.fakes.protocol import answered
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
        try:
            status, headers, content = answered(service, operation, body, service.perform)
        except ConnectionClosedError:
            self.close_connection = True
        except ReadTimeoutError:
            self.rfile.read(1)  # Says nothing until the client gives up and hangs up.
            self.close_connection = True
        else:
            self._answer(status, headers, content)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self._headers_buffer.append(b"\r\n")  # type: ignore[attr-defined]  # One write, or Nagle waits 40 ms.
        self._headers_buffer.append(content)  # type: ignore[attr-defined]
        self.flush_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Not a word: tests print enough."""
