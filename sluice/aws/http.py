"""BatchWriteItem over HTTP/1.1: one signed request and its answer, on connections that are kept alive.

http.client would do it in three times the CPU time, most of it to parse headers as e-mail, and bounds each wait but not
their sum: an answer that drips in would never end. It also needs a thread for each call, and threads that contend
for one interpreter cost more than all that is done in them.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Generic
from urllib.parse import quote

from .connection import Connection, T, wanted_by_tls
from .endpoint import Endpoint
from .http_parser import HttpResponse
from .in_flight import wait
from .signature import Credentials, Signer
from .trust import tls_context

MAX_SILENCE = 8.0
"""Seconds that DynamoDB may take to say something; it answers a full batch within tenths of one."""
MIN_PATIENCE = 1.0  # Seconds; half of the time left could be too little for any call.
CONNECT_TIMEOUT = 2.0  # Seconds.
MAX_IDLE = 30.0
"""Seconds after which a connection is not trusted any more: Lambda may have been frozen meanwhile."""
_USER_AGENT = f"Sluice ua/2.1 os/{sys.platform} lang/python#{sys.version.partition(' ')[0]}"
_SAFE_IN_TRACE_ID = "-=;:+&[]{}\"',"  # botocore/handlers.py: add_recursion_detection_header


class HttpClient:
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
        self._idle: list[Connection] = []
        self._head = (
            f"POST / HTTP/1.1\r\nHost: {endpoint.authority}\r\nAccept-Encoding: identity\r\n"
            f"User-Agent: {_USER_AGENT}\r\n"
        )

    def begin(
        self, body: bytes, credentials: Credentials, seconds: float, then: Callable[[HttpResponse | OSError], T]
    ) -> Exchange[T] | None:
        """Send once, on a connection that is open and idle; None where there is none, as to connect takes time.

        It takes at most half of `seconds`, so that there is time for another call. `then` makes its result of the
        answer, or of the reason why there is none: the request may or may not have been carried out.
        """
        connection = self._kept()
        return None if connection is None else self._exchange(connection, body, credentials, self._ends(seconds), then)

    def post(self, body: bytes, credentials: Credentials, seconds: float) -> HttpResponse:
        """As `begin`, on any connection, and wait for the answer. Raises OSError where none came."""
        ends = self._ends(seconds)
        connection = self._kept() or self._connect(ends)
        exchange = self._exchange(connection, body, credentials, ends, _answer)
        wait([exchange], seconds)
        if not exchange.done():
            exchange.give_up()
        return exchange.result()

    def _ends(self, seconds: float) -> float:
        return self._clock() + max(seconds / 2, min(MIN_PATIENCE, seconds))

    def _exchange(
        self,
        connection: Connection,
        body: bytes,
        credentials: Credentials,
        ends: float,
        then: Callable[[HttpResponse | OSError], T],
    ) -> Exchange[T]:
        signature = self._signer.headers(body, credentials)
        head = f"{self._head}{_trace_line()}{signature}Content-Length: {len(body)}\r\n\r\n".encode("latin-1")
        return Exchange(connection, head, body, ends, self._clock, self._keep, then)

    def _kept(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if 0 <= self._now() - connection.since <= MAX_IDLE and connection.is_quiet():
                return connection
            connection.close()

    def _keep(self, connection: Connection) -> None:
        connection.since = self._now()  # By the wall: the other clock may stand still while Lambda is frozen.
        with self._lock:
            if connection.may_be_kept and len(self._idle) < self._connections:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self, ends: float) -> Connection:
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
                return Connection(plain)
            return Connection(self._tls.wrap_socket(plain, server_hostname=self._endpoint.host), wanted_by_tls())
        except BaseException:
            plain.close()
            raise


def _answer(outcome: HttpResponse | OSError) -> HttpResponse:
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


class Exchange(Generic[T]):
    """A request on its way, and its answer as it arrives. A call for `calls.wait`; nothing in it waits."""

    __slots__ = ("_clock", "_connection", "_ends", "_keep", "_outcome", "_steps", "_then", "due", "events")

    def __init__(
        self,
        connection: Connection,
        head: bytes,
        body: bytes,
        ends: float,
        clock: Callable[[], float],
        keep: Callable[[Connection], None],
        then: Callable[[HttpResponse | OSError], T],
    ) -> None:
        self._connection = connection
        self._steps = connection.exchange(head, body)
        self._ends = ends
        self._clock = clock
        self._keep = keep
        self._then = then
        self._outcome: HttpResponse | OSError | None = None
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


def _trace_line() -> str:
    """X-Ray's header, by which Lambda also finds loops; boto3 sends it, too."""
    trace_id = os.environ.get("_X_AMZN_TRACE_ID")
    if not trace_id or "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
        return ""
    return f"X-Amzn-Trace-Id: {quote(trace_id, safe=_SAFE_IN_TRACE_ID)}\r\n"
