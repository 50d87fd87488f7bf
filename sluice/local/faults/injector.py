"""What becomes of each request: forwarded, refused, or met by the fault that profile and seed have for it."""

from __future__ import annotations

import http.client
import json
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from .capacity import Capacity
from .kinds import CALLS, INTERNAL_ERROR, KINDS, READS, REASONS, THROUGHPUT_EXCEEDED, UNAVAILABLE, Error, Kind, Manner
from .profiles import Decision, Profile, decide
from .reads import divided
from .requests import IllegalRequestError, Item, Table, UnknownTableError, Write, respelled, write_units, writes
from .upstream import TARGET, Upstream, UpstreamResponse

_ACCOUNT_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/"
"""For an endpoint that tells no ARN."""
_PLAIN = Kind(applied=True)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer, and how the client gets it."""

    answer: UpstreamResponse
    manner: Manner = Manner.WHOLE
    seconds: float = 0.0
    """How long a dripped answer takes, or a client is left hanging."""
    checksum: int | None = None
    """x-amz-crc32; by default that of the body."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that may meet a fault, and has arrived."""

    operation: str
    headers: Mapping[str, str]
    body: bytes
    decision: Decision
    has_hung_up: Callable[[], bool]
    request: dict[str, Any] = field(default_factory=dict)

    @property
    def is_batch(self) -> bool:
        return self.operation == "BatchWriteItem"


