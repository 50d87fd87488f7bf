"""BatchWriteItem over HTTP/1.1: one signed request and its answer, on connections that are kept alive.

http.client would do it in three times the CPU time, most of it to parse headers as e-mail, and bounds each wait but not
their sum: an answer that drips in would take for ever. It also needs a thread for each call, and threads that contend
for one interpreter cost more than all that is done in them.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import quote

from .calls import wait
from .endpoint import Endpoint
from .signature import Credentials, Signer
from .trust import tls_context

MAX_SILENCE = 8.0
"""Seconds that DynamoDB may take to say something; it answers a full batch within tenths of one."""
LEAST_PATIENCE = 1.0  # Seconds; half of the time left could be too little for any call.
CONNECT_TIMEOUT = 2.0  # Seconds.
MAX_IDLE = 30.0
"""Seconds after which a connection is not trusted any more: Lambda may have been frozen meanwhile."""
MAX_HEAD_BYTES = 64 * 1024
MAX_GROWTH = 6
"""Bytes of an answer for each of its request: it repeats no more than that, each byte as \\u00XX (RFC 8259, 7)."""
ONE_WRITE_BYTES = 64 * 1024
"""Up to here head and body are copied into one write, and so one packet where they fit."""

T = TypeVar("T")
Steps = Generator[int, None, T]
"""Gives what it waits for each time that it cannot go on: of `select`, POLLIN or POLLOUT."""

_WANTED: Mapping[type[OSError], int] = {BlockingIOError: 0}
"""What a socket that is not ready raises, and what for it is not: 0 for what was tried."""
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

    def begin(
        self, body: bytes, credentials: Credentials, seconds: float, then: Callable[[Answer | OSError], T]
    ) -> Exchange[T] | None:
        """Send once, on a connection that is open and idle; None where there is none, as to connect takes time.

        It takes at most half of `seconds`, so that there is time for another call. `then` makes its result of the
        answer, or of the reason why there is none: the request may or may not have been carried out.
        """
        connection = self._kept()
        return None if connection is None else self._exchange(connection, body, credentials, self._ends(seconds), then)

    def post(self, body: bytes, credentials: Credentials, seconds: float) -> Answer:
        """As `begin`, on any connection, and wait for the answer. Raises OSError where none came."""
        ends = self._ends(seconds)
        connection = self._kept() or self._connect(ends)
        exchange = self._exchange(connection, body, credentials, ends, _answer)
        wait([exchange], seconds)
        if not exchange.done():
            exchange.give_up()
        return exchange.result()

    def _ends(self, seconds: float) -> float:
        return self._clock() + max(seconds / 2, min(LEAST_PATIENCE, seconds))

    def _exchange(
        self,
        connection: _Connection,
        body: bytes,
        credentials: Credentials,
        ends: float,
        then: Callable[[Answer | OSError], T],
    ) -> Exchange[T]:
        signature = self._signer.headers(body, credentials)
        head = f"{self._head}{_trace_line()}{signature}Content-Length: {len(body)}\r\n\r\n".encode("latin-1")
        return Exchange(connection, head, body, ends, self._clock, self._keep, then)

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
        try:
            plain = socket.create_connection(address, timeout=min(left, CONNECT_TIMEOUT))
        except TimeoutError:
            raise TimeoutError(errno.ETIMEDOUT, "timed out") from None
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._tls is None:
                return _Connection(plain)
            return _Connection(self._tls.wrap_socket(plain, server_hostname=self._endpoint.host), _wanted_by_tls())
        except BaseException:
            plain.close()
            raise


def _answer(outcome: Answer | OSError) -> Answer:
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


class Exchange(Generic[T]):
    """A request on its way, and its answer as it arrives. A call for `calls.wait`; nothing in it waits."""

    __slots__ = ("_clock", "_connection", "_ends", "_keep", "_outcome", "_steps", "_then", "due", "events")

    def __init__(
        self,
        connection: _Connection,
        head: bytes,
        body: bytes,
        ends: float,
        clock: Callable[[], float],
        keep: Callable[[_Connection], None],
        then: Callable[[Answer | OSError], T],
    ) -> None:
        self._connection = connection
        self._steps = connection.exchange(head, body)
        self._ends = ends
        self._clock = clock
        self._keep = keep
        self._then = then
        self._outcome: Answer | OSError | None = None
        self.events = 0
        self.due = ends
        if clock() < ends:
            self.go_on()
        else:  # Connecting took all the time: what is sent now could come after a later write.
            self.give_up()

    def fileno(self) -> int:
        return self._connection.fileno()

    def go_on(self) -> None:
        """As far as it goes without waiting."""
        try:
            self.events = next(self._steps)
        except StopIteration as end:
            self._outcome = end.value
            self._keep(self._connection)
        except OSError as error:
            self._fail(error)
        except BaseException:
            self._connection.close()
            raise
        else:
            now = self._clock()
            if now >= self._ends:  # However much there is still to come.
                self.give_up()
            else:
                self.due = min(self._ends, now + MAX_SILENCE)

    def give_up(self) -> None:
        self._fail(TimeoutError("the call takes too long"))

    def cancel(self) -> None:
        """Its connection must not be used again: the answer may still come."""
        if self._outcome is None:
            self._connection.close()

    def done(self) -> bool:
        return self._outcome is not None

    def result(self) -> T:
        """What `then` makes of the outcome, once it is done."""
        assert self._outcome is not None
        return self._then(self._outcome)

    def _fail(self, error: OSError) -> None:
        self._connection.close()
        self._outcome = error.with_traceback(None)  # Its frames hold the body, and this exchange.


class _Connection:
    """One socket, used by one call at a time; `wanted` says what its errors wait for that are none."""

    def __init__(self, connected: socket.socket, wanted: Mapping[type[OSError], int] = _WANTED) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._wanted = wanted
        self._not_ready = tuple(wanted)
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)
        self._received = b""
        """What has arrived and is not yet used."""
        self._max_bytes = MAX_HEAD_BYTES
        """Of the answer's content."""
        self.may_be_kept = False
        self.since = 0.0
        """Idle since, in seconds since 1970."""

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: neither the end of the connection nor anything else."""
        return not self._readable.poll(0)

    def exchange(self, head: bytes, body: bytes) -> Steps[Answer]:
        self._max_bytes = MAX_HEAD_BYTES + MAX_GROWTH * len(body)
        try:
            if len(body) <= ONE_WRITE_BYTES:
                yield from self._send(head + body)
            else:
                yield from self._send(head)
                yield from self._send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # It may have been refused before it was read to the end; else there is no answer to read.
        del head, body
        yield select.POLLIN  # The answer is hardly ever there at once: not worth a look.
        return (yield from self._answer())

    def _send(self, data: bytes) -> Steps[None]:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except self._not_ready as error:
                yield self._wanted[type(error)] or select.POLLOUT

    def _answer(self) -> Steps[Answer]:
        """The next answer but for those that are only provisional (1xx)."""
        self.may_be_kept = False
        while True:
            version, status, headers = _head((yield from self._until(b"\r\n\r\n")))
            if status >= 200:
                break
        length = headers.get("content-length")
        if status in (204, 304):
            content, has_end = b"", True
        elif "transfer-encoding" in headers:
            content, has_end = (yield from self._chunked(headers["transfer-encoding"])), True
        elif length is not None:
            content, has_end = (yield from self._exactly(_number(length, 10))), True
        else:
            content, has_end = (yield from self._all()), False
        # What has come beyond the answer belongs to nothing that was asked.
        closes = version != "HTTP/1.1" or "close" in headers.get("connection", "").lower()
        self.may_be_kept = has_end and not closes and not self._received
        return Answer(status, headers, content)

    def _chunked(self, coding: str) -> Steps[bytes]:
        if coding.lower() != "chunked":
            raise ProtocolError("an unknown Transfer-Encoding")
        chunks, total = [], 0
        while size := _number((yield from self._until(b"\r\n")).partition(";")[0].strip(), 16):
            chunks.append((yield from self._exactly(size, total)))
            total += size
            if (yield from self._until(b"\r\n")):
                raise ProtocolError("a chunk of another length than announced")
        while (yield from self._until(b"\r\n")):  # Trailers.
            pass
        return b"".join(chunks)

    def _until(self, mark: bytes) -> Steps[str]:
        """The text before the mark; the mark is used up."""
        while (end := self._received.find(mark)) < 0:
            if len(self._received) > MAX_HEAD_BYTES:
                raise ProtocolError("a head without end")
            self._received += (yield from self._receive()) or _broken_off()
        text = self._received[:end].decode("latin-1")
        self._received = self._received[end + len(mark) :]
        return text

    def _exactly(self, size: int, before: int = 0) -> Steps[bytes]:
        """So many bytes, of which `before` have come already."""
        if before + size > self._max_bytes:
            raise ProtocolError("an answer that is too long")
        received = self._received
        if len(received) < size:
            parts, missing = [received], size - len(received)
            while missing > 0:
                part = (yield from self._receive()) or _broken_off()
                parts.append(part)
                missing -= len(part)
            received = b"".join(parts)
        self._received = received[size:]
        return received[:size]

    def _all(self) -> Steps[bytes]:
        parts, self._received = [self._received], b""
        size = len(parts[0])
        while part := (yield from self._receive()):
            parts.append(part)
            size += len(part)
            if size > self._max_bytes:
                raise ProtocolError("an answer that is too long")
        return b"".join(parts)

    def _receive(self) -> Steps[bytes]:
        while True:
            try:
                return self._socket.recv(64 * 1024)
            except self._not_ready as error:
                yield self._wanted[type(error)] or select.POLLIN


def _wanted_by_tls() -> Mapping[type[OSError], int]:
    import ssl  # Not loaded for a local endpoint.

    return {ssl.SSLWantReadError: select.POLLIN, ssl.SSLWantWriteError: select.POLLOUT, **_WANTED}


def _head(text: str) -> tuple[str, int, dict[str, str]]:
    """Version, status and headers (names in lower case). Raises ProtocolError."""
    first, *lines = text.split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not (rest[:3].isdecimal() and rest[3:4] in ("", " ")):
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
