"""The services' end of a connection: requests read from bytes, answers written as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from .model import Invocation, ViolationError
from .network import SimulatedSocket
from .tables import Json
from .workload import Message, Place, Signature

_FIRST_LINE = b"POST / HTTP/1.1"
_NEEDED = (b"Host", b"Content-Type", b"X-Amz-Target", b"X-Amz-Date", b"X-Amz-Security-Token", b"Authorization")
HTML = b"<html><body><h1>503 Service Unavailable</h1></body></html>"


class Handler(Protocol):
    def handle(self, connection: ServerConnection, action: str, content: bytes, date: str, token: str) -> None: ...


class Call:
    """A request that has arrived whole."""

    __slots__ = ("about", "action", "body", "connection", "invocation", "is_answered", "items")

    def __init__(self, connection: ServerConnection, action: str, body: Json) -> None:
        self.connection, self.action, self.body = connection, action, body
        self.invocation = connection.invocation
        self.is_answered = False
        self.items: list[tuple[Signature, Place, Json]] = []
        self.about: Sequence[Message] = ()

    @property
    def is_given_up(self) -> bool:
        return self.connection.is_closed_by_client


class ServerConnection:
    """Reads requests one after the other; what is sent before the last one is answered breaks the protocol."""

    def __init__(self, service: Handler, end: SimulatedSocket) -> None:
        self._service, self._end = service, end
        self._received = b""
        self._is_reset = False
        self.call: Call | None = None
        self.invocation: Invocation
        """That has sent what arrives."""
        self.is_closed_by_client = False

    def receive(self, data: bytes) -> None:
        if self._is_reset:
            return
        if self.call is not None and not self.call.is_answered:
            raise ViolationError("sent on a connection that still owes an answer", first_id(self.call.invocation))
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.split(b"\r\n")
        headers = dict([line.split(b": ", 1) for line in lines])
        if first != _FIRST_LINE or len(headers) < len(lines) or not all(map(headers.get, _NEEDED)):
            raise ViolationError(f"a request that AWS would not take: {head!r}", first_id(self.invocation))
        length = int(headers[b"Content-Length"])
        if len(body) < length:
            return
        if len(body) > length:
            raise ViolationError("bytes behind a request", first_id(self.invocation))
        self._received = b""
        action = headers[b"X-Amz-Target"].decode().partition(".")[2]
        date, token = headers[b"X-Amz-Date"].decode(), headers[b"X-Amz-Security-Token"].decode()
        self._service.handle(self, action, body, date, token)

    def ended(self) -> None:
        self.is_closed_by_client = True

    def deliver(self, data: bytes) -> None:
        if not self._is_reset:
            self._end.deliver(data)

    def surprise(self, data: bytes) -> None:
        if not self._is_reset:
            self._end.surprise(data)

    def end(self) -> None:
        self._end.end()

    def reset(self) -> None:
        self._is_reset = True
        self._end.reset()


def first_id(invocation: Invocation) -> str:
    return invocation.messages[0].id


def http(status: int, headers: Mapping[str, str], content: bytes, *, length: bool = True) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if length:
        lines += f"content-length: {len(content)}\r\n"
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + content


def chunked(status: int, headers: Mapping[str, str], content: bytes) -> bytes:
    cut = len(content) // 2
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (content[:cut], content[cut:]) if piece)
    head = http(status, {**headers, "transfer-encoding": "chunked"}, b"", length=False)
    return head + pieces + b"0\r\n\r\n"
