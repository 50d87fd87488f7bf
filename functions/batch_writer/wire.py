"""BatchWriteItem over HTTP/1.1: one signed request and its answer, on connections that are kept alive.

http.client would do it in three times the CPU time, most of it to parse headers as e-mail, and bounds each wait but not
their sum: an answer that drips in would take for ever.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from .endpoint import Endpoint
from .signature import Credentials, Signer

if TYPE_CHECKING:
    import ssl

MAX_SILENCE = 8.0
"""Seconds that DynamoDB may take to say something; it answers a full batch within tenths of one."""
LEAST_PATIENCE = 1.0  # Seconds; half of the time left could be too little for any call.
CONNECT_TIMEOUT = 2.0  # Seconds.
MAX_IDLE = 30.0
"""Seconds after which a connection is not trusted any more: Lambda may have been frozen meanwhile."""
MAX_HEAD_BYTES = 64 * 1024
ONE_WRITE_BYTES = 64 * 1024
"""Up to here head and body are copied into one write, and so one packet where they fit."""

_USER_AGENT = f"Sluice ua/2.1 os/{sys.platform} lang/python#{sys.version.partition(' ')[0]}"
_SAFE_IN_TRACE_ID = "-=;:+&[]{}\"',"  # botocore/handlers.py: add_recursion_detection_header


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    """By name in lower case."""
    content: bytes


class ProtocolError(OSError):
    """What came back is not HTTP, or not all of it."""


class Wire:
    """POSTs to one endpoint, from any thread; keeps at most `connections` connections for the next calls."""

    def __init__(
        self,
        endpoint: Endpoint,
        connections: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = endpoint
        self._connections = connections
        self._clock = clock
        self._now = now
        self._signer = Signer(f"{endpoint.url}/", endpoint.region)
        self._tls = tls_context(endpoint.ca_bundle) if endpoint.scheme == "https" else None
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._head = (
            f"POST / HTTP/1.1\r\nHost: {endpoint.authority}\r\nAccept-Encoding: identity\r\n"
            f"User-Agent: {_USER_AGENT}\r\n"
        )

    def post(self, body: bytes, credentials: Credentials, seconds: float) -> Answer:
        """Send once, and take at most half of `seconds`, so that there is time for another call.

        Raises OSError where no whole answer came back: the request may or may not have been carried out.
        """
        ends = self._clock() + max(seconds / 2, min(LEAST_PATIENCE, seconds))
        signature = self._signer.headers(body, credentials)
        head = f"{self._head}{_trace_line()}{signature}Content-Length: {len(body)}\r\n\r\n".encode("latin-1")
        connection = self._kept() or self._connect(ends)
        try:
            connection.send(head, body, ends)
            answer = connection.answer(ends)
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return answer

    def _kept(self) -> _Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if 0 <= self._now() - connection.since <= MAX_IDLE and connection.is_quiet():
                return connection
            connection.close()

    def _keep(self, connection: _Connection) -> None:
        connection.since = self._now()  # By the wall: the other clock may stand still while Lambda is frozen.
        with self._lock:
            if connection.may_be_kept and len(self._idle) < self._connections:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self, ends: float) -> _Connection:
        left = ends - self._clock()
        if left <= 0:
            raise TimeoutError("no time left to connect")
        address = (self._endpoint.host, self._endpoint.port)
        plain = socket.create_connection(address, timeout=min(left, CONNECT_TIMEOUT))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._tls is None:
                return _Connection(plain, self._clock)
            return _Connection(self._tls.wrap_socket(plain, server_hostname=self._endpoint.host), self._clock)
        except BaseException:
            plain.close()
            raise


class _Connection:
    """One socket, used by one thread at a time."""

    def __init__(self, connected: socket.socket, clock: Callable[[], float]) -> None:
        self._socket = connected
        self._clock = clock
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)
        self._received = b""
        """What has arrived and is not yet used."""
        self.may_be_kept = False
        self.since = 0.0
        """Idle since, in seconds since 1970."""

    def close(self) -> None:
        self._socket.close()

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: neither the end of the connection nor anything else."""
        return not self._readable.poll(0)

    def send(self, head: bytes, body: bytes, ends: float) -> None:
        self._socket.settimeout(self._left(ends))
        if len(body) <= ONE_WRITE_BYTES:
            self._socket.sendall(head + body)
        else:
            self._socket.sendall(head)
            self._socket.sendall(body)

    def answer(self, ends: float) -> Answer:
        """The next answer but for those that are only provisional (1xx)."""
        self.may_be_kept = False
        while True:
            version, status, headers = _head(self._until(b"\r\n\r\n", ends))
            if status >= 200:
                break
        length = headers.get("content-length")
        if status in (204, 304):
            content, has_end = b"", True
        elif "transfer-encoding" in headers:
            content, has_end = self._chunked(headers["transfer-encoding"], ends), True
        elif length is not None:
            content, has_end = self._exactly(_number(length, 10), ends), True
        else:
            content, has_end = self._all(ends), False
        # What has come beyond the answer belongs to nothing that was asked.
        closes = version != "HTTP/1.1" or "close" in headers.get("connection", "").lower()
        self.may_be_kept = has_end and not closes and not self._received
        return Answer(status, headers, content)

    def _chunked(self, coding: str, ends: float) -> bytes:
        if coding.lower() != "chunked":
            raise ProtocolError("an unknown Transfer-Encoding")
        chunks = []
        while size := _number(self._until(b"\r\n", ends).partition(";")[0].strip(), 16):
            chunks.append(self._exactly(size, ends))
            if self._until(b"\r\n", ends):
                raise ProtocolError("a chunk of another length than announced")
        while self._until(b"\r\n", ends):  # Trailers.
            pass
        return b"".join(chunks)

    def _until(self, mark: bytes, ends: float) -> str:
        """The text before the mark; the mark is used up."""
        while (end := self._received.find(mark)) < 0:
            if len(self._received) > MAX_HEAD_BYTES:
                raise ProtocolError("a head without end")
            self._received += self._receive(ends) or _broken_off()
        text = self._received[:end].decode("latin-1")
        self._received = self._received[end + len(mark) :]
        return text

    def _exactly(self, size: int, ends: float) -> bytes:
        received = self._received
        if len(received) < size:
            parts, missing = [received], size - len(received)
            while missing > 0:
                part = self._receive(ends) or _broken_off()
                parts.append(part)
                missing -= len(part)
            received = b"".join(parts)
        self._received = received[size:]
        return received[:size]

    def _all(self, ends: float) -> bytes:
        parts, self._received = [self._received], b""
        while part := self._receive(ends):
            parts.append(part)
        return b"".join(parts)

    def _receive(self, ends: float) -> bytes:
        self._socket.settimeout(min(self._left(ends), MAX_SILENCE))
        return self._socket.recv(64 * 1024)

    def _left(self, ends: float) -> float:
        left = ends - self._clock()
        if left <= 0:
            raise TimeoutError("the call takes too long")
        return left


