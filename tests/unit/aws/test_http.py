"""HTTP on a socket: what is sent and understood, which connection is used, when a call is given up or has room."""

from __future__ import annotations

import errno
import http.client
import io
import itertools
import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.aws import connection as connection_module
from sluice.aws import http as wire_module
from sluice.aws import http_parser
from sluice.aws.connection import Connection
from sluice.aws.endpoint import Endpoint
from sluice.aws.http import MAX_CONNECTING, Connector, Exchange, HttpClient, Request
from sluice.aws.http_parser import HttpResponse
from sluice.aws.in_flight import Loop, Running, wait
from sluice.aws.signature import Credentials
from sluice.aws.threads import Threads
from tests.fakes.scripted import CLOSE, ScriptedServer

CREDENTIALS = Credentials("access", "secret", "token")
TARGET = "DynamoDB_20120810.BatchWriteItem"
LONG = 600.0  # Seconds that no test takes.
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def wire_to(port: int, connections: int = 2, **changes: Any) -> HttpClient:
    endpoint = Endpoint("dynamodb", "http", "127.0.0.1", port, "us-east-1", "", lambda: CREDENTIALS)
    return HttpClient(endpoint, connections, **changes)


def asking(body: bytes = b"{}") -> Request:
    return Request(TARGET, body, CREDENTIALS)


def post(wire: HttpClient, body: bytes = b"{}", seconds: float = 20.0) -> HttpResponse:
    return wire.post(asking(body), seconds)


# One request, one answer


def test_a_request_is_one_post_with_its_length() -> None:
    with ScriptedServer([OK]) as server:
        answer = post(wire_to(server.port), b'{"a":1}')

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert answer == (200, {"content-length": "2"}, b"{}")
    assert head.startswith(b"POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % server.port)
    assert b"\r\nContent-Length: 7" in head
    assert b"\r\nX-Amz-Target: DynamoDB_20120810.BatchWriteItem\r\n" in head
    assert b"\r\nX-Amz-Security-Token: token\r\n" in head
    assert body == b'{"a":1}'


@pytest.mark.parametrize("size", [connection_module.ONE_WRITE_BYTES, connection_module.ONE_WRITE_BYTES + 1, 5_000_000])
def test_a_body_of_any_size_arrives(size: int) -> None:
    body = bytes(itertools.islice(itertools.cycle(b"0123456789"), size))
    with ScriptedServer([OK]) as server:
        post(wire_to(server.port), body)

    assert server.requests[0].partition(b"\r\n\r\n")[2] == body


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"AWS_LAMBDA_FUNCTION_NAME": "f", "_X_AMZN_TRACE_ID": "Root=1-2;Sampled=0"}, b"Root=1-2;Sampled=0"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "f", "_X_AMZN_TRACE_ID": "Root=1\r\nEvil: 1"}, b"Root=1%0D%0AEvil:%201"),
        ({"_X_AMZN_TRACE_ID": "Root=1-2"}, None),
        ({"AWS_LAMBDA_FUNCTION_NAME": "f"}, None),
    ],
)
def test_the_trace_id_of_lambda_goes_along(
    environ: dict[str, str], line: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_LAMBDA_FUNCTION_NAME", "_X_AMZN_TRACE_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with ScriptedServer([OK]) as server:
        post(wire_to(server.port))

    lines = [line for line in server.requests[0].split(b"\r\n") if line.startswith(b"X-Amzn-Trace-Id: ")]
    assert lines == ([] if line is None else [b"X-Amzn-Trace-Id: " + line])


# What an answer may look like

NAMES = st.sampled_from(["X-A", "x-amz-crc32", "Server", "x-amzn-RequestId"])
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f\x85\xa0"), max_size=12)
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=5)
FRAMES = st.sampled_from(["length", "chunked", "end"])


