"""AWS's JSON protocol over HTTP/1.1: signed requests and their answers, on connections that are kept alive.

http.client would do it in three times the CPU time, most of it to parse headers as e-mail, and bounds each wait but not
their sum: an answer that drips in would never end. It also needs a thread for each call, and threads that contend
for one interpreter cost more than all that is done in them. Here only to connect takes a thread.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Generic, cast
from urllib.parse import quote

from msgspec import Struct

from .connection import Connection, Steps, T, wanted_by_tls
from .endpoint import Endpoint
from .http_parser import HttpResponse
from .in_flight import Polled, Running, Submit, wait
from .signature import Credentials, Signer
from .trust import tls_context

if TYPE_CHECKING:
    import ssl

MAX_SILENCE = 8.0
"""Seconds that a service may take to say something; DynamoDB answers a full batch within tenths of one."""
MIN_PATIENCE = 1.0  # Seconds; half of the time left could be too little for any call.
CONNECT_TIMEOUT = 2.0  # Seconds.
MAX_IDLE = 30.0
"""Seconds after which a connection is not trusted any more: Lambda may have been frozen meanwhile."""
MAX_CONNECTING = 8
"""Connections that are being made at once: each costs both sides a TLS handshake."""
_USER_AGENT = f"Sluice ua/2.1 os/{sys.platform} lang/python#{sys.version.partition(' ')[0]}"
_SAFE_IN_TRACE_ID = "-=;:+&[]{}\"',"  # botocore/handlers.py: add_recursion_detection_header


class Request(Struct, frozen=True):
    """One call: `target` is the value of X-Amz-Target, `body` its JSON."""

    target: str
    body: bytes
    credentials: Credentials
    answer_bytes: int = 0
    """How much longer its answer may be than one that repeats the request."""


class HttpClient:
    """POSTs to one endpoint, from any thread; keeps at most `connections` connections for the next calls."""

    def __init__(
        self,
        endpoint: Endpoint,
        connections: int,
        *,
        connect: Callable[[float], Connection] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`connect` gives a connection within so many seconds or raises OSError."""
        self._connections = connections
        self._connect = connect or Connector(endpoint)
        self._clock = clock
        self._now = now
        self._signer = Signer(endpoint.service, endpoint.region, endpoint.authority, now)
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._connecting = 0
        self._head = (
            f"POST / HTTP/1.1\r\nHost: {endpoint.authority}\r\nAccept-Encoding: identity\r\n"
            f"User-Agent: {_USER_AGENT}\r\n"
        )

    def has_room(self) -> bool:
        """Whether a call may begin now: there is a connection for it, or one may be made."""
        return bool(self._idle) or self._connecting < MAX_CONNECTING

    def begin(
        self, request: Request, seconds: float, then: Callable[[HttpResponse | OSError], T], submit: Submit
    ) -> Exchange[T]:
        """Send once: on a connection that is open and idle, or else on one that `submit` makes.

        It takes at most half of `seconds`, so that there is time for another call. `then` makes its result of the
        answer, or of the reason why there is none: the request may or may not have been carried out.
        """
        ends = self._clock() + max(seconds / 2, min(MIN_PATIENCE, seconds))
        exchange = Exchange(self, request, ends, then)
        if (connection := self._kept()) is not None:
            exchange.start(connection)
        else:
            exchange.start_when_open(self._opening(ends, submit))
        return exchange

    def post(self, request: Request, seconds: float) -> HttpResponse:
        """As `begin`, and wait for the answer. Raises OSError where none came."""
        exchange = self.begin(request, seconds, _answer, _at_once)
        wait([exchange], seconds)
        if not exchange.done():
            exchange.give_up()
        return exchange.result()

    def correct_clock(self, date: str) -> None:
        """Sign by the service's clock from now on; `date` is the Date header of an answer that refuses ours."""
        self._signer.correct(date)

    def head(self, request: Request) -> bytes:
        """What stands before the body."""
        signature = self._signer.lines(request.target, request.body, request.credentials)
        head = f"{self._head}{_trace_line()}{signature}Content-Length: {len(request.body)}\r\n\r\n"
        return head.encode("latin-1")

    def now(self) -> float:
        """Seconds of the clock by which calls end."""
        return self._clock()

    def keep(self, connection: Connection) -> None:
        """For a later call, if its last answer allows that."""
        connection.since = self._now()  # By the wall: the other clock may stand still while Lambda is frozen.
        with self._lock:
            if connection.may_be_kept and len(self._idle) < self._connections:
                self._idle.append(connection)
                return
        connection.close()

    def _kept(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if 0 <= self._now() - connection.since <= MAX_IDLE and connection.is_quiet():
                return connection
            connection.close()

    def _opening(self, ends: float, submit: Submit) -> Running[Connection]:
        with self._lock:
            self._connecting += 1
        try:
            return submit(self._open, ends)
        except BaseException:  # No thread can be started.
            with self._lock:
                self._connecting -= 1
            raise

    def _open(self, ends: float) -> Connection:
        try:
            left = ends - self._clock()
            if left <= 0:
                raise TimeoutError("no time left to connect")
            return self._connect(min(left, CONNECT_TIMEOUT))
        finally:
            with self._lock:
                self._connecting -= 1


class Connector:
    """Makes connections to an endpoint; over TLS where its scheme says so."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._address = (endpoint.host, endpoint.port)
        self._tls = partial(tls, endpoint.ca_bundle) if endpoint.scheme == "https" else None

    def __call__(self, seconds: float) -> Connection:
        try:
            plain = socket.create_connection(self._address, timeout=seconds)
        except TimeoutError:
            raise TimeoutError(errno.ETIMEDOUT, "timed out") from None
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._tls is None:
                return Connection(plain)
            return Connection(self._tls().wrap_socket(plain, server_hostname=self._address[0]), wanted_by_tls())
        except BaseException:
            plain.close()
            raise


@cache
def tls(ca_bundle: str) -> ssl.SSLContext:
    """One for all services: to read some hundred certificates takes as long as to load most of what is here."""
    return tls_context(ca_bundle)


def _at_once(fn: Callable[..., Any], /, *args: Any) -> Any:
    """A call that is made in the thread that begins it."""
    return _Made(fn, args)


class _Made:
    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.result = lambda: fn(*args)

    def done(self) -> bool:
        return True

    def cancel(self) -> None:
        """Nothing to do."""


def _answer(outcome: HttpResponse | OSError) -> HttpResponse:
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


class Exchange(Generic[T]):
    """A request on its way, and its answer as it arrives. A call for `in_flight.Loop`; nothing in it waits."""

    __slots__ = (
        "_client",
        "_connection",
        "_ends",
        "_opening",
        "_outcome",
        "_request",
        "_steps",
        "_then",
        "due",
        "events",
    )

    def __init__(
        self, client: HttpClient, request: Request, ends: float, then: Callable[[HttpResponse | OSError], T]
    ) -> None:
        self._client = client
        self._request: Request | None = request
        self._ends = ends
        self._then = then
        self._opening: Running[Connection] | None = None
        self._connection: Connection | None = None
        self._steps: Steps[HttpResponse]
        self._outcome: HttpResponse | OSError | None = None
        self.events = select.POLLIN
        self.due = ends

    def start_when_open(self, opening: Running[Connection]) -> None:
        self._opening = opening
        if opening.done():
            self._start_on_opened()

    def start(self, connection: Connection) -> None:
        self._connection = connection
        request, self._request = self._request, None  # Its body is the connection's to forget.
        assert request is not None
        if (
            self._client.now() >= self._ends
        ):  # Connecting took all the time: what is sent now could come after a later write.
            self.give_up()
            return
        self._steps = connection.exchange(self._client.head(request), request.body, request.answer_bytes)
        self.go_on()

    def fileno(self) -> int:
        if self._connection is None:
            return cast("Polled[Connection]", self._opening).fileno()
        return self._connection.fileno()

    def hear(self) -> None:
        if self._connection is None:
            cast("Polled[Connection]", self._opening).hear()

    def go_on(self) -> None:
        """As far as it goes without waiting."""
        if self._connection is None:
            if cast("Polled[Connection]", self._opening).done():
                self._start_on_opened()
            return
        try:
            self.events = next(self._steps)
        except StopIteration as end:
            self._outcome = end.value
            self._client.keep(self._connection)
        except OSError as error:
            self._fail(error)
        except BaseException:
            self._connection.close()
            raise
        else:
            now = self._client.now()
            if now >= self._ends:  # However much there is still to come.
                self.give_up()
            else:
                self.due = min(self._ends, now + MAX_SILENCE)

    def give_up(self) -> None:
        self._fail(TimeoutError("the call takes too long"))

    def cancel(self) -> None:
        """Its connection must not be used again: the answer may still come."""
        if self._outcome is None and self._connection is not None:
            self._connection.close()

    def done(self) -> bool:
        return self._outcome is not None

    def result(self) -> T:
        """What `then` makes of the outcome, once it is done."""
        assert self._outcome is not None
        return self._then(self._outcome)

    def _start_on_opened(self) -> None:
        opening, self._opening = self._opening, None
        assert opening is not None
        try:
            connection = opening.result()
        except OSError as error:
            self._fail(error)
        else:
            self.start(connection)

    def _fail(self, error: OSError) -> None:
        if self._connection is not None:
            self._connection.close()
        self._outcome = error.with_traceback(None)  # Its frames hold the body, and this exchange.


def _trace_line() -> str:
    """X-Ray's header, by which Lambda also finds loops; boto3 sends it, too."""
    trace_id = os.environ.get("_X_AMZN_TRACE_ID")
    return "" if not trace_id or "AWS_LAMBDA_FUNCTION_NAME" not in os.environ else _traced(trace_id)


@lru_cache(1)  # The same in all calls of an invocation.
def _traced(trace_id: str) -> str:
    return f"X-Amzn-Trace-Id: {quote(trace_id, safe=_SAFE_IN_TRACE_ID)}\r\n"
