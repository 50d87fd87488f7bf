"""What both services share: time, credentials, faults, and how an answer gets on its way."""

from __future__ import annotations

import time as real_time
import zlib
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import msgspec

from .chance import Chance
from .model import OUT_OF_DATE, Model
from .network import SimulatedSocket
from .tables import Json
from .virtual_time import Time
from .wire import HTML, Call, ServerConnection, chunked, http
from .workload import Workload

EPOCH = 1_790_000_000.0
"""What the services' clocks show at the beginning, in seconds since 1970."""
MAX_CLOCK_SKEW = 300.0  # Seconds. IAM/latest/UserGuide/reference_sigv-troubleshooting.html
MIN_SECONDS, MAX_SECONDS = 0.001, 0.008
"""That a call takes."""

WITHOUT_ANSWER = (
    ("reset, not carried out", 0.003), ("reset, carried out", 0.004), ("closed, carried out", 0.003),
    ("silence, not carried out", 0.001), ("silence, carried out", 0.001), ("carried out late", 0.002),
    ("answer breaks off", 0.003), ("answered late", 0.004), ("carried out and answered late", 0.004),
)  # fmt: skip
ERRORS = (
    ("error 500, not carried out", 0.004), ("error 500, carried out", 0.004), ("error 503 in HTML", 0.003),
    ("throttled", 0.015),
)  # fmt: skip
CORRUPT = (
    ("bad checksum", 0.003), ("truncated JSON", 0.003), ("garbage bytes", 0.003), ("wrong types", 0.003),
    ("member missing", 0.004), ("answer about something else", 0.003),
)  # fmt: skip
UNUSUAL = (
    ("chunked answer", 0.01), ("provisional answer first", 0.01), ("answer closes the connection", 0.01),
    ("bytes behind the answer", 0.003), ("answered twice", 0.003), ("closed while idle", 0.01),
    ("reset while idle", 0.005), ("answer without length", 0.004),
)  # fmt: skip
ALL = (*WITHOUT_ANSWER, *ERRORS, *CORRUPT, *UNUSUAL)
KINDS = (
    *(kind for kind, _ in ALL),
    "unprocessed", "no capacity", "hot range", "keys unprocessed", "table left out", "read denied",
    "transaction conflict", "item denied", "table denied", "credentials expired",
    "signature refused", "poison refused", "SQS entry failed", "SQS too fast",
)  # fmt: skip
_LOST = frozenset({
    "reset, not carried out", "reset, carried out", "closed, carried out", "silence, not carried out",
    "silence, carried out",
})  # fmt: skip
_NOT_CARRIED_OUT = frozenset({"reset, not carried out", "silence, not carried out"})
_ERRORS = frozenset(kind for kind, _ in ERRORS)
_OF_CONTENT = frozenset({"wrong types", "member missing", "answer about something else"})