class Pieces:
    """A socket that gives what it has in given pieces, and is not ready before each."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = list(pieces)
        self._is_ready = True
        self.is_closed = False

    def fileno(self) -> int:
        return 0

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def close(self) -> None:
        self.is_closed = True

    def send(self, data: memoryview) -> int:
        return len(data)

    def recv(self, _: int) -> bytes:
        self._is_ready = not self._is_ready
        if not self._is_ready:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return self._pieces.pop(0) if self._pieces else b""


def exchange_on(
    pieces: Pieces,
    *,
    body: bytes = b"{}",
    ends: float = 1e9,
    clock: Callable[[], float] = lambda: 0.0,
) -> Exchange[HttpResponse | OSError]:
    exchange = Exchange(wire_to(80, clock=clock), asking(body), ends, as_it_is)
    exchange.start(Connection(pieces))  # type: ignore[arg-type]
    return exchange


def as_it_is(outcome: HttpResponse | OSError) -> HttpResponse | OSError:
    return outcome


def framed(frame: str, lines: list[tuple[str, str]], status: int, content: bytes, chunk: int) -> bytes:
    head = f"HTTP/1.1 {status} Whatever\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
    if frame == "length":
        return f"{head}Content-Length: {len(content)}\r\n\r\n".encode("latin-1") + content
    if frame == "end":
        return f"{head}\r\n".encode("latin-1") + content
    chunks = [content[start : start + chunk] for start in range(0, len(content), chunk)]
    coded = b"".join(b"%x;x=y\r\n%b\r\n" % (len(part), part) for part in chunks)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode("latin-1") + coded + b"0\r\nX-Trailer: 1\r\n\r\n"


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % len(whole) for place in places} - {0}), len(whole)]
    return [whole[start:end] for start, end in itertools.pairwise(edges)]


def read(pieces: Sequence[bytes]) -> tuple[HttpResponse, bool]:
    """The answer, and whether its connection is kept."""
    socket = Pieces(pieces)
    exchange = exchange_on(socket)
    while not exchange.done():
        exchange.go_on()
    answer = exchange.result()
    if isinstance(answer, OSError):
        raise answer
    return answer, not socket.is_closed


class _Stream(io.BytesIO):
    def makefile(self, *_: object) -> _Stream:
        return self


def by_http_client(whole: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    response = http.client.HTTPResponse(_Stream(whole), method="POST")  # type: ignore[arg-type]
    response.begin()
    return response.status, response.getheaders(), response.read()


@given(FRAMES, LINES, st.sampled_from([200, 400, 500]), st.binary(max_size=60), st.integers(1, 20), st.data())
def test_an_answer_in_any_pieces_is_what_http_client_reads(
    frame: str, lines: list[tuple[str, str]], status: int, content: bytes, chunk: int, data: st.DataObject
) -> None:
    whole = framed(frame, lines, status, content, chunk)
    places = data.draw(st.lists(st.integers(0, len(whole)), max_size=8))

    answer, may_be_kept = read(cut(whole, places))

    their_status, their_headers, their_content = by_http_client(whole)
    assert (answer.status, answer.content) == (their_status, their_content) == (status, content)
    for name, value in answer.headers.items():
        assert value == ", ".join(theirs.strip() for other, theirs in their_headers if other.lower() == name)
    assert may_be_kept == (frame != "end")


@given(FRAMES, st.binary(min_size=1, max_size=40), st.integers(1, 9), st.data())
def test_an_answer_that_breaks_off_is_none(frame: str, content: bytes, chunk: int, data: st.DataObject) -> None:
    whole = framed(frame, [("X-A", "b")], 200, content, chunk)
    end = whole.index(b"\r\n\r\n") if frame == "end" else len(whole) - 1

    with pytest.raises(OSError, match=r"."):
        read([whole[: data.draw(st.integers(0, end))]])


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_an_error_of_the_connection(garbage: bytes) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        try:
            read([start + garbage])
        except OSError:
            continue


WRONG = {
    "not HTTP": b"SSH-2.0\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a status in small digits": "HTTP/1.1 \xb2\xb3\xb9 OK\r\n\r\n".encode("latin-1"),
    "a long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
    "length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
    "length of letters": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
    "folded": b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}",
    "no colon": b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\n{}",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
    "chunk of another length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "chunk of no length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
}


@pytest.mark.parametrize("whole", WRONG.values(), ids=WRONG)
def test_what_is_not_http_is_no_answer(whole: bytes) -> None:
    with pytest.raises(OSError, match=r"."):
        read(cut(whole, list(range(0, len(whole), 1000))))


@pytest.mark.parametrize("frame", ["length", "chunked", "end"])
@pytest.mark.parametrize("body", [b"", b"x" * 10_000])
def test_no_more_is_read_than_an_answer_can_repeat_of_its_request(frame: str, body: bytes) -> None:
    most = http_parser.MAX_HEAD_BYTES + connection_module.MAX_GROWTH * len(body)
    outcomes = []
    for size in (most, most + 1):
        pieces = Pieces(cut(framed(frame, [], 200, b"x" * size, 50_000), list(range(0, size, 10_000))))
        exchange = exchange_on(pieces, body=body)
        while not exchange.done():
            exchange.go_on()
        outcomes.append(exchange.result())

    assert isinstance(outcomes[0], HttpResponse)
    assert str(outcomes[1]) == "an answer that is too long"


def test_provisional_answers_are_passed_over() -> None:
    answer, may_be_kept = read([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nX: y\r\n\r\n" + OK])

    assert answer == (200, {"content-length": "2"}, b"{}")
    assert may_be_kept


# Which connection


def test_a_connection_is_used_again_and_again() -> None:
    with ScriptedServer([OK] * 5) as server:
        wire = wire_to(server.port)
        for _ in range(5):
            post(wire)

    assert server.connections == 1
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nof someone else",
    ],
    ids=["close", "close in a list", "HTTP/1.0", "more than was asked for"],
)
def test_a_connection_that_is_over_is_not_used_again(answer: bytes) -> None:
    with ScriptedServer([answer, OK], [OK]) as server:
        wire = wire_to(server.port)
        answers = [post(wire), post(wire)]

    assert server.connections == 2
    assert [each.content for each in answers] == [b"{}", b"{}"]


def test_a_connection_that_the_server_has_closed_meanwhile_is_replaced_before_anything_is_sent() -> None:
    with ScriptedServer([OK, CLOSE], [OK]) as server:
        wire = wire_to(server.port)
        post(wire)
        server.hung_up.acquire()

        answer = post(wire)

    assert answer.status == 200
    assert server.connections == 2
    assert len(server.requests) == 2


@pytest.mark.parametrize(("seconds", "connections"), [(29.0, 1), (31.0, 2), (-1.0, 2), (86_400.0, 2)])
def test_a_connection_that_was_idle_too_long_is_thrown_away(seconds: float, connections: int) -> None:
    wall = [1000.0]
    with ScriptedServer([OK] * 2, [OK] * 2) as server:
        wire = wire_to(server.port, now=lambda: wall[0])
        post(wire)
        wall[0] += seconds  # Frozen meanwhile, for all that is known.
        post(wire)

    assert server.connections == connections


def test_no_more_connections_are_kept_than_are_allowed() -> None:
    together = threading.Barrier(5)
    with ScriptedServer(*[[OK] * 10 for _ in range(20)]) as server, ExitStack() as held:
        wire = wire_to(server.port)

        def call() -> None:
            together.wait()
            post(wire)

        threads = [threading.Thread(target=call) for _ in range(5)]
        for thread in threads:
            thread.start()
            held.callback(thread.join)
        held.close()

        assert len(wire._idle) <= 2
        assert len(server.requests) == 5


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nConte", OK[:-1]])
def test_an_answer_that_does_not_come_is_not_asked_for_again(sent: bytes) -> None:
    """The request may have been carried out: whether to repeat it is for those to say who know what is in it."""
    with ScriptedServer([OK, sent, CLOSE], [OK]) as server:
        wire = wire_to(server.port)
        post(wire)
        with pytest.raises(ConnectionError):
            post(wire)
        assert len(server.requests) == 2

        post(wire)

    assert server.connections == 2


def test_nobody_listening_is_an_error_of_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    with pytest.raises(OSError, match="refused"):
        post(wire_to(port))


# How long


class Ticking:
    """A clock on which each look takes a second."""

    def __init__(self) -> None:
        self.now = -1.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def drips() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(10_000):
        yield b"X-Drip-%d: 1\r\n" % number


@pytest.mark.parametrize("ends", [2.0, 10.0, 50.0])
def test_an_answer_that_drips_in_is_given_up_in_time(ends: float) -> None:
    clock = Ticking()
    exchange = exchange_on(Pieces(list(drips())), ends=ends, clock=clock)

    while not exchange.done():
        exchange.go_on()

    assert isinstance(exchange.result(), TimeoutError)
    assert ends <= clock.now < ends + 2


@given(st.floats(0.001, 1000.0))
@settings(max_examples=50)
def test_no_wait_is_longer_than_the_time_left_or_the_silence_allowed(ends: float) -> None:
    exchange = exchange_on(Pieces([OK[:10], OK[10:30], OK[30:]]), ends=ends)
    waits = []

    while not exchange.done():
        waits.append((exchange.due, exchange.events))
        exchange.go_on()

    assert waits == [(min(ends, wire_module.MAX_SILENCE), select.POLLIN)] * 4  # For the answer, and for each piece.


def test_silence_counts_from_the_last_that_came() -> None:
    now = [0.0]
    exchange = exchange_on(Pieces([OK[:10], OK[10:30], OK[30:]]), ends=100.0, clock=lambda: now[0])

    now[0] = 7.0
    exchange.go_on()

    assert exchange.due == 7.0 + wire_module.MAX_SILENCE


@pytest.mark.parametrize(("seconds", "ends"), [(30.0, 15.0), (3.0, 1.5), (1.5, 1.0), (0.4, 0.4)])
def test_a_call_takes_half_of_the_time_left_but_a_second_where_there_is_one(
    seconds: float, ends: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(wire_module, "wait", lambda exchanges, _: asked.extend(each._ends for each in exchanges))
    with ScriptedServer([OK, OK]) as server:
        wire = wire_to(server.port, clock=lambda: 100.0)
        with pytest.raises(TimeoutError):  # Nobody has waited.
            post(wire, seconds=seconds)

    assert asked == [100.0 + ends]


def test_nothing_is_sent_once_connecting_has_taken_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its invocation is over, and the next one may have written what is newer."""
    now = [0.0]
    with ScriptedServer([OK]) as server:
        wire = wire_to(server.port, clock=lambda: now[0])
        connect = wire._connect

        def slowly(seconds: float) -> Connection:
            now[0] = 10.0  # Half of the 20 seconds.
            return connect(seconds)

        monkeypatch.setattr(wire, "_connect", slowly)
        with pytest.raises(TimeoutError):
            post(wire)
        assert server.requests == []