class Injector:
    """Decides and forwards; thread-safe. `server.serve` puts it on a port.

    `tables` are described by hand, for an endpoint without DescribeTable. With `counts_units` the write units in
    answers are computed here by AWS's rule (moto says 1 for any call), which takes a BatchGetItem for each write;
    without `reads_old` by the new items alone, which counts too little where a write makes an item smaller.
    With `drops_given_up` a write is not applied once its client has hung up; otherwise it may be, however late.
    `wrote` is told of all writes in the order in which they were applied, and of the time when each call of them began.
    """

    def __init__(
        self,
        upstream: str,
        profile: Profile,
        seed: int,
        *,
        tables: Iterable[Table] = (),
        counts_units: bool = True,
        reads_old: bool = True,
        drops_given_up: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
        wrote: Callable[[Sequence[Write], float], None] = lambda *_: None,
    ) -> None:
        self.stopping = threading.Event()
        self._upstream = Upstream(upstream)
        self._seed = seed
        self._counts_units = counts_units
        self._reads_old = reads_old
        self._drops_given_up = drops_given_up
        self._clock = clock
        self._wait = wait or self.stopping.wait
        self._wrote = wrote
        self._lock = threading.Lock()
        # Moto checks a condition and writes in two steps: of two requests at the same time, both could win.
        self._one_write = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._number = 0
        self._tables = {table.name: table for table in tables}
        self._in_flight: dict[int, float] = {}
        self._out_until: dict[str, float] = {}
        self.switch(profile)

    def switch(self, profile: Profile) -> None:
        """Go on with another profile; an outage that has begun ends, and all capacity is full again."""
        with self._lock:
            self._profile = profile
            self._capacity = Capacity(profile.write_units, profile.partition_write_units)
            self._out_until.clear()

    def counts(self) -> dict[str, int]:
        """How often each kind of fault happened, to reads with `read-` before it; `unprocessed-items`, `writes` and
        `reads` count for comparison."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def in_flight_since(self) -> float | None:
        """When, by the clock given, the oldest request that is still being worked on came in."""
        with self._lock:
            return min(self._in_flight.values(), default=None)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around one request, from its arrival until nothing more of it can reach the endpoint."""
        token = object()
        with self._lock:
            self._in_flight[id(token)] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                del self._in_flight[id(token)]

    def answer(
        self, headers: Mapping[str, str], body: bytes, has_hung_up: Callable[[], bool] = lambda: False
    ) -> Delivery:
        """See a request through to the answer that its client shall get, if `has_hung_up` does not say it has gone."""
        operation = next((v for n, v in headers.items() if n.lower() == "x-amz-target"), "").removeprefix(TARGET)
        try:
            if operation not in CALLS:
                return Delivery(self._upstream.forward(headers, body))
            with self._lock:
                number, self._number = self._number, self._number + 1
                self._counts["reads" if operation in READS else "writes"] += 1
                decision = self._once(decide(self._profile, self._seed, number, operation))
            call = _Call(operation, headers, body, decision, has_hung_up, _json(body))
            return self._read(call) if operation in READS else self._write(call)
        except (OSError, http.client.HTTPException) as error:
            self._count("upstream-unreachable")
            return Delivery(_error(UNAVAILABLE, message=f"the endpoint does not answer: {type(error).__name__}"))

    def _once(self, decision: Decision) -> Decision:
        if decision.name is not None and KINDS[decision.name].is_once and self._counts[decision.name]:
            return Decision(None, decision.chance)
        return decision

    def _read(self, call: _Call) -> Delivery:
        kind, profile = call.decision.kind or _PLAIN, self._profile
        if call.decision.name is not None:
            self._count(f"read-{call.decision.name}")
        if kind.is_late:
            self._wait(call.decision.chance.random() * profile.delay)
        error = None if kind.error is None else _error(kind.error)
        if not kind.applied:
            return Delivery(error or UpstreamResponse(500, {}, b""), kind.manner, profile.hang)
        return _delivery(error or self._found(call, kind), kind.manner, profile)

    def _found(self, call: _Call, kind: Kind) -> UpstreamResponse:
        """Read what is not held back, and answer for both."""
        wanted = call.request.get("RequestItems", {})
        if not self._out_of_order().isdisjoint(wanted):
            self._count("read-outage")
            return _error(INTERNAL_ERROR)
        going, held = divided(wanted, call.decision.chance) if kind.holds_back else (wanted, {})
        body = json.dumps({**call.request, "RequestItems": going}).encode() if held else call.body
        answer = self._upstream.forward(call.headers, body)
        if answer.status != 200 or not held:
            return answer
        content = _json(answer.body)
        content.setdefault("UnprocessedKeys", {}).update(held)
        return UpstreamResponse(answer.status, answer.headers, json.dumps(content).encode())

    def _write(self, call: _Call) -> Delivery:
        try:
            found = writes(call.operation, call.request, len(call.body), lambda name: self._table(call, name))
        except UnknownTableError:
            return Delivery(self._upstream.forward(call.headers, call.body))
        except IllegalRequestError as illegal:
            self._count("refused")
            return Delivery(_error(Error("ValidationException", str(illegal))))
        kind, profile = call.decision.kind or _PLAIN, self._profile
        if kind == KINDS["unprocessed"] and len(found) == 1:
            kind = _PLAIN  # A single request that is not processed is a call that is throttled: another fault.
        elif kind.starts_outage:
            self._start_outage(found, profile)
        elif call.decision.name is not None:
            self._count(call.decision.name)
        if kind.is_late:
            self._wait(call.decision.chance.random() * profile.delay)
        error = None if kind.error is None else _error(kind.error, found, call.decision.chance)
        if not kind.applied and not kind.starts_outage:
            return Delivery(error or UpstreamResponse(500, {}, b""), kind.manner, profile.hang)
        answer = self._applied(call, found, kind)
        return _delivery(error if error is not None and kind.applied else answer, kind.manner, profile)

    def _applied(self, call: _Call, found: Sequence[Write], kind: Kind) -> UpstreamResponse:
        """Forward what is not held back, and answer for both."""
        tables_out = self._out_of_order()
        out = [write for write in found if write.table.name in tables_out]
        picked = _picked(found, call.decision.chance) if kind.holds_back and call.is_batch and len(found) > 1 else []
        if out and (not call.is_batch or len(out) == len(found)):
            self._count("outage")
            return _error(INTERNAL_ERROR)
        going = [write for write in found if write not in out and write not in picked]
        reads_old = self._counts_units and self._reads_old
        old = self._upstream.images(call.headers, going) if reads_old else [None] * len(going)
        starved = self._starved(going, old)
        if starved and not call.is_batch:
            going = []
        held = {*out, *picked, *starved}
        if len(held) == len(found) or not going:
            return _error(THROUGHPUT_EXCEEDED, found, call.decision.chance)
        return self._forwarded(call, found, held, dict(zip(going, old, strict=True)))

    def _forwarded(
        self, call: _Call, found: Sequence[Write], held: Collection[Write], old: Mapping[Write, Item | None]
    ) -> UpstreamResponse:
        going = [write for write in found if write not in held]
        body = json.dumps({**call.request, "RequestItems": _request_items(going)}).encode() if held else call.body
        with self._one_write:
            # Asked here, where nothing that is sent later can overtake it.
            if self._drops_given_up and call.has_hung_up():
                self._count("given-up")
                return _error(UNAVAILABLE)
            began = self._clock()
            answer = self._upstream.forward(call.headers, body)
            if answer.status != 200:
                return answer
            self._wrote(going, began)
        content = _json(answer.body)
        if held:
            self._count("unprocessed-items", len(held))
            unprocessed = content.setdefault("UnprocessedItems", {})
            for table, requests in _returned([w for w in found if w in held], call.decision.chance).items():
                unprocessed.setdefault(table, []).extend(requests)
        if self._counts_units:
            self._correct_units(call, content, going, old)
        return UpstreamResponse(answer.status, answer.headers, json.dumps(content).encode())

    def _correct_units(
        self, call: _Call, content: dict[str, Any], going: Sequence[Write], old: Mapping[Write, Item | None]
    ) -> None:
        level = call.request.get("ReturnConsumedCapacity", "NONE")
        content.pop("ConsumedCapacity", None)
        if level == "NONE":
            return
        is_known = call.operation not in ("UpdateItem", "TransactWriteItems")
        new = [w.item for w in going] if is_known else self._upstream.images(call.headers, going)
        units: dict[str, float] = {}
        for write, image in zip(going, new, strict=True):
            cost = write_units(old[write], image) * (2 if call.operation == "TransactWriteItems" else 1)
            units[write.named] = units.get(write.named, 0.0) + cost
        consumed = [
            {"TableName": name, "CapacityUnits": cost}
            | ({"Table": {"CapacityUnits": cost}} if level == "INDEXES" else {})
            for name, cost in units.items()
        ]
        content["ConsumedCapacity"] = consumed if "TableName" not in call.request else consumed[0]

    def _starved(self, going: Sequence[Write], old: Sequence[Item | None]) -> list[Write]:
        units = [write_units(image, write.item) for write, image in zip(going, old, strict=True)]
        with self._lock:
            if not self._capacity.is_limited:
                return []
            starved = self._capacity.starved(going, units, self._clock())
            if starved:
                self._counts["write-units"] += 1
        return starved

    def _start_outage(self, found: Sequence[Write], profile: Profile) -> None:
        with self._lock:
            # Of one table: where a batch writes to several, the others go on.
            self._out_until.setdefault(found[0].table.name, self._clock() + profile.outage)

    def _out_of_order(self) -> Set[str]:
        """Names of the tables of which an outage has begun and not ended."""
        now = self._clock()
        with self._lock:
            self._out_until = {name: until for name, until in self._out_until.items() if until > now}
            return self._out_until.keys()

    def _table(self, call: _Call, name: str) -> Table:
        if name not in self._tables:
            self._tables[name] = self._upstream.describe(call.headers, name)
        return self._tables[name]

    def _count(self, name: str, times: int = 1) -> None:
        with self._lock:
            self._counts[name] += times


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _picked(found: Sequence[Write], chance: Random) -> list[Write]:
    """Some of the writes, never all."""
    return chance.sample(found, chance.randint(1, len(found) - 1))


