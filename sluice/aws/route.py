"""Which way a call to AWS goes: straight over HTTP, or through boto3 where that must see it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any, Protocol

from msgspec import Struct

from . import unreached
from .answer import Answer, Decode, NoAnswer, Refusal, json_object, understood
from .http import Request
from .http_parser import HttpResponse
from .in_flight import Running, Submit
from .signature import Credentials


class BotoCalls(Protocol):
    """boto3's side."""

    def batch_write(self, tables: Sequence[str], body: bytes, seconds: float) -> Answer: ...
    def call(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer: ...
    def call_sqs(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer: ...


# What tracing libraries wrap, Powertools' Tracer by means of the X-Ray SDK, and what tests replace. Whoever has done
# that wants to see every call.
_WRAPPED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "boto3": {"": ("client",)},
    "boto3.session": {"Session": ("client",)},
    "botocore.client": {"BaseClient": ("__init__", "_make_api_call", "_make_request")},
    "botocore.endpoint": {"Endpoint": ("make_request", "prepare_request", "_send_request", "_send")},
    "botocore.httpsession": {"URLLib3Session": ("send",)},
    "http.client": {"HTTPConnection": ("request", "_send_request", "getresponse")},
}
_ORIGINAL = frozenset({*_WRAPPED, "botocore.context"})
"""Where functions that nobody has wrapped come from; botocore itself wraps one by its module context."""
_HOOKED = ("ddtrace", "newrelic")
"""They wrap boto3 when it is loaded, and not before."""


class HttpCalls(Protocol):
    def begin(
        self, request: Request, seconds: float, then: Callable[[HttpResponse | OSError], Answer], submit: Submit
    ) -> Running[Answer]: ...
    def post(self, request: Request, seconds: float) -> HttpResponse: ...
    def has_room(self) -> bool: ...
    def correct_clock(self, date: str) -> None: ...


class Call(Struct, frozen=True):
    """One call to a service, in both forms."""

    action: str
    """As the API names it: "PutItem"."""
    body: bytes
    """Its request as JSON."""
    by_boto3: Callable[[BotoCalls, float], Answer]
    """Makes it with boto3, within so many seconds."""
    answer_bytes: int = 0
    """How much longer its answer may be than one that repeats the request."""
    decode: Decode = json_object
    """What a success is read with."""


class Route:
    """All calls to one service: by `http`, or where there is none, or somebody watches boto3, by boto3.

    `boto` gives boto3's side and may take its time, and so may `credentials` unless they are at hand. `prefix` goes
    before an action in X-Amz-Target. `renew` has credentials looked up anew. `host` is what trouble is told of.
    By boto3 at most `connections` calls are made at once, as each takes a thread.
    """

    def __init__(
        self,
        boto: Callable[[], BotoCalls],
        http: HttpCalls | None,
        credentials: Callable[[], Credentials | None],
        *,
        prefix: str,
        connections: int,
        are_at_hand: Callable[[], bool] = lambda: True,
        renew: Callable[[], object] = lambda: None,
        host: str = "AWS",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._boto = boto
        self._http = http
        self._credentials = credentials
        self._prefix = prefix
        self._connections = connections
        self._are_at_hand = are_at_hand
        self._host = host
        self.renew = renew
        """Of what is called later the credentials are new ones, if there are any."""
        self._clock = clock
        self._takes_threads = http is None or not are_at_hand()

    def begin(self, call: Call, seconds: float, submit: Submit) -> Running[Answer]:
        """What may block is given to `submit`."""
        self._takes_threads = self._http is None or not self._are_at_hand() or is_instrumented()
        if self._http is None or self._takes_threads:
            return submit(self._in_a_thread, call, seconds)
        if (credentials := self._credentials()) is None:
            return submit(self._by_boto3, call, seconds)
        understood = self._understood if call.decode is json_object else partial(self._understood, decode=call.decode)
        return self._http.begin(self._request(call, credentials), seconds, understood, submit)

    def has_room(self, in_flight: int) -> bool:
        """Whether one more call may begin beside so many."""
        if self._http is None or self._takes_threads:
            return in_flight < self._connections
        return self._http.has_room()

    def _in_a_thread(self, call: Call, seconds: float) -> Answer:
        ends = self._clock() + seconds
        if self._http is None or is_instrumented() or (credentials := self._credentials()) is None:
            return self._by_boto3(call, ends - self._clock())
        left = ends - self._clock()
        if left <= 0:  # Nobody waits for this call any more; what it sent now could come after a later write.
            return NoAnswer("credentials came too late")
        try:
            return self._understood(self._http.post(self._request(call, credentials), left), call.decode)
        except OSError as error:
            return self._understood(error.with_traceback(None))

    def _by_boto3(self, call: Call, seconds: float) -> Answer:
        return call.by_boto3(self._boto(), seconds)

    def _request(self, call: Call, credentials: Credentials) -> Request:
        return Request(self._prefix + call.action, call.body, credentials, call.answer_bytes)

    def _understood(self, outcome: HttpResponse | OSError, decode: Decode = json_object) -> Answer:
        if isinstance(outcome, OSError):
            return NoAnswer(unreached.reason(outcome, self._host))
        answer = understood(*outcome, decode)
        if isinstance(answer, Refusal) and answer.is_out_of_date and self._http is not None:
            self._http.correct_clock(outcome.headers.get("date", ""))
        return answer


def is_instrumented() -> bool:
    """Whether somebody watches the calls of boto3; looked up anew for each call, as it may begin at any time."""
    modules = sys.modules
    for name in _HOOKED:
        if name in modules:
            return True
    if getattr(getattr(modules.get("moto.core.models"), "botocore_stubber", None), "enabled", False):
        return True  # A mock of moto's answers inside of botocore.
    for name, classes in _WRAPPED.items():
        if (module := modules.get(name)) is not None:
            for class_name, methods in classes.items():
                made = getattr(module, class_name, None) if class_name else module
                if made is None:  # Another thread is about to load the module.
                    continue
                for method in methods:
                    if (function := made.__dict__.get(method)) is not None and not _is_original(function):
                        return True
    return False


def _is_original(function: object) -> bool:
    return type(function) is FunctionType and function.__globals__["__name__"] in _ORIGINAL