def test_a_failed_call_holds_neither_its_body_nor_itself() -> None:
    class Broken(Pieces):
        def recv(self, _: int) -> bytes:
            raise ConnectionResetError(104, "Connection reset by peer")

    exchange = exchange_on(Broken([]))
    exchange.go_on()
    error = exchange.result()

    assert isinstance(error, ConnectionResetError)
    assert error.__traceback__ is None


def test_an_answer_that_comes_before_the_request_is_sent_is_read_all_the_same() -> None:
    class Refusing(Pieces):
        def send(self, _: memoryview) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    exchange = exchange_on(Refusing([OK]))
    while not exchange.done():
        exchange.go_on()

    assert exchange.result() == (200, {"content-length": "2"}, b"{}")


def test_a_call_that_was_given_up_leaves_no_connection_behind() -> None:
    with ScriptedServer([OK] * 3, [OK] * 3, [OK]) as server:
        wire = wire_to(server.port)
        post(wire)
        cancelled = begun(wire)
        cancelled.cancel()
        post(wire)
        given_up = begun(wire)
        given_up.give_up()
        assert isinstance(given_up.result(), TimeoutError)
        assert wire._idle == []
        assert cancelled.fileno() == given_up.fileno() == -1  # Closed.

        assert post(wire).content == b"{}"  # Not what one of these would have got.

    assert server.connections == 3


