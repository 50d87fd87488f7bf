"""One address for everything: the local AWS behind it, its queues protected from calls at the same time.

moto's queues lose messages, or give them out twice, to calls at the same time, so those to SQS take turns here, and
the waiting of ReceiveMessage happens here, between two of them.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sluice.local import conditions
from sluice.local.serving import QuietHandler, serving

from . import mapping

IDLE = 0.1
"""Seconds between two looks into an empty queue."""
OWN = "/-/"
"""Paths that are answered here; S3 knows no bucket of that name (S3 user guide, bucketnamingrules)."""
_SERVICE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([a-z0-9-]+)/aws4_request")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_WAIT = re.compile(rb"\bWaitTimeSeconds=(\d+)")

Reply = tuple[int, Mapping[str, str], bytes]
Page = Callable[[], tuple[str, str]]
"""Content type and content."""


class Front:
    """Forwards to the port of the local AWS, but for `pages`. `on_sent` is told ids as messages are sent."""

    def __init__(self, port: int, stopping: threading.Event) -> None:
        self.pages: dict[str, Page] = {}
        self.mapping: mapping.Mapping | None = None
        self.on_sent: Callable[[str, list[str]], None] = lambda _queue_url, _ids: None
        self._port = port
        self._stopping = stopping
        self._turn = threading.Lock()
        self._own = threading.local()

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[int]:
        """Serve on a port of 127.0.0.1, by default any free one; yields it."""
        front = self

        class Handler(QuietHandler):
            def _answer(self) -> None:
                asked = dict(self.headers.items())
                status, headers, content = front.answer(self.command, self.path, asked, self.payload())
                self.reply(status, content, headers)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815  # The names that http.server calls.

        with serving(Handler, port) as served:
            try:
                yield served
            finally:
                self._stopping.set()

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """See one request through."""
        if path.startswith(OWN):
            page = self.pages.get(path.removeprefix(OWN).partition("?")[0])
            if page is None:
                return 404, {"Content-Type": "text/plain"}, b"Nothing is here."
            kind, content = page()
            return 200, {"Content-Type": kind}, content.encode()
        named = {name.lower(): value for name, value in headers.items()}
        service = _SERVICE.search(named.get("authorization", ""))
        if self.mapping is not None and self.mapping.is_meant(path):
            reply = self._forward(method, path, headers, self.mapping.forwarded(method, body))
            return reply[0], reply[1], self.mapping.answered(method, body, reply[0], reply[2])
        if service is None or service[1] != "sqs":
            reply = self._forward(method, path, headers, body)
            is_refused = reply[0] == 500 and service is not None and service[1] == "dynamodb"
            refused = conditions.refusal(body) if is_refused else None
            return reply if refused is None else (400, {"Content-Type": "application/x-amz-json-1.0"}, refused)
        action = named.get("x-amz-target", "").removeprefix("AmazonSQS.")
        if action == "ReceiveMessage" or b"Action=ReceiveMessage" in body:
            return self._receive(method, path, headers, body, is_json=bool(action))
        with self._turn:
            reply = self._forward(method, path, headers, body)
        if action in ("SendMessage", "SendMessageBatch") and reply[0] == 200:
            self._tell_sent(json.loads(body), json.loads(reply[2]))
        return reply

    def _receive(self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, is_json: bool) -> Reply:
        seconds, body = _without_waiting(body, is_json)
        end = time.monotonic() + seconds
        while True:
            with self._turn:
                reply = self._forward(method, path, headers, body)
            has_messages = b'"ReceiptHandle"' in reply[2] or b"<ReceiptHandle>" in reply[2]
            if has_messages or reply[0] != 200 or time.monotonic() >= end or self._stopping.wait(IDLE):
                return reply

    def _tell_sent(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        ids = [entry["MessageId"] for entry in answer.get("Successful", [answer]) if "MessageId" in entry]
        self.on_sent(str(request.get("QueueUrl", "")), ids)

    def _forward(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        passed = {name: value for name, value in headers.items() if name.lower() not in ("connection", "expect")}
        passed["Content-Length"] = str(len(body))
        for is_last in (False, True):
            connection = self._connection(fresh=is_last)
            try:
                connection.request(method, path, body, passed)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                # moto may have closed a connection that was kept; a request on it has not been heard.
                connection.close()
                if is_last:
                    return 503, {"Content-Type": "text/plain"}, b"The local AWS does not answer."
            else:
                return answer.status, {n: v for n, v in answer.getheaders() if n.lower() not in _HOP_BY_HOP}, content
        raise AssertionError

    def _connection(self, *, fresh: bool) -> http.client.HTTPConnection:
        """One of each thread's own, kept open."""
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None or fresh:
            connection = self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        return connection


def _without_waiting(body: bytes, is_json: bool) -> tuple[float, bytes]:
    """The seconds that a ReceiveMessage wants to wait, and the request without; in SQS's JSON or query protocol."""
    if not is_json:
        match = _WAIT.search(body)
        return (float(match[1]) if match else 0.0), _WAIT.sub(b"WaitTimeSeconds=0", body)
    request = json.loads(body)
    seconds = request.pop("WaitTimeSeconds", 0)
    return float(seconds), json.dumps({**request, "WaitTimeSeconds": 0}).encode()
