"""Which way a call to DynamoDB goes: BatchWriteItem straight over HTTP, all else through boto3."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, Protocol, TypeVar

from . import unreached
from .answer import Answer, NoAnswer, understood
from .in_flight import Running, Submit
from .signature import Credentials

T = TypeVar("T")

LATE = 5.0
"""Seconds before the end: who still writes then may have to return something."""

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
        self,
        body: bytes,
        credentials: Credentials,
        seconds: float,
        then: Callable[[tuple[int, Mapping[str, str], bytes] | OSError], T],
    ) -> Running[T] | None: ...
    def post(self, body: bytes, credentials: Credentials, seconds: float) -> tuple[int, Mapping[str, str], bytes]: ...


class BotoCalls(Protocol):
    def batch_write(self, tables: Sequence[str], body: bytes, seconds: float) -> Answer: ...
    def call(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer: ...


class Route:
    """All calls to DynamoDB: batches by `wire`, or where there is none by boto3; all else by boto3.

    `sdk` gives boto3's side and may take its time, and so may `credentials` unless they are static. `on_trouble` is
    called, and must return at once, when a call did not do all that was asked, or little time is left.
    `renew` has credentials looked up anew. `host` is what trouble on the wire is told of.
    """

    def __init__(
        self,
        sdk: Callable[[], BotoCalls],
        wire: HttpCalls | None,
        credentials: Callable[[], Credentials | None],
        *,
        are_static: bool = True,
        on_trouble: Callable[[], object] = lambda: None,
        renew: Callable[[], object] = lambda: None,
        host: str = "DynamoDB",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sdk = sdk
        self._wire = wire
        self._credentials = credentials
        self._are_static = are_static
        self._on_trouble = on_trouble
        self._host = host
        self.renew = renew
        """Of what is called later the credentials are new ones, if there are any."""
        self._clock = clock

    def begin(self, tables: Sequence[str], body: bytes, seconds: float, submit: Submit) -> Running[Answer]:
        """BatchWriteItem; `tables` are the names that stand in the body. What may block is given to `submit`."""
        if seconds < LATE:
            self._on_trouble()
        if self._wire is None or is_instrumented():
            return submit(self._by_boto3, tables, body, seconds)
        if self._are_static and (credentials := self._credentials()) is not None:
            call = self._wire.begin(body, credentials, seconds, self._understood)
            if call is not None:
                return call
        return submit(self._by_wire, tables, body, seconds)

    def call(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer:
        """Any other operation, by the name that boto3's clients give it."""
        return self._sdk().call(operation, arguments, seconds)

    def _by_boto3(self, tables: Sequence[str], body: bytes, seconds: float) -> Answer:
        return self._noticed(self._sdk().batch_write(tables, body, seconds))

    def _by_wire(self, tables: Sequence[str], body: bytes, seconds: float) -> Answer:
        ends = self._clock() + seconds
        if self._wire is None or (credentials := self._credentials()) is None:
            return self._by_boto3(tables, body, seconds)
        left = ends - self._clock()
        if left <= 0:  # Nobody waits for this call any more; what it sent now could come after a later write.
            return self._noticed(NoAnswer("credentials came too late"))
        try:
            return self._understood(self._wire.post(body, credentials, left))
        except OSError as error:
            return self._understood(error.with_traceback(None))

    def _understood(self, outcome: tuple[int, Mapping[str, str], bytes] | OSError) -> Answer:
        if isinstance(outcome, OSError):
            return self._noticed(NoAnswer(unreached.reason(outcome, self._host)))
        return self._noticed(understood(*outcome))

    def _noticed(self, answer: Answer) -> Answer:
        if not isinstance(answer, dict) or answer.get("UnprocessedItems"):
            self._on_trouble()
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