# Without a thread


def begun(wire: HttpClient, body: bytes = b"{}", seconds: float = 20.0) -> Exchange[HttpResponse | OSError]:
    """A call on a connection that is open."""
    return wire.begin(asking(body), seconds, as_it_is, nobody)


def nobody(*_: Any) -> Any:
    raise AssertionError("no connection was to be made")


def after(event: threading.Event, answer: bytes) -> Iterator[bytes]:
    yield OK
    assert event.wait(LONG)
    yield answer


def connected(server: ScriptedServer, connections: int) -> HttpClient:
    """A client with so many connections that are open and idle."""
    wire, executor = wire_to(server.port, connections), Threads()(connections)
    calls = [wire.begin(asking(), LONG, as_it_is, executor.submit) for _ in range(connections)]
    assert len(executor.wait(calls, LONG, for_all=True)) == connections
    return wire


def test_a_call_that_hangs_does_not_keep_the_others_waiting() -> None:
    hold = threading.Event()
    with ScriptedServer(after(hold, OK), [OK] * 9, [OK] * 9) as server:
        wire = connected(server, 3)
        exchanges = [begun(wire) for _ in range(3)]

        late = list(exchanges)
        for _ in range(2):
            late.remove(wait(late, LONG)[0])  # type: ignore[arg-type]
        assert not late[0].done()
        hold.set()

        assert wait(late, LONG) == late
        assert all(exchange.result() == (200, {"content-length": "2"}, b"{}") for exchange in exchanges)