# Long: one case for each kind of answer and fault.
class Service:
    """What both services share: time, credentials, faults, and how an answer gets on its way."""

    def __init__(self, time: Time, chance: Chance, model: Model, workload: Workload, name: str) -> None:
        self.time, self.chance, self.random, self.model, self.workload = time, chance, chance.random, model, workload
        self.name = name
        self.token = "token0"
        self.calls = 0
        self.calls_left = -1
        """Until the weather changes."""
        self.calls_are_over: Callable[[], None]
        self.holds_back = False
        self._shown_at, self._shown, self._stamp_minimum, self._stamp_maximum = -1, "", "", ""

    def accept(self, end: SimulatedSocket) -> ServerConnection:
        return ServerConnection(self, end)

    def handle(self, connection: ServerConnection, action: str, content: bytes, date: str, token: str) -> None:
        self.calls += 1
        self.calls_left -= 1
        if not self.calls_left:
            self.calls_are_over()
        call = Call(connection, action, msgspec.json.decode(content))
        connection.call = call
        self.read(call)
        now = self.time.now
        self.model.trace.note(now, f"{action} arrives: {_shown(call)}", call.invocation.who, call.about)
        if refusal := self._out_of_date(date, token):
            call.invocation.codes[OUT_OF_DATE] += 1
            self._answer(call, 400, refusal, "")
            return
        fault = self.chance.one_of(ALL)
        if not fault:
            status, body = self.carry_out(call)
            self._answer(call, status, body, "")
        else:
            self._fail(call, fault)

    # To be given by each service

    def read(self, call: Call) -> None:
        raise NotImplementedError

    def carry_out(self, call: Call) -> tuple[int, Json]:
        raise NotImplementedError

    def throttle(self, call: Call) -> Json:
        raise NotImplementedError

    def wrong_types(self, body: Json) -> Any:
        """The answer with something in it that is of another type than it must be."""
        raise NotImplementedError

    def without_member(self, body: Json) -> Json:
        """The answer without something that is always there."""
        raise NotImplementedError

    def about_something_else(self, body: Json) -> Json:
        raise NotImplementedError

    # Faults

    def _fail(self, call: Call, fault: str) -> None:
        self.model.trace.note(self.time.now, fault, call.invocation.who, call.about)
        if fault in _LOST:
            if fault not in _NOT_CARRIED_OUT:
                self.carry_out(call)
            self._lose(call, fault)
        elif fault in _ERRORS:
            if fault == "error 500, carried out":
                self.carry_out(call)
            self._answer_error(call, fault)
        elif fault == "carried out late":
            self.time.after(self.random.uniform(9, 200), self.carry_out, call)
        elif fault == "carried out and answered late":
            self.time.after(self.random.uniform(0.1, 9.0), self._carry_out_and_answer, call, "")
        else:
            self._carry_out_and_answer(call, fault)

    def _lose(self, call: Call, fault: str) -> None:
        """No answer comes."""
        if fault.startswith("silence"):
            return
        call.is_answered = True
        if fault.startswith("closed"):
            call.connection.end()
        else:
            self.time.after(self._latency(), call.connection.reset)

    def _answer_error(self, call: Call, fault: str) -> None:
        if fault == "error 503 in HTML":
            call.is_answered = True
            self.time.after(self._latency(), call.connection.deliver, http(503, {"content-type": "text/html"}, HTML))
        elif fault == "throttled":
            self._answer(call, 400, self.throttle(call), "")
        else:
            self._answer(call, 500, {"__type": "com.amazonaws#InternalServerError", "message": "oh"}, "")

    def _carry_out_and_answer(self, call: Call, fault: str) -> None:
        # Most harm would do an answer that has lost what was unprocessed.
        self.holds_back = fault in _OF_CONTENT and self.random.random() < 0.7
        status, body = self.carry_out(call)
        self.holds_back = False
        self._answer(call, status, body, fault, self.random.uniform(0.1, 9.0) if fault == "answered late" else 0.0)

    def _answer(self, call: Call, status: int, body: Json, fault: str, later: float = 0.0) -> None:
        """Have the answer on its way; `fault` is what is wrong or unusual about its bytes."""
        said: Any = body
        if fault in _OF_CONTENT and status == 200:
            said = {
                "wrong types": self.wrong_types,
                "member missing": self.without_member,
                "answer about something else": self.about_something_else,
            }[fault](body)
        content = msgspec.json.encode(said)
        all_headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-crc32": str(zlib.crc32(content)),
            "date": self._date(),
        }
        if fault == "bad checksum":
            place = self.random.randrange(len(content))
            content = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        elif fault == "truncated JSON":
            content = content[: self.random.randrange(1, len(content))]
            del all_headers["x-amz-crc32"]
        elif fault == "answer closes the connection":
            all_headers["connection"] = "close"
        self.time.after(later + self._latency(), self._send, call, status, all_headers, content, fault)

    def _send(self, call: Call, status: int, headers: dict[str, str], content: bytes, fault: str) -> None:
        call.is_answered = True
        connection = call.connection
        match fault:
            case "garbage bytes":
                data = bytes(self.random.randrange(256) for _ in range(40))
                connection.deliver(data)
                connection.end()
                return
            case "answer breaks off":
                data = http(status, headers, content)
                connection.deliver(data[: self.random.randrange(1, len(data))])
                connection.end()
                return
            case "chunked answer":
                connection.deliver(chunked(status, headers, content))
            case "answer without length":
                connection.deliver(http(status, headers, content, length=False))
                connection.end()
            case "provisional answer first":
                connection.deliver(b"HTTP/1.1 100 Continue\r\n\r\n" + http(status, headers, content))
            case "bytes behind the answer":
                connection.deliver(http(status, headers, content) + b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            case _:
                connection.deliver(http(status, headers, content))
        if fault == "answer closes the connection":
            connection.end()
        elif fault in ("closed while idle", "reset while idle", "answered twice"):
            act: Callable[[], None] = {
                "closed while idle": connection.end,
                "reset while idle": connection.reset,
                "answered twice": lambda: connection.surprise(http(status, headers, content)),
            }[fault]
            self.time.after(self.random.uniform(0.0, 0.1 if self.random.random() < 0.5 else 20.0),
                            self._if_idle, connection, call, act)  # fmt: skip

    def _if_idle(self, connection: ServerConnection, call: Call, act: Callable[[], None]) -> None:
        if connection.call is call and not connection.is_closed_by_client:
            call.is_answered = True
            act()

    def _latency(self) -> float:
        return self.random.uniform(MIN_SECONDS, MAX_SECONDS)

    # Time and credentials

    def _date(self) -> str:
        self._look_at_the_clock()
        return self._shown

    def _look_at_the_clock(self) -> None:
        second = int(self.time.now)
        if second != self._shown_at:
            self._shown_at = second
            now = EPOCH + second
            self._shown = formatdate(now, usegmt=True)
            self._stamp_minimum, self._stamp_maximum = _stamp(now - MAX_CLOCK_SKEW), _stamp(now + MAX_CLOCK_SKEW)

    def _out_of_date(self, date: str, token: str) -> Json | None:
        self._look_at_the_clock()
        if not self._stamp_minimum <= date <= self._stamp_maximum:
            self.chance.count("signature refused")
            words = "Signature expired: " if date < self._stamp_minimum else "Signature not yet current: "
            return {
                "__type": "com.amazonaws#InvalidSignatureException",
                "message": f"{words}{date} is now off {self._stamp_minimum}",
            }
        if token != self.token:
            self.chance.count("credentials expired")
            return {
                "__type": "com.amazonaws#ExpiredTokenException",
                "message": "The security token included in the request is expired",
            }
        return None


def _shown(call: Call) -> str:
    return f"{call.items[0][0]} and {len(call.items) - 1} more" if call.items else f"{len(call.about)} entries"


def _stamp(now: float) -> str:
    return real_time.strftime("%Y%m%dT%H%M%SZ", real_time.gmtime(now))