def _request_items(going: Iterable[Write]) -> dict[str, list[Any]]:
    requests: dict[str, list[Any]] = {}
    for write in going:
        requests.setdefault(write.named, []).append(write.request)
    return requests


def _returned(held: list[Write], chance: Random) -> dict[str, list[Any]]:
    """What comes back unprocessed; neither its order nor the spelling of its numbers is promised anywhere."""
    if chance.random() < 0.5:
        return _request_items(held)
    requests: dict[str, list[Any]] = {}
    for write in chance.sample(held, len(held)):
        requests.setdefault(write.named, []).append(respelled(write, chance.choice([".0", "E0", "E+0"])))
    return requests


def _reason(arn: str, chance: Random) -> dict[str, str]:
    reason = chance.choice(REASONS)
    return {"reason": reason, "resource": f"{arn}/index/by-day" if reason.startswith("Index") else arn}


def _error(
    error: Error, found: Sequence[Write] = (), chance: Random | None = None, message: str = ""
) -> UpstreamResponse:
    members: dict[str, Any] = {}
    if error.reasons and found and chance is not None:
        tables = {write.table.name: write.table for write in found}.values()
        members[error.reasons] = [_reason(table.arn or _ACCOUNT_ARN + table.name, chance) for table in tables]
    if error.canceled:
        first = {"Code": error.canceled, "Message": error.message}
        members["CancellationReasons"] = [first, *({"Code": "None"} for _ in found[1:])]
    text = message or error.message
    # Each of DynamoDB's errors has its text in one of these two; botocore reads either.
    name = "Message" if error.canceled else "message"
    content = {"__type": f"com.amazonaws.dynamodb.v20120810#{error.code}", name: text, **members}
    return UpstreamResponse(error.status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(content).encode())


def _delivery(answer: UpstreamResponse, manner: Manner, profile: Profile) -> Delivery:
    if manner is Manner.CORRUPTED:
        corrupt = answer.body.replace(b'"Unprocessed', b'"Vnprocessed', 1)
        checksum = zlib.crc32(answer.body) if corrupt != answer.body else zlib.crc32(answer.body) ^ 1
        return Delivery(UpstreamResponse(answer.status, answer.headers, corrupt), manner, checksum=checksum)
    return Delivery(answer, manner, profile.drip if manner is Manner.DRIPPED else profile.hang)