@pytest.mark.parametrize("size", [connection_module.ONE_WRITE_BYTES + 1, 16_000_000])
def test_large_bodies_go_out_side_by_side_whatever_the_socket_takes_at_once(size: int) -> None:
    body = bytes(itertools.islice(itertools.cycle(b"0123456789"), size))
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, body)
    with ScriptedServer([OK, answer], [OK, answer]) as server:
        wire = connected(server, 2)
        exchanges = [begun(wire, body), begun(wire, body)]

        assert len(Loop().wait(exchanges, LONG, for_all=True)) == 2

    assert all(exchange.result() == (200, {"content-length": str(size)}, body) for exchange in exchanges)
    assert [request.partition(b"\r\n\r\n")[2] for request in server.requests[2:]] == [body, body]


@pytest.mark.parametrize("which", [0, 1])
def test_what_takes_too_long_is_given_up_by_the_wait(which: int) -> None:
    hold = threading.Event()
    with ScriptedServer(after(hold, OK), after(hold, OK)) as server:
        wire = connected(server, 2)
        exchanges = [begun(wire, seconds=0.01 if number == which else LONG * 9) for number in range(2)]

        assert wait(exchanges, LONG) == [exchanges[which]]

        assert isinstance(exchanges[which].result(), TimeoutError)
        hold.set()


def test_a_thread_that_is_done_is_heard_beside_a_connection_that_is_silent() -> None:
    hold = threading.Event()
    with ScriptedServer(after(hold, OK)) as server:
        exchange, executor = begun(connected(server, 1)), Threads()(1)
        call = executor.submit(int, "7")
        both: list[Running[object]] = [exchange, call]

        assert executor.wait(both, LONG) == [call]
        hold.set()
        assert len(executor.wait(both, LONG, for_all=True)) == 2


def test_a_defect_is_raised_where_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer([OK] * 2) as server:
        wire = connected(server, 1)
        monkeypatch.setattr(http_parser, "_head", lambda _: 1 / 0)
        exchange = begun(wire)

        with pytest.raises(ZeroDivisionError):
            wait([exchange], LONG)

        assert wire._idle == []
        assert exchange.fileno() == -1  # Closed.


def test_of_no_call_nothing_is_waited_for() -> None:
    assert wait([], LONG) == []


# Connections that are made


class Door:
    """Connects to a server only once it is open; who comes earlier waits in front of it."""

    def __init__(self, port: int) -> None:
        self._connect = Connector(Endpoint("dynamodb", "http", "127.0.0.1", port, "us-east-1", "", lambda: CREDENTIALS))
        self.is_open, self.has_come = threading.Event(), threading.Event()
        self.asked: list[float] = []

    def __call__(self, seconds: float) -> Connection:
        self.asked.append(seconds)
        self.has_come.set()
        assert self.is_open.wait(LONG)
        return self._connect(seconds)