def tls_context(ca_bundle: str) -> ssl.SSLContext:
    """TLS 1.2 or newer, host names checked; `ca_bundle` is a file or a directory, as for AWS_CA_BUNDLE."""
    import ssl  # Not loaded for a local endpoint.

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if os.path.isdir(ca_bundle):
        context.load_verify_locations(capath=ca_bundle)
    else:
        context.load_verify_locations(cafile=ca_bundle)
    return context


def _head(text: str) -> tuple[str, int, dict[str, str]]:
    """Version, status and headers (names in lower case). Raises ProtocolError."""
    first, *lines = text.split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not (rest[:3].isdigit() and rest[3:4] in ("", " ")):
        raise ProtocolError("an answer that is not HTTP/1.x")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name.strip() != name:
            raise ProtocolError("a header that is none")
        name = name.lower()
        # Twice the same header is a list; of a length or a checksum that makes something that is no number.
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return version, int(rest[:3]), headers


def _number(text: str, base: int) -> int:
    if not (text.isascii() and text.isalnum()):
        raise ProtocolError("a length that is no number")
    try:
        return int(text, base)
    except ValueError:
        raise ProtocolError("a length that is no number") from None


def _broken_off() -> bytes:
    raise ConnectionResetError("the connection ended before the answer did")


def _trace_line() -> str:
    """X-Ray's header, by which Lambda also finds loops; boto3 sends it, too."""
    trace_id = os.environ.get("_X_AMZN_TRACE_ID")
    if not trace_id or "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
        return ""
    return f"X-Amzn-Trace-Id: {quote(trace_id, safe=_SAFE_IN_TRACE_ID)}\r\n"