def test_a_call_without_a_connection_gets_one_from_the_executor() -> None:
    with ScriptedServer([OK] * 2, [OK] * 2) as server:
        wire, executor = wire_to(server.port), Threads()(2)
        first = wire.begin(asking(b"[1]"), 20.0, as_it_is, executor.submit)
        executor.wait([first], LONG)
        both = [wire.begin(asking(b"[2]"), 20.0, as_it_is, executor.submit) for _ in range(2)]

        assert len(executor.wait(both, LONG, for_all=True)) == 2

        assert [each.result() for each in (first, *both)] == [(200, {"content-length": "2"}, b"{}")] * 3
    assert server.connections == 2
    assert [request.partition(b"\r\n\r\n")[2] for request in server.requests] == [b"[1]", b"[2]", b"[2]"]


def test_there_is_room_until_so_many_connections_are_being_made() -> None:
    with ScriptedServer(*[[OK] * 2] * 20) as server:
        door, executor = Door(server.port), Threads()(20)
        wire = wire_to(server.port, 20, connect=door)
        calls = []

        while wire.has_room():
            calls.append(wire.begin(asking(), LONG, as_it_is, executor.submit))
        assert len(calls) == MAX_CONNECTING
        door.is_open.set()
        assert len(executor.wait(calls, LONG, for_all=True)) == MAX_CONNECTING

        assert wire.has_room()
        assert all(isinstance(call.result(), HttpResponse) for call in calls)


def test_an_idle_connection_is_room_for_a_call_whatever_is_being_made() -> None:
    with ScriptedServer(*[[OK] * 3] * 20) as server:
        door, executor = Door(server.port), Threads()(20)
        wire = wire_to(server.port, 20, connect=door)
        door.is_open.set()
        post(wire)
        door.is_open.clear()
        idle = wire._kept()
        assert idle is not None
        calls = [wire.begin(asking(), LONG, as_it_is, executor.submit) for _ in range(MAX_CONNECTING)]
        assert not wire.has_room()

        wire.keep(idle)

        assert wire.has_room()
        assert wait([begun(wire)], LONG)
        door.is_open.set()
        executor.wait(calls, LONG, for_all=True)


def test_a_thread_that_cannot_be_started_leaves_the_room_that_it_took() -> None:
    def submit(fn: Callable[..., Any], /, *args: Any) -> Running[Any]:  # noqa: ARG001
        raise RuntimeError("can't start new thread")

    wire = wire_to(1)
    for _ in range(MAX_CONNECTING + 1):
        with pytest.raises(RuntimeError, match="start new thread"):
            wire.begin(asking(), 20.0, as_it_is, submit)

    assert wire.has_room()


def test_connections_that_cannot_be_made_leave_the_room_that_they_took() -> None:
    def refused(_: float) -> Connection:
        raise ConnectionRefusedError(111, "Connection refused")

    wire, executor = wire_to(1, connect=refused), Threads()(2)
    for _ in range(MAX_CONNECTING + 1):
        assert wire.has_room()
        call = wire.begin(asking(), 20.0, lambda error: f"told of {error}", executor.submit)
        executor.wait([call], LONG)

        assert call.result() == "told of [Errno 111] Connection refused"


def test_a_defect_in_connecting_is_raised_and_leaves_the_room_that_it_took() -> None:
    wire, executor = wire_to(1, connect=lambda _: 1 / 0), Threads()(1)
    for _ in range(MAX_CONNECTING + 1):
        assert wire.has_room()
        call = wire.begin(asking(), 20.0, as_it_is, executor.submit)
        with pytest.raises(ZeroDivisionError):
            executor.wait([call], LONG)


@pytest.mark.parametrize("way", ["give_up", "cancel"])
def test_a_call_that_is_given_up_while_it_connects_sends_nothing_and_leaves_no_connection(way: str) -> None:
    with ScriptedServer([OK] * 2, [OK] * 2) as server:
        door, executor = Door(server.port), Threads()(1)
        wire = wire_to(server.port, connect=door)
        call = wire.begin(asking(), 20.0, as_it_is, executor.submit)
        assert door.has_come.wait(LONG)

        getattr(call, way)()
        assert call.done() == (way == "give_up")
        door.is_open.set()
        del call
        assert server.hung_up.acquire(timeout=LONG)

        assert server.requests == []
        assert wire._idle == []
        assert wire.has_room()


def test_a_call_whose_time_is_over_while_it_connects_is_given_up_by_the_wait() -> None:
    with ScriptedServer([OK] * 2) as server:
        door, executor = Door(server.port), Threads()(1)
        wire = wire_to(server.port, connect=door)
        call = wire.begin(asking(), 4.0, as_it_is, executor.submit)
        assert door.has_come.wait(LONG)
        call.due = 0.0  # As if the two seconds that it may take were over.

        assert executor.wait([call], LONG) == [call]

        assert isinstance(call.result(), TimeoutError)
        door.is_open.set()
        del call
        assert server.hung_up.acquire(timeout=LONG)
        assert server.requests == []


def test_a_connection_that_comes_too_late_is_closed_unused() -> None:
    now = [0.0]
    with ScriptedServer([OK] * 2) as server:
        door, executor = Door(server.port), Threads()(1)
        wire = wire_to(server.port, connect=door, clock=lambda: now[0])
        call = wire.begin(asking(), 1e12, as_it_is, executor.submit)
        assert door.has_come.wait(LONG)
        now[0] = 1e12
        door.is_open.set()

        assert executor.wait([call], LONG) == [call]

        assert isinstance(call.result(), TimeoutError)
        assert server.hung_up.acquire(timeout=LONG)
        assert server.requests == []


def test_where_a_thread_begins_too_late_nobody_connects() -> None:
    now = [0.0]
    asked: list[float] = []
    wire = wire_to(1, connect=lambda seconds: asked.append(seconds), clock=lambda: now[0])

    def late(fn: Callable[..., Any], *args: Any) -> Any:
        now[0] = 10.0  # Half of the 20 seconds.
        return wire_module._at_once(fn, *args)

    call = wire.begin(asking(), 20.0, as_it_is, late)

    assert str(call.result()) == "no time left to connect"
    assert asked == []
    assert wire.has_room()


@pytest.mark.parametrize(("seconds", "connecting"), [(30.0, 2.0), (4.0, 2.0), (3.0, 1.5), (1.5, 1.0), (0.4, 0.4)])
def test_connecting_takes_two_seconds_at_most_and_no_more_than_the_call_has(seconds: float, connecting: float) -> None:
    asked: list[float] = []

    def refused(seconds: float) -> Connection:
        asked.append(seconds)
        raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(ConnectionRefusedError):
        post(wire_to(1, connect=refused, clock=lambda: 100.0), seconds=seconds)

    assert asked == pytest.approx([connecting])


def test_a_server_that_does_not_answer_in_time_is_a_timeout_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: Any, **__: Any) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr("socket.create_connection", silent)

    with pytest.raises(TimeoutError) as raised:
        post(wire_to(1))
    assert raised.value.errno == errno.ETIMEDOUT


def test_a_handshake_that_fails_leaves_no_connection_behind() -> None:
    class Failing:
        def wrap_socket(self, *_: Any, **__: Any) -> Any:
            raise ssl.SSLError(1, "handshake")

    with ScriptedServer([OK]) as server:
        connector = Door(server.port)._connect
        connector._tls = Failing  # type: ignore[assignment]
        with pytest.raises(ssl.SSLError, match="handshake"):
            connector(20.0)

        assert server.hung_up.acquire(timeout=LONG)


# Whose clock


def test_once_the_services_clock_is_known_requests_are_signed_by_it() -> None:
    wall = 1_767_225_600.0  # 2026-01-01.
    with ScriptedServer([OK] * 3) as server:
        wire = wire_to(server.port, now=lambda: wall)
        post(wire)
        wire.correct_clock("Thu, 01 Jan 2026 00:10:00 GMT")
        post(wire)
        post(wire)

    dates = [re.search(rb"\r\nX-Amz-Date: (\S+)\r\n", request) for request in server.requests]
    assert [date and date[1] for date in dates] == [b"20260101T000000Z", *[b"20260101T001000Z"] * 2]


def test_a_clock_that_is_wrong_does_not_make_connections_old() -> None:
    with ScriptedServer([OK] * 3) as server:
        wire = wire_to(server.port, now=lambda: 1_767_225_600.0)
        post(wire)
        wire.correct_clock("Thu, 01 Jan 2026 10:00:00 GMT")
        post(wire)

    assert server.connections == 1
